import errno
import io
import os
import resource

import pytest
import torch
from safetensors import safe_open

from serflow.errors import SerflowError, StoreError
from serflow.training.checkpoints import Checkpoint, key_of, save_weights

STATE = {
    "network": {"weight": torch.arange(50000.0).reshape(100, 500), "count": torch.tensor(3)},
    "optimizers": {"main": {"steps": [3, 2], "betas": (0.5, 0.999), "lr": 1e-3, "foreach": None}},
    "history": [{"period": 0, "loss": 0.25}],
}


@pytest.fixture
def checkpoint(tmp_path):
    checkpoint = Checkpoint(tmp_path / "fits" / "0.pt", "key")
    checkpoint.save(STATE)
    return checkpoint


def test_a_state_comes_back_as_it_was(checkpoint):
    found = checkpoint.load()
    assert torch.equal(found["network"].pop("weight"), STATE["network"]["weight"])
    assert torch.equal(found["network"].pop("count"), STATE["network"]["count"])
    assert found == {**STATE, "network": {}}
    assert [path.name for path in checkpoint.path.parent.glob("[!.]*")] == ["0.pt"]
    assert not list(checkpoint.path.parent.glob("*tmp*"))


def test_where_there_is_no_state_none_is_loaded(tmp_path):
    assert Checkpoint(tmp_path / "0.pt", "key").load() is None


def test_a_state_with_another_key_is_not_loaded(checkpoint):
    assert Checkpoint(checkpoint.path, "other").load() is None


def parts_of(content):
    """Places in the magic word, digest and end of the first line; then the archive's pickle, tensors and directory."""
    weight = content.index(STATE["network"]["weight"].numpy().tobytes())
    return {
        "magic": 2, "digest": 40, "end of line": 76, "archive": 77, "pickle": content.index(b"optimizers"),
        "tensor": weight + 4001, "directory": content.rindex(b"data.pkl"), "last": len(content) - 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "part", ["magic", "digest", "end of line", "archive", "pickle", "tensor", "directory", "last", "any"]
)
def test_damage_anywhere_is_refused(checkpoint, part):
    whole = checkpoint.path.read_bytes()
    places = range(0, len(whole), 997) if part == "any" else [parts_of(whole)[part]]
    for place in places:
        content = bytearray(whole)
        content[place] ^= 1
        checkpoint.path.write_bytes(content)
        with pytest.raises(StoreError, match=r"0.pt: the state of a fit does not match.* delete it and run the same"):
            checkpoint.load()


@pytest.mark.parametrize("length", [0, 5, 76, 77, 1000, -1])
def test_a_state_that_is_cut_short_or_goes_on_is_refused(checkpoint, length):
    whole = checkpoint.path.read_bytes()
    for content in (whole[:length], whole + b"\0", b"not a state at all\n\0\0", b"serflow fit "):
        checkpoint.path.write_bytes(content)
        with pytest.raises(StoreError, match=r"0.pt.* delete it"):
            checkpoint.load()


def test_a_pickle_that_would_run_code_is_not_loaded(checkpoint, tmp_path):
    class Harmful:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path}/was_run",))

    checkpoint.save({"network": Harmful()})
    with pytest.raises(Exception, match=r"weights_only|Weights only"):
        checkpoint.load()
    assert not (tmp_path / "was_run").exists()


def test_a_full_disk_is_named_and_the_state_before_is_kept(checkpoint):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(SerflowError, match=r"0.pt: cannot be written: larger than a file may be here"):
            checkpoint.save({**STATE, "more": 1})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert checkpoint.load().keys() == STATE.keys()
    assert [path.name for path in checkpoint.path.parent.glob("[!.]*")] == ["0.pt"]
    assert not list(checkpoint.path.parent.glob("*tmp*"))


@pytest.mark.parametrize(
    ("raised", "seen"),
    [(KeyboardInterrupt(), KeyboardInterrupt), (OSError(errno.ENOSPC, "No space"), SerflowError)],
)
def test_what_stops_the_writing_is_what_is_seen(checkpoint, monkeypatch, raised, seen):
    class Stopped(io.FileIO):
        def write(self, content):
            if self.tell() > 100_000:
                raise raised
            return super().write(content)

    monkeypatch.setattr("serflow.training.checkpoints.io.FileIO", Stopped)
    with pytest.raises(seen, match="no space left on the disk" if seen is SerflowError else None):
        checkpoint.save(STATE)
    assert checkpoint.load() is not None


def test_the_key_depends_on_every_part():
    keys = {key_of(*parts) for parts in [("a", {"b": 1}), ("a", {"b": 2}), ("b", {"b": 1}), ("a", {"b": 1}, "c")]}
    assert len(keys) == 4
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})


def test_weights_have_the_same_bytes_each_time(tmp_path):
    weights = {"b": torch.ones(2, 3).t(), "a": torch.zeros(4)}
    for name in ("one", "two"):
        save_weights(tmp_path / name, weights, {"study": "dlc", "method": "single", "corpus": "toy"})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with safe_open(tmp_path / "one", "pt") as stored:
        assert torch.equal(stored.get_tensor("b"), weights["b"])
        assert stored.metadata() == {"serflow": '{"corpus": "toy", "method": "single", "study": "dlc"}'}
