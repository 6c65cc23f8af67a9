"""Runs of any study: their scores, what they rest on, and the rows that they leave."""

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from serflow.errors import StoreError
from serflow.files import read_json
from serflow.inspection.describers._common import SHOWN_ROWS, as_text, stand_in_warning, start
from serflow.inspection.describers.files import add_columns
from serflow.inspection.description import Description
from serflow.inspection.kinds import METRICS
from serflow.report.marks import PARTIAL, STAND_INS
from serflow.stores.parquet import check, read_table

ROLES = ("train", "val", "test")
SHARES = ("ua", "wa", "wer")
"""Measures that are shares of a total, and so shown in percent."""
KEYS = ("study", "cell", "classes", "provenance")
KEYS_OF_ROWS = (*KEYS, "runs")

Counts = Mapping[str, Sequence[float]]
"""Hits and total by class: what a tally is in ``metrics.json``."""


def describe_run(path: Path) -> Description:
    """Describe a run by its ``metrics.json``, and its predictions where they are there.

    Raises
    ------
    StoreError
        If it is not finished, or is not as runs are written.
    """
    folder = path if path.is_dir() else path.parent
    file = folder / METRICS
    if not file.is_file():
        raise StoreError(f"{folder}: a run without {METRICS} is not finished; run the same command again")
    metrics = required(file, read_json(file), (*KEYS, "fits"))
    about = Description(folder, "run", cell_title(metrics))
    _add_cell(about, metrics)
    fits = metrics["fits"]
    for key in ("run", "fold"):
        about.add(f"{key}s", list(dict.fromkeys(fit[key] for fit in fits)))
    found = dict.fromkeys(
        (role, measure) for fit in fits for role in fit["tallies"] for measure in fit["tallies"][role]
    )
    measures = sorted(found, key=lambda names: ROLES.index(names[0]))
    for role, measure in measures:
        _add_score(about, fits, role, measure)
    periods = [fit["periods"] for fit in fits]
    about.add("periods", periods, f"{min(periods)} to {max(periods)}")
    _add_fits(about, fits, measures)
    predictions = folder / "predictions.parquet"
    if predictions.is_file():
        for role, counts in confusions(predictions).items():
            about.add_table(
                f"Confusion, {role} (rows: label, columns: prediction)",
                ["", *metrics["classes"], "recall %"],
                _confusion_rows(counts, metrics["classes"]),
            )
    _add_remarks(about, metrics)
    return about


def describe_rows(path: Path) -> Description:
    """Describe the predictions or the history of a run, column by column.

    Raises
    ------
    StoreError
        If it is damaged or not as runs are written.
    """
    metadata = required(path, check(path), KEYS_OF_ROWS)
    about = start([path], metadata, f"{cell_title(metadata)}, {metadata['kind']}")
    _add_cell(about, metadata)
    about.add("runs", metadata["runs"])
    add_columns(about, [path])
    _add_remarks(about, metadata)
    return about


def required(path: Path, content: Mapping[str, Any], keys: Sequence[str]) -> Mapping[str, Any]:
    """Return what a file of a run says of itself.

    Raises
    ------
    StoreError
        If it lacks an entry that all runs have.
    """
    missing = [key for key in keys if key not in content]
    if missing:
        raise StoreError(
            f"{path}: lacks {', '.join(missing)}, which runs of this version have; "
            "delete it and run the same command again"
        )
    return content


def cell_title(metadata: Mapping[str, Any]) -> str:
    """Return study and cell in one line."""
    return " · ".join([metadata["study"], *map(str, metadata["cell"].values())])


def _add_cell(about: Description, content: Mapping[str, Any]) -> None:
    """Say what was trained on what."""
    stand_ins, partial = content["provenance"]["stand_ins"], content["provenance"]["partial"]
    about.warnings += [stand_in_warning(what, stand_ins[what]) for what in STAND_INS if stand_ins.get(what)]
    if partial:
        about.warnings.append(f"{PARTIAL} ({', '.join(partial)}): not all that the publisher counts is there")
    about.add("study", content["study"])
    about.add("cell", content["cell"])
    for key in ("classes", "parameters", "excluded"):
        if key in content:
            about.add(key, content[key])
    if "options" in content:
        about.add("options", content["options"], as_text(dict(_flat(content["options"]))))
    if "code" in content:
        about.add("code", content["code"])


def _flat(options: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield options by their names in ``config.yaml``: ``training.optimizer``."""
    for key, value in options.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _add_remarks(about: Description, content: Mapping[str, Any]) -> None:
    about.add_table("Remarks", ["remark"], [[remark] for remark in content["provenance"]["remarks"]])


# Scores


def score(measure: str, tallies: Sequence[Counts]) -> float:
    """Return the score of tallies taken together, as a share; they have to count something.

    Measures whose name ends in ``ua`` are the mean over classes; all others are the hits of all classes by their total:
    of ``wa`` the utterances that are right, of ``wer`` edits by words.
    """
    hits: dict[str, float] = {}
    totals: dict[str, float] = {}
    for tally in tallies:
        for name, (hit, total) in tally.items():
            hits[name] = hits.get(name, 0) + hit
            totals[name] = totals.get(name, 0) + total
    if measure.split("_")[-1] == "ua":
        return statistics.fmean(hits[name] / total for name, total in totals.items() if total)
    return sum(hits.values()) / sum(totals.values())


def measure_words(measure: str) -> str:
    """Return a measure as people write it: ``val_ua`` is "val UA"."""
    return " ".join(word.upper() if word in SHARES else word for word in measure.split("_"))


def _tally(fit: Mapping[str, Any], role: str, measure: str) -> Counts | None:
    """Return what a fit counted, None if nothing."""
    tally: Counts = fit["tallies"].get(role, {}).get(measure, {})
    return tally if any(total for _, total in tally.values()) else None


def _add_score(about: Description, fits: Sequence[Mapping[str, Any]], role: str, measure: str) -> None:
    """Say a score over runs: of a run with several folds their mean, and the score of all of them together."""
    label = measure_words(f"{role}_{measure}")
    by_run: dict[int, list[Counts]] = {}
    for fit in fits:
        if (tally := _tally(fit, role, measure)) is not None:
            by_run.setdefault(fit["run"], []).append(tally)
    if not by_run:
        about.add(label, None)
        return
    means = [statistics.fmean(score(measure, [tally]) for tally in folds) for folds in by_run.values()]
    value, text = _over_runs(means)
    if max(map(len, by_run.values())) > 1:
        together, words = _over_runs([score(measure, folds) for folds in by_run.values()])
        value, text = {**value, "together": together}, f"{text}, mean of folds; {words}, folds together"
    about.add(label, value, text)


def _over_runs(shares: Sequence[float]) -> tuple[dict[str, Any], str]:
    """Return mean and deviation in percent, for programs and for people."""
    mean, n = 100 * statistics.fmean(shares), len(shares)
    spread = 100 * statistics.stdev(shares) if n > 1 else None
    text = f"{mean:.1f} %" if spread is None else f"{mean:.1f} % ± {spread:.1f} over {n} runs"
    return {"mean": mean, "std": spread}, text


def _add_fits(about: Description, fits: Sequence[Mapping[str, Any]], measures: Sequence[tuple[str, str]]) -> None:
    """Add a row per fit: its scores, sizes and periods."""
    roles = sorted({role for fit in fits for role in fit["sizes"]}, key=_rank)
    rows = []
    for fit in fits:
        tallies = [(measure, _tally(fit, role, measure)) for role, measure in measures]
        scores = [None if tally is None else round(100 * score(measure, [tally]), 2) for measure, tally in tallies]
        sizes = [fit["sizes"].get(role) for role in roles]
        rows.append([fit["run"], fit["fold"], *scores, *sizes, fit["best_period"], fit["periods"]])
    shown = f", the first {SHOWN_ROWS} of {len(rows)}" if len(rows) > SHOWN_ROWS else ""
    headings = [*(f"{measure_words('_'.join(names))} %" for names in measures), *(f"n {role}" for role in roles)]
    about.add_table(f"Fits{shown}", ["run", "fold", *headings, "best period", "periods"], rows[:SHOWN_ROWS])


def _rank(role: str) -> tuple[int, str]:
    return (ROLES.index(role) if role in ROLES else len(ROLES), role)


# Confusion


def confusions(predictions: Path) -> dict[str, Counter[tuple[str, str]]]:
    """Return how often a label got a prediction, ``(label, prediction)``, for each role, over all fits.

    Raises
    ------
    StoreError
        If the file is damaged, or a label or prediction is none of its classes.
    """
    metadata = required(predictions, check(predictions, "predictions"), KEYS_OF_ROWS)
    table = read_table(predictions, columns=["role", "label", "prediction"]).to_pydict()
    odd = sorted({*map(str, table["label"]), *map(str, table["prediction"])} - set(metadata["classes"]))
    if odd:
        raise StoreError(
            f"{predictions}: {odd[0]!r} is none of its classes {', '.join(metadata['classes'])}; "
            "delete it and run the same command again"
        )
    found: dict[str, Counter[tuple[str, str]]] = {role: Counter() for role in sorted(set(table["role"]), key=_rank)}
    for role, label, prediction in zip(table["role"], table["label"], table["prediction"], strict=True):
        found[role][label, prediction] += 1
    return found


def _confusion_rows(counts: Mapping[tuple[str, str], int], classes: Sequence[str]) -> Iterator[list[Any]]:
    for label in classes:
        row = [counts[label, prediction] for prediction in classes]
        yield [label, *row, round(100 * counts[label, label] / sum(row), 1) if sum(row) else None]
