"""The classifier of Figure 1 on c of wav2vec, or on log-mel frames as a control."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor

    from serflow.studies.temporal.catalog import SystemInfo
    from serflow.studies.temporal.data import Batch
    from serflow.studies.temporal.network import Network
    from serflow.studies.temporal.options import Options
    from serflow.studies.temporal.segment_net import Found, SegmentNet
    from serflow.training.fit import Losses


def build(
    info: "SystemInfo", options: "Options", n_classes: int, weights: "Path | None", device: "torch.device"
) -> "Network[SegmentNet]":
    """Return the network of a row; ``weights`` are those of wav2vec, for rows that read it."""
    from serflow.studies.temporal.network import Network, make_front_end
    from serflow.studies.temporal.segment_net import SegmentNet

    front_end = make_front_end(info, options, weights, device)
    return Network(front_end, SegmentNet(front_end.dim, options.segment_net, n_classes)).to(device)


def losses(network: "Network[SegmentNet]", batch: "Batch", class_weights: "Tensor") -> "Losses":
    """Return the cross-entropy of utterances, and that of their segments by each segment classifier."""
    from serflow.studies.temporal.losses import segment_net_losses

    found = find(network, batch)
    return segment_net_losses(found, network.classifier.segment_weight, batch.targets, class_weights)


def classify(network: "Network[SegmentNet]", batch: "Batch") -> "Tensor":
    """Return logits ``(batch, classes)``; segments are not classified."""
    frames, lengths = network.read(batch)
    logits: Tensor = network.classifier.classify(frames["spectrogram"], lengths)
    return logits


def find(network: "Network[SegmentNet]", batch: "Batch") -> "Found":
    """Return the logits of utterances and those of their segments."""
    frames, lengths = network.read(batch)
    found: Found = network.classifier(frames["spectrogram"], lengths)
    return found


def parameter_groups(network: "Network[SegmentNet]", options: "Options") -> list[dict[str, Any]]:
    """Return what is trained; see `serflow.studies.temporal.network.parameter_groups`."""
    from serflow.studies.temporal.network import parameter_groups as groups

    return groups(network, options)


def contexts(network: "Network[SegmentNet]") -> list[float]:
    """Return the time that a frame of the features sees (ms)."""
    return [network.window_ms]
