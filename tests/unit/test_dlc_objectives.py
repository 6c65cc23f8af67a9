"""What each network minimises, held against the formulas on batches whose clean and noisy features differ.

In float64 and without dropout, so that nothing hangs on rounding or chance.
"""

import copy
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from serflow.nn.adversarial import GradientReversal, reversal_ramp
from serflow.nn.normalisation import MaskedBatchNorm
from serflow.nn.pooling import frame_mask, pooled_lengths
from serflow.protocols.folds import FitName, FoldRows
from serflow.studies.dlc.catalog import load_method, method_info, method_names
from serflow.studies.dlc.data import Batch
from serflow.studies.dlc.dsn import DomainSeparation
from serflow.studies.dlc.learner import Dealer, Prepared, train_stages
from serflow.studies.dlc.models import Sizes, initialise
from serflow.studies.dlc.options import (
    AdversaryOptions,
    DsnOptions,
    MaddogOptions,
    ModelOptions,
    Options,
    TrainingOptions,
)
from serflow.training.checkpoints import Checkpoint
from serflow.training.optimizers import OPTIMIZERS, Adam
from serflow.training.seeds import numpy_generator

SIZES = Sizes(n_bands=6, n_classes=4, condition_counts=(5, 7, 6), text_dim=5)
MODEL = ModelOptions(maps=8, kernel=5, hidden=8)
LENGTHS = torch.tensor([30, 17, 5, 1])
TOKENS = torch.tensor([2, 6, 3, 11])
WEIGHTS = torch.tensor([0.25, 3.0, 1.0, 0.5], dtype=torch.float64)
METHODS = [name for name in method_names() if method_info(name).network]
DENOISING = [method for method in METHODS if method != "noise_classifier"]
WAYS = [(method, staged) for method in METHODS for staged in ([False, True] if "hffn" in method else [False])]
STAGED = [(method, stage) for method in METHODS if method.startswith("hffn") for stage in ("acoustic", "lexical")]


def build(method, model=MODEL, **options):
    torch.manual_seed(1)
    network = load_method(method).build(SIZES, Options(model=model, **options)).double()
    initialise(network)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, MaskedBatchNorm):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return network


def make_batch(n_frames=30, n_tokens=12):
    """Two dialogues of three turns and one, padded as far as is asked for; clean features are others than the noisy."""
    torch.manual_seed(0)
    mask = frame_mask(LENGTHS, 30)
    noisy, clean = torch.randn(2, 4, 30, SIZES.n_bands, dtype=torch.float64) * mask
    tokens = torch.randn(4, 12, SIZES.text_dim, dtype=torch.float64) * frame_mask(TOKENS, 12)
    noisy, clean = (F.pad(frames, (0, 0, 0, n_frames - 30)) for frames in (noisy, clean))
    tokens = F.pad(tokens, (0, 0, 0, n_tokens - 12))
    targets = torch.eye(4, dtype=torch.float64)[[1, 0, 3, 2]]
    return Batch(noisy, clean, LENGTHS, targets, torch.tensor([0, 2, 1, 0]), tokens, TOKENS, torch.tensor([0, 0, 0, 1]))


def spied(module):
    """Return a list that takes in what ``module`` is called with and what it gives, from now on."""
    calls = []
    module.register_forward_hook(lambda _, inputs, output: calls.append((*inputs, output)))
    return calls


@pytest.mark.parametrize("method", DENOISING)
def test_clean_features_are_what_the_decoder_is_to_give_and_nothing_else(method):
    """Were the clean features what the decoder gives there would be no error, and all else would be as it is."""
    network, batch = build(method), make_batch()
    decoded = spied(next(module for name, module in network.named_modules() if name.endswith("decoder")))
    found = network.losses(batch, WEIGHTS)
    output = decoded[0][-1].detach()
    expected = torch.cat([(output - batch.clean)[row, :n] for row, n in enumerate(LENGTHS)]).square().mean()
    torch.testing.assert_close(found.terms["reconstruction_loss"], expected)

    perfect = network.losses(batch._replace(clean=output), WEIGHTS)
    assert perfect.terms["reconstruction_loss"] == 0
    torch.testing.assert_close(perfect.logits, found.logits)
    for name in found.terms.keys() - {"reconstruction_loss"}:
        torch.testing.assert_close(perfect.terms[name], found.terms[name])


@pytest.mark.parametrize(("method", "stage"), [*((method, "all") for method in METHODS), *STAGED])
def test_the_task_is_cross_entropy_with_an_utterance_weighing_as_its_class(method, stage):
    network, batch = build(method, hffn="end_to_end" if stage == "all" else "staged"), make_batch()
    found = network.losses(batch, WEIGHTS, stage)
    classes = batch.targets.argmax(1)
    each = F.cross_entropy(found.logits, classes, reduction="none")
    torch.testing.assert_close(found.terms["task_loss"], (WEIGHTS[classes] * each).mean())


@pytest.mark.parametrize("method", [method for method in METHODS if method.startswith("hffn")])
def test_a_fusion_by_itself_minimises_the_cosine_with_an_utterance_weighing_as_its_class(method):
    network, batch = build(method, hffn="staged"), make_batch()
    found = network.losses(batch, WEIGHTS, "fusion")
    shares = torch.softmax(found.logits, dim=1)
    cosines = (shares * batch.targets).sum(1) / shares.norm(dim=1)
    torch.testing.assert_close(found.total, -(WEIGHTS[batch.targets.argmax(1)] * cosines).mean())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", [MODEL, ModelOptions(maps=8, kernel=4, hidden=8, pool=2, instance_norm=True)])
def test_padding_changes_nothing_in_training_either(method, model):
    """Losses, gradients and running statistics are those of the utterances, however far a batch is padded."""
    left = []
    for batch in (make_batch(), make_batch(45, 20)):
        network = build(method, model).train()
        network.start_epoch(3, "all")
        losses = network.losses(batch, WEIGHTS)
        losses.total.backward()
        gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
        left.append((losses.terms, gradients, dict(network.named_buffers())))
    for short, long in zip(*left, strict=True):
        torch.testing.assert_close(short, long)


def test_dsn_normalises_its_sum_over_the_frames_of_utterances():
    network, batch = build("dsn_dlc").train(), make_batch()
    acoustic = network.acoustic
    assert isinstance(acoustic, DomainSeparation)
    (shared, private), normed = (spied(part) for part in (acoustic.shared, acoustic.private)), spied(acoustic.norm)
    network.losses(batch, WEIGHTS)
    real = frame_mask(pooled_lengths(LENGTHS, MODEL.pool), normed[0][0].shape[1]).squeeze(2)
    frames = (shared[0][-1] + private[0][-1])[real]
    assert len(frames) == 8 + 5 + 2 + 1 < real.numel()
    mean, variance = frames.mean(0), frames.var(0, correction=0)
    expected = (frames - mean) / torch.sqrt(variance + acoustic.norm.eps) * acoustic.norm.weight + acoustic.norm.bias
    torch.testing.assert_close(normed[0][-1][real], expected)
    torch.testing.assert_close(acoustic.norm.mean, 0.1 * mean)
    torch.testing.assert_close(acoustic.norm.variance, 0.9 + 0.1 * variance)


@pytest.mark.parametrize("method", ["dann", "dsn_slc", "dsn_dlc", "hffn_dsn_dlc"])
def test_an_adversary_hears_the_code_that_conditions_are_to_vanish_from(method):
    """The only code of DANN; of DSN the shared one, so that private encoders may keep what is the noise's own."""
    network, batch = build(method), make_batch()
    acoustic = network.acoustic
    code = spied(acoustic.shared if "dsn" in method else acoustic.single.encoder)
    similarity = network.losses(batch, WEIGHTS).terms["similarity_loss"]
    logits = acoustic.adversary.classifier(code[0][-1], LENGTHS)
    torch.testing.assert_close(similarity, F.cross_entropy(logits, batch.conditions))
    if "dsn" in method:
        for parameter in acoustic.private.parameters():
            nn.init.normal_(parameter)
        other = network.losses(batch, WEIGHTS).terms
        torch.testing.assert_close(other["similarity_loss"], similarity)
        similarity.backward()
        assert all(parameter.grad is None for parameter in acoustic.private.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_a_network_hears_the_noisy_features_of_the_encoder_of_its_condition(method):
    """Every encoder, in training and in the test."""
    network, batch = build(method), make_batch()
    encoders = [module for module in network.modules() if type(module).__name__ == "Encoder"]
    heard = [spied(encoder) for encoder in encoders]
    network.losses(batch, WEIGHTS)
    with torch.no_grad():
        network.classify(batch)
    rows = {len(encoders) - len(SIZES.condition_counts) + k: batch.conditions == k for k in range(3)}
    if len(encoders) == 1:
        rows = {}
    for place, calls in enumerate(heard):
        expected = batch.noisy[rows.get(place, slice(None))]
        assert calls
        assert all(torch.equal(frames, expected) for frames, *_ in calls)


@pytest.mark.parametrize("method", METHODS)
def test_terms_weigh_what_the_options_say(method):
    network = build(
        method,
        training=TrainingOptions(reconstruction_weight=0.5),
        adversary=AdversaryOptions(weight=0.3),
        maddog=MaddogOptions(weight=0.7),
        dsn=DsnOptions(reconstruction=0.2, similarity=0.4, difference=0.9),
    )
    found = network.losses(make_batch(), WEIGHTS)
    weights = {"task_loss": 1.0, "reconstruction_loss": 0.5}
    if method == "noise_classifier":
        del weights["reconstruction_loss"]
    elif method in ("dann", "maddog"):
        weights["similarity_loss"] = {"dann": 0.3, "maddog": 0.7}[method]
    elif "dsn" in method:
        weights |= {"reconstruction_loss": 0.2, "similarity_loss": 0.4, "difference_loss": 0.9}
    assert found.terms.keys() == weights.keys()
    assert all(value.abs() > 1e-3 for value in found.terms.values())
    torch.testing.assert_close(found.total, sum(weights[name] * value for name, value in found.terms.items()))


@pytest.mark.parametrize("clip", [0.02, 0.005])
def test_the_critic_is_within_its_bounds_at_every_batch_but_the_first(clip):
    network, batch = build("maddog", maddog=MaddogOptions(clip=clip, critic_batches=4)), make_batch()
    critic, largest = network.acoustic.trained_apart(), []

    def watched():
        while True:
            largest.append(max(parameter.abs().max().item() for parameter in critic.parameters()))
            yield batch

    network.acoustic.learn_apart(watched(), Adam(critic.parameters(), 0.5), nullcontext)
    largest.append(max(parameter.abs().max().item() for parameter in critic.parameters()))
    assert largest[0] > 0.1
    # steps of 0.5 take some weight to its bound
    assert largest[1:] == pytest.approx([clip] * 4)


def learn(folder, network, batch, size=100, staged=None, **training):
    """Train all stages of a network on a batch's utterances; return what is fitted, and each call of its losses."""
    seen = []
    losses = network.losses

    def watched(*args):
        modes = {module.training for name, module in network.named_modules() if name and module_learns(network, name)}
        strengths = {module.strength for module in network.modules() if isinstance(module, GradientReversal)}
        seen.append(SimpleNamespace(stage=args[2], modes=modes, strengths=strengths, grad=torch.is_grad_enabled()))
        return losses(*args)

    def make(rows):
        numbers = torch.unique(batch.dialogues[rows], return_inverse=True)[1]
        return Batch(*(None if values is None else values[rows] for values in batch))._replace(dialogues=numbers)

    network.losses = watched
    rows = np.arange(len(batch.targets))
    text = SimpleNamespace(dialogues=[str(name) for name in batch.dialogues.tolist()], turns=rows)
    data = SimpleNamespace(lengths=batch.lengths.numpy(), text=text)
    prepared = Prepared(
        network,
        Dealer("dialogues", data, batch.conditions.numpy(), size),
        FoldRows(FitName(0, "none"), rows, rows, rows),
        make,
        WEIGHTS,
        names=("objectives",),
        where="objectives",
    )
    options = Options(model=MODEL, training=TrainingOptions(device="cpu", **training), staged=staged or {})
    fitted, _ = train_stages(prepared, options, Checkpoint(folder / "fit.pt", "key"))
    return fitted, seen


def module_learns(network, name):
    """Tell whether a module is of what its stage trains: the branches of a staged HFFN stand still in its fusion."""
    return not getattr(network, "frozen", False) or name.startswith("fusion")


@pytest.mark.parametrize(("method", "staged"), WAYS)
def test_every_epoch_trains_in_training_mode_and_at_its_own_place_of_the_ramp(tmp_path, method, staged):
    network = build(method, adversary=AdversaryOptions(ramp_epochs=4), hffn="staged" if staged else "end_to_end")
    _, seen = learn(tmp_path, network, make_batch(), max_epochs=3, patience=3)
    for stage in network.stages:
        of_stage = [call for call in seen if call.stage == stage]
        # one batch to train on, one to validate on
        assert [call.grad for call in of_stage] == [True, False] * 3
        assert [call.modes for call in of_stage] == [{True}, {False}] * 3
        if "dann" in method or "dsn" in method:
            ramp = [reversal_ramp(epoch / 4) for epoch in range(3)]
            assert [call.strengths for call in of_stage] == [{strength} for strength in ramp for _ in range(2)]
            assert ramp[0] == 0 < ramp[1] < ramp[2]


def test_the_class_weights_of_a_fit_are_those_of_its_losses(tmp_path):
    network, batch = build("noise_classifier"), make_batch()
    before = copy.deepcopy(network)
    fitted, _ = learn(tmp_path, network, batch, max_epochs=1)
    (period,) = fitted.history
    # an epoch of one batch: the loss is from before its step, validation from after it
    for name, learnt in (("task_loss", before), ("val_loss", network)):
        logits, classes = learnt.eval().classify(batch), batch.targets.argmax(1)
        expected = (WEIGHTS[classes] * F.cross_entropy(logits, classes, reduction="none")).mean()
        assert period[name] == pytest.approx(expected.item())
    assert period["val_loss"] != pytest.approx(period["task_loss"])


def test_the_fusion_has_an_optimiser_a_batch_and_a_state_of_its_own(tmp_path, monkeypatch):
    """RMSprop over ten dialogues, where branches are trained as the options say."""
    made = []

    def recording(name, kind):
        return lambda parameters, rate: made.append((name, rate)) or kind(parameters, rate)

    for name, kind in OPTIMIZERS.items():
        monkeypatch.setitem(OPTIMIZERS, name, recording(name, kind))
    network = build("hffn_single", hffn="staged")
    options = {"optimizer": "adadelta", "learning_rate": 0.02, "max_epochs": 1}
    fitted, seen = learn(tmp_path, network, make_batch(), size=1, **options)
    assert made == [("adadelta", 0.02)] * 2 + [("rmsprop", 1e-3)]
    # two dialogues, each a batch of training and of validation, and all at once
    assert [call.stage for call in seen] == ["acoustic"] * 4 + ["lexical"] * 4 + ["fusion"] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fit.acoustic.pt", "fit.fusion.pt", "fit.lexical.pt"]
    assert fitted.history[0]["updates"] == 1


def test_stages_have_rates_epochs_and_batches_of_their_own_where_options_give_them(tmp_path, monkeypatch):
    made = []
    for name, kind in OPTIMIZERS.items():
        monkeypatch.setitem(
            OPTIMIZERS, name, lambda parameters, rate, kind=kind: made.append(rate) or kind(parameters, rate)
        )
    own = {"lexical_learning_rate": 0.04, "lexical_epochs": 3, "fusion_learning_rate": 0.08, "fusion_epochs": 2}
    network = build("hffn_single", hffn="staged")
    _, seen = learn(
        tmp_path, network, make_batch(), size=1, staged={**own, "fusion_dialogues": 1}, learning_rate=0.02, max_epochs=1
    )
    assert made == [0.02, 0.04, 0.08]
    # two dialogues, each a batch of training and of validation
    assert [call.stage for call in seen] == ["acoustic"] * 4 + ["lexical"] * 12 + ["fusion"] * 8


def test_the_critic_is_moved_by_the_optimiser_of_the_options(tmp_path, monkeypatch):
    made = []
    monkeypatch.setitem(OPTIMIZERS, "adam", lambda parameters, rate: made.append(rate) or Adam(parameters, rate))
    learn(tmp_path, build("maddog"), make_batch(), learning_rate=0.02, max_epochs=1)
    assert made == [0.02, 0.02]


ROWS = np.arange(60)
GROUPS = ROWS % 3
DATA = SimpleNamespace(
    lengths=20 + 7 * ROWS % 13,
    text=SimpleNamespace(dialogues=[f"d{row // 6}" for row in ROWS], turns=5 - ROWS % 6),
)


@pytest.mark.parametrize("kind", ["mixed", "homogeneous", "balanced", "dialogues"])
def test_a_dealer_deals_its_rows_as_its_kind_says(kind):
    dealer, rows = Dealer(kind, DATA, GROUPS, 9), ROWS[12:48]
    batches = dealer.train(rows, numpy_generator("dealt", 0))
    assert sorted(np.concatenate(batches).tolist()) == rows.tolist()
    groups = [np.bincount(GROUPS[batch], minlength=3).tolist() for batch in batches]
    if kind == "homogeneous":
        assert all(sum(count > 0 for count in counts) == 1 for counts in groups)
    elif kind == "balanced":
        assert groups == [[3, 3, 3]] * 4
    elif kind == "dialogues":
        # whole dialogues of six, turns in order
        assert [len(batch) for batch in batches] == [12] * 3
        assert all((np.diff(part) == -1).all() for batch in batches for part in np.split(batch, 2))
    else:
        assert [len(batch) for batch in batches] == [9] * 4
        assert any(counts != [3, 3, 3] for counts in groups)
    assert [batch.tolist() for batch in dealer.train(rows, numpy_generator("dealt", 0))] == [
        batch.tolist() for batch in batches
    ]
    assert [batch.tolist() for batch in dealer.train(rows, numpy_generator("dealt", 1))] != [
        batch.tolist() for batch in batches
    ]
    tested = dealer.test(rows)
    assert sorted(np.concatenate(tested).tolist()) == list(range(36))
    if kind == "dialogues":
        assert [rows[batch].tolist() for batch in tested] == [
            [*range(first + 5, first - 1, -1), *range(first + 11, first + 5, -1)] for first in (12, 24, 36)
        ]
    else:
        assert (np.diff(DATA.lengths[rows[np.concatenate(tested)]]) >= 0).all()
        assert [len(batch) for batch in tested] == [9] * 4


@pytest.mark.parametrize("method", [method for method in METHODS if method.startswith("hffn")])
def test_branches_that_stand_still_are_run_once_and_the_fusion_learns_the_same(tmp_path, monkeypatch, method):
    found, runs = [], []
    for again in (False, True):
        if again:
            monkeypatch.setattr("serflow.studies.dlc.learner.settled_maker", lambda *given: given[4])
        network = build(method, hffn="staged")
        encode = network.acoustic.encode
        count = []
        network.acoustic.encode = lambda batch, encode=encode, count=count: count.append(1) or encode(batch)
        own = {"lexical_epochs": 1, "fusion_epochs": 3, "fusion_dialogues": 1, "fusion_learning_rate": 0.05}
        fitted, _ = learn(tmp_path / str(again), network, make_batch(), size=1, staged=own, max_epochs=1)
        found.append(fitted)
        runs.append(len(count))
    once, always = found
    # two dialogues to train on and two to validate on: in each of three epochs, or all of them once
    assert runs[1] - runs[0] == 3 * 4 - 4
    assert len(once.history) == 3
    for one, other in zip(once.history, always.history, strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    for name, values in once.last.items():
        torch.testing.assert_close(values, always.last[name], rtol=1e-4, atol=1e-6)
