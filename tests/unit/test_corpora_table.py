from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from serflow.corpora.base import Listing, load_corpus, missing_from_published
from serflow.errors import CorpusError

HEADER = "file_id\temotion\traw_text\tspeaker_id\tgender"
NEMO = {
    "table": "data.tsv",
    "audio": "samples/{file_id}",
    "columns": {"emotion": "emotion", "speaker": "speaker_id", "text": "raw_text", "gender": "gender"},
    "language": "pl",
}


def wav(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.zeros(160, dtype=np.int16), 16000, format=path.suffix[1:].upper())


def corpus(root: Path, *rows: str, files: tuple[str, ...] = (), header: str = HEADER, name: str = "data.tsv") -> Path:
    root.joinpath(name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    for file in files:
        wav(root / file)
    return root


def read(root: Path, **options) -> Listing:
    return load_corpus("table").list(root, {**NEMO, **options})


def test_blanks_are_stripped_and_flac_stands_for_wav(tmp_path):
    corpus(
        tmp_path,
        "EB0_surprised_1.wav\tsurprised\tTak.\t\t EB0\tfemale".replace("\t\t", "\t"),
        files=("samples/EB0_surprised_1.flac",),
    )
    listing = read(tmp_path)
    assert listing.rejected == []
    (u,) = listing.utterances
    assert (u.id, u.path) == ("EB0_surprised_1", "samples/EB0_surprised_1.flac")
    assert (u.speaker, u.emotion, u.text, u.gender, u.language) == ("EB0", "surprise", "Tak.", "female", "pl")


def test_csv_delimiter_is_told_by_the_header(tmp_path):
    corpus(tmp_path, 'a;S1;"yes; no";happy', files=("a.wav",), header="file;speaker;text;emotion", name="labels.csv")
    options = {"table": "labels.csv", "audio": "{file}.wav"}
    (u,) = load_corpus("table").list(tmp_path, options).utterances
    assert (u.id, u.speaker, u.text, u.emotion, u.language) == ("a", "S1", "yes; no", "happiness", "und")


def test_numbers_segments_and_dialogues_are_read(tmp_path):
    header = "clip,video,start,end,speaker,turn,sentiment,valence"
    corpus(tmp_path, "c1,v,0.5,1.5,S,3,-1.5,", "c2,v,1.5,1.5,S,4,1,", files=("v.wav",), header=header, name="t.csv")
    columns = {name: name for name in ("start", "end", "speaker", "turn", "sentiment", "valence")}
    columns |= {"utterance": "clip", "dialogue": "video"}
    options = {"table": "t.csv", "audio": "{video}.wav", "columns": columns}
    listing = load_corpus("table").list(tmp_path, options)
    (u,) = listing.utterances
    assert (u.id, u.start, u.end, u.dialogue, u.turn, u.sentiment) == ("c1", 0.5, 1.5, "v", 3, -1.5)
    assert (u.valence, u.emotion) == (None, None)
    (entry,) = listing.rejected
    assert (entry.utterance, entry.path) == ("c2", "v.wav")
    assert entry.reason == "t.csv:3: start 1.5 s and end 1.5 s enclose no audio"


def test_rows_without_audio_and_audio_without_a_row_are_rejected(tmp_path):
    rows = ("a.wav\tanger\tx\tS\tf", "b.wav\tanger\tx\tS\tf")
    corpus(tmp_path, *rows, files=("samples/a.wav", "samples/c.wav", "elsewhere/d.wav"))
    listing = read(tmp_path)
    assert [u.id for u in listing.utterances] == ["a"]
    assert [(entry.utterance, entry.path, entry.reason) for entry in listing.rejected] == [
        ("b", "samples/b.wav", "data.tsv:3: there is no such audio file"),
        ("", "samples/c.wav", "audio without a row in data.tsv"),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("b.wav\tgrumpy\tx\tS\tf", "map it in options, e.g. `emotions: {grumpy: happiness}`"),
        ("b.wav\t\tx\tS\tf", "no label"),
        ("b.wav\tanger\tx\t\tf", "no speaker"),
        ("b.wav\tanger\tx", "3 cells where the header has 5"),
        ("b.wav\tanger\tx\tS\tf\tf", "6 cells where the header has 5"),
        ("../b.wav\tanger\tx\tS\tf", "no such audio file"),
        ("../../b.wav\tanger\tx\tS\tf", "lies outside root"),
        ("a.wav\tanger\tx\tS\tf", "duplicate id"),
        ("\tanger\tx\tS\tf", "no such audio file"),
    ],
)
def test_rows_that_cannot_be_used_say_why(tmp_path, row, reason):
    corpus(tmp_path, "a.wav\tanger\tx\tS\tf", row, files=("samples/a.wav", "samples/b.wav"))
    listing = read(tmp_path)
    assert [u.id for u in listing.utterances] == ["a"]
    assert any(reason in entry.reason for entry in listing.rejected)


def test_words_are_mapped_by_the_options_before_synonyms(tmp_path):
    rows = ("a.wav\tGniew\tx\tS\tf", "b.wav\tsad\tx\tS\tf")
    corpus(tmp_path, *rows, files=("samples/a.wav", "samples/b.wav"))
    listing = read(tmp_path, emotions={"gniew": "anger", "sad": "boredom"})
    assert [u.emotion for u in listing.utterances] == ["anger", "boredom"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colums": {}}, "unknown option of this corpus layout 'colums': did you mean 'columns'"),
        (
            {"columns": {"emotoin": "emotion"}},
            "options.columns: unknown field of an utterance 'emotoin': did you mean 'emotion'",
        ),
        ({"columns": {"id": "file_id", "utterance": "file_id"}}, "there are both utterance and id"),
        ({"columns": {"speaker": "speakerid"}}, "options.columns.speaker: unknown column .*did you mean 'speaker_id'"),
        ({"columns": {"emotion": "emotion"}}, "which column holds the speaker"),
        ({"columns": {"speaker": "speaker_id"}}, "names no label"),
        ({"columns": ["emotion"]}, "is no mapping"),
        ({"audio": "samples/{fileid}"}, "options.audio: unknown column .*did you mean 'file_id'"),
        ({"audio": "samples/{file_id.__class__}"}, "options.audio: unknown column"),
        ({"audio": "samples/{file_id:>9}"}, "cannot be formatted"),
        ({"audio": "samples/{file_id"}, "options.audio: .*cannot be read"),
        ({"audio": "samples/one.wav"}, "names no column"),
        ({"audio": None}, "options.audio: missing"),
        ({"audio": "other/{file_id}"}, "no row has audio under .*options.audio"),
        ({"table": "labels.tsv"}, "labels.tsv: cannot be read: there is no such file"),
        ({"table": "../data.tsv"}, "lies outside root"),
        ({"table": None}, "options.table: missing"),
        ({"emotions": {"gniew": "angre"}}, "options.emotions.gniew: unknown emotion 'angre': did you mean 'anger'"),
        ({"published": {"all": 3}}, "options.published: write"),
    ],
)
def test_wrong_options_are_refused_with_the_nearest_known_name(tmp_path, options, message):
    corpus(tmp_path, "a.wav\tanger\tx\tS\tf", files=("samples/a.wav",))
    with pytest.raises(CorpusError, match=message):
        read(tmp_path, **options)


def test_tables_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "data.tsv").write_text("only a header\n")
    with pytest.raises(CorpusError, match=r"data.tsv: no rows below a header"):
        read(tmp_path)
    (tmp_path / "data.tsv").write_bytes("zd\u0105\u017cy\u0107\ta\n1\t2\n".encode("iso-8859-2"))
    with pytest.raises(CorpusError, match=r"data.tsv:1: not UTF-8"):
        read(tmp_path)
    corpus(tmp_path, "1\t2", header="a\ta")
    with pytest.raises(CorpusError, match="stands twice"):
        read(tmp_path)


def test_real_nemo_lists_what_is_there_and_rejects_the_other_rows(real_data):
    table = load_corpus("table")
    listing = table.list(real_data / "nemo", {**NEMO, "published": {"total": 4481}})
    assert len(listing.utterances) == 539
    assert len(listing.rejected) == 3942
    assert {u.speaker for u in listing.utterances} == {"EB0", "KS0", "WR0"}
    assert {u.gender for u in listing.utterances} == {"female", "male"}
    assert missing_from_published(listing, table.info) == ["utterances: 539 of 4481 published"]
