"""Reading a checkpoint that torch wrote: tensors and plain values only, every fault named with file and key."""

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from serflow.errors import WeightsError


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State of a network as read from a file: ``state`` maps names to tensors."""

    path: Path
    backbone: str
    state: Mapping[str, Any]

    def error(self, fault: str) -> WeightsError:
        """Return the error that says what is wrong with this file."""
        return weights_error(self.path, self.backbone, fault)

    def shape(self, name: str, n_dims: int) -> tuple[int, ...]:
        """Return the shape of a tensor that must be there.

        Raises
        ------
        WeightsError
            If it is absent or has another number of dimensions.
        """
        tensor = self.state.get(name)
        if not isinstance(tensor, Tensor) or tensor.ndim != n_dims:
            found = "absent" if tensor is None else f"of shape {tuple(getattr(tensor, 'shape', ()))}"
            raise self.error(f"{name} is {found}, where {n_dims} dimensions are needed")
        return tuple(tensor.shape)

    def load_into(self, network: nn.Module) -> None:
        """Copy the tensors that ``network`` has into it; others of the file are left out.

        Raises
        ------
        WeightsError
            If a tensor is absent, has another shape, or is not finite.
        """
        state = {}
        for name, wanted in network.state_dict().items():
            shape = self.shape(name, wanted.ndim)
            if shape != tuple(wanted.shape):
                raise self.error(f"{name} has the shape {shape} where {tuple(wanted.shape)} is needed")
            state[name] = self.state[name].to(wanted.dtype)
            if not torch.isfinite(state[name]).all():
                raise self.error(f"{name} has values that are not finite")
        network.load_state_dict(state)


class _Dtype:
    """What a pickled NumPy dtype is read as: NumPy's own would trust flags that decide what is a pointer."""

    def __init__(self, code: str, *_: object) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None:
        pass


def _number(dtype: object, content: object = b"") -> bool | int | float:
    """Return a pickled number of NumPy as one of Python's."""
    if not isinstance(dtype, _Dtype) or not isinstance(content, bytes) or dtype.code[:1] not in _NUMBERS:
        raise TypeError("a NumPy number of an unknown kind")
    value: bool | int | float = np.frombuffer(content, np.dtype(f"<{dtype.code}"), 1)[0].item()
    return value


_NUMBERS = ("b", "i", "u", "f")
_NUMPY: tuple[Any, ...] = (
    (_Dtype, "numpy.dtype"),
    (_number, "numpy.core.multiarray.scalar"),
    (_number, "numpy._core.multiarray.scalar"),
)
_REFUSED = re.compile(r"GLOBAL ([\w.]+)")


def safe_content(*allowed: type) -> AbstractContextManager[None]:
    """Let pickles of this block hold numbers of NumPy, read as Python's, and plain classes beside tensors."""
    context: AbstractContextManager[None] = torch.serialization.safe_globals([*allowed, *_NUMPY])
    return context


def refused_class(error: Exception) -> str | None:
    """Return which class of a pickle torch refused to load, and what to do; None if it is another error."""
    named = _REFUSED.search(str(error))
    if named is None:
        return None
    return (
        f"it holds {named[1]}, which is not loaded, as code could hide in it: read the file where it was made, "
        "and write it again with torch.save without that"
    )


def read_content(path: Path, backbone: str, allowed: Sequence[type] = ()) -> Any:
    """Return all that a file of ``torch.save`` holds, numbers of NumPy as Python's; nothing in it is run.

    Parameters
    ----------
    path
        The file.
    backbone
        Name of the backbone, for the error.
    allowed
        Plain classes that may stand in it beside tensors and Python's own values.

    Raises
    ------
    WeightsError
        If the file cannot be read, or holds anything else.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise weights_error(path, backbone, f"cannot be read: {error.strerror or error}") from error
    with file, safe_content(*allowed):
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds for a file that it cannot read
            told = refused_class(error) or type(error).__name__
            raise weights_error(path, backbone, f"is no checkpoint of tensors alone ({told})") from error


def read_checkpoint(path: Path, backbone: str, member: str | None = None) -> Checkpoint:
    """Read the state of a network from a file that ``torch.save`` wrote.

    Parameters
    ----------
    path
        The file.
    backbone
        Name of the backbone, for the error.
    member
        Entry of the file that holds the state; the file is the state itself if None.

    Raises
    ------
    WeightsError
        If the file cannot be read, holds more than tensors and plain values, or has no such entry.
    """
    content = read_content(path, backbone)
    state = content.get(member) if isinstance(content, Mapping) and member is not None else content
    if not isinstance(state, Mapping):
        raise weights_error(
            path, backbone, "holds no state of a network" if member is None else f"has no entry {member}"
        )
    return Checkpoint(path, backbone, state)


def weights_error(path: Path, backbone: str, fault: str) -> WeightsError:
    """Return the error that says what is wrong with a file of weights."""
    return WeightsError(
        f"{path}: {fault}; give backbones.{backbone}.weights a complete file of a release, or set it to download "
        "or stand-in"
    )
