"""Transcripts in a tokenizer's letters: cleaned, spelt, read off frames; texts of fixed sentences."""

import pytest

from serflow.backbones._wav2vec2_files import SYMBOLS
from serflow.backbones.wav2vec2 import read_letters, write_stand_in
from serflow.errors import WeightsError
from serflow.synthetic.scripts import CREMA_D
from serflow.transcripts.prompts import PROMPTS, prompt_of
from serflow.transcripts.spelling import Spelling, frames_needed

UPPER = Spelling(["", "", "", "", " ", *SYMBOLS[5:]], 0)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Excuse me .", "EXCUSE ME"),
        ("DO YOU HAVE YOUR FORMS ?", "DO YOU HAVE YOUR FORMS"),
        ("Don't {laughs}  go\taway,  no-one", "DON'T LAUGHS GO AWAY NOONE"),
        ("K\u00f6nnte 7", "KNNTE"),
        (" . {} ", "NULL"),
        ("", "NULL"),
    ],
)
def test_what_the_tokenizer_does_not_know_is_deleted(text, cleaned):
    assert UPPER.clean(text) == cleaned


def test_letters_are_brought_into_the_tokenizers_case():
    lower = Spelling(["", " ", *"abcdefghijklmnopqrstuvwxyz'"], 0)
    assert lower.clean("Do Not!") == "do not"
    assert lower.clean("...") == "null"
    both = Spelling(["", " ", *"abAB"], 0)
    assert both.clean("aBc") == "aB"


def test_a_transcript_is_spelt_and_read_again():
    cleaned = UPPER.clean("All seems well")
    symbols = UPPER.spell(cleaned)
    assert [SYMBOLS[symbol] for symbol in symbols] == [*"ALL|SEEMS|WELL"]
    frames = [symbol for letter in symbols for symbol in (letter, letter, 0)]
    assert UPPER.read(frames) == cleaned


def test_repetitions_count_once_and_a_blank_parts_them():
    a, b, word = (SYMBOLS.index(letter) for letter in "AB|")
    assert UPPER.read([0, a, a, 0, a, b, 0, word, word, b, 0]) == "AAB B"
    assert UPPER.read([word, 0, word, a, 1, 2, 3, word]) == "A"
    assert UPPER.read([0, 0]) == ""


def test_ctc_needs_a_blank_between_letters_that_are_alike():
    assert [frames_needed(symbols) for symbols in ([1, 2, 1], [1, 1, 1], [3], [])] == [3, 5, 1, 0]


def test_the_tokenizer_of_a_models_folder_is_read(tmp_path):
    symbols, blank = read_letters(write_stand_in(tmp_path, seed=0))
    assert len(symbols) == 32
    assert (symbols[blank], blank) == ("", 0)
    assert symbols.count("") == 4
    assert [*symbols[4:8], symbols[-1]] == [" ", "A", "B", "C", "'"]


def test_the_tokenizer_as_transformers_saves_it_is_read(tmp_path):
    from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2Model, Wav2Vec2Processor

    folder = write_stand_in(tmp_path / "stand-in", seed=0)
    expected = read_letters(folder)
    saved = tmp_path / "saved"
    Wav2Vec2Model.from_pretrained(folder).save_pretrained(saved)
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(folder)
    Wav2Vec2Processor(feature_extractor=extractor, tokenizer=tokenizer).save_pretrained(saved)
    assert read_letters(saved) == expected


def test_a_folder_without_tokenizer_is_refused(tmp_path):
    folder = write_stand_in(tmp_path, seed=0)
    (folder / "vocab.json").unlink()
    with pytest.raises(WeightsError, match=r"has no vocab\.json"):
        read_letters(folder)


def test_a_corpus_says_its_own_text_or_that_of_its_sentence():
    assert prompt_of("crema_d", None, "TIE") == "That is exactly what happened"
    assert prompt_of("crema_d", "my words", "TIE") == "my words"
    assert prompt_of("ravdess", None, "02") == "Dogs are sitting by the door"
    assert prompt_of("crema_d", None, "XXX") is None
    assert prompt_of("table", None, "TIE") is None
    assert prompt_of("emodb", None, None) is None


def test_the_codes_of_sentences_are_those_that_readers_give():
    assert PROMPTS["crema_d"].keys() == CREMA_D.keys()
    assert {layout: len(texts) for layout, texts in PROMPTS.items()} == {"ravdess": 2, "crema_d": 12, "emodb": 10}
