"""Targets in the forms that people type, and the nearest one to a slip."""

from pathlib import Path

import pytest

from serflow.targets import as_in_rules, nearest

PATTERNS = [
    "results/table1.csv",
    "results/dlc/table1.csv",
    "results/dlc/{table}_intervals.csv",
    "results/noise/{corpus}/{profile}.parquet",
    "results/noise/{corpus}/{profile}/audio",
    "results/corpora/{corpus}/utterances.parquet",
    "results/features/{feature}/{corpus}/{condition}/{shard}.parquet",
    "results/features/mfb/emodb/clean",
    "results/features/ge2e/emodb/h1",
    "results/runs/dlc/{experiment}/{method}/{corpus}/{profile}/metrics.json",
    "features",
    "train_dlc",
]
VALUES = {
    "corpus": ["emodb", "iemocap"], "profile": ["h1", "h2"], "condition": ["clean", "h1", "h2"], "shard": ["0000"],
    "feature": ["mfb", "ge2e"], "table": ["table1"], "experiment": ["exp1", "exp2"],
    "method": ["single", "dann"],
}  # fmt: skip


@pytest.mark.parametrize(
    "typed",
    ["results/x", "./results/x", "results/x/", "results//x", "results/./x", "results/y/../x", "././results/x//"],
)
def test_a_target_is_found_in_whatever_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert as_in_rules(typed) == "results/x"
    assert as_in_rules(f"{tmp_path}/{typed}") == "results/x"


def test_the_working_folder_is_known_by_the_name_of_a_link_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path / "link")
    monkeypatch.setenv("PWD", str(tmp_path / "link"))
    for name in ("real", "link"):
        assert as_in_rules(f"{tmp_path}/{name}/results/x") == "results/x"


@pytest.mark.parametrize("target", ["features", "", "s3://bucket/x", "/elsewhere/results/x", "../results/x"])
def test_what_lies_elsewhere_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert as_in_rules(target) == target


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("results/table_1.csv", "results/table1.csv"),
        ("results/Table1.csv", "results/table1.csv"),
        ("table1.csv", "results/table1.csv"),
        ("result/table1.csv", "results/table1.csv"),
        ("results/dlc/table1_interval.csv", "results/dlc/table1_intervals.csv"),
        ("results/noise/emodbb/h2.parquet", "results/noise/emodb/h2.parquet"),
        ("results/noise/iemocap/h2/audios", "results/noise/iemocap/h2/audio"),
        ("results/corpora/iemocp/utterances.parquet", "results/corpora/iemocap/utterances.parquet"),
        ("results/features/mbf/emodb/clean", "results/features/mfb/emodb/clean"),
        ("features/ge2e/emodb/h1", "results/features/ge2e/emodb/h1"),
        ("results/features/ge2/iemocap/h2/0000.parquet", "results/features/ge2e/iemocap/h2/0000.parquet"),
        ("feature", "features"),
        ("xyz", None),
        # letter case is overlooked
        ("RESULTS/TABLE1.CSV", "results/table1.csv"),
        # a word names a file or a rule
        ("table1", "results/table1.csv"),
        ("tabel1", "results/table1.csv"),
        ("trian_dlc", "train_dlc"),
        # a folder stands for its rule, or for what is asked for first of it
        ("results/features", "features"),
        ("results/features/mfb/emodb", "results/features/mfb/emodb/clean"),
        ("results/corpora/emodb", "results/corpora/emodb/utterances.parquet"),
        ("results/runs/dlc/exp2/dann/iemocap/h2", "results/runs/dlc/exp2/dann/iemocap/h2/metrics.json"),
        ("results/noise/emodb/h1", "results/noise/emodb/h1/audio"),
        ("results/dlc", "results/dlc/table1.csv"),
        ("", None),
    ],
)
def test_the_nearest_target_is_offered(target: str, meant: str | None) -> None:
    assert nearest(target, PATTERNS, VALUES) == meant
