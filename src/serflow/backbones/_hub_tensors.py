"""The tensors of a model's folder in the hub's format, read without the library that wrote them."""

from pathlib import Path
from typing import Any

from torch import Tensor

from serflow.backbones._checkpoint import read_content, weights_error
from serflow.backbones._hub import first_line, read_entries

_FILES = ("model.safetensors", "pytorch_model.bin")
_OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


def read_tensors(folder: Path, backbone: str, prefix: str) -> dict[str, Tensor]:
    """Return the tensors of a folder's network by name.

    Parameters
    ----------
    folder
        With model.safetensors or pytorch_model.bin, whole or in shards with their index; the first that is there
        counts, in this order.
    backbone
        Name of the network, for errors.
    prefix
        What the names start with where the network was saved within another one (``bert.``); it is taken off, and what
        else the other one has is left out.

    Raises
    ------
    WeightsError
        If there are none, or a file is damaged or holds anything else.
    """
    tensors: dict[str, Any] = {}
    for file in _parts(folder, backbone):
        tensors |= _read(file, backbone)
    within = any(name.startswith(prefix) for name in tensors)
    return {
        _new_name(name.removeprefix(prefix)): tensor
        for name, tensor in tensors.items()
        if isinstance(tensor, Tensor) and (name.startswith(prefix) or not within)
    }


def _parts(folder: Path, backbone: str) -> list[Path]:
    """Return the files that hold tensors."""
    for name in _FILES:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            places = read_entries(index, backbone).get("weight_map")
            names = sorted(set(places.values())) if isinstance(places, dict) else []
            if not names or any(Path(part).name != part for part in map(str, names)):
                raise weights_error(index, backbone, "names no files of the folder")
            return [folder / str(part) for part in names]
    raise weights_error(folder, backbone, f"has no {' or '.join(_FILES)}")


def _read(file: Path, backbone: str) -> dict[str, Any]:
    if file.suffix == ".bin":
        content = read_content(file, backbone)
        if not isinstance(content, dict):
            raise weights_error(file, backbone, "holds no tensors by name")
        return content
    from safetensors.torch import load_file

    try:
        return dict(load_file(file))
    except Exception as error:  # safetensors raises many kinds for files that it cannot read
        raise weights_error(file, backbone, f"cannot be read ({first_line(error)})") from error


def _new_name(name: str) -> str:
    for old, new in _OLD_NAMES.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name
