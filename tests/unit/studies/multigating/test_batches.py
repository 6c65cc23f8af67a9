"""Batches of one language each: what an epoch takes in, and how temperature deals small languages out."""

from collections import Counter

import numpy as np
import pytest

from serflow.studies.multigating.batches import deal

LENGTHS = {"large": np.arange(100) % 7 + 1, "small": np.arange(10) % 3 + 1}


def taken(temperature, *names, batch_size=8):
    return deal(LENGTHS, batch_size, temperature, *(names or ("toy", 0, "all", 0)))


def test_an_epoch_takes_each_utterance_of_each_language_once():
    found = {language: [] for language in LENGTHS}
    for language, places in taken(1.0):
        found[language] += places.tolist()
    assert {language: sorted(places) for language, places in found.items()} == {
        language: list(range(len(lengths))) for language, lengths in LENGTHS.items()
    }


def test_batches_are_of_one_language_no_larger_than_asked_for_and_shuffled_over_languages():
    batches = taken(1.0)
    assert all(0 < len(places) <= 8 for _, places in batches)
    orders = {tuple(language for language, _ in taken(1.0, "toy", epoch)) for epoch in range(8)}
    assert len(orders) > 1


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_batches_depend_on_the_fit_and_the_epoch_alone(temperature):
    def said(*names):
        return [(language, places.tolist()) for language, places in taken(temperature, *names)]

    assert said("toy", 0, "all", 3) == said("toy", 0, "all", 3)
    assert said("toy", 0, "all", 3) != said("toy", 0, "all", 4)
    assert said("toy", 0, "all", 3) != said("toy", 1, "all", 3)


@pytest.mark.parametrize(
    ("temperature", "shares"),
    [
        # 13 + 2 batches; shares 10 : 3.16 of T = 2, 4.64 : 2.15 of T = 3
        (2.0, {"large": 11, "small": 4}),
        (3.0, {"large": 10, "small": 5}),
        (6.0, {"large": 9, "small": 6}),
    ],
)
def test_a_higher_temperature_gives_small_languages_more_of_as_many_batches(temperature, shares):
    assert Counter(language for language, _ in taken(temperature)) == shares


def test_a_small_language_is_dealt_anew_when_all_of_it_was_taken():
    places = np.concatenate([places for language, places in taken(2.0) if language == "small"])
    counts = Counter(places.tolist())
    assert len(places) == 20
    assert set(counts.values()) == {2}


def test_a_language_of_few_utterances_has_one_batch_at_least():
    lengths = {"large": np.ones(1000, dtype=int), "small": np.ones(1, dtype=int)}
    assert Counter(language for language, _ in deal(lengths, 64, 1.0 + 1e-6, "toy"))["small"] == 1


def test_a_batch_is_not_in_the_order_of_lengths():
    lengths = {"toy": np.arange(64)}
    batches = [places for epoch in range(4) for _, places in deal(lengths, 32, 1.0, "toy", epoch)]
    assert not any((np.diff(places) > 0).all() for places in batches)
