"""Dry runs: what would run, with no data at all."""

import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from harness import SMALL, Workflow, copy_checkout, environment

pytestmark = pytest.mark.workflow

# root may write everywhere, but for this
AS_USER = ("setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override") if os.geteuid() == 0 else ()
BOMB = "a: &a {x: 1}\n" + "".join(f"{b}: &{b} {{x: *{a}, y: *{a}, z: *{a}}}\n" for a, b in pairwise("abcdefghijklmnop"))


def test_default_plan_names_every_stage_of_table1(repository: Path, tmp_path: Path) -> None:
    jobs = Workflow(repository, tmp_path, "{}").plan("results/table1.csv")
    assert jobs == {
        "make_synthetic_corpus": 3,
        "make_synthetic_esc50": 1,
        "list_utterances": 3,
        "prepare_audio": 3,
        "accept_utterances": 3,
        "split_utterances": 3,
        "prepare_clips": 1,
        "plan_noise": 9,
        "extract_features": 12,
        "fetch_deepspeech": 1,
        "prepare_weights": 2,
        "transcribe": 12,
        "tabulate_wer": 1,
        "embed_text": 9,
        "pack_features": 21,
        # of each corpus 14 rows of two experiments, their noise classifiers and a control, each in all profiles
        "train_dlc_batch_table1": 3 * (14 + 2 + 1),
        "tabulate_dlc_table1": 1,
        "tabulate_dlc_intervals": 1,
        "plot_dlc_curves": 1,
        "plot_dlc_figure4": 1,
        "describe_dlc_protocol": 1,
        "make_table1": 1,
    }


def test_the_other_reading_of_the_papers_levels_is_a_target_beside_it(repository: Path, tmp_path: Path) -> None:
    workflow = Workflow(repository, tmp_path, "{}")
    jobs = workflow.plan("results/dlc/table1_gain.csv", "results/dlc/table1_gain_intervals.csv")
    assert (jobs["plan_noise"], jobs["train_dlc_batch_table1_gain"]) == (9, 3 * (14 + 2 + 1))
    assert (jobs["tabulate_dlc_table1_gain"], jobs["tabulate_dlc_intervals"]) == (1, 1)
    assert "train_dlc_batch_table1" not in jobs
    assert workflow.plan("results/noise/emodb/levels.csv")["plan_noise"] == 6


def test_only_stand_ins_are_trained_in_all_profiles_at_once(repository: Path, tmp_path: Path) -> None:
    workflow = Workflow(repository, tmp_path, "corpora: {iemocap: {root: /data/IEMOCAP_full_release}}")
    jobs = workflow.plan("results/table1.csv")
    assert jobs["train_dlc_batch_table1"] == 2 * (14 + 2 + 1)
    assert jobs["train_dlc"] + jobs["train_noise_classifier"] == 3 * (14 + 2 + 1)
    # one cell of a stand-in brings those of the other profiles along
    alone = workflow.plan("results/runs/dlc/exp1/single/mosei/h2/metrics.json")
    assert alone["train_dlc_batch_table1"] == 1


def test_default_target_is_table1(repository: Path, tmp_path: Path) -> None:
    jobs = Workflow(repository, tmp_path, SMALL).plan()
    assert jobs.pop("all") == 1
    assert jobs == Workflow(repository, tmp_path, SMALL).plan("results/table1.csv")


def test_paper_size_is_planned_without_any_corpus(repository: Path, tmp_path: Path) -> None:
    preset = (repository / "workflow/presets/paper.yaml").read_text()
    workflow = Workflow(repository, tmp_path, preset)
    output = workflow.run("results/table1.csv", "-n", "-q", "rules")
    for word in ("corpora.iemocap.root", "sail.usc.edu/iemocap", "corpora.msp_improv.root", "noise.esc50.root"):
        assert word in output
    jobs = workflow.plan("results/table1.csv")
    shards = -(-10039 // 512) + -(-8438 // 512) + -(-23259 // 512)
    assert jobs["prepare_audio"] == shards
    assert jobs["extract_features"] == 4 * shards
    # a job a cell
    assert jobs["train_dlc"] + jobs["train_noise_classifier"] == 9 * (14 + 2 + 1)
    assert jobs["transcribe"] == 4 * shards


def test_corpora_without_turns_have_no_multimodal_cells_and_no_transcripts(repository: Path, tmp_path: Path) -> None:
    jobs = Workflow(repository, tmp_path, "dlc: {corpora: [emodb], profiles: [h1]}").plan("results/table1.csv")
    assert jobs["train_dlc"] == 3 + 1 + 7
    assert not {"transcribe", "embed_text", "fetch_deepspeech", "prepare_weights"} & set(jobs)


@pytest.mark.parametrize(
    ("line", "more", "less"),
    [
        ('dlc={"asr": "reference"}', {"transcribe"}, {"fetch_deepspeech"}),
        ('dlc={"asr": "wav2vec2"}', {"transcribe", "prepare_weights"}, {"fetch_deepspeech"}),
        ('dlc={"hffn": "staged"}', {"fetch_deepspeech"}, set()),
        ('dlc={"methods": ["single", "dann"]}', {"train_dlc"}, {"transcribe", "embed_text", "train_noise_classifier"}),
        ('dlc={"methods": ["moe_dlc"]}', {"train_dlc", "train_noise_classifier"}, {"transcribe"}),
        ('dlc={"split": "speaker"}', {"transcribe"}, set()),
        ('noise={"clips": "by_fold"}', {"transcribe"}, set()),
        ('noise={"mixing": "authors_gain"}', {"transcribe"}, set()),
    ],
)
def test_each_choice_is_one_line(repository: Path, tmp_path: Path, line: str, more: set[str], less: set[str]) -> None:
    jobs = Workflow(repository, tmp_path, SMALL).plan("results/table1.csv", f"--config={line}")
    assert more <= set(jobs)
    assert not less & set(jobs)


def test_controls_that_are_trained_add_cells(repository: Path, tmp_path: Path) -> None:
    plain = Workflow(repository, tmp_path, SMALL)
    switch = '--config=dlc={"controls": ["oracle_gate", "single_wide", "single_shuffled", "svc", "chance", "majority"]}'
    jobs, more = plain.plan("results/table1.csv"), plain.plan("results/table1.csv", switch)
    assert more["train_dlc"] == jobs["train_dlc"] + 6


def test_a_run_without_the_corpus_stops_before_the_first_job(repository: Path, tmp_path: Path) -> None:
    workflow = Workflow(repository, tmp_path, "corpora: {iemocap: {root: /nowhere/IEMOCAP_full_release}}")
    output = workflow.run("--cores", "1", "results/table1.csv", ok=False)
    assert "test.yaml:1: corpora.iemocap.root: no folder /nowhere/IEMOCAP_full_release" in output
    assert "https://sail.usc.edu/iemocap/ (signed agreement)" in output
    assert "corpora: {iemocap: {root: /path/to/it}}" in output
    assert not (tmp_path / "results").exists()


def test_what_is_missing_is_said_where_it_is_needed_alone(repository: Path, tmp_path: Path) -> None:
    """Corpora of `features` are looked for like those of a table."""
    missing = {
        "corpora.iemocap.root": "corpora: {iemocap: {root: /no/IEMOCAP}, cafe: {root: null}, emodb: {root: no/EmoDB}}",
        "noise.esc50.root": "noise: {esc50: {root: /nowhere/ESC-50}}",
        "transcripts.deepspeech.engine": "transcripts: {deepspeech: {engine: /nowhere/lib.so}}",
        "backbones.byol.weights": "backbones: {byol: {weights: /nowhere/byol.pth}, bert: {weights: /nowhere/bert}}",
    }
    workflow = Workflow(repository, tmp_path, "\n".join(missing.values()))
    keys = [*missing, "corpora.emodb.root", "corpora.cafe.root", "backbones.bert.weights"]

    def said(target: str) -> set[str]:
        output = workflow.run(target, "-n", "-q", "rules")
        assert output.count("A run would stop here.") == output.count("Not there yet:")
        return {key for key in keys if key in output}

    assert said("results/features/mfb/ravdess/clean") == set()
    assert said("results/features/mfb/emodb/clean") == {"corpora.emodb.root"}
    assert said("results/features/mfb/cafe/h1/0000.parquet") == {"corpora.cafe.root", "noise.esc50.root"}
    assert said("results/features/byol/mosei/clean") == {"backbones.byol.weights"}
    assert said("results/features/bert_reference/mosei/clean/0000.parquet") == {"backbones.bert.weights"}
    assert said("results/transcripts/deepspeech/iemocap/clean/0000.parquet") == {
        "corpora.iemocap.root", "transcripts.deepspeech.engine",
    }  # fmt: skip


def test_licensed_corpus_needs_one_edit(repository: Path, tmp_path: Path) -> None:
    """Only the root is changed, on the command line; nothing synthetic is made for that corpus any more."""
    workflow = Workflow(repository, tmp_path, "corpora: {iemocap: {root: /data/IEMOCAP_full_release}}")
    jobs = workflow.plan("results/table1.csv")
    assert jobs["make_synthetic_corpus"] == 2
    assert jobs["prepare_audio"] == 2 + -(-10039 // 512)


def test_unknown_key_is_refused_with_line_and_nearest_key(repository: Path, tmp_path: Path) -> None:
    workflow = Workflow(repository, tmp_path, "dlc:\n  trainig: {patience: 3}\n")
    output = workflow.run("-n", ok=False)
    assert "test.yaml:2: unknown key dlc.trainig (did you mean 'training'?)" in output


def test_each_feature_store_and_noisy_audio_is_a_target(repository: Path, tmp_path: Path) -> None:
    workflow = Workflow(repository, tmp_path, SMALL)
    jobs = workflow.plan("results/features/mfb/emodb/h2/0000.parquet")
    assert jobs["extract_features"] == 1
    jobs = workflow.plan("results/noise/cafe/h3/audio")
    assert jobs["render_noisy"] == 1


def test_every_configured_corpus_can_be_planned(repository: Path, tmp_path: Path) -> None:
    workflow = Workflow(repository, tmp_path, "{}")
    corpora = yaml.safe_load((repository / "config.yaml").read_text())["corpora"]
    jobs = workflow.plan(*(f"results/corpora/{corpus}/utterances.parquet" for corpus in corpora))
    assert jobs["accept_utterances"] == len(corpora) == 8


def test_rulegraph_reads_like_the_method(repository: Path, tmp_path: Path) -> None:
    graph = Workflow(repository, tmp_path, SMALL).run("results/table1.csv", "--rulegraph")
    for rule in (
        "prepare_audio",
        "plan_noise",
        "extract_features",
        "train_noise_classifier",
        "train_dlc",
        "tabulate_dlc_table1",
    ):
        assert f'"{rule}"' in graph


@pytest.mark.parametrize("with_dot", [True, False])
def test_make_rulegraph_draws_it_with_or_without_graphviz(repository: Path, tmp_path: Path, with_dot: bool) -> None:
    checkout = copy_checkout(repository, tmp_path / "checkout")
    shutil.copy(repository / "Makefile", checkout)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "make", "mv", "rm", "nproc", "grep", "env"):
        (programs / name).symlink_to(str(shutil.which(name)))
    if with_dot:
        (programs / "dot").write_text('#!/bin/bash\nread -r first < $2 && echo "<svg>$first</svg>"\n')
        (programs / "dot").chmod(0o755)
    done = subprocess.run(
        ["make", "-o", "env", "rulegraph", f"BIN={Path(sys.executable).parent}"],
        cwd=checkout, env={**environment(), "PATH": str(programs)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    made = checkout / ("rulegraph.svg" if with_dot else "rulegraph.md")
    assert ("<svg>digraph" if with_dot else "train_dlc") in made.read_text()
    assert ("apt-get install graphviz" in done.stdout) == (not with_dot)


def test_targets_are_found_in_the_forms_that_people_type(repository: Path, tmp_path: Path) -> None:
    workflow = Workflow(repository, tmp_path, SMALL)
    store, table = "results/features/mfb/emodb/clean", "results/corpora/emodb/utterances.parquet"
    jobs = workflow.plan(store, table)
    assert jobs == workflow.plan(f"./{store}/", f"{tmp_path}/{table}")
    assert jobs == workflow.plan(f"{tmp_path}/{store}", f"results//{table[8:]}", "--forcerun", f"./{table}")


def test_a_slip_in_a_target_is_told_with_what_was_meant(repository: Path, tmp_path: Path) -> None:
    workflow = Workflow(repository, tmp_path, SMALL)
    cell, dat = "results/runs/dlc/exp1/single/iemocap/h1", "results/runs/invariance/dat/iemocap/main"
    slips = {
        "reslts/table1.csv": "results/table1.csv",
        "results/tabel1.csv": "results/table1.csv",
        "table1": "results/table1.csv",
        "results/dlc/table1_intervalls.csv": "results/dlc/table1_intervals.csv",
        "results/dlc/pilot/iemcap.svg": "results/dlc/pilot/iemocap.svg",
        "results/invarience/table2.csv": "results/invariance/table2.csv",
        "invarience": "invariance",
        "feature": "features",
        "results/features/mbf/emodb/clean": "results/features/mfb/emodb/clean",
        "results/features/mfb/emodb": "results/features/mfb/emodb/clean",
        "results/corpora/emodb": "results/corpora/emodb/utterances.parquet",
        "results/noise/emodb/h1/audios": "results/noise/emodb/h1/audio",
        "results/runs/dlc/exp1/sngle/iemocap/h1/metrics.json": f"{cell}/metrics.json",
        cell: f"{cell}/metrics.json",
        "results/runs/invariance/datt/iemocap/main/metrics.json": f"{dat}/metrics.json",
        "results/transcripts/deepspech/wer.csv": "results/transcripts/deepspeech/wer.csv",
        "results/report/indx.html": "results/report/index.html",
        "results/report": "results/report/index.html",
    }
    none = {
        "runs/dlc/exp1/dann/iemocap/h1/metrics.json": "DANN is of experiment 2 alone: ask for exp2/dann/iemocap/h1",
        "versions/clean/dlc/exp2/hffn_moe_dlc/iemocap/h1/model.safetensors": "HFFN-MoE-DLC is of experiment 1 alone",
        "runs/invariance/dat/iemocap/mian/metrics.json": "the variants of invariance that are asked for are main",
        "runs/temporal/spectrogram/iemocap/plian/metrics.json": "the variants of temporal that are asked for are plain",
    }
    alone = Workflow(repository, tmp_path / "alone", "invariance: {systems: [ser_only]}\n")
    found = alone.run("results/invariance/search_vs_paper.csv", "-n", ok=False)
    assert "Nothing makes results/invariance/search_vs_paper.csv: it tries values of mtl, dat, cgt, and none" in found
    jobs = workflow.plan("results/runs/invariance/mtl/iemocap/search-weight-0.1/metrics.json")
    assert jobs["train_invariance"] == 1
    # all in one go
    said = workflow.run(*slips, *(f"results/{target}" for target in none), "-n", ok=False)
    for target, why in none.items():
        assert f"Nothing makes results/{target}: {why}" in said
    for target, meant in slips.items():
        assert f"Nothing makes {target}: did you mean {meant}?" in said
    assert "did you mean plan_noise?" in workflow.run("features", "--until", "plan_nois", "-n", ok=False)
    # a folder that is there is no target for that
    (tmp_path / "results/features").mkdir(parents=True)
    assert "Nothing makes results/features: did you mean" in workflow.run("results/features", "-n", ok=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("noise:\n\tseed: 3\n", "test.yaml:2: not YAML: "),
        ("noise:\n  seed: 3\nnoise: {}\n", "test.yaml:3: noise stands twice in one section, in lines 1 and 3"),
        (BOMB, "values where aliases (*) are followed"),
        ("a: &a {b: *a}\n", "test.yaml:1: an alias (*) stands within what it stands for"),
        ("dlc:\n  corpora:\n    - iemocap\n    - emodbb\n", "test.yaml:4: dlc.corpora.1: 'emodbb' is not in corpora"),
        ("corpora:\n  my corpus: {root: x}\n", "test.yaml:2: corpora: 'my corpus' cannot be a name"),
        ("noise: {profiles: {clean: {natural: 1, interior: 1, human: 1}}}\n", "this name is kept for speech without"),
    ],
)  # fmt: skip
def test_a_slip_in_a_file_of_the_command_line_is_told_with_its_line(
    repository: Path, tmp_path: Path, text: str, said: str
) -> None:
    """Snakemake loads these files before it reads the Snakefile."""
    output = Workflow(repository, tmp_path, text).run("-n", ok=False)
    assert said in output
    assert "Traceback" not in output


def test_a_slip_in_config_yaml_is_told_with_its_line(repository: Path, tmp_path: Path) -> None:
    workflow = Workflow(copy_checkout(repository, tmp_path / "checkout"), tmp_path / "work", "{}")
    config = workflow.checkout / "config.yaml"
    config.write_text("noise: {}\n" + config.read_text())
    assert re.search(
        r"config\.yaml:\d+: noise stands twice in one section, in lines 1 and", workflow.run("-n", ok=False)
    )


@pytest.mark.parametrize("folder", [".snakemake", "results", "."])
def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(repository: Path, tmp_path: Path, folder: str) -> None:
    if AS_USER and shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and setpriv is not there")
    workflow = Workflow(repository, tmp_path / "work", SMALL)
    closed = workflow.folder / folder
    closed.mkdir(exist_ok=True)
    closed.chmod(0o555)
    command = [*AS_USER, *workflow.command("resources/synthetic/emodb.json", "--cores", "1")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment(), timeout=1800)
    closed.chmod(0o755)
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "`snakemake --directory DIR`" in said
    assert "another folder" in said
    assert "PermissionError" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["results", "resources", ".snakemake"])
def test_a_file_in_the_place_of_a_folder_is_told(repository: Path, tmp_path: Path, name: str) -> None:
    workflow = Workflow(repository, tmp_path, SMALL)
    (tmp_path / name).write_text("")
    said = workflow.run("results/corpora/emodb/listing.parquet", "--cores", "1", ok=False)
    assert f"{name}: a file stands where a folder is needed" in said
    assert "Traceback" not in said


def test_a_page_trains_its_own_study_and_a_table_makes_no_page(repository: Path, tmp_path: Path) -> None:
    workflow = Workflow(repository, tmp_path, SMALL)
    page = workflow.plan("results/report/temporal.html")
    assert page["report_temporal"] == 1
    assert {name for name in page if name.startswith("train_")} == {"train_temporal"}
    overview = workflow.plan("results/report/index.html", "--config", "report={studies: [temporal]}")
    assert overview == {**page, "report_index": 1}
    assert not [name for name in workflow.plan("results/temporal/table1.csv") if name.startswith("report_")]


def test_a_study_that_is_not_there_has_no_page(repository: Path, tmp_path: Path) -> None:
    said = Workflow(repository, tmp_path, SMALL).run(
        "results/report/index.html", "-n", "--config", "report={studies: [dcl]}", ok=False
    )
    assert "report.studies.0: 'dcl' is no study (did you mean 'dlc'?)" in said


def test_rules_to_ask_for_are_few_and_say_what_they_make(repository: Path, tmp_path: Path) -> None:
    said = Workflow(repository, tmp_path, SMALL).run("--list-target-rules")
    listed = [line for line in said.splitlines() if re.match(r"\w+ \(", line)]
    names = [line.split()[0] for line in listed]
    assert {"all", "features", "invariance", "multigating", "speakernorm", "temporal"} <= set(names)
    assert len(names) < 15
    assert not any("None" in line for line in listed)


def test_another_configuration_has_a_folder_of_its_own(repository: Path, tmp_path: Path) -> None:
    """Its file is found from where one is, its results go where one says, and those of the first stay."""
    here = copy_checkout(repository, tmp_path / "here")
    (here / "mine.yaml").write_text("dlc: {corpora: [iemocap], profiles: [h1]}\n")
    snakemake = str(Path(sys.executable).parent / "snakemake")

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [snakemake, *arguments], cwd=here, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    ledger, cell = "resources/weights/ledger.csv", "results/runs/dlc/exp1/single/iemocap/h1/metrics.json"
    run(ledger, "--cores", "1")
    before = (here / ledger).stat().st_mtime_ns
    other = tmp_path / "other"
    run(ledger, "--cores", "1", "--directory", str(other), "--configfile", "mine.yaml")
    assert (other / ledger).read_bytes() == (here / ledger).read_bytes()
    assert (here / ledger).stat().st_mtime_ns == before
    asked = ("results/dlc/table1.csv", "-n", "-q", "rules", "--directory", "../other", "--configfile", "mine.yaml")
    jobs = Workflow(here, other, "{}").jobs(run(*asked))
    assert jobs["make_synthetic_corpus"] == 1
    one = Workflow(here, other, "{}").jobs(run(cell, "-n", "-q", "rules", "--directory", "../other"))
    assert [count for name, count in one.items() if name.startswith("train_")] == [1]
    assert "tabulate_dlc_table1" not in one
