"""DeepSpeech 0.9.3, Mozilla's speech recogniser (after Hannun et al., 2014), run by its own library.

The library, ``libdeepspeech.so``, takes the published models and the stand-in alike; the stage ``fetch_deepspeech``
gets it. It runs on Linux x86_64, on the CPU.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serflow.audio.waveform import FloatArray, check_waveform
from serflow.backbones._deepspeech_engine import VERSION, WEIGHTS_KEY, Model
from serflow.backbones.base import Release, Transcript
from serflow.errors import AudioError, ConfigError, WeightsError

KIND = "recogniser"
NO_NETWORK = "its own library runs it and gives no gradients"
WEIGHTS = "file or folder"
RELEASES = (
    Release(
        name="0.9.3",
        address="https://github.com/mozilla/DeepSpeech/releases/download/v0.9.3/deepspeech-0.9.3-models.pbmm",
        digest=None,
        size=None,
        licence="MPL-2.0",
        trained_on="English: Fisher, LibriSpeech, Switchboard, Common Voice, WAMU (release notes of 0.9.3)",
    ),
    Release(
        name="0.9.3-scorer",
        address="https://github.com/mozilla/DeepSpeech/releases/download/v0.9.3/deepspeech-0.9.3-models.scorer",
        digest=None,
        size=None,
        licence="MPL-2.0",
        trained_on="normalised LibriSpeech texts; goes into one folder with the .pbmm",
    ),
)
STAND_IN_TRAINED_ON = (
    "synthetic speech (Praat): 38 sentences of the English stand-in corpora, 14 speakers of its own, clean and in noise"
)

_STAND_IN_BEAM_WIDTH = 32
_SELF_TEST_S = 0.5
_SELF_TEST_LEVEL = 100


def write_stand_in(folder: Path, seed: int) -> Path:
    """Train a small acoustic model on synthetic speech (about a minute) and write it as a ``.pbmm``; without a scorer.

    Raises
    ------
    MissingDependencyError
        If Praat is not installed, which speaks what it is trained on.
    """
    from serflow.backbones._deepspeech_graph import map_pb, write_pb
    from serflow.backbones._deepspeech_training import train_stand_in

    path = folder / "stand-in.pbmm"
    path.write_bytes(map_pb(write_pb(train_stand_in(seed), _STAND_IN_BEAM_WIDTH)))
    return path


def load(
    path: Path,
    device: str,
    precision: str,
    *,
    engine: str | Path,
    beam_width: int | None = None,
    lm_alpha: float | None = None,
    lm_beta: float | None = None,
) -> "DeepSpeech":
    """Load a model and try it on half a second of noise.

    Parameters
    ----------
    path
        A ``.pbmm`` or ``.pb``, or a folder with one of them and at most one ``.scorer``.
    device, precision
        ``cpu`` or ``auto``, and ``fp32``; the library has nothing else.
    engine
        The library, ``libdeepspeech.so``.
    beam_width
        Prefixes that the decoder keeps; None for the model's own.
    lm_alpha, lm_beta
        Weight of the language model and of the number of words; None for the scorer's own.

    Raises
    ------
    ConfigError
        If a device, a precision or an option is not to be had.
    WeightsError
        If the library or a file of the model is absent, damaged, or of another kind, or the model fails at the noise.
    """
    if device == "cuda":
        raise ConfigError(
            "backbones.deepspeech.device: DeepSpeech's library runs on the CPU only; set it to auto or cpu"
        )
    if precision != "fp32":
        raise ConfigError(f"backbones.deepspeech.precision: DeepSpeech's library has no {precision}; set it to fp32")
    graph, scorer = _find_files(path)
    model = Model(Path(engine), graph, scorer, alpha=lm_alpha, beta=lm_beta, beam_width=beam_width)
    generator = np.random.default_rng(0)
    n_samples = round(_SELF_TEST_S * model.sample_rate)
    model.decode(generator.normal(0, _SELF_TEST_LEVEL, n_samples).astype(np.int16))
    description = {
        "engine": f"DeepSpeech {VERSION}",
        "beam_width": model.beam_width,
        "language_model": scorer is not None,
        "lm_alpha": lm_alpha,
        "lm_beta": lm_beta,
        "confidence": "natural logarithm of the probability of the text, summed over the alignments in the beam"
        + (", plus the weighted score of the language model" if scorer is not None else ""),
    }
    return DeepSpeech(model, description)


class DeepSpeech:
    """A model that is loaded: waveforms in, words out; see `serflow.backbones.base.Recogniser`."""

    def __init__(self, model: Model, description: Mapping[str, Any]) -> None:
        self._model = model
        self.sample_rate = model.sample_rate
        self.description = description

    def transcribe(self, waveforms: Sequence[FloatArray]) -> list[Transcript]:
        """Recognise utterances one by one, as 16-bit samples, clipped where they exceed full scale.

        Raises
        ------
        AudioError
            If a waveform is not one channel of finite float32, or is empty.
        WeightsError
            If the library fails.
        """
        return [self._transcribe(waveform) for waveform in waveforms]

    def _transcribe(self, waveform: FloatArray) -> Transcript:
        check_waveform(waveform)
        if not np.isfinite(waveform).all():
            raise AudioError("a waveform with values that are not finite; read audio through the prepared-audio shards")
        pcm16 = np.clip(np.rint(waveform * np.float32(32768)), -32768, 32767).astype(np.int16)
        decoded = self._model.decode(pcm16)
        return Transcript(" ".join(decoded.text.lower().split()), decoded.confidence)


def _find_files(path: Path) -> tuple[Path, Path | None]:
    """Return the acoustic model and the language model, if there is one."""
    if path.is_dir():
        graphs = sorted(file for file in path.iterdir() if file.suffix in (".pbmm", ".pb"))
        scorers = sorted(path.glob("*.scorer"))
        if len(graphs) != 1 or len(scorers) > 1:
            raise WeightsError(
                f"{path}: {len(graphs)} files .pbmm or .pb and {len(scorers)} .scorer, where one and at most one are "
                f"needed; set {WEIGHTS_KEY} to a folder with those alone, or to the .pbmm"
            )
        return graphs[0], scorers[0] if scorers else None
    if not path.is_file():
        raise WeightsError(
            f"{path}: no file or folder there; set {WEIGHTS_KEY} to a .pbmm, a folder with one, or stand-in"
        )
    if path.suffix not in (".pbmm", ".pb"):
        raise WeightsError(
            f"{path}: not a .pbmm or .pb, which are what DeepSpeech's library for Linux reads (no .tflite; a .scorer "
            f"goes into the folder of its .pbmm); set {WEIGHTS_KEY} to one, or to a folder with one"
        )
    return path, None
