"""What the tests of DeepSpeech share: its library, fetched once per run, and random models."""

import argparse
import fcntl
import os

import numpy as np
import pytest

from serflow.backbones._deepspeech_frontend import N_INPUTS
from serflow.backbones._deepspeech_graph import BLANK, AcousticModel, Affine
from serflow.errors import WeightsError
from serflow.stages.fetch_deepspeech import main as fetch


def shared_engine(tmp_path_factory):
    """Return the path of the library; the workers of pytest-xdist share one."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    engine = folder / "libdeepspeech.so"
    with open(folder / "libdeepspeech.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not engine.exists():
            try:
                fetch(argparse.Namespace(engine=engine, wheel=None))
            except WeightsError as error:
                if "pip cannot download" not in str(error):
                    raise
                pytest.skip(f"DeepSpeech's library cannot be fetched: {error}")
    return engine


def random_model(n_hidden=48, seed=0, sharpness=8.0):
    """Return a model with random weights; the sharper it is, the surer it is of each frame."""
    rng = np.random.default_rng(seed)

    def layer(n_in, n_out, scale=1.0):
        limit = scale * np.sqrt(6 / (n_in + n_out))
        weights = rng.uniform(-limit, limit, (n_in, n_out)).astype(np.float32)
        return Affine(weights, rng.uniform(-0.1, 0.1, n_out).astype(np.float32))

    return AcousticModel(
        dense1=layer(N_INPUTS, n_hidden),
        dense2=layer(n_hidden, n_hidden),
        dense3=layer(n_hidden, n_hidden),
        lstm=layer(2 * n_hidden, 4 * n_hidden),
        dense5=layer(n_hidden, n_hidden),
        output=layer(n_hidden, BLANK + 1, sharpness),
    )


def noise_bursts(n_samples, seed=0):
    """Return noise that swells and changes its colour, as int16."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(n_samples)
    dark = np.convolve(noise, np.ones(8) / 8, mode="same")
    place = np.arange(n_samples) / 16_000
    mixed = np.where(np.sin(2 * np.pi * 3 * place) > 0, noise, 3 * dark) * (0.6 - 0.5 * np.cos(2 * np.pi * 4 * place))
    return np.round(2000 * mixed).astype(np.int16)
