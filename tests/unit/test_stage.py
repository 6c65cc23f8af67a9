import argparse
from pathlib import Path
from typing import NamedTuple

import pytest

from serflow.errors import ConfigError
from serflow.stage import files_of, json_option, named_path, named_value


class Files(NamedTuple):
    utterances: Path
    splits: tuple[Path, ...]
    text: Path | None = None


UTTERANCES, SPLIT = ("utterances", Path("u.parquet")), ("splits", Path("a.parquet"))


def test_inputs_are_taken_by_name():
    other = ("splits", Path("b.parquet"))
    assert files_of(Files, [SPLIT, UTTERANCES, other]) == (
        Path("u.parquet"),
        (Path("a.parquet"), Path("b.parquet")),
        None,
    )
    assert files_of(Files, [UTTERANCES, SPLIT, ("text", Path("t.parquet"))]).text == Path("t.parquet")


def test_one_path_of_several_is_a_tuple_all_the_same():
    assert files_of(Files, [UTTERANCES, SPLIT]).splits == (Path("a.parquet"),)


def test_the_same_path_may_be_given_for_several():
    """All runs may be on one split."""
    assert files_of(Files, [UTTERANCES, SPLIT, SPLIT]).splits == (Path("a.parquet"), Path("a.parquet"))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([UTTERANCES], "--inputs: .*splits"),
        ([SPLIT], "--inputs: .*utterances"),
        ([UTTERANCES, SPLIT, ("plan", Path("p"))], "no input 'plan' of this study; known: utterances, splits, text"),
        ([UTTERANCES, UTTERANCES, SPLIT], "utterances is given 2 times, and the study takes one"),
        ([UTTERANCES, SPLIT, ("text", Path("a")), ("text", Path("b"))], "text is given 2 times"),
    ],
)
def test_missing_unknown_and_repeated_inputs_are_refused(inputs, message):
    with pytest.raises(ConfigError, match=message):
        files_of(Files, inputs)


def test_what_stands_on_the_command_line():
    assert named_path("plan=results/a=b.parquet") == ("plan", Path("results/a=b.parquet"))
    assert named_value("corpus=emodb") == ("corpus", "emodb")
    assert json_option('{"a": [1]}') == {"a": [1]}


@pytest.mark.parametrize("text", ["plan", "plan=", "=x", ""])
def test_what_is_not_name_and_value_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is not name=value"):
        named_path(text)


def test_what_is_no_json_is_refused():
    with pytest.raises(argparse.ArgumentTypeError, match="not valid JSON"):
        json_option("{a: 1}")
