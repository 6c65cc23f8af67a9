"""What the four systems minimise: Equations 1 to 4, their signs, their scales, and where gradients stop."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from serflow.studies.invariance.catalog import load_system, system_info, system_names
from serflow.studies.invariance.losses import Batch
from serflow.studies.invariance.methods.cgt_random import random_direction
from serflow.studies.invariance.network import SpeakerNetwork, kept_statistics
from serflow.studies.invariance.options import CgtOptions, DatOptions, ModelOptions, MtlOptions, Options

SIZES = ModelOptions(tdnn=((6, 3, 1),), lstm=4, fc=5, head=6, dropout=0.0)
LENGTHS = torch.tensor([9, 6, 8, 9])
OPTIONS = Options(
    model=SIZES, mtl=MtlOptions(weight=0.7), dat=DatOptions(strength=0.4), cgt=CgtOptions(epsilon=2.0, alpha=0.3)
)

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]


def batch(rows=slice(None)):
    generator = torch.Generator().manual_seed(5)
    frames = torch.randn(4, 9, 3, generator=generator)
    for row, length in enumerate(LENGTHS.tolist()):
        frames[row, length:] = 0
    targets = torch.eye(2)[torch.tensor([0, 1, 1, 0])]
    return Batch(frames[rows], LENGTHS[rows], targets[rows], torch.tensor([0, 1, 2, 1])[rows])


def network():
    torch.manual_seed(0)
    return SpeakerNetwork(SIZES, 3, 2, 3).train()


class Toy(nn.Module):
    """A network without batch normalisation that notes what its classifiers read: means of frames, as they are."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.emotion_layer, self.speaker_layer = nn.Linear(3, 2), nn.Linear(3, 3)
        self.read = {"emotion": [], "speaker": []}

    def embed(self, frames, lengths, n_valid=None):
        self.inputs = frames
        mask = (torch.arange(frames.shape[1]) < lengths[:, None])[..., None]
        return (frames * mask).sum(1)

    def emotion(self, embeddings):
        self.read["emotion"].append(self.inputs.detach())
        return self.emotion_layer(embeddings)

    def name_speaker(self, embeddings, reverse=False):
        self.read["speaker"].append(self.inputs.detach())
        return self.speaker_layer(embeddings)


def toy_gradients(net, one):
    """Return the gradient of each utterance's own losses by its frames, by hand: softmax minus target times weights."""
    means = net.embed(one.frames, one.lengths)
    by_emotion = (net.emotion_layer(means).softmax(1) - one.targets) @ net.emotion_layer.weight
    by_speaker = (net.speaker_layer(means).softmax(1) - F.one_hot(one.speakers, 3)) @ net.speaker_layer.weight
    mask = (torch.arange(9) < one.lengths[:, None])[..., None]
    return [(found[:, None] * mask).detach() for found in (by_emotion, by_speaker)]


def losses_of(net, one, **how):
    embeddings = net.embed(one.frames, one.lengths)
    emotion = F.cross_entropy(net.emotion(embeddings), one.targets)
    return emotion, F.cross_entropy(net.name_speaker(embeddings, **how), one.speakers)


def gradients(total, net):
    net.zero_grad()
    total.backward()
    return {name: parameter.grad.clone() for name, parameter in net.named_parameters() if parameter.grad is not None}


def test_every_system_has_facts_and_only_the_options_that_it_reads():
    assert set(system_names()) == {"ser_only", "mtl", "dat", "cgt", "cgt_random", "svc"}
    for name in system_names():
        assert system_info(name).title
        assert set(Options().as_json(system_info(name).options()))
    assert "cgt" not in system_info("mtl").options()
    assert "training" not in system_info("svc").options()


def test_ser_only_learns_the_emotion_alone():
    net, one = SpeakerNetwork(SIZES, 3, 2, None).train(), batch()
    found = load_system("ser_only").losses(net, one, OPTIONS)
    torch.testing.assert_close(
        found.total, F.cross_entropy(net.emotion(net.embed(one.frames, one.lengths)), one.targets)
    )
    assert list(found.terms) == ["emotion_loss"]
    assert found.n == 4


def test_mtl_adds_its_share_of_the_speakers_loss():
    net, one = network(), batch()
    found = load_system("mtl").losses(net, one, OPTIONS)
    emotion, speaker = losses_of(net, one)
    torch.testing.assert_close(found.total, emotion + 0.7 * speaker)


def test_dat_reverses_the_speakers_gradient_below_its_classifier_alone():
    """Equation 1: below the reversal emotion - lambda * speaker, above it the speaker's own gradient."""
    net, one = network(), batch()
    net.reversal.strength = 0.4
    found = gradients(load_system("dat").losses(net, one, OPTIONS).total, net)
    of_emotion, of_speaker = (gradients(losses_of(net, one)[task], net) for task in (0, 1))
    for name, gradient in found.items():
        if name.startswith("speaker."):
            expected = of_speaker[name]
        elif name.startswith("emotion."):
            expected = of_emotion[name]
        else:
            expected = of_emotion[name] - 0.4 * of_speaker[name]
            assert of_speaker[name].abs().max() > 1e-6 or "bias" in name
        torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=1e-4)


def test_the_reversal_grows_to_its_strength_unless_it_is_constant():
    net, dat = network(), load_system("dat")
    grown = [dat.start(net, progress, OPTIONS)["reversal"] for progress in (0.0, 0.1, 0.5, 1.0)]
    expected = [0.4 * (2 / (1 + math.exp(-10 * progress)) - 1) for progress in (0.0, 0.1, 0.5, 1.0)]
    assert grown == pytest.approx(expected)
    assert net.reversal.strength == pytest.approx(expected[-1])
    constant = OPTIONS.model_copy(update={"dat": DatOptions(strength=0.4, schedule="constant")})
    assert dat.start(net, 0.0, constant) == {"reversal": 0.4}


@pytest.mark.parametrize("clip", [None, 0.05])
def test_cgt_moves_each_tasks_input_along_the_other_tasks_gradient(clip):
    """Equations 2 and 3, each utterance by its own loss: neither a mean over the batch nor another sign."""
    net, one = Toy(), batch()
    options = OPTIONS.model_copy(update={"cgt": CgtOptions(epsilon=2.0, clip=clip)})
    by_emotion, by_speaker = toy_gradients(net, one)
    if clip is not None:
        assert by_emotion.abs().max() > clip
        by_emotion, by_speaker = by_emotion.clamp(-clip, clip), by_speaker.clamp(-clip, clip)
    load_system("cgt").losses(net, one, options)
    for task, moved in (("emotion", by_speaker), ("speaker", by_emotion)):
        clean, perturbed = net.read[task]
        torch.testing.assert_close(clean, one.frames)
        torch.testing.assert_close(perturbed, one.frames + 2.0 * moved)


def test_the_step_of_cgt_does_not_depend_on_the_batch_and_leaves_padding_alone():
    together, alone = Toy(), Toy()
    load_system("cgt").losses(together, batch(), OPTIONS)
    load_system("cgt").losses(alone, batch(slice(1, 2)), OPTIONS)
    torch.testing.assert_close(together.read["emotion"][1][1:2], alone.read["emotion"][1])
    assert (alone.read["emotion"][1][0, 6:] == 0).all()
    assert (alone.read["speaker"][1][0, 6:] == 0).all()


def test_cgt_weighs_clean_and_moved_losses_by_alpha():
    net, one = Toy(), batch()
    by_emotion, by_speaker = (gradient.clamp(-0.1, 0.1) for gradient in toy_gradients(net, one))
    emotion, speaker = losses_of(net, one)
    moved_emotion, _ = losses_of(net, one._replace(frames=one.frames + 2.0 * by_speaker))
    _, moved_speaker = losses_of(net, one._replace(frames=one.frames + 2.0 * by_emotion))
    found = load_system("cgt").losses(net, one, OPTIONS)
    torch.testing.assert_close(found.total, 0.7 * (emotion + speaker) + 0.3 * (moved_emotion + moved_speaker))


def test_cgt_does_not_learn_through_its_gradients():
    """The moved inputs are constants of Equation 4: the weights' gradient is that of inputs given by hand."""
    net, one = network(), batch()
    captured = []

    def capture(module, inputs):
        captured.append(inputs[0].frames.detach())

    hook = net.tdnn[0].register_forward_pre_hook(capture)
    found = gradients(load_system("cgt").losses(net, one, OPTIONS).total, net)
    hook.remove()
    clean = [one.frames[row, :length] for row, length in enumerate(LENGTHS)]
    torch.testing.assert_close(captured[0], torch.cat(clean))

    def padded(flat):
        whole = torch.zeros_like(one.frames)
        for row, part in enumerate(flat.split(LENGTHS.tolist())):
            whole[row, : len(part)] = part
        return one._replace(frames=whole)

    emotion, speaker = losses_of(net, one)
    total = 0.7 * (emotion + speaker)
    total = total + 0.3 * (losses_of(net, padded(captured[1]))[0] + losses_of(net, padded(captured[2]))[1])
    expected = gradients(total, net)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-4)


def test_running_statistics_after_cgt_are_those_of_the_clean_pass():
    once, stepped = network(), network()
    losses_of(once, batch())
    load_system("cgt").losses(stepped, batch(), OPTIONS)
    for (name, one), other in zip(once.named_buffers(), stepped.buffers(), strict=True):
        torch.testing.assert_close(one, other, msg=name)


def test_without_a_step_cgt_is_multi_task_learning_of_equal_weights():
    net, one = network(), batch()
    still = OPTIONS.model_copy(update={"cgt": CgtOptions(epsilon=0.0, alpha=0.3)})
    found = load_system("cgt").losses(net, one, still).total
    with kept_statistics(net):
        torch.testing.assert_close(found, sum(losses_of(net, one)))


def test_the_random_control_moves_as_far_and_elsewhere():
    gradient = batch().frames * 0.01
    torch.manual_seed(4)
    found = random_direction(gradient, LENGTHS)
    torch.testing.assert_close(found.flatten(1).norm(dim=1), gradient.flatten(1).norm(dim=1))
    cosines = F.cosine_similarity(found.flatten(1), gradient.flatten(1))
    assert cosines.abs().max() < 0.9
    # each frame has a direction of its own: three values in nine frames or six span as much as they can
    assert [int(torch.linalg.matrix_rank(found[row, :length])) for row, length in enumerate(LENGTHS)] == [3] * 4
    assert F.cosine_similarity(found[0].flatten(), found[3].flatten(), dim=0).abs() < 0.9
    assert all((found[row, length:] == 0).all() for row, length in enumerate(LENGTHS))
    torch.manual_seed(4)
    wider = random_direction(F.pad(gradient, (0, 0, 0, 5)), LENGTHS)
    torch.testing.assert_close(wider[:, :9], found)


def test_the_random_control_is_cgt_but_for_the_direction():
    net, one = Toy(), batch()
    load_system("cgt_random").losses(net, one, OPTIONS)
    moved = net.read["emotion"][1] - one.frames
    _, by_speaker = toy_gradients(net, one)
    expected = 2.0 * by_speaker.clamp(-0.1, 0.1)
    torch.testing.assert_close(moved.flatten(1).norm(dim=1), expected.flatten(1).norm(dim=1))
