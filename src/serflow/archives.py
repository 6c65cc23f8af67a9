"""Unpacking archives that come from elsewhere."""

import tarfile
from pathlib import Path

from serflow.errors import SerflowError

_MAX_BYTES = 8 << 30
_MAX_MEMBERS = 100_000


def unpack_tar(archive: Path, folder: Path) -> None:
    """Unpack a tar archive (compressed or not) into ``folder``.

    Files outside of the folder, links that leave it, devices, and archives that unpack to more than 8 GiB are
    refused (Python's ``data`` filter, PEP 706), before anything is written.

    Raises
    ------
    SerflowError
        If the archive is damaged or holds such a member.
    """
    try:
        with tarfile.open(archive) as source:
            members = source.getmembers()
            if len(members) > _MAX_MEMBERS or sum(member.size for member in members) > _MAX_BYTES:
                raise SerflowError(f"{archive}: unpacks to more than {_MAX_BYTES >> 30} GiB or {_MAX_MEMBERS} files")
            for member in members:
                tarfile.data_filter(member, str(folder))
            source.extractall(folder, members=members, filter="data")
    except tarfile.FilterError as error:
        raise SerflowError(f"{archive}: refused, it holds a member that would leave its folder ({error})") from error
    except (tarfile.TarError, OSError, EOFError) as error:
        raise SerflowError(f"{archive}: not a whole tar archive ({error}); delete it and run again") from error
