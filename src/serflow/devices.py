"""Where networks run and in which precision; imports torch."""

import fcntl
import functools
import logging
import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from serflow.errors import ConfigError

log = logging.getLogger(__name__)

_WIDTH = 8
_FIRST_WITH_TF32 = (8, 0)


def resolve_device(name: str, key: str) -> torch.device:
    """Return the device of a setting: ``auto`` is a GPU where torch finds one, else the CPU.

    Of several GPUs it is one that no other job has taken.

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
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    index = _take_gpu()
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


@functools.cache
def _take_gpu() -> int:
    """Return the number of a GPU that none of this user's processes has, and keep it to the end of this one.

    What Slurm hides is not counted. Where all are taken the first one is shared: there were more jobs than GPUs.
    """
    count = torch.cuda.device_count()
    for index in range(count if count > 1 else 0):
        name = f"serflow-{os.getuid()}-{torch.cuda.get_device_properties(index).uuid}.lock"
        handle = os.open(Path(tempfile.gettempdir()) / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
        else:
            return index
    if count > 1:
        log.warning("all %d GPUs are taken by other jobs: this one shares the first", count)
    return 0


def autocast(device: torch.device, precision: str) -> Callable[[], AbstractContextManager[Any]]:
    """Return what makes the context to compute in: bfloat16 autocast for ``bf16``, else nothing."""
    return functools.partial(torch.autocast, device.type, torch.bfloat16) if precision == "bf16" else nullcontext


def allow_tf32(allowed: bool) -> None:
    """Say whether this process's GPU may round what it multiplies to the 10 bits of TF32, in and out of cuDNN.

    It holds until it is said again, in the backward pass too. By itself torch lets cuDNN round, and nothing else.
    """
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed


def require_precision(device: torch.device, precision: str, key: str) -> None:
    """Refuse ``bf16`` where torch cannot compute all kinds of layers in it, and ``tf32`` where there is none.

    For ``bf16`` it is one rule for all networks, whatever their layers: a CPU without an LSTM in bfloat16 (one without
    AVX-512) has the others too slowly to be of use. TF32 is of GPUs of compute capability 8.0 (Ampere) and above; where
    it is absent torch would compute in single precision, and say nothing. Nothing is computed for ``fp32``.

    Parameters
    ----------
    device
        Where a network is going to run.
    precision
        ``fp32``, ``tf32`` or ``bf16``.
    key
        The setting's key in ``config.yaml``, for the error.

    Raises
    ------
    ConfigError
        If a layer fails, or the device has no TF32. There is no falling back to ``fp32``: the same configuration would
        give other numbers on another machine.
    """
    if precision == "bf16" and (missing := missing_in_bfloat16(device.type)):
        raise ConfigError(
            f"{key}: bf16 was asked for, and torch {torch.__version__} cannot compute {missing} in bfloat16 on this "
            f"machine's {device.type}; set it to fp32"
        )
    if precision == "tf32" and (lacking := without_tf32(device)):
        raise ConfigError(
            f"{key}: tf32 was asked for, and {lacking} has none (a GPU of compute capability 8.0 or above has); "
            "set it to fp32"
        )


def usable_device(name: str, precision: str, section: str) -> torch.device:
    """Return the device of a section of ``config.yaml`` that has ``device`` and ``precision``.

    ``fp32`` is single precision on a GPU too. The switch of ``tf32`` is the process's, and stays to the next call.

    Parameters
    ----------
    name, precision
        Values of the two.
    section
        For the error, e.g. ``backbones.ge2e``.

    Raises
    ------
    ConfigError
        If there is no such device, or it cannot compute in that precision.
    """
    device = resolve_device(name, f"{section}.device")
    require_precision(device, precision, f"{section}.precision")
    allow_tf32(precision == "tf32")
    if device.type == "cuda":
        # `serflow forecast` tells by it whose time it is
        log.info("computes on cuda, %s", torch.cuda.get_device_name(device))
    return device


@functools.cache
def missing_in_bfloat16(device: str) -> str | None:
    """Return what torch cannot run forwards and backwards under bfloat16 autocast on a kind of device, or None.

    Small layers are run to find out, once a process; random numbers go on as if they had not been.
    """
    values = torch.ones(2, _WIDTH, _WIDTH, device=device)
    with torch.random.fork_rng(devices=[]):
        layers: dict[str, nn.Module] = {
            "a linear layer": nn.Linear(_WIDTH, _WIDTH),
            "a convolution": nn.Conv1d(_WIDTH, _WIDTH, 3),
            "an LSTM": nn.LSTM(_WIDTH, _WIDTH),
        }
    for name, layer in layers.items():
        try:
            _run_in_bfloat16(layer.to(device), values)
        except RuntimeError as error:
            log.info("%s in bfloat16 on %s: %s", name, device, error)
            return name
    return None


def without_tf32(device: torch.device) -> str | None:
    """Return the name of a device that has no TF32, or None of one that has."""
    if device.type != "cuda":
        return f"this machine's {device.type}"
    name, found = torch.cuda.get_device_name(device), torch.cuda.get_device_capability(device)
    return None if found >= _FIRST_WITH_TF32 else f"{name}, of compute capability {'.'.join(map(str, found))},"


def _run_in_bfloat16(layer: nn.Module, values: Tensor) -> None:
    """Run a layer forwards and backwards, to the end."""
    with torch.enable_grad(), torch.autocast(values.device.type, torch.bfloat16):
        found = layer(values)
        total = (found[0] if isinstance(found, tuple) else found).sum()
    total.backward()
    total.item()
