"""Faults planted in corpora are found, marked by what they would do to a run, and end in what to type."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from doctor_place import EMOTIONS, NAMES, RATE_HZ, noise, rows_of, told, wav
from serflow.doctor import voices

ODD = "s2_neutral"


def test_a_whole_corpus_is_as_published(place):
    for arguments in ([], ["--audio"]):
        ((mark, said, steps),) = place.mine(*arguments)
        assert (mark, steps) == ("ok", [])
        assert "12 utterances as published, 3 speakers, 4 emotions; 2.4 s, 16 kHz mono" in said


def test_a_missing_file_stops_a_run_and_the_lines_say_how_to_go_on(place):
    place.audio(ODD).unlink()
    mark, said, steps = told(place.mine(status=1), "not as published")
    assert (mark, steps) == ("wrong", ["corpora: {mine: {allow_partial: true}}"])
    assert "utterances: 11 of 12 published" in said
    place.config["corpora"]["mine"]["allow_partial"] = True
    findings = place.mine()
    assert told(findings, "allow_partial lets pass")[0] == "note"
    assert told(findings, "1 of 12 utterances rejected (1 there is no such audio file)")[0] == "note"


def test_more_than_may_be_rejected_stops_a_run_and_one_does_not(place):
    wav(place.audio(ODD), noise(0, seconds=0.05))
    assert told(place.mine(), "1 of 12 utterances rejected (1 too short)")[0] == "note"
    wav(place.audio("s1_anger"), noise(0, seconds=0.05))
    mark, said, steps = told(place.mine(status=1), "2 of 12 utterances rejected")
    assert mark == "wrong"
    assert "the 10 % of corpora.mine.max_rejected" in said
    assert steps == ["corpora: {mine: {max_rejected: 0.17}}"]
    place.config["corpora"]["mine"]["max_rejected"] = 0.17
    assert told(place.mine(), "2 of 12")[0] == "note"


def test_of_many_files_that_are_not_there_it_is_the_part_that_is_allowed(place):
    for name in NAMES[:4]:
        place.audio(name).unlink()
    assert told(place.mine(status=1), "4 of 12 utterances rejected")[2] == ["corpora: {mine: {allow_partial: true}}"]
    place.config["corpora"]["mine"]["allow_partial"] = True
    assert told(place.mine(), "4 of 12 utterances rejected")[0] == "note"


def truncated(path):
    path.write_bytes(path.read_bytes()[:-1000])


def pointer(path):
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [(truncated, "truncated"), (pointer, "a Git LFS pointer, not the audio itself"), (empty, "empty file")],
)
def test_what_a_header_tells_is_told_without_reading_audio(place, damage, reason, monkeypatch):
    damage(place.audio(ODD))
    monkeypatch.setattr("serflow.doctor.recordings.prepare", None)
    assert told(place.mine(), "1 of 12 utterances rejected")[1].endswith(f"(1 {reason})")
    (row,) = rows_of(place, "rejected")
    assert row[:2] == [ODD, f"wav/{ODD}.wav"]


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(3200), "digital silence"),
        (np.full(3200, 0.25), "digital silence"),
        (np.where(np.arange(3200) == 5, np.nan, 0.1), "holds samples that are NaN or infinite"),
        (np.linspace(-30000, 30000, 3200), "float samples run to 30000 where full scale is 1"),
    ],
)
def test_what_samples_tell_is_told_where_they_are_read(place, samples, reason):
    wav(place.audio(ODD), samples, subtype="FLOAT")
    assert [mark for mark, *_ in place.mine()] == ["ok"]
    assert told(place.mine("--audio"), "1 of 12 utterances rejected")[1].endswith(f"(1 {reason})")


def test_damage_within_flac_is_found_where_samples_are_read(place):
    flac = place.audio(ODD).with_suffix(".flac")
    place.audio(ODD).unlink()
    wav(flac, noise(0, seconds=2))
    content = bytearray(flac.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 2000] = bytes(2000)
    flac.write_bytes(content)
    assert [mark for mark, *_ in place.mine()] == ["ok"]
    assert told(place.mine("--audio"), "1 of 12 utterances rejected")[0] == "note"


def test_clipped_audio_is_named_with_its_share(place):
    samples = noise(0)
    samples[: len(samples) // 4] = 1.0
    wav(place.audio(ODD), samples)
    assert [mark for mark, *_ in place.mine()] == ["ok"]
    mark, said, _ = told(place.mine("--audio"), "clipped")
    assert mark == "note"
    assert said.startswith("1 of 12 clipped, with more than 0.1 % of their samples at full scale: s2_neutral (25 %)")
    assert rows_of(place, "clipped", "--audio") == [[ODD, 25.0]]


def test_a_sample_at_full_scale_is_no_clipping(place):
    samples = noise(0)
    samples[:3] = 1.0
    wav(place.audio(ODD), samples)
    assert [mark for mark, *_ in place.mine("--audio")] == ["ok"]


def test_repeated_audio_is_named_with_the_labels_that_differ(place):
    shutil.copy(place.audio("s1_anger"), place.audio(ODD))
    assert [mark for mark, *_ in place.mine()] == ["ok"]
    mark, said, steps = told(place.mine("--audio"), "repeat the audio of another")
    assert (mark, steps) == ("note", ["corpora: {mine: {duplicates: drop}}"])
    assert "1 of 12 utterances repeat" in said
    assert "1 with another emotion" in said
    assert rows_of(place, "the same audio", "--audio")[0][:3:2] == [ODD, "s1_anger"]
    place.config["corpora"]["mine"]["duplicates"] = "drop"
    assert told(place.mine("--audio"), "studies drop them")[2] == []


def test_another_rate_and_other_channels_are_named(place):
    wav(place.audio(ODD), noise(0, rate=8000), 8000)
    wav(place.audio("s1_anger"), np.stack([noise(0), noise(1)], axis=1))
    findings = place.mine()
    assert told(findings, "at another rate than most")[1] == (
        "1 of 12 at another rate than most, 16 kHz: s2_neutral (8 kHz)"
    )
    assert told(findings, "other channels")[1] == "1 of 12 with other channels than most, mono: s1_anger (stereo)"
    assert told(findings, "sampled at 8 kHz")[0] == "note"
    assert sorted(rows_of(place, "audio files")) == [
        [8000, 1, "PCM_16", 1], [16000, 1, "PCM_16", 10], [16000, 2, "PCM_16", 1],
    ]  # fmt: skip


def test_a_corpus_of_one_rate_above_16_khz_is_all_right(place):
    for seed, name in enumerate(NAMES):
        wav(place.audio(name), noise(seed, rate=48_000), 48_000)
    ((mark, said, _),) = place.mine()
    assert mark == "ok"
    assert "48 kHz mono" in said


def test_a_speaker_with_two_genders_is_named(place):
    place.rows[ODD]["gender"] = "female"
    place.write_labels()
    assert told(place.mine(), "more than one gender")[1].startswith(
        "1 speaker with more than one gender: s2 (male 3, female 1)"
    )


def voice(pitch_hz, seconds=1.0):
    """Return pulses of a voice, softened as a mouth does."""
    times = np.arange(round(seconds * RATE_HZ))
    pulses = np.diff(np.floor(times * pitch_hz / RATE_HZ), prepend=0)
    damped = np.exp(-np.arange(400) / 60) * np.sin(2 * np.pi * 700 * np.arange(400) / RATE_HZ)
    return 0.3 * np.convolve(pulses, damped)[: len(times)]


def test_a_speaker_who_sounds_of_another_gender_is_named(place):
    for speaker, pitch_hz in {"s1": 210, "s2": 215, "s3": 110}.items():
        for emotion in EMOTIONS:
            # in anger all of them shout
            wav(place.audio(f"{speaker}_{emotion}"), voice(pitch_hz if emotion == "neutral" else 300))
    assert [mark for mark, *_ in place.mine()] == ["ok"]
    said = told(place.mine("--audio"), "pitch of another gender")[1]
    assert said.startswith("2 speakers with the pitch of another gender than their label's: s2 (male, 21")
    assert "s3 (female, 1" in said
    assert [row[:2] for row in rows_of(place, "pitch of calm utterances", "--audio")] == [
        ["s1", "female"], ["s2", "male"], ["s3", "female"],
    ]  # fmt: skip


@pytest.mark.parametrize(("hz", "odd"), [(139.0, {"female"}), (141.0, set()), (179.0, set()), (181.0, {"male"})])
def test_the_pitch_of_a_gender_has_limits(hz, odd):
    assert {gender for gender in ("female", "male") if voices.Voice("s", gender, hz).is_odd()} == odd


def test_without_praat_voices_are_said_not_to_be_heard(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    assert told(place.mine("--audio"), "voices are not held")[2] == ["pip install 'serflow[praat]'"]


def test_words_that_are_no_emotion_are_told_with_what_to_paste(place):
    place.rows[ODD]["emotion"] = "wut"
    place.write_labels()
    mark, said, _ = told(place.mine(status=1), "Paste `emotions:")
    assert mark == "note"
    assert "'wut' (1)" in said


def test_what_nobody_labelled_is_left_out_without_loss(place):
    wav(place.root / "wav/more.wav", noise(40))
    assert told(place.mine(), "left out without loss")[0] == "note"


def test_a_corpus_of_nothing_usable_stops_a_run(place):
    for name in NAMES:
        wav(place.audio(name), noise(0, seconds=0.01))
    mark, said, steps = told(place.mine(status=1), "no utterance has usable audio")
    assert (mark, steps) == ("wrong", [])
    assert "12 too short" in said


def test_a_wrong_root_is_named_with_its_line(place):
    (place.folder / "over.yaml").write_text("# mine\ncorpora:\n  mine: {root: nowhere}\n")
    ((mark, said, steps),) = place.mine("--configfile", "over.yaml", status=1)
    assert mark == "wrong"
    assert said.startswith("over.yaml:3: corpora.mine.root: no folder nowhere")
    assert steps == ["corpora: {mine: {root: /path/to/it}}"]


def test_a_free_corpus_that_is_absent_can_be_fetched(place):
    place.config["corpora"]["emodb"] = {"root": "nowhere"}
    (finding,) = place.doctor("emodb", status=1)["emodb"]
    assert finding[2] == ["serflow fetch emodb --into data", "corpora: {emodb: {root: /path/to/it}}"]


def test_a_table_that_is_none_is_said_in_the_readers_words(place):
    (place.root / "labels.csv").write_text("file,speaker\n")
    ((mark, said, _),) = place.mine(status=1)
    assert mark == "wrong"
    assert "labels.csv" in said


def test_null_is_a_note_but_for_a_study_that_needs_it(place):
    place.config["corpora"]["mine"]["root"] = None
    place.config["corpora"]["mine"].pop("options")
    assert place.doctor()["mine"] == [("note", "not used (root: null), so nothing is made of dlc", [])]
    mark, said, _ = place.doctor("dlc", status=1)["mine"][0]
    assert mark == "wrong"
    assert "null, and this target needs the corpus" in said


# --- publishers' layouts


@pytest.fixture(scope="module")
def ravdess(tmp_path_factory):
    """All 1,440 names of RAVDESS, with 0.1 s of noise each."""
    root, seed = tmp_path_factory.mktemp("published") / "ravdess", 0
    for actor in range(1, 25):
        folder = root / f"Actor_{actor:02d}"
        folder.mkdir(parents=True)
        for emotion in range(1, 9):
            for intensity in (1, 2)[: 1 if emotion == 1 else 2]:
                for sentence in (1, 2):
                    for repetition in (1, 2):
                        stem = f"03-01-{emotion:02d}-{intensity:02d}-{sentence:02d}-{repetition:02d}-{actor:02d}"
                        soundfile.write(folder / f"{stem}.wav", noise(seed := seed + 1, 0.1, 48_000), 48_000)
    return root


def test_a_complete_corpus_and_one_without_an_actor(place, ravdess, tmp_path):
    place.config["corpora"]["ravdess"] = {"root": str(ravdess)}
    ((mark, said, _),) = place.doctor("ravdess")["ravdess"]
    assert mark == "ok"
    assert "1,440 utterances as published, 24 speakers, 8 emotions" in said
    part = tmp_path / "part"
    shutil.copytree(ravdess, part, copy_function=os.link)
    shutil.rmtree(part / "Actor_07")
    place.config["corpora"]["ravdess"] = {"root": str(part)}
    mark, said, steps = told(place.doctor("ravdess", status=1)["ravdess"], "not as published")
    assert "utterances: 1380 of 1440 published; speaker 07: 0 of 60" in said
    assert steps == ["serflow fetch ravdess --into data", "corpora: {ravdess: {allow_partial: true}}"]
    shown = place.say("ravdess", status=1)
    assert [line.split() for line in shown.splitlines() if line.split()[:1] == ["07"]] == [["07", "0", "60"]]


def test_a_missing_session_of_iemocap_is_named(place, tmp_path):
    for session in "1245":
        dialogue = f"Ses0{session}F_impro01"
        folder = tmp_path / "iemocap" / f"Session{session}"
        (folder / "dialog/EmoEvaluation").mkdir(parents=True)
        line = f"[6.2901 - 8.2357]\t{dialogue}_F000\tneu\t[2.5000, 2.5000, 2.5000]\n"
        (folder / f"dialog/EmoEvaluation/{dialogue}.txt").write_text(f"% [START_TIME - END_TIME]\n\n{line}")
        wav(folder / f"sentences/wav/{dialogue}/{dialogue}_F000.wav", noise(int(session)))
    place.config["corpora"]["iemocap"] = {"root": "iemocap"}
    shown = " ".join(place.say("iemocap", status=1).split())
    assert "session 3 (of anger, happiness, excitement, sadness, neutral): 0 of 1151" in shown
    assert "session 1 (of anger, happiness, excitement, sadness, neutral): 1 of 1085" in shown


def test_emodb_is_whole_and_its_voices_are_those_of_its_labels(place, real_data):
    place.config["corpora"]["emodb"] = {"root": str(real_data / "emodb")}
    ((mark, said, _),) = place.doctor("emodb", "--audio")["emodb"]
    assert mark == "ok"
    assert "535 utterances as published, 10 speakers, 7 emotions; 24.8 min, 16 kHz mono" in said


def test_half_of_ravdess_is_known_for_what_it_is(place, real_data):
    place.config["corpora"]["ravdess"] = {"root": str(real_data / "ravdess"), "allow_partial": True}
    findings = place.doctor("ravdess")["ravdess"]
    assert told(findings, "allow_partial lets pass")[1].count("speaker 13: 0 of 60") == 1
    assert "3 of 720 with other channels than most, mono" in told(findings, "other channels")[1]


# --- what a run measured


def test_what_a_run_measured_is_taken_and_nothing_is_read(place, monkeypatch):
    samples = noise(0)
    samples[: len(samples) // 4] = 1.0
    wav(place.audio(ODD), samples)
    wav(place.audio("s3_anger"), np.zeros(3200))
    shutil.copy(place.audio("s1_anger"), place.audio("s1_neutral"))
    place.config["corpora"]["mine"]["max_rejected"] = 0.2
    place.run_stages()
    expected = place.mine()
    monkeypatch.setattr("serflow.doctor.recordings.prepare", None)
    monkeypatch.setattr("serflow.doctor.recordings.open_recording", None)
    assert place.mine() == expected
    for words in ("as the run of 2", "clipped", "repeat the audio", "1 digital silence"):
        told(expected, words)


def relabelled(place):
    place.rows[ODD]["file"] = "renamed.wav"
    place.audio(ODD).rename(place.root / "wav/renamed.wav")
    place.write_labels()


def replaced(place):
    wav(place.audio(ODD), noise(50))


def with_other_limits(place):
    place.config["audio"] = {"min_duration_s": 0.15}


def in_other_shards(place):
    place.config["corpora"]["mine"]["shards"] = 3


def without_a_shard(place):
    Path("results/audio/mine/0001.parquet").unlink()


def without_a_record(place):
    Path("results/corpora/mine/files.json").write_bytes(b"{}")


@pytest.mark.parametrize(
    "change", [relabelled, replaced, with_other_limits, in_other_shards, without_a_shard, without_a_record]
)
def test_what_a_run_measured_is_not_taken_where_something_changed(place, change):
    place.run_stages()
    assert "as the run of" in place.mine()[0][1]
    change(place)
    (finding,) = place.mine()
    assert "as the run of" not in finding[1]


def test_what_a_run_measured_of_other_files_of_the_corpus_is_not_taken(place):
    shutil.copytree(place.root / "wav", place.root / "wav2")
    place.run_stages()
    options = place.config["corpora"]["mine"]["options"]
    place.config["corpora"]["mine"]["options"] = options | {"audio": "wav2/{file}"}
    (finding,) = place.mine()
    assert "as the run of" not in finding[1]


def test_a_table_of_other_content_than_the_record_is_not_taken(place):
    """As where a run was stopped between the listing and the audio."""
    place.run_stages()
    shutil.copytree("results/corpora/mine", "kept")
    replaced(place)
    place.run_stages()
    shutil.copy("kept/utterances.parquet", "results/corpora/mine/utterances.parquet")
    (finding,) = place.mine()
    assert "as the run of" not in finding[1]


def test_looking_writes_nothing(place):
    place.run_stages()
    os.utime(place.audio(ODD))
    before = {path: path.stat().st_mtime_ns for path in place.folder.rglob("*") if path.name != "config.yaml"}
    place.doctor("--audio")
    after = {path: path.stat().st_mtime_ns for path in place.folder.rglob("*") if path.name != "config.yaml"}
    assert after == before


# --- stand-ins


def test_a_stand_in_that_is_not_made_needs_praat(place, monkeypatch):
    place.config["corpora"]["emodb"] = {"root": "synthetic"}
    assert place.doctor("emodb")["emodb"] == [("note", "a stand-in, which a run makes", [])]
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    ((mark, _, steps),) = place.doctor("emodb", status=1)["emodb"]
    assert (mark, steps) == ("wrong", ["pip install 'serflow[praat]'"])


def test_a_stand_in_that_is_made_is_looked_at_but_not_held_against_published_counts(place):
    place.config["corpora"]["emodb"] = {"root": "synthetic"}
    for seed, stem in enumerate(("03a01Wa", "08a02Nb")):
        wav(Path(f"resources/synthetic/emodb/wav/{stem}.wav"), noise(seed))
    Path("resources/synthetic/emodb.json").write_text("{}")
    ((mark, said, _),) = place.doctor("emodb")["emodb"]
    assert mark == "note"
    assert "2 utterances, 2 speakers, 2 emotions" in said
    wav(Path("resources/synthetic/emodb/wav/strange.wav"), noise(9))
    ((mark, said, _),) = place.doctor("emodb", status=1)["emodb"]
    assert mark == "wrong"
    assert "delete the stand-in and run again" in said
