"""The one finished run that the workflow tests share."""

from pathlib import Path

import pytest

from harness import SMALL, Workflow, copy_checkout


@pytest.fixture(scope="session")
def finished(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A copy of the checkout in which the small Table I has been made; tests copy it before they change it."""
    base = tmp_path_factory.mktemp("finished")
    workflow = Workflow(copy_checkout(repository, base / "checkout"), base / "work", SMALL)
    workflow.run("--cores", "2", "results/table1.csv")
    return workflow
