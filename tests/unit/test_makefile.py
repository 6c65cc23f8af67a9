"""What `make` does beside naming commands."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("threads", [{}, {"OMP_NUM_THREADS": "1"}, {"OMP_THREAD_LIMIT": "1"}], ids=str)
def test_all_cores_are_asked_for_however_few_threads_a_process_may_have(threads):
    environment = {name: value for name, value in os.environ.items() if name not in ("CORES", "MAKEFLAGS")}
    done = subprocess.run(
        ["make", "-n", "table1"], cwd=ROOT, env={**environment, **threads}, check=True, capture_output=True, text=True
    )
    assert re.findall(r"--cores '(\d+)' results/table1\.csv", done.stdout) == [str(len(os.sched_getaffinity(0)))]
