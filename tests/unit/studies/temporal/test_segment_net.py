"""The network on learned features: exact masks, fine-tuning of parts of wav2vec, context spans."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from serflow.backbones._wav2vec_network import Geometry, Wav2Vec
from serflow.backbones.wav2vec import write_stand_in
from serflow.errors import ConfigError
from serflow.plugins import load_plugin
from serflow.studies.temporal.catalog import SYSTEMS
from serflow.studies.temporal.data import Batch
from serflow.studies.temporal.network import Wav2VecFrontEnd, hide
from serflow.studies.temporal.options import Options, SegmentNetOptions
from serflow.studies.temporal.segment_net import ConvolutionBlock, SegmentNet

SMALL = {"maps": 6, "lstm": 3, "lstm_layers": 2, "hidden": 5, "segments": 2}
OPTIONS = SegmentNetOptions(**SMALL)
LENGTHS = torch.tensor([40, 26, 33, 12])
DIM = 4
CPU = torch.device("cpu")
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 0.75])
# kernels and strides of wav2vec_large
ENCODER = [(10, 5), (8, 4), (4, 2), (4, 2), (4, 2), (1, 1), (1, 1)]

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]


def frames(n_frames=40, fill=0.0):
    generator = torch.Generator().manual_seed(1)
    padded = torch.full((len(LENGTHS), n_frames, DIM), fill)
    for row, length in enumerate(LENGTHS.tolist()):
        padded[row, :length] = torch.randn(length, DIM, generator=generator)
    return padded


def network(**changes):
    torch.manual_seed(0)
    return SegmentNet(DIM, OPTIONS.model_copy(update=changes), 4)


@pytest.mark.parametrize("training", [True, False])
def test_padding_changes_no_output_and_no_gradient(training):
    """However far a batch is padded, and with what; batch statistics included. The last one is shorter than the CNN."""
    found = []
    for n_frames, fill in ((40, 0.0), (55, 1e3)):
        net = network().train(training)
        read = frames(n_frames, fill).requires_grad_()
        result = net(read, LENGTHS)
        assert result.lengths.tolist() == [4, 1, 2, 1]
        segments = [
            torch.cat([logits[row, :length] for row, length in enumerate(result.lengths.tolist())])
            for logits in result.segments
        ]
        ((result.utterance**3).sum() + sum((values**3).sum() for values in segments)).backward()
        gradients = [parameter.grad for parameter in net.parameters()]
        assert all(gradient is not None for gradient in gradients)
        assert not any(read.grad[row, length:].any() for row, length in enumerate(LENGTHS))
        valid = torch.cat([read.grad[row, :length] for row, length in enumerate(LENGTHS)])
        states = [state.clone() for state in net.buffers()]
        found.append([result.utterance.detach(), *(values.detach() for values in segments), valid, *gradients, *states])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_an_utterance_alone_is_the_same_as_in_a_batch():
    net = network().train()
    net(frames(), LENGTHS)
    net.eval()
    together = net(frames(55, fill=9.0), LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = net(frames()[row : row + 1, :length], LENGTHS[row : row + 1])
        torch.testing.assert_close(alone.utterance[0], together.utterance[row])
        for one, other in zip(alone.segments, together.segments, strict=True):
            torch.testing.assert_close(one[0], other[row, : alone.lengths[0]])


def test_the_papers_cnn_leaves_69_frames_of_298_at_25_a_second():
    torch.manual_seed(0)
    block = ConvolutionBlock(8, SegmentNetOptions(maps=16))
    assert (block.field, block.hop) == (26, 4)
    found, lengths = block(torch.randn(1, 298, 8), torch.tensor([298]))
    assert found.shape == (1, 69, 16)
    assert lengths.tolist() == [69]


def test_a_layer_of_the_cnn_is_convolution_batch_norm_relu():
    torch.manual_seed(0)
    block = ConvolutionBlock(DIM, SegmentNetOptions(maps=6, kernels=(4,), strides=(2,))).train()
    read = torch.randn(3, 10, DIM)
    found, _ = block(read, torch.tensor([10, 10, 10]))
    layer = block.convolutions[0]
    convolved = nn.functional.conv1d(read.transpose(1, 2), layer.weight, layer.bias, stride=2)
    expected = nn.functional.batch_norm(convolved, None, None, training=True).clamp(min=0)
    torch.testing.assert_close(found.transpose(1, 2), expected)


def test_an_utterance_shorter_than_the_cnn_is_continued_by_zeros():
    net = network().eval()
    short = frames()[3:, :12]
    continued = nn.functional.pad(short, (0, 0, 0, 14))
    torch.testing.assert_close(net(short, torch.tensor([12])).utterance, net(continued, torch.tensor([26])).utterance)


def test_the_rest_is_lstm_layers_a_mean_over_frames_and_a_classifier():
    """Against torch's own on packed frames."""
    net = network().train()
    found = net(frames(50, fill=5.0), LENGTHS)
    segments, lengths = net.cnn(frames(), LENGTHS)
    reference = nn.LSTM(6, 3, num_layers=2, batch_first=True, bidirectional=True)
    with torch.no_grad():
        for number, layer in enumerate(net.lstm):
            for part, suffix in ((layer.forwards, ""), (layer.backwards, "_reverse")):
                for name, value in part.named_parameters():
                    reference.get_parameter(name.replace("l0", f"l{number}") + suffix).copy_(value)
    packed = pack_padded_sequence(segments, lengths, batch_first=True, enforce_sorted=False)
    states, _ = pad_packed_sequence(reference(packed)[0], batch_first=True)
    for row, length in enumerate(lengths.tolist()):
        mean = states[row, :length].mean(0)
        first, last = net.emotion[0], net.emotion[2]
        expected = (mean @ first.weight.T + first.bias).clamp(min=0) @ last.weight.T + last.bias
        torch.testing.assert_close(found.utterance[row], expected)
        for head, logits in zip(net.segments, found.segments, strict=True):
            hidden = (segments[row, :length] @ head[0].weight.T + head[0].bias).clamp(min=0)
            torch.testing.assert_close(logits[row, :length], hidden @ head[2].weight.T + head[2].bias)


def test_classifying_utterances_runs_no_segment_classifier():
    net = network().eval()
    expected = net(frames(), LENGTHS).utterance
    del net.segments
    torch.testing.assert_close(net.classify(frames(), LENGTHS), expected)


def test_the_papers_sizes():
    """Figure 1: 512 maps, five BiLSTM layers of 256 a direction, 512 hidden units; N_s classifiers of their own."""
    net = SegmentNet(512, SegmentNetOptions(segments=2), 4)
    assert [tuple(layer.weight.shape) for layer in net.cnn.convolutions] == [(512, 512, k) for k in (4, 4, 3, 3)]
    assert [layer.stride for layer in net.cnn.convolutions] == [(2,), (2,), (1,), (1,)]
    assert [(layer.forwards.input_size, layer.forwards.hidden_size) for layer in net.lstm] == [(512, 256)] * 5
    for head in (net.emotion, *net.segments):
        assert [tuple(layer.weight.shape) for layer in head if isinstance(layer, nn.Linear)] == [(512, 512), (4, 512)]
    assert not torch.equal(net.segments[0][0].weight, net.segments[1][0].weight)


def wav2vec_batch(lengths=(9600, 8000, 9600, 4000), padded=9600):
    generator = np.random.default_rng(0)
    waveforms = torch.zeros(len(lengths), padded, dtype=torch.float32)
    for row, length in enumerate(lengths):
        waveforms[row, :length] = torch.from_numpy(generator.standard_normal(length).astype(np.float32) / 10)
    targets = torch.eye(4, dtype=torch.float32)[torch.arange(len(lengths)) % 4]
    return Batch(waveforms, None, torch.tensor(lengths), torch.zeros(len(lengths)), None, targets)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    return write_stand_in(tmp_path_factory.mktemp("wav2vec"), seed=0)


METHOD = load_plugin("serflow.studies.temporal.methods", "segment_net", "network", "this study")


def built(stand_in, **changes):
    """The network of the wav2vec row in single precision, as it is trained."""
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    options = Options(segment_net=SegmentNetOptions(**{**SMALL, **changes}))
    return METHOD.build(SYSTEMS["wav2vec"], options, 4, stand_in, CPU), options


def part_of(name):
    return next((part for part in ("feature_extractor", "feature_aggregator") if part in name), "classifier")


@pytest.mark.parametrize(
    ("fine_tune", "trained"),
    [
        ("all", {"feature_extractor", "feature_aggregator"}),
        ("context", {"feature_aggregator"}),
        ("encoder", {"feature_extractor"}),
        ("none", set()),
    ],
)
def test_what_is_frozen_stays_the_same_bits_and_all_else_moves(stand_in, fine_tune, trained):
    net, options = built(stand_in, fine_tune=fine_tune)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    optimizer = torch.optim.Adam(METHOD.parameter_groups(net, options))
    for _ in range(2):
        net.train()
        optimizer.zero_grad()
        METHOD.losses(net, wav2vec_batch(), WEIGHTS.float()).total.backward()
        optimizer.step()
    for name, parameter in net.named_parameters():
        moves = part_of(name) in {"classifier", *trained}
        assert parameter.requires_grad is moves, name
        assert (parameter.grad is not None) is moves, name
        assert torch.equal(parameter, before[name]) is not moves, name
    for name, module in net.named_modules():
        if "front_end.network." in name:
            assert module.training is (part_of(name) in trained), name
    grouped = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert grouped == {id(parameter) for parameter in net.parameters() if parameter.requires_grad}


@pytest.mark.parametrize(("fine_tune", "graph"), [("none", False), ("context", True), ("encoder", True), ("all", True)])
def test_nothing_of_a_frozen_network_is_kept_for_gradients(stand_in, fine_tune, graph):
    net, _ = built(stand_in, fine_tune=fine_tune)
    batch = wav2vec_batch()
    assert net.train().front_end(batch.waveforms, batch.n_samples).requires_grad is graph
    z, _ = net.front_end.network(batch.waveforms, 4)
    assert z.requires_grad is (fine_tune in ("encoder", "all"))


@pytest.mark.parametrize("n_layers", [None, 2, 0])
def test_padding_does_not_reach_the_norms_of_wav2vec(stand_in, n_layers):
    """In a batch of several lengths each row is what it is alone."""
    net, _ = built(stand_in, fine_tune="context" if n_layers != 0 else "encoder", context_layers=n_layers)
    front_end = net.front_end.double()
    batch = wav2vec_batch(padded=12_000)
    waveforms = batch.waveforms.double()
    waveforms[1, 8000:] = 1e3
    found = front_end(waveforms, batch.n_samples)
    lengths = front_end.n_frames(batch.n_samples).tolist()
    assert lengths == [58, 48, 58, 23]
    assert found.shape == (4, 58, front_end.dim)
    for row, (n_samples, length) in enumerate(zip(batch.n_samples.tolist(), lengths, strict=True)):
        _, alone = front_end.network(waveforms[row : row + 1, :n_samples], n_layers)
        torch.testing.assert_close(found[row, :length], alone[0])
        assert not found[row, length:].any()


def test_the_papers_features_see_810_ms():
    """wav2vec_large: 465 samples, and 78 frames of 10 ms before; 809 ms, which Table 1 rounds."""
    layers = [(4, kernel, stride) for kernel, stride in ENCODER]
    large = Wav2Vec(Geometry(layers, [(4, k, 1) for k in range(2, 14)], skip_connections_agg=True))
    for n_layers, span in ((None, 809.0625), (1, 39.0625), (2, 59.0625), (0, 29.0625)):
        front_end = Wav2VecFrontEnd(large, n_layers)
        assert 1000 * front_end.win_length / 16_000 == span
        assert 1000 * front_end.hop / 16_000 == 10.0
        large = Wav2Vec(large.geometry)


def test_contexts_follow_what_is_built(stand_in):
    """The stand-in's context network has kernels of 2, 3, 4 and 5."""
    for context_layers, span in ((None, 29.0625 + 100), (2, 29.0625 + 30)):
        net, _ = built(stand_in, context_layers=context_layers)
        assert METHOD.contexts(net) == [span]
    mel = METHOD.build(SYSTEMS["segment_net_on_mel"], Options(), 4, None, CPU)
    assert METHOD.contexts(mel) == [50.0]


def test_a_cut_context_network_has_no_weights_that_nothing_uses(stand_in):
    net, _ = built(stand_in, fine_tune="all", context_layers=2)
    METHOD.losses(net, wav2vec_batch(), WEIGHTS.float()).total.backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert len(net.front_end.network.feature_aggregator.conv_layers) == 2


def test_more_layers_than_there_are_is_said(stand_in):
    with pytest.raises(ConfigError, match=r"temporal\.context_layers: 9 layers, and the context network .* has 4"):
        built(stand_in, context_layers=9)


def test_a_context_network_of_no_layer_cannot_be_trained():
    with pytest.raises(ValueError, match="fine_tune is context, of which context_layers 0 leaves no layer"):
        SegmentNetOptions(fine_tune="context", context_layers=0)
    for part, n_layers in (("context", 1), ("context", None), ("all", 0), ("encoder", 0), ("none", 0)):
        assert SegmentNetOptions(fine_tune=part, context_layers=n_layers).context_layers == n_layers


def test_hidden_values_are_the_mean_of_the_utterance():
    read = frames()
    hidden = torch.zeros(read.shape, dtype=torch.bool)
    hidden[0, 3:5] = hidden[1, :20, 2] = True
    found = hide(read, LENGTHS, hidden)
    assert torch.equal(found[~hidden], read[~hidden])
    for row, length in enumerate(LENGTHS.tolist()):
        own = found[row][hidden[row]]
        torch.testing.assert_close(own, read[row, :length].mean().expand(len(own)))


@pytest.mark.parametrize(
    "system", ["all_three", "segment_net_on_mel", "strfnet_on_wav2vec", "wav2vec", "spectrogram_modulation"]
)
def test_every_row_takes_a_batch_and_gives_a_loss(stand_in, system):
    torch.set_default_dtype(torch.float32)
    info = SYSTEMS[system]
    method = load_plugin("serflow.studies.temporal.methods", info.network, "network", "this study")
    sizes = {"kernels": 2, "channels": 2, "embedding": 4, "attention": 3, "hidden": 4}
    options = Options.model_validate({"segment_net": SMALL, "strfnet": sizes})
    net = method.build(info, options, 4, stand_in if info.reads == "wav2vec" else None, CPU).train()
    batch = wav2vec_batch()
    if info.reads == "log_mel":
        batch = batch._replace(pulses=batch.waveforms * (torch.arange(9600) % 100 == 0))
        hidden = torch.zeros(4, 49, 30, dtype=torch.bool)
        hidden[:, 4:9] = True
        batch = batch._replace(hidden=hidden, warps=torch.tensor([0.1, 0.0, -0.1, 0.05]))
    losses = method.losses(net, batch, WEIGHTS.float())
    losses.total.backward()
    assert losses.n == 4
    segments = {"segment_loss_1", "segment_loss_2"} if info.network == "segment_net" else set()
    assert set(losses.terms) == {"emotion_loss", *segments}
    assert all(parameter.grad is not None for parameter in net.parameters() if parameter.requires_grad)
    assert method.classify(net.eval(), batch._replace(hidden=None)).shape == (4, 4)
    groups = method.parameter_groups(net, options)
    fields = [p for name, p in net.named_parameters() if name.endswith((".rates", ".scales"))]
    assert [group.get("weight_decay") for group in groups] == ([None, 0.0] if fields else [None])
    assert sum(len(group["params"]) for group in groups) == sum(p.requires_grad for p in net.parameters())
    if fields:
        assert {id(p) for p in groups[1]["params"]} == {id(p) for p in fields}


def test_hiding_and_pulses_reach_the_network():
    """Each part of a batch changes the logits of a row that reads it."""
    torch.set_default_dtype(torch.float32)
    method = load_plugin("serflow.studies.temporal.methods", "strfnet", "network", "this study")
    torch.manual_seed(0)
    net = method.build(SYSTEMS["all_three"], Options(), 4, None, CPU).eval()
    hidden = torch.zeros(4, 49, 30, dtype=torch.bool)
    batch = wav2vec_batch()._replace(warps=torch.zeros(4), hidden=hidden)
    batch = batch._replace(pulses=batch.waveforms * (torch.arange(9600) % 100 == 0))
    logits = method.classify(net, batch)
    some = hidden.clone()
    some[:, 4:9] = True
    changes = {
        "hidden": some,
        "warps": torch.full((4,), 0.1),
        "pulses": batch.pulses * 2,
        "waveforms": batch.waveforms * 2,
    }
    for name, change in changes.items():
        assert not torch.allclose(method.classify(net, batch._replace(**{name: change})), logits, atol=1e-5)
    assert method.contexts(net) == [75.0, 75.0, 200.0]
