import numpy as np
import pytest

from made_up_runs import PARTIAL, SYNTHETIC
from serflow.protocols.examples import FACTS, Examples
from serflow.protocols.folds import FitName, FoldRows
from serflow.report.protocol import (
    classes_section,
    common_section,
    counts,
    describe,
    fold_facts,
    markdown_table,
    percent,
    settings_table,
    summary,
    value,
)
from serflow.runs.provenance import Provenance

# speaker, gender, session, target over calm, tense and loud
ROWS = [
    ("A", "female", "1", (1.0, 0.0, 0.0)),
    ("A", "female", "1", (0.25, 0.5, 0.25)),
    ("B", "male", "2", (0.0, 1.0, 0.0)),
    ("C", None, "3", (0.5, 0.5, 0.0)),
]


def corpus(provenance=None):
    speakers, genders, sessions, targets = zip(*ROWS, strict=True)
    facts = dict.fromkeys(FACTS, [None] * len(ROWS)) | {
        "speaker": list(speakers), "gender": list(genders), "session": list(sessions),
        "text": ["One two.", "one, two", "three", "one two"],
    }  # fmt: skip
    examples = Examples(
        "toy", [f"u{i}" for i in range(4)], ("calm", "tense", "loud"), np.array(targets), facts,
        {"no label of the study": 2, "no pulses": 1},
    )  # fmt: skip
    return describe("Toy", examples, provenance or Provenance())


def fold(fold="1", run=0, train=(0, 1), val=(), test=(2, 3)):
    return FoldRows(FitName(run, fold), *(np.array(part, dtype=np.int64) for part in (train, val, test)))


def test_the_class_of_a_soft_target_is_its_reference_class():
    assert corpus().classes == ["calm", "tense", "tense", "calm"]


def test_facts_of_a_fit_of_any_study():
    facts = fold_facts(corpus(), fold(run=2, fold="session3"))
    assert (facts["run"], facts["fold"], facts["n_classes"], facts["excluded"]) == (2, "session3", 3, 3)
    assert (facts["n_train"], facts["n_val"], facts["n_test"]) == (2, 0, 2)
    assert facts["train_classes"] == "calm 1; tense 1; loud 0"
    assert (facts["train_lacks"], facts["val_lacks"]) == ("loud", "calm; tense; loud")
    assert facts["test_genders"] == "male 1; unknown 1"
    assert (facts["train_sentences"], facts["test_sentences"], facts["shared_sentences"]) == (1, 2, 1)
    assert facts["test_percent_of_shared_sentences"] == 50.0
    assert fold_facts(corpus(), fold(test=()))["test_percent_of_shared_sentences"] is None


def test_a_class_that_a_set_lacks_is_said():
    text = "\n".join(classes_section("Classes", corpus(), [fold()]))
    assert "- Run 0, train: no utterance is loud; UA there is over the other 2 classes." in text
    assert "| 0 | train | 2 | 1 | 1 | 0 | 1 | n/a | 2 | 0 | 0 |" in text
    assert "| run | set | utterances | calm | tense | loud | speakers | dialogues | female | male | unknown |" in text


def test_fits_of_several_folds_are_named_by_both():
    text = "\n".join(classes_section("Classes", corpus(), [fold("s1"), fold("s2", val=(2,), test=(3,))]))
    assert "| 0, s1 | test |" in text
    assert "- Run 0, s2, val: no utterance is calm, loud" in text


def test_what_training_and_test_have_in_common():
    text = "\n".join(common_section(corpus(), [fold(train=(0, 2), test=(1, 3)), fold(run=1)]))
    assert "| 0 | 1 of 2 | n/a | 1 of 1 | 100.0 % |" in text
    assert "- Run 0, speakers of training and test: A." in text
    assert "Run 1, speakers" not in text


@pytest.mark.parametrize(
    ("provenance", "data"),
    [(Provenance(), "the publisher's"), (SYNTHETIC, "a synthetic stand-in"), (PARTIAL, "the publisher's, partial")],
)
def test_what_a_corpus_is(provenance, data):
    told = summary(corpus(provenance._replace(remarks=("3 rejected",))), "Split: by session.")
    assert told == [
        f"- Data: {data}.",
        "- Utterances: 4 with a label of the study, 2 left out (no label of the study), 1 left out (no pulses).",
        "- Speakers: 3 (female 1, male 1, unknown 1).",
        "- Dialogues: none. Utterances with a text or sentence code: 4.",
        "- Split: by session.",
        "- 3 rejected",
        "",
    ]


def test_small_words():
    assert counts(["a", "b", "a"], ["a", "c"]) == {"a": 2, "c": 0}
    assert (percent(1, 3), percent(0, 0)) == ("33.3 %", "n/a")
    assert [value(each) for each in (None, True, False, 0.5, [1, 2], {"a": [1], "b": None})] == [
        "n/a", "yes", "no", "0.5", "1, 2", "a: 1, b: n/a",
    ]  # fmt: skip
    assert settings_table({"a": [1, 2], "b": None}) == [
        "| setting | value |", "| --- | --- |", "| a | 1, 2 |", "| b | n/a |", "",
    ]  # fmt: skip
    assert markdown_table(["x"], [["a|b"]])[2] == "| a\\|b |"
