"""Anybody's list of folds: who is in training, validation and test, what they share, and what is odd about the list.

A list has a row an utterance and fold: ``utterance``, ``role`` and, where there are several, ``fold``; what else is
known of an utterance stands beside it (``speaker``, ``text``, ...), in a table of the utterances, or in its name.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import NamedTuple

import numpy as np

from serflow.audit.naming import Naming, read_name
from serflow.audit.near import Near, groups
from serflow.audit.prints import read_near
from serflow.audit.shares import FACTS, InCommon, compare, numbered, rows_by_role
from serflow.errors import ConfigError, CorpusError
from serflow.files import digest_path
from serflow.label_files import read_rows
from serflow.protocols.folds import ROLES, IntArray
from serflow.stores.parquet import read_table
from serflow.transcripts.words import normalise

ROLE_NAMES = {
    **{name: name for name in ROLES},
    **dict.fromkeys(("training", "tr"), "train"),
    **dict.fromkeys(("dev", "devel", "development", "valid", "validation"), "val"),
    **dict.fromkeys(("testing", "tst", "te"), "test"),
}
EITHER = ("eval", "evaluation")
"""Some call the test so, others validation: it is the test of a list that has no other."""
GIVEN = ("speaker", "session", "dialogue", "sentence", "text", "clip", "duplicate_of", "gender")
"""Columns that are read of a list or of a table of utterances; others are passed over."""
WHOLE = "all"
NEVER = ("utterance", "speaker", "recording", "near_recording")
"""What sets do not share in a list that is as people expect it."""
_COMPARED = ("speaker", "session", "gender")
_SWAPPED = 1.5
_LISTED = 5

Row = Mapping[str, str | None]


class Finding(NamedTuple):
    """Something to know of a list: what it is about, in which fold, and in words; ``wrong`` if nobody means it so."""

    what: str
    fold: str
    said: str
    wrong: bool


class Fold(NamedTuple):
    """A fold by name, with the sizes of its sets and what pairs of them have in common, by fact."""

    name: str
    sizes: Mapping[str, int]
    shared: Mapping[tuple[str, str], Mapping[str, InCommon | None]]


class Audit(NamedTuple):
    """What was found of a list."""

    folds: list[Fold]
    findings: list[Finding]

    @property
    def wrong(self) -> list[Finding]:
        """What nobody means to be so."""
        return [finding for finding in self.findings if finding.wrong]


def read_list(path: Path) -> list[dict[str, str | None]]:
    """Read a list of folds, or a table of utterances: CSV, TSV; an empty cell is None.

    Raises
    ------
    CorpusError
        If it cannot be read as a table, or ends within a row.
    """
    table = read_rows(path)
    last = table.rows[-1]
    if table.is_cut and len(last.cells) < len(table.header):
        raise CorpusError(
            f"{path}:{last.line}: the table ends within this row, {len(last.cells)} cells where the header has "
            f"{len(table.header)}; it may have been cut off, fetch it again"
        )
    return [{name: cell or None for name, cell in row.items()} for _, row in table.by_name()]


def read_utterances(path: Path) -> dict[str, Row]:
    """Read what is known of utterances, by name: a table, or the ``utterances.parquet`` of a corpus.

    Raises
    ------
    CorpusError
        If it cannot be read as a table.
    StoreError
        If it is Parquet, and damaged or of another kind.
    ConfigError
        If it has no column ``utterance``, or says different things of one.
    """
    if path.suffix == ".parquet":
        table = read_table(path, kind="utterances")
        rows = table.select([name for name in ("utterance", *GIVEN) if name in table.column_names]).to_pylist()
    else:
        rows = read_list(path)
    if not rows or "utterance" not in rows[0]:
        raise ConfigError(f"{path}: has no column 'utterance', by which it is joined with the list; name it so")
    found: dict[str, Row] = {}
    for row in rows:
        if found.setdefault(str(row["utterance"]), row) != row:
            raise ConfigError(f"{path}: says different things of {row['utterance']!r} in two rows; leave one of them")
    return found


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """Read pairs of the same recording: a table of ``utterance`` and ``other``, of the workflow or of one's own.

    Raises
    ------
    StoreError
        If it is the workflow's, and damaged.
    CorpusError
        If it cannot be read as a table.
    ConfigError
        If it lacks a column.
    """
    if digest_path(path).is_file():
        return read_near(path)
    rows = read_list(path)
    for column in ("utterance", "other"):
        if column not in rows[0]:
            raise ConfigError(f"{path}: has no column {column!r}; pairs of the same recording need utterance and other")
    return [(str(row["utterance"]), str(row["other"])) for row in rows]


def audit_list(
    rows: Sequence[Row],
    told: Mapping[str, Row] | None = None,
    naming: Naming | None = None,
    near: Sequence[tuple[str, str]] = (),
    name: str = "the list",
) -> Audit:
    """Audit a list of folds.

    Parameters
    ----------
    rows
        Of the list: ``utterance``, ``role``, ``fold`` and any of `GIVEN`.
    told
        What is known of utterances besides, by name: of more weight than what the list says.
    naming
        How names tell facts: likewise.
    near
        Pairs of utterances that are the same recording.
    name
        Of the list, for what is said of it.

    Raises
    ------
    ConfigError
        If the list lacks a column, a role has a name that is not known, or what is to tell of its utterances tells of
        none.
    """
    _check(rows, name)
    names = list(dict.fromkeys(str(row["utterance"]) for row in rows))
    listed: dict[str, dict[str, str]] = {utterance: {} for utterance in names}
    said_twice: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        of_one, of_row = listed[str(row["utterance"])], {fact: str(row[fact]) for fact in GIVEN if row.get(fact)}
        for fact, value in of_row.items():
            # the clip of an utterance may be another in each fold
            if of_one.setdefault(fact, value) != value and fact != "clip":
                said_twice[fact].append(str(row["utterance"]))
    read = {} if naming is None else {utterance: read_name(naming, utterance) for utterance in names}
    known = {}
    for utterance in names:
        of_table = {fact: str(value) for fact, value in (told or {}).get(utterance, {}).items() if value}
        known[utterance] = read.get(utterance, {}) | of_table
    of_all = {utterance: listed[utterance] | known[utterance] for utterance in names}
    facts = numbered(_facts(names, list(of_all.values()), near))
    place = {utterance: at for at, utterance in enumerate(names)}
    by_fold: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_fold[row.get("fold") or WHOLE].append(row)
    folds, findings = [], [*_of_two_minds(said_twice, len(names)), *_contradictions(listed, known)]
    sources = [
        (told, "are not in the table of utterances", "give one whose column utterance has these names"),
        (
            None if naming is None else [utterance for utterance, said in read.items() if said],
            "have names of another form than those of the corpus",
            "name the corpus that they are of with --names, or none",
        ),
    ]
    for tells_of, lack, instead in sources:
        if tells_of is not None:
            findings += _untold(name, names, set(tells_of), lack, instead)
    if near and not {utterance for pair in near for utterance in pair} & place.keys():
        findings.append(Finding("untold", WHOLE, "no pair of the same recording is of the list", False))
    findings += _anonymous(of_all, list(rows[0]))
    role_of = _roles({str(row["role"]).lower() for row in rows})
    for fold, of_fold in by_fold.items():
        roles = rows_by_role([role_of[str(row["role"]).lower()] for row in of_fold])
        at = np.array([place[str(row["utterance"])] for row in of_fold], dtype=np.int64)
        sets = {role: at[part] for role, part in roles.items()}
        findings += _repeated(fold, sets, names)
        shared = compare(facts, sets)
        folds.append(Fold(fold, {role: len(part) for role, part in sets.items()}, shared))
        findings += _of_fold(folds[-1])
    return Audit(folds, findings)


def _check(rows: Sequence[Row], name: str) -> None:
    for column in ("utterance", "role"):
        if not rows or column not in rows[0]:
            raise ConfigError(f"{name}: has no column {column!r}; a list of folds needs utterance and role")
        if empty := sum(not row.get(column) for row in rows):
            raise ConfigError(f"{name}: {empty:,} of {len(rows):,} rows name no {column}; fill in the column")
    known = (*ROLE_NAMES, *EITHER)
    unknown = Counter(str(row["role"]) for row in rows if str(row["role"]).lower() not in known)
    if unknown:
        (role, count), *_ = unknown.most_common(1)
        raise ConfigError(f"{name}: the role {role!r} ({count} rows) is not known; write one of {', '.join(known)}")


def _roles(names: Set[str]) -> dict[str, str]:
    """Return what the names of roles mean in a list that has these."""
    has_test = any(ROLE_NAMES.get(name) == "test" for name in names)
    return {**ROLE_NAMES, **dict.fromkeys(EITHER, "val" if has_test else "test")}


def _untold(name: str, names: Sequence[str], told: Set[str], lack: str, instead: str) -> Iterator[Finding]:
    """Say of which utterances nothing is told by what was to tell of them.

    Raises
    ------
    ConfigError
        If that is all of them.
    """
    missing = [utterance for utterance in names if utterance not in told]
    if len(missing) == len(names):
        raise ConfigError(f"{name}: all of its {len(names):,} utterances {lack} ({_some(names)}); {instead}")
    if missing:
        said = f"{len(missing):,} of {len(names):,} utterances {lack}: {_some(missing)}"
        yield Finding("untold", WHOLE, said, False)


def _anonymous(known: Mapping[str, Mapping[str, str]], columns: Sequence[str]) -> Iterator[Finding]:
    """Say of which utterances nobody knows who speaks, and which columns of the list may have told it."""
    missing = [utterance for utterance, facts in known.items() if "speaker" not in facts]
    if missing:
        yield Finding(
            "unknown_speaker",
            WHOLE,
            f"who speaks is not known of {len(missing):,} of {len(known):,} utterances, nor whether sets share them: "
            f"{_some(missing)}; a column speaker tells it, --utterances or --names{_passed_over(columns)}",
            False,
        )


def _passed_over(columns: Sequence[str]) -> str:
    others = [column for column in columns if column and column not in ("utterance", "role", "fold", *GIVEN)]
    return f" (columns that are not read: {_some(others)})" if others else ""


def _facts(
    names: Sequence[str], known: Sequence[Mapping[str, str]], near: Sequence[tuple[str, str]]
) -> dict[str, list[str | None]]:
    """Return the values of `FACTS` of each utterance."""
    facts: dict[str, list[str | None]] = {
        fact: [of_one.get(fact) for of_one in known] for fact in FACTS if fact not in ("utterance", "transcript")
    }
    facts["transcript"] = [normalise(of_one["text"]) or None if "text" in of_one else None for of_one in known]
    recording = [of_one.get("duplicate_of", name) for name, of_one in zip(names, known, strict=True)]
    place = {name: at for at, name in enumerate(names)}
    pairs = [(place[one], place[other]) for one, other in near if one in place and other in place]
    pairs += [(at, place[first]) for at, first in enumerate(recording) if first in place]
    together = groups(len(names), [Near(one, other, 0, 1.0, 0.0) for one, other in pairs])
    facts["utterance"] = list(names)
    tells = any("duplicate_of" in of_one for of_one in known)
    facts["recording"] = list(recording) if tells else [None] * len(names)
    facts["near_recording"] = [names[first] for first in together] if near else [None] * len(names)
    return {fact: facts[fact] for fact in FACTS}


def _contradictions(
    listed: Mapping[str, Mapping[str, str]], known: Mapping[str, Mapping[str, str]]
) -> Iterator[Finding]:
    """Say where the list names other speakers, sessions or sexes than what is known of utterances."""
    for fact in _COMPARED:
        both = [name for name in listed if fact in listed[name] and fact in known[name]]
        ours, theirs = ({name: of[name][fact] for name in both} for of in (known, listed))
        wrong = _of_other_sex(ours, theirs) if fact == "gender" else _mixed(ours, theirs)
        if wrong:
            yield Finding(
                f"other_{fact}",
                WHOLE,
                f"{len(wrong):,} of {len(both):,} utterances have another {fact} in the list than they have: "
                f"{_some(wrong)}",
                True,
            )


def _of_other_sex(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    return [name for name in ours if ours[name][:1].lower() != theirs[name][:1].lower()]


def _of_two_minds(said_twice: Mapping[str, Sequence[str]], of: int) -> Iterator[Finding]:
    """Say of which utterances the rows of a list say different things; the first row counts."""
    for fact, utterances in said_twice.items():
        found = list(dict.fromkeys(utterances))
        said = f"{len(found):,} of {of:,} utterances have another {fact} in another row of the list: {_some(found)}"
        yield Finding(f"two_{fact}s", WHOLE, said, True)


def _mixed(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """Return utterances that are not of whom most of those are that the list calls the same, however it calls them."""
    meant: dict[str, Counter[str]] = defaultdict(Counter)
    for name, value in theirs.items():
        meant[value][ours[name]] += 1
    most = {value: counted.most_common(1)[0][0] for value, counted in meant.items()}
    return [name for name, value in theirs.items() if ours[name] != most[value]]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")


def _repeated(fold: str, sets: Mapping[str, IntArray], names: Sequence[str]) -> Iterator[Finding]:
    """Say which utterances stand more than once in a set, as where rare classes are drawn again."""
    for role, at in sets.items():
        found, times = np.unique(at, return_counts=True)
        again = [names[place] for place in found[times > 1].tolist()]
        if again:
            said = f"{len(again):,} of {len(found):,} utterances of {role} stand in it more than once: {_some(again)}"
            yield Finding("repeated", fold, said, False)


def _of_fold(fold: Fold) -> Iterator[Finding]:
    """Say what is shared in a fold, and whether its sets look swapped."""
    for (one, other), shared in fold.shared.items():
        for fact, found in shared.items():
            if found is None or not found.both:
                continue
            yield Finding(
                f"shared_{fact}",
                fold.name,
                f"{found.both:,} of {found.values:,} {fact.replace('_', ' ')}s of {other} are in {one} too "
                f"({found.utterances:,} of {fold.sizes[other]:,} utterances)",
                fact in NEVER,
            )
    train, test = (fold.sizes.get(role, 0) for role in ("train", "test"))
    if train and test > _SWAPPED * train:
        yield Finding(
            "swapped",
            fold.name,
            f"the test is {test / train:.1f} times as large as training ({test:,} and {train:,} utterances): the two "
            "may be swapped",
            True,
        )
