"""What `make test-portable` sets is what the libraries take: a setting that is passed over would test nothing."""

import os

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

NUMPY = {"X86_V3 X86_V4": ["X86_V3", "X86_V4"], "X86_V4": ["X86_V4"]}
TORCH = {"default": "DEFAULT", "avx2": "AVX2"}
OPENBLAS = {"Prescott": "Katmai", "Haswell": "Haswell"}
"""OpenBLAS's kernels for any x86-64 CPU have several names, of which it tells the first."""


def expected(name, known):
    """Return what a library says of itself where a setting is one of those of the Makefile."""
    if os.environ.get(name) not in known:
        pytest.skip(f"{name} is not set as `make test-portable` does")
    return known[os.environ[name]]


def test_torch_is_held_to_older_instructions():
    assert torch.backends.cpu.get_cpu_capability() == expected("ATEN_CPU_CAPABILITY", TORCH)


def test_openblas_is_held_to_an_older_core():
    core = expected("OPENBLAS_CORETYPE", OPENBLAS)
    np.ones((2, 2)) @ np.ones((2, 2))
    assert {each["architecture"] for each in threadpool_info() if each["internal_api"] == "openblas"} == {core}


def test_numpy_is_held_to_older_instructions():
    from numpy._core._multiarray_umath import __cpu_features__ as features

    assert not any(features[name] for name in expected("NPY_DISABLE_CPU_FEATURES", NUMPY))
