"""What may import what: a change in one room makes stale what stands on it, and nothing else."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from serflow.backbones.base import backbone_names
from serflow.fingerprint import _imported_names, imported_modules
from serflow.plugins import plugin_names

ROOT = Path(__file__).resolve().parents[2] / "src"
PACKAGE = ROOT / "serflow"
ROOMS = sorted(
    path.stem
    for path in PACKAGE.iterdir()
    if path.name[0] not in "_." and (path.suffix == ".py" or (path / "__init__.py").is_file())
)
STUDIES = sorted(path.name for path in (PACKAGE / "studies").iterdir() if (path / "train.py").is_file())


def modules_of(*rooms):
    """Names of all modules in some rooms (``runs``, ``studies.dlc``) or of single ones."""
    for room in rooms:
        place = PACKAGE.joinpath(*room.split("."))
        files = [place.with_suffix(".py")] if place.with_suffix(".py").is_file() else sorted(place.rglob("*.py"))
        assert files, f"no room {room}"
        for file in files:
            parts = file.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def file_of(module):
    stem = ROOT.joinpath(*module.split("."))
    return stem.with_suffix(".py") if stem.with_suffix(".py").is_file() else stem / "__init__.py"


def source_of(module):
    return file_of(module).read_text(encoding="utf-8")


def imports_of(module):
    """Names of what a module imports by itself, those within functions too, with the modules that they are in."""
    package = module if file_of(module).name == "__init__.py" else module.rpartition(".")[0]
    return set(_imported_names(ast.parse(source_of(module)), package))


def within(name, *rooms):
    """Say whether a module is in one of some rooms; the package ``studies`` itself, which is empty, is in none."""
    return name != "serflow.studies" and any(
        name == f"serflow.{room}" or name.startswith(f"serflow.{room}.") for room in rooms
    )


def closure(*modules):
    return imported_modules(ROOT, *(f"serflow.{module}" for module in modules))


def trained(study):
    """All modules that a training of a study imports, its methods included."""
    return closure("stages.train", f"studies.{study}.train")


def test_there_is_a_study():
    assert "dlc" in STUDIES


@pytest.mark.parametrize("study", STUDIES)
def test_a_training_imports_nothing_that_reads_runs(study):
    """A change of a table, a figure or an interval retrains nothing."""
    found = trained(study)
    assert "serflow.runs.artefacts" in found
    assert [name for name in found if within(name, "report", "runs.scores", "runs.bootstrap", "runs.histories")] == []


@pytest.mark.parametrize("study", STUDIES)
def test_a_training_imports_no_settings_but_what_a_section_is(study):
    """A new corpus, run or control in the configuration retrains nothing that was trained."""
    found = trained(study)
    rooms = ("config", f"studies.{study}.settings", f"studies.{study}.plan", "studies.contract", "studies.departures")
    assert [name for name in found if within(name, *rooms)] == []
    settings = {name for name in found if within(name, "settings")}
    assert settings <= {"serflow.settings", "serflow.settings.base"}


@pytest.mark.parametrize("study", STUDIES)
def test_a_training_imports_no_other_study(study):
    others = [f"studies.{name}" for name in STUDIES if name != study]
    assert [name for name in trained(study) if others and within(name, *others)] == []


@pytest.mark.parametrize("study", [name for name in STUDIES if (PACKAGE / "studies" / name / "methods").is_dir()])
def test_a_training_imports_no_method_by_name(study):
    """A change of one method leaves the fingerprints of the others alone."""
    methods = f"studies.{study}.methods"
    assert [name for name in trained(study) if within(name, methods) and name != f"serflow.{methods}"] == []
    for name in plugin_names(f"serflow.{methods}"):
        assert {found for found in closure(f"{methods}.{name}") if within(found, methods)} == {
            f"serflow.{methods}",
            f"serflow.{methods}.{name}",
        }


@pytest.mark.parametrize(
    ("rooms", "forbidden"),
    [
        (("runs",), ("report", "studies", "stages", "settings", "config", "inspection")),
        (("report",), ("studies", "stages", "settings", "config", "inspection")),
        (
            ("claims", "qc", "exchange", "audit"),
            ("studies", "stages", "config", "inspection", "doctor", "training", "nn"),
        ),
        (("protocols",), ("runs", "report", "studies", "stages", "training", "settings", "config")),
        (("training", "nn"), ("runs", "report", "studies", "stages", "protocols", "settings", "config")),
        (("features", "backbones"), ("studies", "training", "runs", "report", "protocols", "stages", "config")),
        (("corpora", "audio", "noise", "stores", "transcripts"), ("studies", "training", "runs", "report", "config")),
        (("settings",), ("studies", "training", "runs", "report", "stages", "config")),
        (("inspection",), ("studies", "config", "doctor")),
        (("doctor",), ("studies", "stages", "training", "nn")),
    ],
    ids=lambda names: "+".join(names) if len(names) < 3 else "",
)  # fmt: skip
def test_rooms_import_downwards(rooms, forbidden):
    found = {
        module: sorted(name for name in imports_of(module) if within(name, *forbidden)) for module in modules_of(*rooms)
    }
    assert {module: names for module, names in found.items() if names} == {}


def test_studies_are_imported_by_the_configuration_alone():
    """All else finds them by name, and may know what any study is (`studies.contract`)."""
    found = {
        module: sorted(
            name for name in imports_of(module) if within(name, "studies") and not within(name, "studies.contract")
        )
        for module in modules_of(*ROOMS)
        if not within(module, "studies", "config")
    }
    assert {module: names for module, names in found.items() if names} == {}


def test_what_the_rules_ask_loads_neither_torch_nor_what_reads_data():
    """The Snakefile asks the configuration for plans at each start."""
    script = (
        "import sys\nfrom serflow.config import check_config\n"
        "for plan in check_config({}).plans().values():\n    plan.cells(), plan.corpora(), plan.card_inputs()\n"
        "    [plan.layout(table) for tables in plan.tables for table in tables]\n"
        "    [plan.options(cell) for cell in plan.cells()]\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert {"torch", "pandas", "pyarrow", "scipy", "matplotlib"} & set(done.stdout.split()) == set()
    assert "serflow" in done.stdout.split()


HEAVY = ("torch", "transformers", "pandas", "scipy", "sklearn", "matplotlib", "librosa", "numba", "h5py", "snakemake")
"""What costs from a third of a second to six seconds of each job's processor time to import (docs/performance.md)."""

LOADED = {
    "plot_curves": {"pandas", "matplotlib"},
    "plot_figure": {"matplotlib"},
    "report_study": {"pandas", "matplotlib"},
    "make_synthetic_esc50": {"scipy"},
    **{stage: {"torch"} for stage in ("train", "train_batch", "train_joint", "predict_in_noise")},
}
"""Of these, what each stage imports before it begins; the others none. A network is imported where one is named."""

LOADED_BY_STUDIES = {
    # MFCC and voice activity as Kaldi has them
    "invariance": {"torch", "scipy"},
    # wav2vec 2.0, which transformers computes; scipy comes with that
    "speakernorm": {"torch", "transformers", "scipy"},
}
"""What trainings import, those of other studies torch alone."""

# each in a child of one process, which has what they all need
IMPORT_EACH = """
import importlib, os, sys
for name in sys.argv[1].split():
    importlib.import_module(name)
for name in sys.argv[2:]:
    child = os.fork()
    if not child:
        importlib.import_module(name)
        print(name, *{module.partition(".")[0] for module in sys.modules}, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def loaded_by(modules, shared):
    """Import each of some modules, ``shared`` before all of them, and return the heavy packages that are there then."""
    command = [sys.executable, "-c", IMPORT_EACH, shared, *modules]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = [line.split() for line in done.stdout.splitlines()]
    return {name: set(packages) & set(HEAVY) for name, *packages in found}


def test_a_job_loads_at_its_start_no_more_than_it_needs():
    loaded = {stage: LOADED.get(stage, set()) for stage in plugin_names("serflow.stages")}
    assert loaded.keys() >= LOADED.keys()
    for shared in ("torch", "numpy"):
        those = {
            f"serflow.stages.{stage}": heavy
            for stage, heavy in loaded.items()
            if ("torch" in heavy) == (shared == "torch")
        }
        assert loaded_by(those, shared) == those


def test_a_training_loads_torch_and_little_else():
    expected = {f"serflow.studies.{study}.train": LOADED_BY_STUDIES.get(study, {"torch"}) for study in STUDIES}
    assert loaded_by(expected, "torch") == expected


NETWORKS = {"wav2vec2", "wav2vec2_ctc"}
"""Those that transformers computes."""


@pytest.mark.parametrize("name", backbone_names())
def test_a_network_loads_transformers_only_where_that_computes_it(name):
    found = {imported.partition(".")[0] for module in closure(f"backbones.{name}") for imported in imports_of(module)}
    assert ("transformers" in found) == (name in NETWORKS)


def test_every_csv_is_written_in_one_way():
    """Empty cells, bools and percent look alike in all of them; stand-ins are written as their publishers write."""
    writers = {
        module
        for module in modules_of(*ROOMS)
        if re.search(r"\bto_csv\(|\bcsv\.(writer|DictWriter)\b", source_of(module)) and not within(module, "synthetic")
    }
    assert writers == {"serflow.files"}


def test_no_text_holds_what_a_merge_left():
    root = ROOT.parent
    folders = [root / name for name in ("src", "docs", "workflow", "tests", "benchmarks")]
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in {".py", ".md", ".smk", ".yaml"}]
    files += [root / name for name in ("README.md", "config.yaml", "Snakefile", "Makefile", "results/README.md")]
    assert len(files) > 500
    # a rule of seven signs under a heading of seven letters would be taken for one: write it longer
    left = [path.name for path in files if re.search(r"^(<{7}|={7}|>{7})( |$)", path.read_text("utf-8"), re.MULTILINE)]
    assert left == []
