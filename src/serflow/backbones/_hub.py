"""Models in the folders of the Hugging Face hub, wav2vec 2.0 through transformers; nothing is downloaded here."""

import importlib
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import torch

from serflow.backbones._checkpoint import refused_class, safe_content, weights_error
from serflow.errors import SerflowError
from serflow.files import read_json


def silence_transformers() -> None:
    """Keep transformers from writing to the terminal; what matters is raised."""
    set_quiet: Any = importlib.import_module("transformers.utils.logging")
    set_quiet.disable_progress_bar()
    set_quiet.set_verbosity_error()


def first_line(error: Exception) -> str:
    """Return what an error of a library says, in one line."""
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__


def require_files(folder: Path, backbone: str, *names: Sequence[str]) -> list[Path]:
    """Refuse what is not a folder with these files, and return them.

    Parameters
    ----------
    folder
        Folder of a model.
    backbone
        Name of the network, for errors.
    names
        Of each file the names that it can have, as older and newer versions of transformers write it; the first that
        is there counts.

    Raises
    ------
    WeightsError
        Naming the first file that is missing.
    """
    told = [" or ".join(each) for each in names]
    if not folder.is_dir():
        raise weights_error(folder, backbone, f"is no folder with {', '.join(told)} and model.safetensors")
    found = []
    for each, name in zip(names, told, strict=True):
        there = [folder / one for one in each if (folder / one).is_file()]
        if not there:
            raise weights_error(folder, backbone, f"has no {name}")
        found.append(there[0])
    return found


def read_entries(file: Path, backbone: str) -> dict[str, Any]:
    """Read a JSON file of a model's folder that holds entries by name.

    Raises
    ------
    WeightsError
        If it cannot be read, or holds anything else.
    """
    try:
        entries = read_json(file)
    except SerflowError as error:
        raise weights_error(file, backbone, f"cannot be read ({error})") from error
    if not isinstance(entries, dict):
        raise weights_error(file, backbone, "holds no entries by name")
    return entries


def read_pretrained(folder: Path, backbone: str, model_class: Any, spared: Container[str] = ()) -> Any:
    """Load a model, frozen and in evaluation mode.

    Parameters
    ----------
    folder
        With config.json, and model.safetensors or pytorch_model.bin, whole or in shards with their index.
    backbone
        Name of the network, for errors.
    model_class
        Class of transformers.
    spared
        Tensors that may be missing from the file.

    Raises
    ------
    WeightsError
        If the folder cannot be loaded, is for another kind of network, or its tensors are incomplete or not finite.
    """
    silence_transformers()
    config_class = model_class.config_class
    kind = read_entries(folder / "config.json", backbone).get("model_type", config_class.model_type)
    if kind != config_class.model_type:
        raise weights_error(folder / "config.json", backbone, f"is for {kind}, not {config_class.model_type}")
    try:
        config = config_class.from_pretrained(folder, local_files_only=True)
        # a file of half precision would otherwise be computed with as it is, whatever `precision` says
        with safe_content():
            model, loading = model_class.from_pretrained(
                folder, config=config, local_files_only=True, output_loading_info=True, dtype=torch.float32
            )
    except Exception as error:  # transformers and safetensors raise many kinds for files that they cannot read
        told = refused_class(error) or first_line(error)
        raise weights_error(folder, backbone, f"cannot be loaded ({told})") from error
    if missing := sorted(name for name in loading["missing_keys"] if name not in spared):
        raise weights_error(folder, backbone, f"lacks {missing[0]} and {len(missing) - 1} more tensors")
    for name, tensor in model.named_parameters():
        if not torch.isfinite(tensor).all():
            raise weights_error(folder, backbone, f"{name} has values that are not finite")
    return model.eval().requires_grad_(False)
