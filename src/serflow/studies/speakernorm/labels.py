"""What utterances are to be predicted as, and the words that are said in them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from serflow.errors import TrainingError
from serflow.protocols.examples import Examples, read_examples
from serflow.protocols.labels import IEMOCAP_COUNTS, Labels, Row, check_iemocap, chosen_words
from serflow.stores.parquet import read_metadata
from serflow.training.metrics import reference_classes
from serflow.transcripts.prompts import prompt_of

NO_TEXT = "no transcript"


def emotion_labels(layout: str, rows: Sequence[Row], emotions: Sequence[str] | None) -> Labels:
    """Return the labels of a corpus; ``emotions`` are the words to keep, all by default.

    On IEMOCAP happiness and excitement are one class, and there are four.

    Raises
    ------
    TrainingError
        If no utterance has one of ``emotions``.
    """
    return chosen_words(layout, rows, emotions, "speakernorm.emotions")


def read_utterances(path: Path, emotions: Sequence[str] | None) -> Examples:
    """Read the utterances of a corpus that have a label of the study and a transcript.

    Where the corpus gives no texts, ``text`` is that of its sentence, if it is known.

    Raises
    ------
    StoreError
        If the table is absent or damaged.
    TrainingError
        If there are fewer than two classes, no transcripts, or a whole IEMOCAP has other utterances than the paper's.
    """
    metadata = read_metadata(path)
    examples = read_examples(path, partial(emotion_labels, emotions=emotions))
    if metadata["layout"] == "iemocap" and not metadata["synthetic"] and not metadata["partial"]:
        classes = [examples.classes[index] for index in reference_classes(examples.targets)]
        check_iemocap(examples.facts["speaker"], classes, IEMOCAP_COUNTS, "IEMOCAP")
    facts = examples.facts
    texts = [
        prompt_of(metadata["layout"], text, sentence)
        for text, sentence in zip(facts["text"], facts["sentence"], strict=True)
    ]
    if all(text is None for text in texts):
        raise TrainingError(
            f"{path}: no utterance of {examples.corpus} has a transcript, which the speech recognition of the "
            "speakernorm study needs; give the table a column `text` (corpora.<name>.options.columns), or set "
            "speakernorm.corpus to another corpus"
        )
    with_texts = examples._replace(facts={**facts, "text": texts})
    return with_texts.take(np.array([text is not None for text in texts]), NO_TEXT)
