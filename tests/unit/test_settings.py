"""Sections of the configuration: what they give, and what they say where one is wrong."""

import subprocess
import sys

import pytest
from pydantic import Field, ValidationError

from serflow.errors import ConfigError
from serflow.settings.base import Section, checked


class Group(Section):
    size: int = Field(default=3, ge=1)
    rates: tuple[float, ...] = (0.1, 0.2)
    on: bool = False


class Whole(Section):
    name: str = "one"
    group: Group = Group()
    other: Group = Group(size=4)


def test_sections_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Whole().name = "two"


def test_plain_values_are_all_or_those_that_are_named():
    whole = Whole()
    assert whole.as_json() == {
        "name": "one",
        "group": {"size": 3, "rates": [0.1, 0.2], "on": False},
        "other": {"size": 4, "rates": [0.1, 0.2], "on": False},
    }
    assert whole.as_json(["group.size", "other"]) == {"group": {"size": 3}, "other": whole.as_json()["other"]}
    assert whole.as_json(["other", "other.size"]) == {"other": whole.as_json()["other"]}
    assert Whole.model_validate(whole.as_json(["name", "other"])) == whole
    with pytest.raises(KeyError, match="width"):
        whole.as_json(["group.width"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"nmae": "x"}, r"^unknown key whole\.nmae \(did you mean 'name'\?\)$"),
        ({"group": {"sizes": 1}}, r"^unknown key whole\.group\.sizes \(did you mean 'size'\?\)$"),
        ({"group": {"size": 0}}, r"^whole\.group\.size: Input should be greater than or equal to 1 \(it is 0\)$"),
        ({"group": {"size": True}}, r"^whole\.group\.size: true is not what it takes$"),
        ({"group": {"rates": [1, "x"]}}, r"^whole\.group\.rates\.1: Input should be a valid number"),
        ({"group": {"rates": [float("nan")]}}, r"^whole\.group\.rates\.0: Input should be a finite number"),
        ({"name": 3, "group": {"on": 3}}, r"^whole\.name: .* \(it is 3\); whole\.group\.on: .* \(it is 3\)$"),
        ([], r"^whole: Input should be a valid dictionary"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(content, said):
    with pytest.raises(ConfigError, match=said):
        checked(Whole, content, "whole")


def test_the_configuration_needs_no_torch_and_no_pandas():
    program = (
        "import sys; from serflow.config import check_config;"
        "plans = check_config({}).plans().values();"
        "[plan.layout(table) for plan in plans for tables in plan.tables for table in tables];"
        "print(sorted({'torch', 'pandas', 'pyarrow', 'scipy'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
