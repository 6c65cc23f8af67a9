"""The temporal-context paper from stand-ins: every target, once, with as little as it takes."""

from pathlib import Path

import pandas as pd
import pytest

from harness import Workflow

pytestmark = pytest.mark.workflow

CONFIG = """
synthetic: {utterances: 96}
temporal:
  features: [spectrogram, pulse_modulation]
  segments: [0, 2]
  controls: [one_segment_twice, segment_net_on_mel, context_layers, svc, chance]
  strfnet: {embedding: 8, attention: 4, hidden: 8}
  segment_net: {lstm: 4, hidden: 8}
  stand_in: {epochs: 2, folds_used: 2, crop_s: 0.5, kernels: 2, channels: 4, maps: 8}
"""


@pytest.fixture(scope="module")
def finished(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    workflow = Workflow(repository, tmp_path_factory.mktemp("temporal"), CONFIG)
    workflow.run("--cores", "2", "temporal", "results/audit/temporal.csv")
    return workflow


def table(finished: Workflow, name: str) -> pd.DataFrame:
    return pd.read_csv(finished.folder / f"results/temporal/{name}.csv", keep_default_na=False)


def test_the_tables_have_the_papers_rows_and_say_what_the_data_are(finished: Workflow) -> None:
    first = table(finished, "table1")
    assert list(first)[2:] == [f"{name} (synthetic)" for name in ("UA", "UA warped", "WA", "WA warped")]
    assert first["Feature"].tolist() == ["Spectrogram", "P. p. + Mod.", "Wav2vec (stand-in weights)"]
    assert first["Context span [ms]"].tolist() == table(finished, "context")["Context span [ms]"].tolist()
    assert (first.iloc[2, [3, 5]] == "n/a").all()
    assert first.iloc[:2, 2:].astype(float).le(100).all(axis=None)
    second = table(finished, "table2")
    assert [name.split(" (")[0] for name in second["Model"]] == [
        "Fine-tune All", "Fine-tune Context Network", "Fine-tune Encoder Network", "No Fine-tune"
    ]  # fmt: skip
    for name in ("table1", "table2"):
        compared = table(finished, f"{name}_vs_paper")
        assert (compared["difference"] == "").all()
        has = compared[compared["ours_mean"] != ""]
        assert has["note"].str.contains("synthetic stand-in").all()


def test_numbers_of_others_stand_above_ours_and_are_marked(finished: Workflow) -> None:
    third = table(finished, "table3")
    assert third["Feature"].tolist()[:4] == [
        "Mel Spectrogram (published)", "Spectrogram (published)", "Spectrogram (published)", "Wav2vec (published)"
    ]  # fmt: skip
    assert third.iloc[:4, 2].astype(float).tolist() == [61.8, 58.3, 63.9, 64.3]
    assert third["Model"].tolist()[4:] == ["Baseline (ours)", "+Seg (ours)", "+Seg+FineTune (ours)"]
    compared = table(finished, "table3_vs_paper")
    assert compared["note"].str.contains("quotes it from others").sum() == 4


def test_context_spans_are_those_of_the_layers(finished: Workflow) -> None:
    found = table(finished, "context").set_index("Feature")["Context span [ms]"]
    assert found["Spectrogram"] == "75"
    assert found["P. p. + Mod."] == "75-200"
    compared = table(finished, "context_vs_paper").set_index("feature")
    assert bool(compared.loc["Spectrogram", "same"]) is True


def test_controls_figures_and_pooled_scores_are_there(finished: Workflow) -> None:
    results = finished.folder / "results/temporal"
    controls = table(finished, "controls")["Model"].tolist()
    assert any("weight 2" in name for name in controls)
    assert any("First 2 layers" in name for name in controls)
    assert controls[-1].startswith("Chance")
    assert len(table(finished, "pooled")) == 2 * 2 + 1 + 4
    assert set(table(finished, "figure2")["segments"]) == {0, 2}
    for figure in ("figure2", "receptive_fields", "curves"):
        assert (results / f"{figure}.svg").stat().st_size > 1000, figure
    assert "each speaker of the others is tested in turn" in (results / "protocol.md").read_text()


def test_every_file_is_as_the_page_of_results_says(finished: Workflow) -> None:
    assert finished.faults() == []


def test_a_size_of_one_network_leaves_the_other_alone(finished: Workflow) -> None:
    targets = ("results/temporal/table1.csv", "results/temporal/table2.csv")
    assert finished.plan(*targets) == {}
    config = finished.config.read_text()
    finished.config.write_text(config.replace("attention: 4", "attention: 5"))
    assert finished.plan(*targets)["train_temporal"] == 4
    finished.config.write_text(config)


def test_the_audit_finds_no_speaker_in_two_sets(finished: Workflow) -> None:
    found = pd.read_csv(finished.folder / "results/audit/temporal.csv")
    assert set(found["shared_speakers"]) == {0}
    assert set(zip(found["first"], found["second"], strict=True)) == {
        ("train", "test"),
        ("train", "val"),
        ("val", "test"),
    }
    assert set(found["epoch_chosen_on"]) == {"none", "val"}
