import math

import pytest

from serflow.studies.dlc.labels import emotion_labels


def rows(**columns):
    n = len(next(iter(columns.values())))
    table = {"emotion": [None] * n, "sentiment": [None] * n, "valence_ratings": [None] * n, **columns}
    return [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]


def targets(labels, given):
    return [labels.target_of(row) for row in given]


def names(labels, given):
    return [None if target is None else labels.classes[target.index(1.0)] for target in targets(labels, given)]


IEMOCAP = rows(
    emotion=["anger", "happiness", "excitement", "neutral", "sadness", "frustration", "other", None, "surprise"]
)


@pytest.mark.parametrize(("iemocap", "excitement"), [("merged", "happiness"), ("hap_only", None)])
def test_iemocap_has_four_classes(iemocap, excitement):
    labels = emotion_labels("iemocap", IEMOCAP, iemocap)
    assert labels.classes == ("anger", "happiness", "neutral", "sadness")
    assert names(labels, IEMOCAP) == ["anger", "happiness", excitement, "neutral", "sadness", *[None] * 4]


def test_msp_improv_targets_are_shares_of_evaluators():
    ratings = [[1.0, 2.0, 3.0, 5.0], [3.0], [4.0, math.nan, 5.0], [], None, [math.nan], [2.999, 3.001], [None, 1.0]]
    given = rows(valence_ratings=ratings)
    labels = emotion_labels("msp_improv", given, "merged")
    assert labels.classes == ("low", "mid", "high")
    assert targets(labels, given) == [
        (0.5, 0.25, 0.25), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), None, None, None, (0.5, 0.0, 0.5), (1.0, 0.0, 0.0),
    ]  # fmt: skip


def test_mosei_is_split_at_zero():
    given = rows(sentiment=[-3.0, -0.1, 0.0, -0.0, 0.2, None, math.nan])
    labels = emotion_labels("mosei", given, "merged")
    assert labels.classes == ("negative", "neutral", "positive")
    assert names(labels, given) == ["negative", "negative", "neutral", "neutral", "positive", None, None]


def test_another_corpus_has_its_own_words_in_order():
    given = rows(emotion=["sadness", "boredom", "excitement", "other", "undecided", None, "boredom"])
    labels = emotion_labels("emodb", given, "merged")
    assert labels.classes == ("boredom", "excitement", "sadness")
    assert names(labels, given) == ["sadness", "boredom", "excitement", None, None, None, "boredom"]
