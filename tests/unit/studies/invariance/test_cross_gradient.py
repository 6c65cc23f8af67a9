"""How far cross-gradient training moves its inputs, and that its control moves every frame on its own."""

import pytest
import torch

from serflow.studies.invariance.cross_gradient import cross_gradient
from serflow.studies.invariance.losses import Batch
from serflow.studies.invariance.methods.cgt_random import random_direction
from serflow.studies.invariance.network import SpeakerNetwork
from serflow.studies.invariance.options import CgtOptions, ModelOptions, Options

DIM = 3
LENGTHS = torch.tensor([9, 5])
MODEL = ModelOptions(tdnn=((4, 2, 1),), lstm=2, fc=3, head=4, dropout=0.0)


@pytest.fixture
def batch():
    torch.manual_seed(0)
    frames = torch.randn(2, 12, DIM, dtype=torch.float64)
    for row, length in enumerate(LENGTHS):
        frames[row, length:] = 0
    return Batch(frames, LENGTHS, torch.eye(2, dtype=torch.float64), torch.tensor([1, 0]))


def terms(batch, direction, epsilon=2.0):
    torch.manual_seed(1)
    network = SpeakerNetwork(MODEL, DIM, 2, 2).double()
    options = Options(model=MODEL, cgt=CgtOptions(epsilon=epsilon, clip=None))
    return cross_gradient(network, batch, options, direction).terms


def test_a_move_is_the_rms_over_the_values_of_frames_that_are_there(batch):
    """Of steps of 1 on 14 frames of 3 values, in an array of 24 frames."""

    def ones(gradient, lengths, n_valid):
        there = torch.arange(gradient.shape[1])[None] < lengths[:, None]
        return there[:, :, None].to(gradient.dtype).expand_as(gradient)

    found = terms(batch, ones, epsilon=0.25)
    assert found["speaker_move"].item() == pytest.approx(0.25)
    assert found["emotion_move"].item() == pytest.approx(0.25)


def test_each_move_is_along_its_own_tasks_gradient(batch):
    given = []

    def kept(gradient, lengths, n_valid):
        given.append(gradient)
        return gradient

    found = terms(batch, kept)
    by_task = [2.0 * (gradient.square().sum() / (14 * DIM)).sqrt().item() for gradient in given]
    assert by_task[0] != pytest.approx(by_task[1])
    assert [found[name].item() for name in ("speaker_move", "emotion_move")] == pytest.approx(by_task)


def test_the_random_control_moves_each_frame_its_own_way():
    torch.manual_seed(2)
    gradient = torch.randn(2, 12, DIM, dtype=torch.float64)
    gradient[0, 9:] = gradient[1, 5:] = 0
    direction = random_direction(gradient, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        assert torch.linalg.matrix_rank(direction[row, :length]).item() == DIM
        assert not direction[row, length:].any()
    torch.testing.assert_close(direction.flatten(1).norm(dim=1), gradient.flatten(1).norm(dim=1))
