"""Runs of the whole workflow on a small configuration, and what makes them stale."""

import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from serflow.cli import app
from serflow.report.tables import read_published

# isort: split
from harness import SMALL, Workflow, copy_checkout, environment, results_page

pytestmark = pytest.mark.workflow

# both readings of the paper's levels, two profiles of one in a job, without what reads words
BOTH_READINGS = """
synthetic: {utterances: 60}
dlc:
  corpora: [iemocap]
  profiles: [h1]
  gain_profiles: [h1_gain, h2_gain]
  experiments: [exp1]
  methods: [single, moe_dlc]
  controls: [chance]
  stand_in: {seeds: [0], maps: 4, max_epochs: 1}
"""
# what makes the fuller free preset small enough for a test
CUTS = {
    "model: {maps: 64}": "model: {maps: 8}\n  training: {max_epochs: 1}",
    "methods: [single, moe_dlc, dann]": "methods: [single, moe_dlc, hffn_single]",
    "seeds: [0, 1, 2]": "seeds: [0]",
}


@pytest.fixture
def copy(finished: Workflow, tmp_path: Path) -> Workflow:
    """The finished run, copied, to be changed."""
    shutil.copytree(finished.checkout, tmp_path / "checkout")
    shutil.copytree(finished.folder, tmp_path / "work", symlinks=True)
    return Workflow(tmp_path / "checkout", tmp_path / "work", SMALL)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def forget(workflow: Workflow, *paths: str) -> None:
    """Delete outputs: Snakemake makes an absent intermediate again only where something asks for it."""
    for path in paths:
        gone = workflow.folder / path
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()


def test_table1_has_the_papers_shape_and_names_the_stand_ins(finished: Workflow) -> None:
    table = pd.read_csv(finished.folder / "results/table1.csv")
    assert list(table.columns) == [
        *("Experiment", "Method", "IEMOCAP (synthetic, SNR +25 dB) h1"),
        *("Overall (synthetic, SNR +25 dB) h1", "Overall (synthetic, SNR +25 dB)"),
    ]
    printed = list(dict.fromkeys(row for row, _ in read_published("dlc", "table1", 2)))
    assert len(printed) == 14
    assert [str(n) for n in table["Experiment"]] == [experiment for experiment, _ in printed]
    # what reads words reads them from stand-in networks
    marked = [f"{title} (stand-in weights)" if title.startswith("HFFN") else title for _, title in printed]
    assert table["Method"].tolist() == marked
    assert table.iloc[:, 2:].map(lambda ua: 0 <= ua <= 100).all(axis=None)
    home = finished.folder / "results/dlc/table1.csv"
    assert home.read_bytes() == (finished.folder / "results/table1.csv").read_bytes()


def test_beside_table1_stand_its_intervals_figure_protocol_and_error_rates(finished: Workflow) -> None:
    results = finished.folder / "results"
    intervals = pd.read_csv(results / "dlc/table1_intervals.csv")
    comparison = pd.read_csv(results / "dlc/table1_vs_paper.csv")
    joined = intervals.merge(comparison, on=["experiment", "method", "column"])
    assert len(joined) == len(intervals) == len(comparison)
    assert (joined["value"] - joined["ours_mean"]).abs().max() < 0.011
    assert (intervals["low"] <= intervals["high"]).all()
    assert intervals["note"].str.contains("one run: test sampling only").all()
    figure = pd.read_csv(results / "dlc/figure4.csv")
    assert set(figure["method"]) == set(comparison["method"]) - {"Single", "HFFN-Single"}
    assert "<svg" in (results / "dlc/figure4.svg").read_text()
    assert "IEMOCAP (synthetic, SNR +25 dB)" in (results / "dlc/protocol.md").read_text()
    wer = pd.read_csv(results / "transcripts/deepspeech/wer.csv")
    assert wer["profile"].unique().tolist() == ["clean", "h1"]
    clean, noisy = (wer[wer["profile"] == name].iloc[0] for name in ("clean", "h1"))
    assert clean["cer"] < 35
    assert clean["wer"] < noisy["wer"]
    assert wer["note"].str.contains("stand-in weights").all()


def test_controls_are_rows_of_the_table_without_new_training_of_the_others(copy: Workflow) -> None:
    switch = '--config=dlc={"controls": ["oracle_gate", "chance", "majority"]}'
    jobs = copy.plan("results/dlc/table1.csv", switch)
    assert jobs == {"tabulate_dlc_table1": 1}
    copy.run("--cores", "1", "results/dlc/table1.csv", switch)
    table = pd.read_csv(copy.folder / "results/dlc/table1.csv")
    assert table["Method"].tolist()[5:10] == [
        "Chance", "HFFN-MoE-DLC (oracle gate) (stand-in weights)", "Majority class", "MoE-DLC (oracle gate)",
        "MoE-SLC (oracle gate)",
    ]  # fmt: skip
    assert table["Method"].tolist()[-2:] == ["Chance", "Majority class"]
    majority = table[table["Method"] == "Majority class"].iloc[:, 2:]
    assert (majority.iloc[0] == 25.0).all()
    # a held-out condition of so few utterances may lack the class
    assert (majority.iloc[1] <= 50.0).all()


def test_levels_of_stand_ins_are_planned_anew_and_their_voices_stay(copy: Workflow) -> None:
    jobs = copy.plan("results/dlc/table1.csv", '--config=synthetic={"snr_offset_db": 0}')
    assert jobs["plan_noise"] == 1
    assert {"extract_features", "transcribe", "train_dlc", "train_noise_classifier"} <= set(jobs)
    assert not {"make_synthetic_corpus", "prepare_audio", "split_utterances", "prepare_weights"} & set(jobs)
    raised = pd.read_csv(copy.folder / "results/dlc/table1.csv")
    assert [name for name in raised if name.startswith("IEMOCAP")] == ["IEMOCAP (synthetic, SNR +25 dB) h1"]


def test_stand_ins_stand_beside_the_paper_and_are_not_compared(finished: Workflow) -> None:
    comparison = pd.read_csv(finished.folder / "results/dlc/table1_vs_paper.csv")
    assert comparison["ours_mean"].notna().all()
    # the paper has no mean over one corpus
    assert (comparison["paper"].notna() == (comparison["column"] == "IEMOCAP h1")).all()
    assert comparison["difference"].isna().all()
    assert comparison["note"].str.contains("synthetic").all()
    # all cells, the overall ones too
    for departure in ("maps 8, the paper's 128; kernel 8, the paper's 16;", "; optimiser adam, the paper's adadelta"):
        assert comparison["note"].str.contains(departure).all()
    read = comparison["method"].str.startswith("HFFN")
    assert (comparison["note"].str.contains("stand-in weights of .*bert.*: not compared") == read).all()


def test_the_counts_add_up_from_listing_to_prediction(finished: Workflow) -> None:
    results = finished.folder / "results"
    listing = pd.read_parquet(results / "corpora/iemocap/listing.parquet")
    utterances = pd.read_parquet(results / "corpora/iemocap/utterances.parquet")
    rejected = pd.read_csv(results / "corpora/iemocap/rejected.csv")
    assert len(listing) == len(utterances) + len(rejected)
    plan = pd.read_parquet(results / "noise/iemocap/h1.parquet")
    frames = pd.read_parquet(results / "packed/mfb/iemocap/h1.parquet")
    assert list(plan["utterance"]) == list(frames["utterance"]) == list(utterances["utterance"])
    for metrics in sorted((results / "runs").rglob("metrics.json")):
        found = json.loads(metrics.read_text())
        predictions = pd.read_parquet(metrics.with_name("predictions.parquet"))
        scored = predictions[predictions["role"] == "test"]
        assert sum(fit["sizes"]["test"] for fit in found["fits"]) == len(scored)


def test_every_file_is_as_the_page_of_results_says(finished: Workflow) -> None:
    assert finished.faults() == []
    page, results = results_page(finished.checkout), finished.folder / "results"
    # what the study adds to the columns of all studies is somewhere among them
    assert page.unseen(results, "dlc") == set()
    files = [path for path in results.rglob("[!.]*") if path.is_file()]
    made = {page.pattern_of(path.relative_to(results).as_posix()) for path in files}
    elsewhere = {
        # of real data; of a training that was stopped; asked for by no study yet
        *("corpora/{corpus}/files.json", "noise/files.json"),
        *("runs/{study}/{cell}/fits/{fit}.pt", "runs/{study}/{cell}/embeddings.parquet"),
        # targets of their own
        *(
            pattern
            for pattern in page.patterns()
            if pattern.startswith(
                (
                    "dlc/pilot/",
                    "dlc/robustness",
                    "{study}/robustness/",
                    "dlc/shift",
                    "noise/{corpus}/levels",
                    "statistics/",
                    "versions/",
                    "packed/audio/",
                    "pulses/",
                    "report/",
                    "audit/",
                    "invariance/",
                    "temporal/",
                    "multigating/",
                    "speakernorm/",
                )
            )
        ),
        *("noise/{corpus}/{profile}/audio/plan.csv", "noise/{corpus}/{profile}/audio/{utterance}.flac"),
        *("{study}/claims.csv", "{study}/claims.md", "qc/{study}.csv", "qc/{study}.md", "{study}/premiums.csv"),
        *("{study}/{table}.tex", "{study}/{table}.md"),
    }
    assert made == set(page.patterns()) - elsewhere


def test_every_artefact_is_described_at_80_columns(finished: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that is longer has a line of its own."""
    monkeypatch.chdir(finished.folder)
    paths = [
        path for path in Path("results").rglob("[!.]*") if path.suffix in (".parquet", ".csv", ".json", ".safetensors")
    ]
    assert len(paths) > 50
    for path in sorted(paths):
        done = CliRunner().invoke(app, ["inspect", str(path)])
        assert done.exit_code == 0, done.output
        assert [line for line in done.stdout.splitlines() if len(line) > 80] in ([], [str(path)])


def test_a_finished_run_has_nothing_to_do(finished: Workflow) -> None:
    assert finished.plan("results/table1.csv") == {}


def test_editing_the_moe_retrains_the_moe_and_rebuilds_the_table_and_nothing_else(copy: Workflow) -> None:
    module = copy.checkout / "src/serflow/studies/dlc/moe.py"
    module.write_text(module.read_text() + "\n_EDITED = True\n")
    jobs = copy.plan("results/table1.csv")
    tables = ("tabulate_dlc_table1", "tabulate_dlc_intervals", "plot_dlc_curves", "plot_dlc_figure4", "make_table1")
    assert jobs == {"train_dlc": 5, **dict.fromkeys(tables, 1)}
    output = copy.run("-n", "results/table1.csv")
    assert output.count("Train moe_slc on iemocap") == output.count("Train moe_dlc on iemocap") == 2
    assert output.count("Train hffn_moe_dlc on iemocap") == 1
    assert "Train single" not in output
    assert "Train dsn_dlc" not in output
    assert "Train noise_classifier" not in output
    assert "Params have changed" in output


def test_an_option_of_one_method_retrains_that_method_alone(copy: Workflow) -> None:
    output = copy.run("-n", "results/table1.csv", '--config=dlc={"maddog": {"weight": 0.5}}')
    assert output.count("Train maddog on iemocap") == output.count("Train ") == 1
    output = copy.run("-n", "results/table1.csv", '--config=dlc={"dsn": {"difference": 0.5}}')
    assert output.count("Train ") == 3
    for method in ("dsn_slc", "dsn_dlc", "hffn_dsn_dlc"):
        assert output.count(f"Train {method} on iemocap") == 1


def test_editing_a_comment_or_a_docstring_does_nothing(copy: Workflow) -> None:
    for name in ("studies/dlc/moe.py", "features/mfb.py", "stages/train.py", "stores/parquet.py"):
        module = copy.checkout / "src/serflow" / name
        text = module.read_text()
        assert text.startswith('"""')
        module.write_text('"""Another docstring. ' + text[3:] + "\n# a comment\n")
    assert copy.plan("results/table1.csv") == {}


def test_editing_the_feature_keeps_audio_and_noise_plan(copy: Workflow) -> None:
    module = copy.checkout / "src/serflow/features/mfb.py"
    module.write_text(module.read_text() + "\n_EDITED = True\n")
    jobs = copy.plan("results/table1.csv")
    assert not {"prepare_audio", "plan_noise", "split_utterances", "make_synthetic_corpus"} & set(jobs)
    assert jobs["extract_features"] == 2


def test_a_changed_snr_keeps_audio_and_clean_features(copy: Workflow) -> None:
    copy.config.write_text(SMALL + "\nnoise: {profiles: {h1: {natural: 0, interior: -20, human: -20}}}\n")
    jobs = copy.plan("results/table1.csv")
    assert jobs["plan_noise"] == 1
    assert jobs["extract_features"] == 1
    assert "prepare_audio" not in jobs


def test_a_half_written_store_is_named_by_its_reader(copy: Workflow) -> None:
    store = copy.folder / "results/features/mfb/iemocap/h1/0000.parquet"
    store.write_bytes(store.read_bytes()[:-100])
    output = copy.run("--cores", "2", "results/table1.csv", "--forcerun", "pack_features", ok=False)
    assert "0000.parquet: not a whole Parquet file" in output
    assert "delete it and run the same command again" in output


def test_a_killed_training_goes_on_and_gives_the_same_table(copy: Workflow, finished: Workflow) -> None:
    runs = copy.folder / "results/runs/dlc/exp2/moe_dlc"
    forget(copy, "results/runs/dlc/exp2/moe_dlc", "results/dlc", "results/table1.csv")
    running = subprocess.Popen(
        copy.command("--cores", "1", "results/table1.csv"),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not list(runs.rglob("fits/*")) and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert running.poll() is None, "training ended before it could be killed"
    subprocess.run(["pkill", "-KILL", "-s", str(running.pid)], check=True)
    running.wait()
    assert not list(runs.rglob("metrics.json"))
    copy.run("--unlock")
    copy.run("--cores", "1", "results/table1.csv")
    for name in ("results/table1.csv", "results/dlc/table1_vs_paper.csv"):
        assert (copy.folder / name).read_bytes() == (finished.folder / name).read_bytes()
    cell = "results/runs/dlc/exp2/moe_dlc/iemocap/h1"
    for name in ("predictions.parquet", "history.parquet", "metrics.json", "model.safetensors"):
        assert (copy.folder / cell / name).read_bytes() == (finished.folder / cell / name).read_bytes()


def test_two_snakemakes_at_once(copy: Workflow) -> None:
    forget(copy, "results/runs", "results/dlc", "results/table1.csv")
    first = subprocess.Popen(
        copy.command("--cores", "1", "results/table1.csv"),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    locks = copy.folder / ".snakemake/locks"
    deadline = time.monotonic() + 60
    while not (locks.is_dir() and any(locks.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.05)
    # it does not end before the second has looked
    first.send_signal(signal.SIGSTOP)
    output = copy.run("--cores", "1", "results/table1.csv", ok=False)
    first.send_signal(signal.SIGCONT)
    first.send_signal(signal.SIGINT)
    first.wait()
    assert "locked" in output
    assert "--unlock" in output


def test_unwritable_results(repository: Path, tmp_path: Path) -> None:
    workflow = Workflow(repository, tmp_path, SMALL)
    (tmp_path / "results").write_text("a file where the folder should be")
    output = workflow.run("--cores", "1", "results/noise/clips.parquet", ok=False)
    assert "results: a file stands where a folder is needed" in output
    assert "Traceback" not in output


def test_the_page_of_results_shows_what_was_made(copy: Workflow, tmp_path: Path) -> None:
    copy.run("--cores", "2", "results/report/dlc.html")
    place = copy.folder / "results/report"
    page = (place / "dlc.html").read_text()
    for name in ("table1", "noise_classifier", "wer"):
        assert f'data-table="{name}"' in page
        assert (place / f"dlc_tables/{name}.html").is_file()
    for name in ("figure4", "curves"):
        assert f'data-figure="{name}"' in page
    assert page.count(">synthetic corpus</strong>") > 5
    listing = json.loads(page.split('id="listing">')[1].split("</script>")[0])
    heard = {stem for facts in listing["utterances"] for stem, _ in facts[4].values()}
    assert {stem.rsplit("-", 1)[1] for stem in heard} == {"clean", "h1"}
    assert {path.stem for path in (place / "dlc_audio/iemocap").glob("*.flac")} == {Path(stem).name for stem in heard}
    assert len(page) < 5_000_000
    assert copy.faults() == []
    assert copy.plan("results/report/dlc.html") == {}

    # Snakemake's own report begins with it, and shows tables where it offered downloads
    report = tmp_path / "report.html"
    copy.run("results/report/dlc.html", "--report", str(report))
    text = report.read_text()
    categories = json.loads(re.search(r"var categories = (\{.*?\});?\n", text)[1])
    assert min(categories) == "All results"
    assert categories["All results"] == {"Other": ["results/report/dlc.html"]}
    assert "results/report/dlc_tables/table1.html" in categories["DLC"]["Other"]
    assert not [
        path for found in categories.values() for paths in found.values() for path in paths if path.endswith(".csv")
    ]

    # without audio that of the earlier page goes
    quiet = ("results/report/index.html", "--config", "report={audio: false, studies: [dlc]}")
    assert copy.plan(*quiet) == {"report_dlc": 1, "report_index": 1}
    copy.run("--cores", "2", *quiet)
    assert not list((place / "dlc_audio").rglob("*.flac"))
    assert 'href="dlc.html"' in (place / "index.html").read_text()


def test_both_readings_of_the_papers_levels_stand_on_the_page_each_beside_the_paper(
    repository: Path, tmp_path: Path
) -> None:
    workflow = Workflow(repository, tmp_path, BOTH_READINGS)
    workflow.run("--cores", "2", "results/report/dlc.html")
    results = tmp_path / "results"
    compared, sure = {}, {}
    for name in ("table1", "table1_gain"):
        compared[name] = pd.read_csv(results / f"dlc/{name}_vs_paper.csv").set_index(["method", "column"])
        sure[name] = pd.read_csv(results / f"dlc/{name}_intervals.csv").set_index(["method", "column"])
        assert (sure[name]["value"] - compared[name]["ours_mean"]).abs().max() < 0.011
    text, gain = (compared[name] for name in ("table1", "table1_gain"))
    assert list(pd.read_csv(results / "dlc/table1_gain.csv").columns)[2:] == [
        *(f"IEMOCAP (synthetic, SNR +25 dB) {profile}" for profile in ("h1_gain", "h2_gain")),
        *(f"Overall (synthetic, SNR +25 dB){profile}" for profile in (" h1_gain", " h2_gain", "")),
    ]
    for method in ("Single", "MoE-DLC"):
        printed = text.loc[(method, "IEMOCAP h1"), "paper"]
        assert printed > 0
        assert gain.loc[(method, "IEMOCAP h1_gain"), "paper"] == printed
    # the two are mixed otherwise, and say so
    assert gain["note"].str.contains("mixing authors_gain, the paper's snr").all()
    assert not text["note"].str.contains("authors_gain").any()
    plans = [pd.read_parquet(results / f"noise/iemocap/{name}.parquet") for name in ("h1", "h1_gain")]
    assert not plans[0]["achieved_snr_db"].equals(plans[1]["achieved_snr_db"])

    page = (results / "report/dlc.html").read_text()
    places = [page.index(f'data-table="{name}"') for name in ("table1", "table1_gain", "noise_classifier_gain")]
    assert places == sorted(places)
    listing = json.loads(page.split('id="listing">')[1].split("</script>")[0])
    heard = {stem.rsplit("-", 1)[1] for facts in listing["utterances"] for stem, _ in facts[4].values()}
    assert heard == {"clean", "h1", "h1_gain", "h2_gain"}
    assert workflow.faults() == []
    assert workflow.plan("results/report/dlc.html") == {}


def test_a_table_does_not_wait_for_its_page(finished: Workflow) -> None:
    edited = finished.checkout / "src/serflow/report/page/assets/page.css"
    style = edited.read_text()
    try:
        edited.write_text(f"{style}\n/* another */\n")
        assert finished.plan("results/table1.csv") == {}
        beside = ("audit_dlc", "fingerprint_audio", "find_near_duplicates", "judge_dlc_claims")
        assert finished.plan("results/report/dlc.html") == {"report_dlc": 1, **dict.fromkeys(beside, 1)}
    finally:
        edited.write_text(style)


def test_noisy_audio_to_listen_to(copy: Workflow) -> None:
    copy.run("--cores", "2", "results/noise/iemocap/h1/audio")
    flacs = list((copy.folder / "results/noise/iemocap/h1/audio").glob("*.flac"))
    assert len(flacs) == len(pd.read_parquet(copy.folder / "results/noise/iemocap/h1.parquet"))
    assert copy.faults() == []


def test_real_corpora_and_real_noise(repository: Path, real_data: Path, tmp_path: Path) -> None:
    """A cut of the fuller free preset: three speakers of EmoDB, a part of RAVDESS and nEMO, real ESC-50 clips."""
    data = tmp_path / "data"
    (data / "esc50").mkdir(parents=True)
    (data / "esc50/meta").symlink_to(real_data / "esc50/meta")
    (data / "esc50/audio").symlink_to(real_data / "esc50/audio")
    (data / "emodb/wav").mkdir(parents=True)
    for file in (real_data / "emodb/wav").glob("0*.flac"):
        (data / "emodb/wav" / file.name).symlink_to(file)
    for file in (real_data / "ravdess").glob("Actor_*/03-01-0[3456]-01-*-01-*.flac"):
        (data / "ravdess" / file.parent.name).mkdir(parents=True, exist_ok=True)
        (data / "ravdess" / file.parent.name / file.name).symlink_to(file)
    (data / "nemo/samples").mkdir(parents=True)
    # a table's paths may not lead out of its root by links
    shutil.copy(real_data / "nemo/data.tsv", data / "nemo")
    for file in (real_data / "nemo/samples").glob("*_[1-6].flac"):
        shutil.copy(file, data / "nemo/samples")
    cut = (repository / "workflow/presets/free_full.yaml").read_text()
    for line, other in CUTS.items():
        assert cut.count(line) == 1
        cut = cut.replace(line, other)
    workflow = Workflow(repository, tmp_path / "work", f"data_root: {data}\n{cut}")
    workflow.run("--cores", "2", "results/table1.csv")
    table = pd.read_csv(tmp_path / "work/results/table1.csv", keep_default_na=False)
    multimodal = table["Method"] == "HFFN-Single"
    assert multimodal.sum() == 2
    assert (table[multimodal].iloc[:, 2:] == "n/a").all(axis=None)
    # one epoch on a few utterances may be wrong about every one of a corpus
    scores = table[~multimodal].iloc[:, 2:].astype(float)
    assert ((scores >= 0) & (scores <= 100)).all(axis=None)
    assert (scores.max(axis=1) > 0).all()
    assert list(table.columns) == [
        *("Experiment", "Method"),
        *(f"{corpus} (partial, partial noise) h1_gain" for corpus in ("EmoDB", "RAVDESS", "nEMO")),
        *("Overall (partial, partial noise) h1_gain", "Overall (partial, partial noise)"),
    ]
    utterances = pd.read_parquet(tmp_path / "work/results/corpora/emodb/utterances.parquet")
    assert len(utterances) == 49 + 58 + 43
    comparison = pd.read_csv(tmp_path / "work/results/dlc/table1_vs_paper.csv")
    assert comparison["paper"].isna().all()
    built = comparison["ours_mean"].notna()
    assert (~built == comparison["method"].str.startswith("HFFN")).all()
    assert comparison.loc[~built, "note"].str.startswith("n/a: no turns in dialogues").all()
    assert (
        comparison.loc[built & comparison["column"].str.startswith("RAVDESS"), "note"]
        .str.contains("96 of 1,?440")
        .all()
    )


def test_checkout_copies_are_what_is_tested(repository: Path, tmp_path: Path) -> None:
    """The rules run the package of the checkout they stand in, not an installed one."""
    checkout = copy_checkout(repository, tmp_path / "checkout")
    edit(
        checkout / "src/serflow/stages/make_synthetic_esc50.py", "def main(", 'raise SystemExit("mine")\n\n\ndef main('
    )
    output = Workflow(checkout, tmp_path / "work", SMALL).run(
        "--cores", "1", "resources/synthetic/esc50.json", ok=False
    )
    assert "mine" in output
