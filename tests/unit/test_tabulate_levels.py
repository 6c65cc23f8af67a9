import argparse

import pandas as pd
import pytest

from made_up_runs import write_noise_plan
from serflow.errors import StoreError
from serflow.stages.tabulate_levels import COLUMNS, main

ROWS = [
    ("u0", "natural", "a", 10.0),
    ("u1", "natural", "b", 20.0),
    ("u2", "natural", "a", 60.0),
    ("u3", "human", "c", -5),
]


def levels(folder, *plans):
    arguments = argparse.Namespace(plans=list(plans), table=folder / "levels.csv")
    main(arguments)
    return pd.read_csv(arguments.table)


def test_levels_are_those_of_the_mixtures(tmp_path):
    """What the plans of the fixture achieve is 0.25 dB off."""
    plans = [
        write_noise_plan(tmp_path, ROWS, snrs={"natural": -5, "human": -25, "interior": 0}, offset_db=20.0),
        write_noise_plan(tmp_path, ROWS[3:], profile="h1_gain", mixing="authors_gain"),
    ]
    found = levels(tmp_path, *plans)
    assert tuple(found.columns) == COLUMNS
    assert found[["profile", "condition"]].values.tolist() == [
        [profile, condition] for profile in ("h1", "h1_gain") for condition in ("natural", "human", "interior")
    ]
    natural = found.iloc[0]
    assert (natural["corpus"], natural["mixing"], natural["n_utterances"], natural["n_clips"]) == ("toy", "snr", 3, 2)
    assert (natural["profile_snr_db"], natural["snr_offset_db"]) == (-5, 20)
    quantiles = [natural[f"achieved_{name}_db"] for name in ("p05", "median", "p95")]
    assert quantiles == pytest.approx([11.25, 20.25, 56.25])
    assert found["mixing"].tolist() == ["snr"] * 3 + ["authors_gain"] * 3
    # nobody drew it
    assert found.iloc[2][["n_utterances", "achieved_median_db"]].isna().tolist() == [False, True]


def test_plans_of_two_corpora_are_not_put_together(tmp_path):
    plans = [write_noise_plan(tmp_path, ROWS), write_noise_plan(tmp_path, ROWS, corpus="other")]
    with pytest.raises(StoreError, match="a noise plan of other among those of another corpus"):
        levels(tmp_path, *plans)
