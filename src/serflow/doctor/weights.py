"""Weights of pretrained networks: whether they are there, are a release, and under which licence."""

from collections.abc import Sequence
from pathlib import Path

from serflow.backbones._fetch import in_package, is_kept, kept_file, why_not_fetched
from serflow.backbones.base import Release, releases
from serflow.backbones.weights import DOWNLOAD, STAND_IN, known_release, weight_files
from serflow.config import Config
from serflow.doctor.findings import Diagnosis
from serflow.inspection.description import show_bytes
from serflow.settings.base import path_below
from serflow.settings.written import Written

_FOLDER = Path("resources/weights")
_ENGINE = Path("resources/deepspeech/libdeepspeech.so")


def diagnose_network(config: Config, backbone: str, documents: Sequence[Written] = ()) -> Diagnosis:
    """Return whether the weights of a network can be had, and what is known of them.

    Parameters
    ----------
    config
        The configuration.
    backbone
        Name of the network.
    documents
        What the configuration was merged from; they give the line to change.
    """
    settings = config.backbones[backbone]
    about = Diagnosis(backbone, stand_in=settings.weights == STAND_IN)
    path = config.weights_path(backbone)
    if about.stand_in:
        about.note("a stand-in, which a run makes: a small network in the released format")
    elif settings.weights == DOWNLOAD:
        known = releases(backbone)
        release = known[settings.release] if settings.release else next(iter(known.values()))
        _diagnose_release(about, release)
    elif (absent := config.absent_weights(backbone, documents)) is not None:
        about.wrong(absent.splitlines()[0], f"backbones: {{{backbone}: {{weights: /path/to/them}}}}")
    elif path is not None:
        _diagnose_path(about, path)
    if backbone == "deepspeech":
        _diagnose_engine(about, config, documents)
    return about


def _diagnose_release(about: Diagnosis, release: Release) -> None:
    folder = _FOLDER / about.name
    stand_in = f"backbones: {{{about.name}: {{weights: stand-in}}}}"
    told = f"release {release.name} ({release.licence})"
    if (refused := why_not_fetched(about.name, release)) is not None:
        about.wrong(refused, f"backbones: {{{about.name}: {{weights: /path/to/it}}}}", stand_in)
    elif release.hub is not None:
        about.note(f"{told}, which a run fetches from the Hugging Face hub: {' at revision '.join(release.hub)}")
    elif is_kept(release, folder):
        about.ok(f"{told}, downloaded, as its digest says")
    elif (packaged := in_package(release)) is not None:
        about.ok(f"{told}, from the installed package {packaged.parent.name}, as its digest says")
    else:
        size = "" if release.size is None else f", {show_bytes(release.size)}"
        file = kept_file(release, folder)
        damaged = " (what lies there has another digest)" if file.is_file() else ""
        about.note(
            f"{told}, which a run downloads from {release.address}{size}; without a network put it at {file}{damaged}"
        )


def _diagnose_path(about: Diagnosis, path: Path) -> None:
    files = weight_files(path)
    release = known_release(about.name, path)
    if not files:
        about.wrong(f"no file in {path}", f"backbones: {{{about.name}: {{weights: /path/to/them}}}}")
    elif release is not None:
        about.ok(f"release {release.name} ({release.licence}), as its digest says: {path}")
    else:
        size = show_bytes(sum(file.stat().st_size for file in files.values()))
        kind = "a folder, of which no digest is published" if path.is_dir() else "no release that serflow knows"
        about.note(f"{path} ({size}): {kind}; its licence and what it was trained on are unknown to all that it makes")


def _diagnose_engine(about: Diagnosis, config: Config, documents: Sequence[Written]) -> None:
    """Say where the library that runs DeepSpeech is."""
    engine = config.transcripts.deepspeech.engine
    if (absent := config.absent_engine(documents)) is not None:
        where, step = absent.splitlines()
        about.wrong(f"{where}. {step.strip()}", "transcripts: {deepspeech: {engine: null}}")
    elif engine is not None:
        about.ok(f"its library: {path_below('', engine)}")
    elif _ENGINE.is_file():
        about.ok(f"its library: {_ENGINE}")
    else:
        about.note(
            "its library is fetched from PyPI where a transcript is asked for; without a network, where from: "
            "python -m serflow.stages.fetch_deepspeech --help"
        )
