"""What is asked before a run, and read while it runs: `serflow forecast`, `serflow why`, and the terminal."""

import json
import re
import shutil
from pathlib import Path

import pytest

from harness import SMALL, Workflow

pytestmark = pytest.mark.workflow
TARGET = "results/table1.csv"


@pytest.fixture
def copy(finished: Workflow, tmp_path: Path) -> Workflow:
    """The finished run, to be changed."""
    shutil.copytree(finished.checkout, tmp_path / "checkout")
    shutil.copytree(finished.folder, tmp_path / "work")
    return Workflow(tmp_path / "checkout", tmp_path / "work", SMALL)


def test_a_finished_run_is_forecast_as_it_was(finished: Workflow) -> None:
    """Every kind of job is in Snakemake's records, and their sum is what they took."""
    found = json.loads(finished.serflow("forecast", TARGET, "--all", "--json"))
    assert found["total"]["unknown"] == {}
    jobs = {name: rule["jobs"] for name, rule in found["rules"].items()}
    assert jobs == finished.plan(TARGET, "--forceall")
    logs = [log.read_text() for log in (finished.folder / "results/logs").rglob("*.log")]
    taken = [float(said) for log in logs for said in re.findall(r"; ([\d.]+) s of processor time in all", log)]
    assert found["total"]["core_h"][1] * 3600 == pytest.approx(sum(taken), rel=0.25)
    assert found["total"]["core_h"][0] == pytest.approx(found["total"]["core_h"][1])
    assert found["rules"]["train_dlc"]["recorded_mb"] > 100


def test_nothing_is_said_to_do_where_nothing_is(finished: Workflow) -> None:
    assert finished.serflow("why", TARGET) == f"nothing: {TARGET} is up to date\n"
    assert finished.serflow("forecast", TARGET) == f"nothing to do: {TARGET} is up to date\n"


def test_before_a_first_run_everything_is_counted_and_nothing_started(repository: Path, tmp_path: Path) -> None:
    workflow = Workflow(repository, tmp_path, SMALL)
    said = workflow.serflow("why", TARGET)
    assert said.startswith("Never run: 16 trainings of dlc, ")
    assert said.count("\n") == 1
    assert "1 make_synthetic_corpus" in said
    assert "make_table1" in workflow.serflow("forecast", TARGET)
    assert not (tmp_path / "results").exists()


def test_each_change_is_told(copy: Workflow) -> None:
    """Option, code, output and input: of the finished run, each by itself and all together."""
    workflow = Workflow(copy.checkout, copy.folder, SMALL.replace("max_epochs: 2", "max_epochs: 3"))
    said = workflow.serflow("why", TARGET)
    assert re.search(r"^\d+ trainings of dlc: option training\.max_epochs was 2, is 3$", said, re.MULTILINE)
    copy.config.write_text(SMALL)
    module = copy.checkout / "src/serflow/studies/dlc/moe.py"
    module.write_text(module.read_text() + "\n_EDITED = True\n")
    assert re.search(r"^5 trainings of dlc: its code changed$", copy.serflow("why", TARGET), re.MULTILINE)
    (copy.folder / "results/dlc/figure4.svg").unlink()
    assert "1 plot_dlc_figure4: made once, and gone: results/dlc/figure4.svg" in copy.serflow("why", TARGET)


def test_a_slip_is_told_in_a_line(repository: Path, tmp_path: Path) -> None:
    workflow = Workflow(repository, tmp_path, SMALL)
    for command in ("why", "forecast"):
        said = workflow.serflow(command, "results/tabel1.csv", ok=False)
        assert said == "Nothing makes results/tabel1.csv: did you mean results/table1.csv?\n"


def test_a_run_keeps_reasons_to_itself_and_a_dry_run_says_them(repository: Path, tmp_path: Path) -> None:
    workflow = Workflow(repository, tmp_path, SMALL)
    target = "resources/weights/ledger.csv"
    for plan in (("-n",), ("--dry-run",), ("-np",)):
        said = workflow.run(target, *plan)
        assert "Reason: Missing output files: resources/weights/ledger.csv" in said
        assert "Host:" not in said
    said = workflow.run(target, "--cores", "1")
    assert "List the weights that can be loaded" in said
    assert "Reason: " not in said
    assert "1 of 1 steps (100%) done" in said
