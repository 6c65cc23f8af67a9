"""What a score owes to a leak, from stand-ins: the clean version beside the paper's, end to end."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from harness import SMALL, Workflow

pytestmark = pytest.mark.workflow

CONFIG = f"{SMALL}  methods: [single]\n  experiments: [exp1]\nreport: {{premiums: true, audio: false}}\n"
RUN = "dlc/exp1/single/iemocap/{}/predictions.parquet"
RUNS = {
    "paper": f"results/runs/{RUN.format('h1')}",
    "clean": f"results/versions/clean/{RUN.format('h1@partners-0')}",
    "with_speakers": f"results/versions/with_speakers/{RUN.format('h1@dialogue-0')}",
    "with_clips": f"results/versions/with_clips/{RUN.format('h1')}",
}
SPLITS = {"paper": "dialogue-0", "with_speakers": "dialogue-0", "with_clips": "partners-0", "clean": "partners-0"}


@pytest.fixture(scope="module")
def finished(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    workflow = Workflow(repository, tmp_path_factory.mktemp("premiums"), CONFIG)
    workflow.run("--cores", "2", "results/report/dlc.html")
    return workflow


def said_of(finished: Workflow, version: str) -> dict[str, Any]:
    """Return the metadata of a version's predictions."""
    found: dict[str, Any] = json.loads(pq.read_metadata(finished.folder / RUNS[version]).metadata[b"serflow"])
    return found


def test_the_premium_of_every_cell_is_the_difference(finished: Workflow) -> None:
    found = pd.read_csv(finished.folder / "results/dlc/premiums.csv")
    columns = ["IEMOCAP h1", "Overall h1", "Overall"]
    asked = [(leak, column) for leak in ("all", "speakers", "clips") for column in columns]
    assert list(zip(found["leak"], found["column"], strict=True)) == asked
    assert set(found["table"]) == {"table1"}
    assert found["with_leak"].sub(found["without"]).sub(found["premium"]).abs().max() < 0.011
    assert found["note"].str.contains("synthetic").all()
    table = pd.read_csv(finished.folder / "results/dlc/table1.csv")
    assert set(found.loc[found["leak"] == "all", "with_leak"]) == set(table.iloc[0, 2:].astype(float))
    # all lines of a cell are held against the same clean score
    assert found.groupby("column")["without"].nunique().max() == 1


def test_versions_differ_in_their_split_and_their_clips_alone(finished: Workflow) -> None:
    said = {name: said_of(finished, name) for name in RUNS}
    assert len({json.dumps([of["options"], of["runs"]], sort_keys=True) for of in said.values()}) == 1

    def differing(one: str, other: str) -> set[str]:
        sources = [said[name]["provenance"]["sources"] for name in (one, other)]
        return {name.partition("/")[0] for name, _ in sources[0].items() ^ sources[1].items()}

    assert differing("paper", "with_clips") == {"splits"}
    assert differing("with_clips", "clean") == {"noisy", "plan"}


@pytest.mark.parametrize("version", RUNS)
def test_what_a_version_closes_is_not_shared(finished: Workflow, version: str) -> None:
    def of_role(fact: str, path: str) -> dict[str, set[str]]:
        split = pd.read_parquet(finished.folder / f"results/splits/iemocap/{SPLITS[version]}.parquet")
        facts = pd.read_parquet(finished.folder / path)
        return split.merge(facts, on="utterance").groupby("role")[fact].agg(set).to_dict()

    predictions = pd.read_parquet(finished.folder / RUNS[version])
    tested = set(predictions.loc[predictions["role"] == "test", "utterance"])
    speakers = of_role("speaker", "results/corpora/iemocap/utterances.parquet")
    split = pd.read_parquet(finished.folder / f"results/splits/iemocap/{SPLITS[version]}.parquet")
    assert tested <= set(split.loc[split["role"] == "test", "utterance"])
    apart = version in ("clean", "with_clips")
    assert (not speakers["test"] & (speakers["train"] | speakers["val"])) == apart
    noise = RUNS[version].split("/")[-2]
    clips = of_role("clip", f"results/noise/iemocap/{noise}.parquet")
    apart = version in ("clean", "with_speakers")
    assert (not clips["test"] & (clips["train"] | clips["val"])) == apart
    assert (not clips["val"] & clips["train"]) == apart


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
    assert (planned["train_dlc"], planned["train_dlc_version"]) == (1, 6)
    assert planned["train_noise_classifier"] == 1
    finished.config.write_text(config)


def test_noise_is_planned_for_each_split_and_nothing_twice(repository: Path, tmp_path: Path) -> None:
    config = CONFIG.replace("[iemocap]", "[iemocap, mosei]").replace("seeds: [0]", "seeds: [0, 1]")
    workflow = Workflow(repository, tmp_path, config)
    output = workflow.run("results/dlc/premiums.csv", "-n")
    trained = {line.partition(": ")[2] for line in output.splitlines() if "version" in line and "Train" in line}
    assert trained == {
        *(f"Train single on iemocap in profile h1@partners-{run}, exp1, version clean" for run in (0, 1)),
        *(f"Train single on iemocap in profile h1@dialogue-{run}, exp1, version with_speakers" for run in (0, 1)),
        *(f"Train single on mosei in profile h1@dialogue-{run}, exp1, version clean" for run in (0, 1)),
        "Train single on iemocap in profile h1, exp1, version with_clips",
    }
    noise = "Plan the noise of {} in profile {}, mixing snr"
    for corpus, split in (("iemocap", "partners-1"), ("iemocap", "dialogue-1"), ("mosei", "dialogue-1")):
        assert noise.format(corpus, f"h1@{split}") in output
    assert noise.format("mosei", "h1@partners-1") not in output


@pytest.mark.parametrize("noise", ["h1", "h1@dialogue-0"])
def test_a_version_is_not_trained_in_the_noise_of_another(repository: Path, tmp_path: Path, noise: str) -> None:
    run = f"results/versions/clean/{RUN.format(noise)}"
    output = Workflow(repository, tmp_path, CONFIG).run(run, "-n", ok=False)
    assert f"Nothing makes {run}: its runs of iemocap are in noise h1@partners-0" in output
