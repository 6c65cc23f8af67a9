"""Noise as an axis from stand-ins: what cannot be heard changes nothing, and what networks say is kept and drawn."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness import Workflow

pytestmark = pytest.mark.workflow

CONFIG = """
synthetic: {utterances: 96}
corpora: {iemocap: {shards: 2}}
dlc:
  corpora: [iemocap]
  profiles: [h1]
  gain_profiles: []
  methods: [single, moe_dlc]
  controls: [single_clean]
  stand_in: {seeds: [0], maps: 8, max_epochs: 2}
  robustness: {snr_db: [100, -5]}
"""
FIGURES = ("results/dlc/robustness.svg", "results/dlc/shift.svg")


@pytest.fixture(scope="module")
def finished(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    workflow = Workflow(repository, tmp_path_factory.mktemp("robustness"), CONFIG)
    workflow.run("--cores", "2", *FIGURES)
    return workflow


def said(finished: Workflow, method: str) -> pd.DataFrame:
    return pd.read_parquet(finished.folder / f"results/dlc/robustness/exp1/{method}/iemocap/h1.parquet")


@pytest.mark.parametrize("method", ["single", "single_clean", "moe_dlc"])
def test_at_a_level_that_cannot_be_heard_nothing_changes(finished: Workflow, method: str) -> None:
    found = said(finished, method)
    keys = ["run", "fold", "condition", "utterance"]
    clean = found[found["snr_db"].isna()].set_index(keys)
    inaudible = found[found["snr_db"] == 100].set_index(keys).loc[clean.index]
    loud = found[found["snr_db"] == -5].set_index(keys).loc[clean.index]
    assert len(clean) == len(inaudible) == len(loud) > 30
    assert set(found["condition"]) == {"natural", "human", "interior"}
    assert (inaudible["prediction"] == clean["prediction"]).all()
    assert np.stack(inaudible["probabilities"]) == pytest.approx(np.stack(clean["probabilities"]), abs=0.02)
    assert np.abs(np.stack(loud["probabilities"]) - np.stack(clean["probabilities"])).max() > 0.02
    assert loud["achieved_snr_db"].to_numpy() == pytest.approx(-5, abs=0.01)
    assert inaudible["achieved_snr_db"].to_numpy() == pytest.approx(100, abs=1.0)
    assert (inaudible["clip"] == loud["clip"]).all()


def test_clean_audio_is_predicted_as_the_training_of_clean_audio_tested_it(finished: Workflow) -> None:
    found = said(finished, "single_clean")
    mine = found[found["snr_db"].isna() & (found["condition"] == "human")].set_index("utterance")
    tested = pd.read_parquet(
        finished.folder / "results/runs/dlc/exp1/single_clean/iemocap/h1/predictions.parquet"
    ).set_index("utterance")
    assert sorted(mine.index) == sorted(tested.index)
    theirs = tested.loc[mine.index]
    assert (mine["prediction"] == theirs["prediction"]).all()
    assert np.stack(mine["probabilities"]) == pytest.approx(np.stack(theirs["probabilities"]), abs=1e-5)


def test_a_mixture_is_routed_by_what_is_heard_and_by_the_true_kind(finished: Workflow) -> None:
    assert said(finished, "moe_dlc")["gate"].isin(["natural", "human", "interior"]).all()
    assert said(finished, "moe_dlc")["oracle_prediction"].notna().all()
    assert said(finished, "single")["gate"].isna().all()
    curves = pd.read_csv(finished.folder / "results/dlc/robustness.csv")
    assert list(dict.fromkeys(curves["method"])) == [
        "Single", "MoE-DLC", "MoE-DLC (oracle gate)", "Single (clean audio)"
    ]  # fmt: skip
    assert curves["corpus"].eq("IEMOCAP").all()
    assert curves.loc[curves["snr_db"] == 100, "unchanged"].eq(100).all()
    assert curves["note"].str.contains("synthetic").all()


def test_tables_need_none_of_it_and_nothing_is_made_again(finished: Workflow) -> None:
    assert "predict_in_noise" not in finished.plan("results/table1.csv")
    assert finished.plan(*FIGURES) == {}
    other = finished.plan(*FIGURES, "--config", 'dlc={"robustness": {"snr_db": [0]}}')
    assert other == {"predict_in_noise": 3, "plot_dlc_robustness": 1, "plot_dlc_shift": 1}


def test_what_is_made_is_as_promised(finished: Workflow) -> None:
    assert finished.faults() == []


def test_a_method_that_cannot_be_asked_is_named_with_its_key(finished: Workflow) -> None:
    output = finished.run(FIGURES[0], "-n", "--config", 'dlc={"robustness": {"methods": ["hffn_single"]}}', ok=False)
    assert "dlc.robustness.methods.0" in output
    assert "hffn_single reads words" in output
