"""What the rules ask of the speaker-invariance study: its cells, what each reads, its tables, and its departures."""

import itertools
import json

import pytest

from made_up_runs import fit, share, write_cell
from serflow.config import Config, check_config
from serflow.fingerprint import imported_modules
from serflow.report.comparison import beside_paper
from serflow.report.headings import Layout, full_name
from serflow.report.tables import fill, in_shape, read_published
from serflow.runs.scores import read_runs
from serflow.studies.invariance.catalog import system_info, system_names
from serflow.studies.invariance.options import Options
from serflow.studies.invariance.plan import Cell, Plan

NETWORKS = ["ser_only", "mtl", "dat", "cgt"]
TITLES = ["SER_only", "SER_SR_MTL", "SER_SR_DAT", "SER_SR_CGT"]
CONTROLS = ["cgt_random", "svc", "chance", "majority"]
OPEN = "(the paper does not say)"
TABLES = ("table2", "table3", "probe", "speakers", "search")


def corpora(**roots):
    """The default corpora, some of them real."""
    default = Config().as_json()["corpora"]
    return {**default, **{name: {**default[name], "root": root} for name, root in roots.items()}}


REAL = corpora(iemocap="/data/iemocap", mandarin="/data/mandarin")


def plan(invariance=None, **sections) -> Plan:
    found = check_config({"invariance": invariance or {}, **sections}).plans()["invariance"]
    assert isinstance(found, Plan)
    return found


def names(headings):
    return [heading.name for heading in headings]


# What is trained


def test_cells_are_the_papers_systems_on_both_corpora():
    found = plan({"speaker_counts": [8, 64]}, corpora=REAL)
    assert found.cells("table2") == [Cell(name, "iemocap", "main") for name in NETWORKS]
    assert found.cells("table3") == [Cell(name, "mandarin", "main") for name in NETWORKS]
    assert set(found.cells("probe")) == {*found.cells("table2"), *found.cells("table3")}
    assert set(found.cells("speakers")) == {
        Cell(name, "mandarin", f"speakers-{count}") for name in NETWORKS for count in (8, 64)
    }
    assert len(found.cells()) == len(set(found.cells())) == 8 + 8
    assert not set(found.cells("search")) & set(found.cells())


def test_controls_are_trained_and_guesses_are_not_and_no_probe_reads_what_is_no_network():
    found = plan({"systems": ["dat"], "controls": CONTROLS, "speaker_counts": [8]}, corpora=REAL)
    assert [cell.system for cell in found.cells("table2")] == ["dat", "cgt_random", "svc"]
    assert {cell.system for cell in found.cells("probe")} == {"dat", "cgt_random"}
    assert {cell.system for cell in found.cells("speakers")} == {"dat", "cgt_random"}


def test_corpora_are_those_of_the_configuration():
    found = plan({"corpus": "emodb", "many_speakers": {"corpus": "ravdess"}, "speaker_counts": [8]})
    assert found.corpora() == ["emodb", "ravdess"]
    assert (
        {cell.corpus for cell in found.cells("table2")} == {cell.corpus for cell in found.cells("search")} == {"emodb"}
    )
    assert {cell.corpus for cell in found.cells("table3")} == {"ravdess"}
    assert {cell.corpus for cell in found.cells("speakers")} == {"ravdess"}


def test_speakers_are_held_out_as_the_configuration_says():
    assert [plan().split(corpus) for corpus in ("iemocap", "mandarin")] == ["session-F", "speaker80-0"]
    found = plan({"held_out": "pair", "validates": "M", "many_speakers": {"split": "speaker", "draw": 3}}, corpora=REAL)
    assert [found.split(corpus) for corpus in ("iemocap", "mandarin")] == ["pair-M", "speaker-3"]
    assert found.draws("iemocap") == ["pair-M"] * 5
    assert found.draws("mandarin") == ["speaker-3"] * 3
    assert found.unit() == "speaker"


def test_real_corpora_are_run_as_in_the_paper_and_stand_ins_as_often_as_they_say():
    """Section 3.3: five runs on IEMOCAP, three on Mandarin."""
    found = plan({"stand_in": {"runs": [7]}}, corpora=REAL)
    assert [found.runs(corpus) for corpus in ("iemocap", "mandarin")] == [[0, 1, 2, 3, 4], [0, 1, 2]]
    mixed = plan({"stand_in": {"runs": [7]}}, corpora=corpora(iemocap="/data/iemocap"))
    assert [mixed.runs(corpus) for corpus in ("iemocap", "mandarin")] == [[0, 1, 2, 3, 4], [7]]
    own = plan({"runs": [2], "many_speakers": {"runs": [4, 5]}}, corpora=REAL)
    assert [own.runs(corpus) for corpus in ("iemocap", "mandarin")] == [[2], [4, 5]]
    assert own.runs_of(Cell("cgt", "mandarin", "speakers-8")) == [4, 5]


def test_speakers_are_counted_by_a_stand_ins_own_numbers_where_it_is_one():
    asked = {"speaker_counts": [10, 20], "stand_in": {"speaker_counts": [3, 5]}}
    assert plan(asked, corpora=REAL).speaker_counts() == [10, 20]
    assert plan(asked, corpora=corpora(iemocap="/data/iemocap")).speaker_counts() == [3, 5]
    assert plan(asked, corpora=corpora(mandarin="/data/mandarin")).speaker_counts() == [10, 20]


def test_table_1_describes_a_network_with_a_speaker_classifier_a_corpus():
    assert plan({"systems": ["ser_only", "dat", "mtl"]}).described() == [
        Cell("dat", "iemocap", "main"),
        Cell("dat", "mandarin", "main"),
    ]
    assert plan({"systems": ["ser_only"]}).described()[0].system == "ser_only"


def test_figure_2_is_of_the_adversarial_system_on_corpora_in_the_order_of_the_tables():
    assert plan().pictured() == [Cell("dat", "iemocap", "main"), Cell("dat", "mandarin", "main")]
    assert plan().pictured_title() == "SER_SR_DAT"
    assert plan({"systems": ["mtl", "cgt"]}).pictured()[0].system == "mtl"


def test_all_is_made_but_the_search():
    targets = plan().targets()
    for made in ("table2.csv", "table3_vs_paper.csv", "probe.csv", "speakers.svg", "figure2.svg", "protocol.md"):
        assert f"results/invariance/{made}" in targets
    assert not any("search" in target for target in targets)
    assert len(targets) == len(set(targets))


# What a cell reads


def test_a_network_has_the_sizes_of_its_corpus():
    found = plan({"model": {"fc": 24}, "many_speakers": {"model": {"fc": 48}}}, corpora=REAL)
    for corpus, fc in (("iemocap", 24), ("mandarin", 48)):
        assert found.options(Cell("cgt", corpus, "main"))["model"]["fc"] == fc
    assert found.options(Cell("cgt", "mandarin", "speakers-8"))["model"]["fc"] == 48


def test_words_are_those_of_the_corpus_and_only_iemocap_has_styles():
    asked = {"corpus": "emodb", "emotions": ["anger", "fear"], "many_speakers": {"emotions": ["anger", "sadness"]}}
    found = plan(asked, corpora=REAL)
    few, many = (found.options(Cell("dat", corpus, "main")) for corpus in ("emodb", "mandarin"))
    assert (few["emotions"], few["style"]) == (["anger", "fear"], "all")
    assert (many["emotions"], many["style"]) == (["anger", "sadness"], "all")
    assert plan(corpora=REAL).options(Cell("dat", "iemocap", "main"))["style"] == "improvised"
    assert plan({"style": "all"}, corpora=REAL).options(Cell("dat", "iemocap", "main"))["style"] == "all"


def test_a_stand_in_is_trained_by_its_own_settings_and_a_real_corpus_by_the_papers():
    own = {"epochs": 3, "batch_size": 5, "learning_rate": 0.25}
    asked = {"stand_in": {**own, "many_epochs": 2}}
    found = plan(asked, corpora=corpora(iemocap="/data/iemocap"))
    real, many = (found.options(Cell("mtl", corpus, "main"))["training"] for corpus in ("iemocap", "mandarin"))
    few = plan(asked).options(Cell("mtl", "iemocap", "main"))["training"]
    assert {name: real[name] for name in own} == {"epochs": 100, "batch_size": 32, "learning_rate": 1e-3}
    assert {name: few[name] for name in own} == own
    assert {name: many[name] for name in own} == {**own, "epochs": 2}
    assert real["momentum"] == few["momentum"] == many["momentum"] == 0.9


def test_speakers_are_few_in_their_cells_alone():
    found = plan({"speakers": 6, "speaker_counts": [8, 16]}, corpora=REAL)
    counted = {cell.variant: found.options(cell)["speakers"] for cell in found.cells("speakers")}
    assert counted == {"speakers-8": 8, "speakers-16": 16}
    assert {found.options(cell)["speakers"] for cell in (*found.cells("table3"), *found.cells("search"))} == {6}
    assert plan(corpora=REAL).options(Cell("cgt", "mandarin", "main"))["speakers"] is None


SEARCHED = {("mtl", "weight"): [0.25, 2.0], ("dat", "strength"): [0.5], ("cgt", "epsilon"): [4.0, 0.125]}
SEARCH = {f"{system}_{key}": values for (system, key), values in SEARCHED.items()}


def test_a_search_tries_each_value_on_one_fold_of_one_run_and_changes_nothing_else():
    found = plan({"search": {**SEARCH, "run": 9}}, corpora=REAL)
    tried = []
    for cell in found.cells("search"):
        main = found.options(cell._replace(variant="main"))
        options = found.options(cell)
        assert main["folds_used"] == "all"
        (key,) = (key for system, key in SEARCHED if system == cell.system)
        value = options[cell.system][key]
        assert options == {**main, "folds_used": "first", cell.system: {**main[cell.system], key: value}}
        assert cell == Cell(cell.system, "iemocap", f"search-{key}-{value:g}")
        assert found.runs_of(cell) == [9]
        tried.append((cell.system, key, value))
    assert tried == [(*place, value) for place, values in SEARCHED.items() for value in values]
    assert {cell.system for cell in plan({"systems": ["ser_only", "dat"]}).cells("search")} == {"dat"}


@pytest.mark.parametrize("system", system_names())
def test_options_of_every_system_are_what_the_training_reads(system):
    found = plan({"model": {"fc": 7}, "cgt": {"alpha": 0.25}}, corpora=REAL)
    options = found.options(Cell(system, "iemocap", "main"))
    assert json.loads(json.dumps(options)) == options
    assert Options.model_validate(options).as_json(system_info(system).options()) == options


TRAINED = {*NETWORKS, "cgt_random"}


@pytest.mark.parametrize(
    ("changed", "systems"),
    [
        ({"mtl": {"weight": 0.5}}, {"mtl"}),
        ({"dat": {"strength": 0.5}}, {"dat"}),
        ({"dat": {"schedule": "constant"}}, {"dat"}),
        ({"cgt": {"epsilon": 1.5}}, {"cgt", "cgt_random"}),
        ({"model": {"dropout": 0.2}}, TRAINED),
        ({"training": {"epochs": 5}}, TRAINED),
        ({"cmvn": "utterance"}, TRAINED | {"svc"}),
        ({"style": "all"}, TRAINED | {"svc"}),
        ({"runs": [7], "validates": "M", "speaker_counts": [4], "search": SEARCH, "controls": ["svc"]}, set()),
        ({"many_speakers": {"model": {"fc": 7}}}, set()),
    ],
)
def test_a_change_of_an_option_changes_the_systems_that_read_it_alone(changed, systems):
    before, after = plan(corpora=REAL), plan(changed, corpora=REAL)
    cells = [Cell(name, "iemocap", "main") for name in system_names()]
    assert {cell.system for cell in cells if before.options(cell) != after.options(cell)} == systems


def test_trainings_know_no_section_but_their_options(repository):
    trained = imported_modules(repository / "src", "serflow.stages.train", "serflow.studies.invariance.train")
    unread = {"settings", "plan", "card"}
    assert not {f"serflow.studies.invariance.{name}" for name in unread} & set(trained)
    assert "serflow.settings.data" not in trained
    assert plan().modules(Cell("dat", "iemocap", "main")) == ["studies.invariance.methods.dat"]


# Tables


@pytest.mark.parametrize(
    ("table", "corpus", "title"), [("table2", "iemocap", "IEMOCAP"), ("table3", "mandarin", "SpeechOcean Mandarin")]
)
def test_tables_2_and_3_are_the_papers(table, corpus, title):
    layout = plan(corpora=REAL).layout(table)
    assert layout.corner == ("System",)
    assert names(layout.rows) == [(name,) for name in TITLES]
    assert [row.where for row in layout.rows] == [{"system": name} for name in NETWORKS]
    assert [row.baseline for row in layout.rows] == [None, *[("SER_only",)] * 3]
    assert [(column.name, column.where) for column in layout.columns] == [
        ((title, said), {"corpus": corpus, "role": role, "measure": measure})
        for said, role, measure in (
            ("Val", "val", "wa"),
            ("Test", "test", "wa"),
            ("Val UAR", "val", "ua"),
            ("Test UAR", "test", "ua"),
        )
    ]
    assert layout.where == {"variant": "main"}
    assert (layout.over_folds, layout.show) == ("pooled", "mean_std")
    compared = {
        (row.name, full_name(column))
        for row, column in itertools.product(layout.rows, layout.columns)
        if not row.reasons and not column.reasons
    }
    assert compared == read_published("invariance", table, 1).keys()


def test_published_numbers_are_those_of_the_paper():
    """Mean and standard deviation over runs, validation and test."""
    printed = {
        "table2": ["57.0 1.0 53.9 1.0", "56.6 1.1 54.9 0.6", "56.6 1.2 56.5 1.4", "55.6 0.8 57.3 1.2"],
        "table3": ["83.7 0.7 81.7 1.2", "82.5 0.7 80.9 0.3", "84.9 1.2 83.5 0.6", "82.0 0.6 81.1 0.3"],
    }
    for table, rows in printed.items():
        found = read_published("invariance", table, 1)
        assert [row for row, _ in found] == [(title,) for title in TITLES for _ in range(2)]
        assert [value for cell in found.values() for value in cell] == [float(n) for row in rows for n in row.split()]


@pytest.mark.parametrize(
    ("table", "column", "system", "gain"),
    [
        ("table2", "IEMOCAP Test", "SER_SR_DAT", 5.6),
        ("table2", "IEMOCAP Test", "SER_SR_CGT", 7.4),
        ("table3", "SpeechOcean Mandarin Test", "SER_SR_DAT", 9.8),
    ],
)
def test_gains_stated_in_the_abstract_follow_from_the_published_tables(table, column, system, gain):
    """They are shares of SER_only's errors."""
    found = read_published("invariance", table, 1)
    before, after = (100 - found[(name,), column].mean for name in ("SER_only", system))
    assert round(100 * (before - after) / before, 1) == gain


def test_controls_are_rows_of_their_own():
    layout = plan({"controls": CONTROLS}, corpora=REAL).layout("table2")
    added = layout.rows[4:]
    assert names(added) == [
        ("Random perturbation",), ("SVC on mean and deviation",), ("Chance",), ("Majority class",)
    ]  # fmt: skip
    assert [row.where for row in added] == [
        {"system": "cgt_random"},
        {"system": "svc"},
        {"system": "ser_only", "predicted": "chance"},
        {"system": "ser_only", "predicted": "majority"},
    ]
    assert all(row.reasons == ("not a row of the paper",) for row in added)
    assert plan({"systems": ["mtl"], "controls": ["chance"]}).layout("table2").rows[1].where["system"] == "mtl"
    assert plan({"systems": ["mtl"]}).layout("table2").rows[0].baseline is None


def test_other_corpora_than_the_papers_are_not_compared():
    asked = {"corpus": "emodb", "many_speakers": {"corpus": "iemocap"}}
    for table in ("table2", "table3"):
        for column in plan(asked, corpora=REAL).layout(table).columns:
            assert "not the paper's corpus" in column.reasons
    for table in ("table2", "table3"):
        reasons = [column.reasons for column in plan(corpora=REAL).layout(table).columns]
        assert reasons == [(), (), ("UAR is not in the paper",), ("UAR is not in the paper",)]


def test_validation_and_test_speakers_stand_in_their_own_columns(tmp_path):
    """WA and UA, validation and test, each another number; folds are pooled."""
    found = plan({"systems": ["ser_only"]}, corpora=REAL)
    shares = {"val": 0.9, "test": 0.3}
    results = [
        fit(0, fold, of_roles={(role, "prediction"): share(shares[role], n) for role in shares})
        for fold, n in (("1-F", 30), ("2-F", 30))
    ]
    results[1].tallies["test", "prediction"].hits[:] = [0, 10, 10]
    path = write_cell(tmp_path, Cell("ser_only", "iemocap", "main")._asdict(), results, study="invariance").metrics
    layout = found.layout("table2")
    filled = fill(layout, read_runs([path]))
    heading, lines = in_shape(filled, {})
    assert heading == ["System", "IEMOCAP Val", "IEMOCAP Test", "IEMOCAP Val UAR", "IEMOCAP Test UAR"]
    assert lines == [["SER_only", "90.00", "48.33", "90.00", "48.33"]]
    heading, lines = beside_paper(filled, read_published("invariance", "table2", 1))
    compared = {line[1]: dict(zip(heading, line, strict=True)) for line in lines}
    paper = [(line["paper"], line["paper_std"], line["difference"]) for line in compared.values()]
    assert paper == [("57.00", "1.00", "33.00"), ("53.90", "1.00", "-5.57"), ("", "", ""), ("", "", "")]


def test_the_search_is_scored_on_validation_speakers_alone():
    layout = plan({"search": SEARCH}, corpora=REAL).layout("search")
    assert names(layout.rows) == [
        ("SER_SR_MTL", "weight 0.25"), ("SER_SR_MTL", "weight 2"), ("SER_SR_DAT", "strength 0.5"),
        ("SER_SR_CGT", "epsilon 4"), ("SER_SR_CGT", "epsilon 0.125"),
    ]  # fmt: skip
    assert [(column.where["role"], column.where["measure"]) for column in layout.columns] == [
        ("val", "wa"),
        ("val", "ua"),
    ]
    assert all(heading.reasons for heading in (*layout.rows, *layout.columns))


def test_probes_read_trained_and_untrained_embeddings_and_the_features():
    found = plan(corpora=REAL)
    measures = {
        (full_name(column), column.where["corpus"], column.where["role"], column.where["measure"])
        for column in found.layout("probe").columns
    }
    assert {
        (f"{title} {said}", corpus, "probe", f"{what}_wa")
        for title, corpus in (("IEMOCAP", "iemocap"), ("SpeechOcean Mandarin", "mandarin"))
        for said, what in (
            ("embeddings", "speaker"),
            ("embeddings, untrained", "untrained_speaker"),
            ("MFCC", "input_speaker"),
        )
    } <= measures
    assert names(found.layout("probe").rows) == [(name,) for name in TITLES]


def test_the_numbers_of_speakers_are_columns_scored_on_the_test_speakers():
    layout = plan({"speaker_counts": [8, 32]}, corpora=REAL).layout("speakers")
    assert [(column.name[1], column.where) for column in layout.columns] == [
        ("8 speakers", {"variant": "speakers-8"}),
        ("32 speakers", {"variant": "speakers-32"}),
    ]
    assert layout.where == {"corpus": "mandarin", "role": "test", "measure": "wa"}


@pytest.mark.parametrize("asked", [{}, {"systems": ["dat", "ser_only"], "controls": CONTROLS}, {"corpus": "emodb"}])
@pytest.mark.parametrize("table", TABLES)
def test_a_layout_takes_in_exactly_the_cells_of_its_table(table, asked):
    found = plan(asked)
    layout = found.layout(table)
    assert Layout.from_json(json.loads(json.dumps(layout.to_json()))) == layout
    taken = set()
    for row, column in itertools.product(layout.rows, layout.columns):
        where = {**layout.where, **row.where, **column.where}
        taken.add(Cell(*(where[name] for name in Cell._fields)))
    assert taken == set(found.cells(table))


# Where it is not the paper's


def test_the_papers_own_settings_depart_in_nothing():
    found = plan({"controls": CONTROLS}, corpora=REAL)
    assert [found.departures(corpus) for corpus in found.corpora()] == [[], []]
    for table in ("table2", "table3", "probe", "speakers"):
        assert not any(found.layout(table).departures.values())


def test_a_stand_ins_own_settings_are_named():
    said = ["learning rate 0.01, the paper's 0.001", f"batch size 8, by default 32 {OPEN}"]
    found = plan(corpora=corpora(iemocap="/data/iemocap"))
    assert found.departures("mandarin") == [*said, "epochs 6, the paper's 100"]
    found = plan(corpora=corpora(mandarin="/data/mandarin"))
    assert found.departures("iemocap") == [*said, "epochs 12, the paper's 100"]


@pytest.mark.parametrize(
    ("invariance", "features", "said"),
    [
        ({"style": "all"}, {}, "recordings of IEMOCAP all, the paper's improvised"),
        ({"held_out": "pair"}, {}, "held out pair, the paper's session"),
        ({"validates": "M"}, {}, f"speakers who validate M, by default F {OPEN}"),
        ({"speakers": 4}, {}, "speakers of training 4, the paper's unset"),
        ({"folds_used": "first"}, {}, "folds first, the paper's all"),
        ({"cmvn": "none"}, {}, f"normalisation none, by default train_global {OPEN}"),
        ({"model": {"tdnn": [[8, 5, 2], [64, 3, 4]]}}, {}, "TDNN 8-5-2 64-3-4, the paper's 128-5-2 64-3-4"),
        ({"model": {"lstm": 8}}, {}, "units of the LSTM 8, the paper's 64"),
        ({"model": {"fc": 8}}, {}, "units of FC 8, the paper's 256"),
        ({"model": {"head": 8}}, {}, "units of heads 8, the paper's 64"),
        ({"model": {"dropout": 0.2}}, {}, "dropout 0.2, the paper's 0.5"),
        ({"model": {"dropout_mask": "frame"}}, {}, f"mask of dropout frame, by default utterance {OPEN}"),
        ({"training": {"learning_rate": 0.01}}, {}, "learning rate 0.01, the paper's 0.001"),
        ({"training": {"momentum": 0.5}}, {}, "Nesterov momentum 0.5, the paper's 0.9"),
        ({"training": {"batch_size": 16}}, {}, f"batch size 16, by default 32 {OPEN}"),
        ({"training": {"epochs": 9}}, {}, "epochs 9, the paper's 100"),
        ({"training": {"precision": "bf16"}}, {}, f"precision bf16, by default fp32 {OPEN}"),
        ({"mtl": {"weight": 1}}, {}, f"MTL's weight of the speaker's loss 1, by default 0.3 {OPEN}"),
        ({"dat": {"strength": 1}}, {}, f"DAT's lambda 1, by default 0.3 {OPEN}"),
        ({"dat": {"schedule": "constant"}}, {}, f"DAT's schedule of lambda constant, by default ramp {OPEN}"),
        ({"cgt": {"epsilon": 1}}, {}, f"CGT's epsilon 1, by default 0.5 {OPEN}"),
        ({"cgt": {"alpha": 1}}, {}, f"CGT's alpha 1, by default 0.5 {OPEN}"),
        ({"cgt": {"clip": None}}, {}, f"bound of CGT's gradients unset, by default 0.1 {OPEN}"),
        ({}, {"mfcc_kaldi": {"delta_order": 1}}, "order of deltas 1, the paper's 2"),
        ({}, {"energy_vad": {"threshold": 4.0}}, f"threshold of the VAD 4, by default 5.5 {OPEN}"),
    ],
)
def test_every_setting_that_departs_is_said(invariance, features, said):
    default = Config().as_json()["features"]
    changed = {name: {**default[name], **own} for name, own in features.items()}
    found = plan(invariance, corpora=REAL, features={**default, **changed})
    assert found.departures("iemocap") == [said]


def test_short_mantissas_are_said():
    said = f"bits of the features' mantissas 12, by default unset {OPEN}"
    found = plan(corpora=REAL, stores={"mantissa_bits": 12})
    assert [found.departures(corpus) for corpus in found.corpora()] == [[said], [said]]


@pytest.mark.parametrize(
    ("many", "said"),
    [
        ({"split": "speaker"}, ["split of the many speakers speaker, "]),
        ({"draw": 1}, ["draw of the split 1, by default 0"]),
        (
            {"model": {"tdnn": [[128, 5, 2], [128, 3, 4]], "lstm": 64, "fc": 512, "head": 128}},
            ["units of the LSTM 64, the paper's 128"],
        ),
        (
            {"model": {}},
            [
                "TDNN 128-5-2 64-3-4, the paper's 128-5-2 128-3-4",
                "units of the LSTM 64, the paper's 128",
                "units of FC 256, the paper's 512",
                "units of heads 64, the paper's 128",
            ],
        ),
    ],
)
def test_settings_of_the_many_speakers_are_held_against_their_own_of_the_paper(many, said):
    found = plan({"many_speakers": many}, corpora=REAL)
    departed = found.departures("mandarin")
    assert len(departed) == len(said)
    assert all(one.startswith(start) for one, start in zip(departed, said, strict=True))
    assert found.departures("iemocap") == []


def test_what_no_cell_of_a_corpus_reads_is_no_departure():
    asked = {"systems": ["ser_only", "mtl"], "cgt": {"alpha": 1}, "dat": {"strength": 1}}
    assert plan(asked, corpora=REAL).departures("iemocap") == []
    assert plan({"style": "all", "validates": "M", "model": {"fc": 9}}, corpora=REAL).departures("mandarin") == []
    assert plan({"search": SEARCH, "speaker_counts": [4]}, corpora=REAL).departures("iemocap") == []


def test_a_search_of_systems_that_it_tries_no_values_of_says_so():
    """Such a table would be a heading alone."""
    for systems in (["ser_only"], ["mtl"], ["ser_only", "cgt"]):
        found = plan({"systems": systems})
        assert (found.why_no_table("search") is None) is bool(found.layout("search").rows) is (systems != ["ser_only"])
        assert all(found.layout(table).rows for tables in found.tables for table in tables if table != "search")
    assert "it tries values of mtl, dat, cgt" in plan({"systems": ["ser_only"]}).why_no_table("search")
