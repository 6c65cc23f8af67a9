"""Allosaurus's network (Li et al., ICASSP 2020): bidirectional LSTM layers and a layer of phones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from serflow.audio.waveform import FloatArray, check_waveform
from serflow.backbones._allosaurus_frontend import FrontEnd, FrontEndOptions
from serflow.backbones._checkpoint import read_checkpoint, weights_error
from serflow.backbones._pretrained import PretrainedNetwork
from serflow.backbones.base import Output
from serflow.devices import autocast
from serflow.errors import SerflowError
from serflow.files import read_json
from serflow.nn.recurrent import run_layers

_BATCH = 16
_GPU_BATCH = 128


class Allosaurus(PretrainedNetwork):
    """BLSTM layers, then phones; the names of the layers are those of the release.

    Parameters
    ----------
    n_features
        Columns of the input.
    hidden
        Units of a layer in each direction.
    n_layers
        Number of layers.
    n_phones
        Number of phones, with the blank.
    """

    def __init__(self, n_features: int, hidden: int, n_layers: int, n_phones: int) -> None:
        super().__init__()
        self.blstm_layer = nn.LSTM(n_features, hidden, n_layers, bidirectional=True, batch_first=True)
        self.phone_layer = nn.Linear(2 * hidden, n_phones)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return states ``(batch, frames, 2 * hidden)`` and logits of phones of padded input.

        ``frames`` is ``(batch, frames, n_features)``, longest first, ``lengths`` ``(batch,)`` on the CPU.
        """
        if frames.device.type == "cpu":
            padded = run_layers(self.blstm_layer, frames, lengths)
        else:
            states, _ = self.blstm_layer(pack_padded_sequence(frames, lengths, batch_first=True))
            padded, _ = pad_packed_sequence(states, batch_first=True)
        return padded, self.phone_layer(padded)


def _read_config(folder: Path, name: str, needed: Sequence[str]) -> Mapping[str, Any]:
    path = folder / name
    try:
        content = read_json(path)
    except SerflowError as error:
        raise weights_error(path, "allosaurus", f"cannot be read as JSON ({error})") from error
    missing = [key for key in needed if not isinstance(content, Mapping) or key not in content]
    if missing:
        raise weights_error(path, "allosaurus", f"has no entry {missing[0]}")
    assert isinstance(content, Mapping)
    return content


def read_model(folder: Path) -> tuple[FrontEnd, Allosaurus]:
    """Read a released model's folder: front end and network, frozen.

    Raises
    ------
    WeightsError
        If a file is missing or is not what the release has.
    """
    if not folder.is_dir():
        raise weights_error(folder, "allosaurus", "is no folder with pm_config.json, am_config.json and model.pt")
    front = FrontEnd(
        FrontEndOptions.read(folder / "pm_config.json", _read_config(folder, "pm_config.json", ("model",)))
    )
    config = _read_config(folder, "am_config.json", ("model", "hidden_size", "layer_size", "phone_size"))
    if config["model"] != "allosaurus":
        raise weights_error(folder / "am_config.json", "allosaurus", f"is for {config['model']}, not allosaurus")
    network = Allosaurus(front.dim, config["hidden_size"], config["layer_size"], config["phone_size"])
    read_checkpoint(folder / "model.pt", "allosaurus").load_into(network)
    return front, network.eval().requires_grad_(False)


class AllosaurusBackbone:
    """Allosaurus over utterances; see `Backbone`. Outputs: ``blstm`` (states of the last layer), ``phones`` (logits).

    Utterances of all lengths share batches, those of similar lengths together; padding changes no result.
    """

    def __init__(self, front: FrontEnd, network: Allosaurus, device: torch.device, precision: str) -> None:
        self.front = front
        self.network = network.to(device)
        self.device = device
        self.sample_rate = front.options.sample_rate
        lstm = network.blstm_layer
        self.outputs: Mapping[str, Output] = {
            "blstm": Output("frames", 2 * lstm.hidden_size, front.hop_s, "activation"),
            "phones": Output("frames", network.phone_layer.out_features, front.hop_s, "logit"),
        }
        self.description: Mapping[str, Any] = {
            "network": "Allosaurus",
            "blstm_layers": lstm.num_layers,
            "blstm_units": lstm.hidden_size,
            "phones": network.phone_layer.out_features,
            "sample_rate": self.sample_rate,
        }
        self._autocast = autocast(device, precision)
        self._batch = _BATCH if device.type == "cpu" else _GPU_BATCH

    def __call__(self, waveforms: Sequence[FloatArray], output: str) -> list[FloatArray]:
        """Return ``(n_frames, dim)`` of each utterance at the model's rate; see `Backbone`."""
        for waveform in waveforms:
            check_waveform(waveform)
        frames = [self.front(waveform) for waveform in waveforms]
        longest_first = sorted(range(len(frames)), key=lambda row: -len(frames[row]))
        results: dict[int, FloatArray] = {}
        for start in range(0, len(longest_first), self._batch):
            rows = longest_first[start : start + self._batch]
            for row, result in zip(rows, self._run([frames[row] for row in rows], output), strict=True):
                results[row] = np.array(result[: len(frames[row])])
        return [results[row] for row in range(len(frames))]

    @torch.inference_mode()
    def _run(self, frames: list[FloatArray], output: str) -> FloatArray:
        lengths = torch.tensor([len(each) for each in frames])
        padded = pad_sequence([torch.from_numpy(each) for each in frames], batch_first=True)
        with self._autocast():
            states, phones = self.network(padded.to(self.device), lengths)
        found: FloatArray = (states if output == "blstm" else phones).float().cpu().numpy()
        return found
