"""Features of an utterance, encoded, what languages share, and towers that name its emotion (Figures 1 and 2)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serflow.studies.multigating.architecture import Gate, Transitions, read_gates
from serflow.studies.multigating.batch import Batch, Said
from serflow.studies.multigating.contrastive import ContrastiveLoss
from serflow.studies.multigating.encoders import sequence_encoder
from serflow.studies.multigating.options import Options
from serflow.studies.multigating.sharing import Gated, Sharing, Widths
from serflow.studies.multigating.speaker_encoder import load_speaker_encoder
from serflow.studies.multigating.towers import LanguageTowers, UnionTower
from serflow.training.fit import Losses

Classes = Mapping[str, tuple[str, ...]]


class FeatureEncoders(nn.Module):
    """A vector of each feature: frames encoded, GE2E in the graph or as it is, BYOL as it is.

    Parameters
    ----------
    dims
        Values of a frame of each sequence feature, and of BYOL; of GE2E where its embeddings are read as released.
    options
        Which features are read, and sizes.
    weights
        Those of GE2E; None where it is not trained further.
    device
        Where GE2E is loaded to.
    """

    def __init__(self, dims: Mapping[str, int], options: Options, weights: Path | None, device: torch.device) -> None:
        super().__init__()
        self.features = options.features
        self.sequences = nn.ModuleDict()
        self.speaker = None
        self.widths: dict[str, int] = {}
        for feature in options.features:
            if feature == "byol" or (feature == "ge2e" and feature in dims):
                self.widths[feature] = dims[feature]
            elif feature == "ge2e":
                if weights is None:
                    raise ValueError("the network trains ge2e further, and there are no weights")
                self.speaker = load_speaker_encoder(weights, device, options.training.ge2e_learning_rate > 0)
                self.widths[feature] = self.speaker.dim
            else:
                encoder = sequence_encoder(feature, dims[feature], options.encoder)
                self.sequences[feature] = encoder
                self.widths[feature] = encoder.dim

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return ``(batch, width)`` of each feature, in the order of the options.

        Raises
        ------
        ValueError
            If the batch lacks a feature.
        """
        return {feature: self._encode(feature, batch) for feature in self.features}

    def _encode(self, feature: str, batch: Batch) -> Tensor:
        stored = {"byol": batch.byol, "ge2e": batch.ge2e}.get(feature)
        if stored is not None:
            return stored
        if self.speaker is not None and feature == "ge2e" and batch.partials is not None:
            embeddings: Tensor = self.speaker(batch.partials, len(batch.targets))
            return embeddings
        if feature in batch.sequences:
            encoded: Tensor = self.sequences[feature](batch.sequences[feature])
            return encoded
        raise ValueError(f"the network reads {feature}, which the batch does not have")


class Network(nn.Module):
    """Encoders, what languages share, and towers.

    Parameters
    ----------
    encoders
        Features to vectors.
    sharing
        Vectors to what a tower reads.
    towers
        One a language, or one for all.
    contrastive
        The contrastive loss, whose w and b are learnt along; None for none.
    """

    def __init__(
        self,
        encoders: FeatureEncoders,
        sharing: Sharing,
        towers: LanguageTowers | UnionTower,
        contrastive: ContrastiveLoss | None,
    ) -> None:
        super().__init__()
        self.encoders = encoders
        self.sharing = sharing
        self.towers = towers
        self.contrastive = contrastive

    @property
    def classes(self) -> Classes:
        """What the logits are of, by language: its own classes, or those of all languages (Base)."""
        return self.towers.classes

    @property
    def gated(self) -> tuple[str, ...]:
        """Features that gates weigh, in the order of `Said.gates`; none where there is no gate."""
        return self.sharing.features if isinstance(self.sharing, Gated) else ()

    def forward(self, batch: Batch) -> Said:
        """Return what the network says of utterances; logits and representations in single precision at least."""
        shared = self.sharing(self.encoders(batch), batch.language)
        logits = self.towers(shared.representation, batch.language)
        return Said(_single(logits), _single(shared.representation), shared.gates)

    def transitions(self, language: str) -> Transitions | None:
        """Return the searched transitions of a language; None where nothing is searched."""
        if not isinstance(self.sharing, Gated) or self.sharing.transitions is None:
            return None
        found = self.sharing.transitions[language]
        assert isinstance(found, Transitions)
        return found

    def architecture(self) -> dict[str, list[Gate]]:
        """Return the gates of each language's architecture; nothing where none is searched."""
        searched = {language: self.transitions(language) for language in self.classes}
        return {name: read_gates(found, self.gated) for name, found in searched.items() if found is not None}


def _single(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def build_network(
    dims: Mapping[str, int],
    classes: Classes,
    options: Options,
    weights: Path | None,
    device: torch.device,
    share: Callable[[Widths], Sharing],
    towers: type[LanguageTowers] | type[UnionTower] = LanguageTowers,
) -> Network:
    """Return a network of a system.

    Encoders are drawn first: with one seed those of all systems are the same.

    Parameters
    ----------
    dims
        Values of a frame of each sequence feature, and of BYOL, as found in the stores.
    classes
        By language.
    options
        All else.
    weights
        Those of GE2E; None where it is not read.
    device
        Where the network goes.
    share
        From the width of each feature to what languages share.
    towers
        One a language, or one for all.
    """
    encoders = FeatureEncoders(dims, options, weights, device)
    sharing = share(encoders.widths)
    contrastive = ContrastiveLoss(options.contrastive) if options.aux else None
    return Network(encoders, sharing, towers(sharing.dim, classes, options), contrastive).to(device)


def losses(network: Network, batch: Batch, options: Options) -> Losses:
    """Return the loss of a batch (Eq. 6): cross-entropy, the contrastive loss, and the expected open gates.

    Terms are ``emotion_loss`` and, where there are such, ``contrastive_loss`` and ``open_gates``, none of them weighed.
    """
    said = network(batch)
    emotion = F.cross_entropy(said.logits, network.towers.place(batch.targets, batch.language))
    total, terms = emotion, {"emotion_loss": emotion}
    if network.contrastive is not None:
        terms["contrastive_loss"] = network.contrastive(said.representation, batch.targets)
        total = total + options.languages[batch.language].alpha * terms["contrastive_loss"]
    if (transitions := network.transitions(batch.language)) is not None:
        terms["open_gates"] = transitions.gates.open_probability().sum()
        total = total + options.nas.l0 * terms["open_gates"]
    return Losses(total, terms, len(batch.targets))


def parameter_groups(network: Network, options: Options) -> list[dict[str, Any]]:
    """Return the groups for the optimiser: what is trained, GE2E apart with its own learning rate."""
    speaker = [] if network.encoders.speaker is None else list(network.encoders.speaker.parameters())
    apart = {id(parameter) for parameter in speaker}
    groups = [
        {
            "params": [parameter for parameter in network.parameters() if id(parameter) not in apart],
            "lr": options.training.learning_rate,
        },
        {
            "params": [parameter for parameter in speaker if parameter.requires_grad],
            "lr": options.training.ge2e_learning_rate,
        },
    ]
    return [group for group in groups if group["params"]]
