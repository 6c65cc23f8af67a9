import pytest

from serflow.protocols.shared import recordings, script, scripts, shared


def test_what_training_and_test_have_in_common():
    assert shared(["a", "b", "b", None], ["b", "c", "b", None, None]) == (2, 2, 1, 2)


def test_what_is_unknown_is_nothing_in_common():
    assert shared([None, None], [None]) == (0, 0, 0, 0)
    assert shared([], []) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("text", "style", "sentence", "said"),
    [
        ("Go  away!", None, None, "go away"),
        ("It's over.", "read", "S1", "it's over"),
        # noises alone are no sentence, and neither are they the code's
        ("[LAUGHTER]", "read", "S1", None),
        (None, "read", "S1", "S1"),
        (None, None, "S1", "S1"),
        # the code of a scene, not of a sentence
        (None, "improvised", "S1", None),
        (None, "natural", "S1", None),
        ("I see.", "improvised", "S1", "i see"),
        (None, None, None, None),
    ],
)
def test_a_sentence_is_its_words_or_its_publishers_code(text, style, sentence, said):
    assert script(text, style, sentence) == said


def test_sentences_of_all_utterances():
    facts = {"text": ["I see.", None], "style": [None, "read"], "sentence": [None, "S2"], "speaker": ["a", "b"]}
    assert scripts(facts) == ["i see", "S2"]


def test_utterances_of_the_same_audio_are_one_recording():
    assert recordings(["a", "b", "c"], [None, "a", None]) == ["a", "a", "c"]
