"""The protocol card: the facts of `serflow.studies.dlc.protocol` as a page of Markdown, a section per corpus."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from serflow.noise.plan import CONDITIONS
from serflow.report.corpora import CorpusFacts, NoiseFacts
from serflow.splits import ROLES, TRAIN_END, VAL_END
from serflow.studies.dlc.protocol import UNKNOWN, Records, counts, shared

# more speakers than these are counted, not listed
LISTED_SPEAKERS = 24
_NONE = "n/a"


def _table(heading: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Return a table of Markdown; bars in cells are escaped."""
    lines = [heading, ["---"] * len(heading), *rows]
    return ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines] + [""]


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_value(entry)}" for key, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _NONE if value is None else str(value)


def _range(values: pd.Series) -> str:
    low, high = values.min(), values.max()
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _percent(part: int, whole: int) -> str:
    return f"{100.0 * part / whole:.1f} %" if whole else _NONE


def _summary(records: Records, facts: CorpusFacts) -> list[str]:
    utterances = records.utterances
    speakers = utterances.drop_duplicates("speaker")["gender"].fillna(UNKNOWN).value_counts().sort_index()
    dialogues = utterances["dialogue"].nunique()
    data = "a synthetic stand-in" if facts.synthetic else "the publisher's"
    unit = "speaker" if records.protocol == "speaker" else "dialogue" if dialogues else "utterance (no dialogues)"
    shares = [TRAIN_END, VAL_END - TRAIN_END, 1.0 - VAL_END]
    texts = utterances["script"].notna().sum()
    lines = [
        f"Data: {data}{', partial' if facts.partial else ''}.",
        f"Utterances: {len(utterances):,} with a label of the study, {records.excluded:,} without one and left out.",
        f"Speakers: {int(speakers.sum()):,} ({', '.join(f'{name} {count:,}' for name, count in speakers.items())}).",
        f"Dialogues: {f'{dialogues:,}' if dialogues else 'none'}. Utterances with a text or sentence code: {texts:,}.",
        f"Split: protocol `{records.protocol}`, each {unit} as a whole; {', '.join(ROLES)} get "
        f"{', '.join(f'{100 * share:.0f} %' for share in shares)} of them; "
        f"seeds {', '.join(map(str, records.roles))}.",
        *facts.remarks,
    ]
    return [f"- {line}" for line in lines] + [""]


def _classes(records: Records) -> list[str]:
    genders = sorted(set(records.utterances["gender"].fillna(UNKNOWN)))
    rows = []
    for seed, roles in records.roles.items():
        for role in ROLES:
            part = records.utterances[roles == role]
            rows.append(
                [
                    seed,
                    role,
                    f"{len(part):,}",
                    *counts(part["class"], records.classes).values(),
                    part["speaker"].nunique(),
                    part["dialogue"].nunique() or _NONE,
                    *counts(part["gender"].fillna(UNKNOWN), genders).values(),
                ]
            )
    heading = ["seed", "set", "utterances", *records.classes, "speakers", "dialogues", *genders]
    return ["### Classes (experiment 1)", "", *_table(heading, rows)]


def _in_common(records: Records) -> list[str]:
    rows, listed = [], []
    for seed, roles in records.roles.items():
        train, test = (records.utterances[roles == role] for role in ("train", "test"))
        cells = []
        for column in ("speaker", "dialogue", "script"):
            found = shared(train[column], test[column])
            cells.append(f"{found.both:,} of {found.test:,}" if found.test else _NONE)
        rows.append([seed, *cells, _percent(found.utterances, len(test)) if found.test else _NONE])
        speakers = sorted(set(train["speaker"]) & set(test["speaker"]))
        if 0 < len(speakers) <= LISTED_SPEAKERS:
            listed.append(f"- Seed {seed}, speakers of training and test: {', '.join(speakers)}.")
    heading = ["seed", "speakers", "dialogues", "sentences", "test utterances of such a sentence"]
    return [
        "### In common to training and test",
        "",
        "Of what the test set has, how much the training set has too. Sentences are the same where their words are.",
        "",
        *_table(heading, rows),
        *([*listed, ""] if listed else []),
    ]


def _noise(records: Records) -> list[str]:
    rows = []
    for profile, plan in records.plans.items():
        for condition in CONDITIONS:
            part = plan[plan["condition"] == condition]
            asked = ", ".join(f"{snr:g}" for snr in sorted(set(part["snr_db"]))) or _NONE
            achieved = f"{part['achieved_snr_db'].median():.1f}" if len(part) else _NONE
            rows.append([profile, condition, f"{len(part):,}", part["clip"].nunique(), asked, achieved])
    heading = ["profile", "condition", "utterances", "clips", "SNR asked for (dB)", "SNR achieved (dB, median)"]
    return ["### Noise", "", *_table(heading, rows)]


def _clips(table: pd.DataFrame) -> list[str]:
    of_experiment = table[table["experiment"] == "exp1"]
    rows = [
        [
            row.profile,
            row.seed,
            f"{row.shared_clips:,} of {row.test_clips:,}",
            _percent(row.test_utterances_of_shared_clips, row.n_test),
        ]
        for row in of_experiment.itertuples(index=False)
    ]
    heading = ["profile", "seed", "test clips heard in training", "test utterances with such a clip"]
    return ["### Noise clips in experiment 1", "", *_table(heading, rows)]


def _held_out(table: pd.DataFrame) -> list[str]:
    of_experiment = table[table["experiment"] == "exp2"]
    rows = [
        [
            profile,
            held_out,
            *(_range(fits[f"n_{role}"]) for role in ROLES),
            fits["test_snr_db"].iloc[0] or _NONE,
            fits["train_snr_db"].iloc[0] or _NONE,
            _range(fits["shared_clips"]),
        ]
        for (profile, held_out), fits in of_experiment.groupby(["profile", "held_out"], sort=False)
    ]
    heading = ["profile", "held out", *ROLES, "SNR of the test (dB)", "SNRs of training (dB)", "clips in common"]
    return [
        "### Experiment 2",
        "",
        "One condition is held out in turn: training and validation have the utterances of the other two, the test "
        "those of the held-out one (numbers of utterances: range over seeds). Where the SNR of the test is not among "
        "those of training, type and level of the noise change together.",
        "",
        *_table(heading, rows),
    ]


def protocol_card(
    corpora: Sequence[Records],
    table: pd.DataFrame,
    facts: Mapping[str, CorpusFacts],
    noise: NoiseFacts,
    settings: Mapping[str, Any],
) -> str:
    """Return the card.

    Parameters
    ----------
    corpora
        In the order of their sections.
    table
        As `serflow.studies.dlc.protocol.protocol_table` returns it for them.
    facts
        What tables say of each corpus.
    noise
        The noise clips.
    settings
        What else there is to say, e.g. how the best epoch is chosen: plain values by name, in order.
    """
    lines = ["# Protocol of the DLC study", ""]
    lines += ["What the fits of Table I are trained and tested on. The same facts, fit by fit: `protocol.csv`.", ""]
    if settings:
        lines += _table(["setting", "value"], [[key, _value(value)] for key, value in settings.items()])
    lines += [f"- Noise clips: {'synthetic stand-ins' if noise.synthetic else 'ESC-50'}."]
    lines += [*(f"- {remark}" for remark in noise.remarks), ""]
    for records in corpora:
        of_corpus = table[table["corpus"] == records.corpus]
        lines += [f"## {facts[records.corpus].label}", ""]
        lines += _summary(records, facts[records.corpus]) + _classes(records) + _in_common(records)
        lines += _noise(records) + _clips(of_corpus) + _held_out(of_corpus)
    return "\n".join(lines).rstrip() + "\n"
