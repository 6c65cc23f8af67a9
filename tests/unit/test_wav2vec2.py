import json

import numpy as np
import pytest
import torch

from serflow.backbones.wav2vec2 import load, write_stand_in
from serflow.errors import ConfigError, WeightsError
from serflow.features.base import load_feature


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_stand_in(tmp_path_factory.mktemp("wav2vec2"), seed=0)


@pytest.fixture(scope="module")
def backbone(folder):
    return load(folder, "cpu", "fp32")


@pytest.fixture
def waveforms():
    generator = np.random.default_rng(0)
    return [(generator.standard_normal(n) / 10).astype(np.float32) for n in (16_000, 12_345, 16_000, 400)]


def direct(folder, waveform):
    """Return all layers as transformers computes them, normalisation included."""
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2Model

    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder, local_files_only=True)
    model = Wav2Vec2Model.from_pretrained(folder, local_files_only=True).eval()
    values = extractor(waveform, sampling_rate=16_000, return_tensors="pt").input_values
    with torch.inference_mode():
        return [layer[0].numpy() for layer in model(values, output_hidden_states=True).hidden_states]


def test_every_layer_is_the_one_of_transformers_alone_and_in_company(folder, backbone, waveforms):
    for layer in range(4):
        together = backbone(waveforms, f"layer_{layer}")
        for waveform, values in zip(waveforms, together, strict=True):
            np.testing.assert_allclose(values, direct(folder, waveform)[layer], atol=1e-5)
            np.testing.assert_allclose(backbone([waveform], f"layer_{layer}")[0], values, atol=1e-5)


def test_all_layers_stand_side_by_side(backbone, waveforms):
    (everything,) = backbone(waveforms[:1], "all")
    layers = [backbone(waveforms[:1], f"layer_{layer}")[0] for layer in range(4)]
    assert np.array_equal(everything, np.concatenate(layers, axis=1))
    assert backbone.outputs["all"].dim == everything.shape[1] == 4 * 64


def test_the_level_of_a_waveform_does_not_matter_where_the_model_normalises(folder, backbone, waveforms, tmp_path):
    loud, quiet = waveforms[0], 0.05 * waveforms[0] + np.float32(0.2)
    assert np.allclose(backbone([loud], "layer_3")[0], backbone([quiet], "layer_3")[0], atol=1e-3)
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    plain = json.loads((folder / "preprocessor_config.json").read_text()) | {"do_normalize": False}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(plain))
    other = load(tmp_path, "cpu", "fp32")
    assert not np.allclose(other([loud], "layer_3")[0], other([quiet], "layer_3")[0], atol=1e-3)


def test_layers_are_chosen_by_number(backbone, waveforms):
    chosen = {layer: load_feature("wav2vec2", {"layer": layer}, backbone)(waveforms[0]) for layer in (-1, 0, 2, 3)}
    assert np.array_equal(chosen[-1], chosen[3])
    assert np.array_equal(chosen[2], backbone(waveforms[:1], "layer_2")[0])
    assert not np.allclose(chosen[0], chosen[3])
    with pytest.raises(ConfigError, match="layer is 4; the network has 0 to 3"):
        load_feature("wav2vec2", {"layer": 4}, backbone)
    with pytest.raises(ConfigError, match="output is 'context'; known: hidden, all"):
        load_feature("wav2vec2", {"output": "context"}, backbone)


def test_what_is_no_model_of_wav2vec2_is_refused(folder, tmp_path):
    with pytest.raises(WeightsError, match=r"facebook/wav2vec2-base: is no folder.*set it to download"):
        load(tmp_path.__class__("facebook/wav2vec2-base"), "cpu", "fp32")
    for name in ("config.json", "model.safetensors", "preprocessor_config.json"):
        part = tmp_path / f"without_{name}"
        part.mkdir()
        for file in folder.iterdir():
            if file.name != name:
                (part / file.name).write_bytes(file.read_bytes())
        with pytest.raises(WeightsError, match=r"backbones\.wav2vec2\.weights"):
            load(part, "cpu", "fp32")
    other = tmp_path / "bert"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "bert"}')
    (other / "preprocessor_config.json").write_text("{}")
    with pytest.raises(WeightsError, match="is for bert, not wav2vec2"):
        load(other, "cpu", "fp32")


def test_a_model_that_lacks_tensors_is_refused(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    state = load_file(folder / "model.safetensors")
    del state["encoder.layers.1.attention.k_proj.weight"]
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"lacks encoder\.layers\.1\.attention\.k_proj\.weight"):
        load(tmp_path, "cpu", "fp32")
