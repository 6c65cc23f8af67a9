"""What the rules ask of the DLC study: its cells, what each reads, its tables, and where it is not the paper's."""

import itertools
import json
from pathlib import Path

import pytest

from serflow.config import Config, check_config
from serflow.errors import ConfigError
from serflow.features import mfb
from serflow.fingerprint import imported_modules
from serflow.report.headings import Heading, Layout, printed_name
from serflow.studies.departures import Open, Stated, flat
from serflow.studies.dlc.catalog import method_info, method_names
from serflow.studies.dlc.options import DECODER_STRIDES, ModelOptions, Options
from serflow.studies.dlc.plan import CORPORA, GAIN, PROFILES, ROWS, Cell, Plan
from serflow.studies.dlc.settings import PAPER, Dlc

REAL = {name: {"root": f"/data/{name}"} for name in (*CORPORA, "emodb")}
ALL_CONTROLS = [
    "single_clean", "oracle_gate", "single_wide", "single_shuffled", "svc", "chance", "majority"
]  # fmt: skip
PRINTED = {
    "1": ["Single", "MoE-SLC", "MoE-DLC", "HFFN-Single", "HFFN-MoE-DLC"],
    "2": [
        "Single", "MoE-SLC", "MoE-DLC", "DANN", "MADDoG", "DSN-SLC", "DSN-DLC", "HFFN-Single", "HFFN-DSN-DLC",
    ],
}  # fmt: skip


def plan(dlc=None, **sections) -> Plan:
    found = check_config({"dlc": dlc or {}, **sections}).plans()["dlc"]
    assert isinstance(found, Plan)
    return found


def real(dlc=None, **sections) -> Plan:
    """The plan for corpora that are no stand-ins, which have settings of their own."""
    corpora = {**Config().as_json()["corpora"], **REAL}
    corpora["mandarin"]["features"] = None
    return plan(dlc, corpora=corpora, **sections)


def names(headings: list[Heading]) -> list[tuple[str, ...]]:
    return [heading.name for heading in headings]


# What is trained


@pytest.mark.parametrize("method", method_names())
@pytest.mark.parametrize("experiment", ["exp1", "exp2"])
def test_no_cell_is_of_an_experiment_that_its_method_is_no_part_of(experiment, method):
    found, parts = plan({"controls": ALL_CONTROLS}), method_info(method).experiments
    why = found.why_no_cell([experiment, method, "iemocap", "h1"])
    assert (why is None) is (experiment in parts)
    assert why is None or why.endswith(f"ask for {parts[0]}/{method}/iemocap/h1")
    assert experiment in parts or (experiment, method) not in {cell[:2] for cell in found.cells()}


def test_cells_are_the_papers_rows_on_its_corpora_in_its_profiles():
    found = plan({"controls": []})
    cells = found.cells()
    for ending in ("", GAIN):
        assert len(found.cells(f"table1{ending}")) == 14 * 9
        assert len(found.cells(f"noise_classifier{ending}")) == 2 * 9
    tables = [table for tables in found.tables for table in tables]
    assert cells == [cell for table in tables for cell in found.cells(table)]
    assert len(set(cells)) == len(cells)
    assert cells[:2] == [Cell("exp1", "single", "msp_improv", "h1"), Cell("exp1", "single", "msp_improv", "h2")]


@pytest.mark.parametrize("methods", [["single"], ["dann", "maddog", "hffn_single"]])
def test_no_noise_classifier_is_trained_where_nothing_is_routed(methods):
    found = plan({"methods": methods, "controls": ALL_CONTROLS})
    trained = {"single_clean", "single_wide", "single_shuffled", "svc"}
    assert {cell.method for cell in found.cells()} == {*methods, *trained}
    assert found.tables == [["table1"], ["table1_gain"]]
    assert found.cells("noise_classifier") == []


def test_both_readings_of_the_papers_levels_have_tables_of_the_same_rows():
    found = plan(corpora={**Config().as_json()["corpora"], **REAL})
    assert found.tables == [["table1", "noise_classifier"], ["table1_gain", "noise_classifier_gain"]]
    for name in ("table1", "noise_classifier"):
        text, gain = found.layout(name), found.layout(name + GAIN)
        assert gain.rows == text.rows
        assert (text.printed, gain.printed) == (name, name)
        for one, other in zip(text.columns, gain.columns, strict=True):
            assert (one.reasons, printed_name(one)) == (other.reasons, printed_name(other))
            assert other.name[-1] in (f"{one.name[-1]}{GAIN}", "Overall")
        said = ["optimiser adam, the paper's adadelta"]
        assert (text.departures["mosei"], gain.departures["mosei"]) == (
            said, ["mixing authors_gain, the paper's snr", *said],
        )  # fmt: skip
    assert {cell.profile for cell in found.cells("table1_gain")} == {"h1_gain", "h2_gain", "h3_gain"}
    assert plan({"gain_profiles": []}).tables == [["table1", "noise_classifier"]]


def test_levels_of_a_profile_of_gain_are_held_against_the_papers():
    profiles = Config().as_json()["noise"]["profiles"]
    profiles["h2_gain"]["human"] = -6
    found = plan(noise={"profiles": profiles})
    assert "h2's SNR of human noise -6, the paper's -5" in found.layout("table1_gain").departures["iemocap"]
    assert not any("h2's SNR" in said for said in found.layout("table1").departures["iemocap"])
    mixed = plan({"profiles": ["h1", "h2_gain", "h3"]}).layout("table1")
    assert "mixing authors_gain and snr, the paper's snr" in mixed.departures["iemocap"]


def test_a_page_shows_both_readings_each_beside_the_papers():
    targets = plan().targets()
    assert len(set(targets)) == len(targets)
    tables = [path for path in targets if path.endswith(".csv") and not path.endswith(("_paper.csv", "_intervals.csv"))]
    assert tables[:2] == ["results/dlc/table1.csv", "results/dlc/table1_gain.csv"]
    assert {f"results/dlc/{table}.csv" for tables in plan().tables for table in tables} <= set(tables)
    assert {"results/dlc/table1_intervals.csv", "results/dlc/table1_gain_intervals.csv"} <= set(targets)
    assert not any(GAIN in path for path in plan({"gain_profiles": []}).targets())
    assert not any(GAIN in path for path in plan().beside_table1())
    assert plan().protocol()["mixing of table1_gain"] == "authors_gain"


def test_figure_4_is_of_methods_alone():
    controlled, plain = plan({"controls": ALL_CONTROLS}), plan({"controls": []})
    assert controlled.figure4_cells() == plain.figure4_cells() == plain.cells("table1")
    assert controlled.figure4_layout() == plain.figure4_layout() == plain.layout("table1")
    assert len(controlled.layout("table1").rows) > len(plain.layout("table1").rows)


def test_a_control_hears_the_clean_audio():
    found = plan()
    clean, single = (Cell("exp1", method, "iemocap", "h2") for method in ("single_clean", "single"))
    assert (found.heard(clean), found.heard(single)) == ("clean", "h2")
    assert [cell for cell in found.cells("table1") if found.heard(cell) == "clean"] == [
        Cell("exp1", "single_clean", corpus, profile) for corpus in CORPORA for profile in PROFILES
    ]


def test_noise_classifiers_are_trained_where_a_method_is_routed_by_them():
    found = plan({"methods": ["single", "hffn_moe_dlc"], "corpora": ["iemocap", "emodb"], "profiles": ["h1"]})
    assert found.cells("noise_classifier") == [Cell("exp1", "noise_classifier", "iemocap", "h1")]
    assert names(found.layout("noise_classifier").columns) == [("IEMOCAP", "h1"), ("Overall", "h1"), ("Overall",)]
    both = plan({"methods": ["dsn_dlc", "hffn_moe_dlc"], "corpora": ["iemocap", "emodb"], "profiles": ["h1"]})
    assert {(cell.experiment, cell.corpus) for cell in both.cells("noise_classifier")} == {
        ("exp1", "iemocap"),
        ("exp2", "iemocap"),
        ("exp2", "emodb"),
    }
    first, second = both.layout("noise_classifier").rows
    assert (first.without, second.without) == ({"emodb": "no method with experts"}, {})


def test_the_gate_of_a_cell_is_one_of_the_cells():
    cells = set(plan().cells())
    for cell in cells:
        gate = plan().gate(cell)
        assert (gate in cells) == method_info(cell.method).routes
    assert plan().gate(Cell("exp2", "moe_dlc", "mosei", "h2")) == Cell("exp2", "noise_classifier", "mosei", "h2")


def test_multimodal_methods_are_trained_where_there_are_turns():
    found = plan({"corpora": ["iemocap", "emodb"], "controls": ["single_wide", "chance"]})
    assert found.corpora_of("single") == ["iemocap", "emodb"]
    assert found.corpora_of("hffn_single") == ["iemocap"]
    assert found.settings.trained_methods()[-1] == "single_wide"
    assert found.text_feature(Cell("exp1", "hffn_single", "iemocap", "h1")) == "bert_deepspeech"
    assert found.text_feature(Cell("exp1", "single", "iemocap", "h1")) is None
    assert found.transcripts() == "deepspeech"
    unimodal = plan({"corpora": ["iemocap"], "methods": ["single"]})
    assert unimodal.multimodal_corpora() == []
    assert unimodal.transcripts() is None


def test_a_real_root_gets_the_papers_settings_and_a_stand_in_its_own():
    found = plan(corpora={**Config().as_json()["corpora"], "iemocap": REAL["iemocap"]})
    real, stand_in = (Cell("exp1", "single", corpus, "h1") for corpus in ("iemocap", "mosei"))
    assert found.runs("iemocap") == [0, 1, 2]
    assert found.options(real)["model"]["maps"] == 128
    assert found.options(real)["training"]["max_epochs"] == 1000
    assert found.runs("mosei") == [0]
    assert found.options(stand_in)["model"]["maps"] == 16
    own = found.settings.stand_in
    training = found.options(stand_in)["training"]
    for name in ("max_epochs", "batch_size", "learning_rate"):
        assert training[name] == getattr(own, name) != found.options(real)["training"][name]


def test_an_experiment_alone_has_its_cells_and_rows():
    found = plan({"experiments": ["exp1"], "methods": ["single", "moe_dlc"], "controls": ["oracle_gate", "svc"]})
    assert {cell.experiment for cell in found.cells()} == {"exp1"}
    assert {cell.method for cell in found.cells()} == {"single", "moe_dlc", "svc", "noise_classifier"}
    assert names(found.layout("table1").rows) == [
        ("1", "Single"), ("1", "MoE-DLC"), ("1", "SVC on mean and deviation"), ("1", "MoE-DLC (oracle gate)"),
    ]  # fmt: skip
    assert names(found.layout("noise_classifier").rows) == [("1",)]
    held_out = plan({"experiments": ["exp2"], "methods": ["single", "dann"], "controls": ["oracle_gate", "chance"]})
    assert names(held_out.layout("table1").rows) == [("2", "Single"), ("2", "DANN"), ("2", "Chance")]
    assert plan({"experiments": ["exp2", "exp1"]}).layout("table1") == plan().layout("table1")


def test_a_method_of_no_experiment_that_is_asked_for_is_refused():
    with pytest.raises(
        ConfigError, match=r"dlc\.methods\.1: dann is part of exp2 alone; .* add exp2 to dlc\.experiments"
    ):
        plan({"experiments": ["exp1"], "methods": ["single", "dann"]})


# What a cell reads


@pytest.mark.parametrize("method", method_names())
def test_options_of_every_method_are_what_the_training_reads(method):
    cell = Cell(method_info(method).experiments[0], method, "iemocap", "h1")
    found = real({"model": {"kernel": 5}, "dsn": {"similarity": 0.5}, "hffn": "staged"})
    options = found.options(cell)
    assert json.loads(json.dumps(options)) == options
    assert Options.model_validate(options).as_json(method_info(method).options) == options
    assert options.get("model", {}).get("kernel") == (5 if method_info(method).network else None)


DSN = {"dsn_slc", "dsn_dlc", "hffn_dsn_dlc"}
HFFN = {"hffn_single", "hffn_moe_dlc", "hffn_dsn_dlc"}
NETWORKS = {name for name in method_names() if method_info(name).network}
ALL = set(method_names())


@pytest.mark.parametrize(
    ("changed", "methods"),
    [
        ({"maddog": {"weight": 0.5}}, {"maddog"}),
        ({"maddog": {"critic_batches": 2}}, {"maddog"}),
        ({"adversary": {"weight": 0.5}}, {"dann"}),
        ({"adversary": {"ramp_epochs": 5}}, {"dann", *DSN}),
        ({"dsn": {"task_code": "combined"}}, DSN),
        ({"hffn": "staged"}, HFFN),
        ({"staged": {"fusion_dialogues": 5}}, set()),
        ({"iemocap_labels": "hap_only"}, ALL - {"noise_classifier"}),
        ({"training": {"reconstruction_weight": 0.5}}, NETWORKS - DSN - {"noise_classifier"}),
        ({"model": {"dropout": 0.2}}, NETWORKS - HFFN | {"hffn_dsn_dlc"}),
        ({"model": {"readout": "mean_std"}}, NETWORKS),
        ({"training": {"patience": 5}}, NETWORKS),
        ({"feature": "mfcc", "seeds": [7], "controls": ["chance"]}, set()),
    ],
)
def test_a_change_of_an_option_changes_the_methods_that_read_it_alone(changed, methods):
    before, after = real(), real(changed)
    cells = [Cell(method_info(name).experiments[0], name, "iemocap", "h1") for name in method_names()]
    assert {cell.method for cell in cells if before.options(cell) != after.options(cell)} == methods


def test_a_change_of_the_stages_is_read_where_there_are_stages():
    staged = {"hffn": "staged", "staged": {"lexical_epochs": 5}}
    before, after = real({"hffn": "staged"}), real(staged)
    cells = [Cell(method_info(name).experiments[0], name, "iemocap", "h1") for name in method_names()]
    assert {cell.method for cell in cells if before.options(cell) != after.options(cell)} == HFFN


def test_labels_of_iemocap_are_an_option_of_iemocap_alone():
    found = plan()
    assert "iemocap_labels" in found.options(Cell("exp1", "single", "iemocap", "h1"))
    assert "iemocap_labels" not in found.options(Cell("exp1", "single", "mosei", "h1"))


def test_the_pilot_trains_twenty_epochs_of_single():
    options = plan().pilot_options("iemocap", "adadelta")
    single = plan().options(Cell("exp1", "single", "iemocap", "h1"))
    said = {"optimizer": "adadelta", "learning_rate": 1e-3, "max_epochs": 20, "patience": 20}
    assert options == {**single, "training": {**single["training"], **said}}


def test_trainings_know_no_section_but_their_options(repository: Path):
    found = imported_modules(repository / "src", "serflow.studies.dlc.options")
    assert [name for name in found if "settings" in name] == ["serflow.settings", "serflow.settings.base"]
    trained = imported_modules(repository / "src", "serflow.stages.train", "serflow.studies.dlc.train")
    assert not {"serflow.studies.dlc.settings", "serflow.studies.dlc.plan", "serflow.settings.data"} & set(trained)


def test_every_pooling_can_be_undone():
    for pool in DECODER_STRIDES:
        assert ModelOptions(pool=pool).pool == pool
    assert ModelOptions.model_json_schema()["properties"]["pool"]["enum"] == list(DECODER_STRIDES)


# Tables


def test_table1_has_the_papers_rows_and_columns_by_name():
    layout = plan({"controls": []}).layout("table1")
    assert names(layout.rows) == [(number, title) for number, titles in PRINTED.items() for title in titles]
    corpora = [(title, profile) for title in ("MSP-Improv", "IEMOCAP", "CMU-MOSEI") for profile in PROFILES]
    assert names(layout.columns) == [*corpora, *(("Overall", profile) for profile in PROFILES), ("Overall",)]
    assert layout.corner == ("Experiment", "Method")
    assert not any(heading.reasons or heading.without for heading in [*layout.rows, *layout.columns])
    assert layout.rows[0].where == {"experiment": "exp1", "method": "single", "measure": "ua"}
    assert layout.columns[-1].where == {"corpus": list(CORPORA), "profile": list(PROFILES)}
    assert layout.columns[-2].where == {"corpus": list(CORPORA), "profile": "h3"}


def test_the_papers_rows_come_first_whatever_the_order_of_the_config():
    layout = plan({"methods": ["dsn_dlc", "moe_dlc", "single"], "controls": ["single_shuffled", "single_wide"]})
    rows = names(layout.layout("table1").rows)
    assert rows == [
        ("1", "Single"), ("1", "MoE-DLC"), ("1", "Single (shuffled labels)"), ("1", "Single (width-matched)"),
        ("2", "Single"), ("2", "MoE-DLC"), ("2", "DSN-DLC"), ("2", "Single (shuffled labels)"),
        ("2", "Single (width-matched)"),
    ]  # fmt: skip


def test_clean_audio_and_chance_are_rows_by_default():
    rows = {row.name for row in plan().layout("table1").rows}
    assert rows == {
        *((number, title) for number, titles in PRINTED.items() for title in titles),
        ("1", "Single (clean audio)"), ("1", "Chance"), ("2", "Chance"),
    }  # fmt: skip


def test_controls_are_rows_of_their_own():
    rows = {row.name: row for row in plan({"controls": ALL_CONTROLS}).layout("table1").rows}
    added = [name for name in rows if name[1] not in PRINTED[name[0]]]
    trained = ["Single (width-matched)", "Single (shuffled labels)", "SVC on mean and deviation"]
    assert [title for number, title in added if number == "1"] == [
        "Single (clean audio)", *trained, "Chance", "HFFN-MoE-DLC (oracle gate)", "Majority class",
        "MoE-DLC (oracle gate)", "MoE-SLC (oracle gate)",
    ]  # fmt: skip
    assert [title for number, title in added if number == "2"] == [*trained, "Chance", "Majority class"]
    assert all(rows[name].reasons == ("not a row of the paper",) for name in added)
    assert rows["1", "MoE-DLC (oracle gate)"].where == {
        "experiment": "exp1",
        "method": "moe_dlc",
        "measure": "oracle_ua",
    }
    assert rows["2", "Chance"].where == {"experiment": "exp2", "method": "single", "measure": "chance_ua"}
    assert rows["1", "Majority class"].where["measure"] == "majority_ua"
    assert [rows["1", title].baseline for title in ("Chance", "MoE-DLC (oracle gate)")] == [None, None]


def test_chance_is_read_off_another_method_where_single_is_not_trained():
    rows = plan({"methods": ["dann", "hffn_single"], "controls": ["chance"]}).layout("table1").rows
    assert [(row.name, row.where["method"]) for row in rows if row.where["measure"] == "chance_ua"] == [
        (("1", "Chance"), "hffn_single"),
        (("2", "Chance"), "dann"),
    ]


def test_baselines_are_single_and_for_multimodal_methods_hffn_single():
    rows = {row.name: row.baseline for row in plan({"controls": ["single_wide"]}).layout("table1").rows}
    for (number, title), baseline in rows.items():
        alone = title in ("Single", "HFFN-Single")
        assert baseline == (None if alone else (number, "HFFN-Single" if title.startswith("HFFN") else "Single"))
    assert plan({"methods": ["moe_dlc"]}).layout("table1").rows[0].baseline is None


def test_multimodal_rows_have_no_value_without_turns():
    layout = plan({"corpora": ["emodb", "iemocap"], "controls": ["oracle_gate"]}).layout("table1")
    for row in layout.rows:
        multimodal = row.name[1].startswith("HFFN")
        assert row.without == ({"emodb": "no turns in dialogues"} if multimodal else {})
    # a row that no corpus has is there all the same; nothing is routed in it
    rows = plan({"corpora": ["emodb"], "controls": ["oracle_gate"]}).layout("table1").rows
    assert {row.name[1] for row in rows if row.without} == {"HFFN-Single", "HFFN-MoE-DLC", "HFFN-DSN-DLC"}


def test_what_the_paper_does_not_have_is_said():
    profiles = {**Config().as_json()["noise"]["profiles"], "quiet": {"natural": 5, "interior": 5, "human": 5}}
    found = plan({"corpora": ["iemocap", "emodb"], "profiles": ["h1", "quiet"]}, noise={"profiles": profiles})
    reasons = {column.name: column.reasons for column in found.layout("table1").columns}
    assert reasons == {
        ("IEMOCAP", "h1"): (),
        ("IEMOCAP", "quiet"): ("not a profile of the paper",),
        ("EmoDB", "h1"): ("not a corpus of the paper",),
        ("EmoDB", "quiet"): ("not a profile of the paper", "not a corpus of the paper"),
        ("Overall", "h1"): ("not the paper's three corpora",),
        ("Overall", "quiet"): ("not a profile of the paper", "not the paper's three corpora"),
        ("Overall",): ("not the paper's three profiles", "not the paper's three corpora"),
    }


def test_the_paper_prints_one_accuracy_of_noise_classifiers():
    layout = plan().layout("noise_classifier")
    printed = [
        (row.name, column.name)
        for row, column in itertools.product(layout.rows, layout.columns)
        if not row.reasons and not column.reasons
    ]
    assert printed == [(("1",), ("Overall",))]
    assert layout.where == {"method": "noise_classifier", "measure": "wa"}
    assert names(layout.rows) == [("1",), ("2",)]


@pytest.mark.parametrize("corpora", [list(CORPORA), ["iemocap", "emodb"], ["emodb"]])
@pytest.mark.parametrize("table", ["table1", "noise_classifier", "table1_gain", "noise_classifier_gain"])
def test_a_layout_takes_in_exactly_the_cells_of_its_table(table, corpora):
    found = plan({"corpora": corpora, "controls": ALL_CONTROLS, "profiles": ["h1", "h3"]})
    layout = found.layout(table)
    assert Layout.from_json(json.loads(json.dumps(layout.to_json()))) == layout
    taken = set()
    for row, column in itertools.product(layout.rows, layout.columns):
        where = {**layout.where, **row.where, **column.where}
        values = [[where[name]] if isinstance(where[name], str) else where[name] for name in Cell._fields]
        taken |= {cell for cell in map(Cell._make, itertools.product(*values)) if cell.corpus not in row.without}
    assert taken == set(found.cells(table))


def test_rows_of_the_paper_are_methods_with_their_experiments():
    for experiment, methods in ROWS.items():
        assert all(experiment in method_info(method).experiments for method in methods)


# Where it is not the paper's


def test_every_setting_is_either_the_papers_or_open_or_none():
    """A new option, feature parameter or noise setting has to be put down in PAPER."""
    data = Config()
    networks = {name: data.backbones[name].as_json() for name in ("deepspeech", "wav2vec2_ctc", "bert")}
    whole = {
        **Dlc().as_json(),
        **data.as_json(["stores", "transcripts"]),
        "noise": {**data.noise.as_json(), "profiles": {name: data.noise.profiles[name].snrs() for name in PROFILES}},
        "features": {"mfb": mfb.DEFAULTS},
        "backbones": networks,
    }
    assert {key for key, _ in flat(whole)} == set(PAPER)


def test_open_choices_and_defaults_agree():
    """Of all that the paper states, only the optimiser is another by default."""
    data = Config()
    whole = {**Dlc().as_json(), **data.as_json(["noise", "features.mfb", "stores", "transcripts", "backbones"])}
    here = dict(flat(whole))
    told = {key: said for key, said in PAPER.items() if said is not None}
    assert [key for key, said in told.items() if isinstance(said, Open) and here[key] != said.default] == []
    assert [key for key, said in told.items() if isinstance(said, Stated) and here[key] != said.value] == [
        "training.optimizer"
    ]


def test_the_papers_own_settings_depart_in_nothing():
    found = plan({"training": {"optimizer": "adadelta"}}, corpora={**Config().as_json()["corpora"], **REAL})
    assert found.layout("table1").departures == {corpus: [] for corpus in CORPORA}
    adam = plan(corpora={**Config().as_json()["corpora"], **REAL})
    assert adam.departures("iemocap") == ["optimiser adam, the paper's adadelta"]


def test_a_stand_ins_own_settings_are_named():
    assert plan().departures("iemocap") == [
        "maps 16, the paper's 128",
        "kernel 8, the paper's 16",
        "HFFN staged, the paper's end_to_end",
        "learning rate of the lexical stage 0.0015, by default unset (the paper does not say)",
        "epochs of the lexical stage 8, by default unset (the paper does not say)",
        "learning rate of the fusion 0.01, by default 0.001 (the paper does not say)",
        "epochs of the fusion 6, by default unset (the paper does not say)",
        "dialogues in a batch of the fusion 4, by default 10 (the paper does not say)",
        "optimiser adam, the paper's adadelta",
        "learning rate 0.003, the paper's 0.001",
        "batch size 8, the paper's 32",
        "epochs at most 6, the paper's 1000",
    ]


@pytest.mark.parametrize(
    ("dlc", "sections", "said"),
    [
        ({"model": {"kernel": 8}}, {}, "kernel 8, the paper's 16"),
        ({"model": {"dilations": [1, 1, 1]}}, {}, "dilations 1 1 1, the paper's 1 2 4"),
        ({"model": {"pool": 2}}, {}, "pooling 2, the paper's 4"),
        ({"model": {"hidden": 64}}, {}, "units of dense layers 64, the paper's 128"),
        ({"model": {"dropout": 0.2}}, {}, "dropout 0.2, by default 0 (the paper does not say)"),
        (
            {"model": {"instance_norm": True}},
            {},
            "instance normalisation true, by default false (the paper does not say)",
        ),
        ({"training": {"class_weights": False}}, {}, "class weights false, by default true (the paper does not say)"),
        ({"training": {"precision": "bf16"}}, {}, "precision bf16, by default fp32 (the paper does not say)"),
        ({"training": {"precision": "tf32"}}, {}, "precision tf32, by default fp32 (the paper does not say)"),
        ({"maddog": {"weight": 1}}, {}, "MADDoG's weight of the critic 1, by default 0.1 (the paper does not say)"),
        ({"dsn": {"task_code": "combined"}}, {}, "DSN reads the emotion from its code combined, the paper's shared"),
        ({"iemocap_labels": "hap_only"}, {}, "labels of IEMOCAP hap_only, by default merged (the paper does not say)"),
        ({"hffn": "staged"}, {}, "HFFN staged, the paper's end_to_end"),
        (
            {"hffn": "staged", "staged": {"fusion_dialogues": 5}},
            {},
            "dialogues in a batch of the fusion 5, by default 10 (the paper does not say)",
        ),
        ({"asr": "reference"}, {}, "transcripts by reference, the paper's deepspeech"),
        ({"split": "speaker"}, {}, "split by speaker, the paper's dialogue"),
        ({"feature": "mfcc"}, {}, "features mfcc, the paper's mfb"),
        ({}, {"features": {"mfb": {"n_mels": 64}}}, "mel bands 64, the paper's 40"),
        (
            {"feature": "mine"},
            {"features": {"mine": {"extractor": "mfb", "hop_length": 80}}},
            "samples from frame to frame 80, by default 160 (the paper does not say)",
        ),
        ({}, {"noise": {"mixing": "authors_gain"}}, "mixing authors_gain, the paper's snr"),
        ({}, {"noise": {"clips": "by_fold"}}, "noise clips by_fold, the paper's shared"),
        (
            {},
            {"stores": {"mantissa_bits": 12}},
            "bits of the features' mantissas 12, by default unset (the paper does not say)",
        ),
        (
            {},
            {"transcripts": {"deepspeech": {"beam_width": 64}}},
            "DeepSpeech's beam width 64, by default unset (the paper does not say)",
        ),
    ],
)
def test_every_setting_that_departs_is_said(dlc, sections, said):
    found = real(dlc, **sections).departures("iemocap")
    assert said in found
    before = real({"hffn": "staged"} if "staged" in dlc else {})
    assert len(found) == len(before.departures("iemocap")) + 1


def test_a_stand_ins_own_setting_is_held_against_the_papers():
    found = plan(
        {"training": {"learning_rate": 0.01}}, corpora={**Config().as_json()["corpora"], "mosei": REAL["mosei"]}
    )
    assert "learning rate 0.01, the paper's 0.001" in found.departures("mosei")
    assert "learning rate 0.003, the paper's 0.001" in found.departures("iemocap")


def test_levels_of_the_papers_profiles_are_said_where_they_are_used():
    profiles = Config().as_json()["noise"]["profiles"]
    profiles["h2"]["human"] = -6
    found = plan(noise={"profiles": profiles})
    assert "h2's SNR of human noise -6, the paper's -5" in found.departures("iemocap")
    assert plan({"profiles": ["h1"]}, noise={"profiles": profiles}).departures("mosei") == plan().departures("mosei")
    assert "h2's SNR of human noise -6, the paper's -5" not in found.layout("table1_gain").departures["iemocap"]


def test_a_release_is_said_where_it_is_downloaded():
    def releases(**bert):
        backbones = {**Config().as_json()["backbones"], "bert": bert}
        return [said for said in plan(backbones=backbones).departures("iemocap") if "BERT" in said]

    other = "bert_uncased_L-8_H-512_A-8"
    assert releases(weights="download", release=other) == [
        f"release of BERT {other}, by default unset (the paper does not say)"
    ]
    assert releases(weights="download", release="bert_uncased_L-4_H-512_A-8") == []
    assert releases(weights="/data/bert", release=other) == []


@pytest.mark.parametrize(
    ("dlc", "corpus"),
    [
        # nobody reads these there
        ({"hffn": "staged", "asr": "reference", "methods": ["single", "dann"]}, "iemocap"),
        ({"hffn": "staged", "asr": "reference", "corpora": ["emodb"]}, "emodb"),
        ({"staged": {"fusion_epochs": 1}}, "iemocap"),
        ({"maddog": {"weight": 1}, "methods": ["single"]}, "iemocap"),
        ({"iemocap_labels": "hap_only"}, "mosei"),
    ],
)
def test_what_no_cell_of_a_corpus_reads_is_no_departure(dlc, corpus):
    assert real(dlc).departures(corpus) == real().departures("iemocap")


def test_noise_classifiers_depart_in_what_they_read():
    said = plan({"dsn": {"similarity": 1}, "model": {"kernel": 8}}).layout("noise_classifier").departures["iemocap"]
    assert "kernel 8, the paper's 16" in said
    assert not any("DSN" in words for words in said)
