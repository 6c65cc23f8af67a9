"""Where two results diverge is said layer by layer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_lab import NAMES, write_lab
from typer.testing import CliRunner

from made_up_runs import write_packed
from serflow.cli import app
from serflow.errors import StoreError
from serflow.exchange.compare import compare, differences
from serflow.exchange.state import predictions_digest


def test_the_same_results_are_alike(tmp_path: Path) -> None:
    one, other = (write_lab(tmp_path / name, ["alone", "adversary"]) for name in "ab")
    said = compare(one, other)
    assert said == [
        f"{one} and {other}: alike in all that both have",
        "cells of runs: 2 in both, of which 2 predict the same",
    ]


@pytest.mark.parametrize(
    ("changed", "layer", "detail", "of_runs"),
    [
        ({"rejected": ["broken.wav", "silent.wav"]}, "rejected", "1 in the second alone, silent.wav", None),
        ({"texts": ["hello"] * 12}, "utterances", "12 differ, u00 in text", "other utterances were read"),
        ({"snrs": {"human": 3.0}}, "noise plans", "profile_snrs.human is 0.0 and 3.0", "other noise plans were read"),
        (
            {"values": 2.0},
            "features",
            "features: other values of mel of toy, clean",
            "other features or weights were read",
        ),
        ({"values": 2.0, "parameters": {"n_mels": 64}}, "features", "parameters.n_mels is 40 and 64", "features or w"),
        ({"held_out": 6}, "splits", "2 differ, u04 all in role", "other splits were read"),
        ({"options": {"training": {"learning_rate": 0.2}}}, "runs", "", "option training.learning_rate is 0.1 and 0.2"),
        ({"wrong": 4}, "runs", "", "other predictions"),
        ({"edits": 2}, "runs", "", "other predictions"),
    ],
)
def test_the_first_layer_that_differs_is_named(
    tmp_path: Path, changed: dict[str, Any], layer: str, detail: str, of_runs: str | None
) -> None:
    one, other = write_lab(tmp_path / "a"), write_lab(tmp_path / "b", **changed)
    said = compare(one, other)
    assert said[0] == f"{one} and {other} first diverge in their {layer}"
    assert detail in "\n".join(said[1:])
    of_cells = [sentence for sentence in said if sentence.startswith("runs: ")]
    if of_runs is None:
        assert of_cells == []
    else:
        (sentence,) = of_cells
        assert sentence.startswith("runs: 1 cell (dlc/alone/toy): ")
        assert of_runs in sentence
        # who was predicted to be what hangs on nothing else here
        assert ("the same predictions all the same" in sentence) == (not {"wrong", "edits"} & changed.keys())


def test_audio_that_was_prepared_otherwise_is_named(tmp_path: Path) -> None:
    trees = [write_lab(tmp_path / name) for name in "ab"]
    for level, tree in enumerate(trees):
        write_packed(tree, "audio", {"u00": np.full((2, 3), float(level))}, condition="toy")
    said = compare(*trees)
    assert said[0].endswith("first diverge in their features")
    assert said[1].startswith("features: other values of audio of toy")


def test_cells_of_one_alone_are_counted(tmp_path: Path) -> None:
    one, other = write_lab(tmp_path / "a", ["alone", "adversary"]), write_lab(tmp_path / "b", ["alone"])
    assert compare(one, other)[-1] == f"in {one} alone: dlc/adversary/toy"


def test_predictions_are_compared_by_who_is_predicted_to_be_what(tmp_path: Path) -> None:
    folders = [write_lab(tmp_path / name, wrong=wrong) for name, wrong in (("a", 3), ("b", 3), ("c", 2))]
    digests = [predictions_digest(folder / "runs/dlc/alone/toy/predictions.parquet") for folder in folders]
    assert digests[0] == digests[1] != digests[2]


def test_differences_name_keys_with_dots() -> None:
    found = list(differences({"a": {"b": 1, "c": [1]}, "d": {}}, {"a": {"b": 2, "c": [1]}, "e": None}))
    assert found == ["a.b is 1 and 2", "d stands in the first alone", "e stands in the second alone"]


def test_the_command_says_it_and_what_is_no_result(tmp_path: Path) -> None:
    one, other = write_lab(tmp_path / "a"), write_lab(tmp_path / "b", wrong=len(NAMES))
    done = CliRunner().invoke(app, ["compare", str(one), str(other.parent)])
    assert done.exit_code == 0
    assert "first diverge in their runs" in done.stdout
    with pytest.raises(StoreError, match="no results with runs lie there"):
        compare(one, tmp_path / "c")
