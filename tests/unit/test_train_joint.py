"""The stage that trains on several corpora at once: runs of each, in files of its own."""

import argparse
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from made_up_runs import UTTERANCE, write_utterances
from serflow.errors import ConfigError, TrainingError
from serflow.protocols.folds import FitName, FoldRows, JointRows
from serflow.runs import artefacts
from serflow.runs.artefacts import FitResult
from serflow.runs.scores import read_run
from serflow.settings.base import Section
from serflow.stages import train_joint
from serflow.stores.parquet import read_metadata, read_table
from serflow.training.metrics import tally

CLASSES = {"near": ("high", "low"), "far": ("high", "low", "mid")}


class Cell(NamedTuple):
    system: str
    corpus: str


class Files(NamedTuple):
    utterances: tuple[Path, ...]


class Options(Section):
    right: dict[str, int] = {}  # noqa: RUF012


class Part(NamedTuple):
    classes: tuple[str, ...]
    excluded: dict[str, int]
    rejected: tuple[str, ...]
    utterances: list[str]


class Data(NamedTuple):
    parts: dict[str, Part]


class Study(ModuleType):
    """A study whose fits predict the first ``right`` test utterances of a corpus rightly."""

    Cell, Files, Options = Cell, Files, Options

    def __init__(self) -> None:
        super().__init__("serflow.studies.made_up.train")
        self.trained: list[FitName] = []
        self.forget: str | None = None

    def load(self, files: Files, cell: Cell, options: Options, runs: list[int]) -> Data:
        self.runs = runs
        return Data({
            corpus: Part(classes, {"no label of the study": place}, (), [f"{corpus}{i}" for i in range(6)])
            for place, (corpus, classes) in enumerate(CLASSES.items())
        })  # fmt: skip

    def folds(self, cell: Cell, data: Data) -> Any:
        for run in self.runs:
            fit = FitName(run, "all")
            parts = [np.arange(2), np.arange(2, 4), np.arange(4, 6)]
            yield JointRows(fit, {corpus: FoldRows(fit, *parts) for corpus in data.parts})

    def train_fit(self, cell: Cell, data: Data, options: Options, rows: JointRows, checkpoint: Any) -> Any:
        assert cell.corpus == "joint"
        self.trained.append(rows.fit)
        return {corpus: self._result(corpus, part, options, rows) for corpus, part in data.parts.items()}

    def _result(self, corpus: str, part: Part, options: Options, rows: JointRows) -> FitResult:
        test = rows.of_corpus[corpus].test
        targets = np.eye(len(part.classes))[[0] * len(test)]
        said = np.eye(len(part.classes))[[0 if i < options.right[corpus] else 1 for i in range(len(test))]]
        names = [part.utterances[row] for row in test][corpus == self.forget :]
        tested = artefacts.Tested("test", names, targets[: len(names)], said[: len(names)])
        return FitResult(
            fit=rows.fit,
            tested=[tested],
            tallies={("test", "prediction"): tally(targets, said.argmax(1))},
            counts={role: dict.fromkeys(part.classes, len(of_role)) for role, of_role in
                    rows.of_corpus[corpus].roles().items()},
            history=[{"stage": "main", "period": 0, "updates": 1, "val_wa": 0.5}],
            weights={f"tower.{corpus}": torch.full((1,), float(rows.fit.run))},
            best_period=0,
            n_parameters=7,
        )  # fmt: skip


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Study:
    made_up = Study()
    monkeypatch.setitem(sys.modules, made_up.__name__, made_up)
    return made_up


def arguments(folder: Path, **changed: Any) -> argparse.Namespace:
    tables = [
        write_utterances(folder, corpus, [{UTTERANCE: f"{corpus}{i}"} for i in range(6)], synthetic=corpus == "far")
        for corpus in CLASSES
    ]
    names = {"predictions": "predictions.parquet", "history": "history.parquet", "metrics": "metrics.json",
             "model": "model.safetensors"}  # fmt: skip
    outputs = {name: [folder / corpus / file for corpus in CLASSES] for name, file in names.items()}
    given = {
        "study": "made_up", "cell": [("system", "ours"), ("corpus", "joint")], "corpora": list(CLASSES),
        "inputs": [("utterances", path) for path in tables], "runs": [0, 3], "code": "x", "embeddings": None,
        "options": {"right": {"near": 2, "far": 1}}, **outputs, **changed,
    }  # fmt: skip
    return argparse.Namespace(**given)


def test_each_corpus_has_runs_of_its_own(study: Study, tmp_path: Path) -> None:
    train_joint.main(arguments(tmp_path))
    assert study.trained == [(0, "all"), (3, "all")]
    for place, (corpus, right) in enumerate({"near": 2, "far": 1}.items()):
        run = read_run(tmp_path / corpus / "metrics.json")
        assert run.cell == {"system": "ours", "corpus": corpus}
        assert run.name == f"ours/{corpus}"
        assert tuple(run.classes) == CLASSES[corpus]
        assert run.excluded == {"no label of the study": place}
        assert [fit.tallies["test", "prediction"].hits.sum() for fit in run.fits] == [right, right]
        names = read_table(tmp_path / corpus / "predictions.parquet").column("utterance").to_pylist()
        assert names == [f"{corpus}4", f"{corpus}5"] * 2
        assert read_metadata(tmp_path / corpus / "history.parquet")["cell"]["corpus"] == corpus
        # what was trained along with a stand-in is marked
        assert run.provenance.stand_ins == {"corpus": ("far",)}
    assert not (tmp_path / "near/fits").exists()


def test_what_a_fit_says_nothing_of_is_told_of_any_corpus(study: Study, tmp_path: Path) -> None:
    study.forget = "far"
    with pytest.raises(
        TrainingError, match="run 0, fold all: 1 of 2 test utterances are not predicted once, the first"
    ):
        train_joint.main(arguments(tmp_path))
    assert not (tmp_path / "near/metrics.json").exists()


def test_corpora_and_outputs_are_those_of_the_cell(study: Study, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--corpora: far near, and the cell is of near far"):
        train_joint.main(arguments(tmp_path, corpora=["far", "near"]))
    with pytest.raises(ConfigError, match=r"--model: 1 path\(s\) for 2 corpora; give one for each of --corpora"):
        train_joint.main(arguments(tmp_path, model=[tmp_path / "m"]))
    assert study.trained == []


def test_the_command_line_has_an_output_of_each_corpus() -> None:
    line = (
        "--study s --cell a=b --inputs u=v --runs 0 --options {} --code x --corpora near far "
        "--predictions p q --history h i --metrics m n --model w v"
    )
    found = train_joint.make_parser().parse_args(line.split())
    assert found.predictions == [Path("p"), Path("q")]
    assert found.embeddings is None
