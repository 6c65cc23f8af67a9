"""What the README and docs/ say can be typed, and what they link to is there."""

import importlib.util
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import typer
import yaml
from snakemake.cli import get_argument_parser

from results_page import Page
from serflow.cli import app
from serflow.config import Config, check_config
from serflow.settings.written import Written, merged, read
from serflow.targets import as_in_rules

ROOT = Path(__file__).resolve().parents[2]
_SPEC = importlib.util.spec_from_file_location("readme", ROOT / "benchmarks/_readme.py")
_README = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_README)
BEGIN, END, filled, shown = _README.BEGIN, _README.END, _README.filled, _README.shown
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"^    ((?:make|snakemake|serflow) .*)$", re.MULTILINE)
STUDIES = list(Config().plans())


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text_of(page), flags=re.MULTILINE | re.DOTALL)


def commands(program: str) -> list[tuple[str, list[str]]]:
    """Return the commands of a program that stand by themselves on an indented line, by page, without remarks."""
    return [
        (page.name, words[1:])
        for page in PAGES
        for line in COMMAND.findall(text_of(page))
        if (words := shlex.split(line, comments=True))[0] == program
    ]


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


def test_the_readme_is_short():
    lines = text_of(ROOT / "README.md").splitlines()
    assert len(lines) <= 150


@pytest.mark.parametrize(("page", "words"), commands("make"))
def test_make_knows_the_target(page, words):
    targets = set(re.findall(r"^([a-z0-9-]+):.*## ", text_of(ROOT / "Makefile"), re.MULTILINE))
    assert {word for word in words if "=" not in word} <= targets


@pytest.mark.parametrize(("page", "words"), commands("serflow"))
def test_serflow_knows_the_command_and_its_options(page, words):
    group = typer.main.get_command(app)
    command = group.commands[words[0]]
    before = words[1 : words.index(">")] if ">" in words else words[1:]
    assert command.make_context(words[0], before).args == []


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


@pytest.mark.parametrize(("page", "words"), commands("snakemake"))
def test_snakemake_knows_the_options_and_the_target(page, words):
    arguments = get_argument_parser().parse_args(words)
    for target in arguments.targets:
        assert is_made(target), target
    for file in arguments.configfile or ():
        assert file.name == "mine.yaml" or (ROOT / file).is_file()


@pytest.mark.parametrize(("page", "block"), [(page.name, block) for page in PAGES for block in blocks(page, "yaml")])
def test_configuration_is_accepted(page, block):
    """Over config.yaml, as a file of the user's would be."""
    if page == "add-a-study.md":
        pytest.skip("of a study that is not there; tests/workflow/test_add_a_study.py builds it")
    free = yaml.safe_load(text_of(ROOT / "workflow/presets/free_full.yaml"))
    nemo = {"corpora": {"nemo": free["corpora"]["nemo"]}} if "nemo" in block else {}
    written = [read(ROOT / "config.yaml"), Written("free", nemo), Written("mine.yaml", yaml.safe_load(block))]
    check_config(merged(written), written)


def test_the_feature_example_is_as_clean_as_ours(tmp_path):
    (block,) = [block for block in blocks(ROOT / "docs/extend.md", "python") if "FeatureInfo" in block]
    file = tmp_path / "loudness.py"
    file.write_text(block, encoding="utf-8")
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
