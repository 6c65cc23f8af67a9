"""Everything that is looked at before a run, or what was named of it."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from serflow.config import Config
from serflow.doctor.corpora import diagnose_corpus
from serflow.doctor.findings import Diagnosis, Examination, Mark, Section
from serflow.doctor.machine import diagnose_machine
from serflow.doctor.noise import ESC50, diagnose_noise
from serflow.doctor.weights import diagnose_network
from serflow.errors import ConfigError, SerflowError
from serflow.settings.base import unknown
from serflow.settings.written import Written

MACHINE = "machine"
_QUICK = "labels and headers; silent, clipped, repeated audio: --audio"
_DECODED = "labels and all samples"


class _Asked(NamedTuple):
    """What is looked at; of ``needed`` corpora a study that was named is made."""

    corpora: list[str]
    needed: set[str]
    backbones: list[str]
    noise: bool
    machine: bool


def examine(
    config: Config,
    documents: Sequence[Written] = (),
    names: Sequence[str] = (),
    *,
    decode: bool = False,
    fold: bool = True,
) -> Examination:
    """Look at corpora, weights, noise and machine.

    Parameters
    ----------
    config
        The configuration.
    documents
        What it was merged from.
    names
        Corpora, studies, networks, ``esc50`` or ``machine``; all there is where none is given. A study stands for all
        that it is made from, and for the machine.
    decode
        Whether all audio is read, and not its headers alone.
    fold
        Whether stand-ins of which nothing is to be said but that are told of in one line.

    Raises
    ------
    ConfigError
        If there is nothing of a name.
    """
    asked = _read(config, names)
    corpora = [
        _told(name, diagnose_corpus, config, name, documents, needed=name in asked.needed, decode=decode)
        for name in asked.corpora
    ]
    networks = [_told(name, diagnose_network, config, name, documents) for name in asked.backbones]
    noise = [_told(ESC50, diagnose_noise, config, documents, decode=decode)] if asked.noise else []
    unprepared = sum(diagnosis.audio_s for diagnosis in corpora)
    machine = list(diagnose_machine(config, unprepared)) if asked.machine else []
    if fold:
        corpora = _folded(corpora, "made by the workflow, not recorded; tables say so")
        networks = _folded(networks, "small networks in the released format, which know nothing; stores say so")
    is_read = any(not diagnosis.stand_in for diagnosis in corpora)
    sections = [
        Section("Corpora", corpora, (_DECODED if decode else _QUICK) if is_read else ""),
        Section("Weights", networks),
        Section("Noise", noise),
        Section("Machine", machine),
    ]
    of = ", ".join(document.name for document in documents) or "defaults"
    return Examination(of, [section for section in sections if section.diagnoses])


def _told(name: str, diagnose: Callable[..., Diagnosis], *given: Any, **options: Any) -> Diagnosis:
    """Return a diagnosis; what cannot be read at all does not keep from the rest."""
    try:
        return diagnose(*given, **options)
    except (SerflowError, OSError) as error:
        about = Diagnosis(name)
        about.wrong(str(error))
        return about


def _folded(diagnoses: Sequence[Diagnosis], what: str) -> list[Diagnosis]:
    """Return diagnoses with the stand-ins that are all right as one, at their end."""
    folded = [
        diagnosis
        for diagnosis in diagnoses
        if diagnosis.stand_in and len(diagnosis.findings) == 1 and not diagnosis.count(Mark.WRONG)
    ]
    if len(folded) < 2:
        return list(diagnoses)
    together = Diagnosis("stand-ins", stand_in=True)
    together.note(f"{', '.join(diagnosis.name for diagnosis in folded)}: {what}")
    return [*(diagnosis for diagnosis in diagnoses if diagnosis not in folded), together]


def _read(config: Config, names: Sequence[str]) -> _Asked:
    plans = config.plans()
    if not names:
        return _Asked(list(config.corpora), set(), list(config.backbones), noise=True, machine=True)
    known = [*config.corpora, *plans, *config.backbones, ESC50, MACHINE]
    for name in names:
        if name not in known:
            what = "nothing of that name is looked at"
            given = f"; give a file as `--configfile {name}`" if name.endswith((".yaml", ".yml", ".json")) else ""
            raise ConfigError(f"{unknown(f'{name}: {what}', name, known)}{given}")
    studies = [plans[name] for name in names if name in plans]
    sources = [source for study in studies for source in study.sources()]
    needed = {corpus for study in studies for corpus in study.corpora()} | (set(names) & config.corpora.keys())
    behind = {config.backbone(name) if name in config.features else name for name in (*sources, *names)}
    return _Asked(
        [name for name in config.corpora if name in needed],
        needed,
        [name for name in config.backbones if name in behind],
        noise=ESC50 in sources or ESC50 in names,
        machine=bool(studies) or MACHINE in names,
    )
