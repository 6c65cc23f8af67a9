"""The protocol card of the study: what its fits are trained and tested on, and the noise in it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from serflow.errors import StoreError
from serflow.noise.mixing import PLAN_KIND
from serflow.noise.plan import CONDITIONS
from serflow.protocols.examples import look_up, read_draw, read_examples
from serflow.protocols.folds import ROLES, FoldRows, IntArray
from serflow.protocols.shared import shared
from serflow.protocols.splits import TRAIN_END, VAL_END, split_unit
from serflow.report.facts import marked, marks
from serflow.report.protocol import (
    NOTHING,
    SAME_FACTS,
    Card,
    Described,
    classes_section,
    common_section,
    describe,
    fold_facts,
    markdown_table,
    percent,
    settings_table,
    summary,
)
from serflow.runs.provenance import Provenance, gather, joined
from serflow.stores import parquet
from serflow.studies.dlc.labels import emotion_labels
from serflow.studies.dlc.protocol import FOLDS, folds


class Files(NamedTuple):
    """The files that the card reads: of every corpus its utterance table, its splits, and its noise plans."""

    utterances: tuple[Path, ...]
    splits: tuple[Path, ...]
    plans: tuple[Path, ...]


class _Plan(NamedTuple):
    """A noise plan; arrays have a row for each example. ``conditions`` index ``CONDITIONS``, SNRs are in dB."""

    profile: str
    conditions: IntArray
    clips: list[str]
    snrs: list[float]
    achieved: list[float]


class _Corpus(NamedTuple):
    described: Described
    unit: str
    roles: dict[int, Any]
    plans: list[_Plan]

    def fits(self, experiment: str, plan: _Plan) -> list[FoldRows]:
        """Return the rows of every fit in a profile."""
        return list(folds(experiment, plan.conditions, self.roles))


def _read_plan(path: Path, corpus: str, names: Sequence[str]) -> _Plan:
    profile = parquet.check(path, PLAN_KIND, {"corpus": corpus})["profile"]
    columns = ["utterance", "condition", "clip", "snr_db", "achieved_snr_db"]
    table = parquet.read_table(path, columns=columns)
    utterances, conditions, clips, snrs, achieved = (table.column(name).to_pylist() for name in columns)
    rows = look_up(names, {name: row for row, name in enumerate(utterances)}, path).tolist()
    return _Plan(
        profile,
        np.array([CONDITIONS.index(conditions[row]) for row in rows]),
        [clips[row] for row in rows],
        [snrs[row] for row in rows],
        [achieved[row] for row in rows],
    )


def _of_corpus(paths: Sequence[Path], corpus: str, what: str) -> list[Path]:
    found = [path for path in paths if parquet.read_metadata(path).get("corpus") == corpus]
    if not found:
        raise StoreError(f"no {what} of corpus {corpus!r} is given; build it and give it too")
    return found


def _of_runs(splits: Sequence[Path], corpus: str, runs: Sequence[int]) -> Sequence[Path]:
    """Return the split of each run; one may be that of all."""
    if len(splits) == 1:
        return [*splits] * len(runs)
    if len(splits) != len(runs):
        raise StoreError(f"{len(splits)} splits of corpus {corpus!r} for {len(runs)} runs; give one of each, or one")
    return splits


def _check_units(corpus: _Corpus, splits: Sequence[Path]) -> None:
    """Refuse a split that parts what it says it keeps together."""
    examples = corpus.described.examples
    placed = zip(examples.utterances, examples.facts["dialogue"], examples.facts["speaker"], strict=True)
    units = [split_unit(corpus.unit, *place) for place in placed]
    for path, roles in zip(splits, corpus.roles.values(), strict=True):
        role_of: dict[str, str] = {}
        for unit, role in zip(units, roles.tolist(), strict=True):
            if role_of.setdefault(unit, role) != role:
                raise StoreError(
                    f"{path}: parts {corpus.unit} {unit!r} among {', '.join(ROLES)}; delete it and run the same "
                    "command again"
                )


def _read_corpus(utterances: Path, title: str, files: Files, labels: str, runs: Sequence[int]) -> _Corpus:
    corpus = parquet.read_metadata(utterances)["corpus"]
    examples = read_examples(utterances, lambda layout, rows: emotion_labels(layout, rows, labels))
    splits = _of_runs(_of_corpus(files.splits, corpus, "split"), corpus, runs)
    plans = _of_corpus(files.plans, corpus, "noise plan")
    provenance = gather({"utterances": utterances, "plans": plans})
    found = _Corpus(
        describe(title, examples, provenance),
        parquet.read_metadata(splits[0])["unit"],
        {run: read_draw(path, corpus, examples.utterances) for run, path in zip(runs, splits, strict=True)},
        [_read_plan(path, corpus, examples.utterances) for path in plans],
    )
    _check_units(found, splits)
    return found


def levels(plan: _Plan, rows: IntArray) -> str:
    """Return the requested SNR (dB) of each condition in some rows, e.g. ``natural -5; human -20``."""
    said = []
    for index, name in enumerate(CONDITIONS):
        snrs = sorted({plan.snrs[row] for row in rows if plan.conditions[row] == index}, reverse=True)
        if snrs:
            said.append(f"{name} {', '.join(f'{snr:g}' for snr in snrs)}")
    return "; ".join(said)


def _facts(corpus: _Corpus, plan: _Plan, experiment: str, rows: FoldRows) -> dict[str, Any]:
    clips = shared([plan.clips[row] for row in rows.train], [plan.clips[row] for row in rows.test])
    provenance = corpus.described.provenance
    return {
        "corpus": corpus.described.examples.corpus,
        "profile": plan.profile,
        "experiment": experiment,
        "synthetic": "corpus" in provenance.stand_ins,
        "partial": bool(provenance.partial_corpora),
        "split_by": corpus.unit,
        **fold_facts(corpus.described, rows),
        "train_clips": clips.train,
        "test_clips": clips.test,
        "shared_clips": clips.both,
        "test_utterances_of_shared_clips": clips.utterances,
        "test_percent_of_shared_clips": 100.0 * clips.utterances / len(rows.test) if len(rows.test) else None,
        "train_snr_db": levels(plan, rows.train),
        "test_snr_db": levels(plan, rows.test),
    }


def _noise(corpus: _Corpus) -> list[str]:
    rows = []
    for plan in corpus.plans:
        for index, condition in enumerate(CONDITIONS):
            part = np.flatnonzero(plan.conditions == index).tolist()
            asked = ", ".join(f"{snr:g}" for snr in sorted({plan.snrs[row] for row in part})) or NOTHING
            achieved = f"{np.median([plan.achieved[row] for row in part]):.1f}" if part else NOTHING
            clips = len({plan.clips[row] for row in part})
            rows.append([plan.profile, condition, f"{len(part):,}", clips, asked, achieved])
    heading = ["profile", "condition", "utterances", "clips", "SNR asked for (dB)", "SNR achieved (dB, median)"]
    return ["### Noise", "", *markdown_table(heading, rows)]


def _clips(facts: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        [
            row["profile"],
            row["run"],
            f"{row['shared_clips']:,} of {row['test_clips']:,}",
            percent(row["test_utterances_of_shared_clips"], row["n_test"]),
        ]
        for row in facts
        if row["experiment"] == "exp1"
    ]
    heading = ["profile", "run", "test clips heard in training", "test utterances with such a clip"]
    return ["### Noise clips in experiment 1", "", *markdown_table(heading, rows)]


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _held_out(facts: Sequence[Mapping[str, Any]]) -> list[str]:
    fits: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in facts:
        if row["experiment"] == "exp2":
            fits.setdefault((row["profile"], row["fold"]), []).append(row)
    rows = [
        [
            profile,
            fold,
            *(_range([row[f"n_{role}"] for row in of_fold]) for role in ROLES),
            of_fold[0]["test_snr_db"] or NOTHING,
            of_fold[0]["train_snr_db"] or NOTHING,
            _range([row["shared_clips"] for row in of_fold]),
        ]
        for (profile, fold), of_fold in fits.items()
    ]
    heading = ["profile", "held out", *ROLES, "SNR of the test (dB)", "SNRs of training (dB)", "clips in common"]
    return [
        "### Experiment 2",
        "",
        "One condition is held out in turn: training and validation have the utterances of the other two, the test "
        "those of the held-out one (numbers of utterances: range over runs). Where the SNR of the test is not among "
        "those of training, type and level of the noise change together.",
        "",
        *markdown_table(heading, rows),
    ]


def _split(corpus: _Corpus) -> str:
    dialogues = any(name is not None for name in corpus.described.examples.facts["dialogue"])
    unit = "speaker" if corpus.unit == "speaker" else "dialogue" if dialogues else "utterance (no dialogues)"
    shares = ", ".join(f"{100 * share:.0f} %" for share in (TRAIN_END, VAL_END - TRAIN_END, 1.0 - VAL_END))
    return (
        f"Split: by {corpus.unit}, each {unit} as a whole; {', '.join(ROLES)} get {shares} of them; "
        f"runs {', '.join(map(str, corpus.roles))}."
    )


def _section(corpus: _Corpus, facts: Sequence[Mapping[str, Any]]) -> list[str]:
    described = corpus.described
    experiments = {row["experiment"] for row in facts}
    # in experiment 1 all noise is known: the sets are those of the split, in any profile
    known = corpus.fits("exp1", corpus.plans[0])
    return [
        f"## {marked(described.title, marks(described.provenance))}",
        "",
        *summary(described, _split(corpus)),
        *classes_section("Classes (experiment 1)", described, known),
        *common_section(described, known),
        *_noise(corpus),
        *(_clips(facts) if "exp1" in experiments else []),
        *(_held_out(facts) if "exp2" in experiments else []),
    ]


def make_card(
    files: Files,
    titles: Mapping[str, str],
    runs: Mapping[str, Sequence[int]],
    options: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Card:
    """Return the card.

    Parameters
    ----------
    files
        What to read.
    titles
        Of the corpora by name, in the order of their sections.
    runs
        Of each corpus; its splits are in this order, or there is one for all.
    options
        ``iemocap_labels``, and the ``experiments`` that are asked for.
    settings
        What else there is to say, by name, in order.

    Raises
    ------
    StoreError
        If a file is damaged or of another corpus, lacks an utterance, or a split parts a dialogue (a speaker).
    """
    rows: list[dict[str, Any]] = []
    sections: list[str] = []
    noise = Provenance()
    for name, title in titles.items():
        (utterances,) = _of_corpus(files.utterances, name, "utterances.parquet")
        corpus = _read_corpus(utterances, title, files, options["iemocap_labels"], runs[name])
        noise = joined([noise, corpus.described.provenance])
        of_corpus = [
            _facts(corpus, plan, experiment, fit)
            for plan in corpus.plans
            for experiment in FOLDS
            if experiment in options["experiments"]
            for fit in corpus.fits(experiment, plan)
        ]
        rows += of_corpus
        sections += _section(corpus, of_corpus)
    lines = ["# Protocol of the DLC study", ""]
    lines += [f"What the fits of Table I are trained and tested on. {SAME_FACTS}", ""]
    lines += settings_table(settings)
    clips = "synthetic stand-ins" if "noise" in noise.stand_ins else "ESC-50"
    lines += [f"- Noise clips: {clips}{', partial' if noise.partial_noise else ''}.", ""]
    return Card("\n".join([*lines, *sections]).rstrip() + "\n", rows)
