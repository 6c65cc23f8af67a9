"""SER_only: the embedding network and the emotion classifier alone."""

from typing import TYPE_CHECKING

from serflow.studies.invariance.catalog import SystemInfo

if TYPE_CHECKING:
    from serflow.studies.invariance.losses import Batch
    from serflow.studies.invariance.network import SpeakerNetwork
    from serflow.studies.invariance.options import Options
    from serflow.training.fit import Losses

SYSTEM = SystemInfo(title="SER_only", names_speakers=False)


def losses(network: "SpeakerNetwork", batch: "Batch", options: "Options") -> "Losses":
    """Return the emotion's loss."""
    from serflow.studies.invariance.losses import emotion_loss
    from serflow.training.fit import Losses

    emotion = emotion_loss(network.emotion(network.embed(batch.frames, batch.lengths, batch.n_valid)), batch).mean()
    return Losses(emotion, {"emotion_loss": emotion}, len(batch.lengths))
