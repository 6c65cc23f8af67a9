import importlib
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from serflow import devices
from serflow.backbones.base import backbone_module, backbone_names
from serflow.errors import ConfigError
from serflow.plugins import plugin_names

CPU = torch.device("cpu")


@pytest.fixture
def no_bfloat16(monkeypatch):
    """Make this a machine whose torch has no LSTM in bfloat16, as CPUs without AVX-512 are."""
    monkeypatch.setattr(devices, "missing_in_bfloat16", lambda device: "an LSTM")


@pytest.fixture
def probe(monkeypatch):
    """Return the probe as in a new process, and let a kind of layer fail in it."""

    def fail_at(kind):
        run = devices._run_in_bfloat16

        def failing(layer, values):
            if isinstance(layer, kind):
                raise RuntimeError("could not create a primitive")
            run(layer.float(), values)

        monkeypatch.setattr(devices, "_run_in_bfloat16", failing)
        return devices.missing_in_bfloat16

    devices.missing_in_bfloat16.cache_clear()
    yield fail_at
    devices.missing_in_bfloat16.cache_clear()


@pytest.mark.parametrize("name", backbone_names())
def test_every_network_refuses_bf16_where_the_machine_cannot_compute_it(name, tmp_path, no_bfloat16):
    module = backbone_module(name)
    if name == "deepspeech":  # no network of torch's: its library is refused before any file is read
        path, options = tmp_path / "absent", {"engine": tmp_path / "absent"}
    else:
        path, options = module.write_stand_in(tmp_path, seed=0), {}
    with pytest.raises(ConfigError, match=rf"^backbones\.{name}\.precision: .*bf16.*; set it to fp32$"):
        module.load(path, "cpu", "bf16", **options)


def test_the_refusal_says_what_cannot_be_computed_and_where(no_bfloat16):
    with pytest.raises(ConfigError, match=r"^dlc\.training\.precision: .*an LSTM in bfloat16 on this machine's cpu; "):
        devices.usable_device("cpu", "bf16", "dlc.training")


def test_single_precision_is_not_tried(monkeypatch):
    monkeypatch.setattr(devices, "missing_in_bfloat16", None)
    assert devices.usable_device("cpu", "fp32", "dlc.training") == CPU
    devices.require_precision(CPU, "fp32", "dlc.training.precision")


@pytest.mark.parametrize(
    ("kind", "said"),
    [(torch.nn.Linear, "a linear layer"), (torch.nn.Conv1d, "a convolution"), (torch.nn.LSTM, "an LSTM")],
)
def test_a_layer_that_fails_is_named_once_for_all(probe, monkeypatch, kind, said):
    missing = probe(kind)
    assert missing("cpu") == said
    monkeypatch.setattr(devices, "_run_in_bfloat16", None)
    assert missing("cpu") == said


def test_the_probe_finds_what_this_machine_can_do_and_draws_no_random_number():
    devices.missing_in_bfloat16.cache_clear()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    missing = devices.missing_in_bfloat16("cpu")
    assert torch.equal(torch.get_rng_state(), before)
    lstm = torch.nn.LSTM(4, 4)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            lstm(torch.ones(2, 1, 4))
    except RuntimeError:
        assert missing is not None
    else:
        assert missing != "an LSTM"


def test_bf16_passes_where_all_layers_can_be_computed(monkeypatch):
    monkeypatch.setattr(devices, "missing_in_bfloat16", lambda device: None)
    assert devices.usable_device("auto", "bf16", "dlc.training").type in ("cpu", "cuda")
    with devices.autocast(CPU, "bf16")():
        assert (torch.ones(1, 1) @ torch.ones(1, 1)).dtype == torch.bfloat16
    with devices.autocast(CPU, "fp32")():
        assert (torch.ones(1, 1) @ torch.ones(1, 1)).dtype == torch.float32


@pytest.fixture
def gpus(monkeypatch, tmp_path):
    """Make this a machine with so many GPUs, none of which can compute, and return which one each of some jobs gets."""

    def found(count, jobs):
        chosen = []
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=f"gpu-{index}"))
        monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
        for _ in range(jobs):
            # of another process, which holds what the last one took
            devices._take_gpu.cache_clear()
            assert devices.resolve_device("auto", "") == devices.resolve_device("cuda", "")
        return chosen[::2]

    before = set(Path("/proc/self/fd").iterdir())
    yield found
    devices._take_gpu.cache_clear()
    for entry in set(Path("/proc/self/fd").iterdir()) - before:
        if entry.exists() and str(entry.readlink()).startswith(str(tmp_path)):
            os.close(int(entry.name))


def test_each_job_takes_a_gpu_that_no_other_has_and_the_first_where_all_are_taken(gpus, caplog):
    assert gpus(3, 3) == [0, 1, 2]
    assert "taken" not in caplog.text
    assert gpus(3, 1) == [0]
    assert "all 3 GPUs are taken by other jobs" in caplog.text


def test_one_gpu_is_shared_and_nothing_is_written(gpus, tmp_path):
    assert gpus(1, 3) == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def gpu_of(gpus, monkeypatch):
    """Make this a machine with one GPU of a compute capability."""

    def found(*capability):
        gpus(1, 0)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA Example")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)

    return found


def test_single_precision_is_single_precision_on_a_gpu_too(gpu_of, tf32):
    gpu_of(9, 0)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    devices.usable_device("auto", "fp32", "dlc.training")
    assert tf32() == (False, False)


@pytest.mark.parametrize("after", ["fp32", "bf16"])
@pytest.mark.parametrize("capability", [(8, 0), (8, 6), (9, 0), (12, 0)])
def test_tf32_is_on_from_its_fit_to_the_next_in_another_precision(gpu_of, tf32, monkeypatch, capability, after):
    gpu_of(*capability)
    monkeypatch.setattr(devices, "missing_in_bfloat16", lambda device: None)
    assert devices.usable_device("auto", "tf32", "dlc.training").type == "cuda"
    assert tf32() == (True, True)
    # a network that is trained further is put on the same device, and rounds no less
    devices.resolve_device("cuda", "backbones.ge2e.device")
    assert tf32() == (True, True)
    devices.usable_device("auto", after, "dlc.training")
    assert tf32() == (False, False)


def test_tf32_leaves_weights_in_single_precision(gpu_of, tf32):
    gpu_of(9, 0)
    device = devices.usable_device("cuda", "tf32", "dlc.training")
    with devices.autocast(device, "tf32")():
        assert not torch.is_autocast_enabled("cuda")
        assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.float32


@pytest.mark.parametrize("capability", [(7, 0), (7, 5)])
def test_tf32_is_refused_by_its_key_on_a_gpu_that_has_none(gpu_of, tf32, capability):
    gpu_of(*capability)
    before = tf32()
    lacking = "NVIDIA Example, of compute capability " + ".".join(map(str, capability))
    with pytest.raises(ConfigError, match=rf"^dlc\.training\.precision: tf32 .*{lacking}, has none.*; set it to fp32$"):
        devices.usable_device("auto", "tf32", "dlc.training")
    assert tf32() == before


@pytest.mark.parametrize(
    "study", [name for name in plugin_names("serflow.studies") if name not in ("contract", "departures")]
)
def test_every_study_takes_tf32_and_it_is_refused_by_its_key_on_a_cpu(study, tf32):
    options = importlib.import_module(f"serflow.studies.{study}.options").TrainingOptions
    assert options().precision == "fp32"
    chosen = options(precision="tf32", device="cpu")
    said = rf"^{study}\.training\.precision: tf32 was asked for, and this machine's cpu has none .*; set it to fp32$"
    before = tf32()
    with pytest.raises(ConfigError, match=said):
        devices.usable_device(chosen.device, chosen.precision, f"{study}.training")
    assert tf32() == before


def test_a_gpu_is_an_index_and_the_cpu_is_the_cpu(gpus):
    gpus(2, 0)
    assert devices.resolve_device("auto", "").index == 0
    assert devices.resolve_device("cpu", "") == CPU
    gpus(0, 0)
    assert devices.resolve_device("auto", "") == CPU


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_absent_is_refused_by_its_key():
    with pytest.raises(ConfigError, match=r"^backbones\.ge2e\.device: .*no GPU"):
        devices.usable_device("cuda", "fp32", "backbones.ge2e")
