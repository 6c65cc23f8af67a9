import json
import re
import shutil

import numpy as np
import pytest
import torch

from serflow.backbones.base import Recogniser, Transcript, load_recogniser
from serflow.backbones.wav2vec2_ctc import load, write_stand_in
from serflow.errors import AudioError, ConfigError, WeightsError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_stand_in(tmp_path_factory.mktemp("ctc"), seed=0)


@pytest.fixture(scope="module")
def recogniser(folder):
    return load(folder, "cpu", "fp32")


@pytest.fixture
def copy(folder, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.fixture
def waveforms():
    generator = np.random.default_rng(0)
    lengths = (16_000, 12_345, 16_000, 400, 1, 24_000)
    return [(generator.standard_normal(n) / 10).astype(np.float32) for n in lengths]


def direct(folder, waveform):
    """Return text and confidence as transformers' model, feature extractor and tokenizer give them."""
    from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder, local_files_only=True)
    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), do_lower_case=True)
    model = Wav2Vec2ForCTC.from_pretrained(folder, local_files_only=True).eval()
    values = extractor(waveform, sampling_rate=16_000, return_tensors="pt").input_values
    with torch.inference_mode():
        scores = torch.log_softmax(model(values).logits[0], dim=1)
    # its skip_special_tokens drops them before repetitions are, and so makes one letter of b <unk> b
    text = re.sub("<[a-z/]+>", "", tokenizer.decode(scores.argmax(dim=1)).lower())
    return " ".join(text.split()), scores.max(dim=1).values.mean().item()


def test_words_and_confidence_are_those_of_transformers_alone_and_in_company(folder, recogniser, waveforms):
    together = recogniser.transcribe(waveforms)
    assert len({result.text for result in together}) > 3
    for waveform, result in zip(waveforms, together, strict=True):
        if len(waveform) >= 400:
            text, confidence = direct(folder, waveform)
            assert result.text == text
            assert result.confidence == pytest.approx(confidence, abs=1e-5)
        (alone,) = recogniser.transcribe([waveform])
        assert alone.text == result.text
        assert alone.confidence == pytest.approx(result.confidence, abs=1e-5)


def frames_of(symbols, vocabulary, probability=0.9):
    rest = (1 - probability) / (len(vocabulary) - 1)
    rows = np.full((len(symbols), len(vocabulary)), np.log(rest), np.float32)
    for row, symbol in enumerate(symbols):
        rows[row, vocabulary[symbol]] = np.log(probability)
    return rows


@pytest.mark.parametrize(
    ("symbols", "text"),
    [
        (["H", "H", "E", "<pad>", "L", "L", "<pad>", "L", "O", "|"], "hello"),
        (["|", "A", "|", "|", "<pad>", "|", "B", "|"], "a b"),
        (["I", "T", "'", "S", "<s>", "<unk>", "</s>"], "it's"),
        (["A", "<unk>", "A"], "aa"),
        (["<pad>", "<pad>"], ""),
        (["|", "|"], ""),
    ],
)
def test_repetitions_and_blanks_are_left_out_and_words_parted(folder, recogniser, symbols, text):
    vocabulary = json.loads((folder / "vocab.json").read_text())
    (result,) = [recogniser._decode(frames_of(symbols, vocabulary))]
    assert result == Transcript(text, pytest.approx(np.log(0.9), abs=1e-6))


def test_the_stand_in_is_a_recogniser_and_the_same_each_time(folder, recogniser, waveforms, tmp_path):
    assert isinstance(load_recogniser("wav2vec2_ctc", folder), Recogniser)
    assert recogniser.sample_rate == 16_000
    assert "ln P" in recogniser.description["confidence"]
    assert json.dumps(dict(recogniser.description))
    for seed, same in ((0, True), (1, False)):
        again = tmp_path / str(seed)
        again.mkdir()
        write_stand_in(again, seed=seed)
        assert ((again / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()) is same


def test_a_waveform_that_is_none_is_refused(recogniser):
    for waveform in (
        np.zeros(0, np.float32),
        np.zeros(1000),
        np.zeros((2, 1000), np.float32),
        np.full(1000, np.nan, np.float32),
    ):
        with pytest.raises(AudioError, match="a waveform"):
            recogniser.transcribe([np.zeros(1000, np.float32), waveform])
    assert recogniser.transcribe([]) == []


def test_silence_and_very_short_sounds_are_recognised_as_something(recogniser):
    for waveform in (np.zeros(8000, np.float32), np.ones(1, np.float32)):
        (result,) = recogniser.transcribe([waveform])
        assert np.isfinite(result.confidence)
        assert result.confidence <= 0


def test_the_delimiter_and_the_blank_are_those_that_the_folder_names(copy, waveforms):
    vocabulary = json.loads((copy / "vocab.json").read_text())
    before = load(copy, "cpu", "fp32").transcribe(waveforms[:1])[0].text
    assert " " in before
    renamed = {"<end>" if symbol == "|" else symbol: place for symbol, place in vocabulary.items()}
    (copy / "vocab.json").write_text(json.dumps(renamed))
    with pytest.raises(WeightsError, match=r"vocab\.json: has no end of a word \(\|\)"):
        load(copy, "cpu", "fp32")
    (copy / "tokenizer_config.json").write_text('{"word_delimiter_token": "<end>"}')
    assert load(copy, "cpu", "fp32").transcribe(waveforms[:1])[0].text == before
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "pad_token_id": vocabulary["C"]}))
    without_c = load(copy, "cpu", "fp32").transcribe(waveforms[:1])[0].text
    assert "c" in before
    assert "c" not in without_c
    (copy / "config.json").write_text(json.dumps({**config, "pad_token_id": 99}))
    with pytest.raises(WeightsError, match="blank 99 among them"):
        load(copy, "cpu", "fp32")


@pytest.mark.parametrize("name", ["config.json", "vocab.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_or_damaged_file_is_named(copy, name):
    for content in (b"", b"<html></html>", None):
        if content is None:
            (copy / name).unlink()
        else:
            (copy / name).write_bytes(content)
        with pytest.raises(WeightsError, match=r"backbones\.wav2vec2_ctc\.weights"):
            load(copy, "cpu", "fp32")


def test_a_network_without_a_head_and_a_vocabulary_of_another_are_refused(folder, copy, tmp_path):
    from serflow.backbones.wav2vec2 import write_stand_in as write_headless

    headless = tmp_path / "headless"
    headless.mkdir()
    write_headless(headless, 0)
    shutil.copy(folder / "vocab.json", headless)
    with pytest.raises(WeightsError, match=r"lacks lm_head\.bias"):
        load(headless, "cpu", "fp32")
    vocabulary = json.loads((copy / "vocab.json").read_text())
    (copy / "vocab.json").write_text(json.dumps({**vocabulary, "Ä": len(vocabulary)}))
    with pytest.raises(WeightsError, match=r"vocab\.json: does not number the network's 32 symbols"):
        load(copy, "cpu", "fp32")
    with pytest.raises(WeightsError, match=r"facebook/wav2vec2-base-960h: is no folder.*set it to download"):
        load(tmp_path.__class__("facebook/wav2vec2-base-960h"), "cpu", "fp32")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match=r"backbones\.wav2vec2_ctc\.device: cuda"):
            load(folder, "cuda", "fp32")


def test_bf16_says_about_the_same(folder, recogniser, waveforms, bfloat16):
    rough = load(folder, "cpu", "bf16").transcribe(waveforms[:3])
    for ours, exact in zip(rough, recogniser.transcribe(waveforms[:3]), strict=True):
        assert ours.confidence == pytest.approx(exact.confidence, abs=0.02)
        assert ours.confidence != exact.confidence
