"""Where weights of pretrained networks come from, what is recorded of them, and the check before they are loaded."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from serflow.backbones.base import Release, backbone_module, backbone_names, releases, weights_form
from serflow.errors import WeightsError
from serflow.files import read_sealed_json, sha256_file
from serflow.folders import is_file, is_folder
from serflow.state import paths, stamps

DOWNLOAD = "download"
STAND_IN = "stand-in"
UNKNOWN = "unknown"
_MAX_FILES = 1000

LEDGER_COLUMNS = (
    "backbone", "release", "default", "address", "bytes", "digest", "licence", "redistributable", "trained_on",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Weights:
    """What is known of a backbone's weights; the record in ``resources/weights/{backbone}.json``.

    ``source`` is ``path``, ``download``, ``package``, ``hub`` or ``stand-in``. ``path`` is the file or folder to load,
    ``files`` the SHA-256 of each file of it (of the file itself under its own name), ``bytes`` their size.
    """

    backbone: str
    source: str
    release: str
    path: str
    files: dict[str, str]
    bytes: int
    licence: str
    trained_on: str
    address: str
    synthetic: bool

    @property
    def digest(self) -> str:
        """That of the ledger for a known release; else SHA-256 of the file, or over names and digests of several."""
        known = releases(self.backbone).get(self.release)
        if known is not None and known.digest is not None:
            return known.digest
        if len(self.files) == 1:
            return f"sha256:{next(iter(self.files.values()))}"
        return f"sha256:{hashlib.sha256(repr(sorted(self.files.items())).encode()).hexdigest()}"

    def describe(self) -> dict[str, Any]:
        """Return what a store's metadata say of the weights; no path of this machine."""
        described = asdict(self)
        for key in ("path", "bytes", "address"):
            del described[key]
        return {**described, "digest": self.digest}


def weight_files(path: Path) -> dict[str, Path]:
    """Return the files of a file or folder of weights by relative name, sorted; hidden ones are left out."""
    return paths(path, sorted(name for name, stamp in stamps(path).items() if stamp.size is not None))


def unfit_path(backbone: str, path: Path) -> str | None:
    """Return what is wrong with a path that weights are to be read from; None where a loader can try."""
    wanted = weights_form(backbone)
    if not (is_file(path) or is_folder(path)):
        return f"no file or folder {path}"
    found = "folder" if is_folder(path) else "file"
    return None if found in wanted else f"{path} is a {found}; {backbone} needs the {wanted} of a release"


def git_digest(path: Path) -> str:
    """Return the object id that git gives a file: SHA-1 of ``blob``, its size, a zero byte, and the content."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def digest_of(path: Path, like: str) -> str:
    """Return the digest of a file in the form of ``like``: ``sha256:...`` or ``git:...``."""
    kind = like.partition(":")[0]
    return f"{kind}:{sha256_file(path) if kind == 'sha256' else git_digest(path)}"


def known_release(backbone: str, path: Path) -> Release | None:
    """Return the release that a file is, by its digest, or None."""
    if not path.is_file():
        return None
    for release in releases(backbone).values():
        if release.digest is not None and digest_of(path, release.digest) == release.digest:
            return release
    return None


def _stand_in_trained_on(backbone: str) -> str:
    return str(getattr(backbone_module(backbone), "STAND_IN_TRAINED_ON", "nothing: random numbers"))


def describe_files(backbone: str, source: str, release: Release | None, path: Path) -> Weights:
    """Return the record of weights that lie at ``path``.

    Raises
    ------
    WeightsError
        If there is nothing, or a folder that cannot be a model.
    """
    found = weight_files(path)
    if not found:
        raise WeightsError(f"{path}: no file there; set backbones.{backbone}.weights to the weights")
    if len(found) > _MAX_FILES:
        raise WeightsError(
            f"{path}: {len(found)} files, so hardly a model; set backbones.{backbone}.weights to the weights themselves"
        )
    stand_in = source == STAND_IN
    return Weights(
        backbone=backbone,
        source=source,
        release=STAND_IN if stand_in else release.name if release else UNKNOWN,
        path=str(path),
        files={name: sha256_file(file) for name, file in found.items()},
        bytes=sum(file.stat().st_size for file in found.values()),
        licence="none needed" if stand_in else release.licence if release else UNKNOWN,
        trained_on=_stand_in_trained_on(backbone) if stand_in else release.trained_on if release else UNKNOWN,
        address="" if stand_in or release is None else release.address,
        synthetic=stand_in,
    )


def read_weights(record: str | os.PathLike[str]) -> Weights:
    """Read a record and compare every file with its SHA-256.

    Raises
    ------
    StoreError
        If the record is absent or damaged.
    WeightsError
        If it is no such record, or a file is missing or changed since it was written.
    """
    content = read_sealed_json(record)
    try:
        weights = Weights(**content)
    except TypeError as error:
        raise WeightsError(f"{record}: not a record of weights ({error}); delete it and run again") from error
    path = Path(weights.path)
    if not path.exists() and not path.is_absolute():
        # the record tells of its own working folder, from wherever it is looked at
        path = Path(record).absolute().parent.parent.parent / path
    found = weight_files(path)
    if missing := sorted(weights.files.keys() - found.keys()):
        raise WeightsError(
            f"{path}: {missing[0]} is missing, which {record} names; delete the record and run the same command again"
        )
    for name, digest in weights.files.items():
        if sha256_file(found[name]) != digest:
            raise WeightsError(
                f"{found[name]}: does not match the SHA-256 in {record} (damaged or changed); if that was meant, "
                "delete the record and run the same command again"
            )
    return weights


def check_kept(weights: Weights, folder: Path) -> None:
    """Compare the file that a release was downloaded as, where it is kept in ``folder``, with its published digest.

    Raises
    ------
    WeightsError
        If it has another.
    """
    release = releases(weights.backbone).get(weights.release)
    if release is None or release.digest is None:
        return
    file = folder / release.name / Path(urlsplit(release.address).path).name
    if file.is_file() and digest_of(file, release.digest) != release.digest:
        raise WeightsError(f"{file}: does not match the digest that its publisher gives; delete it and run again")


def ledger() -> Iterator[tuple[Any, ...]]:
    """Yield a row of `LEDGER_COLUMNS` for every release of every backbone."""
    for backbone in backbone_names():
        for position, release in enumerate(releases(backbone).values()):
            yield (
                backbone,
                release.name,
                position == 0,
                release.address,
                release.size,
                release.digest,
                release.licence,
                release.redistributable,
                release.trained_on,
            )


def ledger_markdown() -> str:
    """Return the ledger as a Markdown table; it stands in ``resources/README.md``."""
    heading = ("backbone", "release", "address", "bytes", "digest", "licence", "trained on")
    lines = ["| " + " | ".join(heading) + " |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for backbone, name, default, address, size, digest, licence, redistributable, trained_on in ledger():
        hub = releases(backbone)[name].hub
        cells = (
            f"`{backbone}`",
            f"`{name}`" + (" (default)" if default else ""),
            address,
            "not published" if size is None else str(size),
            f"`{digest}`" if digest else "none published" if hub else "none published: by path only",
            licence + ("" if redistributable else "; by path only"),
            trained_on,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
