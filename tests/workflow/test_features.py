"""Feature stores by Snakemake: folders as targets, every feature, a feature of one's own, weights."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from harness import Workflow, copy_checkout
from serflow.config import Config

# EmoDB alone, small; every network is a stand-in but GE2E, whose weights an installed package may carry
SMALL = """
synthetic: {utterances: 40}
corpora:
  emodb: {shards: 2}
  iemocap: {root: null}
  msp_improv: {root: null}
  mosei: {root: null}
  cafe: {root: null}
  ravdess: {root: null}
  crema_d: {root: null}
  mandarin: {root: null}
dlc: {corpora: [emodb]}
backbones:
  ge2e: {weights: stand-in}
"""
FEATURES = list(Config().features)
CLEAN = [f"results/features/{feature}/emodb/clean" for feature in FEATURES]
NOISY = [f"results/features/{feature}/emodb/h1" for feature in ("mfcc", "ge2e")]
pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def built(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    base = tmp_path_factory.mktemp("features")
    workflow = Workflow(copy_checkout(repository, base / "checkout"), base / "work", SMALL)
    workflow.run(*CLEAN, *NOISY, "--cores", "2")
    return workflow


def python_blocks(page: Path) -> list[str]:
    """Return the Python of a page of the documentation."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def metadata(path: Path) -> dict:
    return json.loads(pq.read_metadata(path).metadata[b"serflow"])


def python(workflow: Workflow, code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(workflow.checkout / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=workflow.folder, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("feature", FEATURES)
def test_every_store_holds_every_utterance_once(built: Workflow, feature: str) -> None:
    utterances = pd.read_parquet(built.folder / "results/corpora/emodb/utterances.parquet")
    folder = built.folder / f"results/features/{feature}/emodb/clean"
    store = pd.read_parquet(folder)
    assert not any(metadata(shard)["rejected"] for shard in folder.iterdir())
    assert store.utterance.tolist() == utterances.utterance.tolist()
    values = np.concatenate(store["vector" if "vector" in store else "frames"].tolist())
    assert np.isfinite(values).all()
    assert values.std() > 0


def test_the_folders_hold_nothing_but_their_shards(built: Workflow) -> None:
    for folder in CLEAN + NOISY:
        assert sorted(path.name for path in (built.folder / folder).iterdir()) == ["0000.parquet", "0001.parquet"]


def test_every_file_is_as_the_page_of_results_says(built: Workflow) -> None:
    assert built.faults() == []


def test_stand_ins_are_called_so(built: Workflow) -> None:
    def found(feature: str, condition: str = "clean") -> dict:
        return metadata(built.folder / f"results/features/{feature}/emodb/{condition}/0000.parquet")

    assert found("mfcc")["stand_ins"] == ["corpus"]
    assert found("mfcc", "h1")["stand_ins"] == ["corpus", "noise"]
    assert found("ge2e", "h1")["stand_ins"] == ["corpus", "noise", "weights"]
    assert found("ge2e")["weights"]["source"] == "stand-in"
    record = json.loads((built.folder / "resources/weights/ge2e.json").read_text())
    assert record["synthetic"] is True
    assert set(record["files"].values()) == set(found("ge2e")["weights"]["files"].values())


def test_noise_changes_the_features(built: Workflow) -> None:
    for feature in ("mfcc", "ge2e"):
        clean, noisy = (
            pd.read_parquet(built.folder / f"results/features/{feature}/emodb/{condition}")
            for condition in ("clean", "h1")
        )
        column = "vector" if "vector" in clean else "frames"
        assert clean.utterance.tolist() == noisy.utterance.tolist()
        assert not any(np.allclose(a, b) for a, b in zip(clean[column], noisy[column], strict=True))


def test_nothing_is_left_to_do(built: Workflow) -> None:
    assert built.plan(*CLEAN, *NOISY) == {}


def test_the_target_features_is_every_store(built: Workflow) -> None:
    plan = built.plan("features")
    stores = len(FEATURES) * len(Config().conditions_asked_for())
    assert plan["extract_features"] == 2 * (stores - len(CLEAN) - len(NOISY))
    assert plan["list_weights"] == 1
    assert "prepare_weights" not in plan


def test_a_corpus_says_what_the_target_features_builds_of_it(built: Workflow) -> None:
    """What it does not name is a target by its path."""
    line = '--config=corpora={"emodb": {"features": ["mfcc"]}}'
    conditions = len(Config().conditions_asked_for())
    assert built.plan("features", line)["extract_features"] == 2 * (conditions - 2)
    assert built.plan("results/features/mfb/emodb/h2", line)["extract_features"] == 2


def test_a_change_of_one_feature_or_network_leaves_the_others_alone(built: Workflow, tmp_path: Path) -> None:
    changed = Workflow(tmp_path / "checkout", tmp_path / "work", SMALL)
    shutil.copytree(built.checkout, changed.checkout)
    shutil.copytree(built.folder, changed.folder, dirs_exist_ok=True)
    mfcc = changed.checkout / "src/serflow/features/mfcc.py"
    mfcc.write_text(mfcc.read_text() + "\nCHANGED = True\n")
    assert changed.plan(*CLEAN)["extract_features"] == 2
    ge2e = changed.checkout / "src/serflow/backbones/_ge2e_network.py"
    ge2e.write_text(ge2e.read_text() + "\nCHANGED = True\n")
    plan = changed.plan(*CLEAN)
    # its record is made again, and both features that run it
    assert (plan["extract_features"], plan["prepare_weights"]) == (2 + 4, 1)


def test_a_change_of_how_a_network_is_run_is_seen(built: Workflow) -> None:
    plan = built.plan(*CLEAN, '--config=backbones={"ge2e": {"weights": "stand-in", "precision": "bf16"}}')
    assert {rule: jobs for rule, jobs in plan.items() if not rule.startswith("results/")} == {"extract_features": 4}


def test_weights_by_path_are_read_and_a_change_of_them_is_seen(built: Workflow, tmp_path: Path) -> None:
    weights = shutil.copytree(built.folder / "resources/weights/byol", tmp_path / "my weights")
    file = next(path for path in weights.rglob("*") if path.is_file())
    config = SMALL + f"  byol: {{weights: '{file}'}}\n"
    changed = Workflow(built.checkout, tmp_path / "work", config)
    shutil.copytree(built.folder, changed.folder, dirs_exist_ok=True)
    changed.config.write_text(config)
    target = "results/features/byol/emodb/clean"
    assert changed.plan(target)["prepare_weights"] == 1
    changed.run(target, "--cores", "2")
    shard = metadata(changed.folder / target / "0000.parquet")
    assert shard["weights"]["source"] == "path"
    assert "weights" not in shard["stand_ins"]
    os.utime(file, (1, 1))
    assert changed.plan(target) == {}
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert changed.plan(target)["prepare_weights"] == 1


def test_a_wrong_path_of_weights_stops_before_the_first_job(built: Workflow, tmp_path: Path) -> None:
    wrong = Workflow(built.checkout, tmp_path / "work", SMALL + "  byol: {weights: no/such/file.pth}\n")
    said = wrong.run("results/features/byol/emodb/clean", "--cores", "2", ok=False)
    assert "test.yaml:15: backbones.byol.weights: no file or folder no/such/file.pth" in said
    assert not (wrong.folder / "resources").exists()


def test_the_page_of_features_opens_a_store_with_pandas_polars_and_duckdb(repository: Path, built: Workflow) -> None:
    blocks = python_blocks(repository / "docs/features.md")
    for library in ("pandas", "polars", "duckdb"):
        block = next(block for block in blocks if f"import {library}" in block)
        assert len(block.strip().splitlines()) <= 4
        assert python(built, block + "\nprint(len(store))").strip().isdigit()


def test_a_feature_is_added_in_few_lines(repository: Path, built: Workflow, tmp_path: Path) -> None:
    (block,) = (block for block in python_blocks(repository / "docs/extend.md") if "FeatureInfo" in block)
    assert len(block.split("\n\n")) <= 8
    assert len([line for line in block.splitlines() if line]) <= 20
    mine = Workflow(tmp_path / "checkout", tmp_path / "work", SMALL + "features: {loudness: {}}\n")
    shutil.copytree(built.checkout, mine.checkout)
    shutil.copytree(built.folder, mine.folder, dirs_exist_ok=True)
    mine.config.write_text(SMALL + "features: {loudness: {}}\n")
    (mine.checkout / "src/serflow/features/loudness.py").write_text(block)
    mine.run("results/features/loudness/emodb/clean", "--cores", "2")
    store = pd.read_parquet(mine.folder / "results/features/loudness/emodb/clean")
    assert len(store) == len(pd.read_parquet(mine.folder / "results/corpora/emodb/utterances.parquet"))
    assert mine.plan(*CLEAN) == {}
    # the contract test finds it by itself
    tests = tmp_path / "tests"
    tests.mkdir()
    shutil.copy(repository / "tests/unit/test_features_contract.py", tests)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "loudness", str(tests)],
        cwd=tests,
        env={**os.environ, "PYTHONPATH": str(mine.checkout / "src")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 10


def test_serflow_inspect_describes_what_was_built(built: Workflow) -> None:
    code = "from serflow.cli import main; import sys; sys.argv = ['serflow', 'inspect', {!r}]; main()"
    said = python(built, code.format("results/features/ge2e/emodb/h1"))
    assert "ge2e" in said
    assert "stand-in" in said.lower()
