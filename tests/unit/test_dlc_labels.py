import math

import pytest

from serflow.errors import TrainingError
from serflow.studies.dlc.labels import emotion_labels


def rows(**columns):
    n = len(next(iter(columns.values())))
    empty = {"emotion": [None] * n, "sentiment": [None] * n, "valence_ratings": [None] * n}
    table = {"id": [f"u{i}" for i in range(n)], **empty, **columns}
    return [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]


IEMOCAP = rows(
    emotion=["anger", "happiness", "excitement", "neutral", "sadness", "frustration", "other", None, "surprise"]
)


def names(labels):
    return {name: labels.classes[target.index(1.0)] for name, target in labels.targets.items()}


def test_iemocap_has_four_classes_with_excitement_merged():
    labels = emotion_labels("iemocap", IEMOCAP, "merged")
    assert labels.classes == ("anger", "happiness", "neutral", "sadness")
    assert names(labels) == {"u0": "anger", "u1": "happiness", "u2": "happiness", "u3": "neutral", "u4": "sadness"}
    assert labels.excluded == 4


def test_iemocap_without_excitement():
    labels = emotion_labels("iemocap", IEMOCAP, "hap_only")
    assert names(labels) == {"u0": "anger", "u1": "happiness", "u3": "neutral", "u4": "sadness"}
    assert labels.excluded == 5


def test_msp_improv_targets_are_shares_of_evaluators():
    ratings = [[1.0, 2.0, 3.0, 5.0], [3.0], [4.0, math.nan, 5.0], [], None, [math.nan], [2.999, 3.001]]
    labels = emotion_labels("msp_improv", rows(valence_ratings=ratings), "merged")
    assert labels.classes == ("low", "mid", "high")
    assert labels.targets == {
        "u0": (0.5, 0.25, 0.25),
        "u1": (0.0, 1.0, 0.0),
        "u2": (0.0, 0.0, 1.0),
        "u6": (0.5, 0.0, 0.5),
    }
    assert labels.excluded == 3


def test_mosei_is_split_at_zero():
    sentiment = [-3.0, -0.1, 0.0, -0.0, 0.2, None, math.nan]
    labels = emotion_labels("mosei", rows(sentiment=sentiment), "merged")
    assert names(labels) == {"u0": "negative", "u1": "negative", "u2": "neutral", "u3": "neutral", "u4": "positive"}
    assert labels.excluded == 2


def test_another_corpus_has_its_own_words_in_order():
    emotion = ["sadness", "boredom", "excitement", "other", "undecided", None, "boredom"]
    labels = emotion_labels("emodb", rows(emotion=emotion), "merged")
    assert labels.classes == ("boredom", "excitement", "sadness")
    assert names(labels) == {"u0": "sadness", "u1": "boredom", "u2": "excitement", "u6": "boredom"}
    assert labels.excluded == 3


@pytest.mark.parametrize("corpus", ["emodb", "iemocap", "mosei", "msp_improv"])
def test_one_class_is_not_enough(corpus):
    one = rows(emotion=["anger", "anger"], sentiment=[1.0, 2.0], valence_ratings=[[4.0], [5.0, 3.0, 5.0]])
    with pytest.raises(
        TrainingError, match=rf"{corpus}: a classifier needs utterances of two classes.* 2 have a label"
    ):
        emotion_labels(corpus, one, "merged")
