"""The protocol card: what fits are trained and tested on, as a table (a line a fit) and as a page of Markdown.

Both are made from the rows that the study's own fold rule gives, the same that training takes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from serflow.protocols.examples import Examples
from serflow.protocols.folds import FoldRows, IntArray
from serflow.protocols.shared import recordings, scripts, shared
from serflow.report.facts import marked, marks
from serflow.runs.provenance import Provenance
from serflow.training.metrics import reference_classes

# more speakers than these are counted, not listed
LISTED_SPEAKERS = 24
NOTHING = "n/a"
SAME_FACTS = (
    "The same facts, fit by fit: `protocol.csv`. A method whose features or transcripts lack some utterances is "
    "trained and tested on fewer: the notes of its table say how many are left out."
)
UNKNOWN = "unknown"


class Card(NamedTuple):
    """What a study's card says: the page, and a row of facts for each fit."""

    page: str
    rows: Sequence[Mapping[str, Any]]


class Described(NamedTuple):
    """The examples of a corpus with what the card asks of each: class and sentence, and what the data are."""

    title: str
    examples: Examples
    provenance: Provenance
    classes: list[str]
    scripts: list[str | None]
    genders: list[str]
    recordings: list[str]

    def of(self, name: str, rows: IntArray) -> list[Any]:
        """Return the values of a fact (`FACTS`, ``class``, ``script``, ``gender`` or ``recording``) in some rows."""
        own: dict[str, Sequence[Any]] = {
            "class": self.classes,
            "script": self.scripts,
            "gender": self.genders,
            "recording": self.recordings,
        }
        values = own[name] if name in own else self.examples.facts[name]
        return [values[row] for row in rows]


def describe(title: str, examples: Examples, provenance: Provenance) -> Described:
    """Return the examples with what the card asks of each; of a soft target, the class is the reference class."""
    return Described(
        title=title,
        examples=examples,
        provenance=provenance,
        classes=[examples.classes[index] for index in reference_classes(examples.targets)],
        scripts=scripts(examples.facts),
        genders=[gender or UNKNOWN for gender in examples.facts["gender"]],
        recordings=recordings(examples.utterances, examples.facts["duplicate_of"]),
    )


def counts(values: Iterable[Any], names: Sequence[Any]) -> dict[Any, int]:
    """Return how often each of ``names`` occurs in ``values``."""
    found = Counter(values)
    return {name: found[name] for name in names}


def _listed(counted: Mapping[Any, int]) -> str:
    return "; ".join(f"{name} {count}" for name, count in counted.items())


def _in_percent(part: int, whole: int) -> float | None:
    return 100.0 * part / whole if whole else None


def fold_facts(corpus: Described, rows: FoldRows) -> dict[str, Any]:
    """Return the facts of one fit.

    Counts named ``train_`` and ``test_`` are distinct values; ``shared_`` those in both. Training is the training set
    alone, without validation. A corpus without dialogues or texts has 0 of them. ``{role}_lacks`` are classes without
    an utterance.
    """
    roles, classes = rows.roles(), corpus.examples.classes
    of_class = {role: counts(corpus.of("class", part), classes) for role, part in roles.items()}
    common = {
        what: shared(corpus.of(fact, rows.train), corpus.of(fact, rows.test))
        for what, fact in {"speakers": "speaker", "dialogues": "dialogue", "sentences": "script"}.items()
    }
    sentences = common["sentences"].utterances
    same_audio = shared(corpus.of("recording", rows.train), corpus.of("recording", rows.test))
    return {
        "run": rows.fit.run,
        "fold": rows.fit.fold,
        "n_classes": len(classes),
        "excluded": sum(corpus.examples.excluded.values()),
        **{f"n_{role}": len(part) for role, part in roles.items()},
        **{f"{role}_classes": _listed(found) for role, found in of_class.items()},
        **{
            f"{role}_lacks": "; ".join(name for name, count in found.items() if not count)
            for role, found in of_class.items()
        },
        **{
            f"{role}_genders": _listed(dict(sorted(Counter(corpus.of("gender", part)).items())))
            for role, part in roles.items()
        },
        **{f"{role}_{what}": getattr(found, role) for what, found in common.items() for role in ("train", "test")},
        **{f"shared_{what}": found.both for what, found in common.items()},
        "test_utterances_of_shared_sentences": sentences,
        "test_percent_of_shared_sentences": _in_percent(sentences, len(rows.test)),
        "test_utterances_of_shared_audio": same_audio.utterances,
    }


# Markdown


def markdown_table(heading: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Return a table of Markdown; bars in cells are escaped."""
    lines = [heading, ["---"] * len(heading), *rows]
    return ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines] + [""]


def value(content: Any) -> str:
    """Return a setting as people write it."""
    if isinstance(content, Mapping):
        return ", ".join(f"{key}: {value(entry)}" for key, entry in content.items())
    if isinstance(content, list | tuple):
        return ", ".join(map(value, content))
    if isinstance(content, bool):
        return "yes" if content else "no"
    return NOTHING if content is None else str(content)


def percent(part: int, whole: int) -> str:
    """Return a share in percent, ``n/a`` of nothing."""
    return f"{100.0 * part / whole:.1f} %" if whole else NOTHING


def summary(corpus: Described, split: str) -> list[str]:
    """Return what a corpus is; ``split`` says in a sentence how it was divided."""
    examples, provenance = corpus.examples, corpus.provenance
    gender_of = dict(zip(examples.facts["speaker"], corpus.genders, strict=True))
    genders = dict(sorted(Counter(gender_of.values()).items()))
    dialogues = {name for name in examples.facts["dialogue"] if name is not None}
    data = "a synthetic stand-in" if "corpus" in provenance.stand_ins else "the publisher's"
    left_out = [f"{count:,} left out ({why})" for why, count in examples.excluded.items()]
    lines = [
        f"Data: {data}{', partial' if provenance.partial_corpora else ''}.",
        f"Utterances: {len(examples.utterances):,} with a label of the study, {', '.join(left_out)}.",
        f"Speakers: {len(gender_of):,} ({', '.join(f'{name} {count:,}' for name, count in genders.items())}).",
        f"Dialogues: {f'{len(dialogues):,}' if dialogues else 'none'}. Utterances with a text or sentence code: "
        f"{sum(script is not None for script in corpus.scripts):,}.",
        split,
        *provenance.remarks,
    ]
    return [f"- {line}" for line in lines] + [""]


def classes_section(title: str, corpus: Described, folds: Sequence[FoldRows]) -> list[str]:
    """Return utterances of each class, speakers, dialogues and genders of every set of every fit."""
    genders = sorted(set(corpus.genders))
    rows, lacking = [], []
    for fold in folds:
        for role, part in fold.roles().items():
            of_class = counts(corpus.of("class", part), corpus.examples.classes)
            dialogues = {name for name in corpus.of("dialogue", part) if name is not None}
            rows.append(
                [
                    _fit(fold, folds),
                    role,
                    f"{len(part):,}",
                    *of_class.values(),
                    len(set(corpus.of("speaker", part))),
                    len(dialogues) or NOTHING,
                    *counts(corpus.of("gender", part), genders).values(),
                ]
            )
            absent = [name for name, count in of_class.items() if not count]
            if absent and len(part):
                lacking.append(
                    f"- Run {_fit(fold, folds)}, {role}: no utterance is {', '.join(absent)}; UA there is over the "
                    f"other {len(of_class) - len(absent)} classes."
                )
    heading = ["run", "set", "utterances", *corpus.examples.classes, "speakers", "dialogues", *genders]
    return [f"### {title}", "", *markdown_table(heading, rows), *([*lacking, ""] if lacking else [])]


def _fit(fold: FoldRows, folds: Sequence[FoldRows]) -> str:
    several = len({other.fit.fold for other in folds}) > 1
    return f"{fold.fit.run}, {fold.fit.fold}" if several else str(fold.fit.run)


def common_section(corpus: Described, folds: Sequence[FoldRows]) -> list[str]:
    """Return what training and test have in common: speakers, dialogues, sentences."""
    rows, listed = [], []
    for fold in folds:
        cells = []
        for fact in ("speaker", "dialogue", "script"):
            found = shared(corpus.of(fact, fold.train), corpus.of(fact, fold.test))
            cells.append(f"{found.both:,} of {found.test:,}" if found.test else NOTHING)
        same_audio = shared(corpus.of("recording", fold.train), corpus.of("recording", fold.test)).utterances
        cells.append(percent(found.utterances, len(fold.test)) if found.test else NOTHING)
        rows.append([_fit(fold, folds), *cells, f"{same_audio:,}"])
        speakers = sorted(set(corpus.of("speaker", fold.train)) & set(corpus.of("speaker", fold.test)))
        if 0 < len(speakers) <= LISTED_SPEAKERS:
            listed.append(f"- Run {_fit(fold, folds)}, speakers of training and test: {', '.join(speakers)}.")
    heading = ["run", "speakers", "dialogues", "sentences", "test utterances of such a sentence", "of the same audio"]
    return [
        "### In common to training and test",
        "",
        "Of what the test set has, how much the training set has too. Sentences are the same where their words are, "
        "audio where all its samples are.",
        "",
        *markdown_table(heading, rows),
        *([*listed, ""] if listed else []),
    ]


def settings_table(settings: Mapping[str, Any]) -> list[str]:
    """Return what there is to say of the whole study, e.g. how the best period is chosen, in order."""
    return markdown_table(["setting", "value"], [[key, value(content)] for key, content in settings.items()])


def plain_card(
    study: str, corpora: Sequence[tuple[Described, str, Sequence[FoldRows]]], settings: Mapping[str, Any]
) -> Card:
    """Return the card of a study that has nothing to say besides: settings, and what every corpus is split into.

    Parameters
    ----------
    study
        The study's title.
    corpora
        Each with a sentence on how it was divided, and the rows of its fits.
    settings
        What there is to say of the whole study, in order.
    """
    lines = [f"# Protocol of the {study} study", "", SAME_FACTS, ""]
    lines += settings_table(settings)
    rows: list[Mapping[str, Any]] = []
    for corpus, split, folds in corpora:
        lines += [f"## {marked(corpus.title, marks(corpus.provenance))}", "", *summary(corpus, split)]
        lines += [*classes_section("Classes", corpus, folds), *common_section(corpus, folds)]
        rows += [{"corpus": corpus.examples.corpus, **fold_facts(corpus, fold)} for fold in folds]
    return Card("\n".join(lines).rstrip() + "\n", rows)
