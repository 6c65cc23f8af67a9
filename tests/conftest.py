"""Fixtures shared by all tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import serflow  # noqa: F401  # one thread, before NumPy and torch start

# isort: split
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

# Modules whose tests hang on how a CPU computes: `make test-portable` runs them with older instructions.
NUMERIC = {
    "adversarial", "allosaurus", "batching", "bert", "byol", "decode", "devices", "dlc_domain", "dlc_models",
    "dlc_objectives", "energy_vad", "features_contract", "fit", "ge2e", "hffn", "load_network", "metrics", "mfb",
    "mfcc", "mfcc_kaldi", "mixing", "nn", "noise_plan", "optimizers", "pitch_pulse", "portable", "probes", "rounding",
    "routing", "spectrogram", "statistics", "synthetic_speech", "train_fit", "vectors_store", "wav2vec", "wav2vec2",
    "wav2vec2_ctc",
}  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of numeric modules.

    Raises
    ------
    UsageError
        If a module is listed that is not there.
    """
    names = {f"test_{name}" for name in NUMERIC}
    if absent := names - {path.stem for path in Path(__file__).parent.rglob("test_*.py")}:
        raise pytest.UsageError(f"tests/conftest.py: NUMERIC names {', '.join(sorted(absent))}, which are not there")
    for item in items:
        if item.path.stem in names:
            item.add_marker(pytest.mark.numeric)


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real audio that may lie beside the repository; it is never part of it."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not (folder / "MANIFEST.csv").is_file():
        pytest.skip("no real audio: ../shared/data is not there")
    return folder


@pytest.fixture(scope="session")
def bfloat16() -> None:
    """For tests of bf16: skip them where this machine is refused it."""
    import torch

    from serflow.devices import require_precision
    from serflow.errors import ConfigError

    try:
        require_precision(torch.device("cpu"), "bf16", "precision")
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.fixture
def tf32() -> Iterator[Callable[[], tuple[bool, bool]]]:
    """Return what says whether cuDNN, and other products on a GPU, may round to TF32; left as they were."""
    import torch

    backends = (torch.backends.cudnn, torch.backends.cuda.matmul)

    def switches() -> tuple[bool, bool]:
        return backends[0].allow_tf32, backends[1].allow_tf32

    before = switches()
    yield switches
    for backend, allowed in zip(backends, before, strict=True):
        backend.allow_tf32 = allowed
