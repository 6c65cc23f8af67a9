"""Whatever people write into a text of the configuration: it is refused by its key, or no shell, option or wildcard."""

import copy
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from test_params import BY_PATH, TARGETS, tell

from harness import Workflow
from serflow.config import check_config
from serflow.errors import ConfigError
from serflow.settings.written import merged, read

pytestmark = pytest.mark.workflow

HARMLESS = "harmless"
HOSTILE = r"""--log 'a' "b" $HOME `touch x` $(touch x); x & | >z \ \n {word} {params.code!r} {{ %s * ? ~ # !! é 日"""
CONTROL = ["two\nlines", "a\x00b", "tab\tbed", "\x1b[31m"]
# every key that may be left out
MORE = """
corpora:
  iemocap: {title: a, language: en}
  mine:
    title: a
    language: en
    options: {language: en, emotions: {wut: anger}, published: {total: 3}}
"""

Place = tuple[tuple[Any, ...], Any]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[Place]:
    """Yield where a text stands or might: the path of a value, or of a mapping with a name that is chosen freely."""
    if isinstance(value, BaseModel):
        for key, below in value:
            yield from places(below, (*path, key))
    elif isinstance(value, dict):
        for key, below in value.items():
            yield path, key
            yield from places(below, (*path, key))
    elif isinstance(value, list | tuple):
        for position, below in enumerate(value):
            yield from places(below, (*path, position))
    elif value is None or isinstance(value, str):
        yield path, None


def put(content: dict[str, Any], place: Place, text: str) -> None:
    path, name = place
    below: Any = content
    for part in path if name is not None else path[:-1]:
        below = below[part]
    if name is None:
        below[path[-1]] = text
    else:
        below[text] = below.pop(name)


def cleaned(word: str) -> str:
    """Return a word of a command with the harmless text, as it is or within JSON, and no digest of settings."""
    if re.fullmatch("--settings=[0-9a-f]+", word):
        return "--settings="
    return word.replace(HOSTILE, HARMLESS).replace(json.dumps(HOSTILE)[1:-1], HARMLESS)


@pytest.fixture(scope="module")
def content(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    files = [repository / "config.yaml"]
    for name, text in (("by_path.yaml", BY_PATH), ("more.yaml", MORE)):
        files.append(tmp_path_factory.mktemp("hostile") / name)
        files[-1].write_text(text)
    config = check_config(merged([read(file) for file in files]))
    assert {("corpora", "mine", "title"), ("data_root",)} <= {path for path, _ in places(config)}
    return config.model_dump(mode="json")


def refusal(content: dict[str, Any]) -> str | None:
    try:
        check_config(content)
    except ConfigError as error:
        return str(error)
    return None


def accepted(content: dict[str, Any], text: str) -> list[Place]:
    """Return where a text may stand; where it may not, the key is named."""
    found = []
    for path, name in places(check_config(content)):
        changed = copy.deepcopy(content)
        put(changed, (path, name), text)
        said = refusal(changed)
        if said is None:
            found.append((path, name))
        else:
            section = path[:-1] if name is None else path[:2]
            assert ".".join(map(str, section)) in said, (path, name)
    return found


@pytest.mark.parametrize("text", [HOSTILE, "", "-x", "a/b", "."])
def test_names_and_languages_have_a_form(content: dict[str, Any], text: str) -> None:
    names = {path for path, name in accepted(content, text) if name is not None}
    assert not names & {("corpora",), ("features",), ("noise", "profiles"), ("backbones",)}
    assert not [path for path, _ in accepted(content, text) if path[-1:] == ("language",)]


@pytest.mark.parametrize("text", CONTROL)
def test_no_control_character_stands_in_a_text(content: dict[str, Any], text: str) -> None:
    """Columns and words of tables may have them: spreadsheets do."""
    within = ("columns", "emotions", "published")
    free = {path for path, _ in accepted(content, text) if path[0] != "features" and not {*path} & {*within}}
    assert free == set()


def test_every_command_has_it_in_one_word(repository: Path, tmp_path: Path, content: dict[str, Any]) -> None:
    everywhere = accepted(content, HOSTILE)
    keys = {path for path, _ in everywhere}
    assert {("data_root",), ("corpora", "mine", "title"), ("backbones", "byol", "weights")} <= keys
    commands = []
    for name, written in (("hostile", HOSTILE), ("harmless", HARMLESS)):
        changed = copy.deepcopy(content)
        for corpus in changed["corpora"].values():
            corpus["shards"] = 1
        # values before the names that they stand below
        for place in sorted(everywhere, key=lambda place: place[1] is not None):
            put(changed, place, written)
        workflow = Workflow(repository, tmp_path / name, yaml.safe_dump(changed, allow_unicode=True))
        told = tell(workflow, *TARGETS, "resources/synthetic/iemocap.json")
        assert set(told["rules"]) <= {job["rule"] for job in told["jobs"]}
        commands.append({(job["rule"], *job["output"]): job["command"] for job in told["jobs"] if job["command"]})
    hostile, harmless = commands
    assert hostile.keys() == harmless.keys()
    for job, command in hostile.items():
        words = shlex.split(command)
        expected = shlex.split(harmless[job])
        # keys in JSON are sorted, so letters are compared whatever their order
        assert [sorted(cleaned(word)) for word in words] == [sorted(cleaned(word)) for word in expected], job
        assert [word[:1] == "-" for word in words] == [word[:1] == "-" for word in expected], job


@pytest.mark.parametrize("where", ["file", "argument"])
def test_a_command_in_yaml_is_not_run(repository: Path, tmp_path: Path, where: str) -> None:
    """Snakemake reads files of the command line before the Snakefile does; on the command line itself it is text."""
    harmful = f"!!python/object/apply:os.system ['touch {tmp_path}/was_run']"
    workflow = Workflow(repository, tmp_path / "work", f"data_root: {harmful}" if where == "file" else "{}")
    given = () if where == "file" else ("--config", f"data_root={harmful}")
    said = workflow.run("results/corpora/emodb/listing.parquet", "-n", *given, ok=where == "argument")
    assert ("the tag !!python/object/apply:os.system is not read" in said) == (where == "file")
    assert not (tmp_path / "was_run").exists()
