"""The assembled network: what it reads, says and learns, of each system."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from serflow.backbones import ge2e
from serflow.studies.multigating.batch import Batch, Partials, Sequences
from serflow.studies.multigating.catalog import SYSTEMS, load_method
from serflow.studies.multigating.network import losses, parameter_groups
from serflow.studies.multigating.options import Options

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]

DIMS = {"allosaurus": 6, "wav2vec": 5, "mfcc": 4, "byol": 7}
CLASSES = {"english": ("sad", "anger"), "german": ("anger", "bored", "sad")}
JOINT = [name for name, info in SYSTEMS.items() if info.trained == "all"]
SEARCHED = ("ours",)
GATED = ("omoe", "mmoe", "ours")
SMALL = {
    "languages": {
        "english": {"corpus": "iemocap", "units": 5, "activations": ["mish", "gelu"], "alpha": 0.2},
        "german": {"corpus": "emodb", "units": 6, "alpha": 0.05},
    },
    "encoder": {"maps": 3, "lstm": 4, "mfcc_maps": 2, "mfcc_lstm": 3},
    "sharing": {"width": 8, "base_units": 6},
    "contrastive": {"more_than": 2},
    "nas": {"l0": 0.3},
}
LENGTHS = torch.tensor([9, 4, 1, 7, 5, 9])


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return ge2e.write_stand_in(tmp_path_factory.mktemp("ge2e"), seed=0)


def build(system, weights, **changes):
    options = Options.model_validate({**SMALL, **changes})
    classes = CLASSES
    if SYSTEMS[system].trained == "one":
        options = options.model_copy(update={"languages": {"german": options.languages["german"]}})
        classes = {"german": CLASSES["german"]}
    torch.manual_seed(0)
    return load_method(system).build(DIMS, classes, options, weights, torch.device("cpu")).double(), options


def batch(language="german", n_frames=9, fill=0.0, seed=1):
    generator = torch.Generator().manual_seed(seed)
    sequences = {}
    for name in ("allosaurus", "wav2vec", "mfcc"):
        frames = torch.full((6, n_frames, DIMS[name]), fill)
        for row, length in enumerate(LENGTHS.tolist()):
            frames[row, :length] = torch.randn(length, DIMS[name], generator=generator)
        sequences[name] = Sequences(frames, LENGTHS)
    mels = torch.rand(8, 160, 40, generator=generator)
    partials = Partials(mels, torch.tensor([0, 0, 1, 2, 3, 3, 4, 5]))
    byol = torch.randn(6, DIMS["byol"], generator=generator)
    targets = torch.eye(len(CLASSES[language]))[torch.tensor([0, 1, 0, 1, 1, 0])]
    return Batch(language, sequences, partials, byol, targets)


@pytest.mark.parametrize("system", [*JOINT, "single"])
def test_what_a_system_says(system, weights):
    network, _ = build(system, weights)
    said = network(batch())
    n_logits = 3
    assert said.logits.shape == (6, n_logits)
    dim = {"single": 8 + 8 + 6 + 256 + 7}.get(system, 8)
    assert said.representation.shape == (6, dim)
    assert network.classes["german"] == ("anger", "bored", "sad")
    if system in GATED:
        assert network.gated == ("allosaurus", "wav2vec", "mfcc", "ge2e", "byol")
        assert said.gates.shape == (6, 5)
    else:
        assert network.gated == ()
        assert said.gates is None
    assert {name: len(gates) for name, gates in network.architecture().items()} == (
        {"english": 25, "german": 25} if system in SEARCHED else {}
    )


def test_representations_of_one_language_are_features_side_by_side(weights):
    network, _ = build("single", weights)
    read, encoders = batch(), network.eval().encoders
    expected = [encoders.sequences[name](read.sequences[name]) for name in ("allosaurus", "wav2vec", "mfcc")]
    expected += [encoders.speaker(read.partials, 6), read.byol]
    torch.testing.assert_close(network(read).representation, torch.cat(expected, dim=1))
    torch.testing.assert_close(network(read).logits, network.towers(torch.cat(expected, dim=1), "german"))


@pytest.mark.parametrize("system", [*JOINT, "single"])
@pytest.mark.parametrize("training", [True, False])
def test_padding_changes_nothing(system, training, weights):
    found = []
    for n_frames, fill in ((9, 0.0), (14, 1e3)):
        network, options = build(system, weights, encoder={**SMALL["encoder"], "dropout": 0.0})
        torch.manual_seed(2)
        found.append(losses(network.train(training), batch(n_frames=n_frames, fill=fill), options).total)
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("system", [*JOINT, "single"])
def test_the_loss_is_equation_6_and_the_punished_gates(system, weights):
    network, options = build(system, weights)
    network.eval()
    read = batch()
    said, found = network(read), losses(network, read, options)
    emotion = -(said.logits.log_softmax(1) * read.targets).sum() / 6
    contrastive = network.contrastive(said.representation, read.targets)
    expected = {"emotion_loss": emotion, "contrastive_loss": contrastive}
    total = emotion + 0.05 * contrastive
    if system in SEARCHED:
        expected["open_gates"] = network.sharing.transitions["german"].gates.open_probability().sum()
        total = total + 0.3 * expected["open_gates"]
    assert list(found.terms) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found.terms[name], value)
    torch.testing.assert_close(found.total, total)
    assert found.n == 6


def test_alpha_is_that_of_the_language(weights):
    network, options = build("sb", weights)
    found = losses(network.eval(), batch("english"), options)
    torch.testing.assert_close(
        found.total, found.terms["emotion_loss"] + 0.2 * found.terms["contrastive_loss"], rtol=1e-12, atol=0
    )


def test_without_the_contrastive_loss_there_is_neither_it_nor_its_weights(weights):
    network, options = build("sb", weights, aux=False)
    found = losses(network, batch(), options)
    assert list(found.terms) == ["emotion_loss"]
    assert found.total is found.terms["emotion_loss"]
    assert not any("contrastive" in name for name, _ in network.named_parameters())
    with_it, _ = build("sb", weights)
    assert {name for name, _ in with_it.named_parameters() if "contrastive" in name} == {
        "contrastive.raw_scale", "contrastive.bias",
    }  # fmt: skip
    for name, value in network.state_dict().items():
        assert torch.equal(value, with_it.state_dict()[name])


def test_base_names_the_classes_of_all_languages(weights):
    network, options = build("one_tower", weights)
    network.eval()
    read = batch("english")
    said, found = network(read), losses(network, read, options)
    assert network.classes["english"] == ("anger", "bored", "sad")
    # english is (sad, anger)
    right = [0 if target == 1 else 2 for target in read.targets.argmax(1).tolist()]
    expected = torch.nn.functional.cross_entropy(said.logits, torch.tensor(right))
    torch.testing.assert_close(found.terms["emotion_loss"], expected)


@pytest.mark.parametrize("system", JOINT)
def test_a_batch_moves_what_is_shared_and_what_is_of_its_language(system, weights):
    network, options = build(system, weights)
    losses(network.train(), batch(), options).total.backward()
    unmoved = {name for name, value in network.named_parameters() if value.grad is None}
    assert unmoved == {name for name, _ in network.named_parameters() if ".english." in name}
    still = {name for name, value in network.named_parameters() if value.grad is not None and not value.grad.any()}
    assert still <= {"contrastive.bias"}


@pytest.mark.parametrize(
    ("system", "form"), [*((name, "louizos") for name in (*JOINT, "single")), ("ours", "snr_code")]
)
def test_a_step_waits_for_no_number(system, form, weights):
    """Nothing in it is brought to the host, or has a size that its values decide: a GPU need not be waited for."""

    class Seen(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            names.add(function.overloadpacket.__name__)
            return function(*args, **(kwargs or {}))

    names: set[str] = set()
    network, options = build(system, weights, nas={"form": form})
    read = batch()
    with Seen():
        losses(network.train(), read, options).total.backward()
    assert "native_dropout" in names or "bernoulli_" in names
    assert (
        names & {"_local_scalar_dense", "nonzero", "masked_select", "unique", "_unique2", "equal", "is_nonzero"}
        == set()
    )


def test_ge2e_has_a_learning_rate_of_its_own(weights):
    network, options = build("ours", weights, training={"learning_rate": 2e-3, "ge2e_learning_rate": 3e-5})
    rest, speaker = parameter_groups(network, options)
    assert (rest["lr"], speaker["lr"]) == (2e-3, 3e-5)
    named = {id(value): name for name, value in network.named_parameters()}
    found = [[named[id(value)] for value in group["params"]] for group in (rest, speaker)]
    assert sorted(found[0] + found[1]) == sorted(named.values())
    assert all(name.startswith("encoders.speaker.") for name in found[1])
    assert not any(name.startswith("encoders.speaker.") for name in found[0])
    optimizer = torch.optim.AdamW([rest, speaker], 1.0)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    losses(network, batch(), options).total.backward()
    optimizer.step()
    moved = {name: (value - before[name]).abs().max().item() for name, value in network.named_parameters()}
    assert max(moved[name] for name in found[1]) < 4e-5
    assert max(moved[name] for name in found[0]) > 1e-3


def test_ge2e_without_a_learning_rate_is_frozen_and_absent_ge2e_is_not_loaded(weights):
    network, options = build("sb", weights, training={"ge2e_learning_rate": 0.0})
    (group,) = parameter_groups(network, options)
    assert not any(value.requires_grad for value in network.encoders.speaker.parameters())
    assert all(value.requires_grad for value in group["params"])
    without, options = build("sb", None, features=["mfcc", "byol"])
    assert without.encoders.speaker is None
    assert len(parameter_groups(without, options)) == 1
    with pytest.raises(ValueError, match="trains ge2e further, and there are no weights"):
        build("sb", None)


@pytest.mark.parametrize("feature", ["allosaurus", "wav2vec", "mfcc", "ge2e", "byol"])
def test_a_network_reads_the_features_of_its_options_alone(feature, weights):
    network, options = build("single", weights, features=[feature])
    read = batch()
    kept = Batch(
        language="german",
        sequences={name: values for name, values in read.sequences.items() if name == feature},
        partials=read.partials if feature == "ge2e" else None,
        byol=read.byol if feature == "byol" else None,
        targets=read.targets,
    )
    dim = {"allosaurus": 8, "wav2vec": 8, "mfcc": 6, "ge2e": 256, "byol": 7}[feature]
    assert network(kept).representation.shape == (6, dim)
    losses(network, kept, options).total.backward()
    with pytest.raises(ValueError, match=f"the network reads {feature}, which the batch does not have"):
        network(Batch("german", {}, None, None, read.targets))


def test_features_keep_the_order_of_the_options(weights):
    network, _ = build("mmoe", weights, features=["byol", "mfcc", "ge2e"])
    assert network.gated == ("byol", "mfcc", "ge2e")
    assert list(network.encoders(batch())) == ["byol", "mfcc", "ge2e"]


def test_logits_and_representations_are_single_under_autocast(weights, bfloat16):
    torch.set_default_dtype(torch.float32)
    read = batch("english")
    for system in (*JOINT, "single"):
        if system == "single":
            read = batch()
        network, options = build(system, weights)
        with torch.autocast("cpu", torch.bfloat16):
            said = network.float()(read)
            total = losses(network, read, options).total
        assert said.logits.dtype == said.representation.dtype == total.dtype == torch.float32
        assert said.gates is None or said.gates.dtype == torch.float32
        total.backward()
        assert all(value.grad.isfinite().all() for value in network.parameters() if value.grad is not None)


@pytest.mark.parametrize("system", [*JOINT, "single"])
def test_a_network_learns_the_batches_it_sees(system):
    """AdamW on one batch of each language brings every system to their classes."""
    languages = ["german"] if system == "single" else ["english", "german"]
    network, options = build(
        system, None, features=["mfcc", "wav2vec", "byol"], training={"learning_rate": 0.01}, nas={"l0": 0.0},
        sharing={"selector": "byol", "width": 32, "base_units": 32},
        languages={name: {**own, "units": 32} for name, own in SMALL["languages"].items()},
    )  # fmt: skip
    read = [batch(language, seed=seed) for seed, language in enumerate(languages)]
    optimizer = torch.optim.AdamW(parameter_groups(network, options))
    for _ in range(40):
        for one in read:
            optimizer.zero_grad()
            losses(network, one, options).total.backward()
            optimizer.step()
    network.eval()
    for one in read:
        targets = network.towers.place(one.targets, one.language)
        assert torch.equal(network(one).logits.argmax(1), targets.argmax(1))
