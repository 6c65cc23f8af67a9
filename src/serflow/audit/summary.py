"""The audit of a study in short: what its sets share at most, corpus by corpus, as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from serflow.audit.study import COUNTED

Row = Mapping[str, Any]
NOTHING = "-"
_APART = ("experiment", "folds")
"""Fields of cells that say how sets are made; of all others the most that is shared is told."""
_TRAINED = ("method", "system", "case")
"""Fields of cells that say what is trained; a study has one of them."""


def summary(study: str, titles: Mapping[str, str], rows: Sequence[Row]) -> str:
    """Return the page of a study's audit.

    Parameters
    ----------
    study
        Its title.
    titles
        Of the corpora by name, in order.
    rows
        Of the audit: the fields of cells, and the audit's columns.
    """
    lines = [
        f"# Audit of the {study} study",
        "",
        "Of the distinct values that the second set has, the most that any fit's first set has too, and the share of "
        "the second's utterances that have one of these.",
        "",
    ]
    for corpus, title in titles.items():
        of_corpus = [row for row in rows if row["corpus"] == corpus]
        if of_corpus:
            lines += [f"## {title}", "", *_shared(of_corpus), *_owed(of_corpus)]
    return "\n".join(lines).rstrip() + "\n"


def _shared(rows: Sequence[Row]) -> list[str]:
    apart = [field for field in _APART if field in rows[0]]
    of_sets: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        of_sets.setdefault((*(row[field] for field in apart), f"{row['first']}, {row['second']}"), []).append(row)
    heading = [*apart, "sets", *(f"{fact.replace('_', ' ')}s" for fact in COUNTED)]
    lines = [heading, ["---"] * len(heading)]
    lines += [[*key, *(_most(found, fact) for fact in COUNTED)] for key, found in of_sets.items()]
    return [f"| {' | '.join(line)} |" for line in lines] + [""]


def _most(rows: Sequence[Row], fact: str) -> str:
    known = [row for row in rows if row[f"shared_{fact}s"] is not None]
    if not known:
        return NOTHING
    worst = max(known, key=lambda row: row[f"utterances_of_shared_{fact}s"] / row["n_second"])
    if not worst[f"shared_{fact}s"]:
        return "0"
    share = 100 * worst[f"utterances_of_shared_{fact}s"] / worst["n_second"]
    return f"{worst[f'shared_{fact}s']:,} of {worst[f'second_{fact}s']:,} ({share:.0f} %)"


def _owed(rows: Sequence[Row]) -> list[str]:
    """Say what else scores may owe to their test, each thing once."""
    lines = [f"- Statistics of features: {said}." for said in _distinct(rows, "statistics")]
    lines.append(f"- The epoch is chosen on: {_chosen_on(rows)}.")
    lines += [
        f"- Pretrained networks have read the corpus: {row['networks_read_corpus']} ({row['networks']})."
        for row in {row["networks"]: row for row in rows if row["networks"]}.values()
    ]
    lines += [f"- {said[0].upper()}{said[1:]}." for said in _distinct(rows, "remark")]
    noted = sum(bool(row["note"]) for row in rows)
    if noted:
        left_out = "Utterances that were left out for their audio or their words are not counted"
        lines.append(f"- {left_out}: see `note` in {noted:,} of {len(rows):,} rows.")
    return [*lines, ""]


def _chosen_on(rows: Sequence[Row]) -> str:
    """Return what epochs are chosen on, and whose are chosen otherwise than most."""
    trained = next((field for field in _TRAINED if field in rows[0]), None)
    names: dict[str, list[str]] = {}
    for row in rows:
        names.setdefault(row["epoch_chosen_on"], []).append("" if trained is None else row[trained])
    most, *others = sorted(names, key=lambda said: -len(names[said]))
    return "; ".join([most, *(f"{said} ({', '.join(dict.fromkeys(names[said]))})" for said in others)])


def _distinct(rows: Sequence[Row], column: str) -> list[str]:
    return [said for said in dict.fromkeys(str(row[column]) for row in rows) if said]
