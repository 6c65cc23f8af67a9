import errno
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile as sf

from serflow.corpora import base
from serflow.corpora._audio_files import audio_files, index_audio
from serflow.corpora.base import Corpus, Listing, Rejected, Utterance, corpus_names, files_read, load_corpus
from serflow.errors import CorpusError, MissingDependencyError
from serflow.state import stamps
from serflow.studies.dlc.labels import emotion_labels


def wav(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.zeros(160, dtype=np.int16), 16000, format=path.suffix[1:].upper())
    return path


def text(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def by_id(listing: Listing) -> dict[str, Utterance]:
    return {utterance.id: utterance for utterance in listing.utterances}


def reasons(listing: Listing) -> dict[str, str]:
    return {entry.path if not entry.utterance else entry.utterance: entry.reason for entry in listing.rejected}


# --- what all corpora share

WATCHERS: list[list[str]] = []


def hook(event, given):
    if event == "open" and WATCHERS:
        WATCHERS[-1].append(str(given[0]))


sys.addaudithook(hook)


@pytest.fixture(autouse=True)
def only_what_it_says_is_read(monkeypatch):
    """In all tests here: a layout opens no file below the root that its patterns leave out, and lists none."""

    def checked(list_corpus):
        def list_and_check(self, root, options):
            opened: list[str] = []
            WATCHERS.append(opened)
            try:
                listing = list_corpus(self, root, options)
            finally:
                WATCHERS.remove(opened)
            read = {Path(name) for name in opened if root in Path(name).parents}
            read |= {root / utterance.path for utterance in listing.utterances}
            assert {path.relative_to(root).as_posix() for path in read} <= stamps(
                root, files_read(self.info, options)
            ).keys()
            return listing

        return list_and_check

    for name in corpus_names():
        monkeypatch.setattr(type(load_corpus(name)), "list", checked(type(load_corpus(name)).list))


def test_every_layout_is_a_corpus_with_a_known_vocabulary():
    assert corpus_names() == [
        "cafe", "crema_d", "emodb", "iemocap", "mosei", "msp_improv", "ravdess", "table",
    ]  # fmt: skip
    for name in corpus_names():
        corpus = load_corpus(name)
        assert isinstance(corpus, Corpus)
        for count in corpus.info.published:
            assert count.column in Utterance.__slots__
            if count.column == "emotion":
                assert set(count.counts) <= set(base.EMOTIONS)


@pytest.mark.parametrize("name", ["iemocap", "emodb", "cafe", "ravdess", "crema_d"])
def test_published_counts_of_all_utterances_add_up(name):
    info = load_corpus(name).info
    for count in info.published:
        if count.complete and count.among is None:
            assert sum(count.counts.values()) == info.n_utterances, count.column


def test_published_counts_of_iemocap_with_four_classes_add_up():
    for count in load_corpus("iemocap").info.published:
        assert sum(count.counts.values()) == (5531 if count.among else 10039)


def test_published_counts_of_msp_improv_add_up():
    counts = {count.column: count.counts for count in load_corpus("msp_improv").info.published}
    assert sum(counts["style"].values()) == 8438
    assert sum(counts["emotion"].values()) == 7798
    assert 8438 - sum(counts["session"].values()) == 5311


@pytest.mark.parametrize("name", corpus_names())
def test_a_root_that_is_not_there_is_named(name, tmp_path):
    with pytest.raises(CorpusError, match=r"nowhere.*no such folder"):
        load_corpus(name).list(tmp_path / "nowhere", {})


@pytest.mark.parametrize("name", [name for name in corpus_names() if name != "table"])
def test_an_empty_root_says_what_was_looked_for(name, tmp_path):
    with pytest.raises(CorpusError, match=f"{tmp_path}.*point root|Point root"):
        load_corpus(name).list(tmp_path, {})


@pytest.mark.parametrize("name", [name for name in corpus_names() if name != "table"])
def test_unknown_options_are_refused(name, tmp_path):
    with pytest.raises(CorpusError, match="unknown option of this corpus layout 'colour'"):
        load_corpus(name).list(tmp_path, {"colour": 1})


def test_an_unknown_layout_lists_the_known_ones():
    with pytest.raises(CorpusError, match=r"iemocapp.*emodb, iemocap"):
        load_corpus("iemocapp")


def closed(folder: str, error: OSError) -> None:
    raise AssertionError(f"{folder}: {error}")


def test_audio_search_skips_shadow_files_and_other_suffixes(tmp_path):
    for name in ("a/x.wav", "a/._x.wav", ".hidden/y.wav", "__MACOSX/z.wav", "a/w.WAV", "b/v.flac"):
        wav(tmp_path / name)
    text(tmp_path / "a/x.txt", "no audio")
    assert [path.as_posix() for path in audio_files(tmp_path, closed)] == ["a/w.WAV", "a/x.wav", "b/v.flac"]


def test_audio_search_follows_links_but_not_in_circles(tmp_path):
    wav(tmp_path / "elsewhere/x.wav")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/circle").symlink_to(tmp_path / "elsewhere")
    assert audio_files(tmp_path / "root", closed) == [Path("link/x.wav")]


def test_a_folder_that_cannot_be_read_is_rejected(tmp_path, monkeypatch):
    wav(tmp_path / "open/03a01Fa.wav")
    wav(tmp_path / "shut/03a02Fa.wav")
    scandir = os.scandir

    def refuse(folder):
        if Path(folder).name == "shut":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    rejected = Rejected("", "shut", "the folder cannot be read (Permission denied); make it readable")
    assert load_corpus("emodb").list(tmp_path, {}).rejected == [rejected]
    text(tmp_path / "t.csv", "file,speaker,emotion", "03a01Fa,a,anger")
    options = {"table": "t.csv", "audio": "open/{file}.wav"}
    assert load_corpus("table").list(tmp_path, options).rejected == []
    text(tmp_path / "t.csv", "file,speaker,emotion", "open/03a01Fa,a,anger")
    found = load_corpus("table").list(tmp_path, {"table": "t.csv", "audio": "{file}.wav"}).rejected
    assert found == [replace(rejected, lost=False)]


def test_files_that_a_layout_reads_are_those_of_its_options_too(tmp_path):
    for name in ("labels/t.csv", "Samples/a.mp4", "other/b.mp4", "other/c.FLAC", "x[1]/d.mp4"):
        text(tmp_path / name, "")

    def found(audio):
        return [*stamps(tmp_path, files_read(load_corpus("table").info, {"table": "./labels/t.csv", "audio": audio}))]

    assert found("samples/{file}") == ["Samples/a.mp4", "labels/t.csv", "other/c.FLAC"]
    assert found("x[1]/{file}") == ["labels/t.csv", "other/c.FLAC", "x[1]/d.mp4"]
    assert len(found("{file}")) == 5
    text(tmp_path / "Raw/Labels/CMU_MOSEI_Labels.csd", "")
    text(tmp_path / "Raw/Videos/Full/Combined/v.mp4", "")
    assert [*stamps(tmp_path / "Raw", load_corpus("mosei").info.reads)] == ["Labels/CMU_MOSEI_Labels.csd"]


def test_of_files_with_one_stem_the_outermost_wav_is_used_and_the_others_are_reported(tmp_path):
    for name in ("x.flac", "deep/x.wav", "deep/er/x.wav"):
        wav(tmp_path / name)
    index = index_audio(tmp_path)
    assert index.paths == {"x": Path("deep/x.wav")}
    assert [(entry.path, entry.reason) for entry in index.rejected] == [
        ("deep/er/x.wav", "same name as deep/x.wav, which is used"),
        ("x.flac", "same name as deep/x.wav, which is used"),
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_a_folder_name_that_is_not_utf8_is_reported_not_fatal(tmp_path):
    wav(tmp_path / "good/a.wav")
    folder = tmp_path / "Col\udc8are"
    folder.mkdir()
    (folder / "b.wav").write_bytes((tmp_path / "good/a.wav").read_bytes())
    index = index_audio(tmp_path)
    assert list(index.paths) == ["a"]
    assert index.rejected[0].path == "Col\\udc8are/b.wav"
    assert "not UTF-8" in index.rejected[0].reason


# --- IEMOCAP

EVALUATION = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]"


def turn_line(name: str, emotion: str, start: float, end: float, vad: str = "[2.5000, 3.0000, 3.5000]") -> str:
    return f"[{start:.4f} - {end:.4f}]\t{name}\t{emotion}\t{vad}"


def iemocap_dialogue(root: Path, dialogue: str, turns: list[tuple[str, str, float]], extra: tuple[str, ...] = ()):
    session = root / f"Session{dialogue[4]}"
    lines = [EVALUATION, ""]
    for suffix, emotion, start in turns:
        name = f"{dialogue}_{suffix}"
        lines += [
            turn_line(name, emotion, start, start + 1),
            "C-E2:\tNeutral;\t()",
            "A-E3:\tval 3; act 2; dom  ;\t()",
            "",
        ]
        wav(session / "sentences/wav" / dialogue / f"{name}.wav")
    text(session / "dialog/EmoEvaluation" / f"{dialogue}.txt", *lines, *extra)
    spoken = [f"{dialogue}_{suffix} [000.0000-001.0000]: Words of {suffix}." for suffix, _, _ in turns]
    text(session / "dialog/transcriptions" / f"{dialogue}.txt", *spoken, "M: overlapping", "F: words")


def test_iemocap_speaker_is_the_letter_before_the_number_not_the_prefix(tmp_path):
    iemocap_dialogue(tmp_path, "Ses01F_impro01", [("F000", "neu", 6.3), ("M000", "ang", 8.0)])
    utterances = by_id(load_corpus("iemocap").list(tmp_path, {}))
    assert utterances["Ses01F_impro01_F000"].speaker == "Ses01F"
    assert utterances["Ses01F_impro01_M000"].speaker == "Ses01M"
    assert utterances["Ses01F_impro01_M000"].gender == "male"


@pytest.mark.parametrize("dialogue", ["Ses03M_impro05b", "Ses03F_impro08a", "Ses05M_script01_1b", "Ses05F_script03_2"])
def test_iemocap_dialogues_with_a_letter_suffix_keep_gender_and_style(tmp_path, dialogue):
    iemocap_dialogue(tmp_path, dialogue, [("F012", "hap", 1.0), ("MXX0", "xxx", 2.0)])
    first, second = load_corpus("iemocap").list(tmp_path, {}).utterances
    assert (first.gender, second.gender) == ("female", "male")
    assert first.speaker == f"Ses0{dialogue[4]}F"
    assert (first.session, first.dialogue) == (dialogue[4], dialogue)
    assert first.style == ("improvised" if "impro" in dialogue else "scripted")


def test_iemocap_turns_are_ordered_by_start_time(tmp_path):
    iemocap_dialogue(tmp_path, "Ses02F_impro01", [("F000", "neu", 10.0), ("M000", "sad", 2.0), ("F001", "fru", 30.5)])
    listing = load_corpus("iemocap").list(tmp_path, {})
    assert [(u.id[-4:], u.turn) for u in listing.utterances] == [("M000", 0), ("F000", 1), ("F001", 2)]


def test_iemocap_reads_words_dimensions_and_text(tmp_path):
    iemocap_dialogue(tmp_path, "Ses01F_impro01", [("F000", "exc", 6.3)])
    (utterance,) = load_corpus("iemocap").list(tmp_path, {}).utterances
    assert utterance.emotion == "excitement"
    assert (utterance.valence, utterance.activation, utterance.dominance) == (2.5, 3.0, 3.5)
    assert utterance.text == "Words of F000."
    assert utterance.path == "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"


def test_iemocap_shadow_files_and_single_raters_are_not_read(tmp_path):
    iemocap_dialogue(tmp_path, "Ses01F_impro01", [("F000", "neu", 1.0)])
    labels = tmp_path / "Session1/dialog/EmoEvaluation"
    (labels / "._Ses01F_impro01.txt").write_bytes(b"\x00\x05\x16\x07")
    text(labels / "Categorical/Ses01F_impro01_e1_cat.txt", "Ses01F_impro01_F000 :Anger; ()")
    wav(tmp_path / "Session1/sentences/wav/Ses01F_impro01/._Ses01F_impro01_F000.wav")
    listing = load_corpus("iemocap").list(tmp_path, {})
    assert len(listing.utterances) == 1
    assert listing.rejected == []


@pytest.mark.parametrize(
    "line",
    [
        "[1.0000 - 2.0000]\tSes01F_impro01_F009\tneu\t[2.5000, 2.5000]",
        "[1.0000 - 2.0000]\tSes01F_impro01_F009\tzzz\t[2.5000, 2.5000, 2.5000]",
        "1.0000 - 2.0000]\tSes01F_impro01_F009\tneu\t[2.5000, 2.5000, 2.5000]",
        "[1.0000 - 2.0000]\tSes02F_impro01_F009\tneu\t[2.5000, 2.5000, 2.5000]",
    ],
)
def test_iemocap_broken_label_line_is_rejected_with_file_and_line(tmp_path, line):
    iemocap_dialogue(tmp_path, "Ses01F_impro01", [("F000", "neu", 1.0)], extra=(line,))
    listing = load_corpus("iemocap").list(tmp_path, {})
    assert [u.id for u in listing.utterances] == ["Ses01F_impro01_F000"]
    (entry,) = listing.rejected
    assert entry.utterance == ""
    assert entry.reason.startswith("Session1/dialog/EmoEvaluation/Ses01F_impro01.txt:7: ")


def test_iemocap_missing_audio_unlabelled_audio_and_duplicates_are_rejected(tmp_path):
    again = turn_line("Ses01F_impro01_F000", "ang", 9, 10)
    iemocap_dialogue(tmp_path, "Ses01F_impro01", [("F000", "neu", 1.0), ("M000", "neu", 2.0)], extra=(again,))
    folder = tmp_path / "Session1/sentences/wav/Ses01F_impro01"
    (folder / "Ses01F_impro01_M000.wav").unlink()
    wav(folder / "Ses01F_impro01_M005.wav")
    listing = load_corpus("iemocap").list(tmp_path, {})
    assert [(u.id, u.emotion) for u in listing.utterances] == [("Ses01F_impro01_F000", "neutral")]
    why = reasons(listing)
    assert "no such audio file" in why["Ses01F_impro01_M000"]
    assert "without a label" in why["Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M005.wav"]
    assert "duplicate id" in why["Ses01F_impro01_F000"]


def test_iemocap_one_level_too_high_says_where_to_point_root(tmp_path):
    iemocap_dialogue(tmp_path / "IEMOCAP_full_release", "Ses01F_impro01", [("F000", "neu", 1.0)])
    with pytest.raises(CorpusError, match=r"Session1\.\.Session5 not found.*point root at the folder that holds them"):
        load_corpus("iemocap").list(tmp_path, {})


# --- MSP-Improv


def msp_clip(name: str, emotion: str, valence: str, *raters: tuple[str, str]) -> list[str]:
    lines = [f"UTD-IMPROV-{name}.avi; {emotion}; A:3.000000; V:{valence}; D:NaN ; N:3.200000;"]
    lines += [f"{who}; Neutral; Neutral, Other (calm; low); A:3.000000; V:{v}; D:3.000000; N:NaN;" for who, v in raters]
    return [*lines, ""]


def msp_audio(root: Path, name: str) -> Path:
    scenario, speaker, recording, _ = name.split("-")
    return wav(root / f"Audio/session{speaker[2]}/{scenario}/{recording}/MSP-IMPROV-{name}.wav")


@pytest.mark.parametrize("label_file", ["Evalution.txt", "Evaluation.txt"])
def test_msp_improv_reads_consensus_and_name(tmp_path, label_file):
    text(tmp_path / label_file, *msp_clip("S01A-F01-S-FM01", "H", "3.500000", ("ab_1", "4.000000")))
    msp_audio(tmp_path, "S01A-F01-S-FM01")
    listing = load_corpus("msp_improv").list(tmp_path, {})
    assert listing.rejected == []
    (u,) = listing.utterances
    assert u.id == "MSP-IMPROV-S01A-F01-S-FM01"
    assert u.path == "Audio/session1/S01A/S/MSP-IMPROV-S01A-F01-S-FM01.wav"
    assert (u.speaker, u.gender, u.session, u.sentence, u.style) == ("F01", "female", "1", "S01", "improvised")
    assert (u.emotion, u.valence, u.activation, u.dominance) == ("happiness", 3.5, 3.0, None)
    assert u.valence_ratings == (4.0,)


def test_msp_improv_nan_ratings_do_not_count_and_a_repeated_rater_counts_once(tmp_path):
    raters = [("r1", "1.000000"), ("r2", "NaN"), ("r1", "1.000000"), ("r3", "5.000000")]
    lines = msp_clip("S01A-F01-S-FM01", "N", "NaN", *raters) + msp_clip("S01A-M01-S-MF02", "X", "3.0", ("r2", "NaN"))
    text(tmp_path / "Evalution.txt", *lines)
    msp_audio(tmp_path, "S01A-F01-S-FM01")
    msp_audio(tmp_path, "S01A-M01-S-MF02")
    utterances = by_id(load_corpus("msp_improv").list(tmp_path, {}))
    assert utterances["MSP-IMPROV-S01A-F01-S-FM01"].valence_ratings == (1.0, 5.0)
    assert utterances["MSP-IMPROV-S01A-F01-S-FM01"].valence is None
    assert utterances["MSP-IMPROV-S01A-M01-S-MF02"].valence_ratings is None
    assert utterances["MSP-IMPROV-S01A-M01-S-MF02"].emotion == "undecided"


def msp_dialogues(root: Path, names: list[str]) -> dict[str, tuple[str | None, int | None]]:
    text(root / "Evalution.txt", *(line for name in names for line in msp_clip(name, "N", "3.0", ("r", "3.0"))))
    for name in names:
        msp_audio(root, name)
    return {u.id[11:]: (u.dialogue, u.turn) for u in load_corpus("msp_improv").list(root, {}).utterances}


def test_msp_improv_partners_share_a_dialogue_ordered_by_turn_number(tmp_path):
    names = ["S01A-F01-S-FM10", "S01A-M01-S-MF02", "S01A-F01-S-FM01", "S01A-F01-P-FM01", "S01A-F02-S-FM01"]
    assert msp_dialogues(tmp_path, names) == {
        "S01A-F01-S-FM01": ("1-S01A", 0),
        "S01A-M01-S-MF02": ("1-S01A", 1),
        "S01A-F01-S-FM10": ("1-S01A", 2),
        "S01A-F01-P-FM01": ("1-S01A-P", 0),
        "S01A-F02-S-FM01": ("2-S01A", 0),
    }


def test_msp_improv_target_sentences_are_in_the_dialogue_of_the_turns_around_them(tmp_path):
    around = ["S01A-F01-S-FM01", "S01A-F01-S-MF03", "S01A-M01-S-FM02", "S01A-M01-S-MF01", "S01A-M01-S-MM04"]
    targets = ["S01A-F01-T-FM03", "S01A-M01-T-MF01", "S01A-F01-T-FF02"]
    others = ["S01A-F01-R-FF01", "S01A-M01-P-MF01", "S01H-F01-S-FM01", "S02A-F01-T-FM01", "S01A-F02-T-FM03"]
    found = msp_dialogues(tmp_path, around + targets + others)
    assert {found[name][0] for name in around + targets} == {"1-S01A"}
    assert "1-S01A" not in {found[name][0] for name in others}
    assert sorted(around + targets, key=lambda name: found[name][1]) == [
        "S01A-F01-S-FM01", "S01A-M01-S-MF01", "S01A-M01-T-MF01", "S01A-M01-S-FM02", "S01A-F01-T-FF02",
        "S01A-F01-S-MF03", "S01A-F01-T-FM03", "S01A-M01-S-MM04",
    ]  # fmt: skip


def test_msp_improv_broken_lines_are_rejected_with_file_and_line(tmp_path):
    broken = ["UTD-IMPROV-S01A-F01-S-FM01.avi; N; A:3.000000; V:oops;", "r1; Sad; Sad; A:1; V:1; D:1; N:1;", ""]
    good = msp_clip("S01A-M01-S-MF02", "N", "3.0", ("r1", "2.0"))
    text(tmp_path / "Evalution.txt", *broken, *good[:-1], "r2; Neutral; V:1.0;", "", "stray words", "")
    msp_audio(tmp_path, "S01A-F01-S-FM01")
    msp_audio(tmp_path, "S01A-M01-S-MF02")
    listing = load_corpus("msp_improv").list(tmp_path, {})
    assert [(u.id[11:], u.valence_ratings) for u in listing.utterances] == [("S01A-M01-S-MF02", (2.0,))]
    starts = [entry.reason.split(": ")[0] for entry in listing.rejected]
    assert starts == ["Evalution.txt:1", "Evalution.txt:6", "Evalution.txt:8", "audio without a label in Evalution.txt"]


def test_msp_improv_missing_audio_is_rejected(tmp_path):
    text(tmp_path / "Evalution.txt", *msp_clip("S01A-F01-S-FM01", "N", "3.0", ("r", "3.0")))
    listing = load_corpus("msp_improv").list(tmp_path, {})
    assert listing.utterances == []
    assert "no audio file" in reasons(listing)["MSP-IMPROV-S01A-F01-S-FM01"]


# --- CMU-MOSEI

VIDEOS = ("--qXJuDtHPw", "a___b_c-d_e")
NAMES = ["happy", "sentiment", "sad", "anger", "surprise", "disgust", "fear"]


def mosei_raw(root: Path, videos: tuple[str, ...] = VIDEOS) -> Path:
    raw = root / "Raw"
    for video in videos:
        wav(raw / "Audio/Full/WAV_16000" / f"{video}.wav")
        lines = [f"{video}___5___10.5___12.25___second words", f"{video}____2____0.1____3.2____first ___ words"]
        text(raw / "Transcript/Segmented/Combined" / f"{video}.txt", *lines)
    return raw


def mosei_csd(path: Path, rows: dict[str, list[tuple[float, float, list[float]]]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as csd:
        sequence = csd.create_group("All Labels")
        sequence.create_dataset("metadata/dimension names", data=np.array([json.dumps(NAMES).encode()]))
        for video, segments in rows.items():
            group = sequence.create_group(f"data/{video}")
            group["features"] = np.array([values for _, _, values in segments], dtype=np.float32)
            group["intervals"] = np.array([(start, end) for start, end, _ in segments], dtype=np.float32)


def test_mosei_csd_reads_dimension_names_times_and_text(tmp_path):
    mosei_raw(tmp_path)
    sad = [0.0, -1.5, 2.0, 0.5, 0, 0, 0]
    tie = [1.0, 2.0, 1.0, 0, 0, 0, 0]
    silent = [0.0] * 7
    mosei_csd(
        tmp_path / "CMU_MOSEI_Labels.csd",
        {VIDEOS[0]: [(10.5, 12.25, sad), (0.1, 3.2, tie)], VIDEOS[1]: [(0.1, 3.3, silent)]},
    )
    listing = load_corpus("mosei").list(tmp_path, {})
    assert listing.rejected == []
    utterances = by_id(listing)
    first, second = utterances["--qXJuDtHPw_1"], utterances["--qXJuDtHPw_0"]
    assert (first.turn, second.turn) == (0, 1)
    assert (first.text, second.text) == ("first ___ words", "second words")
    assert (second.sentiment, second.emotion, first.emotion) == (-1.5, "sadness", None)
    assert (second.start, second.end) == (10.5, 12.25)
    assert second.dialogue == second.speaker == "--qXJuDtHPw"
    assert second.path == "Raw/Audio/Full/WAV_16000/--qXJuDtHPw.wav"
    other = utterances["a___b_c-d_e_0"]
    assert (other.text, other.emotion, other.sentiment) == (None, None, 0.0)


MOSEI_HEADER = ",file,index,start,end,label2a,label2b,label6,label7,split"


def test_mosei_derived_table_gives_rounded_sentiment_and_no_emotion(tmp_path):
    raw = mosei_raw(tmp_path)
    rows = ["0,--qXJuDtHPw,0,0.1,3.2,0,-1,0,-2,1", "1,--qXJuDtHPw,1,0.5,x,1,1,0,1,1"]
    text(raw / "Labels/CMU_MOSEI_Labels.csv", MOSEI_HEADER, *rows)
    listing = load_corpus("mosei").list(tmp_path, {})
    (u,) = listing.utterances
    assert (u.id, u.sentiment, u.emotion, u.text) == ("--qXJuDtHPw_0", -2.0, None, "first ___ words")
    assert [entry.reason for entry in listing.rejected] == [
        "Raw/Labels/CMU_MOSEI_Labels.csv:3: not a label line",
        "audio without a usable label",
    ]


def test_mosei_derived_table_is_split_at_zero_as_the_sentiment_before_it_was_rounded(tmp_path):
    mosei_raw(tmp_path, VIDEOS[:1])
    sentiments = [-3.0, -7 / 3, -1 / 3, 0.0, 1 / 3, 1.0, 4 / 3]
    labels = [(-1, -3), (-1, -3), (-1, -1), (0, 0), (1, 1), (1, 1), (1, 2)]
    nearest = [(1, 0), (-1, 0), (0, 1)]
    rows = [
        f"{i},{VIDEOS[0]},{i},{i},{i + 1},1,{sign},0,{label7},0" for i, (sign, label7) in enumerate(labels + nearest)
    ]
    text(tmp_path / "CMU_MOSEI_Labels.csv", MOSEI_HEADER, *rows)
    listing = load_corpus("mosei").list(tmp_path, {})
    target = emotion_labels("mosei", [], "merged").target_of
    found = [target({"sentiment": u.sentiment}) for u in listing.utterances]
    assert found == [target({"sentiment": sentiment}) for sentiment in sentiments]
    assert [entry.reason.partition(": ")[2] for entry in listing.rejected] == [
        "label7 0 has not the sign of label2b 1",
        "label7 0 has not the sign of label2b -1",
        "label7 1 has not the sign of label2b 0",
    ]


def test_mosei_crowd_answers_are_averaged_over_workers(tmp_path):
    raw = mosei_raw(tmp_path)
    answers = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "sentiment"]
    header = "Input.VIDEO_ID,Input.CLIP,WorkerId," + ",".join(f"Answer.{answer}" for answer in answers)
    lines = [
        "a___b_c-d_e,2,w1,0,0,0,3,0,0,1",
        "a___b_c-d_e,2,w2,1,0,0,0,0,0,2",
        "a___b_c-d_e,2,w2,1,0,0,0,0,0,2",
        "a___b_c-d_e,9,w1,0,0,0,0,0,0,1",
        "a___b_c-d_e,2,w3,0,0,0,,0,0,1",
    ]
    text(raw / "Labels/batch.csv", header, *lines)
    listing = load_corpus("mosei").list(raw, {})
    (u,) = listing.utterances
    assert (u.id, u.sentiment, u.emotion, u.start, u.end) == ("a___b_c-d_e_2", 1.5, "happiness", 0.1, 3.2)
    why = reasons(listing)
    assert "no start and end" in why["a___b_c-d_e_9"]
    assert why["Labels/batch.csv"] == "Labels/batch.csv:6: not a line of answers"


def test_mosei_prefers_csd_to_the_derived_table(tmp_path):
    raw = mosei_raw(tmp_path, VIDEOS[:1])
    text(tmp_path / "CMU_MOSEI_Labels.csv", ",file,index,start,end,label7", "0,--qXJuDtHPw,0,0.1,3.2,3")
    mosei_csd(raw / "CMU_MOSEI_Labels.csd", {VIDEOS[0]: [(0.1, 3.2, [0, 1 / 3, 0, 0, 0, 0, 0])]})
    (u,) = load_corpus("mosei").list(tmp_path, {}).utterances
    assert u.sentiment == pytest.approx(1 / 3)


@pytest.mark.parametrize(("start", "end"), [(2.0, 2.0), (3.0, 2.0), (-1.0, 2.0), (float("nan"), 2.0)])
def test_mosei_times_that_enclose_no_audio_are_rejected(tmp_path, start, end):
    mosei_raw(tmp_path, VIDEOS[:1])
    mosei_csd(tmp_path / "CMU_MOSEI_Labels.csd", {VIDEOS[0]: [(start, end, [0.0] * 7), (5.0, 6.0, [0.0] * 7)]})
    listing = load_corpus("mosei").list(tmp_path, {})
    assert [(u.id, u.turn) for u in listing.utterances] == [("--qXJuDtHPw_1", 0)]
    assert [entry.utterance for entry in listing.rejected] == ["--qXJuDtHPw_0"]


def test_mosei_labelled_without_audio_and_the_reverse_are_rejected(tmp_path):
    mosei_raw(tmp_path, VIDEOS[:1])
    mosei_csd(tmp_path / "CMU_MOSEI_Labels.csd", {"other": [(0.0, 1.0, [0.0] * 7)]})
    why = reasons(load_corpus("mosei").list(tmp_path, {}))
    assert "no audio file" in why["other_0"]
    assert "without a usable label" in why["Raw/Audio/Full/WAV_16000/--qXJuDtHPw.wav"]


def test_mosei_broken_csd_and_missing_h5py_are_explained(tmp_path, monkeypatch):
    mosei_raw(tmp_path)
    text(tmp_path / "CMU_MOSEI_Labels.csd", "not HDF5")
    with pytest.raises(CorpusError, match=r"CMU_MOSEI_Labels.csd: not the labels"):
        load_corpus("mosei").list(tmp_path, {})
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match="needs h5py"):
        load_corpus("mosei").list(tmp_path, {})


def test_mosei_without_any_labels_says_what_was_looked_for(tmp_path):
    mosei_raw(tmp_path)
    with pytest.raises(CorpusError, match=r"CMU_MOSEI_Labels\.csd and CMU_MOSEI_Labels\.csv"):
        load_corpus("mosei").list(tmp_path, {})


# --- corpora whose labels are in the file names


def test_emodb_names(tmp_path):
    wav(tmp_path / "wav/03a01Fa.wav")
    wav(tmp_path / "wav/16b10Ad.flac")
    wav(tmp_path / "wav/17a01Fa.wav")
    listing = load_corpus("emodb").list(tmp_path, {})
    found = {u.id: (u.speaker, u.gender, u.sentence, u.emotion, u.dialogue, u.turn) for u in listing.utterances}
    assert found == {
        "03a01Fa": ("03", "male", "a01", "happiness", None, None),
        "16b10Ad": ("16", "female", "b10", "fear", None, None),
    }
    assert listing.rejected == [
        Rejected("", "wav/17a01Fa.wav", "not a file name of EmoDB (they look like 03a01Fa.wav)", lost=False)
    ]


def test_cafe_reads_the_file_name_whatever_the_folder_is_called(tmp_path):
    wav(tmp_path / "Col\u0160re/Fort/01-C-2-3.wav")
    wav(tmp_path / "Joie/Faible/12-D-1-6.wav")
    wav(tmp_path / "Neutre/02-N-1-1.wav")
    found = {
        u.id: (u.gender, u.emotion, u.intensity, u.sentence) for u in load_corpus("cafe").list(tmp_path, {}).utterances
    }
    assert found == {
        "01-C-2-3": ("male", "anger", "strong", "3"),
        "12-D-1-6": ("female", "disgust", "weak", "6"),
        "02-N-1-1": ("female", "neutral", None, "1"),
    }


def test_ravdess_copies_that_hold_every_file_twice_are_listed_once(tmp_path):
    for folder in ("Actor_02", "audio_speech_actors_01-24/Actor_02"):
        wav(tmp_path / folder / "03-01-08-02-01-02-02.wav")
    wav(tmp_path / "Actor_02/03-02-01-01-01-01-02.wav")
    listing = load_corpus("ravdess").list(tmp_path, {})
    (u,) = listing.utterances
    assert u.path == "Actor_02/03-01-08-02-01-02-02.wav"
    assert (u.speaker, u.gender, u.emotion, u.intensity, u.sentence) == ("02", "female", "surprise", "strong", "01")
    assert "same name" in reasons(listing)["audio_speech_actors_01-24/Actor_02/03-01-08-02-01-02-02.wav"]
    assert "not a file name of RAVDESS" in reasons(listing)["Actor_02/03-02-01-01-01-01-02.wav"]


def test_crema_d_names_and_genders(tmp_path):
    for name in ("1001_DFA_ANG_XX", "1040_ITH_SAD_X", "1002_IEO_HAP_HI"):
        wav(tmp_path / "AudioWAV" / f"{name}.wav")
    table = ['"ActorID","Age","Sex","Race","Ethnicity"', '1001,51,"Male","x","y"', '1040,42,"Female","x","y"']
    text(tmp_path / "VideoDemographics.csv", *table)
    found = {
        u.id: (u.speaker, u.gender, u.emotion, u.intensity)
        for u in load_corpus("crema_d").list(tmp_path, {}).utterances
    }
    assert found == {
        "1001_DFA_ANG_XX": ("1001", "male", "anger", "unspecified"),
        "1040_ITH_SAD_XX": ("1040", "female", "sadness", "unspecified"),
        "1002_IEO_HAP_HI": ("1002", None, "happiness", "high"),
    }


def test_crema_d_both_spellings_of_one_file_are_one_utterance(tmp_path):
    wav(tmp_path / "1040_ITH_SAD_X.wav")
    wav(tmp_path / "1040_ITH_SAD_XX.wav")
    listing = load_corpus("crema_d").list(tmp_path, {})
    assert len(listing.utterances) == 1
    assert "duplicate id" in reasons(listing)["1040_ITH_SAD_XX"]


def test_audio_named_otherwise_is_shown_in_the_error(tmp_path):
    wav(tmp_path / "hello.wav")
    with pytest.raises(
        CorpusError, match=r"no file like 03a01Fa.wav.*left out there, e.g. hello.wav: not a file name of EmoDB"
    ):
        load_corpus("emodb").list(tmp_path, {})


# --- real audio


def test_real_emodb_has_the_published_counts(real_data):
    corpus = load_corpus("emodb")
    listing = corpus.list(real_data / "emodb", {})
    assert len(listing.utterances) == 535
    assert listing.rejected == []
    assert base.missing_from_published(listing, corpus.info) == []


def test_real_ravdess_is_half_of_the_published_corpus(real_data):
    corpus = load_corpus("ravdess")
    listing = corpus.list(real_data / "ravdess", {})
    assert len(listing.utterances) == 720
    assert listing.rejected == []
    lines = base.missing_from_published(listing, corpus.info)
    assert lines[0] == "utterances: 720 of 1440 published"
    assert [line for line in lines if line.startswith("speaker")] == [f"speaker {s}: 0 of 60" for s in range(13, 25)]
    assert "emotion neutral: 48 of 96" in lines
