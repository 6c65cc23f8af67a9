import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from serflow.corpora._tables import (
    LISTING_SCHEMA,
    read_listing,
    read_listing_metadata,
    read_rejected,
    write_listing,
    write_rejected,
)
from serflow.corpora.base import CorpusInfo, Count, Listing, Rejected, Utterance, missing_from_published
from serflow.errors import CorpusError, StoreError
from serflow.files import write_csv
from serflow.stages import list_utterances


def wav(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.zeros(160, dtype=np.int16), 16000)


@pytest.fixture
def root(tmp_path):
    for name in ("03a01Fa", "03a02Wa", "08a01Na"):
        wav(tmp_path / "emodb/wav" / f"{name}.wav")
    return tmp_path / "emodb"


def arguments(root, tmp_path, **changes):
    given = {
        "corpus": "berlin", "layout": "emodb", "root": root, "options": {}, "title": None, "language": None,
        "synthetic": False, "allow_partial": False, "files": tmp_path / "out/files.json",
        "listing": tmp_path / "out/listing.parquet", "rejected": tmp_path / "out/rejected.csv",
    }  # fmt: skip
    return argparse.Namespace(**{**given, **changes})


def test_incomplete_corpus_is_an_error_that_counts_and_names_the_key(root, tmp_path):
    with pytest.raises(CorpusError) as error:
        list_utterances.main(arguments(root, tmp_path))
    message = str(error.value)
    assert f"berlin: what lies in {root} differs" in message
    assert "utterances: 3 of 535 published" in message
    assert "speaker 03: 2 of 49" in message
    assert "emotion anger: 1 of 127" in message
    assert "set corpora.berlin.allow_partial: true in config.yaml to go on" in message
    assert not (tmp_path / "out/listing.parquet").exists()


def test_allow_partial_turns_the_differences_into_warnings(root, tmp_path):
    given = arguments(root, tmp_path, allow_partial=True)
    list_utterances.main(given)
    described = read_listing_metadata(given.listing)
    assert "emotion anger: 1 of 127" in described["warnings"]
    assert {key: described[key] for key in ("corpus", "layout", "title", "synthetic")} == {
        "corpus": "berlin", "layout": "emodb", "title": "EmoDB", "synthetic": False,
    }  # fmt: skip
    assert sorted(json.loads(given.files.read_text())["files"]) == [
        "wav/03a01Fa.wav", "wav/03a02Wa.wav", "wav/08a01Na.wav",
    ]  # fmt: skip
    table = read_listing(given.listing)
    assert table.schema.equals(LISTING_SCHEMA)
    assert table.column("utterance").to_pylist() == ["03a01Fa", "03a02Wa", "08a01Na"]
    assert table.column("path").to_pylist()[0] == "wav/03a01Fa.wav"
    assert table.column("start").to_pylist() == [None] * 3


def test_the_listing_tells_its_content(root, tmp_path):
    given = arguments(root, tmp_path, allow_partial=True)
    contents = []
    for edit in (lambda file: None, lambda file: os.utime(file, (0, 0)), lambda file: file.write_bytes(b"other")):
        edit(root / "wav/03a01Fa.wav")
        list_utterances.main(given)
        contents.append(read_listing_metadata(given.listing)["content"])
    assert contents[0] == contents[1] != contents[2]


def test_stand_in_skips_counts_but_nothing_may_be_rejected(root, tmp_path):
    given = arguments(root, tmp_path, synthetic=True, title="EmoDB mini", language="pl")
    list_utterances.main(given)
    described = read_listing_metadata(given.listing)
    assert (described["synthetic"], described["warnings"], described["title"]) == (True, [], "EmoDB mini")
    assert set(read_listing(given.listing, columns=["language"]).column(0).to_pylist()) == {"pl"}
    wav(root / "wav/odd.wav")
    with pytest.raises(CorpusError, match=r"1 of the stand-in's files or labels were rejected.*\n.*odd.wav"):
        list_utterances.main(given)


def test_language_of_the_config_stands_in_for_unknown_ones_only(tmp_path):
    for name in ("a", "b"):
        wav(tmp_path / f"{name}.wav")
    (tmp_path / "t.csv").write_text("file,speaker,emotion,language\na,s,anger,\nb,s,anger,cs\n")
    options = {"table": "t.csv", "audio": "{file}.wav"}
    given = arguments(tmp_path, tmp_path, layout="table", options=options, language="pl")
    list_utterances.main(given)
    assert read_listing(given.listing, columns=["language"]).column(0).to_pylist() == ["pl", "cs"]


def test_rejections_are_kept_with_their_reason(root, tmp_path):
    wav(root / "wav/odd, name.wav")
    given = arguments(root, tmp_path, allow_partial=True)
    list_utterances.main(given)
    (entry,) = read_rejected(given.rejected)
    assert (entry.utterance, entry.path) == ("", "wav/odd, name.wav")
    assert "not a file name of EmoDB" in entry.reason
    assert given.rejected.read_text().splitlines()[0] == "utterance,path,reason,lost,absent"


def test_corpus_without_a_usable_utterance_is_an_error_even_if_partial(tmp_path):
    session = tmp_path / "Session1"
    (session / "dialog/EmoEvaluation").mkdir(parents=True)
    line = "[1.0000 - 2.0000]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\n"
    (session / "dialog/EmoEvaluation/Ses01F_impro01.txt").write_text(line)
    given = arguments(tmp_path, tmp_path, layout="iemocap", corpus="iemocap", allow_partial=True)
    with pytest.raises(CorpusError, match=r"no usable utterance.*corpora\.iemocap\.root[^$]*no such audio file"):
        list_utterances.main(given)


def test_same_corpus_gives_the_same_bytes(root, tmp_path):
    outs = [tmp_path / "a", tmp_path / "b"]
    for out in outs:
        given = arguments(root, tmp_path, allow_partial=True, listing=out / "l.parquet", rejected=out / "r.csv")
        list_utterances.main(given)
    assert (outs[0] / "l.parquet").read_bytes() == (outs[1] / "l.parquet").read_bytes()


def test_command_line_fails_with_one_message_and_no_traceback(root, tmp_path):
    command = [
        sys.executable, "-m", "serflow.stages.list_utterances", "--corpus", "berlin", "--layout", "emodb",
        "--root", str(root), "--options", "{}", "--listing", str(tmp_path / "l.parquet"),
        "--rejected", str(tmp_path / "r.csv"),
    ]  # fmt: skip
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert "allow_partial" in failed.stderr
    assert "Traceback" not in failed.stderr
    passed = subprocess.run([*command, "--allow-partial"], capture_output=True, text=True, check=False)
    assert passed.returncode == 0, passed.stderr


def test_every_field_survives_a_listing(tmp_path):
    full = Utterance(
        "u", "p.wav", "s", "en", 0.5, 1.5, "1", "d", 2, "female", "read", "a01", "Words, \u0107.", "anger", "low",
        1.0, 2.0, 3.0, -1.5, (1.0, 5.0),
    )  # fmt: skip
    bare = Utterance("v", "q.wav", "s", "en")
    write_listing(tmp_path / "l.parquet", [full, bare], {"corpus": "c"})
    rows = [{"id": row.pop("utterance"), **row} for row in read_listing(tmp_path / "l.parquet").to_pylist()]
    assert Utterance(**{**rows[0], "valence_ratings": tuple(rows[0]["valence_ratings"])}) == full
    assert Utterance(**rows[1]) == bare


def test_damaged_list_of_rejections_is_refused(tmp_path):
    path = tmp_path / "r.csv"
    write_csv(path, ["utterance", "reason"], [])
    with pytest.raises(StoreError, match="not a list of utterance,path,reason,lost,absent"):
        read_rejected(path)
    write_rejected(path, [Rejected("a", "a\rb.wav", "not read")])
    assert read_rejected(path) == [Rejected("a", "a\rb.wav", "not read")]
    path.write_bytes(path.read_bytes().replace(b"not", b"now"))
    with pytest.raises(StoreError, match=r"r\.csv: does not match the SHA-256"):
        read_rejected(path)


# --- published counts: which sessions, speakers and classes differ

PUBLISHED = CorpusInfo(
    title="Four",
    n_utterances=4,
    language="en",
    licence="none",
    address="nowhere",
    published=(
        Count("session", {"1": 2, "2": 1}, among=("anger", "sadness")),
        Count("speaker", {"F1": 2, "M2": 2}),
        Count("emotion", {"anger": 2, "sadness": 1, "neutral": 1}),
    ),
)


def utterance(name, session, speaker, emotion):
    return Utterance(name, f"{name}.wav", speaker, "en", session=session, emotion=emotion)


WHOLE = [
    utterance("a", "1", "F1", "anger"),
    utterance("b", "1", "F1", "sadness"),
    utterance("c", "2", "M2", "anger"),
    utterance("d", "2", "M2", "neutral"),
]


def test_whole_corpus_has_no_differences():
    assert missing_from_published(Listing(WHOLE), PUBLISHED) == []


def test_a_missing_utterance_shows_in_its_session_speaker_and_class():
    among = "(of anger, sadness)"
    assert missing_from_published(Listing(WHOLE[1:]), PUBLISHED) == [
        "utterances: 3 of 4 published",
        f"session 1 {among}: 1 of 2",
        "speaker F1: 1 of 2",
        "emotion anger: 1 of 2",
    ]


def test_utterances_nobody_published_show_too():
    extra = [*WHOLE, Utterance("e", "e.wav", "X9", "en")]
    assert missing_from_published(Listing(extra), PUBLISHED) == [
        "utterances: 5 of 4 published",
        "speaker X9: 1, none published",
        "emotion None: 1, none published",
    ]


def test_a_swap_of_gender_shows_though_the_total_is_right():
    swapped = [*WHOLE[:3], utterance("d", "2", "F1", "neutral")]
    assert missing_from_published(Listing(swapped), PUBLISHED) == ["speaker F1: 3 of 2", "speaker M2: 1 of 2"]


def test_values_outside_an_incomplete_count_are_not_checked():
    info = CorpusInfo("t", None, "en", "l", "a", (Count("session", {"2": 2}, complete=False),))
    assert missing_from_published(Listing(WHOLE), info) == []
    assert Counter(u.session for u in WHOLE)["1"] == 2


def test_total_promised_by_the_options_replaces_the_published_one():
    assert missing_from_published(Listing(WHOLE, published_total=9), PUBLISHED) == ["utterances: 4 of 9 published"]
