import numpy as np
import pyarrow as pa
import pytest
import soundfile
from typer.testing import CliRunner

from serflow.audio.prepared import PreparedUtterance, write_prepared
from serflow.cli import app
from serflow.corpora._tables import UTTERANCES_SCHEMA, write_utterances
from serflow.noise.mixing import PlanRow, write_plan
from serflow.noise.plan import Draw, plan_utterance
from serflow.stages.prepare_clips import CLIPS_SCHEMA
from serflow.stores.parquet import write_batches

RATE = 16_000
SNRS = {"h1": {"natural": -5.0, "human": -20.0}, "h3": {"natural": 10.0, "human": 3.0}}
NAMES = [f"utt{i}" for i in range(6)]
EMOTIONS = ["anger", "neutral", None]
CLIPS = {"natural": "1-100-A-10", "human": "1-200-A-20"}


def run(*arguments):
    return CliRunner().invoke(app, ["listen", *(str(argument) for argument in arguments)])


def passes(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def fails(*arguments):
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


def write_corpus(results):
    generator = np.random.default_rng(0)
    speech = [
        PreparedUtterance(name, generator.integers(-3000, 3000, RATE // 2 + 160 * i, np.int16), RATE, 1, "PCM_16", 0)
        for i, name in enumerate(NAMES)
    ]
    for shard, part in enumerate((speech[:4], speech[4:])):
        write_prepared(results / "audio" / "emodb" / f"{shard:04d}.parquet", part, {"corpus": "emodb"})
    rows = [
        {
            **dict.fromkeys(UTTERANCES_SCHEMA.names),
            "utterance": item.utterance,
            "path": "x.wav",
            "speaker": "s",
            "language": "de",
            "emotion": EMOTIONS[i % 3],
            "duration_s": len(item.pcm16) / RATE,
            "shard": f"{i // 4:04d}",
        }
        for i, item in enumerate(speech)
    ]
    table = pa.Table.from_pylist(rows, schema=UTTERANCES_SCHEMA)
    write_utterances(results / "corpora" / "emodb" / "utterances.parquet", table, {"corpus": "emodb"})
    return speech


def write_noise(results, speech):
    generator = np.random.default_rng(1)
    clips = {name: generator.integers(-2000, 2000, 3 * RATE, np.int16) for name in CLIPS.values()}
    rows = [
        {"clip": clip, "fold": 1, "target": 0, "category": "x", "group": group, "n_samples": len(clips[clip]),
         "pcm16": clips[clip].astype("<i2").tobytes(), "trimmed_start_s": 0.0, "trimmed_end_s": 0.0}
        for group, clip in CLIPS.items()
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, schema=CLIPS_SCHEMA)
    metadata = {"synthetic": True, "warnings": []}
    write_batches(results / "noise" / "clips.parquet", CLIPS_SCHEMA, [table], kind="clips", metadata=metadata)
    for profile, snrs in SNRS.items():
        plan = []
        for i, item in enumerate(speech):
            condition = ["natural", "human"][i % 2]
            draw = Draw(condition, CLIPS[condition], i)
            plan.append(plan_utterance(item, draw, clips[CLIPS[condition]], snrs[condition]))
        assert isinstance(plan[0], PlanRow)
        write_plan(results / "noise" / "emodb" / f"{profile}.parquet", plan, {"corpus": "emodb", "profile": profile})


@pytest.fixture
def results(tmp_path):
    results = tmp_path / "results"
    write_noise(results, write_corpus(results))
    return results


def measured_snr_db(clean, noisy):
    """SNR of a mixture whose speech is known, whatever its scale: least squares."""
    scale = (clean @ noisy) / (clean @ clean)
    return 10 * np.log10(np.sum((scale * clean) ** 2) / np.sum((noisy - scale * clean) ** 2))


def test_clean_and_noisy_files_are_written_and_told_of(results):
    shown = passes("emodb", "--utterance", "utt4", "--utterance", "utt1", "--results", results)
    folder = results / "listen" / "emodb"
    names = ["utt1_clean.wav", "utt1_h1_human_-20dB.wav", "utt4_clean.wav", "utt4_h1_natural_-5dB.wav"]
    assert sorted(file.name for file in folder.iterdir()) == names
    for words in (*names, "neutral", "h1, human", "1-200-A-20", "-20", "1-100-A-10", "0.51", "0.54"):
        assert words in shown


def test_the_files_hold_what_the_table_says(results, tmp_path):
    passes(
        "emodb", "--utterance", "utt4", "--profile", "h1", "--profile", "h3", "--results", results, "--out", tmp_path
    )
    clean, rate = soundfile.read(tmp_path / "utt4_clean.wav")
    assert rate == RATE
    assert soundfile.info(tmp_path / "utt4_clean.wav").subtype == "PCM_24"
    assert len(clean) == RATE // 2 + 640
    assert np.abs(clean).max() > 0.05
    for name, snr in (("utt4_h1_natural_-5dB", -5), ("utt4_h3_natural_+10dB", 10)):
        noisy, _ = soundfile.read(tmp_path / f"{name}.wav")
        assert measured_snr_db(clean, noisy) == pytest.approx(snr, abs=0.5)


def test_utterances_are_chosen_by_emotion_or_one_of_each(results, tmp_path):
    passes("emodb", "--emotion", "anger", "--n", "2", "--results", results, "--out", tmp_path / "anger")
    assert sorted(file.name for file in (tmp_path / "anger").glob("*clean.wav")) == ["utt0_clean.wav", "utt3_clean.wav"]
    shown = passes("emodb", "--results", results, "--out", tmp_path / "some")
    assert len(list((tmp_path / "some").glob("*_clean.wav"))) == 3
    assert all(words in shown for words in ("anger", "neutral"))


def test_names_that_are_no_file_names_are_written_all_the_same(tmp_path):
    from serflow.inspection.examples import Labelled
    from serflow.inspection.listen import _write

    entry = Labelled("a/../b c", "anger", "s", 0.1, "0000")
    written = _write(tmp_path, entry, np.zeros(1600, np.float32), "clean", None)
    assert written.file == tmp_path / "a_.._b_c_clean.wav"
    assert written.file.is_file()


def test_what_does_not_exist_is_said_with_what_does(results):
    assert "did you mean utt" in fails("emodb", "--utterance", "utt9", "--results", results)
    assert "emodb has anger, neutral" in fails("emodb", "--emotion", "joy", "--results", results)
    assert "give one of them" in fails("emodb", "--emotion", "anger", "--utterance", "utt1", "--results", results)
    assert not (results / "listen").exists()


@pytest.mark.parametrize(
    ("missing", "command"),
    [
        ("corpora/emodb/utterances.parquet", "snakemake --cores 2 results/corpora/emodb/utterances.parquet`"),
        ("audio/emodb/0000.parquet", "snakemake --cores 2 results/audio/emodb/0000.parquet`"),
        ("noise/emodb/h1.parquet", "there are h3; build it with `snakemake --cores 2 results/noise/emodb/h1.parquet`"),
        ("noise/clips.parquet", "snakemake --cores 2 results/noise/clips.parquet`"),
    ],
)
def test_what_is_not_built_is_said_with_the_command_that_builds_it(results, monkeypatch, missing, command):
    monkeypatch.chdir(results.parent)
    (results / missing).unlink()
    said = fails("emodb", "--utterance", "utt1")
    assert f"results/{missing}: not there" in said
    assert command in said
    assert not (results / "listen").exists()


def test_damaged_audio_is_one_sentence(results):
    shard = results / "audio" / "emodb" / "0000.parquet"
    damaged = bytearray(shard.read_bytes())
    damaged[100] ^= 1
    shard.write_bytes(damaged)
    assert "0000.parquet: the data do not match their SHA-256" in fails(
        "emodb", "--utterance", "utt1", "--results", results
    )


def test_audio_that_the_table_knows_and_the_shard_does_not_is_said(results):
    write_prepared(results / "audio" / "emodb" / "0000.parquet", [], {"corpus": "emodb"})
    assert "has no audio of utt1" in fails("emodb", "--utterance", "utt1", "--results", results)


def test_a_plan_of_another_profile_is_refused(results):
    (results / "noise" / "emodb" / "h3.parquet").replace(results / "noise" / "emodb" / "h1.parquet")
    assert "profile is 'h3' where 'h1'" in fails("emodb", "--utterance", "utt1", "--results", results)


def test_a_plan_without_the_utterance_is_said(results):
    write_plan(results / "noise" / "emodb" / "h1.parquet", [], {"corpus": "emodb", "profile": "h1"})
    assert "no row for utterance 'utt1'" in fails("emodb", "--utterance", "utt1", "--results", results)
