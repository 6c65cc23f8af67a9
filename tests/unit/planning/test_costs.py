import base64
import csv
import json

import pytest

from serflow.config import check_config
from serflow.planning.costs import OWN, Cost, Measured, known_costs, line, measure, recorded, summed
from serflow.planning.finished import mean_seconds, read_finished
from serflow.planning.hours import Hours, published_hours
from serflow.planning.work import size_of

LONG = 2000.0


def record(folder, output, rule, command, log, began=100.0, ended=107.0, **more):
    """Leave a record of Snakemake's, and the log that the job wrote."""
    path = folder / ".snakemake/metadata" / base64.urlsafe_b64encode(output.encode()).decode()
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "rule": rule,
        "shellcmd": command,
        "log": [log],
        "starttime": began,
        "endtime": ended,
        "incomplete": False,
    }
    path.write_text(json.dumps({**content, "input": ["a"], "params": ["'x'"], **more}))


def prepared(folder, said, ended=107.0):
    """Leave a finished job of `prepare_audio` with two outputs, a benchmark and a log."""
    log = "results/logs/prepare_audio/iemocap/0000.log"
    command = f"python -m serflow.stages.prepare_audio --shard 0000 --log {log}"
    for name, size in (("0000.parquet", 3_000_000), ("0000_rejected.csv", 1_000_000)):
        output = folder / "results/audio/iemocap" / name
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(bytes(size))
        record(folder, f"results/audio/iemocap/{name}", "prepare_audio", command, log, ended=ended)
    for path, text in ((log, said), (log.replace("logs", "benchmarks")[:-4] + ".tsv", "s\tmax_rss\n7.0\t116.1\n")):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


@pytest.fixture
def config():
    return check_config({})


def hours(config, folder):
    return Hours(config, folder, {"iemocap": 1.8})


def test_a_job_costs_what_its_log_and_files_say(tmp_path, config):
    prepared(tmp_path, "started in 0.50 s of processor time\n...\ndone in 6.50 s; 4.50 s of processor time in all\n")
    (job,) = measure(tmp_path, config, hours(config, tmp_path))
    assert job.key == ("prepare_audio", "", "")
    assert job.amount == pytest.approx(0.1)
    assert (job.seconds, job.start_s, job.peak_mb, job.gpu) == (4.5, 0.5, 116.1, False)
    assert job.disk_mb == 4.0
    (cost,) = summed([job], "here").values()
    assert cost.seconds(0.2) == pytest.approx(0.5 + 8.0)
    assert cost.disk_mb_per_made == pytest.approx(40.0)


def test_without_processor_time_and_on_a_gpu_the_clock_counts(tmp_path, config):
    prepared(tmp_path, "started in 0.50 s of processor time\ndone in 6.50 s\n")
    assert measure(tmp_path, config, hours(config, tmp_path))[0].seconds == 7.0
    prepared(tmp_path, "computes on cuda, H100\ndone in 6.50 s; 1.00 s of processor time in all\n")
    (job,) = measure(tmp_path, config, hours(config, tmp_path))
    assert (job.seconds, job.gpu) == (7.0, True)


def test_a_job_of_several_outputs_is_one(tmp_path):
    prepared(tmp_path, "")
    (job,) = read_finished(tmp_path)
    assert sorted(job.outputs) == ["results/audio/iemocap/0000.parquet", "results/audio/iemocap/0000_rejected.csv"]
    assert mean_seconds(tmp_path) == {"prepare_audio": 7.0}
    assert mean_seconds(tmp_path / "nowhere") == {}


@pytest.mark.parametrize("content", ["{", "[]", '{"rule": "x"}', '{"starttime": 1, "endtime": 2, "incomplete": true}'])
def test_what_is_no_whole_record_counts_as_none(tmp_path, content):
    record(tmp_path, "out", "r", "cp a b", "l")
    (path,) = (tmp_path / ".snakemake/metadata").iterdir()
    path.write_text(content)
    assert list(read_finished(tmp_path)) == []


def test_a_line_tells_what_every_job_takes_from_what_an_hour_does():
    assert line([1.0, 2.0, 4.0], [5.0, 7.0, 11.0]) == pytest.approx((3.0, 2.0))
    # much alike, or beginning below: through the origin
    assert line([1.0, 1.1], [5.0, 9.0]) == pytest.approx((0.0, 14 / 2.1))
    assert line([1.0, 3.0], [1.0, 5.0]) == pytest.approx((0.0, 1.5))
    # the larger took less
    assert line([1.0, 3.0], [5.0, 3.0]) == pytest.approx((4.0, 0.0))


def test_what_a_folder_recorded_takes_the_place_of_what_came_along(tmp_path, config):
    known, _ = known_costs(tmp_path, config)
    assert known == recorded()
    prepared(tmp_path, "done in 6.50 s; 4.50 s of processor time in all\n")
    own, _ = known_costs(tmp_path, config)
    assert own["prepare_audio", "", ""].source == OWN
    assert {**known, ("prepare_audio", "", ""): own["prepare_audio", "", ""]} == own


def test_kinds_are_summed_apart():
    jobs = [Measured(("s", kind, ""), "h", 1.0, 2.0, 1.0, None, 1.0, 1.0, False) for kind in "aab"]
    costs = summed(jobs, "here")
    assert {key[1]: cost.jobs for key, cost in costs.items()} == {"a": 2, "b": 1}
    assert costs["s", "a", ""].peak_mb is None


def test_the_table_says_where_it_is_from():
    costs = recorded()
    assert {"prepare_audio", "extract_features", "train", "utterances"} <= {stage for stage, _, _ in costs}
    for key, cost in costs.items():
        assert isinstance(cost, Cost)
        assert cost.jobs > 0, key
        assert cost.start_s + cost.per_unit_s > 0, key
        for word in ("Python 3.", "torch 2.", "snakemake 9.", "commit "):
            assert word in cost.source, key


def test_the_first_table_that_anyone_makes_is_known_before_it_is_made(config):
    """Where an option is new, `serflow.planning.work` says that no cost hangs on it, or costs are recorded again."""
    plan, costs = config.plans()["dlc"], recorded()
    trained = {("train", f"dlc {cell.method}", size_of(plan.options(cell))) for cell in plan.cells("table1")}
    assert len(trained) > 10
    assert trained - set(costs) == set()


def test_published_hours_have_a_source():
    from serflow.planning import hours as module

    with module._TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(len(row["source"]) > 20 for row in rows)
    assert published_hours()["iemocap"] == 12.0
