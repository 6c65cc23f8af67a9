"""Run Snakemake's command line, and write what every job of the plan has as parameters to the file named first.

It holds the names of all rules with a command, and for each job its rule, its input and output files, its command, what
it asks for, and each parameter with its value (what JSON cannot hold by its type) and whether Snakemake records it:
what a function makes of `input` or `output` it does not record.
"""

import json
import sys
from pathlib import Path
from typing import Any

from snakemake import cli
from snakemake.workflow import Workflow


def plain(value: Any) -> Any:
    """Return a value as JSON has it, with the type in place of anything else."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [plain(item) for item in value]
    if type(value) is dict and all(type(key) is str for key in value):
        return {key: plain(item) for key, item in value.items()}
    return {"not JSON": f"{type(value).__module__}.{type(value).__qualname__}"}


def describe(job: Any) -> dict[str, Any]:
    assert len(job.rule.params.keys()) == len(job.rule.params), f"{job.rule.name}: a param without a name"
    params = {
        name: {"value": plain(job.params[name]), "recorded": not job.rule._is_deriving_function(given)}
        for name, given in job.rule.params.items()
    }
    return {
        "rule": job.rule.name, "input": list(job.input), "output": list(job.output), "params": params,
        "command": job.shellcmd, "resources": {name: plain(value) for name, value in job.resources.items()},
    }  # fmt: skip


def main(told: Path, arguments: list[str]) -> None:
    build = Workflow._build_dag

    def build_and_tell(self: Workflow) -> None:
        build(self)
        rules = [rule.name for rule in self.rules if rule.shellcmd is not None]
        told.write_text(json.dumps({"rules": rules, "jobs": [describe(job) for job in self.dag.jobs]}))

    Workflow._build_dag = build_and_tell
    cli.main(arguments)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
