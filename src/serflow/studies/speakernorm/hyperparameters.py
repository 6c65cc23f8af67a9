"""Table I: the hyper-parameters, as the runs kept them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from serflow.report.facts import marked, marks
from serflow.runs.provenance import Provenance, joined
from serflow.settings.base import checked
from serflow.stores.parquet import check, read_table
from serflow.studies.speakernorm.options import Options

_TIMES = "\N{MULTIPLICATION SIGN}"


class Files(NamedTuple):
    """``predictions.parquet``, whose metadata hold the options, and ``history.parquet`` of every cell; its audio."""

    predictions: tuple[Path, ...]
    histories: tuple[Path, ...]
    audio: Path


def describe(options: Options) -> dict[str, str]:
    """Return the settings of a run as Table I prints them, and what it leaves out below."""
    training = options.training
    one, two = training.betas
    return {
        "training epochs": str(training.epochs),
        "optimizer": f"AdamW (β1 = {one:g}, β2 = {two:g}, ε = {_power(training.epsilon)})",
        "β": f"{options.speaker.beta:g}",
        "learning rate": _power(training.learning_rate),
        "warm-up ratio": f"{training.warmup:g}, linear warm-up",
        "batch size": f"{training.batch_size * training.accumulate} (accumulated batch size)",
        "alpha": f"{options.alpha:g}",
        "CTC": f"{options.ctc.reduction} over batches of {training.batch_size}",
        "pooling": "mean" if options.pool == "mean" else "masked mean",
        "weight decay": f"{training.weight_decay:g}",
        "gradient norm": f"{training.clip_norm:g}",
    }


def _power(value: float) -> str:
    """Return ``5 × 10^-5`` of 5e-5."""
    digits, _, exponent = f"{value:e}".partition("e")
    digit = f"{float(digits):g}"
    return f"10^{int(exponent)}" if digit == "1" else f"{digit} {_TIMES} 10^{int(exponent)}"


def _several(values: Iterable[str]) -> str:
    found = list(dict.fromkeys(values))
    return ", ".join(sorted(found, key=float)) if all(_is_number(value) for value in found) else ", ".join(found)


def _is_number(word: str) -> bool:
    return word.replace(".", "", 1).isdigit()


def make_table(files: Files, facts: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return heading and rows: a row a hyper-parameter; where the runs differ, all of their values."""
    settings: dict[str, list[str]] = {}
    provenances = []
    for predictions in files.predictions:
        metadata = check(predictions, "predictions")
        provenances.append(Provenance.from_json(metadata["provenance"]))
        for name, value in describe(checked(Options, metadata["options"], str(predictions))).items():
            settings.setdefault(name, []).append(value)
    rate = check(files.audio)["sample_rate"]
    updates = [max(read_table(path, kind="history").column("updates").to_pylist()) for path in files.histories]
    rows = [["sample frequency", f"{rate // 1000}k Hz"], *([name, _several(found)] for name, found in settings.items())]
    rows.append(["updates", _several(map(str, updates))])
    return ["Hyperparameter", marked("Value", marks(joined(provenances)))], rows
