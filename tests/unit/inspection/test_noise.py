"""What is said first of noise plans and clips that are not all of ESC-50."""

import pyarrow as pa
import pytest

from made_up_runs import write_noise_plan
from serflow.inspection.describe import describe
from serflow.inspection.plots import plot
from serflow.stages.prepare_clips import CLIPS_SCHEMA
from serflow.stores.parquet import write_table

PARTIAL = "partial noise: not all that the publisher counts is there"


@pytest.mark.parametrize(("warnings", "said"), [([], []), (["human: 399 of 400 clips"], [PARTIAL])])
def test_fewer_clips_than_published_are_said_of_clips_and_of_what_is_drawn_from_them(tmp_path, warnings, said):
    plan = write_noise_plan(tmp_path, [("u0", "human", "c0", -5.0)], warnings=warnings)
    assert describe(plan).warnings == said
    clips = tmp_path / "clips.parquet"
    row = {"clip": "c0", "fold": 1, "target": 20, "category": "crying_baby", "group": "human", "n_samples": 1}
    table = pa.Table.from_pylist([{**row, "pcm16": b"\1\0"}], schema=CLIPS_SCHEMA)
    write_table(clips, table, kind="clips", metadata={"synthetic": False, "warnings": warnings})
    assert describe(clips).warnings == said
    plot(plan, tmp_path / "plan.svg")
    assert ("partial noise" in (tmp_path / "plan.svg").read_text()) is bool(said)
