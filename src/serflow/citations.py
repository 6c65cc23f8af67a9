"""What to cite for a target: the paper, the corpora, noises, networks and tools behind it, as BibTeX.

Entries lie beside what they are of: ``studies/NAME/paper.bib``, ``corpora/NAME.bib``, ``noise/esc50.bib``,
``backbones/NAME.bib``, and ``features/NAME.bib`` where a feature is computed by a tool that asks for it. What two rest
on lies beside one of them. What every result rests on is in ``tools.bib``.
"""

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from serflow.config import Config
from serflow.errors import ConfigError
from serflow.premiums.versions import versions
from serflow.settings.base import unknown
from serflow.settings.features import RECOGNISERS
from serflow.targets import as_in_rules

PACKAGE = Path(__file__).parent
ESC50 = "esc50"
# what is cited as another is: a network of the same paper, a feature of the same tool
AS_ANOTHER = {"backbones/wav2vec2_ctc": "backbones/wav2vec2", "features/energy_vad": "features/mfcc_kaldi"}
_TABLE1, _INDEX = ("results", "table1"), ("results", "report", "index")
# the names that stand one below the other in folders of results; a file's may be others
_LEVELS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("audio", "corpora", "pulses", "splits"), ("corpus",)),
    "noise": ("corpus", "profile"),
    **dict.fromkeys(("features", "statistics"), ("feature", "corpus", "condition")),
    "transcripts": ("recogniser", "corpus", "condition"),
    "runs": ("study",),
    "versions": ("version", "study"),
}
_OTHERS = ("audit", "packed", "qc", "report", "table1.csv")
_BESIDE_PAGES = re.compile(r"_(?:audio|tables)$")
_ENTRY = re.compile(r"^@\w+\{([^,]+),.*?^\}", re.MULTILINE | re.DOTALL)


class Citations(NamedTuple):
    """BibTeX entries by their keys, in order, and remarks on what has none or is a stand-in."""

    entries: dict[str, str]
    remarks: list[str]


class _Named(NamedTuple):
    """What a target names, each in order."""

    studies: tuple[str, ...]
    corpora: tuple[str, ...]
    features: tuple[str, ...]
    backbones: tuple[str, ...]
    noise: bool


def read_entries(path: Path) -> dict[str, str]:
    """Return the entries of a BibTeX file by their keys; each ends with a brace that begins a line."""
    return {match[1]: match[0] for match in _ENTRY.finditer(path.read_text(encoding="utf-8"))}


def entry_file(kind: str, name: str) -> Path:
    """Return where the entries of a study, corpus, backbone or feature lie, if there are any."""
    place = f"{kind}/{name}"
    return PACKAGE / f"{AS_ANOTHER.get(place, place)}.bib"


def cite(target: str, config: Config) -> Citations:
    """Return what to cite for a target.

    Parameters
    ----------
    target
        A file or folder of the results, or the name of a study, corpus, feature or backbone, or ``esc50``.
    config
        Says which corpora and networks a study is made with, and what each corpus is.

    Raises
    ------
    ConfigError
        If the target names none of these.
    """
    named = _read(target, config)
    entries: dict[str, str] = {}
    remarks = []
    for study in named.studies:
        entries |= _required(entry_file("studies", f"{study}/paper"))
    for corpus in named.corpora:
        found = [file for name in (corpus, config.layout(corpus)) if (file := entry_file("corpora", name)).is_file()]
        if found:
            entries |= read_entries(found[0])
        else:
            remarks.append(f"{corpus}: cite {config.title(corpus)} as its publisher asks; serflow has no entry of it")
        if config.is_synthetic(corpus):
            remarks.append(f"{corpus}: a stand-in here; what is made from it says nothing about {config.title(corpus)}")
    if named.noise:
        entries |= _required(entry_file("noise", ESC50))
    for backbone in _backbones(named, config):
        entries |= _required(entry_file("backbones", backbone))
    for feature in named.features:
        file = entry_file("features", config.extractor(feature))
        entries |= read_entries(file) if file.is_file() else {}
    return Citations(entries | _required(PACKAGE / "tools.bib"), remarks)


def _required(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; write a BibTeX entry of {path.stem} there")
    return read_entries(path)


def _backbones(named: _Named, config: Config) -> list[str]:
    of_features = (config.backbone(feature) for feature in named.features)
    return list(dict.fromkeys([*filter(None, of_features), *named.backbones]))


def _read(target: str, config: Config) -> _Named:
    """Return what a target names; a study stands for all that it is made with, but for corpora named beside it."""
    path = as_in_rules(target)
    _check_path(target, path, config)
    parts = [part for part in re.split(r"[/.]", path) if part]
    plans = config.plans()
    if tuple(parts[:2]) == _TABLE1:
        parts.insert(0, "dlc")
    if tuple(parts[:3]) == _INDEX:
        parts = config.reported()
    if parts[:2] == ["results", "report"]:
        parts = [_BESIDE_PAGES.sub("", part) for part in parts]
    studies = [part for part in dict.fromkeys(parts) if part in plans]
    corpora = [part for part in dict.fromkeys(parts) if part in config.corpora]
    features = [part for part in dict.fromkeys(parts) if part in config.features]
    backbones: list[str | None] = [part for part in parts if part in config.backbones]
    if parts[:2] == ["results", "transcripts"]:
        features, backbones = [], [config.recogniser_backbone(part) for part in parts if part in RECOGNISERS]
    noise = parts[:2] == ["results", "noise"] or any(part == ESC50 or part in config.noise.profiles for part in parts)
    corpora = corpora or [corpus for study in studies for corpus in plans[study].corpora()]
    for study in studies:
        sources = plans[study].sources()
        features += [name for name in sources if name in config.features]
        backbones += [name for name in sources if name in config.backbones]
        noise = noise or ESC50 in sources
    if not (studies or corpora or features or backbones or noise):
        known = [*plans, *config.corpora, *config.features, *config.backbones, ESC50]
        raise ConfigError(unknown(f"{target}: names nothing to cite", PurePosixPath(path).stem, sorted(set(known))))
    return _Named(_once(studies), _once(corpora), _once(features), _once(backbones), noise)


def _check_path(target: str, path: str, config: Config) -> None:
    """Refuse a path of the results in which a name is not known: what it is of would be left out unsaid."""
    if "/" not in path:
        return
    top, first, *below = path.split("/")
    plans = config.plans()
    known = {
        "corpus": list(config.corpora),
        "profile": list(config.noise.profiles),
        "condition": config.conditions(),
        "feature": list(config.features),
        "recogniser": list(RECOGNISERS),
        "study": list(plans),
    }
    if first == "versions":
        known["version"] = list(dict.fromkeys(version for plan in plans.values() for version in versions(plan)))
    checked = [("folder", top, ["results", "resources"])]
    if top == "results":
        checked.append(("folder or file of results", first, [*plans, *_LEVELS, *_OTHERS]))
        checked += [(level, name, known[level]) for level, name in zip(_LEVELS.get(first, ()), below, strict=False)]
    for what, name, names in checked:
        is_file = "." in name and what in known
        if name not in names and not is_file:
            raise ConfigError(unknown(f"{target}: {name!r} is no {what}", name, names))


def _once(names: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name is not None))
