"""What is called wrong is what stops the stages, and nothing else; what is listed as rejected is what they reject."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from doctor_place import NAMES, noise, rows_of, wav
from serflow.corpora._tables import read_rejected
from serflow.errors import SerflowError

ONE, TWO = NAMES[4], NAMES[5]


def nothing(place):
    pass


def missing(place):
    place.audio(ONE).unlink()


def half_missing(place):
    for name in NAMES[:6]:
        place.audio(name).unlink()


def one_short(place):
    wav(place.audio(ONE), noise(0, seconds=0.05))


def short_and_silent(place):
    one_short(place)
    wav(place.audio(TWO), np.zeros(3200))


def all_silent(place):
    for name in NAMES:
        wav(place.audio(name), np.zeros(3200))


def an_unknown_word(place):
    place.rows[ONE]["emotion"] = "wut"
    place.write_labels()


def two_genders_and_the_same_audio(place):
    place.rows[ONE]["gender"] = "female"
    place.write_labels()
    shutil.copy(place.audio(ONE), place.audio(TWO))


def no_labels(place):
    (place.root / "labels.csv").unlink()


def clipped_and_slow(place):
    wav(place.audio(ONE), np.ones(3200) - noise(0).clip(0, 0.4) * (np.arange(3200) % 2))
    wav(place.audio(TWO), noise(0, rate=8000), 8000)


@pytest.mark.parametrize("allowed", [{}, {"allow_partial": True}, {"max_rejected": 0.5}, {"max_rejected": 0}], ids=str)
@pytest.mark.parametrize(
    "fault",
    [
        nothing, missing, half_missing, one_short, short_and_silent, all_silent, an_unknown_word,
        two_genders_and_the_same_audio, no_labels, clipped_and_slow,
    ],
)  # fmt: skip
def test_what_is_wrong_is_what_stops_the_stages(place, fault, allowed):
    fault(place)
    place.config["corpora"]["mine"] |= allowed
    status = 0
    try:
        place.run_stages(recorded=False)
    except SerflowError:
        status = 1
    rejected = Path("results/corpora/mine/rejected.csv")
    rows = rows_of(place, "rejected", "--audio", status=status)
    if rejected.is_file():
        by_run = sorted([entry.utterance or "-", entry.path, entry.reason] for entry in read_rejected(rejected))
        assert sorted(rows) == by_run
