"""GE2E in the graph: mel partials to an embedding of each utterance, trained further (section 5.1)."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serflow.backbones._ge2e_network import GE2E
from serflow.backbones.base import load_network
from serflow.studies.multigating.batch import Partials


class SpeakerEncoder(nn.Module):
    """The mean of the embeddings of an utterance's partials, scaled to length 1 again, as the feature ``ge2e`` is.

    Parameters
    ----------
    network
        As `serflow.backbones.base.load_network` gives it.
    """

    def __init__(self, network: GE2E) -> None:
        super().__init__()
        self.network = network
        self.dim = network.linear.out_features

    def forward(self, partials: Partials, n_utterances: int) -> Tensor:
        """Return embeddings ``(n_utterances, dim)``; a mean and a sum have the same direction."""
        embeddings = self.network(partials.mels).to(partials.mels.dtype)
        utterances = torch.arange(n_utterances, device=partials.owners.device)
        owned = (utterances[:, None] == partials.owners).to(embeddings.dtype)
        with torch.autocast(embeddings.device.type, enabled=False):
            return F.normalize(owned @ embeddings, dim=1)


def load_speaker_encoder(weights: Path, device: torch.device, trained: bool) -> SpeakerEncoder:
    """Return GE2E with its released weights, frozen unless it is ``trained``.

    Raises
    ------
    WeightsError
        If the weights are not those of GE2E.
    """
    network = load_network("ge2e", weights, device.type, "all" if trained else "none")
    assert isinstance(network, GE2E)
    return SpeakerEncoder(network)
