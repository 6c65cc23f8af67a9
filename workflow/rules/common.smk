# Helpers of all rules; no rule stands here.
import functools
import gc
import hashlib
import json
import os
import re
import shlex
import sys
import time
from operator import attrgetter
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import strip_wildcard_constraints
from snakemake.logging import logger
from snakemake.resources import Resources
from snakemake.settings.types import DeploymentMethod

# a plan is made of millions of objects that stay: to look for rubbish among them as often as usual is a tenth of its time
gc.set_threshold(200_000, 50, 100)

BEGAN = time.time()
SRC = Path(workflow.basedir) / "src"
CONFIG_YAML = Path(workflow.basedir) / "config.yaml"
sys.path.insert(0, str(SRC))

from serflow.backbones.base import backbone_names
from serflow.claims.ledger import claims_path, read_claims
from serflow.config import read_configs
from serflow.corpora.base import files_read, load_corpus
from serflow.errors import ConfigError, SerflowError
from serflow.files import require_folder, require_writable, sha256_file, sweep
from serflow.fingerprint import fingerprint
from serflow.noise.conditions import of_split, profile_of, split_of
from serflow.noise.published import READS
from serflow.premiums.versions import (
    VERSION_PATTERN,
    WITHOUT_LEAKS,
    cells_of,
    corpora_of,
    layout_of,
    roots_of,
    tables_of,
    trained_apart,
    versions,
)
from serflow.protocols.splits import DRAWN, PROTOCOL_PATTERN
from serflow.settings.base import CLEAN, SYNTHETIC, path_below
from serflow.settings.features import RECOGNISERS, TEXT_FEATURE, gpus_here
from serflow.state import ABSENT, EVERYTHING, look
from serflow.studies.dlc.asked_in_noise import sweep_options, swept_cells
from serflow.targets import as_in_rules, nearest

# `python` in a rule is the interpreter that runs snakemake, or conda's where asked for, with the package of this checkout
OWN_PATH = f'PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"'
WITH_CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
shell.prefix(
    f"export {'' if WITH_CONDA else OWN_PATH} PYTHONPATH={shlex.quote(str(SRC))}; "
)
# where pip finds the lock files that envs/serflow.yaml names
os.environ["SERFLOW_LOCKS"] = str(Path(workflow.basedir) / "envs")


envvars:
    "SERFLOW_LOCKS",


try:
    # in the order they are merged: the command line overrides its files, and they config.yaml
    CONFIG, WRITTEN = read_configs(
        [CONFIG_YAML, *map(Path, workflow.overwrite_configfiles)],
        workflow.config_settings.config_args or [],
    )
except ConfigError as error:
    raise WorkflowError(str(error)) from None

if workflow.is_main_process:
    try:
        # what Snakemake stumbles over with a traceback, before it does
        for folder in ("results", "resources"):
            require_folder(folder)
        require_writable(".snakemake")
    except SerflowError as error:
        raise WorkflowError(str(error)) from None

STUDIES = CONFIG.plans()
# of each study: as in its paper, clean, and with a leak alone
VERSIONS = {name: versions(study) for name, study in STUDIES.items()}

# What the jobs of this plan need and is not there: the input functions of those that would read it note it here.
MISSING = []


def note_missing(said):
    """A dry run says at once what is not there, a run before its first job."""
    if said is None or said in MISSING:
        return
    MISSING.append(said)
    if workflow.dryrun:
        logger.warning(f"Not there yet:\n{said}\nA run would stop here.")


FOLDERS = ("results", "resources")


def check_writable(folder):
    try:
        require_writable(folder)
    except SerflowError as error:
        raise WorkflowError(
            f"{error}\n`snakemake --directory DIR` works in another folder."
        ) from None


onstart:
    # a dry run never comes here
    if MISSING:
        raise WorkflowError("Not there yet:\n" + "\n".join(MISSING))
    for folder in FOLDERS:
        check_writable(folder)
        for left in sweep(folder, before=BEGAN):
            logger.info(f"Removed {left}, which a killed job left.")


# noise profiles, and those whose clips follow a split: `h1@partners-0`
PROFILES = "|".join(CONFIG.noise.profiles)
DRAWS = f"(?:{'|'.join(DRAWN)})-[0-9]+"
NOISES = f"{PROFILES}|{of_split(f'(?:{PROFILES})', DRAWS)}"


wildcard_constraints:
    # names of config.yaml; a condition is `clean` or a noise profile, with or without a split
    corpus="|".join(CONFIG.corpora),
    profile=PROFILES,
    condition=f"{CLEAN}|{NOISES}",
    backbone="|".join(CONFIG.backbones),
    feature="|".join(CONFIG.features),
    experiment="exp1|exp2",
    method=r"[a-z][a-z0-9_]*",
    optimizer="adadelta|adam",
    protocol=PROTOCOL_PATTERN,
    recogniser="deepspeech|wav2vec2|reference",
    shard=r"\d{4}",
    version=VERSION_PATTERN,


# Targets


def find_targets(prepare_dag):
    """Look for targets in the form that rules have, and offer the nearest to those that no rule makes."""

    @functools.wraps(prepare_dag)
    def prepared(*args, **kwargs):
        settings = workflow.dag_settings
        wrong = []
        for option in ("targets", "forcerun", "until", "omit_from"):
            wanted = [as_in_rules(name) for name in getattr(settings, option) or ()]
            setattr(settings, option, wanted)
            for name in wanted:
                makers = (rule for rule in workflow.rules if rule.is_producer(name))
                if not workflow.is_rule(name) and next(makers, None) is None:
                    wrong.append(no_target(name, option))
                elif why := why_nothing(name):
                    wrong.append(f"Nothing makes {name}: {why}")
        if wrong:
            raise WorkflowError("\n".join(wrong))
        if not on_cluster():
            # where none was counted, jobs that ask for one all the same (`device: cuda`) run one at a time
            workflow.global_resources.setdefault("gpu", gpus() or 1)
        elif workflow.global_resources.get("gpu").value is None:
            logger.warning(
                "The profile says nothing of GPUs (`resources: {gpu: N}`): networks with `device: auto` get none."
            )
        # Snakemake keeps its records there, those of dry runs too
        check_writable(".snakemake")
        for folder in FOLDERS:
            if os.path.lexists(folder) and not os.path.isdir(folder):
                check_writable(folder)
        prepare_dag(*args, **kwargs)

    return prepared


def no_target(target, option):
    made = [
        strip_wildcard_constraints(str(file))
        for rule in workflow.rules
        for file in rule.output
    ]
    names = [
        maker.name
        for maker in workflow.rules
        if option != "targets" or not maker.has_wildcards()
    ]
    near = nearest(target, [*made, *names], wildcard_values(target))
    meant = f"did you mean {near}?" if near else "README.md says what there is."
    return f"Nothing makes {target}: {meant}"


AFTER_TABLE = r"(?:_vs_paper|_fits|_intervals)?\.(?:csv|tex|md)"


def why_nothing(target):
    """Why there can be no run or no table where a target has it, of a study that knows; None of all else."""
    for study in STUDIES.values():
        table = re.fullmatch(f"results/{study.name}/([a-z0-9_]+?){AFTER_TABLE}", target)
        if table and hasattr(study, "why_no_table"):
            return study.why_no_table(table[1])
        found = re.fullmatch(
            f"results/(?:runs|versions/([^/]+))/{study.name}/(.+)/[^/]+", target
        )
        if found:
            plan = VERSIONS[study.name].get(found[1], study)
            fields = found[2].split("/")
            own = getattr(plan, "why_no_cell", lambda fields: None)(fields)
            return own or why_no_variant(study, fields)
    return None


def why_no_variant(study, fields):
    """Why a study has no variant of a name: what is none of the configuration's would be trained as another is."""
    cells = [
        cell
        for plan in (study, *VERSIONS[study.name].values())
        for tables in plan.tables
        for table in tables
        for cell in plan.cells(table)
    ]
    places = getattr(cells[0], "_fields", ()) if cells else ()
    if "variant" not in places or len(fields) != len(places):
        return None
    asked = fields[places.index("variant")]
    known = dict.fromkeys(cell.variant for cell in cells)
    return (
        None
        if asked in known
        else f"the variants of {study.name} that are asked for are {', '.join(known)}"
    )


def wildcard_values(target):
    """What wildcards may be: those of cells and tables are of the study that a target names, if it names one."""
    named = [STUDIES[part] for part in target.split("/") if part in STUDIES]
    studies = named or list(STUDIES.values())
    of_cells = {}
    for cell in (cell for study in studies for cell in study.cells()):
        for field, value in cell._asdict().items():
            of_cells.setdefault(field, set()).add(value)
    draws = {
        draw
        for study in studies
        for name in study.corpora()
        for draw in study.draws(name)
    }
    return {
        **{field: sorted(values) for field, values in of_cells.items()},
        "corpus": list(CONFIG.corpora),
        "profile": list(CONFIG.noise.profiles),
        "condition": CONFIG.conditions(),
        "backbone": list(CONFIG.backbones),
        "feature": list(CONFIG.features),
        "recogniser": list(RECOGNISERS),
        "table": [
            table for study in studies for tables in study.tables for table in tables
        ],
        "protocol": sorted(draws),
        "shard": ["0000"],
        "version": sorted({name for study in studies for name in trained_apart(study)}),
    }


def list_rules(listed):
    """Of the rules without wildcards, list as targets those that are there to be asked for: they have no output."""

    @functools.wraps(listed)
    def short(only_targets=False):
        if not only_targets:
            listed()
            return
        for known in sorted(workflow.rules, key=attrgetter("name")):
            # stores are asked for by their paths, as all files are
            if not (known.output or known.has_wildcards() or "/" in known.name):
                print(f"{known.name} ({known.docstring})")

    return short


if workflow.is_main_process:
    workflow._prepare_dag = find_targets(workflow._prepare_dag)
    workflow.list_rules = list_rules(workflow.list_rules)


@functools.cache
def code(*modules):
    """Fingerprint of the code behind a rule: stale outputs are those whose code changed."""
    return fingerprint(SRC, *(f"serflow.{module}" for module in modules))


def code_of(*modules):
    """The same, looked up for jobs of the plan alone: each job of a cluster reads all rules."""
    return lambda wildcards: code(*modules)


def shards(corpus):
    return [f"{shard:04d}" for shard in range(CONFIG.n_shards(corpus))]


def audio_shards(wildcards):
    return expand(
        "results/audio/{corpus}/{shard}.parquet",
        corpus=wildcards.corpus,
        shard=shards(wildcards.corpus),
    )


def pulse_shards(corpus):
    return expand(
        "results/pulses/{corpus}/{shard}.parquet", corpus=corpus, shard=shards(corpus)
    )


def pulse_parameters():
    """How Praat looks for pitch pulses, which the feature of them says."""
    given = CONFIG.parameters("pitch_pulse")
    return {name: given[name] for name in ("floor_hz", "ceiling_hz") if name in given}


def on_cluster():
    """Whether jobs run on other machines than this one, which is known once all rules have been read."""
    return not workflow.local_exec


def value_of(given, wildcards):
    """What is the same for all jobs of a rule, or a function of the wildcards."""
    return given(wildcards) if callable(given) else given


def memory(mb):
    """Memory of a job in MB, doubled at each attempt.

    On a cluster the processes of Snakemake that start a job are counted with it.
    """
    return lambda wildcards, attempt: (
        (value_of(mb, wildcards) + 300 * on_cluster()) * 2 ** (attempt - 1)
    )


def minutes(count):
    """Time of a job in minutes, doubled at each attempt."""
    return lambda wildcards, attempt: value_of(count, wildcards) * 2 ** (attempt - 1)


@functools.cache
def gpus():
    """How many GPUs there are for jobs: what the profile or `--resources gpu=N` says, else those of this machine.

    Asked first before a plan is made, when Snakemake has not yet been told of any by `find_targets`.
    """
    given = workflow.global_resources.get("gpu").value
    if given is not None:
        return given
    return 0 if on_cluster() else gpus_here()


def default_resource(name):
    """A word that the profile has among its `default-resources`, or None."""
    asked = Resources.from_mapping(workflow.resource_settings.default_resources or {})
    given = asked.get(name).raw
    return None if given is None else str(given).strip("'\"")


def on_device(device):
    """What a job that runs on a `device` asks for: `auto` a GPU where there are any, `cuda` in any case.

    The setting itself is resolved where the job runs. `device` may be a function of the wildcards. The profile may name
    a partition for jobs with a GPU (`gpu_partition`), and what they say in `--gres` instead of in `--gpus` (`gpu_gres`).
    """

    def asks(wildcards):
        wanted = value_of(device, wildcards)
        return wanted == "cuda" or (wanted == "auto" and gpus() > 0)

    gres = default_resource("gpu_gres")
    asked = {"gpu": lambda wildcards: int(gres is None and asks(wildcards))}
    if gres is not None:
        asked["gres"] = lambda wildcards: gres if asks(wildcards) else ""
    if (with_gpu := default_resource("gpu_partition")) is not None:
        without = default_resource("slurm_partition")
        asked["slurm_partition"] = lambda wildcards: (
            with_gpu if asks(wildcards) else without
        )
    return asked


def as_json(value):
    return json.dumps(value, sort_keys=True)


def as_is(value):
    """A param of text: in a plain one Snakemake would take a word in braces for a wildcard."""
    return lambda wildcards: value


def option(name, value):
    """An option with its value, one word once it is quoted (`:q`).

    Snakemake compares the values of a job's params without their names: of two texts that are swapped it would see
    nothing.
    """
    return f"--{name}={value}"


def synthetic_root(wildcards, output):
    """The folder of a stand-in lies beside its manifest."""
    return output.manifest.removesuffix(".json")


def flag(name, value):
    return f"--{name}" if value else ""


@functools.cache
def state_of(key, path, record, reads=EVERYTHING):
    """The state of a folder that no rule makes, told once, by the process that plans."""
    if not workflow.is_main_process:
        return ""
    if not path:
        return ABSENT
    state = look(Path(path), Path(record), reads)
    for change in state.changes:
        logger.info(f"{key}: since it was read last, {change}")
    return state.id


# Corpora


def corpus_manifest(wildcards):
    """A stand-in has to be made first; a real corpus is just there, or is missed."""
    if CONFIG.is_synthetic(wildcards.corpus):
        return f"resources/synthetic/{wildcards.corpus}.json"
    note_missing(CONFIG.absent_corpus(wildcards.corpus, WRITTEN))
    return []


def corpus_folder(corpus):
    return "" if CONFIG.corpora[corpus].root is None else str(CONFIG.root(corpus))


def corpus_root(wildcards, output):
    """Where the corpus lies. Snakemake records no param that asks for `output`: what lies there is its `state`."""
    return corpus_folder(wildcards.corpus)


def corpus_options(wildcards):
    return CONFIG.reader_options(wildcards.corpus)


def corpus_record(corpus):
    return f"results/corpora/{corpus}/files.json"


def corpus_files(wildcards):
    """Where to leave what was read of a real corpus."""
    synthetic = CONFIG.is_synthetic(wildcards.corpus)
    return "" if synthetic else f"--files {corpus_record(wildcards.corpus)}"


def corpus_state(wildcards):
    """A stand-in is told by its manifest, which is an input."""
    corpus = wildcards.corpus
    if CONFIG.is_synthetic(corpus):
        return SYNTHETIC
    info = load_corpus(CONFIG.layout(corpus)).info
    return state_of(
        f"corpora.{corpus}.root",
        corpus_folder(corpus),
        corpus_record(corpus),
        tuple(files_read(info, corpus_options(wildcards))),
    )


# Noise


def plan_split(wildcards):
    """The clips follow the split that the name has, with `noise.clips: by_fold` the study's."""
    if (split := split_of(wildcards.profile)) is not None:
        return f"results/splits/{wildcards.corpus}/{split}.parquet"
    if CONFIG.noise.clips == "shared":
        return []
    return split_files(STUDIES["dlc"], wildcards.corpus)[0]


def esc50_manifest(wildcards):
    if CONFIG.noise.esc50.root == SYNTHETIC:
        return "resources/synthetic/esc50.json"
    note_missing(CONFIG.absent_esc50(WRITTEN))
    return []


def esc50_root(wildcards, output):
    """As with corpora, Snakemake records the state of the folder and not its name."""
    return str(CONFIG.esc50_root())


ESC50_RECORD = "results/noise/files.json"


def esc50_state(wildcards):
    if CONFIG.noise.esc50.root == SYNTHETIC:
        return SYNTHETIC
    root = str(CONFIG.esc50_root())
    return state_of("noise.esc50.root", root, ESC50_RECORD, READS)


# Features


def noise_inputs(wildcards):
    """Noise is mixed when audio is read, so a noisy store needs the plan and the clips."""
    if wildcards.condition == CLEAN:
        return {}
    return {
        "plan": f"results/noise/{wildcards.corpus}/{wildcards.condition}.parquet",
        "clips": "results/noise/clips.parquet",
    }


def noise_options(wildcards, input):
    if wildcards.condition == CLEAN:
        return ""
    return f"--plan {input.plan} --clips {input.clips}"


def weights_inputs(wildcards):
    """The record of a network's weights carries their digests."""
    backbone = CONFIG.backbone(wildcards.feature)
    return {"weights": f"resources/weights/{backbone}.json"} if backbone else {}


def statistics_inputs(wildcards):
    """What a feature is standardised by, where that is not its utterance alone."""
    asked = CONFIG.parameters(wildcards.feature).get("standardise")
    if asked != "corpus" or CONFIG.backbone(wildcards.feature) is None:
        return {}
    store = f"{wildcards.feature}/{wildcards.corpus}/{wildcards.condition}"
    return {"statistics": f"results/statistics/{store}.json"}


def statistics_option(wildcards, input):
    return f"--statistics {input.statistics}" if "statistics" in input.keys() else ""


def network_options(wildcards):
    backbone = CONFIG.backbone(wildcards.feature)
    if backbone is None:
        return ""
    options = {"name": backbone, **backbone_options(backbone)}
    return f"--backbone {shlex.quote(as_json(options))}"


def weights_option(wildcards, input):
    """The weights of a network, for rules that may have none."""
    return f"--weights {input.weights}" if "weights" in input.keys() else ""


def backbone_options(backbone):
    settings = CONFIG.backbones[backbone]
    return {"device": settings.device, "precision": settings.precision}


def rounding_options(wildcards):
    bits = CONFIG.stores.mantissa_bits
    return "" if bits is None else f"--mantissa-bits {bits}"


def feature_modules(feature):
    """The modules that are loaded by name when a feature is extracted."""
    backbone = CONFIG.backbone(feature)
    return [f"features.{CONFIG.extractor(feature)}"] + (
        [f"backbones.{backbone}"] if backbone else []
    )


def feature_memory(wildcards):
    """A network's weights and activations need more than a transform."""
    return 3000 if CONFIG.backbone(wildcards.feature) else 1500


def feature_device(wildcards):
    """What is no network runs on the CPU."""
    backbone = CONFIG.backbone(wildcards.feature)
    return "cpu" if backbone is None else CONFIG.backbones[backbone].device


def store_shards(feature, corpus, condition):
    return expand(
        "results/features/{feature}/{corpus}/{condition}/{shard}.parquet",
        feature=feature,
        corpus=corpus,
        condition=condition,
        shard=shards(corpus),
    )


def feature_shards(wildcards):
    return store_shards(wildcards.feature, wildcards.corpus, wildcards.condition)


# Transcripts


DEEPSPEECH_ENGINE = "resources/deepspeech/libdeepspeech.so"


def recogniser_inputs(wildcards):
    """The record of a recogniser's weights, and DeepSpeech's engine where it is fetched."""
    backbone = CONFIG.recogniser_backbone(wildcards.recogniser)
    inputs = {"weights": f"resources/weights/{backbone}.json"} if backbone else {}
    if wildcards.recogniser == "deepspeech":
        note_missing(CONFIG.absent_engine(WRITTEN))
        if CONFIG.transcripts.deepspeech.engine is None:
            inputs["engine"] = DEEPSPEECH_ENGINE
    return inputs


def recogniser_options(wildcards):
    backbone = CONFIG.recogniser_backbone(wildcards.recogniser)
    if backbone is None:
        return ""
    options = {"backbone": backbone, **backbone_options(backbone)}
    if wildcards.recogniser == "deepspeech":
        settings = CONFIG.transcripts.deepspeech.model_dump()
        options |= {**settings, "engine": deepspeech_engine()}
    return f"--options {shlex.quote(as_json(options))}"


def deepspeech_engine():
    engine = CONFIG.transcripts.deepspeech.engine
    return DEEPSPEECH_ENGINE if engine is None else str(path_below("", engine))


@functools.cache
def engine_digest(engine):
    return sha256_file(engine)[:16] if os.path.isfile(engine) else ""


def engine_state(wildcards):
    """The content of an engine given by path; one that is fetched is an input, and pinned."""
    given = CONFIG.transcripts.deepspeech.engine is not None
    if wildcards.recogniser != "deepspeech" or not given:
        return ""
    return engine_digest(deepspeech_engine()) if workflow.is_main_process else ""


def recogniser_modules(recogniser):
    """The modules that are loaded by name when a recogniser is."""
    backbone = CONFIG.recogniser_backbone(recogniser)
    return [f"backbones.{backbone}"] if backbone else []


def recogniser_device(wildcards):
    """DeepSpeech's engine knows the CPU alone."""
    backbone = CONFIG.recogniser_backbone(wildcards.recogniser)
    return CONFIG.backbones[backbone].device if backbone == "wav2vec2_ctc" else "cpu"


def transcript_shards(recogniser, corpus, condition):
    return expand(
        "results/transcripts/{recogniser}/{corpus}/{condition}/{shard}.parquet",
        recogniser=recogniser,
        corpus=corpus,
        condition=condition,
        shard=shards(corpus),
    )


# Weights


def weights_given(wildcards):
    """Weights given by path are just there, or are missed."""
    note_missing(CONFIG.absent_weights(wildcards.backbone, WRITTEN))
    return []


def weights_source(wildcards):
    path = CONFIG.weights_path(wildcards.backbone)
    return CONFIG.backbones[wildcards.backbone].weights if path is None else str(path)


def weights_record(backbone):
    return f"resources/weights/{backbone}/files.json"


def weights_state(wildcards):
    """What lies at a path of weights; downloads are pinned, and stand-ins follow from the code."""
    path = CONFIG.weights_path(wildcards.backbone)
    if path is None:
        return ""
    key = f"backbones.{wildcards.backbone}.weights"
    return state_of(key, str(path), weights_record(wildcards.backbone))


def weights_release(wildcards):
    release = CONFIG.backbones[wildcards.backbone].release
    return "" if release is None else f"--release {release}"


def backbone_modules():
    return [f"backbones.{name}" for name in backbone_names()]


# Studies


RUN_FILES = (
    "predictions.parquet",
    "history.parquet",
    "metrics.json",
    "model.safetensors",
)


def run_files(folder, *more):
    """What a training leaves behind, by name; `more` are files of the study's own."""
    return {Path(name).stem: f"{folder}/{name}" for name in (*RUN_FILES, *more)}


def several_run_files(folder, *more, **several):
    """What a job of several cells leaves behind: by name, the file of each, such as of each `corpus`."""
    return {
        name: expand(file, **several) for name, file in run_files(folder, *more).items()
    }


def packed_store(name, feature, corpus, condition):
    """A packed store by the name that the training knows it by; its array lies beside the index."""
    packed = f"results/packed/{feature}/{corpus}/{condition}"
    return {name: f"{packed}.parquet", f"{name}_array": f"{packed}.npy"}


def split_files(study, corpus):
    """The split of each run."""
    return [f"results/splits/{corpus}/{draw}.parquet" for draw in study.draws(corpus)]


def cell_pulses(study, wildcards):
    """The pitch pulses, for cells that read them."""
    if not study.reads_pulses(study.cell(wildcards)):
        return {}
    return {"pulses": pulse_shards(wildcards.corpus)}


def cell_wav2vec(study, wildcards):
    """The record of wav2vec's weights, for cells that have it in the graph."""
    if not study.reads_wav2vec(study.cell(wildcards)):
        return {}
    return {"weights": ["resources/weights/wav2vec.json"]}


def cell_splits(study, wildcards):
    """The split of each run of a cell that has runs of its own."""
    cell = study.cell(wildcards)
    return [f"results/splits/{cell.corpus}/{study.split(cell.corpus)}.parquet"] * len(
        study.runs_of(cell)
    )


def cell_stores(study, wildcards):
    """The features that a job reads of each of its corpora, and the weights of GE2E, for those that train it further."""
    cell = study.cell(wildcards)
    inputs = {}
    for feature, corpora in study.stores(cell).items():
        for corpus in corpora:
            store = packed_store(feature, feature, corpus, CLEAN)
            for name, path in store.items():
                inputs.setdefault(name, []).append(path)
    if study.reads_ge2e(cell):
        inputs["weights"] = ["resources/weights/ge2e.json"]
    return inputs


def dlc_inputs(study, cell):
    """What a cell of the DLC paper is trained on, by the names that the training knows it by."""
    feature, corpus = study.settings.feature, cell.corpus
    return {
        **study.more_inputs(cell),
        **packed_store("clean", feature, corpus, CLEAN),
        **packed_store("noisy", feature, corpus, study.heard(cell)),
        "utterances": f"results/corpora/{corpus}/utterances.parquet",
        "splits": [
            f"results/splits/{corpus}/{split}.parquet"
            for split in study.splits_of(cell)
        ],
        "plan": f"results/noise/{corpus}/{cell.profile}.parquet",
    }


def sweep_inputs(study, cell):
    """What asking a cell in noise reads: what it was trained on, the networks that it left behind, and what is mixed."""
    inputs = {
        name: path for name, path in dlc_inputs(study, cell).items() if name != "gate"
    }
    gate = study.gate(cell)
    models = {"model": cell, **({} if gate is None else {"gate_model": gate})}
    return {
        **inputs,
        **{
            name: f"results/runs/dlc/{'/'.join(of)}/model.safetensors"
            for name, of in models.items()
        },
        "audio": audio_shards(cell),
        "clips": "results/noise/clips.parquet",
    }


def sweep_settings(study, cell):
    """What the cell and, where it is routed, its noise classifier were trained with."""
    return [
        option(name.replace("_", "-"), as_json(options))
        for name, options in sweep_options(study, cell).items()
        if options is not None
    ]


def swept_modules(study, cell):
    """The modules that are loaded by name when a cell and its noise classifier are asked."""
    asked = [cell, study.gate(cell)]
    return [name for of in asked if of is not None for name in study.modules(of)]


def sweep_files(study):
    """What every cell says in noise."""
    try:
        cells = swept_cells(study)
    except ConfigError as error:
        raise WorkflowError(str(error)) from None
    return [f"results/dlc/robustness/{'/'.join(cell)}.parquet" for cell in cells]


def inputs_of_batch(study, wildcards, profiles):
    """The inputs of all cells of a job, each file once."""
    found = {}
    for cell in study.batch(wildcards, profiles):
        for name, paths in dlc_inputs(study, cell).items():
            files = [paths] if isinstance(paths, str) else paths
            found.setdefault(name, {}).update(dict.fromkeys(files))
    return {name: list(files) for name, files in found.items()}


def named_inputs_of_batch(study, wildcards, profiles):
    cells = study.batch(wildcards, profiles)
    return as_json([named_inputs(wildcards, dlc_inputs(study, cell)) for cell in cells])


def cells_of_batch(study, wildcards, profiles):
    return as_json([named(cell._asdict()) for cell in study.batch(wildcards, profiles)])


def named(values):
    return [f"{name}={value}" for name, value in values.items()]


def named_wildcards(wildcards):
    """`name=value` of every field of a cell."""
    return named(dict(wildcards.items()))


def named_inputs(wildcards, input):
    """`name=path` of every input; arrays lie beside their indices, and are not named."""
    return [
        f"{name}={path}"
        for name, paths in input.items()
        if not name.endswith("_array")
        for path in ([paths] if isinstance(paths, str) else paths)
    ]


def train_code(study, cell, stage="train"):
    """Fingerprint of what a cell is trained by: the loop, the study, and what it loads by name."""
    return code(f"stages.{stage}", f"studies.{study.name}.train", *study.modules(cell))


def cell_files(study, name, table):
    """One file of every run that a table of a study is made of."""
    return files_of_cells(study, name, study.cells(table))


def files_of_cells(study, name, cells):
    return [f"{study.root}/{'/'.join(cell)}/{name}" for cell in cells]


def utterance_tables(corpora):
    return expand("results/corpora/{corpus}/utterances.parquet", corpus=corpora)


def layouts(study, tables):
    # in the order of the tables
    return json.dumps({table: study.layout(table).to_json() for table in tables})


def tables_of_words(study, tables):
    """Tables whose columns stand beside the scores of others."""
    names = (study.layout(table).beside for table in tables)
    return [f"results/{study.name}/{name}.csv" for name in names if name is not None]


def beside_options(paths):
    named = (f"{Path(path).stem}={path}" for path in paths)
    return f"--beside {' '.join(named)}" if paths else ""


def titles(study):
    return {corpus: CONFIG.title(corpus) for corpus in study.corpora()}


def published(study):
    """Digests of a paper's own numbers, which lie in the package."""
    folder = SRC / "serflow" / "studies" / study.name / "published"
    return [sha256_file(file)[:16] for file in sorted(folder.glob("*.csv"))]


# Versions


def version_names(study):
    """Names of the versions that are trained, for the wildcard of their rules."""
    return "|".join(trained_apart(study)) or "none"


def in_version(study, wildcards):
    return VERSIONS[study.name][wildcards.version]


def params_of_version(study):
    """The params of a training that hang on the version; all others are those of the rule that it is like."""
    cell_of = study.cell
    return {
        "cell": lambda wildcards: named(cell_of(wildcards)._asdict()),
        "runs": lambda wildcards: runs_of_cell(
            in_version(study, wildcards), cell_of(wildcards)
        ),
        "options": lambda wildcards: as_json(
            in_version(study, wildcards).options(cell_of(wildcards))
        ),
    }


def runs_of_cell(study, cell):
    """The runs of a cell, which may have some of its own."""
    of_cell = getattr(study, "runs_of", None)
    return study.runs(cell.corpus) if of_cell is None else of_cell(cell)


premium_tables = functools.cache(tables_of)
premium_corpora = functools.cache(corpora_of)
premium_roots = functools.cache(roots_of)


def predictions_of_versions(study):
    """The predictions of all tables of premiums in all versions, each once."""
    return list(
        dict.fromkeys(
            f"{premium_roots(study)[name][cell.corpus]}/{'/'.join(cell)}/predictions.parquet"
            for name, version in VERSIONS[study.name].items()
            for table in premium_tables(study)
            for cell in cells_of(version, table, premium_corpora(study, name))
        )
    )


def layouts_of_versions(study):
    """By table the layout of the clean version, and of others that have another one."""
    found = {}
    for table in premium_tables(study):
        of = {
            name: layout_of(version, table, premium_corpora(study, name)).to_json()
            for name, version in VERSIONS[study.name].items()
        }
        clean = of.pop(WITHOUT_LEAKS)
        others = {name: layout for name, layout in of.items() if layout != clean}
        found[table] = {WITHOUT_LEAKS: clean, **others}
    return json.dumps(found)


def premiums_on_page(study):
    """What a page shows of premiums, where the configuration asks for them."""
    asked = CONFIG.report.premiums and premium_tables(study)
    return [f"results/{study.name}/premiums.csv"] if asked else []


# Tables for manuscripts


def tables_to_typeset(study):
    """Every CSV that is a table of a study, those beside the paper's and of intervals too."""
    tables = [Path(path).stem for path in shown(study, ".csv")]
    return list(dict.fromkeys([*tables, *(Path(path).stem for path in beside(study))]))


def comparison_of(study, table):
    """A table beside the paper's, whose notes say what the table is made of."""
    path = f"results/{study.name}/{table}_vs_paper.csv"
    return [path] if path in beside(study) else []


@functools.cache
def code_of_study(study):
    """Fingerprint of what trains and tabulates a study, its methods included."""
    methods = dict.fromkeys(
        name for cell in study.cells() for name in study.modules(cell)
    )
    return code(
        "stages.train", "stages.tabulate", f"studies.{study.name}.train", *methods
    )


def settings_of_study(study):
    """Digest of what all cells of a study are trained with."""
    options = {"/".join(cell): study.options(cell) for cell in study.cells()}
    return hashlib.sha256(as_json(options).encode()).hexdigest()[:16]


# Claims


def with_claims():
    """The studies whose papers' claims are written down."""
    return [study for study in STUDIES.values() if claims_path(study.name).is_file()]


def tables_of_claims(study):
    """The tables that a paper's claims are about and that the configuration has."""
    claimed = read_claims(claims_path(study.name)).tables()
    return [name for tables in study.tables for name in tables if name in claimed]


def claims_on_page(study):
    """The claims of a paper, where its page shows all tables that they are about."""
    if study not in with_claims() or not set(tables_of_claims(study)) <= set(
        scored(study)
    ):
        return []
    return [f"results/{study.name}/claims.md"]


def cells_of_claims(study, name):
    """One file of every run that these tables are made of, each once."""
    cells = [cell for table in tables_of_claims(study) for cell in study.cells(table)]
    return files_of_cells(study, name, list(dict.fromkeys(cells)))


# Pages of results


BESIDE = ("_vs_paper.csv", "_intervals.csv")


def caption_file(study, name):
    """The caption of a table or figure: the study's own, or that of all studies."""
    folder = Path(workflow.basedir) / "workflow" / "report"
    own = folder / f"{study.name}_{name}.rst"
    return own if own.is_file() else folder / f"{name}.rst"


def captions(study):
    """What tables and figures show, by the name of the file."""
    names = [Path(path).stem for path in shown(study, ".csv", ".svg")]
    files = {name: caption_file(study, name) for name in names}
    return {name: file.read_text(encoding="utf-8") for name, file in files.items()}


def shown(study, *suffixes):
    """Tables or figures of a study's page, in the order of its targets."""
    return [
        path
        for path in [*study.targets(), *premiums_on_page(study)]
        if path.endswith(suffixes) and not path.endswith(BESIDE)
    ]


def scored(study):
    """Those of its tables that are of scores."""
    paths = shown(study, ".csv")
    names = [table for tables in study.tables for table in tables]
    return [name for name in names if f"results/{study.name}/{name}.csv" in paths]


def beside(study):
    """Comparisons with the paper, which every table of scores has, and intervals."""
    compared = [f"results/{study.name}/{name}_vs_paper.csv" for name in scored(study)]
    asked = [path for path in study.targets() if path.endswith(BESIDE)]
    return list(dict.fromkeys([*compared, *asked]))


def tables_alone(study):
    return {
        Path(path).stem: f"results/report/{study.name}_tables/{Path(path).stem}.html"
        for path in shown(study, ".csv")
    }


def pictured_cells(study):
    """Every cell of the tables that are shown, once."""
    return list(
        dict.fromkeys(cell for table in scored(study) for cell in study.cells(table))
    )


def heard(study, cell):
    """What the utterances of a cell sound like: clean, or a noise profile, of which a study of noise tells."""
    return study.heard(cell) if hasattr(study, "heard") else CLEAN


def recordings(study):
    """What is needed to hear an utterance as its cell did."""
    if not CONFIG.report.audio:
        return {}
    audio = [
        f"results/audio/{corpus}/{shard}.parquet"
        for corpus in study.corpora()
        for shard in shards(corpus)
    ]
    noisy = dict.fromkeys(
        f"results/noise/{cell.corpus}/{heard(study, cell)}.parquet"
        for cell in pictured_cells(study)
        if heard(study, cell) != CLEAN
    )
    if not noisy:
        return {"audio": audio}
    clips = "results/noise/clips.parquet"
    return {"audio": audio, "plans": list(noisy), "clips": clips}


def recordings_options(wildcards, input):
    names = [name for name in ("audio", "plans", "clips") if name in input.keys()]
    return " ".join(
        word
        for name in names
        for word in (f"--{name}", *([input[name]] if name == "clips" else input[name]))
    )


def templates():
    """Digests of the templates, the style sheet and the script of pages."""
    folder = SRC / "serflow" / "report" / "page"
    files = [*folder.glob("assets/page.*"), *folder.glob("templates/*.html")]
    return [sha256_file(file)[:16] for file in sorted(files)]


# Audit


def exposures(study):
    """What the plan says of each cell: what there is, each once, and which of it is a cell's."""
    found = [as_json(study.exposure(cell)._asdict()) for cell in study.cells()]
    distinct = list(dict.fromkeys(found))
    return distinct, [distinct.index(each) for each in found]


def exposures_options(study):
    distinct, of_cells = exposures(study)
    said = shlex.quote(f"[{', '.join(distinct)}]")
    return as_is(f"--exposures {said} --exposed {' '.join(map(str, of_cells))}")


def audited(study):
    """What the audit of a study reads, by name."""
    inputs = study.card_inputs()
    profiles = dict.fromkeys(
        (cell.corpus, cell.profile)
        for cell in study.cells()
        if hasattr(cell, "profile")
    )
    networks = dict.fromkeys(
        name for cell in study.cells() for name in study.exposure(cell).networks
    )
    return {
        "predictions": cell_files(study, "predictions.parquet", None),
        "utterances": inputs["utterances"],
        "splits": list(dict.fromkeys(inputs["splits"])),
        "plans": [
            f"results/noise/{corpus}/{profile}.parquet" for corpus, profile in profiles
        ],
        "weights": [f"resources/weights/{name}.json" for name in networks],
        "near": [
            f"results/audit/near_duplicates/{corpus}.csv" for corpus in study.corpora()
        ],
    }


def several_options(input):
    """An option of each input that there is, by its name."""
    return " ".join(f"--{name} {paths}" for name, paths in input.items() if len(paths))
