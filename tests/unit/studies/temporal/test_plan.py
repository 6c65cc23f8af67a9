"""What the rules ask of the temporal-context study: its cells, what each reads, its tables, and its departures."""

import itertools
import json

import pytest

from made_up_runs import fit, share, write_cell
from serflow.config import Config, check_config
from serflow.errors import ConfigError
from serflow.fingerprint import imported_modules
from serflow.report.comparison import beside_paper
from serflow.report.headings import Layout, full_name, why_absent
from serflow.report.style import figure_style
from serflow.report.tables import fill, in_shape, read_published, read_published_words
from serflow.runs.scores import read_runs
from serflow.studies.temporal import figure2
from serflow.studies.temporal.catalog import ENGINEERED, SYSTEMS
from serflow.studies.temporal.options import Options
from serflow.studies.temporal.plan import Cell, Plan
from serflow.studies.temporal.settings import PAPER

TITLES = ["Pitch pulse", "Spectrogram", "Modulation", "P. p. + Spec.", "P. p. + Mod.", "Spec. + Mod.", "All three"]
FINE_TUNED = {
    "all": "Fine-tune All", "context": "Fine-tune Context Network", "encoder": "Fine-tune Encoder Network",
    "none": "No Fine-tune",
}  # fmt: skip
CONTROLS = [
    "one_segment_twice", "segment_net_on_mel", "strfnet_on_wav2vec", "context_layers", "svc", "chance", "majority"
]  # fmt: skip
OPEN = "(the paper does not say)"
TABLES = ("table1", "table2", "table3", "segments", "pooled")


def corpora(**roots):
    """The default corpora, some of them real."""
    default = Config().as_json()["corpora"]
    return {**default, **{name: {**default[name], "root": root} for name, root in roots.items()}}


def backbones(weights):
    """The default networks, wav2vec with other weights."""
    default = Config().as_json()["backbones"]
    return {**default, "wav2vec": {**default["wav2vec"], "weights": weights}}


REAL = corpora(iemocap="/data/iemocap", emodb="/data/emodb")
RELEASED = backbones("/data/wav2vec_large.pt")


def plan(temporal=None, **sections) -> Plan:
    found = check_config({"temporal": temporal or {}, **sections}).plans()["temporal"]
    assert isinstance(found, Plan)
    return found


def names(headings):
    return [heading.name for heading in headings]


def wav2vec(variant="plain", corpus="iemocap"):
    return Cell("wav2vec", corpus, variant)


def taken_in(layout):
    """Return the cells that a layout's own cells take in."""
    taken = set()
    for row, column in itertools.product(layout.rows, layout.columns):
        if why_absent(row, column) is None:
            where = {**layout.where, **row.where, **column.where}
            taken.add(Cell(*(where[name] for name in Cell._fields)))
    return taken


# What is trained


def test_cells_are_the_22_settings_of_the_paper():
    """Specification, section 7: 15 of Table 1, four more of Figure 2, three more of Table 2."""
    found = plan(corpora=REAL)
    engineered = [Cell(name, "iemocap", variant) for name in ENGINEERED for variant in ("plain", "warp")]
    assert found.cells("table1") == [*engineered, wav2vec()]
    assert found.cells("segments") == [wav2vec(), *(wav2vec(f"none-{count}") for count in (1, 2, 3, 4))]
    assert found.cells("table2") == [wav2vec(f"{part}-2") for part in FINE_TUNED]
    assert found.cells("table3") == [
        Cell("spectrogram_modulation", "iemocap", "warp"), wav2vec(), wav2vec("context-2"), wav2vec("none-2")
    ]  # fmt: skip
    assert len(found.cells()) == len(set(found.cells())) == 22
    assert set(found.cells("pooled")) == {*found.cells("table1"), *found.cells("table2")}
    assert found.cells("controls") == []


def test_cells_are_those_that_are_asked_for():
    found = plan({"corpus": "emodb", "features": ["modulation"], "segments": [3, 0], "best_segments": 4})
    assert found.corpora() == ["emodb"]
    assert {cell.corpus for cell in found.cells()} == {"emodb"}
    assert [cell.variant for cell in found.cells("segments")] == ["plain", "none-3"]
    assert [cell.variant for cell in found.cells("table2")] == ["all-4", "context-4", "encoder-4", "none-4"]
    assert {cell.system for cell in found.cells("table3")} == {"wav2vec"}


def test_controls_are_trained_beside_two_rows_of_the_paper_and_guesses_are_not():
    found = plan({"controls": CONTROLS, "context_layers": [1, 8]}, corpora=REAL, backbones=RELEASED)
    assert found.cells("controls") == [
        wav2vec("none-1-twice"),
        Cell("segment_net_on_mel", "iemocap", "plain"),
        Cell("strfnet_on_wav2vec", "iemocap", "plain"),
        wav2vec("none-0-first-1"),
        wav2vec("none-0-first-8"),
        Cell("svc", "iemocap", "plain"),
        wav2vec(),
        Cell("spectrogram", "iemocap", "plain"),
    ]
    assert len(set(found.cells())) == 22 + 6
    assert found.tables[-1] == ["controls"]
    assert "results/temporal/controls.csv" in found.targets()
    none = plan({}, corpora=REAL)
    assert ["controls"] not in none.tables
    assert "results/temporal/controls.csv" not in none.targets()


@pytest.mark.parametrize("guess", ["chance", "majority"])
def test_a_guess_alone_is_a_table_and_trains_nothing(guess):
    found = plan({"controls": [guess]}, corpora=REAL)
    assert ["controls"] in found.tables
    assert set(found.cells()) == set(plan(corpora=REAL).cells())
    layout = found.layout("controls")
    assert [row.where for row in layout.rows] == [
        {"system": "spectrogram", "variant": "plain"},
        {"system": "wav2vec", "variant": "plain"},
        {"system": "wav2vec", "variant": "plain", "predicted": guess},
    ]
    assert taken_in(layout) == set(found.cells("controls"))


def test_context_is_cut_to_a_stand_ins_own_layers_where_the_weights_are_one():
    """Whatever the corpus is."""
    asked = {"controls": ["context_layers"], "context_layers": [5, 11], "stand_in": {"context_layers": [3]}}

    def cut(**sections):
        found = plan(asked, **sections)
        cells = [cell for cell in found.cells("controls") if "first" in cell.variant]
        return [found.options(cell)["segment_net"]["context_layers"] for cell in cells]

    assert cut() == cut(corpora=REAL) == [3]
    assert cut(backbones=RELEASED) == cut(corpora=REAL, backbones=RELEASED) == [5, 11]
    assert cut(backbones=backbones("download")) == [5, 11]


def test_speakers_are_held_out_as_the_configuration_says():
    assert plan(corpora=REAL).draws("iemocap") == ["last_session"]
    for asked, draws in (
        ({"folds": "leave_session", "runs": [0, 1]}, ["leave_session"] * 2),
        ({"folds": "in_turn", "tested": 5, "runs": [0, 1]}, ["in_turn-5"] * 2),
        ({"folds": "speaker", "runs": [2, 7]}, ["speaker-2", "speaker-7"]),
    ):
        assert plan(asked, corpora=REAL).draws("iemocap") == draws
    assert plan().unit() == "speaker"


def test_a_real_corpus_has_the_runs_of_the_section_and_a_stand_in_its_own():
    asked = {"runs": [1, 2, 3], "stand_in": {"runs": [7]}}
    assert plan(asked, corpora=REAL).runs("iemocap") == [1, 2, 3]
    assert plan(asked).runs("iemocap") == [7]
    assert plan({**asked, "folds": "speaker"}).draws("iemocap") == ["speaker-7"]


def test_all_is_made():
    assert plan(corpora=REAL).targets() == [
        f"results/temporal/{name}"
        for name in (
            "table1.csv", "table2.csv", "table3.csv", "segments.csv", "pooled.csv",
            "table1_vs_paper.csv", "table1_intervals.csv", "table2_vs_paper.csv", "table2_intervals.csv",
            "context.csv", "context_vs_paper.csv", "table3_vs_paper.csv", "figure2.svg", "curves.svg", "protocol.md",
            "receptive_fields.svg",
        )
    ]  # fmt: skip
    few = plan({"features": ["spectrogram", "pitch_pulse"]}, corpora=REAL)
    assert few.pictured() == []
    assert "results/temporal/receptive_fields.svg" not in few.targets()


def test_context_spans_are_of_a_network_a_row_of_table_1():
    found = plan(corpora=REAL)
    assert [SYSTEMS[cell.system].title for cell in found.described()] == [*TITLES, "Wav2vec"]
    assert set(found.described()) < set(found.cells("table1"))
    printed = read_published_words("temporal", "context")
    assert [row for row, _ in printed] == [*TITLES, "Wav2vec"]
    assert list(printed.values()) == ["75", "75", "200", "75-75", "75-200", "75-200", "75-75-200", "810"]
    assert found.described_by() == [
        "studies.temporal.networks", "studies.temporal.methods.strfnet", "studies.temporal.methods.segment_net"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("features", "drawn"),
    [
        (ENGINEERED, "spectrogram_modulation"),
        (["all_three", "modulation"], "modulation"),
        (["pulse_modulation", "spectrogram"], "pulse_modulation"),
    ],
)
def test_receptive_fields_are_drawn_of_a_row_that_has_some(features, drawn):
    found = plan({"features": list(features)}, corpora=REAL)
    assert found.pictured() == [Cell(drawn, "iemocap", "warp")]
    assert set(found.pictured()) < set(found.cells())


# What a cell reads


def test_columns_warp_and_rows_set_their_part_of_wav2vec():
    found = plan(corpora=REAL)
    for name in ENGINEERED:
        warped = {variant: found.options(Cell(name, "iemocap", variant))["warped"] for variant in ("plain", "warp")}
        assert warped == {"plain": False, "warp": True}
    told = {
        cell.variant: {key: found.options(cell)["segment_net"][key] for key in ("fine_tune", "segments")}
        for cell in found.cells()
        if cell.system == "wav2vec"
    }
    assert told == {
        "plain": {"fine_tune": "none", "segments": 0},
        **{f"none-{count}": {"fine_tune": "none", "segments": count} for count in (1, 2, 3, 4)},
        **{f"{part}-2": {"fine_tune": part, "segments": 2} for part in FINE_TUNED},
    }


def test_a_control_differs_from_its_row_by_what_it_says():
    found = plan({"segment_net": {"segment_weight": 0.75}, "controls": CONTROLS}, corpora=REAL)
    one, twice = (found.options(wav2vec(variant)) for variant in ("none-1", "none-1-twice"))
    assert twice == {**one, "segment_net": {**one["segment_net"], "segment_weight": 1.5}}
    whole, cut = (found.options(wav2vec(variant)) for variant in ("plain", "none-0-first-4"))
    assert whole["segment_net"]["context_layers"] is None
    assert cut == {**whole, "segment_net": {**whole["segment_net"], "context_layers": 4}}
    on_mel = found.options(Cell("segment_net_on_mel", "iemocap", "plain"))
    assert on_mel["segment_net"] == whole["segment_net"]
    on_wav2vec = found.options(Cell("strfnet_on_wav2vec", "iemocap", "plain"))
    assert on_wav2vec["strfnet"] == found.options(Cell("spectrogram", "iemocap", "plain"))["strfnet"]


OWN = {
    "folds_used": 3, "epochs": 7, "batch_size": 5, "learning_rate": 0.25, "crop_s": 0.5, "kernels": 3, "channels": 6,
    "maps": 10, "lstm_layers": 2,
}  # fmt: skip


def test_a_stand_in_is_trained_by_its_own_settings_and_a_real_corpus_by_the_papers():
    def told(**sections):
        found = plan({"stand_in": OWN}, **sections)
        engineered = found.options(Cell("modulation", "iemocap", "plain"))
        learned = found.options(wav2vec("all-2"))
        for group in ("training", "augment"):
            assert engineered[group] == learned[group]
        return {
            "folds_used": learned["folds_used"],
            **{key: engineered["training"][key] for key in ("epochs", "batch_size", "learning_rate")},
            "crop_s": engineered["augment"]["crop_s"],
            **{key: engineered["strfnet"][key] for key in ("kernels", "channels")},
            **{key: learned["segment_net"][key] for key in ("maps", "lstm_layers")},
        }

    assert told() == OWN
    assert told(corpora=REAL) == {
        "folds_used": None, "epochs": 100, "batch_size": 64, "learning_rate": 1e-4, "crop_s": 3.0, "kernels": 32,
        "channels": 32, "maps": 512, "lstm_layers": 5,
    }  # fmt: skip


def test_a_job_asks_for_what_its_row_needs():
    """Steps are measured by benchmarks/temporal_step.py; fine-tuning wav2vec needs most, as STRFNet on 512 bands."""
    found = plan({"controls": ["strfnet_on_wav2vec", "segment_net_on_mel", "svc"]}, corpora=REAL, backbones=RELEASED)
    asked = {(cell.system, cell.variant): found.memory_mb(cell) for cell in found.cells()}
    assert asked["svc", "plain"] < asked["spectrogram", "plain"] < asked["all_three", "plain"]
    assert asked["spectrogram", "plain"] == asked["spectrogram", "warp"] == asked["modulation", "plain"]
    assert asked["all_three", "plain"] < asked["wav2vec", "plain"] == asked["wav2vec", "none-2"]
    assert asked["wav2vec", "none-2"] < asked["wav2vec", "context-2"] < asked["wav2vec", "all-2"]
    assert asked["wav2vec", "all-2"] > 64 * 413 > asked["all_three", "plain"]
    assert asked["strfnet_on_wav2vec", "plain"] > 30_000
    halves = ({"training": {"batch_size": 32}}, {"augment": {"crop_s": 1.5}})
    for half in halves:
        small = plan(half, corpora=REAL, backbones=RELEASED).memory_mb(wav2vec("all-2"))
        assert small - 2500 == (asked["wav2vec", "all-2"] - 2500) / 2
    assert plan().memory_mb(Cell("spectrogram", "iemocap", "plain")) < 2000


def test_a_job_asks_for_twice_the_time_of_its_fits_and_a_week_at_most():
    own = {"folds": "in_turn", "tested": 4, "training": {"epochs": 10}}
    one = plan({**own, "corpus": "emodb"}, corpora=REAL).minutes(Cell("spectrogram", "emodb", "plain"))
    fits = 4 * 10 * 535 * 0.11 / 60
    assert one - 60 == pytest.approx(2 * fits, abs=1)
    for more, times in (({"runs": [0, 1]}, 2), ({"folds_used": 2}, 0.5), ({"augment": {"crop_s": 1.5}}, 0.5)):
        found = plan({**own, "corpus": "emodb", **more}, corpora=REAL).minutes(Cell("spectrogram", "emodb", "plain"))
        assert found - 60 == pytest.approx(2 * times * fits, abs=1)
    papers = plan(corpora=REAL, backbones=RELEASED)
    assert papers.minutes(wav2vec("all-2")) == 7 * 24 * 60
    assert papers.minutes(Cell("svc", "iemocap", "plain")) == 60
    for cell in plan().cells():
        assert 60 < plan().minutes(cell) < 180


@pytest.mark.parametrize("system", SYSTEMS)
def test_options_of_every_system_are_what_the_training_reads(system):
    found = plan({"strfnet": {"hidden": 7}, "framing": {"n_mels": 20}}, corpora=REAL)
    options = found.options(Cell(system, "iemocap", "plain"))
    assert json.loads(json.dumps(options)) == options
    assert Options.model_validate(options).as_json(SYSTEMS[system].options()) == options


STRFNETS = {*ENGINEERED, "strfnet_on_wav2vec"}
SEGMENT_NETS = {"wav2vec", "segment_net_on_mel"}


@pytest.mark.parametrize(
    ("changed", "systems"),
    [
        ({"strfnet": {"hidden": 8}}, STRFNETS),
        ({"segment_net": {"hidden": 8}}, SEGMENT_NETS),
        ({"framing": {"n_mels": 20}}, STRFNETS | {"segment_net_on_mel", "svc"}),
        ({"training": {"epochs": 5}}, STRFNETS | SEGMENT_NETS),
        ({"augment": {"warp": 0.1}}, STRFNETS | SEGMENT_NETS),
        ({"test": "crops_mean"}, STRFNETS | SEGMENT_NETS),
        ({"folds_used": 2}, set(SYSTEMS)),
        ({"runs": [3], "folds": "speaker", "segments": [0], "best_segments": 3, "controls": ["svc"]}, set()),
        ({"context_layers": [2], "stand_in": OWN, "tested": 3}, set()),
    ],
)
def test_a_change_of_an_option_changes_the_systems_that_read_it_alone(changed, systems):
    before, after = plan(corpora=REAL), plan(changed, corpora=REAL)
    cells = [Cell(name, "iemocap", "plain") for name in SYSTEMS]
    assert {cell.system for cell in cells if before.options(cell) != after.options(cell)} == systems


def test_a_row_reads_pulses_or_the_weights_of_wav2vec_where_it_needs_them():
    found = plan(corpora=REAL)
    cells = [Cell(name, "iemocap", "plain") for name in SYSTEMS]
    assert {cell.system for cell in cells if found.reads_pulses(cell)} == {
        "pitch_pulse", "pulse_spectrogram", "pulse_modulation", "all_three"
    }  # fmt: skip
    assert {cell.system for cell in cells if found.reads_wav2vec(cell)} == {"wav2vec", "strfnet_on_wav2vec"}
    for cell in cells:
        assert ("backbones.wav2vec" in found.modules(cell)) == found.reads_wav2vec(cell)
        assert f"studies.temporal.methods.{SYSTEMS[cell.system].network}" in found.modules(cell)


def test_trainings_know_no_section_but_their_options(repository):
    trained = imported_modules(repository / "src", "serflow.stages.train", "serflow.studies.temporal.train")
    unread = {"settings", "plan", "card", "figure2", "networks", "look"}
    assert not {f"serflow.studies.temporal.{name}" for name in unread} & set(trained)
    assert "serflow.settings.data" not in trained


def test_the_card_reads_each_split_once_and_what_says_who_is_trained():
    found = plan({"runs": [0, 1], "folds_used": 3}, corpora=REAL)
    assert found.card_inputs() == {
        "utterances": ["results/corpora/iemocap/utterances.parquet"],
        "splits": ["results/splits/iemocap/last_session.parquet"],
    }
    assert found.card_options() == {"iemocap": {"emotions": None, "folds_used": 3}}
    drawn = plan({"runs": [0, 4], "folds": "speaker"}, corpora=REAL).card_inputs()["splits"]
    assert drawn == [f"results/splits/iemocap/speaker-{run}.parquet" for run in (0, 4)]
    said = plan({"training": {"epochs": 9, "patience": 4}, "test": "crops_mean"}, corpora=REAL).protocol()
    assert said["selection metric"] == "best validation UA of 9 epochs at most, patience 4"
    assert said["test"] == "mean over crops of 3 s"
    assert plan().protocol()["training"].startswith("crops of 1 s")


# Tables


def test_table_1_is_the_papers():
    layout = plan(corpora=REAL).layout("table1")
    assert layout.corner == ("Feature",)
    assert names(layout.rows) == [(name,) for name in [*TITLES, "Wav2vec"]]
    assert [row.where for row in layout.rows] == [{"system": name} for name in [*ENGINEERED, "wav2vec"]]
    assert [row.baseline for row in layout.rows] == [
        None if name == "Spectrogram" else ("Spectrogram",) for name in [*TITLES, "Wav2vec"]
    ]
    assert [(full_name(column), column.where) for column in layout.columns] == [
        ("UA", {"measure": "ua", "variant": "plain"}),
        ("UA warped", {"measure": "ua", "variant": "warp"}),
        ("WA", {"measure": "wa", "variant": "plain"}),
        ("WA warped", {"measure": "wa", "variant": "warp"}),
    ]
    assert layout.where == {"corpus": "iemocap", "role": "test"}
    assert layout.over_folds == "mean"
    assert names(plan({"features": ["modulation"]}, corpora=REAL).layout("table1").rows) == [
        ("Modulation",), ("Wav2vec",)
    ]  # fmt: skip
    assert plan({"features": ["modulation"]}, corpora=REAL).layout("table1").rows[1].baseline is None


def test_rows_of_table_2_are_the_parts_of_wav2vec_that_they_name():
    found = plan(corpora=REAL)
    layout = found.layout("table2")
    for row, (part, title) in zip(layout.rows, FINE_TUNED.items(), strict=True):
        assert row.name == (title,)
        options = found.options(wav2vec(row.where["variant"]))["segment_net"]
        assert (options["fine_tune"], options["segments"]) == (part, 2)
        assert row.baseline == (None if part == "none" else ("No Fine-tune",))
    assert layout.where == {"corpus": "iemocap", "role": "test", "system": "wav2vec"}


def test_rows_of_table_3_are_ours_below_those_of_others():
    found = plan({"best_segments": 3}, corpora=REAL)
    layout = found.layout("table3")
    assert [(full_name(row), row.where["system"], row.where["variant"]) for row in layout.rows] == [
        ("Baseline (ours) Spec. + Mod.", "spectrogram_modulation", "warp"),
        ("Baseline (ours) Wav2vec", "wav2vec", "plain"),
        ("+Seg (ours) Wav2vec", "wav2vec", "none-3"),
        ("+Seg+FineTune (ours) Wav2vec", "wav2vec", "context-3"),
    ]
    assert [column.where for column in layout.columns] == [{"measure": "ua"}]
    printed = read_published("temporal", "table3", 2)
    assert [name for name, _ in printed] == [*layout.quoted, *names(layout.rows)]


@pytest.mark.parametrize("table", ["table1", "table2", "table3"])
def test_what_the_paper_prints_is_compared_and_nothing_else(table):
    layout = plan(corpora=REAL).layout(table)
    compared = {
        (row.name, full_name(column))
        for row, column in itertools.product(layout.rows, layout.columns)
        if not row.reasons and not column.reasons and why_absent(row, column) is None
    }
    printed = read_published("temporal", table, len(layout.corner))
    assert compared == {place for place in printed if place[0] not in layout.quoted}


def test_published_numbers_are_those_of_the_paper():
    printed = {
        ("table1", 1): [
            *(46.2, 47.5, 43.7, 45.5), *(61.7, 61.8, 60.7, 59.6), *(60.3, 59.2, 57.4, 56.7), *(62.2, 62.0, 59.9, 59.2),
            *(46.8, 47.1, 44.7, 45.2), *(61.4, 63.2, 59.5, 61.0), *(61.1, 61.8, 58.7, 59.4), 64.1, 62.0,
        ],
        ("table2", 1): [65.8, 64.1, 66.9, 65.4, 65.5, 63.9, 65.8, 63.8],
        ("table3", 2): [61.8, 58.3, 63.9, 64.3, 63.2, 64.1, 65.4, 66.9],
    }  # fmt: skip
    for (table, n_corner), values in printed.items():
        found = read_published("temporal", table, n_corner)
        assert [value.mean for value in found.values()] == values
        assert {value.std for value in found.values()} == {None}


def test_another_number_of_segment_classifiers_is_not_compared():
    """Rows without segment classifiers are as in the paper all the same."""
    said = ("3 segment classifiers, the paper's 2",)
    found = plan({"best_segments": 3}, corpora=REAL)
    assert [row.reasons for row in found.layout("table2").rows] == [said] * 4
    assert [row.reasons for row in found.layout("table3").rows] == [(), (), said, said]
    assert not any(row.reasons for row in found.layout("table1").rows)
    assert not any(row.reasons for table in ("table2", "table3") for row in plan(corpora=REAL).layout(table).rows)


def test_another_corpus_than_the_papers_is_not_compared():
    for table in ("table1", "table2", "table3", "segments"):
        for column in plan({"corpus": "emodb"}, corpora=REAL).layout(table).columns:
            assert "not the paper's corpus" in column.reasons
        assert not any(column.reasons for column in plan(corpora=REAL).layout(table).columns)


def test_controls_and_pooled_scores_are_no_rows_of_the_paper():
    found = plan({"controls": CONTROLS, "context_layers": [1, 4]}, corpora=REAL, backbones=RELEASED)
    layout = found.layout("controls")
    assert [(row.name[0], *row.where.values()) for row in layout.rows] == [
        ("Spectrogram", "spectrogram", "plain"),
        ("Wav2vec", "wav2vec", "plain"),
        ("One segment classifier of weight 2", "wav2vec", "none-1-twice"),
        ("Wav2vec's classifier on log-mel", "segment_net_on_mel", "plain"),
        ("STRFNet on wav2vec", "strfnet_on_wav2vec", "plain"),
        ("First 1 layers of wav2vec's context", "wav2vec", "none-0-first-1"),
        ("First 4 layers of wav2vec's context", "wav2vec", "none-0-first-4"),
        ("SVC on mean and deviation of log-mel", "svc", "plain"),
        ("Chance", "wav2vec", "plain", "chance"),
        ("Majority class", "wav2vec", "plain", "majority"),
    ]
    assert all(column.reasons for table in ("controls", "pooled") for column in found.layout(table).columns)
    assert {table: found.layout(table).over_folds for table in (*TABLES, "controls")} == {
        **dict.fromkeys([*TABLES, "controls"], "mean"), "pooled": "pooled"
    }  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"features": ["spectrogram", "pulse_modulation"], "controls": CONTROLS},
        {"features": ["modulation"], "controls": ["svc"]},
        {"corpus": "emodb", "best_segments": 3, "segments": [2, 0]},
    ],
)
def test_a_layout_takes_in_exactly_the_cells_of_its_table(asked):
    found = plan(asked)
    for (table,) in found.tables:
        layout = found.layout(table)
        assert Layout.from_json(json.loads(json.dumps(layout.to_json()))) == layout
        assert taken_in(layout) == set(found.cells(table))


def write(folder, cell, test, val=0.5, guess=0.25):
    """Write a cell whose UA and WA on test speakers are ``test``; return ``metrics.json``."""
    told = {("val", "prediction"): share(val), ("test", "prediction"): share(test), ("test", "chance"): share(guess)}
    return write_cell(folder, cell._asdict(), [fit(0, "01F", of_roles=told)], study="temporal").metrics


def test_each_strategy_stands_beside_the_papers_number(tmp_path):
    found = plan(corpora=REAL)
    ours = dict(zip(FINE_TUNED, (0.1, 0.2, 0.3, 0.4), strict=True))
    paths = [write(tmp_path, wav2vec(f"{part}-2"), value) for part, value in ours.items()]
    filled = fill(found.layout("table2"), read_runs(paths))
    heading, lines = in_shape(filled, {})
    assert heading == ["Model", "UA", "WA"]
    assert lines == [
        [title, f"{100 * ours[part]:.2f}", f"{100 * ours[part]:.2f}"] for part, title in FINE_TUNED.items()
    ]
    heading, lines = beside_paper(filled, read_published("temporal", "table2", 1))
    compared = [dict(zip(heading, line, strict=True)) for line in lines]
    assert [(line["model"], line["ours_mean"], line["paper"]) for line in compared if line["column"] == "UA"] == [
        ("Fine-tune All", "10.00", "65.80"),
        ("Fine-tune Context Network", "20.00", "66.90"),
        ("Fine-tune Encoder Network", "30.00", "65.50"),
        ("No Fine-tune", "40.00", "65.80"),
    ]


def test_wav2vec_stands_in_the_columns_of_what_is_not_warped(tmp_path):
    found = plan({"features": ["spectrogram"], "controls": ["chance"]}, corpora=REAL)
    ours = {Cell("spectrogram", "iemocap", "plain"): 0.1, Cell("spectrogram", "iemocap", "warp"): 0.2, wav2vec(): 0.3}
    runs = read_runs([write(tmp_path, cell, value) for cell, value in ours.items()])
    assert in_shape(fill(found.layout("table1"), runs), {})[1] == [
        ["Spectrogram", "10.00", "20.00", "10.00", "20.00"],
        ["Wav2vec", "30.00", "n/a", "30.00", "n/a"],
    ]
    assert in_shape(fill(found.layout("controls"), runs), {})[1] == [
        ["Spectrogram", "10.00", "10.00"], ["Wav2vec", "30.00", "30.00"], ["Chance", "25.00", "25.00"]
    ]  # fmt: skip


def test_figure_2_is_of_the_test_speakers_by_number_of_segment_classifiers(tmp_path):
    found = plan({"segments": [2, 0, 1]}, corpora=REAL)
    paths = tuple(
        write(tmp_path, cell, value) for cell, value in zip(found.cells("segments"), (0.1, 0.2, 0.3), strict=True)
    )
    files = figure2.Files(paths)
    facts = {"layout": found.layout("segments").to_json(), "title": "IEMOCAP"}
    with figure_style():
        figure, points = figure2.make_figure(files, facts)
    assert list(points) == figure2.COLUMNS
    assert points[["segments", "measure"]].values.tolist() == [
        [count, measure] for measure in ("UA", "WA") for count in (0, 1, 2)
    ]
    assert points["mean"].tolist() == pytest.approx([10, 20, 30] * 2)
    (axes,) = figure.axes
    assert axes.get_xticks().tolist() == [0, 1, 2]


# Where it is not the paper's


def test_the_papers_own_settings_depart_in_nothing_and_neither_do_controls():
    for asked in ({}, {"controls": CONTROLS}, {"features": ["modulation"], "segments": [0], "runs": [5]}):
        found = plan(asked, corpora=REAL)
        assert found.departures("iemocap") == []
        assert not any(found.layout(table).departures["iemocap"] for (table,) in found.tables)


def test_a_stand_ins_own_settings_are_named():
    said = [
        "folds used 2, the paper's unset",
        "crop (s) 1, the paper's 3",
        f"receptive fields 4, by default 32 {OPEN}",
        f"channels of residual blocks 8, by default 32 {OPEN}",
        "maps of the CNN block 32, the paper's 512",
        "layers of the BiLSTM 1, the paper's 5",
        "learning rate 0.001, the paper's 0.0001",
        "batch size 16, the paper's 64",
        f"epochs 3, by default 100 {OPEN}",
    ]
    for asked in ({}, {"controls": CONTROLS}):
        found = plan(asked)
        assert found.departures("iemocap") == said
        for (table,) in found.tables:
            assert found.layout(table).departures == {"iemocap": said}


CHANGED = {
    "segment_net.segment_weight": (2, f"weight of a segment classifier 2, by default 1 {OPEN}"),
    "folds": ("in_turn", "folds in_turn, the paper's last_session"),
    "folds_used": (3, "folds used 3, the paper's unset"),
    "framing.window_ms": (25, f"window of the spectrogram (ms) 25, by default 50 {OPEN}"),
    "framing.hop_ms": (10, f"hop of the spectrogram (ms) 10, by default 12.5 {OPEN}"),
    "framing.kernel": (5, f"kernel of the first layer 5, by default 3 {OPEN}"),
    "framing.n_mels": (40, "mel bands 40, the paper's 30"),
    "framing.floor": (1e-9, f"power added to mel bands 1e-09, by default 1e-06 {OPEN}"),
    "augment.crop_s": (2.5, "crop (s) 2.5, the paper's 3"),
    "augment.gain_db": ([-20, 0], f"gain (dB) -20 0, by default -40 0 {OPEN}"),
    "augment.warp": (0.1, "warping 0.1, the paper's 0.15"),
    "augment.spec_augment.time_masks": (0, f"time masks of SpecAugment 0, by default 2 {OPEN}"),
    "augment.spec_augment.time_width": (9, f"frames of a time mask 9, by default 20 {OPEN}"),
    "augment.spec_augment.band_masks": (2, f"band masks of SpecAugment 2, by default 1 {OPEN}"),
    "augment.spec_augment.band_width": (3, f"bands of a mask 3, by default 4 {OPEN}"),
    "strfnet.kernels": (8, f"receptive fields 8, by default 32 {OPEN}"),
    "strfnet.support_ms": (100, "support of receptive fields (ms) 100, the paper's 200"),
    "strfnet.support_bands": (7, f"support of receptive fields (bands) 7, by default 9 {OPEN}"),
    "strfnet.channels": (8, f"channels of residual blocks 8, by default 32 {OPEN}"),
    "strfnet.embedding": (8, f"units of frames and GRU 8, by default 256 {OPEN}"),
    "strfnet.attention": (8, f"units of self-attention 8, by default 256 {OPEN}"),
    "strfnet.hidden": (8, f"units of the MLP 8, by default 256 {OPEN}"),
    "segment_net.maps": (8, "maps of the CNN block 8, the paper's 512"),
    "segment_net.kernels": ([4, 4, 3, 5], "kernels of the CNN block 4 4 3 5, the paper's 4 4 3 3"),
    "segment_net.strides": ([2, 2, 2, 1], "strides of the CNN block 2 2 2 1, the paper's 2 2 1 1"),
    "segment_net.lstm": (8, "units of the BiLSTM 8, the paper's 256"),
    "segment_net.lstm_layers": (1, "layers of the BiLSTM 1, the paper's 5"),
    "segment_net.hidden": (8, "units of position-wise layers 8, the paper's 512"),
    "test": ("crops_mean", f"test crops_mean, by default full {OPEN}"),
    "training.learning_rate": (0.001, "learning rate 0.001, the paper's 0.0001"),
    "training.batch_size": (32, "batch size 32, the paper's 64"),
    "training.epochs": (9, f"epochs 9, by default 100 {OPEN}"),
    "training.plateau_factor": (0.1, f"factor of the learning rate on a plateau 0.1, by default 0.5 {OPEN}"),
    "training.plateau_patience": (2, f"epochs of a plateau 2, by default 5 {OPEN}"),
    "training.patience": (9, f"epochs without gain 9, by default 15 {OPEN}"),
    "training.precision": ("bf16", f"precision bf16, by default fp32 {OPEN}"),
}
OF_PULSES = {
    "pulses.floor_hz": (60.0, f"lowest pitch (Hz) 60, by default 75 {OPEN}"),
    "pulses.ceiling_hz": (500.0, f"highest pitch (Hz) 500, by default 600 {OPEN}"),
}
EMOTIONS = f"emotions anger sadness, by default unset {OPEN}"


def section(key, value):
    """Return ``{"a": {"b": value}}`` of the key ``a.b``."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


@pytest.mark.parametrize(("key", "value", "said"), [(key, *told) for key, told in CHANGED.items()])
def test_every_setting_that_departs_is_said(key, value, said):
    found = plan(section(key, value), corpora=REAL)
    assert found.departures("iemocap") == [said]
    assert found.layout("table1").departures == {"iemocap": [said]}


@pytest.mark.parametrize(("key", "value", "said"), [(key, *told) for key, told in OF_PULSES.items()])
def test_another_range_of_pitch_is_said(key, value, said):
    default = Config().as_json()["features"]
    own = {**default["pitch_pulse"], key.removeprefix("pulses."): value}
    assert plan(corpora=REAL, features={**default, "pitch_pulse": own}).departures("iemocap") == [said]


def test_words_that_are_left_out_are_said():
    asked = {"corpus": "emodb", "emotions": ["anger", "sadness"], "folds": "last_session"}
    assert plan(asked, corpora=REAL).departures("emodb") == [EMOTIONS]


def test_the_departures_above_are_all_that_there_are():
    assert {key for key, told in PAPER.items() if told is not None} == {*CHANGED, *OF_PULSES, "emotions"}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("segment_net.segments", 2, "is set by segments; leave it out"),
        ("segment_net.fine_tune", "context", "is set by the rows of Table 2; leave it out"),
        ("segment_net.context_layers", 4, "is set by context_layers; leave it out"),
        ("warped", True, "is set by the columns of Table 1; leave it out"),
        ("features", ["spectrogram", "spectogram"], "no row of features 'spectogram' (did you mean 'spectrogram'?)"),
        ("corpus", "emodbb", "'emodbb' is not in corpora"),
        ("emotions", ["anger", "sadness"], "iemocap has the paper's four classes; set null"),
        ("controls", ["svc", "svc"], "'svc' stands there twice"),
        ("best_segments", 0, "greater than or equal to 1"),
        ("framing.kernel", 4, "an odd number keeps frames where they are"),
        ("framing.hop_ms", 60, "above window_ms"),
        ("framing.window_ms", 50.03, "no whole number of samples"),
        ("augment.gain_db", [0, -40], "give the lower one first"),
        ("segment_net.strides", [2, 2], "4 kernels and 2 strides"),
    ],
)
def test_what_rows_set_and_what_cannot_be_is_refused_by_its_key(key, value, said):
    with pytest.raises(ConfigError) as error:
        check_config({"temporal": section(key, value)})
    assert f"temporal.{key.partition('.')[0]}" in str(error.value)
    assert said in str(error.value)


@pytest.mark.parametrize(
    "key", ["segment_net.segments", "segment_net.fine_tune", "segment_net.context_layers", "warped"]
)
def test_what_rows_set_is_refused_by_its_whole_key(key):
    value = {"segment_net.fine_tune": "all", "warped": True}.get(key, 1)
    with pytest.raises(ConfigError, match=rf"temporal\.{key}: is set by "):
        check_config({"temporal": section(key, value)})
