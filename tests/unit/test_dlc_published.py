import pytest

from serflow.studies.dlc import paper

PROFILES = ["h1", "h2", "h3"]
TABLE = paper.table1()
ROWS = list(TABLE[["experiment", "method"]].drop_duplicates().itertuples(index=False, name=None))


def cells(experiment: str, method: str) -> dict[tuple[str, str], float]:
    row = TABLE[(TABLE["experiment"] == experiment) & (TABLE["method"] == method)]
    return {(cell.corpus, cell.profile): cell.ua for cell in row.itertuples()}


def test_table1_has_fourteen_rows_of_thirteen_numbers():
    assert len(ROWS) == 14
    assert len(TABLE) == 14 * 13
    assert not TABLE.duplicated(["experiment", "method", "corpus", "profile"]).any()
    assert TABLE.notna().all().all()


@pytest.mark.parametrize(("experiment", "method"), ROWS)
def test_means_of_the_published_table_follow_from_its_cells(experiment, method):
    ua = cells(experiment, method)
    for profile in PROFILES:
        mean = sum(ua[corpus, profile] for corpus in paper.CORPORA) / 3
        assert ua["overall", profile] == pytest.approx(mean, abs=0.01)
    mean = sum(ua["overall", profile] for profile in PROFILES) / 3
    assert ua["overall", "overall"] == pytest.approx(mean, abs=0.01)


def test_gains_stated_in_the_text_follow_from_the_last_column():
    def overall(experiment: str, method: str) -> float:
        return cells(experiment, method)["overall", "overall"]

    assert overall("exp1", "MoE-DLC") - overall("exp1", "Single") == pytest.approx(2.13)
    assert overall("exp1", "HFFN-MoE-DLC") - overall("exp1", "HFFN-Single") == pytest.approx(1.63)
    assert overall("exp2", "DSN-DLC") - overall("exp2", "Single") == pytest.approx(2.49)
    assert overall("exp2", "HFFN-DSN-DLC") - overall("exp2", "HFFN-Single") == pytest.approx(2.06)
    assert overall("exp2", "DSN-DLC") - overall("exp2", "DSN-SLC") == pytest.approx(0.13)


def test_method_names_and_titles():
    assert list(paper.method_titles())[:4] == ["single", "moe_slc", "moe_dlc", "hffn_single"]
    assert paper.method_title("moe_dlc") == "MoE-DLC"
    assert paper.method_title("maddog") == "MADDoG"
    assert paper.method_title("my_method") == "my_method"


def test_hffn_rows_are_the_multimodal_ones():
    multi = TABLE[TABLE["modality"] == "multi"]["method"].unique()
    assert set(multi) == {"HFFN-Single", "HFFN-MoE-DLC", "HFFN-DSN-DLC"}


def test_noise_classifier_accuracy():
    assert paper.noise_classifier().to_dict("records") == [
        {"experiment": "exp1", "corpus": "overall", "profile": "overall", "accuracy": 87}
    ]
