import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
from typer.testing import CliRunner

from serflow.audio.prepared import PreparedUtterance, write_prepared
from serflow.cli import app
from serflow.corpora._tables import UTTERANCES_SCHEMA, write_rejected, write_utterances
from serflow.corpora.base import Rejected
from serflow.files import write_csv, write_sealed_json
from serflow.noise.mixing import PlanRow, write_plan
from serflow.stages.split_utterances import SPLIT_KIND, SPLIT_SCHEMA
from serflow.stores.frames import FrameRow, pack_frames, write_frames
from serflow.stores.parquet import write_batches, write_table
from serflow.stores.vectors import write_vectors

EMOTIONS = ["anger", "happiness", "sadness"]
N = 12
NAMES = [f"utt{i:02d}" for i in range(N)]
COMMON = {
    "feature": "mfb",
    "extractor": "mfb",
    "corpus": "emodb",
    "stand_ins": [],
    "condition": "clean",
    "parameters": {"n_mels": 5, "floor": 1e-6},
    "sample_rate": 16000,
    "hop_s": 0.01,
    "units": "ln power",
    "code": "c0defeed",
    "n_shards": 2,
}
STAND_IN = {
    "backbone": {"name": "ge2e", "precision": "fp32", "layers": 3},
    "weights": {"release": "resemblyzer", "source": "stand-in", "sha256": "5" * 64},
}


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def passes(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def fails(*arguments):
    result = run(*arguments)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


def as_json(*arguments):
    return json.loads(passes("inspect", *arguments, "--json"))


def frames_of(names, dim=5):
    generator = np.random.default_rng(0)
    return [
        FrameRow(name, generator.normal(-4, 2, (20 + 3 * i, dim)).astype(np.float32)) for i, name in enumerate(names)
    ]


def write_two_shards(folder, write, rows, dim, **changed):
    for shard, part in enumerate((rows[:7], rows[7:])):
        rejected = {"utt11": "no pitch in it"} if shard else {}
        metadata = {**COMMON, **changed, "shard": f"{shard:04d}", "rejected": rejected}
        write(folder / f"{shard:04d}.parquet", part, dim, metadata)


@pytest.fixture
def results(built, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(built, tmp_path / "results")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    results = tmp_path_factory.mktemp("built") / "results"
    empty = dict.fromkeys(UTTERANCES_SCHEMA.names)
    utterances = [
        {
            **empty,
            "utterance": name,
            "path": f"wav/{name}.wav",
            "speaker": f"s{i % 4}",
            "language": "de",
            "gender": ["female", "male"][i % 2],
            "emotion": EMOTIONS[i % 3],
            "duration_s": (20 + 3 * i) / 100,
            "shard": f"{i // 7:04d}",
        }
        for i, name in enumerate(NAMES)
    ]
    metadata = {
        "corpus": "emodb",
        "layout": "emodb",
        "title": "EmoDB",
        "synthetic": True,
        "partial": True,
        "counts": {"labelled": 13, "listed": 13, "accepted": 12, "rejected": 1, "left_out": 0},
        "warnings": ["12 of 535 utterances"],
    }
    table = pa.Table.from_pylist(utterances, schema=UTTERANCES_SCHEMA)
    write_utterances(results / "corpora" / "emodb" / "utterances.parquet", table, metadata)
    write_rejected(results / "corpora" / "emodb" / "rejected.csv", [Rejected("x", "wav/x.wav", "digital silence")])
    features = results / "features"
    write_two_shards(features / "mfb" / "emodb" / "clean", write_frames, frames_of(NAMES[:-2]), 5)
    generator = np.random.default_rng(1)
    vectors = [FrameRow(name, generator.standard_normal((1, 8)).astype(np.float32)) for name in NAMES[:-1]]
    ge2e = {"feature": "ge2e", "extractor": "ge2e", "hop_s": None, "units": "unit length", **STAND_IN}
    write_two_shards(
        features / "ge2e" / "emodb" / "clean", write_vectors, vectors, 8, **{**ge2e, "stand_ins": ["corpus", "weights"]}
    )
    packed = results / "packed" / "mfb" / "emodb" / "clean.parquet"
    pack_frames(sorted((features / "mfb" / "emodb" / "clean").iterdir()), packed.with_suffix(".npy"), packed)
    plan = [
        PlanRow(name, ["human", "natural"][i % 2], f"clip{i}", 0, [-5.0, -20.0][i % 2], 3.0, [-5.0, -19.5][i % 2], 0.9)
        for i, name in enumerate(NAMES)
    ]
    noise = {"corpus": "emodb", "profile": "h1", "mixing": "snr", "seed": 0, "synthetic_clips": True}
    write_plan(results / "noise" / "emodb" / "h1.parquet", plan, noise)
    split = pa.table([NAMES, ["0"] * N, (["train"] * 8 + ["val"] * 2 + ["test"] * 2)], schema=SPLIT_SCHEMA)
    write_batches(
        results / "splits" / "emodb" / "speaker-0.parquet", SPLIT_SCHEMA, [split], kind=SPLIT_KIND,
        metadata={"corpus": "emodb", "protocol": "speaker-0", "unit": "speaker", "draw": 0, "cuts": [0.7, 0.8]},
    )  # fmt: skip
    audio = (PreparedUtterance(name, np.full(1600, 5, np.int16), 48000, 2, "PCM_24", i) for i, name in enumerate(NAMES))
    write_prepared(
        results / "audio" / "emodb" / "0000.parquet", audio, {"corpus": "emodb", "shard": "0000", "n_shards": 1}
    )
    (results / "runs" / "dlc" / "exp1" / "single" / "emodb" / "h1").mkdir(parents=True)
    return results


@pytest.fixture
def where(results):
    return SimpleNamespace(
        frames=results / "features" / "mfb" / "emodb" / "clean",
        vectors=results / "features" / "ge2e" / "emodb" / "clean",
        packed=results / "packed" / "mfb" / "emodb" / "clean.parquet",
        utterances=results / "corpora" / "emodb" / "utterances.parquet",
        plan=results / "noise" / "emodb" / "h1.parquet",
    )


def test_help_is_quick_and_names_the_commands():
    heavy = ["torch", "pandas", "pyarrow", "matplotlib", "numpy"]
    code = f"import sys, serflow.cli; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    shown = passes("--help")
    assert all(command in shown for command in ("inspect", "listen", "verify", "forecast", "why", "fetch", "cite"))
    assert passes("--version").startswith("serflow ")


def test_frames_are_described(where):
    shown = passes("inspect", where.frames)
    for words in ("mfb · emodb · clean", "10 ms", "16000 Hz", "ln power", "n_mels 5", "c0defeed", "(n_frames, 5)"):
        assert words in shown
    assert "20 to 47, median 33.5; 335 in all" in shown
    assert "3.4 s" in shown
    assert "all finite" in shown
    assert "STAND-IN" not in shown


def test_frames_as_json_have_the_true_numbers(where):
    rows = frames_of(NAMES[:-2])
    values = np.concatenate([row.frames for row in rows]).astype(np.float64)
    facts = as_json(where.frames)["facts"]
    assert facts["utterances"] == 10
    assert facts["frames"] == {"min": 20, "median": 33.5, "max": 47, "total": 335}
    assert facts["duration"] == pytest.approx(3.35)
    assert facts["values"] == pytest.approx(
        {"min": values.min(), "mean": values.mean(), "max": values.max(), "std": values.std(), "not_finite": 0}
    )
    assert facts["size_on_disk"] == sum(file.stat().st_size for file in where.frames.iterdir())
    assert facts["emotions"] == {"anger": 4, "happiness": 3, "sadness": 3}


def test_what_is_missing_is_compared_with_the_corpus(where):
    found = as_json(where.frames)
    assert found["facts"]["rejected"] == 1
    assert found["facts"]["missing"] == 1
    assert found["warnings"] == ["missing without a reason: utt10"]
    assert found["tables"][0]["rows"] == [["utt11", "no pitch in it"]]
    where.utterances.unlink()
    assert as_json(where.frames)["facts"]["compared_with_corpus"] is False


def test_what_the_corpus_has_not_is_named(where):
    write_two_shards(where.frames, write_frames, frames_of([*NAMES[:10], "stranger"]), 5)
    assert "not in the corpus's utterance table: stranger" in as_json(where.frames)["warnings"]


def test_stand_ins_are_said_to_be_so(where):
    shown = passes("inspect", where.vectors)
    assert "STAND-IN weights" in shown
    assert "synthetic corpus" in shown
    assert "ge2e (layers 3, precision fp32)" in shown
    assert "resemblyzer" in shown
    assert "(8,)" in shown


def test_a_shard_and_the_packed_form_are_described_too(where):
    assert as_json(where.frames / "0001.parquet")["facts"]["utterances"] == 3
    packed = as_json(where.packed)
    assert packed["kind"] == "packed frames"
    assert packed["facts"]["frames"] == as_json(where.frames)["facts"]["frames"]
    assert packed["facts"]["missing"] == 1
    assert "inspect its index" in fails("inspect", where.packed.with_suffix(".npy"))


def test_one_utterance_is_described_with_its_labels(where):
    facts = as_json(where.frames, "--utterance", "utt04")["facts"]
    assert facts["shape"] == [32, 5]
    assert facts["emotion"] == "happiness"
    assert facts["speaker"] == "s0"
    assert "did you mean 'utt04'" in fails("inspect", where.frames, "--utterance", "utt004")
    assert "utt11 was rejected: no pitch in it" in fails("inspect", where.frames, "--utterance", "utt11")


def test_an_utterance_table_is_described(where):
    found = as_json(where.utterances)
    assert found["facts"]["speakers"] == 4
    assert found["facts"]["gender"] == {"female": 6, "male": 6}
    emotions = next(table for table in found["tables"] if table["title"] == "Emotions")
    assert emotions["columns"] == ["emotion", "utterances", "%", "female", "male"]
    assert emotions["rows"][0] == ["anger", 4, 33.3, 2, 2]
    shown = passes("inspect", where.utterances)
    assert all(words in shown for words in ("EmoDB", "synthetic corpus", "partial", "12 of 535 utterances"))


def test_a_noise_plan_is_described_by_condition(where):
    found = as_json(where.plan)
    assert found["warnings"] == ["synthetic noise: made by the workflow, not ESC-50"]
    assert found["tables"][0]["rows"] == [
        ["human", 6, -5.0, -5.0, -5.0, -5.0, 0.0],
        ["natural", 6, -20.0, -19.5, -19.5, -19.5, 0.5],
    ]


def test_the_other_tables_are_described(results):
    split = as_json(results / "splits" / "emodb" / "speaker-0.parquet")
    assert split["tables"][0]["rows"] == [["0", 8, 2, 2]]
    assert split["facts"]["unit"] == "speaker"
    audio = as_json(results / "audio" / "emodb")["facts"]
    assert audio["source_rate"] == {"48000": 12}
    assert audio["clipped"] == 11
    assert audio["duration"]["total"] == pytest.approx(1.2)
    rejected = as_json(results / "corpora" / "emodb" / "rejected.csv")
    assert rejected["kind"] == "rejected"
    assert rejected["tables"][0]["rows"] == [["digital silence", 1]]
    write_csv(results / "table1.csv", ["method", "ua"], [["single", "50.1"]])
    assert as_json(results / "table1.csv")["tables"][0]["rows"] == [["single", "50.1"]]


def test_a_record_of_weights_is_described(tmp_path):
    write_sealed_json(tmp_path / "byol.json", {"backbone": "byol", "path": "x.pth", "synthetic": True})
    shown = passes("inspect", tmp_path / "byol.json")
    assert "STAND-IN weights" in shown
    assert "x.pth" in shown


def test_weights_of_a_run_are_described(tmp_path):
    weights = {"0/none/w": np.zeros((3, 4), np.float32)}
    safetensors.numpy.save_file(weights, tmp_path / "model.safetensors", {"study": "dlc"})
    found = as_json(tmp_path / "model.safetensors")
    assert found["facts"]["values"] == 12
    assert found["tables"][0]["rows"] == [["0/none/w", "3 x 4"]]
    (tmp_path / "model.safetensors").write_bytes(b"short")
    assert "not a whole safetensors file" in fails("inspect", tmp_path / "model.safetensors")


def test_any_other_kind_is_described_by_its_columns(tmp_path):
    table = pa.table({"utterance": ["a", "b", None], "score": [1.0, 2.0, None], "tokens": [[1], [2, 3], []]})
    write_table(tmp_path / "x.parquet", table, kind="gates", metadata={"corpus": "emodb"})
    found = as_json(tmp_path / "x.parquet")
    assert found["kind"] == "gates"
    assert found["facts"]["corpus"] == "emodb"
    columns = {row[0]: row[1:] for row in found["tables"][0]["rows"]}
    assert columns["utterance"] == ["string", 1, "2 different: a (1), b (1)"]
    assert columns["score"][1:] == [1, "1 to 2, mean 1.5, std 0.5; all finite"]
    assert columns["tokens"][2].startswith("0 to 2 values each; 1 to 3")


def test_parquet_of_others_is_described_with_a_warning(tmp_path):
    pq.write_table(pa.table({"a": [1, 2], "b": [b"xy", b"z"]}), tmp_path / "x.parquet")
    found = as_json(tmp_path / "x.parquet")
    assert "not written by serflow" in found["warnings"][0]
    assert found["tables"][0]["rows"][1][3] == "1 to 2 bytes each"


def test_files_that_are_no_artefacts_are_refused(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w"):
        pass
    assert "not an artefact" in fails("inspect", tmp_path / "x.h5")
    (tmp_path / "empty").mkdir()
    assert "it is empty" in fails("inspect", tmp_path / "empty")
    assert "it has empty, x.h5: give one of them" in fails("inspect", tmp_path)


@pytest.mark.parametrize(
    ("path", "near", "command"),
    [
        ("features/mfb/emodb/cleen", "features/mfb/emodb/clean", "results/features/mfb/emodb/cleen"),
        ("feature/mfb/emodb/clean", "features/mfb/emodb/clean", None),
        ("runs/dlc/exp2/single/emodb/h1", "runs/dlc/exp1/single/emodb/h1", "exp2/single/emodb/h1/metrics.json"),
        ("corpora/mosei", None, "results/corpora/mosei/utterances.parquet"),
        ("dlc/curves.svg", None, "results/dlc/curves.svg"),
    ],
)
def test_a_wrong_path_gets_the_nearest_and_the_command(results, monkeypatch, path, near, command):
    monkeypatch.chdir(results.parent)
    said = fails("inspect", f"results/{path}")
    assert f"results/{path}: no such file or folder" in said
    assert ("did you mean" in said) == (near is not None)
    assert ("snakemake --cores 2 " in said) == (command is not None)
    assert near is None or near in said
    assert command is None or f"{command}`" in said


def test_a_path_from_elsewhere_gets_a_command_that_works_from_there(results):
    said = fails("inspect", results / "corpora" / "mosei")
    assert f"`snakemake --cores 2 results/corpora/mosei/utterances.parquet --directory {results.parent}`" in said


def test_a_half_written_shard_is_one_sentence(where):
    shard = where.frames / "0001.parquet"
    shard.write_bytes(shard.read_bytes()[:-20])
    assert "0001.parquet: not a whole Parquet file" in fails("inspect", where.frames)
    (where.frames / "0001.parquet").unlink()
    assert "shard 0001 of 2 is missing" in fails("inspect", where.frames)


def test_damage_is_one_sentence(where):
    for path in (where.utterances, where.plan, where.frames / "0000.parquet"):
        damaged = bytearray(path.read_bytes())
        damaged[60] ^= 1
        path.write_bytes(damaged)
    for path in (where.utterances, where.plan, where.frames):
        assert "do not match their SHA-256" in fails("inspect", path)


# Pictures


@pytest.mark.parametrize("what", ["frames", "vectors", "utterances", "plan"])
def test_there_is_a_picture_of(where, tmp_path, what):
    png = tmp_path / "figures" / "x.png"
    assert f"figure: {png}" in passes("inspect", getattr(where, what), "--plot", png)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert png.stat().st_size > 15_000


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("frames", ["mfb · emodb · clean", "ln power", "utt05 · sadness", "time (s)", "mel band"]),
        (
            "vectors",
            ["ge2e · emodb · clean", "synthetic corpus · STAND-IN weights", "anger (4)", "PC 1 (", "unit length"],
        ),
        ("utterances", ["EmoDB", "synthetic corpus · partial", "happiness", "female", "s3"]),
        ("plan", ["Noise of emodb, profile h1", "synthetic noise", "natural: 6 at -20 dB", "Achieved - requested"]),
    ],
)
def test_pictures_say_what_they_show(where, tmp_path, what, words):
    passes("inspect", getattr(where, what), "--plot", tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text(encoding="utf-8")
    assert text.startswith("<?xml")
    for word in words:
        assert f"<!-- {word}" in text


@pytest.mark.parametrize("what", ["packed", "vectors"])
def test_the_same_artefact_gives_the_same_svg(where, tmp_path, what):
    for name in ("a.svg", "b.svg"):
        passes("inspect", getattr(where, what), "--plot", tmp_path / name)
    assert (tmp_path / "b.svg").read_bytes() == (tmp_path / "a.svg").read_bytes()


def test_one_utterance_can_be_drawn_large(where, tmp_path):
    passes("inspect", where.frames, "--plot", tmp_path / "x.svg", "--utterance", "utt03")
    text = (tmp_path / "x.svg").read_text(encoding="utf-8")
    assert "<!-- utt03 · anger" in text
    assert "utt04" not in text


def test_frames_of_one_column_are_lines(where, tmp_path):
    rows = [FrameRow(row.utterance, (row.frames[:, :1] > 0).astype(np.float32)) for row in frames_of(NAMES[:9])]
    write_two_shards(where.frames, write_frames, rows, 1, units="speech or not")
    passes("inspect", where.frames, "--plot", tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text(encoding="utf-8")
    assert "one column every 10 ms" in text
    assert "<image" not in text


def test_tsne_is_there_on_request(where, tmp_path):
    passes("inspect", where.vectors, "--plot", tmp_path / "x.svg", "--projection", "tsne")
    text = (tmp_path / "x.svg").read_text(encoding="utf-8")
    assert "<!-- t-SNE 1" in text
    assert "<!-- t-SNE of 11 vectors of 8 values, perplexity 3.33." in text


def test_constant_and_very_few_vectors_can_be_drawn(where, tmp_path):
    rows = [FrameRow(name, np.ones((1, 1), np.float32)) for name in NAMES[:8]]
    write_two_shards(where.vectors, write_vectors, rows, 1)
    passes("inspect", where.vectors, "--plot", tmp_path / "x.png")
    passes("inspect", where.vectors / "0001.parquet", "--plot", tmp_path / "x.png")
    for path, words in [(where.vectors, "all 8 are alike"), (where.vectors / "0001.parquet", "needs 4 vectors")]:
        result = run("inspect", path, "--plot", tmp_path / "y.png", "--projection", "tsne")
        assert result.exit_code == 1
        assert words in result.stderr


def test_what_cannot_be_drawn_is_said(results, where, tmp_path):
    png = tmp_path / "x.png"
    for arguments, words in [
        ([where.frames, "--plot", tmp_path / "x.pdf"], "a figure is .png or .svg"),
        ([where.frames, "--plot", png, "--projection", "pca"], "--projection is for vectors"),
        ([where.vectors, "--plot", png, "--utterance", "utt01"], "holds vectors"),
        ([results / "splits" / "emodb" / "speaker-0.parquet", "--plot", png], "no picture for split"),
    ]:
        result = run("inspect", *arguments)
        assert result.exit_code == 1
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
    assert "give --plot FILE.png too" in fails("inspect", where.vectors, "--projection", "tsne")
    assert not png.exists()


# Damage


def test_verify_finds_nothing_wrong_with_what_is_whole(results):
    shown = passes("verify", results)
    assert "are whole" in shown
    assert shown.startswith("12 of 12 ")


def test_verify_looks_at_results_by_default(results, monkeypatch):
    monkeypatch.chdir(results.parent)
    assert passes("verify").startswith("12 of 12 ")


def test_verify_lists_all_that_is_damaged(results, where):
    damaged = bytearray(where.plan.read_bytes())
    damaged[60] ^= 1
    where.plan.write_bytes(damaged)
    where.utterances.write_bytes(where.utterances.read_bytes()[:-9])
    with open(where.packed.with_suffix(".npy"), "ab") as handle:
        handle.write(b"x")
    (where.vectors / "0001.parquet").unlink()
    pq.write_table(pa.table({"a": [1]}), results / "foreign.parquet")
    result = run("verify", results)
    assert result.exit_code == 1
    assert result.stdout.startswith("7 of 12 ")
    lines = result.stderr.splitlines()
    assert len(lines) == 5
    for words in ("h1.parquet: the data", "not a whole", "clean.npy: does not", "shard 0001 of 2", "not written by"):
        assert sum(words in line for line in lines) == 1


def test_verify_takes_files_and_folders_and_wants_something_to_look_at(where, tmp_path):
    assert passes("verify", where.plan, where.frames).startswith("4 of 4 ")
    (tmp_path / "nothing").mkdir()
    assert "no artefact lies there" in fails("verify", tmp_path / "nothing")
    assert "did you mean" in fails("verify", where.plan.with_name("h2.parquet"))
