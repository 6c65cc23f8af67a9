"""Table I on stand-in corpora: wall time, what of it is Snakemake and process start, and peak memory.

``python benchmarks/table1.py [--cores 2]`` prints one JSON line for each. There is no peer that makes this
table; ``ours`` stands against the bound that the project sets itself (``peer``).
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

CHECKOUT = Path(__file__).resolve().parents[1]
WALL_BOUND_S = 600.0
OVERHEAD_BOUND = 1 / 3


def logged_seconds(logs: Path, pattern: str) -> float:
    """Sum what the stages' logs say: ``pattern`` has one group, seconds."""
    return sum(float(found) for log in logs.rglob("*.log") for found in re.findall(pattern, log.read_text()))


def print_line(name: str, ours: float, bound: float, unit: str) -> None:
    ratio = round(ours / bound, 3)
    print(json.dumps({"name": name, "ours": round(ours, 3), "peer": round(bound, 3), "ratio": ratio, "unit": unit}))


def main(cores: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        subprocess.run(
            [
                str(Path(sys.executable).parent / "snakemake"),
                "results/table1.csv",
                *("--snakefile", str(CHECKOUT / "Snakefile"), "--directory", folder, "--cores", str(cores)),
                *("--quiet", "all"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        wall = time.monotonic() - start
        results = Path(folder) / "results"
        at_work = logged_seconds(results / "logs", r"done in ([\d.]+) s")
        starting = logged_seconds(results / "logs", r"started in ([\d.]+) s")
        heaviest = max(pd.read_csv(file, sep="\t")["max_rss"].max() for file in (results / "benchmarks").rglob("*.tsv"))
    snakemake_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print_line("table1_wall", wall, WALL_BOUND_S, "s (peer: the bound)")
    print_line("table1_process_start", starting, cores * wall, "core-s of all core-s")
    # everything that is not a stage at work: Snakemake, process start, and cores that wait
    print_line("table1_overhead", 1 - at_work / (cores * wall), OVERHEAD_BOUND, "share (peer: the bound)")
    print_line("table1_peak_memory", max(heaviest, snakemake_mb), 24_000, "MB of the largest process (peer: a laptop)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=2)
    main(parser.parse_args().cores)
