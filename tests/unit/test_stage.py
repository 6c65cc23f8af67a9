import argparse
import os
import subprocess
import sys
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


STAGE = """
import argparse, atexit, gc, sys
from serflow.errors import ConfigError
from serflow.stage import run_stage, stage_parser

def main(arguments):
    atexit.register(print, "cleaned up")
    print("collects while it works:", gc.isenabled())
    if arguments.fault:
        raise {"expected": ConfigError, "unexpected": KeyError}[arguments.fault]("a fault")

if __name__ == "__main__":
    print("collects while it imports:", gc.isenabled())
    parser = stage_parser(__doc__)
    parser.add_argument("--fault")
    run_stage(parser, main)
    print("what comes after a stage")
"""


@pytest.fixture
def stage(tmp_path):
    """Run a stage that stands in a package as those of serflow do, and return what became of it."""
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "__init__.py").write_text("import serflow.stages")
    (tmp_path / "stages" / "one.py").write_text(STAGE)

    def run(*arguments):
        command = [sys.executable, "-m", "stages.one", "--log", str(tmp_path / "one.log"), *arguments]
        where = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
        return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **where})

    return run


def test_a_stage_ends_with_all_said_and_cleaned_up(stage, tmp_path):
    done = stage()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "collects while it imports: False",
        "collects while it works: True",
        "cleaned up",
    ]
    assert "of processor time in all" in (tmp_path / "one.log").read_text()


@pytest.mark.parametrize(
    ("fault", "said"), [("expected", "ERROR a fault\n"), ("unexpected", "Traceback (most recent call last)")]
)
def test_a_stage_that_fails_says_so_and_cleans_up_all_the_same(stage, tmp_path, fault, said):
    done = stage("--fault", fault)
    assert done.returncode == 1
    assert said in done.stderr
    assert said in (tmp_path / "one.log").read_text()
    assert done.stdout.splitlines()[-1] == "cleaned up"


def test_pyarrow_does_not_import_pandas_to_ask_what_an_array_is_but_where_a_data_frame_is_wanted():
    script = (
        "import sys, pyarrow\nfrom serflow import stage\nbefore = list(sys.meta_path)\nstage._hide_pandas()\n"
        "assert sys.meta_path == before\ntable = pyarrow.table({'a': [1.0, None]})\nprint('pandas' in sys.modules)\n"
        "print(table.to_pandas().a.isna().tolist(), 'pandas' in sys.modules)\n"
        "import pandas\nprint(pyarrow.array(pandas.Series([1.0, float('nan')])).null_count)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False", "[False, True] True", "1"]


def test_a_stage_that_has_pandas_keeps_it():
    script = (
        "import pandas, pyarrow\nfrom serflow import stage\nstage._hide_pandas()\n"
        "print(pyarrow.array(pandas.Series([1.0, float('nan')])).null_count)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_who_imports_a_stage_keeps_a_garbage_collector():
    script = "import gc, serflow.stages.tabulate; print(gc.isenabled())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
