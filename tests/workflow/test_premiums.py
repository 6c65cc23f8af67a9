"""What a score owes to a leak, from stand-ins: the clean version beside the paper's, end to end."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from harness import SMALL, Workflow

pytestmark = pytest.mark.workflow

CONFIG = f"{SMALL}  methods: [single]\n  experiments: [exp1]\nreport: {{premiums: true, audio: false}}\n"
RUN = "dlc/exp1/single/iemocap/h1/predictions.parquet"
PAPER, CLEAN = f"results/runs/{RUN}", f"results/versions/clean/{RUN}"


@pytest.fixture(scope="module")
def finished(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    workflow = Workflow(repository, tmp_path_factory.mktemp("premiums"), CONFIG)
    workflow.run("--cores", "2", "results/report/dlc.html")
    return workflow


def said_of(finished: Workflow, path: str) -> tuple[dict[str, object], set[str]]:
    """Return the metadata of predictions, and the speakers that they are of."""
    predictions = pd.read_parquet(finished.folder / path)
    tested = set(predictions.loc[predictions["role"] == "test", "utterance"])
    utterances = pd.read_parquet(finished.folder / "results/corpora/iemocap/utterances.parquet").set_index("utterance")
    said = json.loads(pq.read_metadata(finished.folder / path).metadata[b"serflow"])
    return said, set(utterances.loc[sorted(tested), "speaker"])


def test_the_premium_of_every_cell_is_the_difference(finished: Workflow) -> None:
    found = pd.read_csv(finished.folder / "results/dlc/premiums.csv")
    assert set(found["leak"]) == {"speakers"}
    assert set(found["table"]) == {"table1"}
    assert found["with_leak"].sub(found["without"]).sub(found["premium"]).abs().max() < 0.011
    assert found["note"].str.contains("synthetic").all()
    table = pd.read_csv(finished.folder / "results/dlc/table1.csv")
    assert set(found["with_leak"]) == set(table.iloc[0, 2:].astype(float))


def test_the_clean_run_differs_in_its_split_alone(finished: Workflow) -> None:
    (paper, _), (clean, speakers) = (said_of(finished, path) for path in (PAPER, CLEAN))
    assert {key: paper[key] for key in ("options", "runs", "cell")} == {
        key: clean[key] for key in ("options", "runs", "cell")
    }
    sources = [said["provenance"]["sources"] for said in (paper, clean)]
    differing = {name for name in sources[0] if sources[0][name] != sources[1][name]}
    assert {name.partition("/")[0] for name in differing} == {"splits"}
    split = pd.read_parquet(finished.folder / "results/splits/iemocap/partners-0.parquet")
    utterances = pd.read_parquet(finished.folder / "results/corpora/iemocap/utterances.parquet")
    of_role = split.merge(utterances, on="utterance").groupby("role")["speaker"].agg(set)
    assert speakers <= of_role["test"]
    assert not of_role["test"] & (of_role["train"] | of_role["val"])


def test_it_is_on_the_page_and_as_the_page_of_results_says(finished: Workflow) -> None:
    assert "What scores owe to a leak" in (finished.folder / "results/report/dlc.html").read_text()
    assert finished.faults() == []


def test_who_asks_for_none_trains_nothing_more(finished: Workflow) -> None:
    assert finished.plan("results/dlc/premiums.csv") == {}
    config = finished.config.read_text()
    finished.config.write_text(config.replace("premiums: true", "premiums: false"))
    assert finished.plan("results/report/dlc.html", "--forcerun", "report_dlc") == {"report_dlc": 1}
    finished.config.write_text(config.replace("methods: [single]", "methods: [moe_dlc]"))
    planned = finished.plan("results/dlc/premiums.csv")
    # the noise classifier that routes is of the same version
    assert (planned["train_dlc"], planned["train_dlc_version"]) == (1, 2)
    assert planned["train_noise_classifier"] == 1
    finished.config.write_text(config)
