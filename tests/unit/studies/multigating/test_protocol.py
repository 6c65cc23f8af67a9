"""What utterances the multilingual study has, who is trained and tested, its card, and Table 1."""

import re
from collections import Counter

import numpy as np
import pytest

from made_up_runs import UTTERANCE, write_split, write_utterances
from serflow.errors import TrainingError
from serflow.protocols.labels import IEMOCAP_COUNTS
from serflow.protocols.splits import divide
from serflow.report.comparison import words_beside_paper
from serflow.report.tables import read_published_words
from serflow.stores.parquet import read_table
from serflow.studies.multigating import corpora
from serflow.studies.multigating.card import Files, make_card
from serflow.studies.multigating.labels import all_classes, among, read_utterances
from serflow.studies.multigating.options import LanguageOptions
from serflow.studies.multigating.protocol import folds, read_all_roles

SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")


def cafe():
    """CaFE as its file names tell of it: 12 actors, 6 sentences, two intensities of each emotion but neutral."""
    return [
        {UTTERANCE: f"{actor:02d}-{emotion}-{intensity}-{sentence}", "speaker": f"{actor:02d}", "emotion": emotion,
         "intensity": intensity, "sentence": str(sentence), "style": "read"}
        for actor in range(1, 13)
        for emotion, intensity in [("neutral", None), *((name, how) for name in SIX for how in ("weak", "strong"))]
        for sentence in range(1, 7)
    ]  # fmt: skip


def iemocap():
    """IEMOCAP as its labels tell of it, and what has no class of the study."""
    rows = [
        {UTTERANCE: f"{speaker}_{name}_{i}", "speaker": speaker, "session": speaker[4], "emotion": name}
        for speaker, counts in IEMOCAP_COUNTS.items()
        for name, count in zip(("neutral", "excitement", "anger", "sadness"), counts, strict=True)
        for i in range(count)
    ]
    return rows + [{UTTERANCE: f"Ses01F_other_{i}", "speaker": "Ses01F", "emotion": "frustration"} for i in range(9)]


def emodb(n=10):
    """A corpus with words of its own: each speaker says each word n times."""
    return [
        {UTTERANCE: f"{speaker}{word}{i}", "speaker": speaker, "emotion": word}
        for speaker in ("a", "b", "c", "d", "e")
        for word in ("anger", "boredom", "neutral")
        for i in range(n)
    ]


def language(corpus="toy", **options):
    return LanguageOptions(corpus=corpus, **options)


def write(folder, corpus, rows, **said):
    return write_utterances(folder, corpus, rows, **said)


# Utterances


def test_cafe_has_72_strong_utterances_a_class_and_72_neutral_ones(tmp_path):
    """504 of 936 (Table 1)."""
    path = write(tmp_path, "cafe", cafe(), layout="cafe")
    found = read_utterances(path, "french", language("cafe", intensity="strong"))
    assert len(found.utterances) == 504
    assert found.targets.sum(0).tolist() == [72] * 7
    assert found.classes == ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
    assert set(found.facts["intensity"]) == {None, "strong"}
    assert found.excluded == {"no label of the study": 0, "another intensity": 432}
    assert len(read_utterances(path, "french", language("cafe")).utterances) == 936


@pytest.mark.parametrize(
    ("said", "refused"),
    [({}, True), ({"partial": True}, False), ({"synthetic": True}, False), ({"same_audio": "drop"}, False)],
)
def test_a_whole_cafe_must_have_the_papers_utterances(tmp_path, said, refused):
    rows = cafe()[1:]
    rows[0]["duplicate_of"] = rows[1][UTTERANCE]
    path = write(tmp_path, "cafe", rows, layout="cafe", **said)
    if refused:
        with pytest.raises(TrainingError, match="has 71 utterances of neutral, and should have 72; set `corpora"):
            read_utterances(path, "french", language("cafe", intensity="strong"))
    else:
        assert len(read_utterances(path, "french", language("cafe", intensity="strong")).utterances) in (502, 503)


def test_iemocap_has_four_classes_and_5531_utterances(tmp_path):
    path = write(tmp_path, "iemocap", iemocap(), layout="iemocap")
    found = read_utterances(path, "english", language("iemocap"))
    assert dict(zip(found.classes, found.targets.sum(0), strict=True)) == {
        "anger": 1103, "happiness": 1636, "neutral": 1708, "sadness": 1084
    }  # fmt: skip
    assert found.excluded == {"no label of the study": 9}
    path = write(tmp_path, "iemocap", iemocap()[1:], layout="iemocap")
    with pytest.raises(TrainingError, match="IEMOCAP: Ses01F has 170 utterances of neutral, and should have 171"):
        read_utterances(path, "english", language("iemocap"))


def test_words_and_intensities_that_are_not_there_are_told_by_their_key(tmp_path):
    path = write(tmp_path, "toy", emodb())
    assert read_utterances(path, "x", language(emotions=("neutral", "anger"))).classes == ("anger", "neutral")
    with pytest.raises(TrainingError, match=r"multigating.languages.x.emotions: no utterance is joy; there are anger,"):
        read_utterances(path, "x", language(emotions=("anger", "joy")))
    with pytest.raises(TrainingError, match=r"languages.x.intensity: no utterance of toy is 'loud'; it has no intens"):
        read_utterances(path, "x", language(intensity="loud"))
    path = write(tmp_path, "cafe", cafe(), layout="cafe", partial=True)
    with pytest.raises(TrainingError, match=r"no utterance of cafe is 'loud'; it has strong, weak$"):
        read_utterances(path, "x", language(intensity="loud"))


def test_a_class_without_utterances_of_the_intensity_is_none(tmp_path):
    rows = emodb()
    for row in rows:
        row["intensity"] = {"anger": "strong", "boredom": "strong", "neutral": "normal"}[row["emotion"]]
    found = read_utterances(write(tmp_path, "toy", rows), "x", language(intensity="strong"))
    assert (found.classes, found.targets.shape) == (("anger", "boredom"), (100, 2))
    with pytest.raises(TrainingError, match="intensity: all utterances of this intensity are neutral; take another"):
        read_utterances(write(tmp_path, "toy", rows), "x", language(intensity="normal"))


def test_the_classes_of_all_languages_are_eight(tmp_path):
    """Section 5.2.2; a target keeps its class."""
    german = [{**row, "emotion": word} for word in ("anger", "boredom", "disgust", "fear", "happiness", "neutral",
              "sadness") for row in emodb(1)[:1]]  # fmt: skip
    german = [{**row, UTTERANCE: str(i)} for i, row in enumerate(german)]
    read = [
        read_utterances(write(tmp_path, "iemocap", iemocap(), layout="iemocap"), "english", language()),
        read_utterances(write(tmp_path, "emodb", german), "german", language()),
        read_utterances(write(tmp_path, "cafe", cafe()), "french", language(intensity="strong")),
    ]
    classes = all_classes(read)
    assert classes == ("anger", "boredom", *SIX[1:4], "neutral", *SIX[4:])
    for examples in read:
        wider = among(examples, classes)
        assert wider.targets.shape == (len(examples.utterances), 8)
        own = [examples.classes[index] for index in examples.targets.argmax(1)]
        assert [classes[index] for index in wider.targets.argmax(1)] == own
        assert (wider.targets.sum(1) == 1).all()


# Folds


def split_of(folder, corpus, rows, protocol):
    given = [
        {**dict.fromkeys(("dialogue", "session", "gender", "text", "style", "sentence", "intensity")), **row,
         "utterance": row[UTTERANCE]}
        for row in rows
    ]  # fmt: skip
    roles = {
        fold: {row[UTTERANCE]: role for row, role in zip(rows, of_fold, strict=True)}
        for fold, of_fold in divide(protocol, given)
    }
    return write_split(folder, roles, corpus, protocol)


@pytest.fixture
def two(tmp_path):
    """Two languages: their rows, and what the study reads of them."""
    rows = {"toy": emodb(), "cafe": cafe()}
    options = {"toy": language(), "cafe": language(intensity="strong")}
    tables = {corpus: write(tmp_path, corpus, of_corpus) for corpus, of_corpus in rows.items()}
    return rows, tables, {name: read_utterances(tables[name], name, options[name]) for name in rows}


def rows_of(folder, two, protocols, runs, n_folds=None):
    rows, _, examples = two
    splits = [split_of(folder, corpus, rows[corpus], protocol) for corpus in rows for protocol in protocols]
    return list(folds(read_all_roles(splits, runs, examples), n_folds))


def test_each_language_has_its_own_rows_in_a_fit(tmp_path, two):
    (first, second) = rows_of(tmp_path, two, ["utterance-0"] * 2, (0, 3))
    assert (first.fit, second.fit) == ((0, "all"), (3, "all"))
    assert list(first.of_corpus) == ["toy", "cafe"]
    assert {role: len(part) for role, part in first.of_corpus["cafe"].roles().items()} == {
        "train": 322, "val": 81, "test": 101
    }  # fmt: skip
    table = read_table(tmp_path / "splits/toy/utterance-0.parquet").to_pylist()
    tested = {row["utterance"] for row in table if row["role"] == "test"}
    assert {two[2]["toy"].utterances[row] for row in first.of_corpus["toy"].test} == tested
    assert np.array_equal(first.of_corpus["toy"].train, second.of_corpus["toy"].train)


def test_runs_of_other_draws_have_one_fold_of_one_name(tmp_path, two):
    """So that their scores are averaged: runs must have the same folds."""
    first, second = rows_of(tmp_path, two, ["utterance-0", "utterance-1"], (0, 1))
    assert (first.fit, second.fit) == ((0, "all"), (1, "all"))
    assert not np.array_equal(first.of_corpus["cafe"].test, second.of_corpus["cafe"].test)


def test_folds_of_speakers_are_the_same_for_languages_of_more_and_of_fewer(tmp_path, two):
    """Five speakers, and twelve."""
    found = rows_of(tmp_path, two, ["speaker_folds-5"], (0,))
    assert [rows.fit for rows in found] == [(0, str(fold)) for fold in range(1, 6)]
    for corpus, examples in two[2].items():
        tested = [row for rows in found for row in rows.of_corpus[corpus].test]
        assert sorted(tested) == list(range(len(examples.utterances)))
        for rows in found:
            speakers = {
                role: {examples.facts["speaker"][row] for row in part}
                for role, part in rows.of_corpus[corpus].roles().items()
            }
            assert not speakers["train"] & speakers["test"]
            assert not speakers["train"] & speakers["val"]
    assert len(rows_of(tmp_path, two, ["speaker_folds-5"], (0,), n_folds=2)) == 2


def test_languages_of_other_folds_are_refused(tmp_path, two):
    rows, _, examples = two
    splits = [split_of(tmp_path, "toy", rows["toy"], "speaker_folds-5"),
              split_of(tmp_path, "cafe", rows["cafe"], "speaker_folds-4")]  # fmt: skip
    with pytest.raises(TrainingError, match="run 0: toy has the folds 1, 2, 3, 4, 5 and cafe 1, 2, 3, 4, and a joint"):
        read_all_roles(splits, (0,), examples)


@pytest.mark.parametrize("absent", ["train", "val", "test"])
def test_an_empty_set_is_refused(absent):
    roles = np.array([role for role in ("train", "val", "test") if role != absent])
    full = np.array(["train", "val", "test"])
    said = f"run 7, fold x: no utterance of far that the study uses is in {absent}; set multigating.split to another"
    with pytest.raises(TrainingError, match=said):
        list(folds({"near": {7: {"x": full}}, "far": {7: {"x": roles}}}))


# The protocol card, and Table 1


@pytest.mark.parametrize(
    ("protocols", "runs", "said", "n_rows"),
    [
        (["utterance-0", "utterance-0"], (0, 1), "64/16/20 of each emotion; .* shared. One draw for all runs.", 4),
        (["utterance-0", "utterance-1"], (0, 1), "64/16/20 of each emotion; .* shared. A draw a run.", 4),
        (["speaker64-0"], (0,), "whole speakers, 64/16/20; sentences are shared", 2),
        (["speaker_folds-3"], (0,), "3 folds of whole speakers, each tested in turn; the next one validates", 6),
    ],
)
def test_the_card_tells_of_the_folds_that_are_trained(tmp_path, two, protocols, runs, said, n_rows):
    rows, tables, _ = two
    splits = [split_of(tmp_path, corpus, rows[corpus], protocol) for corpus in rows for protocol in protocols]
    options = {
        "toy": {"languages": {"german": {"corpus": "toy"}}, "folds_used": None},
        "cafe": {"languages": {"french": {"corpus": "cafe", "intensity": "strong"}}, "folds_used": None},
    }
    card = make_card(
        Files(tuple(tables.values()), tuple(splits)),
        {"toy": "Toy", "cafe": "CaFE"},
        {"toy": runs, "cafe": runs},
        options,
        {"selection metric": "best validation WA"},
    )
    assert len(card.rows) == n_rows
    assert Counter(row["corpus"] for row in card.rows) == {"toy": n_rows // 2, "cafe": n_rows // 2}
    assert {row["excluded"] for row in card.rows if row["corpus"] == "cafe"} == {432}
    assert len(re.findall(f"- Split: .*{said}", card.page)) == 2
    if protocols[0] == "utterance-0":
        assert [row["n_test"] for row in card.rows] == [30, 30, 101, 101]


def test_table_1_is_counted_from_the_corpora(tmp_path):
    files = corpora.Files((
        write(tmp_path, "emodb", emodb(2), synthetic=True), write(tmp_path, "cafe", cafe(), layout="cafe")
    ))  # fmt: skip
    facts = {
        "titles": {"emodb": "EmoDB", "cafe": "Mine"},
        "printed": {"EmoDB": "EmoDB", "Mine": "CaFE"},
        "languages": {
            "emodb": {"name": "german", "title": "German", "options": {"corpus": "emodb"}},
            "cafe": {"name": "french", "title": "French", "options": {"corpus": "cafe", "intensity": "strong"}},
        },
    }
    heading, rows = corpora.make_table(files, facts)
    assert rows == [
        ["EmoDB (synthetic)", "German", "5", "3", "30", "anger 10; boredom 10; neutral 10"],
        ["Mine", "French", "12", "7", "504", "; ".join(f"{name} 72" for name in sorted([*SIX, "neutral"]))],
    ]
    published = read_published_words("multigating", "table1")
    _, compared = words_beside_paper(heading, rows, published, facts["printed"])
    told = {(row, column): (ours, paper, same) for row, column, ours, paper, same in compared}
    assert told["Mine", "Num of Utterances"] == ("504", "504", True)
    assert told["EmoDB (synthetic)", "Num of Utterances"] == ("30", "535", False)
    assert told["Mine", "Emotions"][1:] == (None, None)
