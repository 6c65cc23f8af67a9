"""What jobs cost, from finished runs: the table that ``serflow forecast`` reckons with.

``python benchmarks/_costs.py FOLDER[=CONFIGFILE] ... > src/serflow/planning/costs.csv``: each folder is that of a
``snakemake --directory``, with the configuration over config.yaml that its runs had. Jobs of a kind are taken together,
whatever folder they are of: corpora of several sizes tell what a job takes from what an hour of audio does. Every row
says by which processor, versions and commit; the runs are to be of the commit that is checked out.
"""

import argparse
import csv
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path

from _common import CHECKOUT
from serflow.config import read_configs
from serflow.planning.costs import COLUMNS, UTTERANCES, Cost, Key, Measured, measure, summed
from serflow.planning.hours import Hours


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def source() -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=CHECKOUT, check=True, capture_output=True, text=True
    ).stdout.strip()
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "snakemake"))
    return f"{processor()}; Python {platform.python_version()}, {versions}; commit {commit}"


def lengths(hours: Hours, corpora: list[str], said: str) -> dict[Key, Cost]:
    """Return how long an utterance of each stand-in is, as costs (s an utterance)."""
    found = {}
    for corpus in corpora:
        length_s = hours.utterance_s(corpus)
        if length_s is not None:
            found[UTTERANCES, corpus, ""] = Cost("utterance", 1, 1.0, 0.0, length_s, None, 0.0, False, said)
    return found


def main(runs: list[str]) -> None:
    said, measured, known = source(), list[Measured](), dict[Key, Cost]()
    for run in runs:
        folder, _, file = run.partition("=")
        config, _ = read_configs([CHECKOUT / "config.yaml", *([Path(file)] if file else [])])
        hours = Hours(config, Path(folder), {})
        stand_ins = [corpus for corpus in config.corpora if config.is_synthetic(corpus)]
        measured += measure(Path(folder), config, hours)
        # the stand-ins of the first folder that has them
        known = {**lengths(hours, stand_ins, said), **known}
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for key, cost in sorted({**summed(measured, said), **known}.items()):
        values = [f"{value:.4g}" if isinstance(value, float) else "" if value is None else value for value in cost]
        writer.writerow([*key, *values])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="FOLDER[=CONFIGFILE]")
    main(parser.parse_args().runs)
