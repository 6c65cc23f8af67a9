"""BERT's tokenizer against the library of the hub, which is the reference."""

import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertTokenizer

from serflow.backbones._bert_pieces import read_pieces
from serflow.errors import WeightsError

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = string.ascii_letters + string.digits
PIECES = (
    *SPECIAL, *string.punctuation, *LETTERS, *(f"##{letter}" for letter in LETTERS), "the", "dog", "##dog", "un",
    "##happy", "##happi", "##ness", "don", "cafe", "café", "##é", "é", "ß", "##ß", "中", "文", "あ", "ё", "\u0435", "i̇",
    "naïve", "The", "MASK",
)  # fmt: skip
TEXTS = (
    "",
    " ",
    "the dog",
    "The DOG, don't! x-ray; 1990s",
    "unhappiness undog unDOG",
    "café cafe\u0301 naïve ÉÈ ÅÄÖ",
    "中文字 the中dog あ",
    "İstanbul Straße ẞ ﬁne",
    "ёлка Ёлка й",
    "a\tb\nc\rd\u00a0e\u2003f\u3000g",
    "a\u200bb\u200cc\ufeffd\x00e\x07f\u0085g\ufffdh",
    "[MASK] the [mask] dog[SEP]the [CLS] [UNK] [PAD] [NEW]",
    "x" * 100,
    "x" * 101,
    "the " * 300,
    "🐕 the🐕dog 👩\u200d👩\u200d👧",
    "مرحبا हिन्दी 한국어 Tiếng Việt",
    "e\u0301\u0301 \u0301 ~`^$+<=>|",
    "¡hola! «quotes» “curly” \u2018don\u2019t\u2019 — \u2013 … 。\uff0c",
)


def write(folder, pieces=PIECES, **options):
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    if options:
        (folder / "tokenizer_config.json").write_text(json.dumps(options))
    return folder


def reference(folder, texts, **options):
    return BertTokenizer.from_pretrained(folder, local_files_only=True)(list(texts), **options)["input_ids"]


OPTIONS = (
    {},
    {"do_lower_case": False},
    {"strip_accents": False},
    {"tokenize_chinese_chars": False},
    {"do_lower_case": False, "strip_accents": True},
)


@pytest.mark.parametrize("options", OPTIONS, ids=json.dumps)
def test_every_text_has_the_pieces_of_the_reference(tmp_path, options):
    folder = write(tmp_path, **options)
    pieces = read_pieces(folder, 500)
    assert dict(zip(TEXTS, pieces(TEXTS), strict=True)) == dict(zip(TEXTS, reference(folder, TEXTS), strict=True))
    assert pieces(TEXTS, 16) == reference(folder, TEXTS, truncation=True, max_length=16)


def test_so_has_text_of_any_characters(tmp_path_factory):
    folders = [write(tmp_path_factory.mktemp("pieces"), do_lower_case=lower) for lower in (True, False)]
    ours = [read_pieces(folder, 500) for folder in folders]
    theirs = [BertTokenizer.from_pretrained(folder, local_files_only=True) for folder in folders]

    @settings(max_examples=200, deadline=None)
    @given(st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from("the dog's[]MASKé ")))
    def same(text):
        for pieces, tokenizer in zip(ours, theirs, strict=True):
            assert pieces([text])[0] == tokenizer(text)["input_ids"]

    same()


def test_words_are_cut_into_the_longest_pieces_that_are_known(tmp_path):
    pieces = read_pieces(write(tmp_path), 500)
    number = {piece: place for place, piece in enumerate(PIECES)}
    assert pieces.numbers == number
    wanted = ["[CLS]", "un", "##happi", "##ness", "the", "[UNK]", "[MASK]", "[SEP]"]
    assert pieces(["Unhappiness the 字 [MASK]"]) == [[number[piece] for piece in wanted]]


def test_a_text_that_is_cut_keeps_its_ends(tmp_path):
    pieces = read_pieces(write(tmp_path), 500)
    (found,) = pieces(["the dog " * 50], 5)
    assert [found[0], found[-1], len(found)] == [pieces.first, pieces.last, 5]
    assert found[1:3] == [pieces.numbers["the"], pieces.numbers["dog"]]


@pytest.mark.parametrize("lower", [True, False])
def test_the_file_that_the_library_writes_is_read(tmp_path, lower):
    (tmp_path / "old").mkdir()
    tokenizer = BertTokenizer.from_pretrained(write(tmp_path / "old", do_lower_case=lower))
    tokenizer.add_tokens(["[NEW]", "newword"])
    tokenizer.save_pretrained(tmp_path / "new")
    assert not (tmp_path / "new" / "vocab.txt").exists()
    pieces = read_pieces(tmp_path / "new", 500)
    assert pieces(TEXTS) == reference(tmp_path / "new", TEXTS)
    assert len(pieces) == len(PIECES) + 2
    assert pieces(["a [NEW] newword"])[0][2:4] == [len(PIECES), len(PIECES) + 1]
    # alone, it says itself whether letters are made small
    (tmp_path / "new" / "tokenizer_config.json").unlink()
    assert read_pieces(tmp_path / "new", 500)(TEXTS) == pieces(TEXTS)


def test_tokens_that_were_added_beside_the_vocabulary_count(tmp_path):
    write(tmp_path)
    (tmp_path / "added_tokens.json").write_text(json.dumps({"second": len(PIECES) + 1, "first": len(PIECES)}))
    pieces = read_pieces(tmp_path, 500)
    assert pieces(["the first second thing"]) == reference(tmp_path, ["the first second thing"])
    assert pieces.numbers["second"] == len(PIECES) + 1
    with pytest.raises(
        WeightsError, match=rf"holds {len(PIECES) + 2} pieces of words; the network knows {len(PIECES)}"
    ):
        read_pieces(tmp_path, len(PIECES))


def test_special_tokens_of_other_names_are_read(tmp_path):
    renamed = [{"[CLS]": "<s>", "[SEP]": "</s>"}.get(piece, piece) for piece in PIECES]
    write(tmp_path, renamed)
    with pytest.raises(WeightsError, match=r"vocab\.txt: has no \[CLS\]"):
        read_pieces(tmp_path, 500)
    names = {"cls_token": "<s>", "sep_token": {"content": "</s>", "lstrip": False, "rstrip": False}}
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(names))
    assert read_pieces(tmp_path, 500)(TEXTS) == reference(tmp_path, TEXTS)


def test_a_vocabulary_without_the_mask_has_it_added(tmp_path):
    folder = write(tmp_path, [piece for piece in PIECES if piece != "[MASK]"])
    assert read_pieces(folder, 500)(TEXTS) == reference(folder, TEXTS)


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"model": {"vocab": 3}}', '{"model": {"vocab": {"[PAD]": "a"}}}', "no"]
)
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(WeightsError, match=r"tokenizer\.json.*backbones\.bert\.weights"):
        read_pieces(tmp_path, 500)
