# Helpers of all rules; no rule stands here.
import json
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

SRC = Path(workflow.basedir) / "src"
sys.path.insert(0, str(SRC))

from serflow.config import SYNTHETIC, check_config
from serflow.errors import ConfigError
from serflow.fingerprint import fingerprint
from serflow.studies.dlc.catalog import method_info

# `python` in a rule is the interpreter that runs snakemake, with the package of this checkout
shell.prefix(f'export PATH="{Path(sys.executable).parent}:$PATH" PYTHONPATH="{SRC}"; ')

try:
    CONFIG = check_config(config, [Path(file) for file in workflow.configfiles])
except ConfigError as error:
    raise WorkflowError(str(error)) from None

if missing := CONFIG.missing_inputs():
    message = "Not there yet:\n" + "\n".join(missing)
    if workflow.executor_plugin is not None and not workflow.dryrun:
        raise WorkflowError(message)
    logger.warning(f"{message}\nThis is only a plan: a run would stop here.")

if workflow.is_main_process:
    # GPU jobs of this machine at a time, unless `--resources gpu=N` says otherwise
    workflow.global_resources.setdefault("gpu", 1)


wildcard_constraints:
    # names of config.yaml; a condition is `clean` or a noise profile
    corpus="|".join(CONFIG.corpora),
    profile="|".join(CONFIG.noise.profiles),
    condition="|".join(["clean", *CONFIG.noise.profiles]),
    feature="|".join(CONFIG.features),
    experiment="exp1|exp2",
    method=r"[a-z][a-z0-9_]*",
    optimizer="adadelta|adam",
    protocol="dialogue|speaker",
    shard=r"\d{4}",


def code(*modules):
    """Fingerprint of the code behind a rule: stale outputs are those whose code changed."""
    return fingerprint(SRC, *(f"serflow.{module}" for module in modules))


def shards(corpus):
    return [f"{shard:04d}" for shard in range(CONFIG.n_shards(corpus))]


def audio_shards(wildcards):
    return expand(
        "results/audio/{corpus}/{shard}.parquet",
        corpus=wildcards.corpus,
        shard=shards(wildcards.corpus),
    )


def memory(mb):
    """Memory of a job in MB, doubled at each attempt."""
    return lambda wildcards, attempt: mb * 2 ** (attempt - 1)


def minutes(count):
    """Time of a job in minutes, doubled at each attempt."""
    return lambda wildcards, attempt: count * 2 ** (attempt - 1)


def as_json(value):
    return json.dumps(value, sort_keys=True)


def flag(name, value):
    return f"--{name}" if value else ""
