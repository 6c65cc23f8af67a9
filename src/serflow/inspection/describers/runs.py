"""Runs of any study: their scores, what they rest on, and the rows that they leave."""

import difflib
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from serflow.errors import StoreError
from serflow.files import read_json
from serflow.inspection.describers._common import SHOWN_ROWS, add_provenance, as_text, start
from serflow.inspection.describers.files import add_columns
from serflow.inspection.description import Description
from serflow.inspection.kinds import METRICS
from serflow.runs.provenance import Provenance
from serflow.runs.scores import FitScores, Run, fold_scores, kinds_of, parse_measure, read_run
from serflow.stores.parquet import check, read_table
from serflow.training.metrics import score

ROLES = ("train", "val", "test")
SHARES = ("ua", "wa", "wer")
"""Last word of the names of measures, all of which are shares."""
_OWN_TASK = {"prediction": ("ua", "wa"), "words": ("wer",)}
_KEYS = ("study", "name", "cell", "classes", "runs", "provenance")


def describe_run(path: Path) -> Description:
    """Describe a run by its ``metrics.json``, and its predictions where they are there.

    Raises
    ------
    StoreError
        If it is not finished, damaged, or not as runs are written.
    """
    folder = path if path.is_dir() else path.parent
    file = folder / METRICS
    if not file.is_file():
        raise StoreError(f"{folder}: a run without {METRICS} is not finished; run the same command again")
    run, content = read_run(file), read_json(file)
    about = Description(folder, "run", run_title(content))
    _add_cell(about, content)
    about.add("runs", run.runs())
    about.add("folds", list(dict.fromkeys(fit.fold for fit in run.fits)))
    measures = _measures(run)
    for role, measure in measures:
        _add_score(about, run, role, measure)
    periods = [fit["periods"] for fit in content["fits"]]
    about.add("periods", periods, f"{min(periods)} to {max(periods)}")
    _add_fits(about, run, content["fits"], measures)
    predictions = folder / "predictions.parquet"
    if predictions.is_file():
        for role, counts in confusions(predictions).items():
            about.add_table(
                f"Confusion, {role} (rows: label, columns: prediction)",
                ["", *run.classes, "recall %"],
                _confusion_rows(counts, run.classes),
            )
    _add_remarks(about, run.provenance)
    return about


def describe_tested(path: Path, utterance: str) -> Description:
    """Describe what the fits of a run said of one utterance.

    Raises
    ------
    StoreError
        If the predictions are damaged, or none is of this utterance.
    """
    folder = path if path.is_dir() else path.parent
    file = folder / "predictions.parquet"
    metadata = run_metadata(file, "predictions")
    columns = ["run", "fold", "role", "label", "prediction", "probabilities"]
    table = read_table(file, columns=["utterance", *columns])
    names = table.column("utterance").to_pylist()
    rows = [table.slice(place, 1).to_pylist()[0] for place, name in enumerate(names) if name == utterance]
    if not rows:
        near = difflib.get_close_matches(utterance, sorted(set(names)), n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"it predicts {len(set(names)):,} others"
        raise StoreError(f"{file}: no fit was tested or validated on {utterance!r}; {hint}")
    about = Description(folder, "utterance", f"{utterance} · {run_title(metadata)}")
    _add_cell(about, metadata)
    shares = [[round(100 * value, 1) for value in row["probabilities"]] for row in rows]
    about.add_table(
        "What the fits say of it",
        [*columns[:-1], *(f"{name} %" for name in metadata["classes"])],
        [[*(row[name] for name in columns[:-1]), *share] for row, share in zip(rows, shares, strict=True)],
    )
    _add_remarks(about, Provenance.from_json(metadata["provenance"]))
    return about


def describe_rows(path: Path) -> Description:
    """Describe predictions, history or embeddings of a run, column by column.

    Raises
    ------
    StoreError
        If the file is damaged or not as runs are written.
    """
    metadata = run_metadata(path)
    about = start([path], metadata, f"{run_title(metadata)}, {metadata['kind']}")
    _add_cell(about, metadata)
    about.add("runs", metadata["runs"])
    add_columns(about, [path])
    _add_remarks(about, Provenance.from_json(metadata["provenance"]))
    return about


def run_metadata(path: Path, kind: str | None = None) -> dict[str, Any]:
    """Return what a Parquet file of a run says of itself.

    Raises
    ------
    StoreError
        If it is damaged, of another kind, or lacks an entry that files of runs have.
    """
    metadata = check(path, kind)
    missing = [key for key in _KEYS if key not in metadata]
    if missing:
        raise StoreError(f"{path}: its metadata lack {', '.join(missing)}; delete it and run the same command again")
    return metadata


def run_title(content: Mapping[str, Any]) -> str:
    """Return study and cell in one line."""
    return " · ".join([content["study"], *content["name"].split("/")])


def _add_cell(about: Description, content: Mapping[str, Any]) -> None:
    """Say what was trained on what."""
    provenance = Provenance.from_json(content["provenance"])
    add_provenance(about, provenance)
    for key in ("study", "cell", "classes", "parameters", "excluded"):
        if key in content:
            about.add(key, content[key])
    if "options" in content:
        about.add("options", content["options"], as_text(dict(_flat(content["options"]))))
    about.add("code", content["code"])
    about.add("made from", dict(provenance.sources), ", ".join(provenance.sources) or "-")


def _flat(options: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield options by their names in ``config.yaml``: ``training.optimizer``."""
    for key, value in options.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _add_remarks(about: Description, provenance: Provenance) -> None:
    about.add_table("Remarks", ["remark"], [[remark] for remark in provenance.remarks])


# Scores


def _measures(run: Run) -> list[tuple[str, str]]:
    """Return role and measure of all that was counted, the study's own task first: UA and WA, WER of words."""
    counted = dict.fromkeys(found for fit in run.fits for found in fit.tallies)
    measures = []
    for role, what in sorted(counted, key=lambda found: (_rank(found[0]), found[1] not in _OWN_TASK)):
        measures += [(role, measure) for measure in _OWN_TASK.get(what, [f"{what}_{kind}" for kind in kinds_of(what)])]
    return measures


def _rank(role: str) -> tuple[int, str]:
    return (ROLES.index(role) if role in ROLES else len(ROLES), role)


def measure_words(measure: str) -> str:
    """Return a measure as people write it: ``val_ua`` is "val UA"."""
    return " ".join(word.upper() if word in SHARES else word for word in measure.split("_"))


def _add_score(about: Description, run: Run, role: str, measure: str) -> None:
    """Say a score over runs: of a run with several folds their mean, and the score of all of them together."""
    label = measure_words(f"{role}_{measure}")
    try:
        value, text = _over_runs([fold_scores(run, number, role, measure, "mean") for number in run.runs()])
    except StoreError:
        about.add(label, None, "not of every fit")
        return
    if len(run.fits) > len(run.runs()):
        text = f"{text}, mean of folds"
        try:
            together, words = _over_runs([fold_scores(run, number, role, measure, "pooled") for number in run.runs()])
            value, text = {**value, "together": together}, f"{text}; {words}, folds together"
        except StoreError:
            text = f"{text}, which know other classes"
    about.add(label, value, text)


def _over_runs(shares: Sequence[float]) -> tuple[dict[str, Any], str]:
    """Return mean and deviation, as shares for programs and in percent for people."""
    mean, n = statistics.fmean(shares), len(shares)
    spread = statistics.stdev(shares) if n > 1 else None
    text = f"{100 * mean:.1f} %" if spread is None else f"{100 * mean:.1f} % ± {100 * spread:.1f} over {n} runs"
    return {"mean": mean, "std": spread}, text


def _add_fits(
    about: Description, run: Run, entries: Sequence[Mapping[str, Any]], measures: Sequence[tuple[str, str]]
) -> None:
    """Add a row per fit: its scores in the study's own task, its sizes and periods."""
    measures = [(role, measure) for role, measure in measures if measure in SHARES]
    roles = sorted({role for fit in run.fits for role in fit.counts}, key=_rank)
    rows = []
    for fit, entry in zip(run.fits, entries, strict=True):
        scores = [_percent(fit, role, measure) for role, measure in measures]
        sizes = [entry["sizes"].get(role) for role in roles]
        rows.append([fit.run, fit.fold, *scores, *sizes, entry["best_period"], entry["periods"]])
    shown = f", the first {SHOWN_ROWS} of {len(rows)}" if len(rows) > SHOWN_ROWS else ""
    headings = [*(f"{measure_words('_'.join(names))} %" for names in measures), *(f"n {role}" for role in roles)]
    about.add_table(f"Fits{shown}", ["run", "fold", *headings, "best period", "periods"], rows[:SHOWN_ROWS])


def _percent(fit: FitScores, role: str, measure: str) -> float | None:
    what, kind = parse_measure(measure)
    tally = fit.tallies.get((role, what))
    return None if tally is None or not (tally.totals > 0).any() else round(100 * score(tally, kind), 2)


# Confusion


def confusions(predictions: Path) -> dict[str, Counter[tuple[str, str]]]:
    """Return how often a label got a prediction, ``(label, prediction)``, over all fits, for each role that is scored.

    Raises
    ------
    StoreError
        If the file is damaged, or a label or prediction is none of its classes.
    """
    classes = run_metadata(predictions, "predictions")["classes"]
    table = read_table(predictions, columns=["role", "label", "prediction"]).to_pydict()
    odd = sorted({*map(str, table["label"]), *map(str, table["prediction"])} - set(classes))
    if odd:
        raise StoreError(
            f"{predictions}: {odd[0]!r} is none of its classes {', '.join(classes)}; "
            "delete it and run the same command again"
        )
    found: dict[str, Counter[tuple[str, str]]] = {role: Counter() for role in ROLES if role in table["role"]}
    for role, label, prediction in zip(table["role"], table["label"], table["prediction"], strict=True):
        if role in found:
            found[role][label, prediction] += 1
    return found


def _confusion_rows(counts: Mapping[tuple[str, str], int], classes: Sequence[str]) -> Iterator[list[Any]]:
    for label in classes:
        row = [counts[label, prediction] for prediction in classes]
        yield [label, *row, round(100 * counts[label, label] / sum(row), 1) if sum(row) else None]
