import argparse
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from serflow.backbones._wav2vec_network import Geometry, Wav2Vec, read_network
from serflow.backbones.wav2vec import load, write_stand_in
from serflow.errors import ConfigError, WeightsError
from serflow.features.base import load_feature

LAYERS = [(6, 10, 5), (6, 8, 4), (6, 4, 2), (6, 4, 2), (6, 4, 2), (6, 1, 1), (8, 1, 1)]
CONTEXT = [(8, 2, 1), (4, 3, 1), (8, 4, 1)]
# wav2vec_large: its kernels and strides, narrow
LARGE = Geometry([(4, k, s) for _, k, s in LAYERS], [(4, k, 1) for k in range(2, 14)], skip_connections_agg=True)
OPTIONS = [
    {},
    {"log_compression": True, "skip_connections_agg": True},
    {"skip_connections_feat": True, "skip_connections_agg": True, "residual_scale": 0.25},
    {"agg_zero_pad": True, "no_conv_bias": True, "log_compression": True},
]


def network_of(options, seed=0):
    torch.manual_seed(seed)
    network = Wav2Vec(Geometry(LAYERS, CONTEXT, **options))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return network.eval()


def checkpoint(network, **options):
    """Return what fairseq writes, old style; the prediction head is in it and is not needed."""
    described = {"conv_feature_layers": str(LAYERS), "conv_aggregator_layers": str(CONTEXT), "activation": "relu"}
    state = dict(network.state_dict())
    state["wav2vec_predictions.project_to_steps.weight"] = torch.zeros(3)
    return {"args": argparse.Namespace(**described, **options), "model": state}


def group_norm(x, weight, bias):
    centred = x - x.mean(dim=(1, 2), keepdim=True)
    deviation = (centred.square().mean(dim=(1, 2), keepdim=True) + 1e-5).sqrt()
    return centred / deviation * weight[:, None] + bias[:, None]


def reference(state, waveform, options):
    """Compute z and c step by step from the tensors of a release."""
    scale = math.sqrt(options.get("residual_scale", 0.5))
    x = waveform[None, None]
    for i, (_, _, stride) in enumerate(LAYERS):
        before, p = x, f"feature_extractor.conv_layers.{i}"
        x = F.conv1d(x, state[f"{p}.0.weight"], stride=stride)
        x = group_norm(x, state[f"{p}.2.weight"], state[f"{p}.2.bias"]).clamp(min=0)
        if options.get("skip_connections_feat") and before.shape[1] == x.shape[1]:
            x = (x + before[..., :: before.shape[2] // x.shape[2]][..., : x.shape[2]]) * scale
    z = (x.abs() + 1).log() if options.get("log_compression") else x
    c = z
    for i, (n_out, kernel, _) in enumerate(CONTEXT):
        before, p = c, f"feature_aggregator.conv_layers.{i}"
        first = torch.zeros_like(c[..., :1]) if options.get("agg_zero_pad") else c[..., :1]
        padded = torch.cat([first.expand(-1, -1, kernel - 1), c], dim=2)
        c = F.conv1d(padded, state[f"{p}.1.weight"], state.get(f"{p}.1.bias"))
        c = group_norm(c, state[f"{p}.3.weight"], state[f"{p}.3.bias"]).clamp(min=0)
        if options.get("skip_connections_agg"):
            if before.shape[1] != n_out:
                before = F.conv1d(before, state[f"feature_aggregator.residual_proj.{i}.weight"])
            c = (c + before) * scale
    return z[0].T.numpy(), c[0].T.numpy()


@pytest.fixture
def waveform():
    return (np.random.default_rng(0).standard_normal(16_000) / 10).astype(np.float32)


@pytest.mark.parametrize("options", OPTIONS)
def test_both_outputs_are_those_of_the_formulas(tmp_path, waveform, options):
    network = network_of(options)
    torch.save(checkpoint(network, **options), tmp_path / "w.pt")
    backbone = load(tmp_path / "w.pt", "cpu", "fp32")
    expected = reference(network.state_dict(), torch.from_numpy(waveform), options)
    for output, values in zip(("encoder", "context"), expected, strict=True):
        np.testing.assert_allclose(backbone([waveform], output)[0], values, atol=1e-5)


def test_a_new_checkpoint_with_cfg_gives_the_same(tmp_path, waveform):
    old = checkpoint(network_of(OPTIONS[1]), **OPTIONS[1])
    torch.save(old, tmp_path / "old.pt")
    torch.save({"cfg": {"model": vars(old["args"])}, "model": old["model"]}, tmp_path / "new.pt")
    first, second = (load(tmp_path / name, "cpu", "fp32")([waveform], "context")[0] for name in ("old.pt", "new.pt"))
    assert np.array_equal(first, second)


def test_layers_may_be_written_as_sums_and_products(tmp_path):
    content = checkpoint(network_of({}))
    content["args"].conv_feature_layers = "[(6, 10, 5), (6, 8, 4)] + [(6, 4, 2)] * 3 + [(6, 1, 1), (8, 1, 1)]"
    torch.save(content, tmp_path / "w.pt")
    assert list(read_network(tmp_path / "w.pt").geometry.conv_feature_layers) == LAYERS


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"activation": "gelu"}, "made with activation gelu; only relu"),
        ({"vq_type": "gumbel"}, "made with vq_type gumbel"),
        ({"non_affine_group_norm": True}, "non_affine_group_norm True"),
        ({"aggregator": "gru"}, "aggregator gru"),
        ({"conv_feature_layers": "__import__('os').getcwd()"}, "no readable layers"),
        ({"conv_feature_layers": "[(6, 10, 5)]"}, "has the shape"),
    ],
)
def test_options_that_would_change_the_result_are_refused(tmp_path, changed, said):
    content = checkpoint(network_of({}))
    vars(content["args"]).update(changed)
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=said):
        load(tmp_path / "w.pt", "cpu", "fp32")


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"args": Evil(), "model": {}}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"w\.pt: is no checkpoint of tensors alone"):
        load(tmp_path / "w.pt", "cpu", "fp32")


def test_a_frame_of_wav2vec_large_sees_810_ms():
    """Contradiction 5 of the temporal-context specification: (465 + 160 * 78) / 16000 s."""
    assert (LARGE.field, LARGE.hop) == (465, 160)
    network = Wav2Vec(LARGE)
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.GroupNorm | torch.nn.ReLU):  # the norm sees all of time
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, torch.nn.Identity())
    waveform = torch.randn(1, 32_000, requires_grad=True)
    _, context = network(waveform)
    context[0, 150].sum().backward()
    seen = torch.nonzero(waveform.grad[0]).flatten()
    assert int(seen[-1] - seen[0] + 1) == 465 + 160 * 78
    assert int(seen[-1]) == 150 * 160 + 464


def test_a_second_has_98_frames_of_10_ms(tmp_path, waveform):
    backbone = load(write_stand_in(tmp_path, seed=0), "cpu", "fp32")
    assert len(backbone([waveform], "context")[0]) == 1 + (16_000 - 465) // 160
    assert len(backbone([waveform[:465]], "context")[0]) == len(backbone([waveform[:10]], "context")[0]) == 1
    assert backbone.outputs["context"].hop_s == 0.01


def test_neighbours_in_a_batch_are_not_seen(tmp_path, waveform):
    """Group norm makes the first layer blind to level; a batch must not make it see its neighbours."""
    backbone = load(write_stand_in(tmp_path, seed=0), "cpu", "fp32")
    quiet, alone = backbone([0.1 * waveform], "context")[0], backbone([waveform], "context")[0]
    np.testing.assert_allclose(quiet, alone, atol=1e-2)
    neighbours = [waveform, 0.01 * waveform[::-1].copy(), waveform[:8000]]
    np.testing.assert_allclose(backbone(neighbours, "context")[0], alone, atol=1e-5)


def test_bf16_stays_close(tmp_path, waveform, bfloat16):
    path = write_stand_in(tmp_path, seed=0)
    exact, rough = (load(path, "cpu", precision)([waveform], "context")[0] for precision in ("fp32", "bf16"))
    assert rough.dtype == np.float32
    assert not np.array_equal(exact, rough)
    assert (exact * rough).sum() / np.linalg.norm(exact) / np.linalg.norm(rough) > 0.999


def test_the_feature_names_its_outputs(tmp_path):
    backbone = load(write_stand_in(tmp_path, seed=0), "cpu", "fp32")
    assert load_feature("wav2vec", {"output": "encoder"}, backbone).info.dim == 512
    with pytest.raises(ConfigError, match="no output 'c'; known: encoder, context"):
        load_feature("wav2vec", {"output": "c"}, backbone)
