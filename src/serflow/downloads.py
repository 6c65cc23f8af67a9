"""Free corpora, fetched on request: from the publisher's address, checked, unpacked where the configuration looks.

An archive is checked against the digest of its publisher, where there is one, or a file in it against a known one. What
came is written down beside it: ``DIR/emodb.json``.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from serflow.archives import unpack_zip
from serflow.corpora.base import corpus_names, load_corpus, unknown_name
from serflow.errors import SerflowError
from serflow.files import atomic_folder, read_sealed_json, write_sealed_json
from serflow.noise import published as esc50
from serflow.transfer import came, download


class Source(NamedTuple):
    """Where a corpus can be downloaded, and what to hold it against.

    Parameters
    ----------
    title, page, licence
        As people read them.
    address
        Of a zip archive.
    below
        A file or folder of the corpus, by which its root is found in the archive.
    digest
        ``md5:...`` of the archive; None where the publisher gives none, or makes it anew for each download.
    size
        In bytes, None if unknown.
    holds
        SHA-256 of a file of the corpus, by its path below the root.
    entry
        What ``config.yaml`` says of it, besides its root.
    """

    title: str
    page: str
    licence: str
    address: str
    below: str
    digest: str | None = None
    size: int | None = None
    holds: tuple[str, str] | None = None
    entry: str = ""

    @property
    def checked(self) -> bool:
        """Say whether a download is held against anything."""
        return self.digest is not None or self.holds is not None

    def checked_by(self) -> str:
        """Say what a download is held against."""
        if self.digest is not None:
            return self.digest
        return "no digest is published" if self.holds is None else f"sha256 of {self.holds[0]}"


class Fetched(NamedTuple):
    """A corpus that is there: its root, and SHA-256 of the archive that it came in."""

    name: str
    root: Path
    sha256: str
    new: bool


def _of_corpus(layout: str, address: str, below: str, digest: str | None = None, size: int | None = None) -> Source:
    info = load_corpus(layout).info
    return Source(info.title, info.address, info.licence, address, below, digest, size)


# MD5 of Zenodo's archives as other projects quote them. GitHub makes archives anew, so that a table of labels is held
# against its own SHA-256.
SOURCES = {
    "emodb": _of_corpus(
        "emodb",
        "https://zenodo.org/records/7447302/files/emodb.zip",
        "wav",
        "md5:9d21362dbc5676ef3ab4745d83ced0db",
        39_981_818,
    ),
    "ravdess": _of_corpus(
        "ravdess",
        "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip",
        "Actor_01",
        "md5:bc696df654c87fed845eb13823edef8a",
        208_468_073,
    ),
    "cafe": _of_corpus("cafe", "https://zenodo.org/records/1478765/files/CaFE_48k.zip", "Neutre"),
    "nemo": Source(
        title="nEMO",
        page="https://github.com/amu-cai/nEMO",
        licence="CC BY-NC-SA 4.0",
        address="https://github.com/amu-cai/nEMO/archive/66de9999a8f2f605eb5f64841790aa5cb0877782.zip",
        below="data.tsv",
        holds=("data.tsv", "c4919594a62fee0dcd70066ace7bddfb92dc567321fe6ba37ea53f6008f3d828"),
        entry=(
            "layout: table, title: nEMO, language: pl, options: {published: {total: 4481}, table: data.tsv, "
            'audio: "samples/{file_id}", '
            "columns: {emotion: emotion, speaker: speaker_id, gender: gender, text: raw_text}}"
        ),
    ),
    "esc50": Source(
        title="ESC-50",
        page=esc50.ADDRESS,
        licence=esc50.LICENCE,
        address="https://github.com/karolpiczak/ESC-50/archive/master.zip",
        below="meta/esc50.csv",
        holds=("meta/esc50.csv", "ca660da60191a97de289983a05821c9382d852a38a2ba8428980816b68cf6246"),
    ),
}
_BY_HAND = {
    "crema_d": "it is kept in Git LFS: `git clone {page}`, then `git lfs pull -I AudioWAV` in it",
    "mandarin": "SpeechOcean sells it",
}


def source_of(name: str) -> Source:
    """Return where a corpus can be downloaded.

    Raises
    ------
    SerflowError
        If it cannot be, or there is no such corpus; the message says how to come by it.
    """
    if name in SOURCES:
        return SOURCES[name]
    if name not in {*_BY_HAND, *corpus_names()} - {"table"}:
        raise SerflowError(unknown_name(name, SOURCES, "corpus"))
    page = load_corpus(name).info.address if name in corpus_names() else ""
    how = _BY_HAND.get(name, "it has to be asked for at {page}").format(page=page.partition(" ")[0])
    raise SerflowError(f"{name}: {how}; then set corpora.{name}.root in config.yaml to where it lies")


def fetch(name: str, into: Path) -> Fetched:
    """Download a corpus and unpack it into ``into / name``; one that is there already stays as it is.

    An archive that lies at ``into / f"{name}.zip"`` is taken instead of a download.

    Raises
    ------
    SerflowError
        If it cannot be reached, is not what its digest says, or something else lies at its place.
    """
    source, root, record = source_of(name), into / name, into / f"{name}.json"
    if root.exists():
        if not (root / source.below).exists() or not record.is_file():
            raise SerflowError(
                f"{root}: is there already, and `serflow fetch` did not put it there; use it as it is, or give another "
                "--into"
            )
        return Fetched(name, root, str(read_sealed_json(record)["sha256"]), new=False)
    given = into / f"{name}.zip"
    archive = given if given.is_file() else _download(name, source, into)
    _check(name, source, archive)
    sha256, size = _digest(archive, "sha256"), archive.stat().st_size
    with atomic_folder(root) as temporary:
        _unpack(source, archive, temporary)
    content = {"corpus": name, "address": source.address, "licence": source.licence, "bytes": size, "sha256": sha256}
    write_sealed_json(record, {**content, "checked_by": source.checked_by()})
    if archive != given:
        archive.unlink()
    return Fetched(name, root, sha256, new=True)


def _download(name: str, source: Source, into: Path) -> Path:
    """Download into a file whose name says that it is not whole; where a digest tells, go on where one broke off."""
    import requests

    part = into / f"{name}.zip.part"
    into.mkdir(parents=True, exist_ok=True)
    if source.digest is None:
        part.unlink(missing_ok=True)
    whole = "" if source.size is None else f", {source.size:,} bytes"
    put = into / f"{name}.zip"
    by_hand = (
        f"Without a network: put the file ({source.checked_by()}{whole}) at {put} and give the same command again."
    )
    try:
        download(source.address, part, name, source.size)
    except requests.RequestException as error:
        kept = came(part)
        lost = isinstance(error, requests.ConnectionError) and not kept
        said = "no connection" if lost else (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        there = f" {kept:,} bytes are kept, and the same command goes on from there." if source.digest and kept else ""
        raise SerflowError(f"{source.address}: cannot be downloaded ({said}).{there} {by_hand}") from error
    return part


def _check(name: str, source: Source, archive: Path) -> None:
    """Refuse an archive that is not the published one; a downloaded one is not kept."""
    if source.digest is None:
        return
    kind, _, expected = source.digest.partition(":")
    found = _digest(archive, kind)
    if found != expected:
        if archive.suffix == ".part":
            archive.unlink()
        raise SerflowError(
            f"{source.address if archive.suffix == '.part' else archive}: has the {kind} {found} and not {expected}; "
            f"it was not unpacked. Try again, or get {source.title} from {source.page} and set its root in config.yaml."
        )


def _unpack(source: Source, archive: Path, folder: Path) -> None:
    """Unpack the corpus, which may lie in folders of the archive, into ``folder``."""
    unpacked = folder / ".unpacked"
    unpack_zip(archive, unpacked)
    roots = list(_roots(unpacked, source.below))
    if not roots:
        inside = ", ".join(sorted(entry.name for entry in unpacked.iterdir())[:8]) if unpacked.is_dir() else ""
        raise SerflowError(f"{source.address}: holds no {source.below}, only {inside or 'nothing'}; {_changed(source)}")
    if source.holds is not None:
        path, expected = source.holds
        found = _digest(roots[0] / path, "sha256")
        if found != expected:
            raise SerflowError(
                f"{source.address}: its {path} has the SHA-256 {found} and not {expected}; {_changed(source)}"
            )
    for entry in list(roots[0].iterdir()):
        entry.rename(folder / entry.name)
    shutil.rmtree(unpacked)


def _changed(source: Source) -> str:
    return f"the publisher may have changed it: get it from {source.page} and set its root in config.yaml"


def _roots(folder: Path, below: str) -> Iterator[Path]:
    """Yield the folders that have ``below``, the outermost first."""
    folders: Sequence[Path] = [folder] if folder.is_dir() else []
    while folders:
        yield from (each for each in folders if (each / below).exists())
        folders = [entry for each in folders for entry in sorted(each.iterdir()) if entry.is_dir()]


def _digest(path: Path, kind: str) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()


def config_lines(fetched: Sequence[Fetched], into: Path) -> str:
    """Return what to write into a configuration to use them."""
    lines = [f"data_root: {json.dumps(str(into.resolve()), ensure_ascii=False)}"]
    for section, names in (("corpora", [name for name in SOURCES if name != "esc50"]), ("noise", ["esc50"])):
        entries = [f"  {name}: {{{', '.join(filter(None, (f'root: {name}', SOURCES[name].entry)))}}}" for name in names
                   if name in {each.name for each in fetched}]  # fmt: skip
        lines += [f"{section}:", *entries] if entries else []
    return "\n".join(lines)
