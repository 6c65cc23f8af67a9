import csv
import json
import math
import subprocess
import sys
from itertools import product

import pytest

from made_up_runs import PARTIAL, STAND_IN_WEIGHTS, SYNTHETIC, SYNTHETIC_NOISE, write_scores
from serflow.errors import StoreError
from serflow.report.headings import Heading, Layout
from serflow.report.style import figure_style
from serflow.report.tables import fill, read_published
from serflow.runs.provenance import Provenance
from serflow.runs.scores import read_runs
from serflow.studies.dlc.figure4 import by_corpus, corpus_labels, draw_figure4, figure4_table, paper_gains

FIELDS = ("experiment", "method", "corpus", "profile")
TITLES = {"msp_improv": "MSP-Improv", "iemocap": "IEMOCAP", "mosei": "CMU-MOSEI", "emodb": "EmoDB"}
PAPER = ["msp_improv", "iemocap", "mosei"]
PROFILES = ["h1", "h2", "h3"]
METHODS = {
    "single": ("Single", None),
    "moe_slc": ("MoE-SLC", "Single"),
    "moe_dlc": ("MoE-DLC", "Single"),
    "dann": ("DANN", "Single"),
    "maddog": ("MADDoG", "Single"),
    "dsn_slc": ("DSN-SLC", "Single"),
    "dsn_dlc": ("DSN-DLC", "Single"),
    "hffn_single": ("HFFN-Single", None),
    "hffn_moe_dlc": ("HFFN-MoE-DLC", "HFFN-Single"),
    "hffn_dsn_dlc": ("HFFN-DSN-DLC", "HFFN-Single"),
}
PUBLISHED = read_published("dlc", "table1", 2)
# mean and standard deviation (ddof 1) over profiles, computed by hand from the printed Table I
GAINS = """
1,MoE-SLC,msp_improv,1.74,0.20
1,MoE-SLC,iemocap,2.41,0.86
1,MoE-SLC,mosei,2.08,0.27
1,MoE-DLC,msp_improv,1.70,0.22
1,MoE-DLC,iemocap,2.48,0.64
1,MoE-DLC,mosei,2.23,0.31
1,HFFN-MoE-DLC,msp_improv,1.64,0.42
1,HFFN-MoE-DLC,iemocap,1.59,0.20
1,HFFN-MoE-DLC,mosei,1.67,0.41
2,MoE-SLC,msp_improv,-1.80,0.64
2,MoE-SLC,iemocap,-4.25,1.09
2,MoE-SLC,mosei,-1.36,0.17
2,MoE-DLC,msp_improv,-1.74,0.65
2,MoE-DLC,iemocap,-4.26,1.09
2,MoE-DLC,mosei,-1.37,0.16
2,DANN,msp_improv,1.11,0.71
2,DANN,iemocap,1.60,0.28
2,DANN,mosei,0.91,0.31
2,MADDoG,msp_improv,1.52,0.82
2,MADDoG,iemocap,2.08,0.65
2,MADDoG,mosei,1.29,0.51
2,DSN-SLC,msp_improv,2.88,1.47
2,DSN-SLC,iemocap,2.32,1.93
2,DSN-SLC,mosei,1.87,1.59
2,DSN-DLC,msp_improv,2.41,0.49
2,DSN-DLC,iemocap,2.99,0.81
2,DSN-DLC,mosei,2.07,0.30
2,HFFN-DSN-DLC,msp_improv,2.20,0.22
2,HFFN-DSN-DLC,iemocap,2.16,1.11
2,HFFN-DSN-DLC,mosei,1.82,0.78
"""
NONE = (0.0, 0.0, 0.0)
CELLS = {
    ("exp1", "single"): NONE,
    ("exp1", "moe_dlc"): (0.01, 0.02, 0.06),
    ("exp2", "single"): NONE,
    ("exp2", "dann"): (-0.01, -0.02, -0.03),
}


def layout(methods, corpora=PAPER, profiles=PROFILES, without=None, departures=None):
    """Table I in the plan's words."""
    rows = []
    for experiment, method in methods:
        number, (title, baseline) = experiment[-1], METHODS[method]
        trained = any(METHODS[name][0] == baseline and of == experiment for of, name in methods)
        missing = dict.fromkeys((without or {}).get(method, ()), "no turns in dialogues")
        where = {"experiment": experiment, "method": method, "measure": "ua"}
        rows.append(Heading((number, title), where, (number, baseline) if trained else None, missing))
    columns = [
        Heading(
            (TITLES[corpus], profile),
            {"corpus": corpus, "profile": profile},
            reasons=() if corpus in PAPER else ("not a corpus of the paper",),
        )
        for corpus in corpora
        for profile in profiles
    ]
    overall = Heading(("Overall",), {"corpus": list(corpora), "profile": list(profiles)})
    return Layout(("Experiment", "Method"), rows, [*columns, overall], departures=departures or {})


def write(folder, methods=None, corpora=PAPER, profiles=PROFILES, runs=(0, 1), provenance=None):
    """UA is 50 % and a point more for each profile, with the method's gains (shares) added."""
    return [
        write_scores(
            folder,
            dict(zip(FIELDS, (experiment, method, corpus, profile), strict=True)),
            {
                run: dict.fromkeys(
                    ["none"] if experiment == "exp1" else ["human", "interior", "natural"],
                    0.5 + 0.01 * k + gain[k] + 0.1 * run,
                )
                for run in runs
            },
            provenance=(provenance or {}).get(corpus),
        )
        for (experiment, method), gain in (methods or CELLS).items()
        for corpus, (k, profile) in product(corpora, enumerate(profiles))
    ]


def make(folder, methods=None, corpora=PAPER, profiles=PROFILES, **said):
    table = fill(
        layout(methods or CELLS, corpora, profiles), read_runs(write(folder, methods, corpora, profiles, **said))
    )
    return figure4_table(table, PUBLISHED), table


def test_the_papers_gains_follow_from_its_table():
    methods = [
        *(("exp1", name) for name in ("single", "moe_slc", "moe_dlc", "hffn_single", "hffn_moe_dlc")),
        *(("exp2", name) for name in METHODS if name != "hffn_moe_dlc"),
    ]
    table = layout(methods)
    ours = {
        (*row.name, corpus): found
        for row in table.rows
        for corpus, columns in by_corpus(table).items()
        if (found := paper_gains(row, [table.columns[column] for column in columns], PUBLISHED)) is not None
    }
    listed = {tuple(row[:3]): row[3:] for row in csv.reader(GAINS.split())}
    assert ours.keys() == listed.keys()
    for key, (gain, std) in listed.items():
        assert [f"{part:.2f}" for part in ours[key]] == [gain, std], key


def test_a_corpus_of_another_title_has_the_papers_gains():
    table = layout([("exp1", "single"), ("exp1", "moe_dlc")])
    for columns in by_corpus(table).values():
        theirs = [table.columns[column] for column in columns]
        mine = [column._replace(name=("Mine", *column.name[1:]), printed=column.name) for column in theirs]
        assert paper_gains(table.rows[1], mine, PUBLISHED) == paper_gains(table.rows[1], theirs, PUBLISHED)
        assert paper_gains(table.rows[1], mine, PUBLISHED) is not None


def test_a_bar_is_the_mean_gain_over_profiles(tmp_path):
    bars, _ = make(tmp_path)
    assert list(bars[["panel", "method", "corpus"]].itertuples(index=False, name=None)) == [
        *(("a", "MoE-DLC", corpus) for corpus in PAPER),
        *(("b", "DANN", corpus) for corpus in PAPER),
    ]
    assert bars["gain"].tolist() == pytest.approx([3.0] * 3 + [-2.0] * 3)
    assert bars["std"].tolist() == pytest.approx([math.sqrt(7.0)] * 3 + [1.0] * 3)
    assert (bars["n_profiles"] == 3).all()
    assert (bars["n_runs"] == 2).all()


def test_the_papers_bar_stands_beside_ours(tmp_path):
    bars, _ = make(tmp_path)
    line = bars.set_index(["panel", "method", "corpus"]).loc[("b", "DANN", "iemocap")]
    assert (round(line["paper_gain"], 2), round(line["paper_std"], 2), line["note"]) == (1.60, 0.28, "")
    assert bars["paper_gain"].notna().all()


@pytest.mark.parametrize(
    ("part", "note"),
    [
        (SYNTHETIC, "synthetic stand-in: not compared"),
        (PARTIAL._replace(remarks=("few",)), "partial corpus: not compared; few"),
        (SYNTHETIC_NOISE, "synthetic noise: not compared"),
        (STAND_IN_WEIGHTS, "stand-in weights of bert: not compared"),
    ],
)
def test_other_data_than_the_papers_are_not_compared(tmp_path, part, note):
    bars, _ = make(tmp_path, provenance={"iemocap": part})
    lines = bars[bars["corpus"] == "iemocap"]
    assert lines["paper_gain"].isna().all()
    assert lines["paper_std"].isna().all()
    assert (lines["note"] == note).all()
    assert bars.loc[bars["corpus"] == "mosei", "paper_gain"].notna().all()


def test_remarks_and_departures_stand_in_the_note_and_do_not_keep_it_from_comparison(tmp_path):
    paths = write(tmp_path, provenance={"mosei": Provenance(remarks=("3 rejected",))})
    table = fill(layout(CELLS, departures={"mosei": ["optimiser adam"]}), read_runs(paths))
    bars = figure4_table(table, PUBLISHED).set_index(["panel", "corpus"])
    assert bars.loc[("a", "mosei"), "note"] == "optimiser adam; 3 rejected"
    assert bars.loc[("a", "mosei"), "paper_gain"] == pytest.approx(2.23, abs=0.005)
    assert bars.loc[("a", "iemocap"), "note"] == ""


def test_fewer_profiles_or_another_corpus_are_not_compared(tmp_path):
    bars, _ = make(tmp_path, corpora=["iemocap", "emodb"], profiles=["h1", "h2"])
    notes = bars.set_index(["panel", "corpus"])["note"]
    assert notes["a", "iemocap"] == "not the paper's three profiles"
    assert notes["a", "emodb"] == "not a corpus of the paper; not the paper's three profiles"
    assert bars["paper_gain"].isna().all()
    assert bars["gain"].iloc[0] == pytest.approx(1.5)


def test_a_bar_that_the_paper_does_not_have_is_not_compared(tmp_path):
    bars, _ = make(tmp_path, {("exp1", "single"): NONE, ("exp1", "dann"): NONE})
    assert (bars["note"] == "not a bar of the paper").all()


def test_one_profile_has_no_deviation_and_no_error_bar(tmp_path):
    bars, table = make(tmp_path, profiles=["h1"])
    assert bars["std"].isna().all()
    assert bars["note"].str.contains("one profile: no deviation").all()
    with figure_style():
        axes = draw_figure4(bars, corpus_labels(table)).axes
    assert not any(panel.collections for panel in axes)


def test_multimodal_methods_are_held_against_hffn_single_and_may_lack_corpora(tmp_path):
    multi = {("exp1", "hffn_single"): (-0.2,) * 3, ("exp1", "hffn_moe_dlc"): (-0.19,) * 3}
    paths = write(tmp_path) + write(tmp_path, multi, ["iemocap"])
    lacking = dict.fromkeys(("hffn_single", "hffn_moe_dlc"), ("msp_improv", "mosei"))
    table = fill(layout([*CELLS, *multi], without=lacking), read_runs(paths))
    bars = figure4_table(table, PUBLISHED)
    lines = bars[bars["method"] == "HFFN-MoE-DLC"]
    assert lines["corpus"].tolist() == ["iemocap"]
    assert lines["gain"].tolist() == pytest.approx([1.0])
    with figure_style():
        figure = draw_figure4(bars, corpus_labels(table))
    first, _ = figure.axes
    assert [text.get_text() for text in first.texts] == ["n/a", "n/a"]
    hatched = [drawn.patches[0].get_hatch() for drawn in first.containers if hasattr(drawn, "patches")]
    assert sum(map(bool, hatched)) == 1


def test_methods_without_a_baseline_have_no_bar(tmp_path):
    bars, table = make(tmp_path, {("exp1", "moe_dlc"): NONE})
    assert bars.empty
    with figure_style():
        assert len(draw_figure4(bars, corpus_labels(table)).axes) == 1


def test_a_profile_without_the_baseline_is_left_out_and_noted(tmp_path):
    table = layout(CELLS)
    columns = [
        column._replace(without={"single": "not built"}) if column.name == ("CMU-MOSEI", "h3") else column
        for column in table.columns[:-1]
    ]
    table = table._replace(columns=columns)
    bars = figure4_table(fill(table, read_runs(write(tmp_path))), PUBLISHED).set_index(["panel", "method", "corpus"])
    line = bars.loc[("a", "MoE-DLC", "mosei")]
    assert (line["n_profiles"], line["gain"]) == (2, pytest.approx(1.5))
    assert line["note"] == "not the paper's three profiles; no cell of the method or its baseline in h3"


def test_other_runs_than_the_baselines_are_an_error(tmp_path):
    paths = write(tmp_path, {("exp1", "single"): NONE}) + write(tmp_path, {("exp1", "moe_dlc"): NONE}, runs=(0,))
    table = fill(layout([("exp1", "single"), ("exp1", "moe_dlc")]), read_runs(paths))
    with pytest.raises(StoreError, match="moe_dlc/msp_improv/h1 and exp1/single/msp_improv/h1, its baseline, have"):
        figure4_table(table, PUBLISHED)


def test_corpora_of_other_runs_each_have_their_bar(tmp_path):
    """A stand-in with one run beside real corpora with two."""
    paths = write(tmp_path, corpora=PAPER[:2]) + write(tmp_path, corpora=PAPER[2:], runs=(0,))
    bars = figure4_table(fill(layout(CELLS), read_runs(paths)), PUBLISHED)
    assert bars["n_runs"].tolist() == [2, 2, 1] * 2


def test_labels_say_what_is_synthetic(tmp_path):
    bars, table = make(tmp_path, provenance={"mosei": SYNTHETIC})
    with figure_style():
        panels = draw_figure4(bars, corpus_labels(table)).axes
    assert [label.get_text() for label in panels[0].get_xticklabels()] == [
        "MSP-Improv",
        "IEMOCAP",
        "CMU-MOSEI\n(synthetic)",
    ]
    assert [panel.get_title(loc="left")[:3] for panel in panels] == ["(a)", "(b)"]


def test_the_stage_writes_figure_and_numbers(tmp_path):
    paths = write(tmp_path, corpora=["iemocap"])
    facts = {"layout": layout(CELLS, ["iemocap"]).to_json()}
    command = [
        sys.executable, "-m", "serflow.stages.plot_figure", "--study", "dlc", "--figure", "figure4",
        "--inputs", *(f"cells={path}" for path in paths), "--facts", json.dumps(facts), "--code", "f" * 16,
        "--svg", tmp_path / "figure4.svg", "--csv", tmp_path / "figure4.csv",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    assert list(csv.reader((tmp_path / "figure4.csv").read_text().splitlines())) == [
        ["panel", "method", "corpus", "gain", "std", "n_profiles", "n_runs", "paper_gain", "paper_std", "note"],
        ["a", "MoE-DLC", "IEMOCAP", "3.00", "2.65", "3", "2", "2.48", "0.64", ""],
        ["b", "DANN", "IEMOCAP", "-2.00", "1.00", "3", "2", "1.60", "0.28", ""],
    ]
    assert (tmp_path / "figure4.svg").read_text().startswith("<?xml")
