"""What the README and docs/ say can be typed, and what they link to is there."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from functools import cache

import pytest
import typer
import yaml
from snakemake.cli import get_argument_parser

from doc_pages import PAGES, ROOT, blocks, commands, other_lines, text_of
from results_page import Page
from serflow.cli import app
from serflow.config import Config, check_config
from serflow.settings.written import Written, merged, read
from serflow.targets import as_in_rules

_SPEC = importlib.util.spec_from_file_location("readme", ROOT / "benchmarks/_readme.py")
_README = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_README)
BEGIN, END, filled, shown = _README.BEGIN, _README.END, _README.filled, _README.shown
STUDIES = list(Config().plans())
# where blocks of Python are run; those of add-a-study.md are files, which test_add_a_study.py builds a study from
PYTHON = {
    "README.md": "test_docs.py",
    "running.md": "test_docs.py",
    "features.md": "test_features.py",
    "extend.md": "test_features.py",
}


@cache
def rules() -> set[str]:
    text = "".join(text_of(path) for path in [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")])
    return set(re.findall(r"^rule (\w+):", text, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if not target.startswith("https://"):
            path, _, anchor = target.partition("#")
            linked = (page.parent / path) if path else page
            assert linked.exists(), target
            if anchor:
                headings = re.findall(r"^#+ (.*)$", text_of(linked), re.MULTILINE)
                assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_index():
    linked = set(re.findall(r"\]\((\w[\w-]*\.md)\)", text_of(ROOT / "docs/README.md")))
    assert {page.name for page in PAGES if page.name != "README.md"} <= linked


@pytest.mark.parametrize("figure", sorted((ROOT / "docs").glob("*.svg")), ids=lambda figure: figure.name)
def test_figures_are_of_stand_ins_say_so_and_are_shown(figure):
    assert "synthetic" in text_of(figure)
    assert any(f"{figure.name})" in text_of(page) or f'docs/{figure.name}"' in text_of(page) for page in PAGES)


def test_the_readme_is_short():
    lines = text_of(ROOT / "README.md").splitlines()
    assert len(lines) <= 150


def test_what_is_shown_to_be_typed_is_of_a_kind_that_is_tested():
    assert other_lines() == []
    assert {block.kind for block in blocks() if not block.is_file} == {"python", "yaml"}
    assert {block.page for block in blocks() if block.kind == "python" and not block.is_file} == PYTHON.keys()
    for test in set(PYTHON.values()):
        assert (ROOT / "tests/workflow" / test).is_file()


@pytest.mark.parametrize("command", commands("make"), ids=str)
def test_make_knows_the_target(command):
    makefile = text_of(ROOT / "Makefile")
    targets = set(re.findall(r"^([a-z0-9-]+):.*## ", makefile, re.MULTILINE))
    variables = set(re.findall(r"\$\(([A-Z]+)\)|^([A-Z]+) \?=", makefile, re.MULTILINE))
    for word in command.words[1:]:
        name, is_variable, _ = word.partition("=")
        assert name in ({one or other for one, other in variables} if is_variable else targets), word


@pytest.mark.parametrize("command", commands("serflow"), ids=str)
def test_serflow_knows_the_command_and_its_options(command):
    group = typer.main.get_command(app)
    name, *words = command.words[1:]
    assert name in group.commands
    # in the text it may be named alone
    if command.alone or words:
        before = words[: words.index(">")] if ">" in words else words
        assert group.commands[name].make_context(name, before).args == []


@pytest.mark.parametrize("command", commands("python"), ids=str)
def test_python_is_given_what_is_there(command):
    first, *words = command.words[1:]
    if first == "-m":
        assert words == ["serflow.stages.<rule>"]
        return
    done = subprocess.run(
        [sys.executable, str(ROOT / first), "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert {word for word in words if word.startswith("--")} <= set(re.findall(r"--[a-z-]+", done.stdout))


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_a_benchmark_that_is_asked_for_help_runs_nothing(path):
    """One without options would run for minutes, here and for whoever asks."""
    assert "parse_args()" in text_of(path)


NOT_OURS = {"snakemake-logger-plugin-snkmt"}
"""What the documentation names and nothing of ours uses: a live view."""


@pytest.mark.parametrize("command", commands("pip"), ids=str)
def test_pip_is_given_an_extra_of_ours_or_a_package_that_something_asks_for(command):
    install, package = command.words[1:]
    assert install == "install"
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    own = {f"{project['name']}[{extra}]" for extra in project["optional-dependencies"]}
    asked = [ROOT / "profiles/slurm/config.yaml", *(ROOT / "benchmarks").glob("*.py")]
    assert package in own | NOT_OURS or any(
        package.removeprefix("snakemake-executor-plugin-") in text_of(file) for file in asked
    )


def is_made(target: str) -> bool:
    """Tell whether a target is a rule, a cell, or a file or folder that results/README.md tells of."""
    path = as_in_rules(target)
    if path.startswith("results/runs/"):
        _, _, study, *cell, file = path.split("/")
        return tuple(cell) in set(map(tuple, Config().plans()[study].cells())) and file == "metrics.json"
    patterns = Page(ROOT / "results/README.md", STUDIES).patterns()
    folders = {"/".join(pattern.split("/")[:n]) for pattern in patterns for n in range(1, pattern.count("/") + 1)}
    inner = path.removeprefix("results/")
    return path in rules() or any(fits(pattern, inner) for pattern in {*patterns, *folders})


def fits(pattern: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(pattern)), path) is not None


@pytest.mark.parametrize("command", commands("snakemake"), ids=str)
def test_snakemake_knows_the_options_and_the_target(command):
    """In a working folder: tests/workflow/test_docs.py plans them."""
    arguments = get_argument_parser().parse_args(command.words[1:])
    for target in arguments.targets:
        assert is_made(target) or command.page == "add-a-study.md", target
    for file in arguments.configfile or ():
        assert file.name == "mine.yaml" or (ROOT / file).is_file()


@pytest.mark.parametrize("block", [block for block in blocks() if block.kind == "yaml"], ids=lambda block: block.page)
def test_configuration_is_accepted(block):
    """Over config.yaml, as a file of the user's would be."""
    free = yaml.safe_load(text_of(ROOT / "workflow/presets/free_full.yaml"))
    nemo = {"corpora": {"nemo": free["corpora"]["nemo"]}} if "nemo" in block.text else {}
    written = [read(ROOT / "config.yaml"), Written("free", nemo), Written("mine.yaml", yaml.safe_load(block.text))]
    check_config(merged(written), written)


def test_the_feature_example_is_as_clean_as_ours(tmp_path):
    (block,) = [block for block in blocks() if (block.page, block.kind) == ("extend.md", "python")]
    file = tmp_path / "loudness.py"
    file.write_text(block.text, encoding="utf-8")
    settings = str(ROOT / "pyproject.toml")
    for command in (
        ("ruff", "check", "--no-cache", "--config", settings, str(file)),
        ("ruff", "format", "--no-cache", "--check", "--config", settings, str(file)),
        ("mypy", "--config-file", settings, str(file)),
    ):
        done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


ROWS = [["Experiment", "Method", "A h1", "Overall h1", "Overall"], ["1", "Single", "50.00", "51.00", "52.00"]]


def test_the_table_of_the_readme_is_filled_between_its_marks():
    readme = f"before\n{BEGIN}\nold | one\n{END}\nafter\n"
    once = filled(readme, ROWS, "8 min")
    table = (
        "| Experiment | Method | A h1 | Overall h1 | Overall |\n| --- | --- | ---: | ---: | ---: |\n"
        "| 1 | Single | 50.00 | 51.00 | 52.00 |\n\nUA in percent; `make table1` took 8 min on two cores."
    )
    assert once == f"before\n{BEGIN}\n{table}\n{END}\nafter\n"
    assert filled(once, ROWS, "8 min") == once


def test_of_many_columns_those_over_all_corpora_are_shown():
    head = ["Experiment", "Method", *(f"{c} h{n}" for c in "AB" for n in (1, 2, 3)), "Overall h1", "Overall"]
    assert shown([head])[0] == ["Experiment", "Method", "Overall h1", "Overall"]


def test_a_readme_without_marks_is_refused():
    with pytest.raises(ValueError, match="needs one"):
        filled("nothing", ROWS, None)


def test_the_readme_has_the_marks():
    assert "| 1 | Single | 50.00 | 51.00 | 52.00 |" in filled(text_of(ROOT / "README.md"), ROWS, None)
