import pytest
import torch
from torch import nn

from serflow.nn.convolution import Convolution, MaskedInstanceNorm, TransposedConvolution
from serflow.nn.normalisation import MaskedBatchNorm, MaskedBatchNorm2d, unit_rows
from serflow.nn.parameters import count_parameters
from serflow.nn.pooling import (
    DEVIATION_EPS,
    frame_mask,
    global_max,
    max_pool,
    mean_and_deviation,
    pooled_lengths,
    valid_places,
)

LENGTHS = torch.tensor([9, 4, 13, 1])


def padded(n_frames, dim=3, seed=0):
    """The same utterances, however long the batch is."""
    torch.manual_seed(seed)
    frames = torch.randn(len(LENGTHS), int(LENGTHS.max()), dim)
    frames = torch.nn.functional.pad(frames, (0, 0, 0, n_frames - frames.shape[1]))
    return frames * frame_mask(LENGTHS, n_frames)


def ones(frames, stride=1):
    return torch.ones(frames.shape[0], frames.shape[1] * stride, 1)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("kernel", [1, 2, 3, 16])
@pytest.mark.parametrize("dilation", [1, 2, 3, 4])
def test_convolution_equals_torch_conv1d_with_same_padding(kernel, dilation):
    torch.manual_seed(0)
    ours = Convolution(3, 5, kernel, dilation)
    peer = nn.Conv1d(3, 5, kernel, padding="same", dilation=dilation)
    with torch.no_grad():
        peer.weight.copy_(ours.convolution.weight.squeeze(2))
        peer.bias.copy_(ours.convolution.bias)
    frames = torch.randn(2, 21, 3)
    torch.testing.assert_close(ours(frames, ones(frames)), peer(frames.transpose(1, 2)).transpose(1, 2))


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (3, 1), (4, 2), (5, 2), (2, 2), (7, 3)])
@pytest.mark.parametrize("n_frames", [1, 2, 11])
def test_transposed_convolution_equals_torch_cut_to_stride_times_the_input(kernel, stride, n_frames):
    torch.manual_seed(0)
    ours = TransposedConvolution(3, 5, kernel, stride)
    nn.init.normal_(ours.bias)
    peer = nn.ConvTranspose1d(3, 5, kernel, stride=stride)
    with torch.no_grad():
        peer.weight.copy_(ours.weight)
        peer.bias.copy_(ours.bias)
    frames = torch.randn(2, n_frames, 3)
    expected = peer(frames.transpose(1, 2)).transpose(1, 2)[:, : n_frames * stride]
    torch.testing.assert_close(ours(frames, ones(frames, stride)), expected)


@pytest.mark.parametrize(
    ("layer", "stride"),
    [
        (Convolution(3, 5, 16, 2), 1),
        (Convolution(3, 5, 4), 1),
        (TransposedConvolution(3, 5, 3, 2), 2),
        (MaskedInstanceNorm(3), 1),
    ],
)
def test_a_layer_gives_the_same_however_long_the_batch_is(layer, stride):
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    outputs = []
    for n_frames in (13, 20):
        output = layer(padded(n_frames), frame_mask(LENGTHS * stride, n_frames * stride).float())
        assert output.shape[1] == n_frames * stride
        assert not output[~frame_mask(LENGTHS * stride, n_frames * stride).expand_as(output)].any()
        outputs.append(output[:, : 13 * stride])
    torch.testing.assert_close(outputs[0], outputs[1])


def test_instance_norm_equals_torch_on_each_utterance():
    ours = MaskedInstanceNorm(3)
    nn.init.normal_(ours.weight)
    nn.init.normal_(ours.bias)
    frames = padded(13)
    output = ours(frames, frame_mask(LENGTHS, 13).float())
    for row, length in enumerate(LENGTHS[:3].tolist()):
        utterance = frames[row : row + 1, :length].transpose(1, 2)
        expected = nn.functional.instance_norm(utterance, weight=ours.weight, bias=ours.bias).transpose(1, 2)
        torch.testing.assert_close(output[row : row + 1, :length], expected)


@pytest.mark.parametrize("layer", [Convolution(3, 5, 4), TransposedConvolution(3, 5, 2, 1)])
def test_a_mask_does_not_change_the_precision(layer):
    frames = padded(13)
    assert layer(frames, frame_mask(LENGTHS, 13).double()).dtype == frames.dtype


def test_running_statistics_stay_in_their_own_precision():
    norm, frames = MaskedBatchNorm(3), padded(13).double()
    norm(frames, frame_mask(LENGTHS, 13))
    real = frames[frame_mask(LENGTHS, 13).squeeze(2)]
    torch.testing.assert_close(norm.mean, 0.1 * real.mean(0).float())
    torch.testing.assert_close(norm.variance, 0.9 + 0.1 * real.var(0, correction=0).float())


def test_rows_are_scaled_to_norm_1_but_for_those_that_are_rounding():
    rows = torch.tensor([[3.0, -4.0], [3.0, 4.0], [0.0, 2.0], [0.0, 0.0]], requires_grad=True)
    unit = unit_rows(rows, torch.tensor([1.0, 5.0, 2.0, 0.0]))
    torch.testing.assert_close(unit.detach(), torch.tensor([[0.6, -0.8], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]))
    unit.sum().backward()
    # the gradient of x / |x| + y / |y| at (3, -4): across the row
    torch.testing.assert_close(rows.grad, torch.tensor([[0.224, 0.168], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]))


def test_weights_are_counted_one_by_one():
    network = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 2, bias=False))
    assert count_parameters(network) == 40
    network[0].requires_grad_(False)
    assert count_parameters(network) == 20


@pytest.mark.parametrize("n_frames", [13, 16, 18])
def test_max_pool_takes_the_maximum_of_each_window(n_frames):
    frames = padded(n_frames).relu()
    output = max_pool(frames, 4)
    assert output.shape[1] == -(-n_frames // 4)
    for row, length in enumerate(LENGTHS.tolist()):
        windows = [frames[row, start : min(start + 4, length)].amax(0) for start in range(0, length, 4)]
        assert len(windows) == pooled_lengths(LENGTHS, 4)[row]
        assert torch.equal(output[row, : len(windows)], torch.stack(windows))


def test_global_max_does_not_see_padding():
    frames = padded(20) - 10 * frame_mask(LENGTHS, 20)
    expected = torch.stack([frames[row, :length].amax(0) for row, length in enumerate(LENGTHS.tolist())])
    assert torch.equal(global_max(frames, LENGTHS), expected)


def test_mean_and_deviation_are_those_of_an_utterances_own_frames():
    frames = (padded(20) + 10 * ~frame_mask(LENGTHS, 20)).double()
    own = [frames[row, :length] for row, length in enumerate(LENGTHS.tolist())]
    expected = [torch.cat([each.mean(0), (each.var(0, correction=0) + DEVIATION_EPS).sqrt()]) for each in own]
    torch.testing.assert_close(mean_and_deviation(frames, LENGTHS), torch.stack(expected))


def test_an_utterance_of_one_frame_has_no_deviation_and_a_gradient():
    frames = torch.tensor([[[2.0, -3.0], [7.0, 7.0]]], requires_grad=True)
    found = mean_and_deviation(frames, torch.tensor([1]))
    torch.testing.assert_close(found.detach()[0], torch.tensor([2.0, -3.0, DEVIATION_EPS**0.5, DEVIATION_EPS**0.5]))
    found.sum().backward()
    assert frames.grad.tolist() == [[[1.0, 1.0], [0.0, 0.0]]]


def test_mean_and_deviation_of_bfloat16_are_computed_in_float32():
    frames = (100 + padded(20)).bfloat16()
    found = mean_and_deviation(frames, LENGTHS)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, mean_and_deviation(frames.float(), LENGTHS))


def test_frame_mask_marks_the_frames_of_each_utterance():
    assert frame_mask(torch.tensor([2, 0, 3]), 3)[..., 0].tolist() == [
        [True, True, False],
        [False, False, False],
        [True, True, True],
    ]


@pytest.mark.parametrize("training", [True, False])
def test_2d_batch_norm_is_torchs_on_the_valid_frames_alone(training):
    torch.manual_seed(0)
    ours, peer = (layer.double().train(training) for layer in (MaskedBatchNorm2d(3), nn.BatchNorm2d(3)))
    for layer in (ours.norm, peer):
        layer.load_state_dict(
            {**layer.state_dict(), "weight": torch.tensor([1.0, 2, 3]), "bias": torch.tensor([1.0, -1, 0]),
             "running_mean": torch.tensor([0.5, 0, 1]), "running_var": torch.tensor([1.0, 3, 2])}
        )  # fmt: skip
    maps = torch.randn(4, 3, 15, 2, dtype=torch.float64, requires_grad=True)
    mask = frame_mask(LENGTHS, 15).squeeze(2)
    output = ours(maps, mask.reshape(-1).nonzero().squeeze(1))
    valid = maps.detach().transpose(1, 2)[mask].requires_grad_()  # (valid, dim, bands)
    expected = peer(valid.unsqueeze(2)).squeeze(2)
    torch.testing.assert_close(output.transpose(1, 2)[mask], expected)
    assert not output.transpose(1, 2)[~mask].any()
    weights = torch.randn_like(expected)
    (output.transpose(1, 2)[mask] * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(maps.grad.transpose(1, 2)[mask], valid.grad)
    for name, value in ours.norm.state_dict().items():
        torch.testing.assert_close(value, peer.state_dict()[name])


@pytest.mark.parametrize("n_valid", [None, 8])
def test_valid_frames_of_a_padded_batch_are_found_end_to_end(n_valid):
    lengths = torch.tensor([3, 0, 5])
    expected = frame_mask(lengths, 6).reshape(-1).nonzero().squeeze(1)
    assert valid_places(lengths, 6, n_valid).tolist() == expected.tolist() == [0, 1, 2, 12, 13, 14, 15, 16]
