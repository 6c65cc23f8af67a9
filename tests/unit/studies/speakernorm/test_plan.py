"""What the configuration makes of the speaker-normalisation paper: cells, options, tables, notes, figures."""

import json

import numpy as np
import pytest

from made_up_runs import STAND_IN_WEIGHTS, SYNTHETIC, fit, share, words, write_cell
from serflow.audio.prepared import PreparedUtterance, write_prepared
from serflow.config import Config, check_config
from serflow.errors import ConfigError
from serflow.report.comparison import beside_paper, words_beside_paper
from serflow.report.headings import full_name, printed_name
from serflow.report.style import MARKERS, figure_style, method_looks
from serflow.report.tables import fill, read_published, read_published_words
from serflow.runs.scores import read_runs
from serflow.stores.waveforms import pack_waveforms
from serflow.studies.departures import flat
from serflow.studies.speakernorm import evaluations, hyperparameters
from serflow.studies.speakernorm.catalog import Cell
from serflow.studies.speakernorm.options import Options
from serflow.studies.speakernorm.settings import PAPER

CLASSES = ("anger", "happiness", "neutral", "sadness")
CASES = ("baseline", "reverse-1", "reverse-0.1", "forward-1", "forward-0.1")


def real():
    """Return the default corpora and networks, those of the paper real."""
    found = Config().as_json(["corpora", "backbones"])
    for section, name, key in (
        ("corpora", "iemocap", "root"), ("corpora", "emodb", "root"), ("backbones", "wav2vec2", "weights")
    ):  # fmt: skip
        found[section][name][key] = f"/data/{name}"
    return found


def plan(synthetic=False, **section):
    return check_config({**({} if synthetic else real()), "speakernorm": section}).plans()["speakernorm"]


def test_five_trainings_a_kind_of_folds_make_all_tables():
    """Section 6 of the specification: baseline, two reversed, two forward."""
    found = plan()
    assert [tuple(cell) for cell in found.cells()] == [
        (case, "iemocap", kind) for kind in ("dialogue_fold", "speaker_fold") for case in CASES
    ]
    assert [cell.case for cell in found.cells("table2")][:3] == ["baseline", "reverse-1", "reverse-0.1"]
    assert len(found.cells("table2")) == 6
    assert {cell.case for cell in found.cells("table3")} == set(CASES[1:])
    assert found.draws("iemocap") == ["dialogue_fold", "speaker_fold"]


def test_a_case_is_its_direction_and_beta_and_else_as_all_others():
    found = plan()
    own = {case: found.options(Cell(case, "iemocap", "dialogue_fold")) for case in CASES}
    assert "speaker" not in own["baseline"]
    for case in CASES[1:]:
        direction, _, beta = case.partition("-")
        assert own[case]["speaker"] == {
            "direction": direction, "beta": float(beta), "scale_head": True, "schedule": "constant"
        }  # fmt: skip
        assert {**own[case], "speaker": None} == {**own["baseline"], "speaker": None}
        assert Options.model_validate(own[case]).speaker.beta == float(beta)


def test_the_defaults_are_the_papers():
    found = plan()
    assert found.departures("iemocap") == []
    training = Options().training
    assert (training.learning_rate, training.betas, training.epsilon, training.warmup, training.epochs) == (
        5e-5, (0.9, 0.999), 1e-8, 0.1, 100,
    )  # fmt: skip
    assert training.batch_size * training.accumulate == 8
    assert (Options().alpha, Options().ctc.reduction, Options().pool) == (0.1, "sum", "mean")


def test_every_option_is_held_against_the_paper():
    assert {key for key, _ in flat(Options().as_json())} <= set(PAPER)
    section = {"alpha": 0.5, "pool": "masked_mean", "training": {"epochs": 3}, "speaker": {"schedule": "ramp"}}
    assert plan(**section).departures("iemocap") == [
        "pooling masked_mean, by default mean (the paper does not say)",
        "alpha 0.5, the paper's 0.1",
        "schedule of the reversal ramp, the paper's constant",
        "epochs 3, the paper's 100",
    ]


def test_stand_ins_get_their_own():
    found = plan(synthetic=True, stand_in={"epochs": 7, "runs": [1, 2]})
    assert found.options(found.cells()[0])["training"]["epochs"] == 7
    assert found.runs("iemocap") == [1, 2]
    assert found.options(found.cells()[0])["ctc"]["reduction"] == "mean"
    real = plan(training={"epochs": 8}).options(found.cells()[0])
    assert (real["training"]["epochs"], real["ctc"]["reduction"]) == (8, "sum")


def test_a_job_has_two_days_a_fit_on_the_papers_size():
    found = plan(runs=[0, 1], tested="all")
    hours = {kind: found.minutes(Cell("baseline", "iemocap", kind)) // 60 for kind in ("speaker_fold", "session_fold")}
    assert hours == {"speaker_fold": 20 * 48 + 1, "session_fold": 10 * 48 + 1}
    assert plan(synthetic=True).minutes(Cell("baseline", "iemocap", "speaker_fold")) == 60


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"speaker": {"beta": 0.5}}, "speakernorm.speaker.beta: is set by betas; leave it out"),
        ({"speaker": {"direction": "forward"}}, "speakernorm.speaker.direction: is set by the rows; leave it out"),
        ({"corpus": "emodbb"}, "'emodbb' is not in corpora"),
        ({"emotions": ["anger", "sadness"]}, "iemocap has the paper's four classes; set null"),
        ({"betas": [1, 1.0]}, "stands there twice"),
        ({"betas": [0]}, "greater than 0"),
        ({"folds": []}, "speakernorm.folds"),
        ({"folds": ["dialogue"]}, "speakernorm.folds"),
    ],
)
def test_what_rows_set_and_what_cannot_be_is_refused_by_its_key(section, said):
    with pytest.raises(ConfigError) as error:
        check_config({"speakernorm": section})
    assert said in str(error.value)


# Tables


def titles(layout):
    return [full_name(column) for column in layout.columns]


def test_both_kinds_of_folds_stand_side_by_side_by_their_names():
    assert titles(plan().layout("table3")) == [
        "dialogue_01F wer (ASR)", "dialogue_01F accuracy (SER)", "dialogue_01F speaker accuracy",
        "speaker_01F wer (ASR)", "speaker_01F accuracy (SER)", "speaker_01F speaker accuracy (held-out utterances)",
    ]  # fmt: skip
    every = titles(plan(tested="all").layout("table2"))
    assert every[::2] == ["all dialogue folds Accuracy", "all speaker folds Accuracy"]
    others = plan(corpus="emodb", folds=["utterance_fold"]).layout("table2")
    assert titles(others)[0] == "first utterance fold Accuracy"


def test_the_speaker_head_is_scored_where_it_can_know_the_speaker():
    columns = {full_name(column): column.where for column in plan().layout("table3").columns}
    assert columns["dialogue_01F speaker accuracy"]["role"] == "test"
    assert columns["speaker_01F speaker accuracy (held-out utterances)"]["role"] == "val"


def write_runs(folder, provenance=None):
    """Write a run of each cell: accuracy by its place among the cases, of the dialogue fold one more."""
    paths = []
    for kind in ("dialogue_fold", "speaker_fold"):
        for place, case in enumerate(CASES):
            value = (50 + 5 * place + (kind == "dialogue_fold")) / 100
            guesses = dict.fromkeys(["improvised", "majority", "chance"], 0.25)
            predicted = {"prediction": value, "best": 0.6, "unseen": 0.5, **guesses}
            of_roles = {
                ("test", "words"): words(25 + place, 100), ("test", "best_words"): words(20, 100),
                ("test", "improvised_words"): words(30, 100), ("test", "unseen_words"): words(40, 100),
                **{("probe", f"{what}speaker{more}"): share(0.5)
                   for what, more in (("", ""), ("untrained_", ""), ("", "_chance"))},
            }  # fmt: skip
            if case != "baseline":
                role = "test" if kind == "dialogue_fold" else "val"
                of_roles[role, "speaker"] = share(0.3, classes=CLASSES)
            tallies = {what: share(one, classes=CLASSES) for what, one in predicted.items()}
            history = [
                {"period": 0, "updates": 500, "test_wa": 0.5, "test_wer": 1.0},
                {"period": 1, "updates": 800, "test_wa": value, "test_wer": 0.25},
            ]
            found = fit(0, f"{kind}_x", tallies, of_roles=of_roles, classes=CLASSES, history=history)
            cell = {"case": case, "corpus": "iemocap", "folds": kind}
            options = plan().options(Cell(case, "iemocap", kind))
            paths.append(
                write_cell(folder, cell, [found], study="speakernorm", classes=CLASSES, options=options,
                           provenance=provenance)
            )  # fmt: skip
    return paths


def test_only_the_papers_fold_is_compared_with_the_paper(tmp_path):
    runs = read_runs([files.metrics for files in write_runs(tmp_path)])
    layout = plan().layout("table3")
    heading, lines = beside_paper(fill(layout, runs), read_published("speakernorm", "table3", 1))
    rows = [dict(zip(heading, line, strict=True)) for line in lines]
    assert [row["case"] for row in rows[::6]] == ["Forward (1)", "Forward (0.1)", "Reverse (1)", "Reverse (0.1)"]
    by = {(row["case"], row["column"]): row for row in rows}
    first = by["Reverse (1)", "dialogue_01F accuracy (SER)"]
    assert (float(first["ours_mean"]), float(first["paper"])) == (56.0, 75.1)
    assert float(by["Forward (0.1)", "dialogue_01F wer (ASR)"]["paper"]) == 23.9
    assert float(by["Forward (1)", "dialogue_01F speaker accuracy"]["paper"]) == 28.8
    others = [row for row in rows if row["column"].startswith("speaker_01F")]
    assert all(not row["paper"] and "whose speakers are in training too" in row["note"] for row in others)


def test_table_2_has_the_baseline_and_the_reversed_rows(tmp_path):
    runs = read_runs([files.metrics for files in write_runs(tmp_path)])
    layout = plan(controls=["chance", "majority"]).layout("table2")
    heading, lines = beside_paper(fill(layout, runs), read_published("speakernorm", "table2", 1))
    rows = [dict(zip(heading, line, strict=True)) for line in lines]
    compared = {row["method"]: (float(row["ours_mean"]), float(row["paper"])) for row in rows
                if row["column"] == "dialogue_01F Accuracy" and row["paper"]}  # fmt: skip
    assert compared == {"SER with MTL [4]": (51, 74.6), "Ours (β = 1)": (56, 75.1), "Ours (β = 0.1)": (61, 75.1)}
    methods = [row["method"] for row in rows if row["column"] == "dialogue_01F Accuracy"]
    assert methods[3:] == ["Chance", "Majority class"]


@pytest.mark.parametrize("table", ["best", "scripts", "probe"])
def test_what_the_paper_does_not_have_is_never_compared(tmp_path, table):
    runs = read_runs([files.metrics for files in write_runs(tmp_path)])
    found = fill(plan().layout(table), runs)
    _, lines = beside_paper(found, read_published("speakernorm", table, 1))
    assert len(lines) == 5 * len(found.layout.columns)
    assert all("not in the paper" in line[-1] for line in lines)
    assert all(found.value(i, j) for i in range(5) for j in range(len(found.layout.columns)))


def test_best_and_last_and_parts_of_the_test_are_told_apart(tmp_path):
    runs = read_runs([files.metrics for files in write_runs(tmp_path)])
    best, scripts = (fill(plan().layout(table), runs) for table in ("best", "scripts"))
    assert [best.value(0, j).mean for j in range(4)] == [51, pytest.approx(60), 25, 20]
    assert [scripts.value(0, j).mean for j in range(6)] == [51, 25, 50, 25, 30, 40]


def test_published_tables_have_our_rows_and_columns():
    found = plan()
    for table, name in (("table2", "Accuracy"), ("table3", "wer (ASR)")):
        published = read_published("speakernorm", table, 1)
        layout = found.layout(table)
        assert {row.name for row in layout.rows} == {row for row, _ in published}
        assert {column for _, column in published} <= {printed_name(column) for column in layout.columns}
        assert name in {column for _, column in published}


# Table 1 and figures


def files_of(written, folder):
    """Return what Table 1 is made from, with packed audio of one utterance."""
    shard = folder / "0000.parquet"
    utterance = PreparedUtterance("u", np.zeros(10, dtype=np.int16), 16_000, 1, "PCM_16", 0)
    write_prepared(shard, [utterance], {"corpus": "iemocap", "synthetic": False, "shard": "0000", "n_shards": 1})
    pack_waveforms([shard], folder / "iemocap.npy", folder / "iemocap.parquet")
    return hyperparameters.Files(
        tuple(files.predictions for files in written),
        tuple(files.history for files in written),
        folder / "iemocap.parquet",
    )


def test_table_1_is_read_from_the_runs(tmp_path):
    written = write_runs(tmp_path)
    heading, rows = hyperparameters.make_table(files_of(written, tmp_path), {})
    assert heading == ["Hyperparameter", "Value"]
    found = dict(rows)
    assert found["β"] == "0, 0.1, 1"
    assert found["updates"] == "800"
    published = read_published_words("speakernorm", "table1")
    same = {line[0]: line[-1] for line in words_beside_paper(heading, rows, published)[1]}
    # the paper prints an epsilon of 10^8
    assert {name for name, agrees in same.items() if agrees is False} == {"optimizer"}
    assert {name for name, agrees in same.items() if agrees} == {name for name, _ in published} - {"optimizer"}


def test_table_1_marks_what_it_was_read_from(tmp_path):
    written = write_runs(tmp_path, SYNTHETIC._replace(stand_ins={**SYNTHETIC.stand_ins, **STAND_IN_WEIGHTS.stand_ins}))
    heading, _ = hyperparameters.make_table(files_of(written, tmp_path), {})
    assert heading[1] == "Value (synthetic, stand-in weights)"


@pytest.mark.parametrize(
    ("figure", "lines"),
    [
        ("figure2", ["ori", "β = 1", "β = 0.1"]),
        ("figure3", ["Reverse (1)", "Reverse (0.1)", "Forward (1)", "Forward (0.1)"]),
    ],
)
def test_figures_show_wer_and_accuracy_by_update_on_both_kinds_of_folds(tmp_path, figure, lines):
    found = plan()
    facts = json.loads(json.dumps(found.figure(figure)))
    assert list(facts["lines"].values()) == lines
    wanted = {tuple(cell) for cell in found.cells(figure)}
    written = [files for files in write_runs(tmp_path) if files.history.parts[-4:-1] in wanted]
    assert len(written) == 2 * len(lines)
    with figure_style():
        drawn, points = evaluations.make_figure(evaluations.Files(tuple(files.history for files in written)), facts)
    assert set(points["updates"]) == {500, 800}
    assert set(points["case"]) == set(facts["lines"])
    one = points[(points["case"] == "reverse-1") & (points["folds"] == "dialogue_fold") & (points["updates"] == 800)]
    assert dict(zip(one["measure"], one["value"], strict=True)) == pytest.approx({"wer": 25.0, "wa": 56.0})
    panels = [axes for axes in drawn.axes if axes.lines]
    assert len(panels) == 4
    assert [axes.get_xlabel() for axes in panels[2:]] == ["updates", "updates"]
    named = {"ori": "Baseline", "β = 1": "Reverse (1)", "β = 0.1": "Reverse (0.1)"}
    looks = set(method_looks([named.get(line, line) for line in lines]).values())
    for axes in panels:
        assert {(line.get_color(), line.get_marker()) for line in axes.lines if line.get_marker() in MARKERS} == looks
    levels = [[list(line.get_ydata()) for line in axes.lines if line.get_marker() not in MARKERS] for axes in panels]
    assert levels == [[], [[25.0, 25.0]]] * 2
