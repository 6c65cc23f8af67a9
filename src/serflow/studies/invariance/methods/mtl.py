"""SER_SR_MTL: emotion and speaker are learnt together (section 2.1)."""

from typing import TYPE_CHECKING

from serflow.studies.invariance.catalog import SystemInfo

if TYPE_CHECKING:
    from serflow.studies.invariance.losses import Batch
    from serflow.studies.invariance.network import SpeakerNetwork
    from serflow.studies.invariance.options import Options
    from serflow.training.fit import Losses

SYSTEM = SystemInfo(title="SER_SR_MTL", group="mtl")


def losses(network: "SpeakerNetwork", batch: "Batch", options: "Options") -> "Losses":
    """Return the emotion's loss and a share of the speaker's."""
    from serflow.studies.invariance.losses import emotion_loss, speaker_loss
    from serflow.training.fit import Losses

    embeddings = network.embed(batch.frames, batch.lengths, batch.n_valid)
    emotion = emotion_loss(network.emotion(embeddings), batch).mean()
    speaker = speaker_loss(network.name_speaker(embeddings), batch).mean()
    total = emotion + options.mtl.weight * speaker
    return Losses(total, {"emotion_loss": emotion, "speaker_loss": speaker}, len(batch.lengths))
