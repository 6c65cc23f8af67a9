"""Folders of the hub's models in all the forms that transformers writes and reads, for every loader of them."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertForPreTraining,
    BertModel,
    BertTokenizer,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForPreTraining,
    Wav2Vec2Model,
    Wav2Vec2Processor,
)

from serflow.backbones.base import backbone_module, backbone_names, weights_form
from serflow.errors import WeightsError

MODELS = {"wav2vec2": Wav2Vec2Model, "wav2vec2_ctc": Wav2Vec2ForCTC, "bert": BertModel}
OPTIONS = {"bert": {"add_pooling_layer": False}}
TENSORS = "model.safetensors"


def test_every_loader_of_such_a_folder_is_tried():
    by_hub = {name for name in backbone_names() if any(release.hub for release in backbone_module(name).RELEASES)}
    assert by_hub == MODELS.keys()
    assert {weights_form(name) for name in by_hub} == {"folder"}


@pytest.fixture(scope="module", params=sorted(MODELS))
def backbone(request):
    return request.param


@pytest.fixture(scope="module")
def folder(backbone, tmp_path_factory):
    return backbone_module(backbone).write_stand_in(tmp_path_factory.mktemp(backbone), seed=0)


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def values(backbone, folder):
    """Return what the network gives, whichever it is."""
    network = backbone_module(backbone).load(folder, "cpu", "fp32")
    if backbone == "bert":
        return network.encode(["the river"])[0]
    waveform = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    if backbone == "wav2vec2":
        return network([waveform], "layer_2")[0]
    return np.array(network.transcribe([waveform])[0].confidence)


@pytest.fixture(scope="module")
def expected(backbone, folder):
    return values(backbone, folder)


def model_of(backbone, folder):
    return MODELS[backbone].from_pretrained(folder, **OPTIONS.get(backbone, {}))


def as_transformers_saves_it(backbone, folder, copy):
    shutil.rmtree(copy)
    model_of(backbone, folder).save_pretrained(copy)
    if backbone == "bert":
        BertTokenizer.from_pretrained(folder).save_pretrained(copy)
        assert not (copy / "vocab.txt").exists()
    elif backbone == "wav2vec2":
        Wav2Vec2FeatureExtractor.from_pretrained(folder).save_pretrained(copy)
    else:
        extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
        tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(folder)
        Wav2Vec2Processor(feature_extractor=extractor, tokenizer=tokenizer).save_pretrained(copy)
        assert not (copy / "preprocessor_config.json").exists()


def in_shards(backbone, folder, copy):
    (copy / TENSORS).unlink()
    model_of(backbone, folder).save_pretrained(copy, max_shard_size="200KB")
    assert (copy / f"{TENSORS}.index.json").is_file()


def as_a_pickle(backbone, folder, copy):
    torch.save(load_file(copy / TENSORS), copy / "pytorch_model.bin")
    (copy / TENSORS).unlink()


def with_another_pickle_beside(backbone, folder, copy):
    torch.save({name: tensor + 1 for name, tensor in load_file(copy / TENSORS).items()}, copy / "pytorch_model.bin")


def with_old_names_of_dtype_and_tensors(backbone, folder, copy):
    config = json.loads((copy / "config.json").read_text())
    config.pop("dtype", None)
    (copy / "config.json").write_text(json.dumps(config | {"torch_dtype": "float32"}))
    old = {
        "LayerNorm.weight": "LayerNorm.gamma",
        "LayerNorm.bias": "LayerNorm.beta",
        "parametrizations.weight.original0": "weight_g",
        "parametrizations.weight.original1": "weight_v",
    }
    state = load_file(copy / TENSORS)
    for new, name in old.items():
        state = {key.replace(new, name): tensor for key, tensor in state.items()}
    assert state.keys() != load_file(copy / TENSORS).keys()
    save_file(state, copy / TENSORS, metadata={"format": "pt"})


def of_the_network_that_was_pretrained(backbone, folder, copy):
    if backbone == "wav2vec2_ctc":
        pytest.skip("its head is trained afterwards")
    kind = BertForPreTraining if backbone == "bert" else Wav2Vec2ForPreTraining
    with torch.random.fork_rng(devices=[]):
        model = kind(model_of(backbone, folder).config)
    getattr(model, model.base_model_prefix).load_state_dict(model_of(backbone, folder).state_dict(), strict=False)
    model.save_pretrained(copy)


def with_files_of_other_tools(backbone, folder, copy):
    for name in ("chat_template.jinja", "generation_config.json", "trainer_state.json", "README.md", "optimizer.pt"):
        (copy / name).write_text("{}")
    (copy / "checkpoint-500").mkdir()


def with_an_empty_list_of_added_tokens(backbone, folder, copy):
    (copy / "added_tokens.json").write_text("{}")
    (copy / "special_tokens_map.json").write_text("{}")


FORMS = [
    as_transformers_saves_it,
    in_shards,
    as_a_pickle,
    with_another_pickle_beside,
    with_old_names_of_dtype_and_tensors,
    of_the_network_that_was_pretrained,
    with_files_of_other_tools,
    with_an_empty_list_of_added_tokens,
]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same(backbone, folder, copy, expected, form):
    form(backbone, folder, copy)
    np.testing.assert_allclose(values(backbone, copy), expected, atol=1e-5)


@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
def test_tensors_of_half_precision_are_computed_with_in_fp32(backbone, folder, copy, expected, key):
    config = json.loads((copy / "config.json").read_text())
    config.pop("dtype", None)
    (copy / "config.json").write_text(json.dumps(config | {key: "float16"}))
    state = {name: tensor.half() for name, tensor in load_file(copy / TENSORS).items()}
    save_file(state, copy / TENSORS, metadata={"format": "pt"})
    found = values(backbone, copy)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, atol=0.02 * float(np.abs(expected).max()))


def test_a_pickle_with_more_than_tensors_names_the_class(backbone, folder, copy):
    state = load_file(copy / TENSORS)
    (copy / TENSORS).unlink()
    torch.save({**state, "made": pathlib.PurePosixPath("a")}, copy / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=rf"it holds pathlib\.PurePosixPath.*backbones\.{backbone}\.weights"):
        values(backbone, copy)


def test_a_shard_that_is_missing_is_refused(backbone, folder, copy):
    in_shards(backbone, folder, copy)
    next(iter(sorted(copy.glob("model-*-of-*.safetensors")))).unlink()
    with pytest.raises(WeightsError, match=rf"backbones\.{backbone}\.weights"):
        values(backbone, copy)


def test_symbols_that_were_added_to_a_vocabulary_count(tmp_path):
    """As the models that were fine-tuned by the blog of transformers 4 have them."""
    module = backbone_module("wav2vec2_ctc")
    folder = module.write_stand_in(tmp_path, seed=0)
    vocabulary = json.loads((folder / "vocab.json").read_text())
    expected = values("wav2vec2_ctc", folder)
    added = {symbol: vocabulary.pop(symbol) for symbol in ("<s>", "</s>")}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    with pytest.raises(WeightsError, match="does not number"):
        values("wav2vec2_ctc", folder)
    (folder / "added_tokens.json").write_text(json.dumps(added))
    np.testing.assert_array_equal(values("wav2vec2_ctc", folder), expected)


@pytest.mark.parametrize("content", ["[]", "{}", '{"feature_extractor": 3}', "no JSON"])
def test_a_processor_that_says_nothing_is_named(tmp_path, content):
    folder = backbone_module("wav2vec2").write_stand_in(tmp_path, seed=0)
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(content)
    with pytest.raises(WeightsError, match=r"processor_config\.json.*backbones\.wav2vec2\.weights"):
        values("wav2vec2", folder)
