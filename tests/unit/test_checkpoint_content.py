"""What may stand in a checkpoint beside tensors, whichever loader reads it."""

import os
import pathlib

import numpy as np
import pytest
import torch

from serflow.backbones._checkpoint import read_content
from serflow.backbones.base import backbone_module, backbone_names, load_backbone
from serflow.errors import WeightsError

PICKLED = {"ge2e": ".", "byol": ".", "wav2vec": ".", "allosaurus": "model.pt"}
NUMBERS = [np.float64(2.5), np.float32(0.1), np.float16(0.5), np.int64(-3), np.int8(-1), np.uint16(7), np.bool_(True)]


def test_every_loader_of_a_pickle_is_tried(tmp_path):
    written = {name: backbone_module(name).write_stand_in(tmp_path / name, seed=0) for name in _folders(tmp_path)}
    found = {name for name, path in written.items() if any(file.suffix in {".pt", ".pth"} for file in _files(path))}
    assert found == PICKLED.keys()


def _folders(parent):
    for name in backbone_names("audio"):
        (parent / name).mkdir()
        yield name


def _files(path):
    return [path] if path.is_file() else list(path.rglob("*"))


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: type(number).__name__)
def test_numbers_of_numpy_are_read_as_pythons(tmp_path, number):
    torch.save({"best": number, "all": [number, {"x": number}], "tensor": torch.ones(2)}, tmp_path / "a.pt")
    content = read_content(tmp_path / "a.pt", "ge2e")
    assert content["best"] == content["all"][0] == content["all"][1]["x"] == number.item()
    assert type(content["best"]) is type(number.item())


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("backbone", sorted(PICKLED))
def test_a_command_in_a_checkpoint_is_not_run(backbone, zipped, tmp_path):
    class Harmful:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path}/was_run",))

    path = backbone_module(backbone).write_stand_in(tmp_path, seed=0)
    file = path / PICKLED[backbone] if path.is_dir() else path
    whole = torch.load(file, weights_only=False)
    torch.save({**whole, "extra": Harmful()}, file, _use_new_zipfile_serialization=zipped)
    # the command would be run by a loader that trusts
    torch.load(file, weights_only=False)
    (tmp_path / "was_run").unlink()
    with pytest.raises(WeightsError, match=rf"system.*backbones\.{backbone}\.weights"):
        load_backbone(backbone, path)
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize("backbone", sorted(PICKLED))
def test_every_loader_takes_a_number_of_numpy_and_names_what_it_does_not(backbone, tmp_path):
    path = backbone_module(backbone).write_stand_in(tmp_path, seed=0)
    file = path / PICKLED[backbone] if path.is_dir() else path
    whole = torch.load(file, weights_only=False)
    torch.save({**whole, "best_loss": np.float64(2.5)}, file)
    load_backbone(backbone, path)
    for other, named in (
        (pathlib.PurePosixPath("a"), "pathlib.PurePosixPath"),
        (np.ones(3), "numpy._core.multiarray._reconstruct"),
        (np.datetime64("2020-01-01"), "no checkpoint"),
        (np.dtype("O"), ""),
    ):
        torch.save({**whole, "extra": other}, file)
        if named:
            with pytest.raises(WeightsError, match=rf"{named}.*backbones\.{backbone}\.weights"):
                load_backbone(backbone, path)
