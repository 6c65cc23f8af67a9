"""Reading back the weights that a training kept."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from serflow.errors import StoreError
from serflow.files import check_digest


def read_fit(path: Path, fit: str | None = None, cell: Mapping[str, str] | None = None) -> dict[str, Tensor]:
    """Return the weights of a fit of a cell, by their names in the network.

    Parameters
    ----------
    path
        ``model.safetensors`` of the cell.
    fit
        Run and fold, ``0/Ses01F``; None for the first fit there is.
    cell
        What the file must be of; None for any.

    Raises
    ------
    StoreError
        If the file is absent or damaged, is of another cell, or holds none of that fit.
    """
    check_digest(path)
    with safe_open(path, framework="pt") as handle:
        of = json.loads((handle.metadata() or {}).get("serflow", "{}")).get("cell")
        if cell is not None and of != dict(cell):
            raise StoreError(f"{path}: of cell {of} and not {dict(cell)}; delete it and run the same command again")
        names = sorted(handle.keys())
        if fit is None and names:
            fit = names[0].rsplit("/", 1)[0]
        prefix = f"{fit}/"
        found = {name.removeprefix(prefix): handle.get_tensor(name) for name in names if name.startswith(prefix)}
    if not found:
        raise StoreError(f"{path}: holds no weights{f' of fit {fit}' if fit else ''}; give the cell of a network")
    return found
