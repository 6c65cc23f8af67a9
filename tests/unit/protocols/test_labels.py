import pytest

from serflow.errors import TrainingError
from serflow.protocols.labels import IEMOCAP_CLASSES, iemocap_four, one_hot, own_words, require_two_classes

WORDS = ["anger", "happiness", "excitement", "neutral", "sadness", "frustration", "other", None, "undecided"]


def rows(words):
    return [{"emotion": word} for word in words]


def names(labels, words):
    targets = [labels.target_of(row) for row in rows(words)]
    return [None if target is None else labels.classes[target.index(1.0)] for target in targets]


def test_iemocap_has_four_classes():
    assert iemocap_four(excitement=True).classes == IEMOCAP_CLASSES == ("anger", "happiness", "neutral", "sadness")
    merged = ["anger", "happiness", "happiness", "neutral", "sadness", None, None, None, None]
    assert names(iemocap_four(excitement=True), WORDS) == merged
    assert names(iemocap_four(excitement=False), WORDS) == [*merged[:2], None, *merged[3:]]


def test_a_corpus_has_its_own_words_in_order():
    labels = own_words(rows(["sadness", "boredom", "excitement", "other", "undecided", None, "boredom"]))
    assert labels.classes == ("boredom", "excitement", "sadness")
    assert names(labels, ["boredom", "other", None, "sadness"]) == ["boredom", None, None, "sadness"]


def test_one_hot():
    assert one_hot(("a", "b"), "b") == (0.0, 1.0)
    assert one_hot(("a", "b"), "c") is None
    assert one_hot(("a", "b"), None) is None


@pytest.mark.parametrize(
    ("targets", "said"),
    [([(1.0, 0.0, 0.0, 0.0)] * 2, "2 have a label, of the classes anger"), ([], "0 have a label, of the classes none")],
)
def test_one_class_is_not_enough(targets, said):
    with pytest.raises(TrainingError, match=f"toy: a classifier needs utterances of two classes at least.*{said}"):
        require_two_classes("toy", iemocap_four(excitement=True), targets, 5)


def test_two_classes_are_enough_and_soft_targets_count_by_their_maximum():
    labels = own_words(rows(["a", "b"]))
    require_two_classes("toy", labels, [(0.6, 0.4), (0.0, 1.0)], 2)
    with pytest.raises(TrainingError, match="of the classes a"):
        require_two_classes("toy", labels, [(0.6, 0.4), (0.9, 0.1)], 2)
