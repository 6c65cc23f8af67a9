"""What the rules ask of the multilingual study: its cells, what each reads, its tables, and its departures."""

import itertools
import json
from pathlib import Path
from typing import get_args

import pytest

from made_up_runs import fit, share, write_cell
from serflow.config import Config, check_config
from serflow.errors import ConfigError
from serflow.fingerprint import imported_modules
from serflow.report.comparison import beside_paper
from serflow.report.headings import Layout, full_name
from serflow.report.tables import fill, in_shape, read_published, read_published_words
from serflow.runs.scores import read_runs
from serflow.settings.written import merged, read
from serflow.studies.multigating.catalog import SYSTEMS, Cell
from serflow.studies.multigating.options import FEATURES, FitOptions, Options
from serflow.studies.multigating.plan import Plan
from serflow.studies.multigating.settings import PAPER, PAPER_LANGUAGES, System

JOINT = ("one_tower", "sb", "omoe", "mmoe", "ours")
CORPORA = ["iemocap", "emodb", "cafe"]
CONTROLS = ["sb_wide", "svc", "chance", "majority"]
OPEN = "(the paper does not say)"
SOURCE = Path(__file__).resolve().parents[4] / "src"


def corpora(**roots):
    """The default corpora, some of them real."""
    default = Config().as_json()["corpora"]
    own = {"nemo": {"layout": "table", "title": "nEMO", "root": None, "options": {"table": "data.tsv", "audio": "{a}"}}}
    return {**default, **own, **{name: {**(default | own)[name], "root": root} for name, root in roots.items()}}


REAL = corpora(**{name: f"/data/{name}" for name in (*CORPORA, "crema_d", "nemo")})
DEFAULT = Config().as_json()["multigating"]["languages"]
POLISH = {"corpus": "nemo", "units": 128, "alpha": 0.02}


def languages(**changed):
    """The default languages, some of them changed or new."""
    return {**DEFAULT, **{name: {**DEFAULT.get(name, {}), **own} if own else own for name, own in changed.items()}}


def plan(multigating=None, **sections) -> Plan:
    found = check_config({"multigating": multigating or {}, **sections}).plans()["multigating"]
    assert isinstance(found, Plan)
    return found


def taken_in(layout):
    """Return the cells that a layout's own cells take in."""
    taken = set()
    for row, column in itertools.product(layout.rows, layout.columns):
        where = {**layout.where, **row.where, **column.where}
        taken.add(Cell(*(where[name] for name in Cell._fields)))
    return taken


# What is trained


def test_cells_are_those_of_the_papers_tables_and_figures():
    """Specification, section 8: 136 fits; a joint one leaves a run of each language."""
    found = plan(corpora=REAL)
    assert found.cells("table3") == [Cell(system, corpus, "main") for system in JOINT for corpus in CORPORA]
    assert found.cells("table4") == [
        Cell("single", corpus, variant) for variant in ("main", "no_aux") for corpus in CORPORA
    ]
    assert found.cells("table2") == [Cell("single", corpus, "main") for corpus in ("emodb", "cafe")]
    assert found.cells("features") == [
        Cell("single", corpus, f"only-{name}") for name in FEATURES for corpus in CORPORA
    ]
    assert found.cells("controls") == []
    assert found.pictured() == [Cell("single", "emodb", variant) for variant in ("no_aux", "main", "alpha-0.1")]
    assert found.gated() == [Cell("mmoe", corpus, "selector-byol") for corpus in CORPORA]
    assert found.searched() == [Cell("ours", corpus, "main") for corpus in CORPORA]
    jobs = {cell if SYSTEMS[cell.system].trained == "one" else cell._replace(corpus="joint") for cell in found.cells()}
    assert len(jobs) * len(found.runs("emodb")) == 25 + 30 + 5 + 75 + 5
    assert len(found.cells()) == len(set(found.cells())) == 15 + 6 + 15 + 1 + 3


def test_cells_follow_what_is_asked_for():
    found = plan({"systems": ["ours"], "controls": ["svc", "chance"], "features": ["mfcc", "ge2e"]}, corpora=REAL)
    assert found.cells("table3") == [Cell("ours", corpus, "main") for corpus in CORPORA]
    assert {cell.variant for cell in found.cells("features")} == {"only-mfcc", "only-ge2e"}
    assert [cell.system for cell in found.cells("controls")] == ["single"] * 3 + ["ours"] * 3 + ["svc"] * 3
    assert found.gated() == [Cell("mmoe", corpus, "main") for corpus in CORPORA]
    assert plan({"systems": ["sb"]}).searched() == []
    assert not any("gates" in target for target in plan({"systems": ["sb"]}).targets())
    asked = {"figure3": {"language": "french", "alphas": [0.015, 0.5]}}
    assert plan(asked).pictured() == [Cell("single", "cafe", "main"), Cell("single", "cafe", "alpha-0.5")]


CORPUS = """corpora:
  nemo: {layout: table, title: nEMO, language: pl, root: nemo, options: {table: data.tsv, audio: "samples/{file_id}"}}
"""
LANGUAGE = """multigating:
  languages:
    polish:
      corpus: nemo
      units: 128
      activations: [tanh, relu]
      alpha: 0.02
"""


def overlaid(repository, file, text):
    """Return the plan of the default configuration with a file over it."""
    file.write_text(text)
    documents = [read(repository / "config.yaml"), read(file)]
    return check_config(merged(documents), documents).plans()["multigating"]


def test_a_language_is_four_lines(repository, tmp_path):
    found = overlaid(repository, tmp_path / "mine.yaml", CORPUS + LANGUAGE)
    assert found.corpora() == [*CORPORA, "nemo"]
    assert found.cells("table3")[-1] == Cell("ours", "nemo", "main")
    assert [column.name for column in found.layout("table3").columns[-2:]] == [("Polish", "UA"), ("Polish", "WA")]
    assert found.layout("table3").columns[-1].reasons == ("not a language of the paper",)
    assert found.options(Cell("ours", "joint", "main"))["languages"]["polish"]["alpha"] == 0.02


def test_null_in_place_of_a_language_leaves_it_out(repository, tmp_path):
    found = overlaid(repository, tmp_path / "mine.yaml", "multigating: {languages: {english: null}}")
    assert found.corpora() == ["emodb", "cafe"]
    assert list(found.options(Cell("sb", "joint", "main"))["languages"]) == ["french", "german"]


def test_a_second_corpus_of_a_language_is_one_more_language():
    two = corpora(cafe="/data/cafe")
    two["cafe_weak"] = {**two["cafe"], "layout": "cafe"}
    found = plan({"languages": languages(french_mild={"corpus": "cafe_weak", "intensity": "weak"})}, corpora=two)
    assert found.corpora() == [*CORPORA, "cafe_weak"]
    assert found.layout("table4").columns[-1].name == ("French mild", "WA")
    assert found.options(Cell("single", "cafe_weak", "main"))["languages"]["french_mild"]["intensity"] == "weak"


def test_joint_jobs_have_languages_by_name_as_their_options_do():
    """Options are passed on as JSON with sorted keys: the files of a job must be in that order."""
    found = plan(corpora=REAL)
    cell = Cell("ours", "joint", "main")
    options = json.loads(json.dumps(found.options(cell), sort_keys=True))
    assert [language["corpus"] for language in options["languages"].values()] == found.corpora_of(cell)
    assert found.corpora_of(cell) == found.joint_corpora() == ["iemocap", "cafe", "emodb"]
    assert found.split_files(cell) == [
        f"results/splits/{corpus}/utterance-0.parquet" for corpus in found.joint_corpora() for _ in range(5)
    ]
    assert found.stores(cell) == {
        name: found.joint_corpora() for name in ("allosaurus", "wav2vec", "mfcc", "ge2e_partials", "byol")
    }
    assert found.reads_ge2e(cell)
    single = Cell("single", "cafe", "only-mfcc")
    assert (found.corpora_of(single), found.stores(single), found.reads_ge2e(single)) == (
        ["cafe"], {"mfcc": ["cafe"]}, False
    )  # fmt: skip


def test_stand_ins_have_their_own_sizes_only_where_all_are_stand_ins():
    small, real, mixed = plan(), plan(corpora=REAL), plan(corpora=corpora(emodb="/data/emodb"))
    assert (small.runs("emodb"), real.runs("emodb"), mixed.runs("cafe")) == ([0], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
    for found, units, epochs, rate in ((small, 32, 12, 3e-3), (mixed, 512, 20, 1e-3)):
        options = found.options(Cell("single", "cafe", "main"))
        training = options["training"]
        assert options["languages"]["french"]["units"] == units
        assert (training["epochs"], training["batch_size"], training["learning_rate"]) == (epochs, 64, rate)


@pytest.mark.parametrize(
    ("asked", "draws"),
    [
        ({}, ["utterance-0"] * 3),
        ({"resplit": True}, ["utterance-0", "utterance-1", "utterance-2"]),
        ({"split": "sentence"}, ["sentence-0"] * 3),
        ({"split": "speaker64", "resplit": True}, ["speaker64-0", "speaker64-1", "speaker64-2"]),
        ({"split": "speaker_folds", "folds": 4}, ["speaker_folds-4"] * 3),
    ],
)
def test_runs_share_a_split_or_have_one_each(asked, draws):
    found = plan({"runs": [0, 1, 2], **asked}, corpora=REAL)
    assert all(found.draws(corpus) == draws for corpus in found.corpora())


def test_variants_change_what_their_name_says():
    found = plan(corpora=REAL)
    main = found._options(Cell("single", "emodb", "main"))
    assert (main.aux, main.features, main.languages["german"].alpha) == (True, FEATURES, 0.01)
    assert found._options(Cell("single", "emodb", "no_aux")) == main.model_copy(update={"aux": False})
    only = found._options(Cell("single", "emodb", "only-byol"))
    assert only == main.model_copy(update={"features": ("byol",)})
    assert found._options(Cell("single", "emodb", "alpha-0.1")).languages["german"].alpha == 0.1
    gated = found._options(Cell("mmoe", "joint", "selector-byol"))
    assert (gated.sharing.selector, gated.features) == ("byol", FEATURES)


READ = {
    "one_tower": {"sharing.width", "sharing.join", "sharing.base_units", "sharing.base_activations"},
    "sb": {"sharing.width", "sharing.join"},
    "omoe": {"sharing.width", "sharing.selector"},
    "mmoe": {"sharing.width", "sharing.selector"},
    "ours": {"sharing.width", "sharing.selector", "nas.form", "nas.l0"},
    "sb_wide": {"sharing.width", "sharing.join", "sharing.selector", "nas.form", "nas.l0"},
    "single": set(),
    "svc": set(),
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_job_is_told_no_option_that_it_does_not_read(system):
    found = plan({"controls": CONTROLS}, corpora=REAL)
    options = found.options(Cell(system, "emodb", "main"))
    told = {f"{group}.{key}" for group in ("sharing", "nas") for key in options.get(group, {})}
    assert {key for key in told if not key.startswith("nas.") or key in ("nas.form", "nas.l0")} == READ[system]
    language = options["languages"]["german"]
    assert ("units" in language) == (system not in ("one_tower", "svc"))
    assert ("alpha" in language) == ("contrastive" in options) == ("training" in options) == (system != "svc")
    assert ("temperature" in options.get("training", {})) == (SYSTEMS[system].trained == "all")
    assert Options.model_validate(options)
    modules = imported_modules(SOURCE, *(f"serflow.{name}" for name in found.modules(Cell(system, "emodb", "main"))))
    assert f"serflow.studies.multigating.methods.{system}" in modules


@pytest.mark.parametrize(
    ("variant", "encoder"),
    [
        ("main", {"cnn", "kernels", "maps", "lstm", "mfcc_maps", "mfcc_lstm", "mfcc_layers", "dropout"}),
        ("only-wav2vec", {"cnn", "kernels", "maps", "lstm", "dropout"}),
        ("only-mfcc", {"cnn", "kernels", "mfcc_maps", "mfcc_lstm", "mfcc_layers", "dropout"}),
        ("only-byol", {"dropout"}),
    ],
)
def test_a_job_of_one_feature_is_told_of_its_encoder_alone(variant, encoder):
    options = plan(corpora=REAL).options(Cell("single", "emodb", variant))
    assert set(options["encoder"]) == encoder
    assert ("ge2e_learning_rate" in options["training"]) == (variant == "main")


def test_without_the_contrastive_loss_no_job_is_told_of_it():
    options = plan(corpora=REAL).options(Cell("single", "emodb", "no_aux"))
    assert "contrastive" not in options
    assert "alpha" not in options["languages"]["german"]


# Tables


@pytest.mark.parametrize(
    "asked", [{}, {"controls": CONTROLS, "systems": ["mmoe", "sb"]}, {"features": ["mfcc", "ge2e"]}]
)
def test_a_layout_takes_in_exactly_the_cells_of_its_table(asked):
    found = plan(asked)
    for (table,) in found.tables:
        layout = found.layout(table)
        assert Layout.from_json(json.loads(json.dumps(layout.to_json()))) == layout
        assert taken_in(layout) == set(found.cells(table))


@pytest.mark.parametrize("table", ["table2", "table3", "table4"])
def test_what_the_paper_prints_is_compared_and_nothing_else(table):
    layout = plan(corpora=REAL).layout(table)
    compared = {
        (row.name, full_name(column))
        for row, column in itertools.product(layout.rows, layout.columns)
        if not row.reasons and not column.reasons
    }
    assert compared == set(read_published("multigating", table, len(layout.corner)))


def test_published_numbers_are_those_of_the_paper():
    """Tables 3 and 4 print shares; Table 2, of which we have no numbers, has those of Table 4."""
    printed = {
        "table3": [
            *(0.3333, 0.6459, 0.6403, 0.8586, 0.6860, 0.7646), *(0.6507, 0.6570, 0.8628, 0.8702, 0.8538, 0.8410),
            *(0.6723, 0.6722, 0.9398, 0.9443, 0.8580, 0.8417), *(0.6883, 0.6815, 0.9419, 0.9443, 0.8638, 0.8415),
            *(0.7045, 0.7126, 0.9578, 0.9536, 0.8713, 0.8514),
        ],
        "table4": [0.7434, 0.7331, 0.9556, 0.9536, 0.9070, 0.8910, 0.7213, 0.7219, 0.9493, 0.9536, 0.8935, 0.8712],
        "table2": [0.9556, 0.9536, 0.9070, 0.8910],
    }  # fmt: skip
    for table, shares in printed.items():
        found = read_published("multigating", table, 2 if table == "table2" else 1)
        assert [value.mean for value in found.values()] == pytest.approx([100 * share for share in shares])
    assert list(read_published_words("multigating", "table1").values()) == [
        "English", "10", "4", "5531", "German", "10", "7", "535", "French", "12", "7", "504"
    ]  # fmt: skip


def test_another_corpus_than_a_languages_own_is_not_compared():
    asked = {"languages": languages(english={"corpus": "crema_d"}, polish=POLISH)}
    reasons = {
        column.name[0]: column.reasons
        for column in plan(asked, corpora=REAL).layout("table3").columns
    }  # fmt: skip
    assert reasons == {
        "English": ("not the paper's corpus",), "German": (), "French": (), "Polish": ("not a language of the paper",)
    }  # fmt: skip
    assert plan(asked, corpora=REAL).layout("table2").rows[0].reasons == ()
    second = plan({"languages": {**DEFAULT, "german": None}, "figure3": {"language": "french"}}).layout("table2")
    assert [row.name for row in second.rows] == [("French", "Ours")]
    none = plan({"languages": {"polish": POLISH}, "figure3": {"language": "polish"}}, corpora=REAL)
    assert none.tables == [["table3"], ["table4"], ["features"]]


def write(folder, cell, value, guess=0.25):
    told = {("test", "prediction"): share(value), ("test", "chance"): share(guess), ("test", "majority"): share(0.5)}
    return write_cell(folder, cell._asdict(), [fit(0, "all", of_roles=told)], study="multigating").metrics


def test_each_way_to_share_stands_beside_the_papers_number(tmp_path):
    found = plan(corpora=REAL)
    values = {cell: (1 + place) / 100 for place, cell in enumerate(found.cells("table3"))}
    filled = fill(found.layout("table3"), read_runs([write(tmp_path, cell, value) for cell, value in values.items()]))
    heading, lines = in_shape(filled, {})
    assert heading == [
        "Model",
        *(f"{name} {said}" for name in ("English", "German", "French") for said in ("UA", "WA")),
    ]
    assert lines[0] == ["Base", "1.00", "1.00", "2.00", "2.00", "3.00", "3.00"]
    assert lines[-1] == ["Ours", "13.00", "13.00", "14.00", "14.00", "15.00", "15.00"]
    heading, lines = beside_paper(filled, read_published("multigating", "table3", 1))
    compared = [dict(zip(heading, line, strict=True)) for line in lines]
    german = [line for line in compared if line["column"] == "German WA"]
    assert [(line["model"], line["ours_mean"], line["paper"]) for line in german] == [
        ("Base", "2.00", "85.86"), ("SB", "5.00", "87.02"), ("OMoE", "8.00", "94.43"), ("MMoE", "11.00", "94.43"),
        ("Ours", "14.00", "95.36"),
    ]  # fmt: skip


def test_works_that_are_compared_with_have_names_and_no_numbers(tmp_path):
    found = plan(corpora=REAL)
    layout = found.layout("table2")
    filled = fill(layout, read_runs([write(tmp_path, cell, 0.5) for cell in found.cells("table2")]))
    _, lines = in_shape(filled, read_published("multigating", "table2", 2))
    assert lines[0] == ["German", "Rudd et al. (published)", "n/a", "n/a"]
    assert lines[-1] == ["French", "Ours", "50.00", "50.00"]
    assert len(lines) == 3 + 3 + 2


def test_controls_stand_beside_the_network_of_one_language(tmp_path):
    found = plan({"controls": CONTROLS, "systems": ["sb", "ours"]}, corpora=REAL)
    filled = fill(found.layout("controls"), read_runs([write(tmp_path, cell, 0.4) for cell in found.cells("controls")]))
    _, lines = in_shape(filled, {})
    assert [(line[0], line[1]) for line in lines] == [
        ("Single language", "40.00"), ("SB", "40.00"), ("Ours", "40.00"), ("SB with the weights of Ours", "40.00"),
        ("Scaler and SVC", "40.00"), ("Chance", "25.00"), ("Majority class", "50.00"),
    ]  # fmt: skip
    assert [row.baseline for row in found.layout("controls").rows] == [None, *[("Single language",)] * 4, None, None]
    assert [row.baseline for row in found.layout("table3").rows] == [None, ("SB",)]


def test_figures_are_told_of_what_they_draw():
    found = plan(corpora=REAL)
    assert found.figure3_facts() == {"title": "EmoDB", "alphas": {"no_aux": "0", "main": "0.01", "alpha-0.1": "0.1"}}
    facts = found.figure4_facts()
    assert facts["languages"] == {"iemocap": "English", "emodb": "German", "cafe": "French"}
    assert list(facts["features"]) == list(FEATURES)
    assert Layout.from_json(facts["layout"]) == found.layout("features")
    first = found.table1_facts()["languages"]["cafe"]
    assert first == {
        "name": "french", "title": "French", "options": {"corpus": "cafe", "emotions": None, "intensity": "strong"}
    }  # fmt: skip


# Where it is not the paper's


def test_the_papers_own_settings_depart_in_nothing():
    for asked in ({}, {"controls": CONTROLS}, {"systems": ["ours"], "runs": [5]}):
        found = plan(asked, corpora=REAL)
        assert [found.departures(corpus) for corpus in CORPORA] == [[], [], []]
        assert found.layout("table3").departures == {corpus: [] for corpus in CORPORA}


def test_a_stand_ins_own_sizes_are_named():
    said = plan().departures("emodb")
    assert said[-1] == "units of the tower 32, the paper's 512"
    assert "epochs 12, the paper's 20" in said
    assert any(line.startswith("learning rate 0.003, ") for line in said)


CHANGED = {
    "split": ("sentence", "split sentence, the paper's utterance"),
    "folds": (4, f"folds of speakers 4, by default 5 {OPEN}"),
    "resplit": (True, f"a split a run true, by default false {OPEN}"),
    "folds_used": (1, f"folds used 1, by default unset {OPEN}"),
    "features": (["ge2e"], "features ge2e, the paper's allosaurus wav2vec mfcc ge2e byol"),
    "standardise": ("none", f"features standardised by none, by default training {OPEN}"),
    "encoder.cnn": ("conv2d", f"reading of the kernels conv2d, by default parallel {OPEN}"),
    "encoder.kernels": ([3, 7], "kernels 3 7, the paper's 3 5"),
    "encoder.maps": (8, "maps 8, the paper's 64"),
    "encoder.lstm": (8, "units of the LSTM 8, the paper's 128"),
    "encoder.mfcc_maps": (8, "maps of MFCC 8, the paper's 32"),
    "encoder.mfcc_lstm": (8, "units of MFCC's LSTM 8, the paper's 64"),
    "encoder.mfcc_layers": (1, "layers of MFCC's LSTM 1, the paper's 2"),
    "encoder.dropout": (0, "dropout 0, the paper's 0.1"),
    "sharing.width": (8, f"common width of features 8, by default 256 {OPEN}"),
    "sharing.selector": ("byol", "feature that selects byol, the paper's ge2e"),
    "sharing.join": ("concat", "joining of features concat, the paper's sum"),
    "sharing.base_units": (8, f"units of Base's tower 8, by default 512 {OPEN}"),
    "sharing.base_activations": (
        ["mish", "gelu"],
        f"activations of Base's tower mish gelu, by default tanh relu {OPEN}",
    ),
    "nas.form": ("eq9", f"form of the gates eq9, by default louizos {OPEN}"),
    "nas.beta": (0.5, "beta 0.5, the paper's 0.9"),
    "nas.gamma": (-0.2, "gamma -0.2, the paper's -0.1"),
    "nas.delta": (1.1, "delta 1.1, the paper's 2"),
    "nas.l0": (0.1, f"weight of the number of gates 0.1, by default 0 {OPEN}"),
    "nas.init_std": (1, f"deviation of ln kappa at first 1, by default 0.01 {OPEN}"),
    "contrastive.reduction": ("mean", "reduction of the contrastive loss mean, the paper's sum"),
    "contrastive.more_than": (2, "samples of an emotion, more than 2, the paper's 5"),
    "contrastive.scale": (1, f"w at first 1, by default 10 {OPEN}"),
    "contrastive.bias": (0, f"b at first 0, by default -5 {OPEN}"),
    "training.learning_rate": (0.01, "learning rate 0.01, the paper's 0.001"),
    "training.ge2e_learning_rate": (0, "learning rate of GE2E 0, the paper's 1e-05"),
    "training.weight_decay": (0, "weight decay 0, the paper's 1e-05"),
    "training.batch_size": (8, f"batch size 8, by default 64 {OPEN}"),
    "training.epochs": (3, "epochs 3, the paper's 20"),
    "training.temperature": (2, f"temperature of languages 2, by default 1 {OPEN}"),
    "training.precision": ("bf16", f"precision bf16, by default fp32 {OPEN}"),
}
OF_STORES = {
    "mfcc.n_mfcc": (13, f"MFCC 13, by default 40 {OPEN}"),
    "mfcc.cmvn": (False, f"normalisation of MFCC false, by default true {OPEN}"),
    "wav2vec.output": ("encoder", f"output of wav2vec encoder, by default context {OPEN}"),
    "allosaurus.output": ("phones", f"output of Allosaurus phones, by default blstm {OPEN}"),
    "byol.output": ("frames", "output of BYOL frames, the paper's vector"),
    "byol.standardise": ("corpus", f"pictures of BYOL standardised by corpus, by default utterance {OPEN}"),
}


def section(key, value):
    """Return ``{"a": {"b": value}}`` of the key ``a.b``."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


@pytest.mark.parametrize(("key", "value", "said"), [(key, *told) for key, told in CHANGED.items()])
def test_every_setting_that_departs_is_said(key, value, said):
    found = plan(section(key, value), corpora=REAL)
    assert [told for told in found.departures("emodb") if not told.startswith("output of ")] == [said]
    assert said in found.layout("table3").departures["cafe"]
    # what is not read on one language alone is not said there
    shared = key.partition(".")[0] in ("sharing", "nas") or key == "training.temperature"
    assert (said in found.layout("table4").departures["cafe"]) == (not shared)


@pytest.mark.parametrize(("key", "value", "said"), [(key, *told) for key, told in OF_STORES.items()])
def test_what_is_not_as_by_default_in_a_feature_is_said(key, value, said):
    features = Config().as_json()["features"]
    name, _, parameter = key.partition(".")
    features[name][parameter] = value
    assert plan(corpora=REAL, features=features).departures("emodb") == [said]
    if name != "mfcc":
        # a network that is not read is not spoken of
        assert plan({"features": ["mfcc", "ge2e"]}, corpora=REAL, features=features).departures("emodb") == [
            "features mfcc ge2e, the paper's allosaurus wav2vec mfcc ge2e byol"
        ]


def test_the_settings_above_are_all_that_there_are():
    told = {key for key, said in PAPER.items() if said is not None}
    assert told == {*CHANGED, *(f"stores.{key}" for key in OF_STORES)}
    assert set(get_args(System)) == set(JOINT)
    assert {key.partition(".")[0] for key in CHANGED} >= set(FitOptions.model_fields) - {"aux"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"units": 8}, "units of the tower 8, the paper's 512"),
        ({"activations": ["mish", "relu"]}, "activations of the tower mish relu, the paper's tanh relu"),
        ({"alpha": 0.1}, "alpha 0.1, the paper's 0.015"),
        ({"intensity": "weak"}, f"intensity weak, by default strong {OPEN}"),
        ({"emotions": ["anger", "fear"]}, f"emotions anger fear, by default unset {OPEN}"),
    ],
)
def test_a_tower_that_departs_is_said_in_its_language_alone(changed, said):
    found = plan({"languages": languages(french=changed)}, corpora=REAL)
    assert (found.departures("cafe"), found.departures("emodb")) == ([said], [])


def test_the_paper_has_the_languages_of_the_defaults():
    assert set(PAPER_LANGUAGES) == set(DEFAULT)
    assert all(set(paper) == set(DEFAULT[name]) for name, paper in PAPER_LANGUAGES.items())


@pytest.mark.parametrize(
    ("asked", "key", "said"),
    [
        ({"aux": False}, "aux", "is set by the rows of Table 4; leave it out"),
        ({"languages": dict.fromkeys(DEFAULT)}, "languages", "there is none; give one at least"),
        ({"languages": {}}, "languages", "there is none; give one at least"),
        (
            {"languages": languages(polish={"corpus": "cafe"})},
            "languages.polish.corpus",
            "cafe is the corpus of french already; give each language one of its own",
        ),
        ({"languages": languages(french={"corpus": "caffe"})}, "languages.french.corpus", "did you mean 'cafe'"),
        ({"languages": {"Polish": {"corpus": "nemo"}}}, "languages", "'Polish' cannot be a name"),
        ({"languages": languages(english={"emotions": ["anger", "fear"]})}, "languages.english.emotions", "set null"),
        ({"languages": languages(french={"unit": 3})}, "languages.french.unit", "did you mean 'units'"),
        ({"sharing": {"selector": "byol"}, "features": ["ge2e"]}, "sharing.selector", "'byol' is not in"),
        ({"sharing": {"selector": "byol"}, "features": ["byol"]}, "features", "and there is none; add one"),
        ({"figure3": {"language": "germna"}}, "figure3.language", "did you mean 'german'"),
        ({"figure3": {"alphas": [0.1, 0.1]}}, "figure3.alphas", "0.1 stands there twice"),
        ({"systems": ["base"]}, "systems", "one_tower"),
        ({"folds": 2}, "folds", "greater than or equal to 3"),
        ({"split": "random"}, "split", "'utterance'"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(asked, key, said):
    with pytest.raises(ConfigError) as error:
        check_config({"multigating": asked, "corpora": REAL})
    assert f"multigating.{key}" in str(error.value)
    assert said in str(error.value)


def test_a_feature_that_is_not_extracted_is_missed():
    features = {name: said for name, said in Config().as_json()["features"].items() if name != "ge2e_partials"}
    with pytest.raises(ConfigError, match=r"ge2e reads features\.ge2e_partials, which is not there; add it"):
        plan({"runs": [0]}, features=features)
