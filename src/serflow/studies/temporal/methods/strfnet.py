"""STRFNet on engineered features (section 2.2), or on c of wav2vec as a control."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor

    from serflow.studies.temporal.catalog import SystemInfo
    from serflow.studies.temporal.data import Batch
    from serflow.studies.temporal.network import Network
    from serflow.studies.temporal.options import Options
    from serflow.studies.temporal.strfnet import StrfNet
    from serflow.training.fit import Losses


def build(
    info: "SystemInfo", options: "Options", n_classes: int, weights: "Path | None", device: "torch.device"
) -> "Network[StrfNet]":
    """Return the network of a row; ``weights`` are those of wav2vec, for the row that reads it."""
    from serflow.studies.temporal.network import Network, make_front_end, milliseconds
    from serflow.studies.temporal.strfnet import StrfNet

    front_end = make_front_end(info, options, weights, device)
    classifier = StrfNet(
        info.streams, options.strfnet, front_end.dim, milliseconds(front_end.hop), options.framing.kernel, n_classes
    )
    return Network(front_end, classifier).to(device)


def losses(network: "Network[StrfNet]", batch: "Batch", class_weights: "Tensor") -> "Losses":
    """Return the cross-entropy of utterances."""
    from serflow.studies.temporal.losses import utterance_losses

    return utterance_losses(classify(network, batch), batch.targets, class_weights)


def classify(network: "Network[StrfNet]", batch: "Batch") -> "Tensor":
    """Return logits ``(batch, classes)``."""
    frames, lengths = network.read(batch)
    logits: Tensor = network.classifier(frames, lengths, network.counted(batch))
    return logits


def parameter_groups(network: "Network[StrfNet]", options: "Options") -> list[dict[str, Any]]:
    """Return what is trained; see `serflow.studies.temporal.network.parameter_groups`."""
    from serflow.studies.temporal.network import parameter_groups as groups

    return groups(network, options)


def contexts(network: "Network[StrfNet]") -> list[float]:
    """Return the time that each stream of the first layer sees (ms)."""
    spans: list[float] = network.classifier.contexts(network.window_ms, network.hop_ms)
    return spans
