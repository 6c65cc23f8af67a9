import csv
import math
import subprocess
import sys
from itertools import product

import pytest

from dlc_artefacts import write_clips, write_metrics, write_utterances
from serflow.errors import StoreError
from serflow.report.corpora import read_corpora, read_noise
from serflow.report.style import figure_style
from serflow.studies.dlc import paper
from serflow.studies.dlc.figure4 import draw_figure4, figure4_table, paper_gains
from serflow.studies.dlc.results import seed_scores

PAPER = list(paper.CORPORA)
PROFILES = ["h1", "h2", "h3"]
# mean and standard deviation (ddof 1) over profiles, computed by hand from the printed Table I
GAINS = """
exp1,MoE-SLC,msp_improv,1.74,0.20
exp1,MoE-SLC,iemocap,2.41,0.86
exp1,MoE-SLC,mosei,2.08,0.27
exp1,MoE-DLC,msp_improv,1.70,0.22
exp1,MoE-DLC,iemocap,2.48,0.64
exp1,MoE-DLC,mosei,2.23,0.31
exp1,HFFN-MoE-DLC,msp_improv,1.64,0.42
exp1,HFFN-MoE-DLC,iemocap,1.59,0.20
exp1,HFFN-MoE-DLC,mosei,1.67,0.41
exp2,MoE-SLC,msp_improv,-1.80,0.64
exp2,MoE-SLC,iemocap,-4.25,1.09
exp2,MoE-SLC,mosei,-1.36,0.17
exp2,MoE-DLC,msp_improv,-1.74,0.65
exp2,MoE-DLC,iemocap,-4.26,1.09
exp2,MoE-DLC,mosei,-1.37,0.16
exp2,DANN,msp_improv,1.11,0.71
exp2,DANN,iemocap,1.60,0.28
exp2,DANN,mosei,0.91,0.31
exp2,MADDoG,msp_improv,1.52,0.82
exp2,MADDoG,iemocap,2.08,0.65
exp2,MADDoG,mosei,1.29,0.51
exp2,DSN-SLC,msp_improv,2.88,1.47
exp2,DSN-SLC,iemocap,2.32,1.93
exp2,DSN-SLC,mosei,1.87,1.59
exp2,DSN-DLC,msp_improv,2.41,0.49
exp2,DSN-DLC,iemocap,2.99,0.81
exp2,DSN-DLC,mosei,2.07,0.30
exp2,HFFN-DSN-DLC,msp_improv,2.20,0.22
exp2,HFFN-DSN-DLC,iemocap,2.16,1.11
exp2,HFFN-DSN-DLC,mosei,1.82,0.78
"""


def facts_of(folder, corpora, **said):
    paths = [write_utterances(folder, corpus, **said.get(corpus, {})) for corpus in corpora]
    entries = [
        {"name": corpus, "title": corpus.upper(), "synthetic": said.get(corpus, {}).get("synthetic", False)}
        for corpus in corpora
    ]
    return read_corpora(entries, paths)


def write_cells(folder, methods, corpora=PAPER, profiles=PROFILES, seeds=(0, 1)):
    """Cells whose UA is 0.5 + place of the profile / 100 for baselines, and with ``methods``' gains (shares) added."""
    return [
        write_metrics(
            folder,
            (experiment, method, corpus, profile),
            {seed: [0.5 + 0.01 * k + gain[k] + 0.1 * seed] * (1 if experiment == "exp1" else 3) for seed in seeds},
        )
        for (experiment, method), gain in methods.items()
        for corpus, (k, profile) in product(corpora, enumerate(profiles))
    ]


NONE = (0.0, 0.0, 0.0)
METHODS = {
    ("exp1", "single"): NONE,
    ("exp1", "moe_dlc"): (0.01, 0.02, 0.06),
    ("exp2", "single"): NONE,
    ("exp2", "dann"): (-0.01, -0.02, -0.03),
}


def make(folder, paths, corpora=PAPER, profiles=PROFILES, noise=None, **said):
    facts = facts_of(folder, corpora, **said)
    clips = read_noise(write_clips(folder, **(noise or {})))
    return figure4_table(seed_scores(paths), facts, profiles, ["own", "dann", "moe_dlc", "single"], clips), facts


def test_the_papers_gains_follow_from_its_table():
    ours = {
        (row.experiment, row.method, row.corpus): (row.gain, row.std) for row in paper_gains().itertuples(index=False)
    }
    listed = {tuple(row[:3]): row[3:] for row in csv.reader(GAINS.split())}
    assert ours.keys() == listed.keys()
    for key, (gain, std) in listed.items():
        assert f"{ours[key][0]:.2f}" == gain, key
        assert f"{ours[key][1]:.2f}" == std, key


def test_a_bar_is_the_mean_gain_over_profiles(tmp_path):
    table, _ = make(tmp_path, write_cells(tmp_path, METHODS))
    assert list(table[["panel", "method", "corpus"]].itertuples(index=False, name=None)) == [
        *(("a", "moe_dlc", corpus) for corpus in PAPER),
        *(("b", "dann", corpus) for corpus in PAPER),
    ]
    assert table["gain"].tolist() == pytest.approx([3.0] * 3 + [-2.0] * 3)
    assert table["std"].tolist() == pytest.approx([math.sqrt(7.0)] * 3 + [1.0] * 3)
    assert (table["n_profiles"] == 3).all()
    assert (table["n_seeds"] == 2).all()


def test_the_papers_bar_stands_beside_ours(tmp_path):
    table, _ = make(tmp_path, write_cells(tmp_path, METHODS))
    line = table.set_index(["panel", "method", "corpus"]).loc[("b", "dann", "iemocap")]
    assert (round(line["paper_gain"], 2), round(line["paper_std"], 2), line["note"]) == (1.60, 0.28, "")
    assert table["paper_gain"].notna().all()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"iemocap": {"synthetic": True}}, "synthetic stand-in: not compared"),
        ({"iemocap": {"partial": True, "warnings": ["few"]}}, "partial corpus: not compared; few"),
        ({"noise": {"synthetic": True}}, "synthetic noise: not compared"),
    ],
)
def test_other_data_than_the_papers_are_not_compared(tmp_path, said, reason):
    table, _ = make(tmp_path, write_cells(tmp_path, METHODS), **said)
    lines = table[table["corpus"] == "iemocap"]
    assert lines["paper_gain"].isna().all()
    assert lines["paper_std"].isna().all()
    assert (lines["note"] == reason).all()
    assert table.loc[table["corpus"] == "mosei", "paper_gain"].isna().all() == ("noise" in said)


def test_fewer_profiles_or_another_corpus_are_not_compared(tmp_path):
    paths = write_cells(tmp_path, METHODS, ["iemocap", "emodb"], ["h1", "h2"])
    table, _ = make(tmp_path, paths, ["iemocap", "emodb"], ["h1", "h2"])
    notes = table.set_index(["panel", "corpus"])["note"]
    assert notes["a", "iemocap"] == "not the paper's three profiles"
    assert notes["a", "emodb"] == "not the paper's three profiles; not a corpus of the paper"
    assert table["paper_gain"].isna().all()
    assert table["gain"].iloc[0] == pytest.approx(1.5)


def test_a_bar_that_the_paper_does_not_have_is_not_compared(tmp_path):
    table, _ = make(tmp_path, write_cells(tmp_path, {("exp1", "single"): NONE, ("exp1", "dann"): NONE}))
    assert (table["note"] == "not a bar of the paper").all()


def test_one_profile_has_no_deviation_and_no_error_bar(tmp_path):
    table, facts = make(tmp_path, write_cells(tmp_path, METHODS, profiles=["h1"]), profiles=["h1"])
    assert table["std"].isna().all()
    assert table["note"].str.contains("one profile: no deviation").all()
    with figure_style():
        axes = draw_figure4(table, facts).axes
    assert not any(panel.collections for panel in axes)


def test_multimodal_methods_are_held_against_hffn_single_and_may_lack_corpora(tmp_path):
    multi = {("exp1", "hffn_single"): (-0.2, -0.2, -0.2), ("exp1", "hffn_moe_dlc"): (-0.19, -0.19, -0.19)}
    paths = write_cells(tmp_path, METHODS) + write_cells(tmp_path, multi, ["iemocap"])
    table, facts = make(tmp_path, paths)
    lines = table[table["method"] == "hffn_moe_dlc"]
    assert lines["corpus"].tolist() == ["iemocap"]
    assert lines["gain"].tolist() == pytest.approx([1.0])
    with figure_style():
        figure = draw_figure4(table, facts)
    first, _ = figure.axes
    assert [text.get_text() for text in first.texts] == ["n/a", "n/a"]
    hatched = [bars.patches[0].get_hatch() for bars in first.containers if hasattr(bars, "patches")]
    assert sum(map(bool, hatched)) == 1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "MoE-DLC", "HFFN-MoE-DLC", "DANN", "the paper",
    ]  # fmt: skip


def test_methods_without_a_baseline_have_no_bar(tmp_path):
    table, facts = make(tmp_path, write_cells(tmp_path, {("exp1", "moe_dlc"): NONE}))
    assert table.empty
    with figure_style():
        assert len(draw_figure4(table, facts).axes) == 1


def test_a_profile_without_the_baseline_is_left_out_and_noted(tmp_path):
    paths = [path for path in write_cells(tmp_path, METHODS) if "exp1/single/mosei/h3" not in path.as_posix()]
    table, _ = make(tmp_path, paths)
    line = table.set_index(["panel", "method", "corpus"]).loc[("a", "moe_dlc", "mosei")]
    assert (line["n_profiles"], line["gain"]) == (2, pytest.approx(1.5))
    assert line["note"] == "not the paper's three profiles; no cell of the method or its baseline in h3"


def test_other_seeds_than_the_baselines_are_an_error(tmp_path):
    paths = write_cells(tmp_path, {("exp1", "single"): NONE})
    paths += write_cells(tmp_path, {("exp1", "moe_dlc"): NONE}, seeds=(0,))
    with pytest.raises(StoreError, match="exp1/moe_dlc/msp_improv and of its baseline single have other seeds"):
        make(tmp_path, paths)


def test_labels_say_what_is_synthetic(tmp_path):
    table, facts = make(tmp_path, write_cells(tmp_path, METHODS), mosei={"synthetic": True})
    with figure_style():
        panels = draw_figure4(table, facts).axes
    assert [label.get_text() for label in panels[0].get_xticklabels()] == [
        "MSP_IMPROV",
        "IEMOCAP",
        "MOSEI\n(synthetic)",
    ]
    assert [panel.get_title(loc="left")[:3] for panel in panels] == ["(a)", "(b)"]


def test_the_stage_writes_figure_and_numbers(tmp_path):
    paths = write_cells(tmp_path, METHODS, ["iemocap"])
    command = [
        sys.executable, "-m", "serflow.stages.plot_dlc_figure4", "--cells", *paths,
        "--utterances", write_utterances(tmp_path, "iemocap"), "--clips", write_clips(tmp_path),
        "--corpora", '[{"name": "iemocap", "title": "IEMOCAP", "synthetic": false}]', "--profiles", *PROFILES,
        "--methods", "single", "moe_dlc", "dann", "--code", "f" * 16,
        "--figure", tmp_path / "figure4.svg", "--csv", tmp_path / "figure4.csv",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    assert list(csv.reader((tmp_path / "figure4.csv").read_text().splitlines())) == [
        ["panel", "method", "corpus", "gain", "std", "n_profiles", "n_seeds", "paper_gain", "paper_std", "note"],
        ["a", "MoE-DLC", "iemocap", "3.00", "2.65", "3", "2", "2.48", "0.64", ""],
        ["b", "DANN", "iemocap", "-2.00", "1.00", "3", "2", "1.60", "0.28", ""],
    ]
    assert (tmp_path / "figure4.svg").read_text().startswith("<?xml")
