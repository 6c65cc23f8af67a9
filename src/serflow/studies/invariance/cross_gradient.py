"""Cross-gradient training: each task learns on inputs moved along the gradient of the other's loss (section 2.3)."""

from collections.abc import Callable

from torch import Tensor

from serflow.studies.invariance.losses import Batch, emotion_loss, input_gradient, speaker_loss
from serflow.studies.invariance.network import SpeakerNetwork, kept_statistics
from serflow.studies.invariance.options import Options
from serflow.training.fit import Losses


def cross_gradient(
    network: SpeakerNetwork,
    batch: Batch,
    options: Options,
    direction: Callable[[Tensor, Tensor, int | None], Tensor],
) -> Losses:
    """Return Eq. 4: the losses on X, and those of the emotion on X^s and of the speaker on X^y.

    Three passes, each with dropout of its own; batch normalisation keeps the running statistics of the first, on the
    inputs as they are. ``speaker_move`` and ``emotion_move`` among the terms say how far inputs were moved along either
    task's gradient: the root mean square over the values of the frames that there are.

    Parameters
    ----------
    network, batch, options
        As in every system.
    direction
        From an input gradient ``(batch, frames, dim)``, the lengths and their sum (None where the host does not know
        it) to what is added, times epsilon.
    """
    cgt = options.cgt
    frames = batch.frames.detach().requires_grad_()
    embeddings = network.embed(frames, batch.lengths, batch.n_valid)
    emotion = emotion_loss(network.emotion(embeddings), batch)
    speaker = speaker_loss(network.name_speaker(embeddings), batch)
    along_speaker, along_emotion = (
        cgt.epsilon * direction(input_gradient(loss, frames, cgt.clip), batch.lengths, batch.n_valid)
        for loss in (speaker, emotion)
    )
    with kept_statistics(network):
        by_speaker = network.embed(batch.frames + along_speaker, batch.lengths, batch.n_valid)
        moved_emotion = emotion_loss(network.emotion(by_speaker), batch)
        by_emotion = network.embed(batch.frames + along_emotion, batch.lengths, batch.n_valid)
        moved_speaker = speaker_loss(network.name_speaker(by_emotion), batch)
    terms = {
        "emotion_loss": emotion.mean(),
        "speaker_loss": speaker.mean(),
        "moved_emotion_loss": moved_emotion.mean(),
        "moved_speaker_loss": moved_speaker.mean(),
        "speaker_move": _rms(along_speaker, batch.lengths),
        "emotion_move": _rms(along_emotion, batch.lengths),
    }
    clean = terms["emotion_loss"] + terms["speaker_loss"]
    moved = terms["moved_emotion_loss"] + terms["moved_speaker_loss"]
    return Losses((1 - cgt.alpha) * clean + cgt.alpha * moved, terms, len(batch.lengths))


def _rms(moves: Tensor, lengths: Tensor) -> Tensor:
    """Return the root mean square of moves ``(batch, frames, dim)``, which are zero on padded frames."""
    return (moves.square().sum() / (lengths.sum() * moves.shape[2])).sqrt()
