"""The speaker-normalisation paper from stand-ins: every target, once, with as little as it takes."""

from pathlib import Path

import pandas as pd
import pytest

from harness import Workflow

pytestmark = pytest.mark.workflow

CONFIG = """
synthetic: {utterances: 96}
speakernorm:
  betas: [1.0]
  controls: [chance]
  stand_in: {epochs: 1, batch_size: 8, accumulate: 2, eval_updates: 3}
"""
CASES = ["Forward (1)", "Reverse (1)"]


@pytest.fixture(scope="module")
def finished(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    workflow = Workflow(repository, tmp_path_factory.mktemp("speakernorm"), CONFIG)
    workflow.run("--cores", "2", "speakernorm", "results/audit/speakernorm.csv")
    return workflow


def table(finished: Workflow, name: str) -> pd.DataFrame:
    return pd.read_csv(finished.folder / f"results/speakernorm/{name}.csv", keep_default_na=False)


def test_both_kinds_of_folds_stand_side_by_side_and_say_what_the_data_are(finished: Workflow) -> None:
    third = table(finished, "table3")
    marks = "(synthetic, stand-in weights)"
    assert list(third)[1:] == [
        f"dialogue_01F {marks} wer (ASR)", f"dialogue_01F {marks} accuracy (SER)",
        f"dialogue_01F {marks} speaker accuracy",
        f"speaker_01F {marks} wer (ASR)", f"speaker_01F {marks} accuracy (SER)",
        f"speaker_01F {marks} speaker accuracy (held-out utterances)",
    ]  # fmt: skip
    assert third["Case"].tolist() == CASES
    assert third.iloc[:, 1:].astype(float).ge(0).all(axis=None)
    second = table(finished, "table2")
    assert second["Method"].tolist() == ["SER with MTL [4]", "Ours (β = 1)", "Chance"]
    for name in ("table2", "table3"):
        compared = table(finished, f"{name}_vs_paper")
        assert (compared["difference"] == "").all()
        assert compared["note"].str.contains("synthetic stand-in").all()
        assert (
            compared["note"]
            .str.contains(r"says \d\d different sentences: its WER is that of telling these apart")
            .all()
        )


def test_table_1_is_what_ran(finished: Workflow) -> None:
    found = table(finished, "table1").set_index("Hyperparameter").iloc[:, 0]
    assert found["training epochs"] == "1"
    assert found["β"] == "0, 1"
    assert found["batch size"] == "16 (accumulated batch size)"
    compared = table(finished, "table1_vs_paper").set_index("hyperparameter")
    assert compared.loc["sample frequency", "same"] == "True"
    assert compared.loc["training epochs", ["paper", "same"]].tolist() == ["100", "False"]


def test_what_the_paper_lacks_and_the_figures_are_there(finished: Workflow) -> None:
    results = finished.folder / "results/speakernorm"
    for name in ("best", "scripts", "probe"):
        assert table(finished, name)["Case"].tolist() == ["Baseline", *CASES]
    for name, cases in (("figure2", {"baseline", "reverse-1"}), ("figure3", {"reverse-1", "forward-1"})):
        points = table(finished, name)
        assert set(points["case"]) == cases
        assert set(points["folds"]) == {"dialogue_fold", "speaker_fold"}
        assert set(points["measure"]) == {"wer", "wa"}
        assert points["updates"].max() > 3
    for figure in ("figure2", "figure3", "curves"):
        assert (results / f"{figure}.svg").stat().st_size > 1000, figure
    protocol = pd.read_csv(results / "protocol.csv").set_index("fold")
    assert protocol.loc["dialogue_01F", "shared_speakers"] == 2
    assert protocol.loc["speaker_01F", "shared_speakers"] == 0


def test_every_file_is_as_the_page_of_results_says(finished: Workflow) -> None:
    assert finished.faults() == []


def test_an_option_of_the_speaker_head_leaves_the_baseline_alone(finished: Workflow) -> None:
    assert finished.plan("speakernorm") == {}
    config = finished.config.read_text()
    finished.config.write_text(config + "  speaker: {schedule: ramp}\n")
    assert finished.plan("speakernorm")["train_speakernorm"] == 4
    finished.config.write_text(config)


def test_the_audit_tells_folds_of_dialogues_from_folds_of_speakers(finished: Workflow) -> None:
    found = pd.read_csv(finished.folder / "results/audit/speakernorm.csv")
    of_test = found[(found["first"] == "train") & (found["second"] == "test")].groupby("folds")
    assert (of_test["shared_speakers"].min() > 0).to_dict() == {"dialogue_fold": True, "speaker_fold": False}
    assert of_test["shared_speakers"].max()["speaker_fold"] == 0
    assert set(found["epoch_chosen_on"]) == {"none"}
    assert found["networks"].str.contains("wav2vec2: the network is a stand-in").all()
