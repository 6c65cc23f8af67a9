"""Versions of a study: what each changes, and that the clean one holds apart what the paper's does not."""

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
        assert leak.setting in type(plan(study).settings).model_fields
        assert leak.paper != leak.clean
        assert leak.says


@pytest.mark.parametrize("study", STUDIES)
def test_the_clean_version_differs_in_the_leaks_alone(study):
    whole = plan(study)
    paper, clean = (versions(whole)[name].settings for name in (AS_IN_PAPER, WITHOUT_LEAKS))
    changed = {name for name in type(paper).model_fields if getattr(paper, name) != getattr(clean, name)}
    assert changed == {leak.setting for leak in whole.leaks()}


@pytest.mark.parametrize("study", STUDIES)
def test_all_of_it_can_be_told(study):
    assert tables_of(plan(study))


@pytest.mark.parametrize("study", ["dlc", "invariance", "multigating", "temporal"])
def test_runs_of_versions_lie_apart_and_the_papers_are_those_of_the_study(study):
    whole = plan(study)
    found = versions(whole)
    assert found[AS_IN_PAPER].root == whole.root == f"results/runs/{study}"
    assert found[WITHOUT_LEAKS].root == root_of(WITHOUT_LEAKS, study)
    assert list(trained_apart(whole)) == [WITHOUT_LEAKS]


def test_a_study_that_is_clean_already_is_trained_as_in_the_paper_besides():
    whole = plan("dlc", {"split": "speaker"})
    found = versions(whole)
    assert found[WITHOUT_LEAKS].root == whole.root
    assert list(trained_apart(whole)) == [AS_IN_PAPER]
    (gate,) = {found[AS_IN_PAPER].more_inputs(cell)["gate"] for cell in found[AS_IN_PAPER].cells() if cell[:4] ==
               ("exp1", "moe_dlc", "iemocap", "h1")}  # fmt: skip
    assert gate == "results/versions/paper/dlc/exp1/noise_classifier/iemocap/h1/predictions.parquet"


def test_where_clips_follow_the_split_no_version_has_another_split():
    assert versions(plan("dlc", noise={"clips": "by_fold"})) == {}


def test_videos_of_unknown_speakers_are_not_trained_again_nor_told():
    whole = plan("dlc")
    assert whole.corpora() == ["msp_improv", "iemocap", "mosei"]
    known = corpora_of(whole)
    assert known == ["msp_improv", "iemocap"]
    for version in versions(whole).values():
        assert {cell.corpus for cell in cells_of(version, "table1", known)} == set(known)
        columns = [merged(column.where)["corpus"] for column in layout_of(version, "table1", known).columns]
        assert set(columns) == {("msp_improv",), ("iemocap",)}


def test_a_corpus_alone_whose_speakers_are_not_known_has_no_premium():
    assert tables_of(plan("dlc", {"corpora": ["mosei"]})) == []


@pytest.mark.parametrize("study", STUDIES)
def test_what_is_told_is_split_in_another_way(study):
    """A table whose cells have the same split in both versions would be trained twice for a premium of nothing."""
    whole = plan(study)
    for table in tables_of(whole):
        for paper, clean in zip(
            *(cells_of(versions(whole)[name], table, corpora_of(whole)) for name in (AS_IN_PAPER, WITHOUT_LEAKS)),
            strict=True,
        ):
            of_paper, of_clean = (
                versions(whole)[name].draws(cell.corpus)
                for name, cell in ((AS_IN_PAPER, paper), (WITHOUT_LEAKS, clean))
            )
            assert of_paper != of_clean


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
