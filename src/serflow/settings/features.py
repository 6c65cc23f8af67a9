"""Features, the pretrained networks behind them, speech recognition, and how stores are written."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from serflow.backbones.base import backbone_names, releases
from serflow.plugins import plugin_names
from serflow.settings.base import DOWNLOAD, STAND_IN, Plain, Section, SettingError, unknown

TEXT_FEATURE = "bert_"
_NAME = r"^[a-z][a-z0-9_]*$"
_BACKBONES = ("ge2e", "byol", "wav2vec", "wav2vec2", "allosaurus", "deepspeech", "wav2vec2_ctc", "bert")
# networks of recognisers; `reference` needs none
RECOGNISERS = {"deepspeech": "deepspeech", "wav2vec2": "wav2vec2_ctc", "reference": None}
_LOG_MEL_30 = {
    "n_mels": 30,
    "n_fft": 1024,
    "win_length": 800,
    "hop_length": 200,
    "fmin": 0.0,
    "fmax": 8000.0,
    "floor": 1e-6,
}
_FEATURES: dict[str, dict[str, Any]] = {
    "mfb": {
        "n_mels": 40, "n_fft": 2048, "hop_length": 160, "preemphasis": 0.97, "fmin": 0.0, "fmax": 8000.0, "floor": 1e-6,
    },
    "mfcc": {
        "n_mfcc": 40, "n_mels": 128, "n_fft": 512, "win_length": 400, "hop_length": 160, "fmin": 0.0, "fmax": 8000.0,
        "cmvn": True,
    },
    "mfcc_kaldi": {
        "n_mfcc": 13, "n_mels": 23, "frame_length_ms": 25.0, "frame_shift_ms": 10.0, "low_hz": 20.0, "high_hz": 8000.0,
        "lifter": 22.0, "preemphasis": 0.97, "delta_order": 2, "delta_window": 2,
    },
    "energy_vad": {
        "threshold": 5.5, "mean_scale": 0.5, "context": 2, "proportion": 0.12, "frame_length_ms": 25.0,
        "frame_shift_ms": 10.0,
    },
    "spectrogram": {**_LOG_MEL_30, "warp": 0.0},
    "pitch_pulse": {"floor_hz": 75.0, "ceiling_hz": 600.0, **_LOG_MEL_30},
    "wav2vec": {"backbone": "wav2vec", "output": "context"},
    "wav2vec_encoder": {"extractor": "wav2vec", "backbone": "wav2vec", "output": "encoder"},
    "wav2vec2": {"backbone": "wav2vec2", "output": "hidden", "layer": -1},
    "ge2e": {"backbone": "ge2e", "output": "embedding"},
    "ge2e_partials": {"extractor": "ge2e", "backbone": "ge2e", "output": "partials"},
    "byol": {"backbone": "byol", "output": "vector", "standardise": "utterance"},
    "allosaurus": {"backbone": "allosaurus", "output": "blstm"},
}  # fmt: skip


class BackboneSettings(Section):
    """Where the weights of a pretrained network come from, and how it is run."""

    weights: str = Field(default=STAND_IN, min_length=1)
    release: str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"


class DeepSpeechSettings(Section):
    """DeepSpeech's library, fetched where None, and how it decodes; None is what the model or the scorer says."""

    engine: str | None = Field(default=None, min_length=1)
    beam_width: int | None = Field(default=None, ge=1)
    lm_alpha: float | None = None
    lm_beta: float | None = None

    @model_validator(mode="after")
    def _weights_in_pairs(self) -> "DeepSpeechSettings":
        if (self.lm_alpha is None) != (self.lm_beta is None):
            raise ValueError("lm_alpha and lm_beta belong together: give both, or neither for the scorer's own")
        return self


class TranscriptsSettings(Section):
    """Speech recognition."""

    deepspeech: DeepSpeechSettings = DeepSpeechSettings()


class StoresSettings(Section):
    """How feature stores are written."""

    mantissa_bits: int | None = Field(default=None, ge=1, le=23)


class Features(Section):
    """Features and networks, and what the rules ask of one by its name."""

    features: dict[Annotated[str, Field(pattern=_NAME)], dict[str, Plain]] = _FEATURES
    backbones: dict[str, BackboneSettings] = {name: BackboneSettings() for name in _BACKBONES} | {
        "ge2e": BackboneSettings(weights=DOWNLOAD)
    }
    transcripts: TranscriptsSettings = TranscriptsSettings()
    stores: StoresSettings = StoresSettings()

    @model_validator(mode="after")
    def _check_backbones(self) -> "Features":
        for name, backbone in self.backbones.items():
            if name not in backbone_names():
                raise SettingError("backbones", unknown(f"no backbone {name!r}", name, backbone_names()))
            known, release = list(releases(name)), backbone.release
            if release is not None and release not in known:
                raise SettingError(f"backbones.{name}.release", unknown(f"no release {release!r}", release, known))
        return self

    @model_validator(mode="after")
    def _check_features(self) -> "Features":
        for name in self.features:
            extractor, backbone, known = self.extractor(name), self.backbone(name), plugin_names("serflow.features")
            if extractor not in known:
                key = f"features.{name}.extractor" if "extractor" in self.features[name] else f"features.{name}"
                raise SettingError(key, unknown(f"no feature {extractor!r}", extractor, known))
            if name.startswith(TEXT_FEATURE):
                raise SettingError(f"features.{name}", f"names with {TEXT_FEATURE!r} are those of embedded transcripts")
            key = f"features.{name}.backbone"
            if backbone is not None and backbone in backbone_names("recogniser", "text"):
                raise SettingError(key, f"{backbone!r} gives no feature of audio")
            if backbone is not None and backbone not in self.backbones:
                raise SettingError(key, unknown(f"{backbone!r} is not in backbones", backbone, self.backbones))
        return self

    def extractor(self, feature: str) -> str:
        """Return the module that computes this feature: the one of its name, or of its ``extractor``."""
        return str(self.features[feature].get("extractor", feature))

    def backbone(self, feature: str) -> str | None:
        """Return the backbone that this feature needs, or None."""
        name = self.features[feature].get("backbone")
        return None if name is None else str(name)

    def parameters(self, feature: str) -> dict[str, Any]:
        """Return what the feature's module is built with."""
        return {key: value for key, value in self.features[feature].items() if key not in ("extractor", "backbone")}

    def recogniser_backbone(self, recogniser: str) -> str | None:
        """Return the network of a recogniser, or None for ``reference``."""
        return RECOGNISERS[recogniser]


def gpus_here(devices: Path = Path("/dev")) -> int:
    """Return how many GPUs this machine has, as CUDA's driver shows them; torch would take seconds to say."""
    return len([*devices.glob("nvidia[0-9]*")])
