"""What the study's section of the configuration refuses, by its key, and what it makes of what is left out."""

import pytest

from serflow.config import Config, check_config
from serflow.errors import ConfigError
from serflow.report.headings import printed_name
from serflow.report.tables import read_published
from serflow.studies.invariance.catalog import Cell


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"training": {"batch_size": 1}}, "invariance.training.batch_size: Input should be greater than or equal to 2"),
        ({"stand_in": {"batch_size": 1}}, "invariance.stand_in.batch_size: Input should be greater than or equal to 2"),
        ({"speaker_counts": [8, 1]}, "invariance.speaker_counts.1: Input should be greater than or equal to 2"),
        ({"stand_in": {"speaker_counts": [0]}}, "invariance.stand_in.speaker_counts.0: Input should be greater"),
        ({"stand_in": {"speaker_counts": [8, 8]}}, "invariance.stand_in.speaker_counts.1: 8 stands there twice"),
        ({"speaker_counts": [8, 16, 8]}, "invariance.speaker_counts.2: 8 stands there twice"),
        ({"runs": [0, 0]}, "invariance.runs.1: 0 stands there twice"),
        ({"runs": [-1]}, "invariance.runs.0: Input should be greater than or equal to 0"),
        ({"many_speakers": {"runs": [2, 2]}}, "invariance.many_speakers.runs.1: 2 stands there twice"),
        ({"many_speakers": {"runs": [-2]}}, "invariance.many_speakers.runs.0: Input should be greater"),
        ({"stand_in": {"runs": [1, 1]}}, "invariance.stand_in.runs.1: 1 stands there twice"),
        (
            {"search": {"mtl_weight": [-1]}},
            "invariance.search.mtl_weight.0: Input should be greater than or equal to 0",
        ),
        ({"search": {"dat_strength": [0.1, -0.1]}}, "invariance.search.dat_strength.1: Input should be greater"),
        ({"search": {"cgt_epsilon": [-2]}}, "invariance.search.cgt_epsilon.0: Input should be greater"),
        ({"search": {"cgt_epsilon": [0.5, 0.5]}}, "invariance.search.cgt_epsilon.1: 0.5 stands there twice"),
        (
            {"search": {"cgt_epsilon": [0.5, 0.5000001]}},
            "invariance.search.cgt_epsilon.1: 0.5000001 stands there twice as 0.5",
        ),
        ({"systems": ["dat", "dat"]}, "invariance.systems.1: 'dat' stands there twice"),
        ({"systems": ["dat", "dta"]}, "invariance.systems.1: no system 'dta' (did you mean 'dat'?)"),
        ({"controls": ["svc", "svc"]}, "invariance.controls.1: 'svc' stands there twice"),
        ({"emotions": ["anger", "sadness"]}, "invariance.emotions: iemocap has the paper's four classes; set null"),
        (
            {"corpus": "emodb", "many_speakers": {"corpus": "iemocap", "emotions": ["anger", "sadness"]}},
            "invariance.many_speakers.emotions: iemocap has the paper's four classes; set null",
        ),
        ({"many_speakers": {"emotions": ["anger", "anger"]}}, "emotions.1: 'anger' stands there twice"),
        ({"corpus": "emodb", "emotions": ["anger", "anger"]}, "invariance.emotions.1: 'anger' stands there twice"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_its_key(section, said):
    with pytest.raises(ConfigError) as error:
        check_config({"invariance": section})
    assert said in str(error.value)


def test_words_of_another_corpus_are_taken():
    config = check_config({"invariance": {"corpus": "emodb", "emotions": ["anger", "sadness"]}})
    assert config.invariance.emotions == ("anger", "sadness")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"dlc": {"stand_in": {"seeds": [0, 0]}}}, "dlc.stand_in.seeds.1: 0 stands there twice"),
        ({"dlc": {"seeds": [-1]}}, "dlc.seeds.0: Input should be greater than or equal to 0"),
        ({"temporal": {"runs": [-1]}}, "temporal.runs.0: Input should be greater than or equal to 0"),
        ({"temporal": {"stand_in": {"runs": [0, 0]}}}, "temporal.stand_in.runs.1: 0 stands there twice"),
        ({"temporal": {"segments": [0, -1]}}, "temporal.segments.1: Input should be greater than or equal to 0"),
        ({"temporal": {"context_layers": [4, 4]}}, "temporal.context_layers.1: 4 stands there twice"),
        ({"temporal": {"emotions": ["anger", "sadness"]}}, "temporal.emotions: iemocap has the paper's four classes"),
    ],
)
def test_other_studies_refuse_the_like(section, said):
    with pytest.raises(ConfigError) as error:
        check_config(section)
    assert said in str(error.value)


def test_the_names_of_cells_are_those_of_the_values_that_are_tried():
    plan = Config().plans()["invariance"]
    variants = [cell.variant for cell in plan.cells("search")]
    assert len(set(variants)) == len(variants)
    assert [name for name in variants if "epsilon" in name] == [
        f"search-epsilon-{value}" for value in ("0.1", "0.5", "2", "10", "50", "500")
    ]


REAL = {name: {"root": f"/data/{name}"} for name in ("iemocap", "emodb", "crema_d")}
MANDARIN = {**Config().as_json()["corpora"]["mandarin"], "root": "/data/mandarin"}


def plan(invariance=None, **sections):
    corpora = {**Config().as_json()["corpora"], **REAL, "mandarin": MANDARIN}
    return check_config({"corpora": corpora, "invariance": invariance or {}, **sections}).plans()["invariance"]


def emotions(found, corpus):
    return found.options(Cell("ser_only", corpus, "main"))["emotions"]


def test_the_mandarin_set_is_trained_on_the_four_words_of_the_paper():
    """Section 3.1: the set has laughing and cry besides."""
    assert emotions(plan(), "mandarin") == ["anger", "happiness", "sadness", "surprise"]
    assert emotions(plan(), "iemocap") is None
    assert emotions(plan({"many_speakers": {"corpus": "crema_d"}}), "crema_d") is None
    asked = plan({"many_speakers": {"emotions": ["anger", "sadness"]}})
    assert emotions(asked, "mandarin") == ["anger", "sadness"]
    assert asked.departures("mandarin") == ["emotions anger sadness, the paper's anger happiness sadness surprise"]
    assert plan().departures("mandarin") == []


def test_200_of_250_speakers_are_what_the_paper_states():
    assert plan({"many_speakers": {"split": "speaker"}}).departures("mandarin") == [
        "split of the many speakers speaker, the paper's speaker80"
    ]


def test_the_card_says_what_each_corpus_is_trained_with():
    card = plan().protocol()
    assert card["optimiser"] == "SGD, learning rate 0.001, Nesterov momentum 0.9, batches of 32"
    assert card["selection metric"] == "best validation accuracy of 100 epochs"
    assert card["features"] == "39 MFCC of voiced frames, as Kaldi's"
    mixed = plan(corpora={**Config().as_json()["corpora"], "iemocap": REAL["iemocap"]}).protocol()
    assert mixed["optimiser"] == (
        "IEMOCAP: SGD, learning rate 0.001, Nesterov momentum 0.9, batches of 32; "
        "SpeechOcean Mandarin: SGD, learning rate 0.01, Nesterov momentum 0.9, batches of 8"
    )
    assert mixed["selection metric"] == (
        "IEMOCAP: best validation accuracy of 100 epochs; SpeechOcean Mandarin: best validation accuracy of 6 epochs"
    )
    features = Config().as_json()["features"]
    fewer = {**features, "mfcc_kaldi": {**features["mfcc_kaldi"], "delta_order": 1}}
    assert plan(features=fewer).protocol()["features"] == "26 MFCC of voiced frames, as Kaldi's"


def test_a_job_may_take_as_long_as_its_fits_need():
    """Measured: half a minute an epoch of SER_only on IEMOCAP, 3.6 times as much of CGT."""
    found = plan()
    of_main = {name: found.minutes(Cell(name, "iemocap", "main")) for name in ("ser_only", "mtl", "cgt", "svc")}
    assert of_main == {"ser_only": 60 + 2500, "mtl": 60 + 2500, "cgt": 60 + 10000, "svc": 60}
    assert found.minutes(Cell("ser_only", "mandarin", "main")) == 60 + 3 * 100 * 15
    assert found.minutes(Cell("mtl", "iemocap", "search-weight-0.1")) == 60 + 100
    both = plan({"validates": "both", "runs": [0], "training": {"epochs": 10}})
    assert both.minutes(Cell("dat", "iemocap", "main")) == 60 + 10 * 10
    stand_in = check_config({}).plans()["invariance"]
    assert stand_in.minutes(Cell("ser_only", "iemocap", "main")) == 60 + 12


def test_a_corpus_of_another_title_is_still_the_papers():
    titled = {name: {**corpus, "title": "Mine"} for name, corpus in {**REAL, "mandarin": MANDARIN}.items()}
    for invariance, table in (({}, "table3"), ({"many_speakers": {"corpus": "crema_d"}}, "table2")):
        corpora = {**Config().as_json()["corpora"], **titled}
        layout = check_config({"corpora": corpora, "invariance": invariance}).plans()["invariance"].layout(table)
        compared = {printed_name(column) for column in layout.columns if not column.reasons}
        assert [column.name[0] for column in layout.columns] == ["Mine"] * 4
        assert compared == {column for _, column in read_published("invariance", table, 1)}
    corpora = {**Config().as_json()["corpora"], "iemocap": titled["iemocap"]}
    dlc = check_config({"corpora": corpora, "dlc": {"corpora": ["iemocap"]}}).plans()["dlc"].layout("table1")
    assert printed_name(dlc.columns[0]) == "IEMOCAP h1"
