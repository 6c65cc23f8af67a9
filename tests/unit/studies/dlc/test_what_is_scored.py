"""What a training counts and what it predicts: tables are made of the first, intervals of the second."""

from pathlib import Path

import numpy as np
import pytest

from made_up_runs import UTTERANCE, write_noise_plan, write_packed, write_split, write_utterances
from serflow.errors import TrainingError
from serflow.noise.plan import CONDITIONS
from serflow.report.facts import run_remarks
from serflow.report.headings import Heading, Layout
from serflow.report.intervals import table_intervals
from serflow.report.tables import fill, in_shape
from serflow.runs.scores import read_runs
from serflow.stages import train
from serflow.stores.parquet import read_table
from serflow.studies.dlc import train as dlc

N = 72
NAMES = [f"u{i:02d}" for i in range(N)]
DRAWN = [CONDITIONS[i % 3] for i in range(N)]
OPTIONS = '{"model": {"maps": 4, "hidden": 4, "kernel": 3}, "training": {"max_epochs": 2, "device": "cpu"}}'


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    generator = np.random.default_rng(0)
    frames = {name: generator.normal(size=(24 + i % 5, 6)) for i, name in enumerate(NAMES)}
    rows = [{UTTERANCE: name, "emotion": ("anger", "sadness")[i // 3 % 2]} for i, name in enumerate(NAMES)]
    roles = {name: ("train", "train", "val", "test")[i // 3 % 4] for i, name in enumerate(NAMES)}
    return {
        "utterances": write_utterances(folder, rows=rows, synthetic=True),
        "splits": write_split(folder, {"dialogue-0": roles}),
        "plan": write_noise_plan(
            folder, [(name, condition, "c", 0.0) for name, condition in zip(NAMES, DRAWN, strict=True)], synthetic=True
        ),
        "clean": write_packed(folder, "clean", frames),
        "noisy": write_packed(folder, "noisy", frames, condition="h1"),
    }


def trained(folder, inputs, method, experiment="exp2"):
    """The outputs of the stage, by name."""
    names = ("predictions.parquet", "history.parquet", "metrics.json", "model.safetensors")
    outputs = {Path(name).stem: folder / method / name for name in names}
    arguments = [
        "--study", "dlc", "--cell", f"experiment={experiment}", f"method={method}", "corpus=toy", "profile=h1",
        "--inputs", *(f"{name}={path}" for name, path in inputs.items()), "--runs", "0", "--options", OPTIONS,
        "--code", "f" * 16, *(part for name, path in outputs.items() for part in (f"--{name}", str(path))),
    ]  # fmt: skip
    train.main(train.make_parser().parse_args(arguments))
    return outputs


@pytest.mark.parametrize(("method", "measure"), [("single", "ua"), ("noise_classifier", "wa")])
def test_intervals_are_of_the_values_of_the_table(tmp_path, inputs, method, measure):
    """A noise classifier is not scored on the condition that it has not heard, though it routes it."""
    outputs = trained(tmp_path, inputs, method)
    layout = Layout(
        ("Method",),
        [Heading((method,), {"method": method, "measure": measure})],
        [Heading(("Toy",), {"corpus": "toy", "profile": "h1"})],
    )
    _, ((_, value),) = in_shape(fill(layout, read_runs([outputs["metrics"]])), {})
    heading, (line,) = table_intervals(layout, [outputs["predictions"]], [inputs["utterances"]], "dialogue", 20)
    assert line[heading.index("value")] == value
    # a third of the test is held out in each fold
    rows = read_table(outputs["predictions"], kind="predictions").to_pylist()
    held = {(row["role"], row["condition"] == row["fold"]) for row in rows}
    scored, unscored = ("test", method == "single"), ("unscored", True)
    assert held == ({scored} if method == "single" else {scored, unscored})
    n_test = sum(i // 3 % 4 == 3 for i in range(N))
    assert len(rows) == n_test * (1 if method == "single" else 3)


def test_a_condition_that_is_held_out_is_no_class_that_a_noise_classifier_lacks(tmp_path, inputs):
    (run,) = read_runs([trained(tmp_path, inputs, "noise_classifier")["metrics"]])
    for fit in run.fits:
        seen = [name for name in CONDITIONS if name != fit.fold]
        assert {role: list(counts) for role, counts in fit.counts.items()} == dict.fromkeys(
            ("train", "val", "test"), seen
        )
    assert [remark for remark in run_remarks([run]) if remark.startswith("no ")] == []


def test_what_a_run_is_made_from_stands_in_its_metrics(tmp_path, inputs):
    (run,) = read_runs([trained(tmp_path, inputs, "single")["metrics"]])
    assert run.provenance.stand_ins == {"corpus": ("toy",), "noise": ("ESC-50",)}
    assert sorted(run.provenance.sources) == [
        "clean", "clean/array", "noisy", "noisy/array", "plan", "splits/0", "utterances",
    ]  # fmt: skip
    assert (run.name, [fit.fold for fit in run.fits]) == ("exp2/single/toy/h1", list(CONDITIONS))


def test_a_run_says_whose_very_audio_it_was_trained_on(tmp_path, inputs):
    """One of the test set, u09, sounds as one of the training set, and one as another of the test set."""
    same = {"u09": "u00", "u11": "u10"}
    rows = [
        {UTTERANCE: name, "emotion": ("anger", "sadness")[i // 3 % 2], "duplicate_of": same.get(name)}
        for i, name in enumerate(NAMES)
    ]
    said = "the same audio is in training and test: of up to 1 of 18 test utterances of a fit"
    (run,) = read_runs([trained(tmp_path / "other", inputs, "single", "exp1")["metrics"]])
    assert said not in run.provenance.remarks
    utterances = write_utterances(tmp_path, rows=rows, synthetic=True)
    (run,) = read_runs([trained(tmp_path, {**inputs, "utterances": utterances}, "single", "exp1")["metrics"]])
    assert said in run.provenance.remarks


def test_a_fit_that_leaves_out_a_test_utterance_is_refused(tmp_path, inputs, monkeypatch):
    train_fit = dlc.train_fit

    def forgetful(*given):
        result = train_fit(*given)
        first, *others = result.tested
        names = first.utterances[1:]
        return result._replace(tested=[first._replace(utterances=names), *others])

    monkeypatch.setattr(dlc, "train_fit", forgetful)
    with pytest.raises(
        TrainingError, match=r"1 of 18 test utterances are not predicted once, the first is u09 \(0 times"
    ):
        trained(tmp_path, inputs, "single", "exp1")
