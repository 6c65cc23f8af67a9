from itertools import product

import pytest

from dlc_artefacts import write_clips, write_metrics, write_utterances
from serflow.report.corpora import read_corpora, read_noise
from serflow.studies.dlc.comparison import compare_noise_classifier, compare_table1
from serflow.studies.dlc.results import seed_scores, summarise, with_overall

PAPER = ["msp_improv", "iemocap", "mosei"]
PROFILES = ["h1", "h2", "h3"]
KEY = ["experiment", "method", "corpus", "profile"]


def facts_of(folder, corpora, **said):
    """Facts of ``corpora``; ``said`` holds keyword arguments of write_utterances by corpus."""
    paths = [write_utterances(folder, corpus, **said.get(corpus, {})) for corpus in corpora]
    entries = [
        {"name": corpus, "title": corpus, "synthetic": said.get(corpus, {}).get("synthetic", False)}
        for corpus in corpora
    ]
    return read_corpora(entries, paths)


def compare(folder, corpora=PAPER, method="single", seeds=(0, 1), noise=None, profiles=PROFILES, **said):
    scores = seed_scores(
        [
            write_metrics(folder, ("exp1", method, corpus, profile), {seed: [0.5 + 0.02 * seed] for seed in seeds})
            for corpus, profile in product(corpora, profiles)
        ]
    )
    summary = summarise(with_overall(scores))
    noise_facts = read_noise(write_clips(folder, **(noise or {})))
    facts = facts_of(folder, corpora, **said)
    return compare_table1(scores, summary, facts, profiles, [method], noise_facts).set_index(KEY).loc["exp1"]


def test_the_papers_own_corpora_are_compared(tmp_path):
    table = compare(tmp_path)
    cell = table.loc[("Single", "msp_improv", "h1")]
    assert cell.to_dict() == {
        "ours_mean": "51.00", "ours_std": "1.41", "n_seeds": 2, "paper": "51.39", "difference": "-0.39", "note": "",
    }  # fmt: skip
    overall = table.loc[("Single", "overall", "overall")]
    assert (overall["paper"], overall["difference"], overall["note"]) == ("51.82", "-0.82", "")
    assert len(table) == 13


def test_departures_from_the_papers_settings_stand_in_the_note(tmp_path):
    corpora = [{"name": "iemocap", "title": "IEMOCAP", "synthetic": False, "departures": ["optimiser adam, not ours"]}]
    utterances = [write_utterances(tmp_path, "iemocap")]
    facts = read_corpora(corpora, utterances)
    assert facts["iemocap"].remarks == ("optimiser adam, not ours",)


def test_difference_is_that_of_the_printed_numbers(tmp_path):
    table = compare(tmp_path)
    compared = table[table["paper"] != ""].astype({"ours_mean": float, "paper": float, "difference": float})
    assert (compared["ours_mean"] - compared["paper"] - compared["difference"]).abs().max() < 1e-9


def test_one_seed_leaves_std_empty(tmp_path):
    assert compare(tmp_path, seeds=(0,)).loc[("Single", "mosei", "h2"), "ours_std"] == ""


def test_a_synthetic_corpus_and_the_overall_mean_are_not_compared(tmp_path):
    table = compare(tmp_path, iemocap={"synthetic": True})
    cell = table.loc[("Single", "iemocap", "h1")]
    assert (cell["paper"], cell["difference"], cell["note"]) == ("", "", "synthetic stand-in: not compared")
    assert table.loc[("Single", "mosei", "h1"), "paper"] == "42.25"
    overall = table.loc["Single"].loc["overall"]
    assert (overall["paper"] == "").all()
    assert overall["note"].str.contains("synthetic stand-in among the corpora").all()


def test_a_partial_corpus_is_not_compared_and_its_warnings_are_given(tmp_path):
    said = {"partial": True, "warnings": ["utterances: 7,000 of 8,438 published"], "rejected": 3}
    table = compare(tmp_path, msp_improv=said)
    cell = table.loc[("Single", "msp_improv", "h3")]
    assert cell["paper"] == ""
    assert cell["note"] == (
        "partial corpus: not compared; utterances: 7,000 of 8,438 published; 3 of 5,531 listed utterances rejected"
    )
    assert (table.loc["Single"].loc["overall"]["paper"] == "").all()


def test_rejected_files_are_noted_where_cells_are_compared(tmp_path):
    cell = compare(tmp_path, iemocap={"rejected": 3}).loc[("Single", "iemocap", "h1")]
    assert cell["paper"] == "58.29"
    assert cell["note"] == "3 of 5,531 listed utterances rejected"


def test_every_warning_of_every_corpus_reaches_the_file(tmp_path):
    said = {corpus: {"warnings": [f"first of {corpus}", f"second of {corpus}"]} for corpus in PAPER}
    notes = " ".join(compare(tmp_path, **said)["note"])
    assert all(warning in notes for corpus in said.values() for warning in corpus["warnings"])


def test_another_corpus_is_not_compared_and_neither_is_a_mean_with_it(tmp_path):
    table = compare(tmp_path, corpora=[*PAPER, "emodb"])
    assert table.loc[("Single", "emodb", "h1"), "note"] == "not a corpus of the paper"
    assert table.loc[("Single", "iemocap", "h1"), "paper"] == "58.29"
    assert table.loc[("Single", "overall", "h1"), "note"] == "not the paper's three corpora"
    assert table.loc[("Single", "overall", "h1"), "paper"] == ""


def test_a_mean_over_fewer_corpora_is_not_compared(tmp_path):
    assert compare(tmp_path, corpora=PAPER[:2]).loc[("Single", "overall", "overall"), "paper"] == ""


def test_a_method_of_ours_is_not_compared(tmp_path):
    table = compare(tmp_path, method="my_method")
    assert (table["paper"] == "").all()
    assert (table["note"] == "not a row of the paper").all()


def test_a_method_that_the_paper_has_in_the_other_experiment_only_is_not_compared(tmp_path):
    assert (compare(tmp_path, method="dann")["note"] == "not a row of the paper").all()


def test_other_profiles_are_not_compared(tmp_path):
    table = compare(tmp_path, profiles=["h1", "quiet"])
    assert table.loc[("Single", "iemocap", "quiet"), "note"] == "not a profile of the paper"
    assert table.loc[("Single", "overall", "overall"), "note"] == "not the paper's three profiles"
    assert table.loc[("Single", "overall", "h1"), "paper"] == "50.64"


def test_synthetic_noise_is_not_compared(tmp_path):
    table = compare(tmp_path, noise={"synthetic": True, "warnings": ["clips: 30 of 2,000 published"]})
    assert (table["paper"] == "").all()
    assert table.loc[("Single", "iemocap", "h1"), "note"] == (
        "synthetic noise: not compared; noise: clips: 30 of 2,000 published"
    )


def test_small_test_sets_and_left_out_utterances_are_noted(tmp_path):
    path = write_metrics(
        tmp_path, ("exp1", "single", "iemocap", "h1"), {0: [0.5]}, n_test=12, excluded={"no label of the study": 4508}
    )
    scores = seed_scores([path])
    summary = summarise(with_overall(scores))
    table = compare_table1(
        scores, summary, facts_of(tmp_path, ["iemocap"]), ["h1"], ["single"], read_noise(write_clips(tmp_path))
    )
    assert table.loc[0, "note"] == (
        "4,508 utterances left out: no label of the study; small data: 12 utterances in the smallest test set"
    )


def compare_noise(folder, corpora=PAPER, profiles=PROFILES, **said):
    scores = seed_scores(
        [
            write_metrics(folder, (experiment, "noise_classifier", corpus, profile), {0: values, 1: values})
            for experiment, values in [("exp1", [0.9]), ("exp2", [0.6, 0.7, 0.8])]
            for corpus, profile in product(corpora, profiles)
        ],
        measure="wa",
    )
    facts = facts_of(folder, corpora, **said)
    summary = summarise(with_overall(scores))
    return compare_noise_classifier(scores, summary, facts, profiles, read_noise(write_clips(folder)))


def test_noise_accuracy_is_beside_the_papers_in_the_mean_of_experiment_1_only(tmp_path):
    table = compare_noise(tmp_path)
    assert list(table) == [
        "experiment", "corpus", "profile", "accuracy_mean", "accuracy_std", "n_seeds", "paper", "note",
    ]  # fmt: skip
    assert len(table) == 2 * 13
    with_paper = table[table["paper"] != ""]
    assert with_paper[["experiment", "corpus", "profile", "accuracy_mean", "paper"]].values.tolist() == [
        ["exp1", "overall", "overall", "45.00", "87"]
    ]
    assert table[table["experiment"] == "exp2"]["accuracy_mean"].unique().tolist() == ["35.00"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"corpora": ["iemocap"]},
        {"profiles": ["h1", "h2"]},
        {"mosei": {"synthetic": True}},
        {"mosei": {"partial": True}},
    ],
)
def test_noise_accuracy_of_other_data_is_not_compared(tmp_path, arguments):
    assert (compare_noise(tmp_path, **arguments)["paper"] == "").all()
