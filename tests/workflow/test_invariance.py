"""The speaker-invariance paper from stand-ins: every target, once, with as little as it takes."""

from pathlib import Path

import pandas as pd
import pytest

from harness import Workflow

pytestmark = pytest.mark.workflow

CONFIG = """
synthetic: {utterances: 96}
invariance:
  systems: [ser_only, dat]
  controls: [svc, chance]
  many_speakers: {corpus: crema_d, model: {tdnn: [[8, 3, 1]], lstm: 4, fc: 8, head: 8}}
  model: {tdnn: [[8, 5, 2], [8, 3, 4]], lstm: 4, fc: 8, head: 8}
  search: {dat_strength: [0.1, 1.0]}
  stand_in: {epochs: 2, speaker_counts: [4, 64]}
"""


@pytest.fixture(scope="module")
def finished(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    workflow = Workflow(repository, tmp_path_factory.mktemp("invariance"), CONFIG)
    trust = (
        "results/invariance/claims.csv",
        "results/qc/invariance.csv",
        "results/invariance/table2.tex",
        "results/audit/invariance.csv",
    )
    workflow.run("--cores", "2", "invariance", "results/invariance/search.csv", *trust)
    return workflow


def test_the_tables_have_the_papers_rows_and_say_what_the_data_are(finished: Workflow) -> None:
    results = finished.folder / "results/invariance"
    for table, corpus in (("table2", "IEMOCAP"), ("table3", "CREMA-D")):
        found = pd.read_csv(results / f"{table}.csv")
        assert found["System"].tolist() == ["SER_only", "SER_SR_DAT", "SVC on mean and deviation", "Chance"]
        title = f"{corpus} (synthetic)"
        assert list(found)[1:] == [f"{title} {said}" for said in ("Val", "Test", "Val UAR", "Test UAR")]
        compared = pd.read_csv(results / f"{table}_vs_paper.csv")
        assert compared["difference"].isna().all()
        assert compared["note"].str.contains("synthetic stand-in").all()
    chance = pd.read_csv(results / "table2.csv").iloc[3, 1:].astype(float)
    assert (chance == 25).all()


def test_departures_from_the_paper_stand_in_the_notes(finished: Workflow) -> None:
    notes = pd.read_csv(finished.folder / "results/invariance/table2_vs_paper.csv")["note"]
    for said in ("TDNN 8-5-2 8-3-4, the paper's 128-5-2 64-3-4", "epochs 2, the paper's 100"):
        assert notes.str.contains(said, regex=False).all()


def test_the_networks_are_described_as_they_were_trained(finished: Workflow) -> None:
    table = pd.read_csv(finished.folder / "results/invariance/table1.csv", keep_default_na=False).set_index("Layer")
    assert table["IEMOCAP (synthetic)"]["TDNN 2"] == "8-3-4"
    assert table["CREMA-D (synthetic)"]["TDNN 2"] == "n/a"
    assert table["IEMOCAP (synthetic)"]["Speaker classification"] == "16-8-8-8"
    compared = pd.read_csv(finished.folder / "results/invariance/table1_vs_paper.csv")
    row = compared[(compared["layer"] == "TDNN 1") & compared["column"].str.startswith("IEMOCAP")].iloc[0]
    assert (row["ours"], row["paper"], row["same"]) == ("8-5-2", "128-5-2", False)


def test_probe_search_and_figures_are_there(finished: Workflow) -> None:
    results = finished.folder / "results/invariance"
    probe = pd.read_csv(results / "probe.csv")
    assert probe["System"].tolist() == ["SER_only", "SER_SR_DAT"]
    assert (probe.iloc[:, 1:].astype(float) <= 100).all(axis=None)
    search = pd.read_csv(results / "search.csv")
    assert search["Setting"].tolist() == ["strength 0.1", "strength 1"]
    intervals = pd.read_csv(results / "table2_intervals.csv")
    assert (intervals["n_clusters"] == 5).all()
    for figure, word in (("figure2", "by speaker"), ("speakers", "speakers of training"), ("curves", "Training")):
        assert (results / f"{figure}.svg").stat().st_size > 1000, word
    assert set(pd.read_csv(results / "speakers_figure.csv")["speakers"]) == {4}
    # the stand-in of CREMA-D has 16 speakers
    counted = pd.read_csv(results / "speakers.csv", keep_default_na=False)
    assert counted.filter(like="64 speakers").eq("n/a").all(axis=None)
    notes = pd.read_csv(results / "speakers_vs_paper.csv")["note"]
    assert notes.str.contains("n/a: 64 speakers of training were asked for, and there are 13").sum() == 2
    card = (results / "protocol.md").read_text()
    assert "validates (F)" in card
    assert "best validation accuracy of 2 epochs" in card


def test_claims_are_judged_and_say_what_they_need(finished: Workflow) -> None:
    claims = pd.read_csv(finished.folder / "results/invariance/claims.csv", keep_default_na=False)
    # one run; MTL and CGT are not asked for; the probe has scores alone
    assert set(claims["verdict"]) == {"cannot tell"}
    by_number = claims.set_index("number")
    dat = by_number[by_number["claim"] == "dat_helps"].loc["SER_SR_DAT - SER_only, IEMOCAP Test"]
    assert (dat["drawn"], dat["marks"], dat["n_clusters"]) == ("clusters and runs", "synthetic; other settings", "5")
    assert dat["note"].startswith("needs two runs or more")
    assert by_number.loc["SER_SR_CGT - SER_only, * Test", "note"].iloc[0] == "needs row SER_SR_CGT in table2"
    assert by_number.loc["SER_SR_DAT, IEMOCAP Val - IEMOCAP Test", "drawn"] == "clusters and runs"
    assert by_number.loc["SER_SR_DAT - SER_only, IEMOCAP embeddings", "drawn"] == "runs alone"
    page = (finished.folder / "results/invariance/claims.md").read_text()
    assert "**cannot tell** (synthetic, other settings): needs two runs or more" in page


def test_a_table_is_typeset_and_says_what_it_is_made_from(finished: Workflow) -> None:
    text = (finished.folder / "results/invariance/table2.tex").read_text()
    assert text.startswith("% invariance/table2.csv, SHA-256 ")
    assert "% synthetic stand-in: not compared\n" in text
    assert r"SER\_only & " in text
    beside = (finished.folder / "results/invariance/table2.md").read_text()
    assert "| System | IEMOCAP (synthetic) Val | " in beside


def test_tables_are_checked(finished: Workflow) -> None:
    checks = pd.read_csv(finished.folder / "results/qc/invariance.csv")
    assert set(checks["check"]) == {"missing cells", "failed fits", "left chance", "controls", "plain baseline", "size"}
    # 64 speakers are more than the stand-in has
    speakers = checks[(checks["check"] == "missing cells") & (checks["table"] == "speakers")].iloc[0]
    assert (speakers["value"], speakers["severity"]) == (50.0, 3)
    assert "64 speakers of training were asked for" in speakers["says"]
    assert (finished.folder / "results/qc/invariance.md").read_text().startswith("# Checks of Speaker invariance (syn")


def test_every_file_is_as_the_page_of_results_says(finished: Workflow) -> None:
    assert finished.faults() == []


def test_a_weight_of_one_system_leaves_the_others_alone(finished: Workflow) -> None:
    targets = ("results/invariance/table2.csv", "results/invariance/table3.csv")
    assert finished.plan(*targets) == {}
    config = finished.config.read_text()
    finished.config.write_text(config.replace("invariance:\n", "invariance:\n  dat: {strength: 0.7}\n"))
    assert finished.plan(*targets)["train_invariance"] == 2
    finished.config.write_text(config)


def test_the_audit_finds_no_speaker_in_two_sets(finished: Workflow) -> None:
    found = pd.read_csv(finished.folder / "results/audit/invariance.csv")
    assert set(found["shared_speakers"]) == {0}
    assert set(found["corpus"]) == {"iemocap", "crema_d"}
    # who validates and who is tested talk to each other
    talk = found[(found["corpus"] == "iemocap") & (found["first"] == "val")]
    assert (talk["shared_dialogues"] > 0).all()
