"""Where networks run and in which precision; imports torch."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from serflow.errors import ConfigError


def resolve_device(name: str, key: str) -> torch.device:
    """Return the device of a setting: ``auto`` is a GPU where torch finds one, else the CPU.

    Parameters
    ----------
    name
        ``auto``, ``cpu`` or ``cuda``.
    key
        The setting's key in ``config.yaml``, for the error.

    Raises
    ------
    ConfigError
        If ``cuda`` was asked for and torch finds no GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"{key}: cuda was asked for and torch finds no GPU; set it to auto or cpu")
    return torch.device("cuda" if name == "auto" and torch.cuda.is_available() else name.replace("auto", "cpu"))


def autocast(device: torch.device, precision: str) -> Callable[[], AbstractContextManager[Any]]:
    """Return what makes the context to compute in: bfloat16 autocast for ``bf16``, nothing for ``fp32``."""
    return functools.partial(torch.autocast, device.type, torch.bfloat16) if precision == "bf16" else nullcontext
