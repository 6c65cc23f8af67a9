"""Systems by name: each is built as the catalogue says, and what they have in common starts the same."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score

from serflow.backbones import ge2e
from serflow.errors import ConfigError
from serflow.nn.parameters import count_parameters
from serflow.plugins import plugin_names
from serflow.studies.multigating.catalog import SYSTEMS, load_method
from serflow.studies.multigating.options import Options

DIMS = {"allosaurus": 640, "wav2vec": 512, "mfcc": 40, "byol": 2048}
CLASSES = {
    "english": ("anger", "happy", "neutral", "sad"),
    "german": ("anger", "bored", "disgust", "fear", "happy", "neutral", "sad"),
    "french": ("anger", "disgust", "fear", "happy", "neutral", "sad", "surprise"),
}
PAPER = {
    "english": {"corpus": "iemocap", "units": 256, "activations": ["mish", "gelu"], "alpha": 0.1},
    "german": {"corpus": "emodb"},
    "french": {"corpus": "cafe", "alpha": 0.015},
}
NETWORKS = [name for name, info in SYSTEMS.items() if info.network]


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """All networks at the paper's sizes, but for a small GE2E."""
    weights = ge2e.write_stand_in(tmp_path_factory.mktemp("ge2e"), seed=0)
    found = {}
    for name in NETWORKS:
        languages = PAPER if SYSTEMS[name].trained == "all" else {"german": PAPER["german"]}
        classes = {language: CLASSES[language] for language in languages}
        torch.manual_seed(3)
        options = Options.model_validate({"languages": languages})
        found[name] = load_method(name).build(DIMS, classes, options, weights, torch.device("cpu"))
    return found


def test_each_system_of_the_catalogue_is_a_module():
    assert plugin_names("serflow.studies.multigating.methods") == sorted(SYSTEMS)
    for name, info in SYSTEMS.items():
        assert hasattr(load_method(name), "build" if info.network else "classify")
    with pytest.raises(ConfigError, match="no system 'moe' in the multigating study"):
        load_method("moe")


def test_a_module_alone_imports_no_torch():
    names = ", ".join(f"serflow.studies.multigating.methods.{name}" for name in SYSTEMS)
    script = f"import sys\nimport {names}\nprint('torch' in sys.modules, 'sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]


def test_systems_start_with_the_same_encoders(networks):
    """With one seed; what differs is what they share."""
    first, *others = (network.encoders.state_dict() for network in networks.values())
    for other in others:
        assert list(other) == list(first)
        assert all(torch.equal(value, first[name]) for name, value in other.items())


def test_sizes_are_the_papers(networks):
    assert networks["single"].sharing.dim == 2944
    assert {name: network.sharing.dim for name, network in networks.items() if name != "single"} == {
        "one_tower": 256, "sb": 256, "omoe": 256, "mmoe": 256, "ours": 256, "sb_wide": 256,
    }  # fmt: skip
    union = ("anger", "bored", "disgust", "fear", "happy", "neutral", "sad", "surprise")
    assert networks["one_tower"].classes == dict.fromkeys(CLASSES, union)
    assert networks["ours"].classes == CLASSES
    towers = networks["ours"].towers.towers
    assert {name: towers[name].layers[0].out_features for name in CLASSES} == {
        "english": 256, "german": 512, "french": 512,
    }  # fmt: skip


def test_what_is_shared_grows_row_by_row(networks):
    sizes = {name: count_parameters(network.sharing) for name, network in networks.items()}
    common = 2944 * 256 + 5 * 256
    assert sizes["single"] == 0
    assert sizes["one_tower"] == sizes["sb"] == common
    assert sizes["omoe"] == common + 5 * 256
    assert sizes["mmoe"] == common + 3 * 5 * 256
    assert sizes["ours"] == sizes["mmoe"] + 3 * 25 * (256 * 256 + 1)
    assert abs(sizes["sb_wide"] / sizes["ours"] - 1) < 0.01


@pytest.mark.parametrize(("system", "gated", "searched"), [
    ("one_tower", (), []), ("sb", (), []), ("sb_wide", (), []), ("single", (), []),
    ("omoe", ("allosaurus", "wav2vec", "mfcc", "ge2e", "byol"), []),
    ("mmoe", ("allosaurus", "wav2vec", "mfcc", "ge2e", "byol"), []),
    ("ours", ("allosaurus", "wav2vec", "mfcc", "ge2e", "byol"), ["english", "german", "french"]),
])  # fmt: skip
def test_who_has_gates_and_who_searches(networks, system, gated, searched):
    assert networks[system].gated == gated
    assert list(networks[system].architecture()) == searched


def test_the_plain_classifier_is_fitted_on_its_rows_alone():
    generator = np.random.default_rng(0)
    classes = np.arange(90) % 3
    inputs = generator.standard_normal((90, 4)) * [1, 100, 1, 1]
    inputs[:, 0] += 4 * classes
    rows = np.arange(60)
    classify = load_method("svc").classify
    fitted = classify(inputs, classes, rows)
    assert accuracy_score(classes[60:], fitted.predict(inputs[60:])) > 0.8
    np.testing.assert_allclose(fitted[0].mean_, inputs[:60].mean(0))
    spoiled = inputs.copy()
    spoiled[60:] = 1e6
    np.testing.assert_array_equal(classify(spoiled, classes, rows).predict(inputs), fitted.predict(inputs))
    assert fitted[1].class_weight is None
