"""What is said in corpora of fixed sentences, by the publisher's code of the sentence; their tables have no texts.

Sources: the papers of the corpora (Livingstone and Russo, PLoS ONE 2018; Cao et al., IEEE TAC 2014; Burkhardt et al.,
Interspeech 2005). Stand-ins speak sentences of their own under these codes.
"""

from collections.abc import Mapping

PROMPTS: Mapping[str, Mapping[str, str]] = {
    "ravdess": {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"},
    "crema_d": {
        "IEO": "It's eleven o'clock",
        "TIE": "That is exactly what happened",
        "IOM": "I'm on my way to the meeting",
        "IWW": "I wonder what this is about",
        "TAI": "The airplane is almost full",
        "MTI": "Maybe tomorrow it will be cold",
        "IWL": "I would like a new alarm clock",
        "ITH": "I think I have a doctor's appointment",
        "DFA": "Don't forget a jacket",
        "ITS": "I think I've seen this before",
        "TSI": "The surface is slick",
        "WSI": "We'll stop in a couple of minutes",
    },
    "emodb": {
        "a01": "Der Lappen liegt auf dem Eisschrank",
        "a02": "Das will sie am Mittwoch abgeben",
        "a04": "Heute abend könnte ich es ihm sagen",
        "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück",
        "a07": "In sieben Stunden wird es soweit sein",
        "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
        "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter",
        "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht",
        "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen",
        "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen",
    },
}
"""Texts by layout of the corpus and code of the sentence."""


def prompt_of(layout: str, text: str | None, sentence: str | None) -> str | None:
    """Return what is said: the corpus's own text, else that of its sentence; None where neither is known."""
    if text is not None:
        return text
    return None if sentence is None else PROMPTS.get(layout, {}).get(sentence)
