"""Heads, pooling and padding of the speaker-normalisation paper's network, and its joint loss."""

import math
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from serflow.backbones._wav2vec2_files import PREPROCESSOR
from serflow.backbones._wav2vec2_network import Wav2Vec2
from serflow.studies.speakernorm.losses import Batch, ctc_loss, joint_losses
from serflow.studies.speakernorm.network import Found, SpeakerNormNetwork, mean_over_time
from serflow.studies.speakernorm.options import CtcOptions, Options

N_CLASSES, N_SYMBOLS, N_SPEAKERS = 4, 6, 3
LENGTHS = (4_000, 2_500, 3_100)
QUIET = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "feat_proj_dropout": 0.0, "layerdrop": 0.0,
         "activation_dropout": 0.0, "final_dropout": 0.0, "apply_spec_augment": False}  # fmt: skip
SIZES = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 12, "num_hidden_layers": 2,
         "conv_dim": (4,) * 7, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}  # fmt: skip
pytestmark = pytest.mark.usefixtures("float64")


def options(**changes):
    return Options.model_validate(changes)


def backbone(**changes):
    """Return a small wav2vec 2.0 whose first layer normalises over time, as the base models' does."""
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    config = Wav2Vec2Config(**{**SIZES, **QUIET, **changes})
    torch.manual_seed(1)
    return Wav2Vec2(Wav2Vec2Model(config), PREPROCESSOR).double()


def network(own, n_speakers=N_SPEAKERS, **changes):
    torch.manual_seed(0)
    found = SpeakerNormNetwork(backbone(**changes), own, N_CLASSES, N_SYMBOLS, n_speakers).double()
    # as they are drawn, heads hardly tell one vector from another
    for head in (found.emotion, found.symbols, found.speaker):
        if head is not None:
            torch.nn.init.normal_(head.weight)
    return found


def batch_of(rows=(0, 1, 2)):
    generator = np.random.default_rng(5)
    waveforms = [torch.from_numpy(generator.normal(0, 0.1, n)) for n in LENGTHS]
    spelt = [[1, 2, 2], [3, 4], [5, 1, 3]]
    return Batch(
        torch.nn.utils.rnn.pad_sequence([waveforms[row] for row in rows], batch_first=True),
        torch.tensor([LENGTHS[row] for row in rows]),
        torch.eye(N_CLASSES)[[0, 3, 1]][list(rows)],
        torch.tensor([symbol for row in rows for symbol in spelt[row]]),
        torch.tensor([len(spelt[row]) for row in rows]),
        torch.tensor([2, 0, 1])[list(rows)],
    )


def outputs(net, batch):
    found = net(batch.waveforms, batch.n_samples)
    return [
        (found.emotion[i], found.symbols[i, : found.n_frames[i]], found.speaker[i], found.pooled[i])
        for i in range(len(batch.n_samples))
    ]


def gradients(net, losses):
    net.zero_grad()
    losses.backward()
    return {name: parameter.grad.clone() for name, parameter in net.named_parameters() if parameter.grad is not None}


# Pooling and padding


def test_the_mean_is_over_the_frames_that_count():
    frames = torch.arange(12.0).reshape(2, 3, 2)
    found = mean_over_time(frames, torch.tensor([2, 3]))
    torch.testing.assert_close(found, torch.tensor([[1.0, 2.0], [8.0, 9.0]]))


def test_with_the_masked_mean_an_utterance_is_what_it_is_alone():
    net = network(options(pool="masked_mean")).eval()
    together = outputs(net, batch_of())
    for row, found in enumerate(together):
        (alone,) = outputs(net, batch_of((row,)))
        for ours, expected in zip(found, alone, strict=True):
            torch.testing.assert_close(ours, expected)


def test_with_the_plain_mean_zeros_are_run_as_speech_and_stand_in_the_mean_and_the_alignment():
    net = network(options()).eval()
    batch = batch_of()
    found = net(batch.waveforms, batch.n_samples)
    assert found.n_frames.tolist() == [found.symbols.shape[1]] * 3
    frames = net.backbone(batch.waveforms, batch.n_samples, mask_padding=False)
    torch.testing.assert_close(found.pooled, frames.mean(1))
    torch.testing.assert_close(found.emotion, net.emotion(frames.mean(1)))
    torch.testing.assert_close(found.symbols, net.symbols(frames))
    alone = net(batch.waveforms[1:2, : LENGTHS[1]], batch.n_samples[1:2])
    assert (alone.pooled - found.pooled[1]).abs().max() > 1e-3


def test_alone_or_in_a_batch_without_padding_both_means_agree():
    batch = batch_of((0,))
    plain, masked = (network(options(pool=pool)).eval() for pool in ("mean", "masked_mean"))
    for one, other in zip(outputs(plain, batch)[0], outputs(masked, batch)[0], strict=True):
        torch.testing.assert_close(one, other)


def test_a_masked_mean_batch_and_utterances_one_by_one_have_the_same_gradients():
    """CTC is summed: a batch of three weighs it three times as much as three batches of one that are averaged."""
    own = options(pool="masked_mean", speaker={"beta": 0.7})
    net = network(own)
    batch = batch_of()
    together = gradients(net, joint_losses(net(batch.waveforms, batch.n_samples), batch, own, 0).total)
    heavier = own.model_copy(update={"alpha": 3 * own.alpha})
    ones = []
    for row in range(3):
        one = batch_of((row,))
        ones.append(joint_losses(net(one.waveforms, one.n_samples), one, heavier, 0).total)
    apart = gradients(net, sum(ones) / 3)
    assert together.keys() == apart.keys()
    for name, gradient in together.items():
        torch.testing.assert_close(gradient, apart[name], rtol=1e-8, atol=1e-10)


def test_rows_alone_are_what_transformers_gives_them():
    net = backbone().eval()
    batch = batch_of()
    found = net(batch.waveforms, batch.n_samples, alone=True)
    for row, n in enumerate(net.n_frames(batch.n_samples).tolist()):
        torch.testing.assert_close(found[row, :n], net(batch.waveforms[row : row + 1, : LENGTHS[row]])[0])
    with pytest.raises(ValueError, match="where their lengths are known and padding is masked"):
        net(batch.waveforms, alone=True)


def test_checkpointing_changes_no_gradient_with_dropout_and_masks():
    own = options(pool="masked_mean", speaker={"beta": 1.0})
    noisy = {**dict.fromkeys(QUIET, 0.2), "layerdrop": 0.3, "apply_spec_augment": True, "mask_time_length": 2}
    batch, found = batch_of(), []
    for on in (False, True):
        net = network(own, **noisy)
        net.backbone.checkpoint_gradients(on)
        torch.manual_seed(3)
        found.append(gradients(net, joint_losses(net(batch.waveforms, batch.n_samples), batch, own, 0).total))
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name])


@pytest.mark.parametrize(("on", "times"), [(True, 2), (False, 1)])
def test_checkpointing_runs_each_layer_again_for_its_gradients(on, times):
    own = options()
    net, batch, runs = network(own), batch_of(), []
    net.backbone.checkpoint_gradients(not on)
    net.backbone.checkpoint_gradients(on)
    net.backbone.model.encoder.layers[1].attention.register_forward_hook(lambda *_: runs.append(1))
    joint_losses(net.train()(batch.waveforms, batch.n_samples), batch, own, 0).total.backward()
    assert len(runs) == times


def test_utterances_shorter_than_the_masks_of_training_are_padded():
    net = network(options(), apply_spec_augment=True, mask_time_prob=0.05, mask_time_length=10)
    n_samples = torch.tensor([1_000])
    found = net.train()(torch.randn(1, 1_000), n_samples)
    assert found.symbols.shape[1] == net.backbone.n_frames(torch.tensor(net.backbone.shortest)) == 10
    assert net.eval()(torch.randn(1, 1_000), n_samples).symbols.shape[1] == 2


# The speaker head


@pytest.mark.parametrize(
    ("speaker", "strength", "scale"),
    [
        ({"direction": "reverse", "beta": 0.3}, 1.0, -0.3),
        ({"direction": "forward", "beta": 0.3}, 1.0, 0.3),
        ({"direction": "reverse", "beta": 0.3}, 0.5, -0.15),
        ({"direction": "reverse", "beta": 0.3, "scale_head": False}, 1.0, -0.3),
        ({"direction": "forward", "beta": 0.3, "scale_head": False}, 0.5, 0.15),
    ],
)
def test_the_gradient_of_the_speaker_reaches_the_backbone_reversed_and_scaled(speaker, strength, scale):
    own = options(alpha=0.0, speaker=speaker)
    net, batch = network(own), batch_of()
    net.set_progress(own, strength)

    def of(total):
        return gradients(net, total)

    found = net(batch.waveforms, batch.n_samples)
    joint = of(joint_losses(found, batch, own, 0).total)
    found = net(batch.waveforms, batch.n_samples)
    emotion = of(F.cross_entropy(found.emotion, batch.targets))
    found = net(batch.waveforms, batch.n_samples)
    plain = of(F.cross_entropy(net.speaker(found.pooled), batch.speakers))
    for name, gradient in joint.items():
        if name.startswith("backbone"):
            torch.testing.assert_close(gradient, emotion[name] + scale * plain[name])
    head = 1.0 if speaker.get("scale_head") is False else 0.3
    torch.testing.assert_close(joint["speaker.weight"], head * plain["speaker.weight"])


def test_the_baseline_has_no_speaker_head_and_else_begins_as_the_others():
    own = options()

    def drawn(seed, n_speakers):
        frames = backbone()
        torch.manual_seed(seed)
        return SpeakerNormNetwork(frames, own, N_CLASSES, N_SYMBOLS, n_speakers)

    with_head, without = drawn(1, 3), drawn(1, None)
    assert without.speaker is None
    for name, value in without.state_dict().items():
        assert torch.equal(value, with_head.state_dict()[name]), name
    assert not torch.equal(drawn(2, 3).emotion.weight, with_head.emotion.weight)
    batch = batch_of()
    found = without.double()(batch.waveforms, batch.n_samples)
    assert found.speaker is None
    assert set(joint_losses(found, batch, own, 0).terms) == {"emotion_loss", "ctc_loss"}


def test_heads_are_drawn_as_transformers_draws_them():
    net = SpeakerNormNetwork(backbone(hidden_size=512), options(), 40, 40, 40)
    for head in (net.emotion, net.symbols, net.speaker):
        assert float(head.weight.detach().std()) == pytest.approx(0.02, rel=0.1)
        assert not head.bias.any()


# The joint loss


def probability_of(log_probabilities, symbols, blank):
    """Return the probability of a transcript, by all paths through the frames."""
    n_frames, n_symbols = log_probabilities.shape
    total = 0.0
    for path in product(range(n_symbols), repeat=n_frames):
        said = [symbol for at, symbol in enumerate(path) if at == 0 or symbol != path[at - 1]]
        if [symbol for symbol in said if symbol != blank] == symbols:
            total += math.exp(sum(float(log_probabilities[at, symbol]) for at, symbol in enumerate(path)))
    return total


@pytest.mark.parametrize("blank", [0, 2])
def test_ctc_is_minus_the_logarithm_of_all_paths_summed_over_the_batch(blank):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 3, generator=generator)
    others = [symbol for symbol in range(3) if symbol != blank]
    spelt = [[others[0], others[0]], [others[1]]]
    batch = batch_of()._replace(symbols=torch.tensor([*spelt[0], *spelt[1]]), n_symbols=torch.tensor([2, 1]))
    n_frames = torch.tensor([4, 2])
    each = [
        -math.log(probability_of(logits[row, :n].log_softmax(1), spelt[row], blank)) for row, n in enumerate([4, 2])
    ]
    found = ctc_loss(logits, n_frames, batch, CtcOptions(), blank)
    assert float(found) == pytest.approx(sum(each), rel=1e-10)
    found = ctc_loss(logits, n_frames, batch, CtcOptions(reduction="mean"), blank)
    assert float(found) == pytest.approx((each[0] / 2 + each[1] / 1) / 2, rel=1e-10)


def test_a_transcript_longer_than_its_frames_is_infinite_or_left_out():
    logits = torch.zeros(2, 4, 3)
    batch = batch_of()._replace(symbols=torch.tensor([1, 1, 1, 2]), n_symbols=torch.tensor([3, 1]))
    n_frames = torch.tensor([4, 4])
    assert ctc_loss(logits, n_frames, batch, CtcOptions(), 0).isinf()
    found = ctc_loss(logits, n_frames, batch, CtcOptions(zero_infinity=True), 0)
    assert float(found) == pytest.approx(-math.log(probability_of(logits[1].log_softmax(1), [2], 0)))


def test_the_joint_loss_is_emotion_plus_alpha_ctc_plus_beta_speaker():
    batch = batch_of()
    generator = torch.Generator().manual_seed(2)
    emotion, symbols, speaker = (torch.randn(*shape, generator=generator) for shape in ((3, 4), (3, 9, 6), (3, 3)))
    n_frames = torch.tensor([9, 7, 8])
    found = Found(emotion, symbols, n_frames, speaker, emotion)
    own = options(alpha=0.1, speaker={"beta": 0.25})
    of_emotion = -np.mean([float(emotion[row].log_softmax(0)[target]) for row, target in enumerate([0, 3, 1])])
    of_speaker = -np.mean([float(speaker[row].log_softmax(0)[target]) for row, target in enumerate([2, 0, 1])])
    of_ctc = float(ctc_loss(symbols, n_frames, batch, own.ctc, 0))
    losses = joint_losses(found, batch, own, 0)
    assert float(losses.total) == pytest.approx(of_emotion + 0.1 * of_ctc + 0.25 * of_speaker, rel=1e-12)
    assert {name: float(value) for name, value in losses.terms.items()} == pytest.approx(
        {"emotion_loss": of_emotion, "ctc_loss": of_ctc, "speaker_loss": of_speaker}
    )
    assert losses.n == 3
    unscaled = options(alpha=0.1, speaker={"beta": 0.25, "scale_head": False})
    assert float(joint_losses(found, batch, unscaled, 0).total) == pytest.approx(of_emotion + 0.1 * of_ctc + of_speaker)
