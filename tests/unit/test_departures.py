"""What notes say of settings that are not a paper's."""

import pytest

from serflow.studies.departures import Open, Stated, departures

PAPER = {
    "model.kernel": Stated("kernel", 16),
    "model.dilations": Stated("dilations", [1, 2, 4]),
    "model.dropout": Open("dropout", 0.0),
    "training.rate": Stated("rate", 1e-3),
    "beam": Open("beam width", None),
    "norm": Open("normalisation", False),
    "device": None,
}


def test_what_is_as_in_the_paper_is_not_said():
    here = {"model": {"kernel": 16, "dilations": [1, 2, 4], "dropout": 0}, "training": {"rate": 0.001}, "beam": None}
    assert departures(here, PAPER) == []


def test_departures_are_said_in_the_papers_order_whatever_the_options():
    here = {"training": {"rate": 0.01}, "norm": True, "model": {"dilations": [1, 3], "kernel": 8}, "device": "cuda"}
    assert departures(here, PAPER) == [
        "kernel 8, the paper's 16",
        "dilations 1 3, the paper's 1 2 4",
        "rate 0.01, the paper's 0.001",
        "normalisation true, by default false (the paper does not say)",
    ]


def test_what_the_paper_leaves_open_is_held_against_our_default():
    assert departures({"model": {"dropout": 0.2}, "beam": 100}, PAPER) == [
        "dropout 0.2, by default 0 (the paper does not say)",
        "beam width 100, by default unset (the paper does not say)",
    ]


def test_an_option_that_nobody_put_down_is_refused():
    with pytest.raises(ValueError, match=r"model\.width: put down what the paper says of it"):
        departures({"model": {"width": 3}}, PAPER)
