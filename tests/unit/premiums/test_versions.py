"""Versions of a study: what each changes, and that the clean one holds apart what the paper's does not."""

import json

import pytest

from serflow.config import Config, check_config
from serflow.premiums.versions import (
    AS_IN_PAPER,
    WITH,
    WITHOUT_LEAKS,
    cells_of,
    corpora_of,
    layout_of,
    root_of,
    roots_of,
    tables_of,
    trained_apart,
    versions,
)
from serflow.protocols.splits import divide
from serflow.report.headings import merged
from serflow.studies.contract import Leak

STUDIES = sorted(Config().plans())


def plan(study, section=None, **sections):
    return check_config({study: section or {}, **sections}).plans()[study]


def sessions(n=5):
    """Return a corpus like IEMOCAP: a woman and a man in each session, who talk in two dialogues."""
    return [
        {
            "utterance": f"Ses0{session}{gender}_{dialogue}_{turn}",
            "dialogue": f"Ses0{session}{'FM'[dialogue]}_{dialogue}",
            "speaker": f"Ses0{session}{gender}",
            "session": str(session),
            "gender": {"F": "female", "M": "male"}[gender],
            "emotion": ("anger", "sadness")[turn % 2],
            "intensity": None,
            "text": f"sentence {turn}",
            "style": "scripted",
            "sentence": None,
        }
        for session in range(1, n + 1)
        for gender in "FM"
        for dialogue in range(2)
        for turn in range(4)
    ]


def in_common(protocol, first, second, fact):
    """Return what two sets have in common in the fold that has most in common."""
    rows = sessions()
    of_folds = []
    for division in divide(protocol, rows):
        sets = {
            role: {row[fact] for row, given in zip(rows, division.roles, strict=True) if given == role}
            for role in (first, second)
        }
        of_folds.append(sets[first] & sets[second])
    return max(of_folds, key=len)


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_says_what_leaks(study):
    found = plan(study).leaks()
    assert found
    for leak in found:
        section, _, key = leak.setting.rpartition(".")
        of = getattr(plan(study).data, section) if section else plan(study).settings
        assert key in type(of).model_fields
        assert leak.paper != leak.clean
        assert leak.says


@pytest.mark.parametrize("study", STUDIES)
def test_the_clean_version_differs_in_the_leaks_alone(study):
    whole = plan(study)
    paper, clean = (versions(whole)[name].settings for name in (AS_IN_PAPER, WITHOUT_LEAKS))
    changed = {name for name in type(paper).model_fields if getattr(paper, name) != getattr(clean, name)}
    assert changed == {leak.setting for leak in whole.leaks() if "." not in leak.setting}


@pytest.mark.parametrize("study", STUDIES)
def test_no_version_is_trained_with_other_options(study):
    """So cells and splits tell whether two versions train the same."""
    whole = plan(study)

    def options(version):
        return {(cell.corpus, json.dumps(version.options(cell), sort_keys=True)) for cell in version.cells()}

    for version in versions(whole).values():
        assert options(version) == options(whole)


@pytest.mark.parametrize("study", STUDIES)
def test_all_of_it_can_be_told(study):
    assert tables_of(plan(study))


@pytest.mark.parametrize("study", ["dlc", "invariance", "multigating", "temporal"])
def test_runs_of_versions_lie_apart_and_the_papers_are_those_of_the_study(study):
    whole = plan(study)
    found = versions(whole)
    assert found[AS_IN_PAPER].root == whole.root == f"results/runs/{study}"
    assert found[WITHOUT_LEAKS].root == root_of(WITHOUT_LEAKS, study)
    alone = [WITH + leak.key for leak in whole.leaks()]
    # a leak alone is the paper's protocol
    assert list(trained_apart(whole)) == [WITHOUT_LEAKS, *(alone if len(alone) > 1 else [])]


def test_a_study_that_is_clean_already_is_trained_as_in_the_paper_besides():
    whole = plan("temporal", {"folds": "leave_session"})
    assert versions(whole)[WITHOUT_LEAKS].root == whole.root
    assert list(trained_apart(whole)) == [AS_IN_PAPER]


def test_a_study_that_has_closed_one_leak_is_not_trained_twice():
    whole = plan("dlc", {"split": "speaker"})
    found = versions(whole)
    assert found[f"{WITH}clips"].root == whole.root
    assert list(trained_apart(whole)) == [AS_IN_PAPER, WITHOUT_LEAKS, f"{WITH}speakers"]
    (gate,) = {found[AS_IN_PAPER].more_inputs(cell)["gate"] for cell in found[AS_IN_PAPER].cells() if cell[:4] ==
               ("exp1", "moe_dlc", "iemocap", "h1")}  # fmt: skip
    assert gate == "results/versions/paper/dlc/exp1/noise_classifier/iemocap/h1/predictions.parquet"


def test_where_clips_follow_the_split_no_version_has_another_split():
    assert versions(plan("dlc", noise={"clips": "by_fold"})) == {}


SEEDS = {"stand_in": {"seeds": [0, 1]}}


def test_noise_of_clips_apart_is_named_by_its_split_and_has_the_runs_of_it():
    found = versions(plan("dlc", SEEDS))
    noise = {
        name: list(dict.fromkeys(cell.profile for cell in cells_of(version, "table1_gain", ["iemocap"])))[:2]
        for name, version in found.items()
    }
    assert noise == {
        AS_IN_PAPER: ["h1_gain", "h2_gain"],
        WITHOUT_LEAKS: ["h1_gain@partners-0", "h1_gain@partners-1"],
        f"{WITH}speakers": ["h1_gain@dialogue-0", "h1_gain@dialogue-1"],
        f"{WITH}clips": ["h1_gain", "h2_gain"],
    }
    for version in found.values():
        of_noise = {}
        for cell in version.cells():
            drawn = list(zip(version.runs_of(cell), version.splits_of(cell), strict=True))
            # a plan of clips follows one split, and all runs that hear it have that split
            assert "@" not in cell.profile or {split for _, split in drawn} == {cell.profile.partition("@")[2]}
            of_noise.setdefault((*cell[:3], cell.profile.partition("@")[0]), []).extend(drawn)
        for (_, _, corpus, _), drawn in of_noise.items():
            assert drawn == list(zip(version.runs(corpus), version.draws(corpus), strict=True))


def test_a_leak_alone_changes_nothing_but_what_leaks():
    found = versions(plan("dlc", SEEDS))
    clean, speakers, clips = (found[name] for name in (WITHOUT_LEAKS, f"{WITH}speakers", f"{WITH}clips"))
    assert clips.draws("iemocap") == clean.draws("iemocap") == ["partners-0", "partners-1"]
    assert speakers.draws("iemocap") == found[AS_IN_PAPER].draws("iemocap") == ["dialogue-0", "dialogue-1"]
    assert clips.cells() == found[AS_IN_PAPER].cells()


def test_what_routes_and_what_is_read_are_of_the_same_version_and_noise():
    clean = versions(plan("dlc"))[WITHOUT_LEAKS]
    (cell,) = (cell for cell in clean.cells("table1") if cell[:3] == ("exp1", "hffn_moe_dlc", "iemocap") and
               cell.profile.startswith("h1"))  # fmt: skip
    assert clean.more_inputs(cell) == {
        "gate": "results/versions/clean/dlc/exp1/noise_classifier/iemocap/h1@partners-0/predictions.parquet",
        "text": "results/packed/bert_deepspeech/iemocap/h1@partners-0.parquet",
        "text_array": "results/packed/bert_deepspeech/iemocap/h1@partners-0.npy",
    }
    assert clean.gate(cell) in clean.cells("noise_classifier")


def test_a_version_has_no_run_in_the_noise_of_another():
    whole = plan("dlc")
    clean = versions(whole)[WITHOUT_LEAKS]
    assert clean.why_no_cell(["exp1", "single", "iemocap", "h1@partners-0"]) is None
    assert whole.why_no_cell(["exp1", "single", "iemocap", "h1"]) is None
    said = "its runs of iemocap are in noise h1@partners-0"
    assert clean.why_no_cell(["exp1", "single", "iemocap", "h1"]) == said
    assert clean.why_no_cell(["exp1", "single", "iemocap", "h1@dialogue-0"]) == said
    assert whole.why_no_cell(["exp1", "single", "iemocap", "h1@dialogue-0"]) == "its runs of iemocap are in noise h1"


def test_of_videos_of_unknown_speakers_clips_alone_are_told_and_nothing_is_trained_twice():
    whole = plan("dlc")
    assert whole.corpora() == ["msp_improv", "iemocap", "mosei"]
    found = versions(whole)
    told = {name: corpora_of(whole, name) for name in found}
    assert told[f"{WITH}speakers"] == ["msp_improv", "iemocap"]
    assert told[AS_IN_PAPER] == told[WITHOUT_LEAKS] == told[f"{WITH}clips"] == whole.corpora()
    roots = roots_of(whole)
    assert roots[f"{WITH}clips"] == {
        **dict.fromkeys(("msp_improv", "iemocap"), "results/versions/with_clips/dlc"), "mosei": whole.root,
    }  # fmt: skip
    assert set(roots[WITHOUT_LEAKS].values()) == {"results/versions/clean/dlc"}
    for name, corpora in told.items():
        assert {cell.corpus for cell in cells_of(found[name], "table1", corpora)} == set(corpora)
        columns = {merged(column.where)["corpus"] for column in layout_of(found[name], "table1", corpora).columns}
        # means over corpora are told where all of these are
        assert columns == {(corpus,) for corpus in corpora} | ({tuple(corpora)} if len(corpora) == 3 else set())


def test_of_a_corpus_alone_whose_speakers_are_not_known_clips_are_told():
    whole = plan("dlc", {"corpora": ["mosei"]})
    assert tables_of(whole) == ["table1", "table1_gain"]
    assert corpora_of(whole, f"{WITH}speakers") == []


@pytest.mark.parametrize("study", STUDIES)
def test_what_is_told_is_trained_in_another_way(study):
    """A table whose cells are the same in both versions would be trained twice for a premium of nothing."""
    whole = plan(study)
    found = versions(whole)
    for table in tables_of(whole):
        for name in found.keys() - {WITHOUT_LEAKS}:
            for corpus in corpora_of(whole, name):
                other, clean = (
                    (version.draws(corpus), cells_of(version, table, [corpus]))
                    for version in (found[name], found[WITHOUT_LEAKS])
                )
                assert other != clean


@pytest.mark.parametrize("study", STUDIES)
def test_no_run_is_trained_twice(study):
    whole = plan(study)
    roots, trained = roots_of(whole), {}
    for name, version in {"": whole, **versions(whole)}.items():
        for cell in version.cells():
            splits = getattr(version, "splits_of", lambda cell, version=version: version.draws(cell.corpus))(cell)
            root = roots[name][cell.corpus] if name else whole.root
            assert trained.setdefault((cell, *splits), root) == root


def test_of_several_leaks_each_is_set_back_alone():
    class Two(type(plan("temporal"))):
        def leaks(self):
            return [*super().leaks(), Leak("crops", "a made-up one", "test", "crops", "full")]

        def version(self, changed, root):
            return Two(self.settings.model_copy(update=changed), self.data, root)

    whole = plan("temporal")
    found = versions(Two(whole.settings, whole.data))
    said = {name: (version.settings.folds, version.settings.test) for name, version in found.items()}
    assert said == {
        AS_IN_PAPER: ("last_session", "crops"),
        WITHOUT_LEAKS: ("leave_session", "full"),
        f"{WITH}partners": ("last_session", "full"),
        f"{WITH}crops": ("leave_session", "crops"),
    }
    assert len({version.root for version in found.values()}) == 4


CLEAN = {
    "dlc": [("train", "test", "speaker"), ("train", "val", "speaker"), ("train", "test", "dialogue")],
    "invariance": [("val", "test", "session"), ("val", "test", "dialogue"), ("train", "test", "session")],
    "multigating": [("train", "test", "speaker"), ("val", "test", "speaker")],
    "speakernorm": [("train", "test", "speaker"), ("train", "test", "dialogue")],
    "temporal": [("train", "test", "session"), ("train", "test", "dialogue"), ("val", "test", "speaker")],
}
LEAKY = {
    "dlc": ("train", "test", "speaker"),
    "invariance": ("val", "test", "dialogue"),
    "multigating": ("train", "test", "speaker"),
    "speakernorm": ("train", "test", "speaker"),
    "temporal": ("train", "test", "dialogue"),
}


@pytest.mark.parametrize("study", STUDIES)
def test_what_leaks_is_shared_as_in_the_paper_and_nothing_of_it_in_the_clean_version(study):
    found = versions(plan(study))
    corpus = next(name for name in plan(study).corpora() if name == "iemocap")
    (paper, *_), (clean, *_) = (found[name].draws(corpus) for name in (AS_IN_PAPER, WITHOUT_LEAKS))
    assert in_common(paper, *LEAKY[study])
    for first, second, fact in CLEAN[study]:
        assert not in_common(clean, first, second, fact), (clean, first, second, fact)


def test_the_other_session_tests_the_same_speakers_and_leaves_out_their_partners():
    rows = sessions()
    for one, other in zip(divide("session-F", rows), divide("other_session-F", rows), strict=True):
        assert one.fold == other.fold
        for row, before, now in zip(rows, one.roles, other.roles, strict=True):
            assert (before == "test") == (now == "test")
            assert (now is None) == (before == "val"), row
    assert [role for role in divide("other_session-F", rows)[4].roles if role == "val"]


def test_corpora_without_sessions_have_no_partners_in_training():
    assert plan("temporal", {"folds": "in_turn"}).leaks() == []
    whole = plan("invariance", {"held_out": "pair"})
    assert versions(whole)[WITHOUT_LEAKS].settings.held_out == "other_pair"
    assert tables_of(whole) == ["table2"]
