"""The study of docs/add-a-study.md, as it stands on the page, built and run."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from harness import Workflow, copy_checkout

pytestmark = pytest.mark.workflow

BLOCK = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SMALL = """
synthetic: {utterances: 60}
meanmel: {epochs: 5}
"""


def _insert(path: Path, after: str, line: str) -> None:
    text = path.read_text()
    assert text.count(after) == 1, f"{path}: {after!r}"
    path.write_text(text.replace(after, f"{after}{line}"))


@pytest.fixture(scope="module")
def workflow(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    base = tmp_path_factory.mktemp("study")
    checkout = copy_checkout(repository, base / "checkout")
    page = (repository / "docs" / "add-a-study.md").read_text()
    for name, content in BLOCK.findall(page):
        path = checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (checkout / "src/serflow/studies/meanmel/__init__.py").write_text("")
    shutil.copy(repository / "workflow/report/dlc_table1.rst", checkout / "workflow/report/meanmel_table1.rst")
    config = checkout / "src/serflow/config.py"
    _insert(config, "    dlc: Dlc = Dlc()\n", "    meanmel: Meanmel = Meanmel()\n")
    _insert(config, '"dlc": DlcPlan(self.dlc, self)', ', "meanmel": MeanmelPlan(self.meanmel, self)')
    imports = "from serflow.studies.meanmel.plan import Plan as MeanmelPlan\n"
    imports += "from serflow.studies.meanmel.settings import Meanmel\n"
    _insert(config, "from serflow.studies.dlc.settings import Dlc\n", imports)
    _insert(checkout / "Snakefile", 'include: "workflow/rules/dlc.smk"\n', 'include: "workflow/rules/meanmel.smk"\n')
    return Workflow(checkout, base / "work", SMALL)


def test_the_study_on_the_page_gives_a_table_beside_its_papers(workflow):
    targets = ["table1_vs_paper.csv", "table1_intervals.csv", "table1_fits.csv", "curves.svg", "protocol.md"]
    beside = ["results/report/meanmel.html", "results/audit/meanmel.csv"]
    workflow.run("--cores", "2", *(f"results/meanmel/{target}" for target in targets), *beside)
    results = workflow.folder / "results/meanmel"

    table = pd.read_csv(results / "table1.csv")
    assert list(table.columns) == ["Features", "UA (synthetic)", "WA (synthetic)"]
    fits = pd.read_csv(results / "table1_fits.csv")
    assert fits["run"].tolist() == [0, 1]
    shown = float(table["UA (synthetic)"].iloc[0].split(" ± ")[0])
    assert shown == pytest.approx(fits["ua"].mean(), abs=0.011)

    beside = pd.read_csv(results / "table1_vs_paper.csv", keep_default_na=False)
    assert beside["difference"].tolist() == ["", ""]
    assert beside["note"].str.startswith("synthetic stand-in: not compared").all()
    intervals = pd.read_csv(results / "table1_intervals.csv")
    assert intervals["n_runs"].tolist() == [2, 2]
    assert (intervals["low"] <= intervals["value"]).all()
    assert "Mean of 40 bands" in (results / "curves.svg").read_text()
    card = pd.read_csv(results / "protocol.csv")
    assert card["n_test"].tolist() == fits["n"].tolist()
    audit = pd.read_csv(workflow.folder / "results/audit/meanmel.csv")
    assert set(audit["run"]) == {0, 1}
    assert set(audit["shared_speakers"]) == {0}
    assert workflow.faults() == []

    # a study that says nothing of pages has one
    report = (workflow.folder / "results/report/meanmel.html").read_text()
    assert 'data-table="table1"' in report
    assert 'data-figure="curves"' in report
    assert "A made-up paper" in report
    assert list((workflow.folder / "results/report/meanmel_audio").rglob("*-clean.flac"))


def test_another_study_leaves_the_first_ones_alone(workflow):
    # what a second study adds is in no fingerprint and no parameter of the first
    assert "train_meanmel" not in workflow.plan("results/table1.csv")
    assert workflow.plan("results/meanmel/table1.csv") == {}
