import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors import safe_open

from made_up_runs import CLASSES, STAND_IN_WEIGHTS, fit, predicted, share, words, write_cell
from serflow.errors import SerflowError
from serflow.files import read_sealed_json
from serflow.runs import artefacts
from serflow.stores.parquet import read_metadata, read_table

CELL = {"system": "ser_only", "corpus": "toy"}
ROWS = [("u0", [1.0, 0.0, 0.0], 0), ("u1", [0.0, 0.5, 0.5], 2), ("u2", [0.0, 0.0, 1.0], 1)]


def table_of(path, kind):
    return read_table(path, kind=kind).to_pylist()


def test_a_prediction_says_fit_role_target_and_probabilities(tmp_path):
    files = write_cell(tmp_path, CELL, [predicted(ROWS, 2, "session3", role="val")], study="invariance")
    assert table_of(files.predictions, "predictions")[1] == {
        "run": 2,
        "fold": "session3",
        "role": "val",
        "utterance": "u1",
        "target": [0.0, 0.5, 0.5],
        "label": "mid",
        "prediction": "high",
        "probabilities": [0.0, 0.0, 1.0],
    }


def test_columns_of_the_studys_own_survive(tmp_path):
    """Whole numbers, fractions, words and lists; a fit that lacks a column has none of its values."""
    own = {"gate": ["human", None, "natural"], "edits": [0, 2, 1], "wait_s": [0.5, 1.0, 2.5], "beam": [["a"], [], None]}
    results = [predicted(ROWS, 0, more=own), predicted(ROWS, 1, more={"gate": ["interior"] * 3}), predicted(ROWS, 2)]
    rows = table_of(write_cell(tmp_path, CELL, results).predictions, "predictions")
    for name, values in own.items():
        assert [row[name] for row in rows[:3]] == values
        assert [row[name] for row in rows[6:]] == [None] * 3
    assert [row["gate"] for row in rows[3:6]] == ["interior"] * 3


def test_a_column_that_all_studies_have_cannot_be_a_studys_own(tmp_path):
    with pytest.raises(ValueError, match="own column cannot be called label"):
        write_cell(tmp_path, CELL, [predicted(ROWS, more={"label": ["mine"] * 3})])


def test_a_column_of_another_length_is_refused(tmp_path):
    with pytest.raises(pa.ArrowInvalid):
        write_cell(tmp_path, CELL, [predicted(ROWS, more={"gate": ["human"]})])
    assert not list(tmp_path.rglob("predictions.parquet"))


def test_the_history_keeps_every_value_of_every_fit(tmp_path):
    """A term that one stage alone has, or one fit, is a column all the same."""
    first = [
        {"stage": "encoder", "period": 0, "updates": 4, "loss": 2.0, "reconstruction_loss": 0.5},
        {"stage": "fusion", "period": 0, "updates": 8, "loss": 1.5, "val_wer": 0.25},
    ]
    second = [{"period": 0, "loss": 1.0, "speaker_loss": 3.0}]
    files = write_cell(tmp_path, CELL, [fit(0, "a", history=first), fit(0, "b", history=second)])
    rows = table_of(files.history, "history")
    assert [(row["run"], row["fold"], row["stage"], row["period"], row["updates"]) for row in rows] == [
        (0, "a", "encoder", 0, 4), (0, "a", "fusion", 0, 8), (0, "b", None, 0, None),
    ]  # fmt: skip
    given = [{"fold": "a", **first[0]}, {"fold": "a", **first[1]}, {"fold": "b", **second[0]}]
    for row, wanted in zip(rows, given, strict=True):
        assert {name: value for name, value in row.items() if value is not None} == {"run": 0, **wanted}


def test_a_value_that_is_no_number_is_not_dropped_but_refused(tmp_path):
    with pytest.raises(pa.ArrowException):
        write_cell(tmp_path, CELL, [fit(history=[{"period": 0, "val_ua": "high"}])])


def test_embeddings_are_kept_where_they_are_asked_for(tmp_path):
    vectors = np.arange(6, dtype=np.float64).reshape(3, 2)
    with_vectors = predicted(ROWS)
    with_vectors = with_vectors._replace(tested=[with_vectors.tested[0]._replace(vectors=vectors)])
    files = write_cell(tmp_path, CELL, [with_vectors, predicted(ROWS, 1)], embeddings=True)
    rows = table_of(files.embeddings, "embeddings")
    assert [(row["run"], row["fold"], row["role"], row["utterance"]) for row in rows] == [
        (0, "none", "test", name) for name in ("u0", "u1", "u2")
    ]
    assert [row["vector"] for row in rows] == vectors.tolist()
    write_cell(tmp_path / "without", CELL, [with_vectors])
    assert not list((tmp_path / "without").rglob("embeddings.parquet"))


def test_weights_are_named_by_run_fold_and_parameter(tmp_path):
    files = write_cell(tmp_path, CELL, [fit(0, "a"), fit(3, "b")], study="invariance")
    with safe_open(files.model, "pt") as model:
        assert sorted(model.keys()) == ["0/a/layer.weight", "3/b/layer.weight"]
        assert torch.equal(model.get_tensor("3/b/layer.weight"), torch.tensor([3.0, 3.0]))
        said = json.loads(model.metadata()["serflow"])
    assert (said["study"], said["cell"], said["code"]) == ("invariance", CELL, "0" * 16)


def test_the_metrics_hold_hits_and_totals_by_class(tmp_path):
    result = fit(
        1,
        "session2",
        {"prediction": share(0.5, 6), "words": words(30, 20)},
        of_roles={("val", "prediction"): share(1.0, 3)},
        counts={"train": [5, 0, 1], "val": [1, 1, 1], "test": [2, 2, 2]},
    )
    files = write_cell(tmp_path, CELL, [result], study="invariance", excluded={"no label of the study": 4})
    content = read_sealed_json(files.metrics)
    (entry,) = content["fits"]
    assert entry["sizes"] == {"train": 6, "val": 3, "test": 6}
    assert entry["counts"]["train"] == {"low": 5, "mid": 0, "high": 1}
    assert entry["tallies"] == {
        "test": {"prediction": {name: [1.0, 2.0] for name in CLASSES}, "words": {"0": [30.0, 20.0]}},
        "val": {"prediction": {name: [1.0, 1.0] for name in CLASSES}},
    }
    assert (entry["best_period"], entry["periods"]) == (0, 1)
    assert (content["study"], content["cell"], content["name"]) == ("invariance", CELL, "ser_only/toy")
    assert content["excluded"] == {"no label of the study": 4}


def test_names_of_the_cell_and_classes_keep_their_order(tmp_path):
    """The table of all fits has the columns of the cell's path, and a class its place."""
    content = read_sealed_json(write_cell(tmp_path, CELL, [fit(tallies={"prediction": share(0.5)})]).metrics)
    assert list(content["cell"]) == ["system", "corpus"]
    assert list(content["fits"][0]["tallies"]["test"]["prediction"]) == list(CLASSES)


def test_every_file_says_what_the_run_is_made_from(tmp_path):
    files = write_cell(tmp_path, CELL, [predicted(ROWS)], provenance=STAND_IN_WEIGHTS, embeddings=True)
    for path in (files.predictions, files.history, files.embeddings):
        assert read_metadata(path)["provenance"]["stand_ins"] == {"weights": ["bert"]}
        assert read_metadata(path)["options"] == {"training": {"optimizer": "adam"}}
    assert read_sealed_json(files.metrics)["provenance"]["stand_ins"] == {"weights": ["bert"]}


@pytest.mark.parametrize(
    ("before", "after"),
    [("30.0", "29.0"), ('"fold": "none"', '"fold": "a"'), ('"weights": [', '"words": ['), ('"low": 5', '"low": 4')],
)
def test_an_edited_number_or_word_is_refused(tmp_path, before, after):
    result = fit(tallies={"words": words(30, 20)}, counts={"train": [5, 1, 1], "test": [2, 2, 2]})
    path = write_cell(tmp_path, CELL, [result], provenance=STAND_IN_WEIGHTS).metrics
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))
    with pytest.raises(SerflowError, match="damaged or changed by hand"):
        read_sealed_json(path)


def test_the_same_results_give_the_same_bytes(tmp_path):
    def written(name):
        own = {"gate": ["human", None, "natural"], "edits": [0, 2, 1]}
        first = predicted(ROWS, 0, "a", more=own, history=[{"period": 0, "loss": 1.0}])
        first = first._replace(tested=[first.tested[0]._replace(vectors=np.ones((3, 2)))])
        files = write_cell(tmp_path / name, CELL, [first, predicted(ROWS, 0, "b")], embeddings=True)
        return [path.read_bytes() for path in files]

    assert written("one") == written("two")


def test_a_fit_without_predictions_has_empty_tables(tmp_path):
    files = write_cell(tmp_path, CELL, [fit(tested=[artefacts.Tested("test", [], np.zeros((0, 3)), np.zeros((0, 3)))])])
    assert table_of(files.predictions, "predictions") == []
