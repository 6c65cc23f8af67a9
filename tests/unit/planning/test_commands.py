import json
import shlex

import pytest

from serflow.planning.commands import read_command


def test_a_command_is_read_as_a_shell_reads_it():
    options = {"training": {"epochs": 3}, "note": 'it\'s "so" {x}'}
    words = ["python", "-m", "serflow.stages.train", "--study", "dlc", "--cell", "a=1", "b=2", "--root=my folder"]
    words += ["--options", json.dumps(options), "--synthetic", "--runs", "0", "1", "--log", "results/logs/r/a/b.log"]
    command = read_command(shlex.join(words))
    assert command.stage == "train"
    assert dict(command.named("cell")) == {"a": "1", "b": "2"}
    assert command.json("options")["training"] == {"epochs": 3}
    assert command.word("root") == "my folder"
    assert command.options["synthetic"] == []
    assert command.options["runs"] == ["0", "1"]
    assert command.word("runs") is None
    assert command.placed() == ["r", "a", "b"]


@pytest.mark.parametrize("text", ["cp a b 2> log", "", "python -m other.thing --x 1"])
def test_what_calls_no_stage_is_no_command(text):
    assert read_command(text) is None


def test_splits_are_told_with_their_runs():
    base = "python -m serflow.stages.train --runs 0 1 2 --cell experiment=exp1 --inputs"
    one = read_command(f"{base} split=results/splits/iemocap/speaker_fold.parquet")
    assert list(one.splits()) == [("iemocap", "speaker_fold", 3)]
    each = read_command(
        f"{base} splits=results/splits/emodb/dialogue-0.parquet splits=results/splits/emodb/dialogue-1.parquet"
    )
    assert list(each.splits()) == [("emodb", "dialogue-0", 1), ("emodb", "dialogue-1", 1)]


def test_a_batch_has_the_cells_and_splits_of_all():
    cells = [["experiment=exp2", f"profile=h{i}"] for i in (1, 2)]
    inputs = [["clean=x.parquet", "splits=results/splits/iemocap/dialogue-0.parquet"]] * 2
    words = ["python", "-m", "serflow.stages.train_batch", "--cells", json.dumps(cells), "--inputs", json.dumps(inputs)]
    command = read_command(shlex.join([*words, "--runs", "0"]))
    assert command.cells() == [{"experiment": "exp2", "profile": "h1"}, {"experiment": "exp2", "profile": "h2"}]
    assert list(command.splits()) == [("iemocap", "dialogue-0", 1)] * 2
