import json
import shutil
import string

import numpy as np
import pytest
import torch

from serflow.backbones.base import TextEncoder, load_text_encoder
from serflow.backbones.bert import RELEASES, load, write_stand_in
from serflow.errors import ConfigError, WeightsError
from serflow.synthetic.scripts import CREMA_D, ENGLISH

TEXTS = ["we walked along the river", "", "zebras' quizzical jackdaws, 42!", "a " * 300, "the", *ENGLISH]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_stand_in(tmp_path_factory.mktemp("bert"), seed=0)


@pytest.fixture(scope="module")
def encoder(folder):
    return load(folder, "cpu", "fp32")


@pytest.fixture
def copy(folder, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(folder, tmp_path / "copy")


def direct(folder, text):
    """Return the last layer as transformers computes it for one text, by the vocabulary's own file."""
    from transformers import BertModel, BertTokenizer

    tokenizer = BertTokenizer(vocab=str(folder / "vocab.txt"))
    values = tokenizer(text, return_tensors="pt", truncation=True, max_length=128)
    model = BertModel.from_pretrained(folder, local_files_only=True, add_pooling_layer=False).eval()
    with torch.inference_mode():
        return model(**values).last_hidden_state[0].numpy()


def test_each_text_has_what_transformers_gives_for_it_alone_whatever_its_company(folder, encoder):
    together = encoder.encode(TEXTS)
    for text, values in zip(TEXTS[:6], together, strict=False):
        np.testing.assert_allclose(values, direct(folder, text), atol=1e-5)
    for text, values in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(encoder.encode([text])[0], values, atol=1e-5)
        assert values.dtype == np.float32
        assert values.base is None  # a view would keep the whole batch in memory


def test_rows_are_tokens_with_cls_and_sep_and_long_texts_are_cut(encoder):
    assert [len(values) for values in encoder.encode(["", "the river", "a " * 126, "a " * 127, "a " * 5000])] == [
        2, 4, 128, 128, 128,
    ]  # fmt: skip
    assert (encoder.dim, encoder.max_tokens) == (512, 128)
    assert encoder.encode([]) == []
    (tokens,) = encoder.tokenizer(["a " * 5000], 128)
    assert [tokens[0], tokens[-1]] == [encoder.tokenizer.numbers[piece] for piece in ("[CLS]", "[SEP]")]


def test_the_position_and_the_neighbours_of_a_word_matter(encoder):
    first, second = encoder.encode(["the river the", "the kitchen the"])
    assert not np.allclose(first[1], first[3], atol=0.1)
    assert not np.allclose(first[1], second[1], atol=1e-3)


def test_any_english_text_is_written_without_unknown_pieces(encoder):
    texts = [
        string.printable,
        "Ünïcödé naïve",
        "don't x-ray 1990s",
        *ENGLISH,
        *CREMA_D.values(),
        "supercalifragilistic",
    ]
    unknown = encoder.tokenizer.numbers["[UNK]"]
    for tokens in encoder.tokenizer(texts):
        assert unknown not in tokens
    # words of the stand-in corpora are one piece each
    assert len(encoder.encode(["The bus stops over there"])[0]) == 7


def test_bf16_is_near_fp32(folder, encoder, bfloat16):
    halved = load(folder, "cpu", "bf16").encode(TEXTS[:3])
    for rough, exact in zip(halved, encoder.encode(TEXTS[:3]), strict=True):
        assert rough.dtype == np.float32
        cosine = (rough * exact).sum() / np.linalg.norm(rough) / np.linalg.norm(exact)
        assert cosine > 0.999
        assert not np.array_equal(rough, exact)


def test_a_token_of_the_stand_in_is_told_by_its_word(encoder):
    """Rather than by its place: what is the same in all tokens, or at a place in all texts, is a small part of them."""
    tokens = [values[1:5] for values in encoder.encode(list(ENGLISH)) if len(values) >= 6]
    rows = np.stack(tokens)  # (texts, places, dim)
    whole = rows.var(axis=(0, 1)).mean()
    by_place = rows.mean(axis=0).var(axis=0).mean()
    shared = rows.mean(axis=(0, 1)).var()
    assert by_place < 0.15 * whole
    assert shared < 0.15 * whole


def test_the_stand_in_is_a_text_encoder_and_the_same_each_time(folder, encoder, tmp_path):
    assert isinstance(encoder, TextEncoder)
    assert isinstance(load_text_encoder("bert", folder), TextEncoder)
    (tmp_path / "again").mkdir()
    again = write_stand_in(tmp_path / "again", seed=0)
    for file in folder.iterdir():
        assert file.read_bytes() == (again / file.name).read_bytes()
    (tmp_path / "other").mkdir()
    other = load(write_stand_in(tmp_path / "other", seed=1), "cpu", "fp32")
    assert not np.allclose(other.encode(["the"])[0], encoder.encode(["the"])[0], atol=0.1)
    assert json.dumps(encoder.description)


def test_a_folder_as_google_published_it_is_read(folder, encoder, tmp_path):
    """A pickle of the pretraining model, layer norms with the old names, no kind in config.json."""
    from safetensors.torch import load_file

    state = {
        f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    state["bert.pooler.dense.weight"] = torch.zeros(512, 512)
    state["cls.predictions.bias"] = torch.zeros(10)
    torch.save(state, tmp_path / "pytorch_model.bin")
    config = json.loads((folder / "config.json").read_text())
    del config["model_type"], config["architectures"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    shutil.copy(folder / "vocab.txt", tmp_path)
    found = load(tmp_path, "cpu", "fp32").encode(TEXTS[:2])
    for ours, theirs in zip(encoder.encode(TEXTS[:2]), found, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-6)


@pytest.mark.parametrize("name", ["config.json", "vocab.txt", "model.safetensors"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(WeightsError, match=rf"{name}.*backbones\.bert\.weights"):
        load(copy, "cpu", "fp32")


def test_a_name_of_the_hub_is_no_path(tmp_path):
    with pytest.raises(WeightsError, match=r"google/bert_uncased_L-4_H-512_A-8: is no folder.*set it to download"):
        load(tmp_path.__class__("google/bert_uncased_L-4_H-512_A-8"), "cpu", "fp32")


def test_another_network_or_vocabulary_is_refused(copy):
    whole = (copy / "vocab.txt").read_text()
    (copy / "vocab.txt").write_text(whole + "".join(f"word{i}\n" for i in range(50)))
    with pytest.raises(WeightsError, match=r"vocab\.txt: holds \d+ pieces of words; the network knows \d+"):
        load(copy, "cpu", "fp32")
    (copy / "vocab.txt").write_text(whole.replace("[SEP]", "sep"))
    with pytest.raises(WeightsError, match=r"vocab\.txt: has no \[SEP\]"):
        load(copy, "cpu", "fp32")
    (copy / "vocab.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WeightsError, match=r"vocab\.txt"):
        load(copy, "cpu", "fp32")
    (copy / "vocab.txt").write_text(whole)
    (copy / "config.json").write_text('{"model_type": "wav2vec2"}')
    with pytest.raises(WeightsError, match="is for wav2vec2, not bert"):
        load(copy, "cpu", "fp32")
    (copy / "config.json").write_text("[]")
    with pytest.raises(WeightsError, match="holds no entries by name"):
        load(copy, "cpu", "fp32")


def test_tensors_that_are_missing_or_not_finite_are_refused(copy):
    from safetensors.torch import load_file, save_file

    state = load_file(copy / "model.safetensors")
    name = "encoder.layer.0.attention.self.query.weight"
    save_file({**state, name: state[name] * float("nan")}, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=rf"{name} has values that are not finite"):
        load(copy, "cpu", "fp32")
    save_file({**state, name: state[name][:8].clone()}, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=rf"{name} has the shape \(8, 512\) where \(512, 512\) is needed"):
        load(copy, "cpu", "fp32")
    del state[name]
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=rf"lacks {name} and 0 more tensors"):
        load(copy, "cpu", "fp32")


def test_files_that_hold_no_tensors_are_named(copy, tmp_path):
    whole = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(whole[:-9])
    with pytest.raises(WeightsError, match=r"model\.safetensors: cannot be read \(.*backbones\.bert\.weights"):
        load(copy, "cpu", "fp32")
    (copy / "model.safetensors").unlink()
    torch.save([torch.zeros(2)], copy / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin: holds no tensors by name"):
        load(copy, "cpu", "fp32")
    # an index of files elsewhere
    (tmp_path / "outside.safetensors").write_bytes(whole)
    for places in ({"a": "../outside.safetensors"}, {"a": str(tmp_path / "outside.safetensors")}, {}, None):
        (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
        with pytest.raises(WeightsError, match=r"index\.json: names no files of the folder"):
            load(copy, "cpu", "fp32")


def test_the_default_release_is_the_papers(folder):
    assert [release.name for release in RELEASES] == ["bert_uncased_L-4_H-512_A-8", "bert_uncased_L-8_H-512_A-8"]
    assert RELEASES[0].hub == ("google/bert_uncased_L-4_H-512_A-8", "main")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match=r"backbones\.bert\.device: cuda"):
            load(folder, "cuda", "fp32")
