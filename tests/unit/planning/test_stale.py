import shlex
from pathlib import Path

import pytest

from serflow.planning import stale
from serflow.planning.dry_run import Plan, Planned
from serflow.planning.finished import Finished
from serflow.planning.stale import reasons

FOLDER = Path("nowhere")
TARGET = "results/table1.csv"
MADE = "Missing output files: results/out"
FOLLOWS = "Input files updated by another job: results/a, results/b"
PARAMS = "Params have changed since last execution: Union of exclusive params before and now across all output: "


def command(stage="train", more="", log="results/logs/train_dlc/exp1/single/emodb/h1.log"):
    return f"python -m serflow.stages.{stage} {more} --log {log}"


def planned(reason, shell=None, output="results/out", rule="train_dlc", inputs=("results/a",)):
    return Planned(rule, inputs, (output,), "", reason, command() if shell is None else shell, 1, 0, 1)


def finished(shell=None, output="results/out", params=(), inputs=("results/a",)):
    return Finished(
        "train_dlc", command() if shell is None else shell, "", list(inputs), list(params), 0.0, 1.0, [output]
    )


@pytest.fixture
def why(monkeypatch):
    """Why jobs would run, with jobs that have finished before."""

    def of(jobs, before=(), said=()):
        monkeypatch.setattr(stale, "read_finished", lambda folder: iter(before))
        return reasons(Plan(list(jobs), list(said)), FOLDER, TARGET)

    return of


def test_what_is_up_to_date_is_said_plainly(why):
    assert why([]) == ["nothing: results/table1.csv is up to date"]


def test_what_was_never_run_is_counted_by_what_it_is(why):
    train = command(more="--study dlc")
    jobs = [planned(MADE, train), planned(MADE, train), planned(f"{MADE}; {FOLLOWS}", command("pack"), rule="pack")]
    assert why(jobs) == ["Never run: 2 trainings of dlc, 1 pack"]


def test_an_output_that_is_gone_is_told_from_one_that_never_was(why):
    assert why([planned(MADE)], [finished()]) == [
        "1 training of None (exp1 single emodb h1): made once, and gone: results/out"
    ]


def test_a_changed_option_is_said_once_for_all_trainings(why):
    def shell(epochs):
        options = shlex.quote(f'{{"training": {{"max_epochs": {epochs}, "patience": 10}}, "model": {{"maps": 8}}}}')
        return command(more=f"--study dlc --options {options} --runs 0")

    outputs = [f"results/{i}" for i in range(97)]
    jobs = [planned(f"{PARAMS}before: 'x' now: 'y' ", shell(5), output) for output in outputs]
    before = [finished(shell(8), output) for output in outputs]
    assert why(jobs, before) == ["97 trainings of dlc: option training.max_epochs was 8, is 5"]
    # Snakemake says no more than this of a job that follows from others
    jobs = [planned(FOLLOWS, shell(5), output) for output in outputs]
    assert why(jobs, before) == ["97 trainings of dlc: option training.max_epochs was 8, is 5"]


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("--runs 0", "--runs 0 1", "option runs was 0, is 0 1"),
        ("--synthetic", "", "option synthetic was given, is not given"),
        ("--code 0123456789abcdef", "--code fedcba9876543210", "its code changed"),
        ("--title=A", "--title=B", "option title was A, is B"),
        ("""--options '{"a": 1}'""", """--options '{"a": 1, "b": [2]}'""", "option b is new: [2]"),
        ("""--options '{"a": 1, "b": 2}'""", """--options '{"a": 1}'""", "option b is gone"),
        ("""--parameters '{"hop": 40}'""", """--parameters '{"hop": 64}'""", "option parameters.hop was 40, is 64"),
        ("""--options '{"a": [1, 2]}'""", """--options '{"a": [1, 3]}'""", "option a was [2], is [3]"),
    ],
)  # fmt: skip
def test_each_kind_of_option_is_compared(why, was, now, said):
    (sentence,) = why([planned(f"{PARAMS}before: 'x' now: 'y' ", command(more=now))], [finished(command(more=was))])
    assert sentence.endswith(f": {said}")


def test_names_of_inputs_and_outputs_are_no_options(why):
    job = planned(FOLLOWS, command(more="--inputs clean=results/c --out results/out"), inputs=("results/c",))
    before = finished(command(more="--inputs clean=results/a --out results/out"))
    assert why([job], [before]) == ["Made anew because what they are made from is: 1 training of None"]


def test_where_a_corpus_lies_is_no_option(why):
    job = planned(FOLLOWS, command(more="--root=data/b"))
    assert why([job], [finished(command(more="--root=data/a"))])[0].startswith("Made anew because")


def test_other_inputs_are_named(why):
    job = planned("Set of input files has changed since last execution", inputs=("results/b", "results/c"))
    assert why([job], [finished(inputs=("results/a", "results/b"))]) == [
        "1 training of None (exp1 single emodb h1): now reads results/c and no longer reads results/a"
    ]


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("Updated input files: results/a, results/b", "input changed: results/a, results/b"),
        ("Updated input files: a, b, c, d, e", "input changed: a, b, c and 2 more"),
        ("Code has changed since last execution", "the rule calls another command"),
        ("Software environment definition has changed since last execution", "the conda environment changed"),
        ("Forced execution", "was asked for by force"),
        ("Incomplete output files: results/out", "stopped while writing"),
        (f"{FOLLOWS}; Code has changed since last execution", "the rule calls another command"),
        ("Something new", "Snakemake says: Something new"),
    ],
)
def test_what_snakemake_says_of_the_rest(why, reason, said):
    (sentence,) = why([planned(reason)], [finished()])
    assert sentence.endswith(f": {said}")


STATE = "0123456789abcdef"
OTHER = "fedcba9876543210"
READS = command("list_utterances", "--root=data/mine", "results/logs/list_utterances/mine.log")
SAID = "corpora.mine.root: since it was read last, changed: labels.csv"


def test_a_changed_corpus_is_told_with_its_files(why):
    job = planned(f"{PARAMS}before: '{STATE}' now: '{OTHER}' ", READS, rule="list_utterances")
    before = [finished(READS, params=[f"'{STATE}'", "'data/mine'"])]
    assert why([job], before, [SAID]) == [f"1 list_utterances (mine): {SAID}"]
    # another corpus changed, so this one's code did
    assert why([job], before, [SAID.replace("mine", "yours")]) == ["1 list_utterances (mine): its code changed"]


def test_corpus_and_code_may_change_together(why):
    job = planned(f"{PARAMS}before: '{STATE}','{STATE[::-1]}' now: '{OTHER}' ", READS, rule="list_utterances")
    before = [finished(READS, params=[f"'{STATE}'", f"'{STATE[::-1]}'"])]
    assert why([job], before, [SAID]) == [f"1 list_utterances (mine): {SAID}; its code changed"]


def test_a_stand_in_in_the_place_of_a_corpus_is_told(why):
    job = planned(f"{PARAMS}before: 'synthetic' now: '{OTHER}' ", READS, rule="list_utterances")
    (sentence,) = why([job], [finished(READS, params=["'synthetic'"])])
    assert "another folder, or a stand-in, in the place of what it read" in sentence


def test_published_numbers_are_told(why):
    tabulate = command("tabulate", "--code 0000000000000000", "results/logs/t.log")
    job = planned(f"{PARAMS}before: ['{STATE}'] now: ['{OTHER}'] ", tabulate, rule="tabulate_dlc_table1")
    (sentence,) = why([job], [finished(tabulate, params=[f"['{STATE}']"])])
    assert sentence == "1 tabulate_dlc_table1: the published numbers, or the templates of a page, changed"


def test_what_a_run_would_stop_at_is_told_apart():
    said = "Not there yet:\ncorpora.iemocap.root: no folder\nA run would stop here."
    assert Plan([], ["Building DAG", said]).not_there() == [said]


def test_a_rule_that_only_names_files_is_passed_over(why):
    jobs = [planned(MADE), planned(FOLLOWS, "", rule="features")]
    assert len(why(jobs)) == 1
