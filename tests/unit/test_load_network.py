"""Networks in the graph: the same values as the frozen ones, gradients, frozen parts, padding."""

import copy
import functools
import re

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from serflow.backbones._allosaurus_network import read_model
from serflow.backbones._bert_network import BertEncoder
from serflow.backbones._byol_network import LogMelPicture, standardise
from serflow.backbones._ge2e_network import pool_partials
from serflow.backbones._wav2vec_network import Geometry, Wav2Vec
from serflow.backbones.base import (
    backbone_kind,
    backbone_module,
    backbone_names,
    load_backbone,
    load_network,
    load_recogniser,
    load_text_encoder,
)
from serflow.errors import AudioError, ConfigError, WeightsError

LOADERS = {"audio": load_backbone, "recogniser": load_recogniser, "text": load_text_encoder}
NETWORKS = [name for name in backbone_names() if name != "deepspeech"]
IN_PARTS = ["wav2vec", "wav2vec2", "wav2vec2_ctc"]
# sums of float32 in another order: a few units in the last of 24 bits, of values of the size of 1
ROUNDING = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory):
    """Return the path of the stand-in of a backbone, written once for each seed."""

    @functools.cache
    def write(name, seed=0):
        return backbone_module(name).write_stand_in(tmp_path_factory.mktemp(name), seed=seed)

    return write


@pytest.fixture(params=NETWORKS)
def name(request):
    return request.param


def waveform(n_samples=16_000, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


def inputs_of(name, path):
    """Return what the network takes, made of one utterance."""
    if name == "ge2e":
        (partials,) = load_backbone("ge2e", path)([waveform(40_000)], "partials")
        return (torch.from_numpy(partials).reshape(-1, 160, 40),)
    if name == "byol":
        return (torch.from_numpy(standardise(LogMelPicture(400)(waveform())))[None, None],)
    if name == "allosaurus":
        frames = torch.from_numpy(read_model(path)[0](waveform()))[None]
        return frames, torch.tensor([frames.shape[1]])
    if name == "bert":
        tokens = torch.tensor(load_network("bert", path).tokenizer(["the dog ran home"]))
        return tokens, torch.ones_like(tokens)
    return (torch.from_numpy(waveform())[None],)


def outputs_of(network, inputs):
    found = network(*inputs)
    return found if isinstance(found, tuple) else (found,)


def frozen_outputs(name, path):
    """Return what the frozen backbone makes of the same utterance."""
    frozen = LOADERS[backbone_kind(name)](name, path)
    if name == "ge2e":
        return frozen([waveform(40_000)], "embedding")
    if name == "bert":
        return frozen.encode(["the dog ran home"])
    if name == "wav2vec2_ctc":
        return [frozen._log_probabilities(torch.from_numpy(frozen._prepare(waveform()))[None])[0].numpy()]
    outputs = {"byol": ["frames"], "allosaurus": ["blstm", "phones"], "wav2vec": ["encoder", "context"]}
    return [frozen([waveform()], output)[0] for output in outputs.get(name, ["layer_3"])]


def with_every_layer(network):
    """Switch LayerDrop off, which leaves a tenth of the layers of wav2vec 2.0 out."""
    for module in network.modules():
        if hasattr(module, "config"):
            module.config.layerdrop = 0.0
    return network


def some_loss(network, inputs):
    """Return a number that every value of every output moves."""
    generator = torch.Generator().manual_seed(0)
    return sum(
        (output * torch.randn(output.shape, generator=generator)).sum() for output in outputs_of(network, inputs)
    )


def test_in_evaluation_mode_the_values_are_those_of_the_frozen_backbone(name, stand_in):
    path = stand_in(name)
    with torch.no_grad():
        found = outputs_of(load_network(name, path).eval(), inputs_of(name, path))
    found = (pool_partials(found[0], [len(found[0])]),) if name == "ge2e" else tuple(output[0] for output in found)
    if name == "wav2vec2_ctc":
        found = (found[0].log_softmax(dim=1),)
    for ours, expected in zip(found, frozen_outputs(name, path), strict=True):
        np.testing.assert_allclose(ours.numpy(), expected, **ROUNDING)


def test_gradients_reach_the_input_and_every_parameter_and_a_step_against_them_helps(name, stand_in):
    path = stand_in(name)
    network = with_every_layer(load_network(name, path))
    assert network.training
    inputs = inputs_of(name, path)
    if name != "bert":
        inputs = (inputs[0].requires_grad_(), *inputs[1:])
    torch.manual_seed(0)
    some_loss(network, inputs).backward()
    if name != "bert":
        assert torch.isfinite(inputs[0].grad).all()
        assert inputs[0].grad.any()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key

    network.eval().zero_grad()
    before = some_loss(network, inputs)
    before.backward()
    parameters = [parameter for parameter in network.parameters() if parameter.grad is not None]
    norm = sum(float(parameter.grad.square().sum()) for parameter in parameters) ** 0.5
    assert norm > 0
    with torch.no_grad():
        for parameter in parameters:
            parameter -= 1e-4 * parameter.grad / norm
        assert some_loss(network, inputs) < before


def test_parts_have_every_parameter_once(name, stand_in):
    network = load_network(name, stand_in(name))
    assert bool(network.PARTS) == (name in IN_PARTS)
    for key, _ in network.named_parameters():
        owners = [
            part for part, prefixes in network.PARTS.items() if any(f"{key}.".startswith(f"{p}.") for p in prefixes)
        ]
        assert len(owners) == bool(network.PARTS), key


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *((name, part) for name in IN_PARTS for part in ("encoder", "context", "none", "all")),
        ("wav2vec2_ctc", "head"),
        *((name, "none") for name in NETWORKS if name not in IN_PARTS),
    ],
)
def test_what_is_frozen_stays_and_the_rest_moves(name, part, stand_in):
    path = stand_in(name)
    network = with_every_layer(load_network(name, path, fine_tune=part))
    whole = nn.ModuleDict({"network": network, "head": nn.Linear(1, 1)}).train()
    parts = {**network.PARTS, "none": (), "all": sum(map(tuple, network.PARTS.values()), ())}
    trained = tuple(f"{prefix}." for prefix in parts[part])
    before = copy.deepcopy(network.state_dict())
    parameters = [parameter for parameter in whole.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=1e-3)
    torch.manual_seed(0)
    (some_loss(network, inputs_of(name, path)) + whole["head"](torch.ones(1)).sum()).backward()
    optimizer.step()
    for module_name, module in network.named_modules():
        if f"{module_name}.".startswith(trained):
            assert module.training, module_name
        elif not list(module.children()):
            assert not module.training, module_name
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert all(f"{key}.".startswith(trained) for key in changed)
    for prefix in parts[part]:
        if any(key.startswith(prefix) for key in before):
            assert any(key.startswith(prefix) for key in changed), prefix


def test_a_part_can_be_freed_again(stand_in):
    network = load_network("wav2vec2", stand_in("wav2vec2"), fine_tune="none")
    assert not any(module.training for module in network.modules())
    network.fine_tune("all")
    assert all(module.training for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())
    network.eval().fine_tune("context")
    assert not any(module.training for module in network.modules())


def test_gradients_pass_through_what_is_frozen(stand_in):
    network = load_network("wav2vec", stand_in("wav2vec"), fine_tune="none")
    audio = torch.from_numpy(waveform())[None].requires_grad_()
    some_loss(network, (audio,)).backward()
    assert audio.grad.any()
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_part_that_is_not_there_is_refused_with_those_that_are(stand_in):
    with pytest.raises(ConfigError, match="Wav2Vec has no part 'head' to train; known: all, encoder, context, none"):
        load_network("wav2vec", stand_in("wav2vec"), fine_tune="head")
    with pytest.raises(ConfigError, match="GE2E has no part 'context' to train; known: all, none"):
        load_network("ge2e", stand_in("ge2e"), fine_tune="context")


def test_the_state_goes_through_a_file_into_another_network(name, stand_in, tmp_path):
    network, other = load_network(name, stand_in(name)), load_network(name, stand_in(name, seed=1))
    safetensors.torch.save_file(network.state_dict(), tmp_path / "model.safetensors")
    other.load_state_dict(safetensors.torch.load_file(tmp_path / "model.safetensors"))
    inputs = inputs_of(name, stand_in(name))
    with torch.no_grad():
        for ours, expected in zip(
            outputs_of(other.eval(), inputs), outputs_of(network.eval(), inputs), strict=True
        ):  # fmt: skip
            assert torch.equal(ours, expected)


def test_loading_draws_no_random_numbers_and_depends_on_none(name, stand_in, monkeypatch):
    path = stand_in(name)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("seeds the GPU"))
    states = []
    for seed in (1, 2):
        torch.default_generator.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
        states.append(load_network(name, path).state_dict())
        assert torch.equal(torch.get_rng_state(), before[0])
        assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def test_what_a_release_lacks_for_training_is_the_same_in_every_process(stand_in, tmp_path):
    """The released recogniser of 960 h has no embedding of masked frames."""
    for file in stand_in("wav2vec2").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    state = safetensors.torch.load_file(tmp_path / "model.safetensors")
    del state["masked_spec_embed"]
    safetensors.torch.save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    drawn = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        drawn.append(load_network("wav2vec2", tmp_path).model.masked_spec_embed.detach())
    assert torch.equal(*drawn)


@pytest.mark.parametrize("damage", ["cut", "absent"])
def test_weights_that_the_frozen_backbone_refuses_are_refused_alike(name, stand_in, tmp_path, damage):
    source = stand_in(name)
    for file in source.rglob("*") if source.is_dir() else [source]:
        if file.is_file():
            target = tmp_path / "weights" / (file.relative_to(source) if source.is_dir() else file.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            big = file.suffix in (".pt", ".pth", ".safetensors")
            target.write_bytes(file.read_bytes()[: 1000 if big else None])
            if big and damage == "absent":
                target.unlink()
    path = tmp_path / "weights" if source.is_dir() else tmp_path / "weights" / source.name
    with pytest.raises(WeightsError) as frozen:
        LOADERS[backbone_kind(name)](name, path)
    with pytest.raises(WeightsError, match=re.escape(str(frozen.value))):
        load_network(name, path)


def test_a_backbone_without_a_network_says_so(tmp_path):
    known = ", ".join(NETWORKS)
    with pytest.raises(ConfigError, match=f"'deepspeech' cannot be trained further: its own library.*: {known}$"):
        load_network("deepspeech", tmp_path / "model.pbmm")
    with pytest.raises(ConfigError, match="no backbone 'hubert'; known: allosaurus"):
        load_network("hubert", tmp_path)


def test_every_backbone_has_a_network_or_says_why_not():
    for each in backbone_names():
        module = backbone_module(each)
        assert hasattr(module, "network") != hasattr(module, "NO_NETWORK"), each


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused(stand_in):
    with pytest.raises(ConfigError, match=r"backbones\.ge2e\.device: cuda was asked for"):
        load_network("ge2e", stand_in("ge2e"), device="cuda")


# ---- GE2E


def test_a_partial_that_activates_no_unit_has_no_gradient_but_no_nan(stand_in):
    network = load_network("ge2e", stand_in("ge2e"))
    nn.init.constant_(network.linear.bias, -1e3)
    partials = torch.rand(2, 160, 40, requires_grad=True)
    embedding = pool_partials(network(partials), [2])
    assert not embedding.any()
    (embedding * torch.randn(256)).sum().backward()
    assert not partials.grad.any()


# ---- wav2vec 1.0


@pytest.fixture
def large():
    """wav2vec_large's kernels and strides, narrow, with steeper weights than torch draws."""
    torch.manual_seed(0)
    layers = [(4, k, s) for k, s in zip((10, 8, 4, 4, 4, 1, 1), (5, 4, 2, 2, 2, 1, 1), strict=True)]
    network = Wav2Vec(Geometry(layers, [(4, k, 1) for k in range(2, 14)], True, skip_connections_agg=True))
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    return network.eval()


def without(network, *kinds):
    for module in network.modules():
        for child, layer in list(module.named_children()):
            if isinstance(layer, kinds):
                setattr(module, child, nn.Identity())
    return network


@pytest.mark.parametrize(("n_layers", "milliseconds"), [(0, 29), (1, 39), (2, 59), (3, 89), (12, 809)])
def test_the_context_can_be_cut_to_its_first_layers(large, n_layers, milliseconds):
    """Fix 5 of the temporal-context specification: 30, 40, 60, ... 810 ms."""
    assert int(large.geometry.context_field(n_layers) / 16) == milliseconds
    audio = torch.from_numpy(waveform(32_000))[None].requires_grad_()
    z, c = without(large, nn.GroupNorm, nn.ReLU)(audio, n_layers)
    x = z.transpose(1, 2)
    for layer in large.feature_aggregator.conv_layers[:n_layers]:
        first = x[..., :1].expand(-1, -1, layer.kernel - 1)
        x = (layer(torch.cat([first, x], dim=2)) + x) * 0.5**0.5
    assert torch.equal(c, x.transpose(1, 2))
    c[0, 150].sum().backward()
    seen = torch.nonzero(audio.grad[0]).flatten()
    assert int(seen[-1] - seen[0] + 1) == large.geometry.context_field(n_layers)


def test_all_layers_are_the_default_and_more_are_refused(large):
    audio = torch.from_numpy(waveform())[None]
    assert torch.equal(large(audio)[1], large(audio, 12)[1])
    assert large.geometry.context_field() == large.geometry.context_field(12)
    for wrong in (13, -1):
        with pytest.raises(ConfigError, match=f"{wrong} layers of wav2vec's context network; this one has 0 to 12"):
            large(audio, wrong)


@pytest.mark.parametrize("n_samples", [1, 464, 465, 624, 625, 16_000])
def test_the_number_of_frames_of_wav2vec_is_known_beforehand(large, n_samples):
    frames = large(torch.from_numpy(waveform(n_samples))[None])[0].shape[1]
    assert large.n_frames(torch.tensor([n_samples])).tolist() == [frames]


def test_padding_changes_wav2vec_through_its_norms_alone(large):
    alone = torch.from_numpy(waveform())[None]
    padded = torch.nn.functional.pad(alone, (0, 16_000))
    n_frames = int(large.n_frames(torch.tensor(16_000)))
    for ours, expected in zip(large(padded), large(alone), strict=True):
        assert not torch.allclose(ours[:, : n_frames - 1], expected[:, :-1], atol=1e-2)
    for ours, expected in zip(without(large, nn.GroupNorm)(padded), large(alone), strict=True):
        torch.testing.assert_close(ours[:, :n_frames], expected, **ROUNDING)


def test_rows_of_one_length_do_not_see_each_other_in_wav2vec(large):
    rows = torch.from_numpy(np.stack([waveform(), 0.01 * waveform(seed=1)]))
    for together, first in zip(large(rows), large(rows[:1]), strict=True):
        torch.testing.assert_close(together[:1], first, **ROUNDING)


# ---- wav2vec 2.0


@pytest.fixture(scope="module")
def over_channels(tmp_path_factory):
    """A model whose encoder normalises over channels, as the large ones of Libri-Light do."""
    import json

    from transformers import Wav2Vec2Config, Wav2Vec2Model

    from serflow.backbones._wav2vec2_files import NARROW, PREPROCESSOR

    folder = tmp_path_factory.mktemp("over_channels")
    torch.manual_seed(0)
    norms = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
    Wav2Vec2Model(Wav2Vec2Config(num_hidden_layers=2, **norms, **NARROW)).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    return folder


def padded_rows():
    utterances = [torch.from_numpy(waveform(n, seed=n)) for n in (16_000, 9_000, 12_345)]
    lengths = torch.tensor([len(each) for each in utterances])
    return utterances, nn.utils.rnn.pad_sequence(utterances, batch_first=True), lengths


def test_padding_does_not_change_models_that_normalise_over_channels(over_channels):
    network = load_network("wav2vec2", over_channels).eval()
    utterances, rows, lengths = padded_rows()
    with torch.no_grad():
        together = network(rows, lengths)
        for row, n_frames, alone in zip(together, network.n_frames(lengths), utterances, strict=True):
            torch.testing.assert_close(row[:n_frames], network(alone[None])[0], **ROUNDING)
        # what stands in the padding does not matter either
        noisy = rows + (torch.arange(rows.shape[1]) >= lengths[:, None])
        torch.testing.assert_close(network(noisy, lengths), together, **ROUNDING)


def test_the_last_layer_has_gone_through_the_norm_that_stable_models_end_with(over_channels):
    network = load_network("wav2vec2", over_channels).eval()
    (frozen,) = load_backbone("wav2vec2", over_channels)([waveform()], "layer_2")
    with torch.no_grad():
        normed = network.model.encoder.layer_norm(torch.from_numpy(frozen))
        torch.testing.assert_close(network(torch.from_numpy(waveform())[None])[0], normed, **ROUNDING)


@pytest.mark.parametrize("mask_padding", [True, False])
def test_padding_changes_base_models_with_a_mask_or_without(stand_in, mask_padding):
    network = load_network("wav2vec2", stand_in("wav2vec2")).eval()
    utterances, rows, lengths = padded_rows()
    with torch.no_grad():
        together = network(rows, lengths, mask_padding)
        torch.testing.assert_close(together[0], network(utterances[0][None])[0], **ROUNDING)
        n_frames = int(network.n_frames(lengths[1]))
        assert not torch.allclose(together[1, :n_frames], network(utterances[1][None])[0], atol=1e-2)


def test_a_batch_without_a_mask_is_what_transformers_makes_of_it(stand_in):
    """As its recipes train the base models: utterances normalised one by one, zeros after them, and no mask."""
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2Model

    folder = stand_in("wav2vec2")
    utterances, rows, lengths = padded_rows()
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder, local_files_only=True)
    prepared = extractor([each.numpy() for each in utterances], sampling_rate=16_000)
    values = extractor.pad(prepared, padding=True, return_tensors="pt")
    assert set(values) == {"input_values"}
    model = Wav2Vec2Model.from_pretrained(folder, local_files_only=True).eval()
    network = load_network("wav2vec2", folder).eval()
    with torch.no_grad():
        expected = model(**values).last_hidden_state
        torch.testing.assert_close(network(rows, lengths, mask_padding=False), expected, **ROUNDING)


@pytest.mark.parametrize("n_samples", [1, 399, 400, 719, 720, 16_000])
def test_the_number_of_frames_of_wav2vec2_is_known_beforehand(stand_in, n_samples):
    network = load_network("wav2vec2", stand_in("wav2vec2")).eval()
    with torch.no_grad():
        frames = network(torch.from_numpy(waveform(n_samples))[None]).shape[1]
    assert network.n_frames(torch.tensor([n_samples])).tolist() == [frames]


def test_a_row_shorter_than_the_field_of_view_is_continued_by_zeros(over_channels):
    network = load_network("wav2vec2", over_channels).eval()
    short = torch.from_numpy(waveform(100))
    rows = torch.zeros(2, 16_000)
    rows[0], rows[1, :100] = torch.from_numpy(waveform()), short
    with torch.no_grad():
        together = network(rows, torch.tensor([16_000, 100]))
        alone = network(short[None])
    torch.testing.assert_close(together[1, :1], alone[0], **ROUNDING)
    assert alone.shape == (1, 1, 64)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_of_activations_gives_the_same_gradients(stand_in, reentrant):
    def gradients(checkpointing):
        network = with_every_layer(load_network("wav2vec2", stand_in("wav2vec2")))
        if checkpointing:
            network.model.activation_checkpointing_enable({"use_reentrant": reentrant})
        torch.manual_seed(0)
        some_loss(network, (torch.from_numpy(waveform())[None],)).backward()
        return {key: parameter.grad for key, parameter in network.named_parameters()}

    plain, saving = gradients(False), gradients(True)
    for key, gradient in plain.items():
        torch.testing.assert_close(saving[key], gradient, **ROUNDING, msg=key)


def test_masks_of_training_follow_torch_and_leave_numpy_alone(stand_in):
    network = with_every_layer(load_network("wav2vec2", stand_in("wav2vec2")))
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    audio = torch.from_numpy(waveform())[None]

    def run(torch_seed, numpy_seed):
        torch.manual_seed(torch_seed)
        np.random.seed(numpy_seed)  # noqa: NPY002
        found = network(audio)
        drawn = np.random.random()  # noqa: NPY002
        np.random.seed(numpy_seed)  # noqa: NPY002
        assert drawn == np.random.random()  # noqa: NPY002
        return found

    assert torch.equal(run(0, 0), run(0, 1))
    assert not torch.equal(run(0, 0), run(1, 0))
    network.fine_tune("encoder")
    assert torch.equal(run(0, 0), run(1, 0))
    assert torch.equal(run(0, 0), network.eval()(audio))


def test_a_batch_too_short_for_the_masks_of_training_is_refused(stand_in):
    network = load_network("wav2vec2", stand_in("wav2vec2"))
    shortest = 400 + 9 * 320
    with pytest.raises(AudioError, match=r"a batch of 0\.205 s.*masks 10 frames.*leave out .* below 0\.205 s"):
        network(torch.from_numpy(waveform(shortest - 1))[None])
    assert network(torch.from_numpy(waveform(shortest))[None]).shape[1] == 10
    assert network.eval()(torch.from_numpy(waveform(400))[None]).shape[1] == 1


def test_the_network_and_the_head_of_the_recogniser_can_be_had_alone(stand_in):
    network = load_network("wav2vec2_ctc", stand_in("wav2vec2_ctc")).eval()
    audio = torch.from_numpy(waveform())[None]
    assert torch.equal(network.head(network.wav2vec2(audio)), network(audio))
    assert network.symbols[network.blank] == ""
    assert len(network.symbols) == network.head.out_features == network(audio).shape[2]


# ---- BERT


def test_padded_tokens_do_not_change_a_text(stand_in):
    network = load_network("bert", stand_in("bert")).eval()
    encoder = BertEncoder(network.model, network.tokenizer, torch.device("cpu"), "fp32")
    together = encoder.encode(["the dog ran home", "no"])
    rows = [torch.tensor(numbers) for numbers in network.tokenizer(["the dog ran home", "no"])]
    tokens = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    with torch.no_grad():
        states = network(tokens, mask)
    for row, expected in zip(states, together, strict=True):
        np.testing.assert_allclose(row[: len(expected)].numpy(), expected, **ROUNDING)
