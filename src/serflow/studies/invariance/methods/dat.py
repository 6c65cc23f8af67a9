"""SER_SR_DAT: the speaker classifier stands behind a gradient reversal (section 2.2, Eq. 1).

The classifier itself learns to name speakers, with the loss as it is; the embedding network gets the negative of what
comes back, times the strength of the reversal, which is the lambda of Eq. 1.
"""

from typing import TYPE_CHECKING

from serflow.studies.invariance.catalog import SystemInfo

if TYPE_CHECKING:
    from serflow.studies.invariance.losses import Batch
    from serflow.studies.invariance.network import SpeakerNetwork
    from serflow.studies.invariance.options import Options
    from serflow.training.fit import Losses

SYSTEM = SystemInfo(title="SER_SR_DAT", group="dat")


def start(network: "SpeakerNetwork", progress: float, options: "Options") -> dict[str, float]:
    """Set the reversal's strength for an epoch; ``progress`` is its share of the training, 0 to 1."""
    from serflow.nn.adversarial import reversal_ramp

    share = reversal_ramp(progress) if options.dat.schedule == "ramp" else 1.0
    network.reversal.strength = share * options.dat.strength
    return {"reversal": network.reversal.strength}


def losses(network: "SpeakerNetwork", batch: "Batch", options: "Options") -> "Losses":
    """Return the losses of emotion and speaker; the reversal turns the speaker's around below its classifier."""
    from serflow.studies.invariance.losses import emotion_loss, speaker_loss
    from serflow.training.fit import Losses

    embeddings = network.embed(batch.frames, batch.lengths, batch.n_valid)
    emotion = emotion_loss(network.emotion(embeddings), batch).mean()
    speaker = speaker_loss(network.name_speaker(embeddings, reverse=True), batch).mean()
    return Losses(emotion + speaker, {"emotion_loss": emotion, "speaker_loss": speaker}, len(batch.lengths))
