"""Reading back the weights that a training kept."""

from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from serflow.errors import StoreError


def read_first_fit(path: Path) -> dict[str, Tensor]:
    """Return the weights of the first fit of a cell, by their names in the network.

    Raises
    ------
    StoreError
        If the file holds none.
    """
    with safe_open(path, framework="pt") as handle:
        names = sorted(handle.keys())
        if not names:
            raise StoreError(f"{path}: holds no weights; give the cell of a network")
        run, fold, _ = names[0].split("/", 2)
        prefix = f"{run}/{fold}/"
        return {name.removeprefix(prefix): handle.get_tensor(name) for name in names if name.startswith(prefix)}
