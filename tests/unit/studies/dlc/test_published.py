import pytest

from serflow.report.tables import read_published
from serflow.studies.dlc.catalog import method_info
from serflow.studies.dlc.plan import BASELINES, CORPORA, PROFILES, ROWS

TABLE = {place: printed.mean for place, printed in read_published("dlc", "table1", 2).items()}
TITLES = ("MSP-Improv", "IEMOCAP", "CMU-MOSEI")
NAMES = list(dict.fromkeys(name for name, _ in TABLE))


def test_table1_has_fourteen_rows_of_thirteen_numbers():
    assert len(NAMES) == 14
    assert len(TABLE) == 14 * 13


def test_the_rows_are_those_that_the_plan_knows_in_its_order():
    experiments = {"exp1": "1", "exp2": "2"}
    assert [
        (experiments[experiment], method_info(method).title) for experiment in ROWS for method in ROWS[experiment]
    ] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_means_of_the_published_table_follow_from_its_cells(name):
    for profile in PROFILES:
        mean = sum(TABLE[name, f"{title} {profile}"] for title in TITLES) / len(CORPORA)
        assert TABLE[name, f"Overall {profile}"] == pytest.approx(mean, abs=0.01)
    mean = sum(TABLE[name, f"Overall {profile}"] for profile in PROFILES) / len(PROFILES)
    assert TABLE[name, "Overall"] == pytest.approx(mean, abs=0.01)


@pytest.mark.parametrize(
    ("experiment", "method", "other", "gain"),
    [
        ("1", "MoE-DLC", "Single", 2.13),
        ("1", "HFFN-MoE-DLC", "HFFN-Single", 1.63),
        ("2", "DSN-DLC", "Single", 2.49),
        ("2", "HFFN-DSN-DLC", "HFFN-Single", 2.06),
        ("2", "DSN-DLC", "DSN-SLC", 0.13),
    ],
)
def test_gains_stated_in_the_text_follow_from_the_last_column(experiment, method, other, gain):
    assert TABLE[(experiment, method), "Overall"] - TABLE[(experiment, other), "Overall"] == pytest.approx(gain)


def test_hffn_rows_are_the_multimodal_ones():
    multi = {method for methods in ROWS.values() for method in methods if method_info(method).modality == "multi"}
    assert multi == {"hffn_single", "hffn_moe_dlc", "hffn_dsn_dlc"}
    assert {method_info(name).modality: name for name in BASELINES.values()} == BASELINES


def test_noise_classifier_accuracy():
    assert read_published("dlc", "noise_classifier", 1) == {(("1",), "Overall"): (87.0, None)}
