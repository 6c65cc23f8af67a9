"""Architectures are shown as they were found: from which feature to which, of which language."""

import argparse
import math

import numpy as np
import pandas as pd
import pytest
import torch

from made_up_runs import STAND_IN_WEIGHTS, predicted, write_cell
from serflow.errors import StoreError
from serflow.report.style import figure_style
from serflow.stages import plot_figure
from serflow.studies.multigating.architecture import Transitions
from serflow.studies.multigating.gates import COLUMNS, Files, make_figure
from serflow.studies.multigating.options import NasOptions

TITLES = {"mfcc": "MFCC", "ge2e": "GE2E", "byol": "BYOL"}
LANGUAGES = {"emodb": "german", "cafe": "french"}
FACTS = {"languages": {"emodb": "German", "cafe": "French"}, "features": TITLES}
NAS = {"beta": 0.5, "gamma": -0.2, "delta": 1.5}
GERMAN = torch.tensor([[-9.0, 0.0, 1.0], [-1.0, 2.0, -0.5], [0.5, 9.0, -2.0]])
"""ln kappa at (high, low)."""
FRENCH = torch.tensor([[0.2, -0.1, 9.0], [0.4, -0.3, 9.0], [0.6, -0.6, 9.0]])


def at_test(log_kappa):
    return np.clip(1.7 / (1 + np.exp(-log_kappa.double().numpy())) - 0.2, 0, 1)


def write(folder, fits, features=("mfcc", "ge2e", "byol"), selector="ge2e", said=LANGUAGES):
    """Write cells of ln kappa ``(high, low)`` by corpus, run and fold."""
    options = {
        "features": list(features), "sharing": {"selector": selector, "width": 2}, "nas": NAS,
        "languages": {name: {"corpus": corpus} for corpus, name in LANGUAGES.items()},
    }  # fmt: skip
    written = []
    for corpus, of_corpus in fits.items():
        results = []
        for (run, fold), log_kappa in of_corpus.items():
            layer = Transitions(len(log_kappa), 2, NasOptions(**NAS))
            with torch.no_grad():
                layer.gates.log_kappa.copy_(log_kappa)
            prefix = f"sharing.transitions.{said[corpus]}"
            weights = {f"{prefix}.{name}": value for name, value in layer.state_dict().items()}
            results.append(predicted([("u", (1, 0, 0), 0)], run, fold)._replace(weights=weights))
        cell = {"system": "ours", "corpus": corpus, "variant": "main"}
        written.append(
            write_cell(folder, cell, results, study="multigating", options=options, provenance=STAND_IN_WEIGHTS)
        )
    return Files(tuple(each.predictions for each in written), tuple(each.model for each in written))


def make(files):
    with figure_style():
        return make_figure(files, FACTS)


FITS = {
    "emodb": {(10, "all"): GERMAN + 1, (2, "b"): GERMAN - 1, (2, "a"): GERMAN},
    "cafe": {(10, "all"): FRENCH, (2, "b"): FRENCH, (2, "a"): FRENCH},
}


def test_a_row_says_from_which_feature_to_which_and_in_what_fit(tmp_path):
    _, table = make(write(tmp_path, FITS))
    assert list(table) == COLUMNS
    assert len(table) == 2 * 3 * 9
    assert list(dict.fromkeys(zip(table["language"], table["run"], table["fold"], strict=True))) == [
        (language, run, fold) for language in ("German", "French") for run, fold in ((2, "a"), (2, "b"), (10, "all"))
    ]
    for language, log_kappa in (("German", GERMAN), ("French", FRENCH)):
        rows = table[(table["language"] == language) & (table["fold"] == "a")].astype({"value": float})
        found = rows.pivot(index="high", columns="low", values="value")[["MFCC", "GE2E", "BYOL"]]
        assert list(found.index) == ["u1", "u2", "u3"]
        np.testing.assert_allclose(found.to_numpy(), at_test(log_kappa), rtol=1e-3)


def test_a_gate_is_told_to_be_open_as_often_as_noise_makes_it(tmp_path):
    """Louizos et al., Eq. 12: sigmoid(ln kappa - beta ln(-gamma / delta))."""
    _, table = make(write(tmp_path, FITS))
    row = table[(table["language"] == "German") & (table["fold"] == "a") & (table["high"] == "u2")].iloc[0]
    assert (row["low"], row["value"]) == ("MFCC", f"{at_test(GERMAN)[1, 0]:.4g}")
    open_probability = 1 / (1 + math.exp(1 + 0.5 * math.log(0.2 / 1.5)))
    assert float(row["open_probability"]) == pytest.approx(open_probability, rel=1e-3)


def test_pictures_are_of_the_first_fit_with_low_level_features_across(tmp_path):
    figure, _ = make(write(tmp_path, FITS))
    german, french = figure.axes[:2]
    for axes, title, log_kappa in ((german, "German", GERMAN), (french, "French", FRENCH)):
        assert axes.get_title(loc="left") == title
        (image,) = axes.images
        np.testing.assert_allclose(image.get_array(), at_test(log_kappa), atol=1e-6)
        assert (image.norm.vmin, image.norm.vmax) == (0, 1)
        assert [label.get_text() for label in axes.get_yticklabels()] == ["u1", "u2", "u3"]
    numbers = {text.get_position(): text.get_text() for text in german.texts}
    assert numbers[0, 0] == "0"
    assert numbers[2, 0] == f"{at_test(GERMAN)[0, 2]:.2f}"
    assert numbers[1, 2] == "1.00"
    said = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    assert "Run 2, fold a" in said
    assert "stand-in weights" in said


def test_means_are_over_high_level_features_and_deviations_over_runs(tmp_path):
    figure, _ = make(write(tmp_path, FITS))
    lower = figure.axes[2]
    two = (at_test(GERMAN) + at_test(GERMAN - 1)).mean(0) / 2
    ten = at_test(GERMAN + 1).mean(0)
    np.testing.assert_allclose(lower.images[0].get_array(), [(two + ten) / 2], atol=1e-6)
    assert [text.get_text() for text in lower.texts] == [
        f"{(one + other) / 2:.2f}\n±{abs(one - other) / math.sqrt(2):.2f}" for one, other in zip(two, ten, strict=True)
    ]
    assert [label.get_text() for label in lower.get_xticklabels()] == ["MFCC", "GE2E", "BYOL"]
    said = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    share = np.mean([at_test(GERMAN + shift) == 0 for shift in (0, -1, 1)])
    assert 0 < share < 0.5
    assert f"German {100 * share:.1f} %, French 0.0 %" in said


def test_byol_that_selects_has_no_gates(tmp_path):
    fits = {corpus: {(0, "all"): log_kappa[:2, :2]} for corpus, log_kappa in (("emodb", GERMAN), ("cafe", FRENCH))}
    figure, table = make(write(tmp_path, fits, selector="byol"))
    assert list(dict.fromkeys(table["low"])) == ["MFCC", "GE2E"]
    assert figure.axes[0].images[0].get_array().shape == (2, 2)
    # of one run there is no deviation
    assert not any("±" in text.get_text() for text in figure.axes[2].texts)


def test_the_stage_writes_the_gates(tmp_path):
    files = write(tmp_path, FITS)
    out = {name: tmp_path / f"gates.{name}" for name in ("svg", "csv")}
    inputs = [(name, path) for name, paths in files._asdict().items() for path in paths]
    plot_figure.main(argparse.Namespace(study="multigating", figure="gates", inputs=inputs, facts=FACTS, **out))
    table = pd.read_csv(out["csv"])
    assert list(table) == COLUMNS
    assert table["value"].between(0, 1).all()
    assert (table["value"] == 0).sum() == sum((at_test(GERMAN + shift) == 0).sum() for shift in (0, -1, 1))
    assert "<svg" in out["svg"].read_text()


def test_weights_of_another_language_are_refused(tmp_path):
    files = write(tmp_path, FITS)
    with pytest.raises(StoreError, match=r"lacks 2/a/sharing\.transitions\.german"):
        make(files._replace(models=files.models[::-1]))
    files.models[0].write_bytes(files.models[0].read_bytes()[:-1] + b"\1")
    with pytest.raises(StoreError, match=str(files.models[0])):
        make(files)
