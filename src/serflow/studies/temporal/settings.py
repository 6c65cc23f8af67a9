"""The study's section of ``config.yaml``: what its tables are made of; and what the paper says of each setting.

Trainings see `Options` alone, so a change of anything else here trains nothing again.
"""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from serflow.settings.base import Distinct, Run, Section, SettingError, unknown
from serflow.settings.data import Data
from serflow.studies.departures import Open, Paper, Stated
from serflow.studies.temporal.catalog import ENGINEERED
from serflow.studies.temporal.options import Options, SegmentNetOptions

Control = Literal[
    "one_segment_twice", "segment_net_on_mel", "strfnet_on_wav2vec", "context_layers", "svc", "chance", "majority"
]
FINE_TUNED = ("all", "context", "encoder", "none")

Runs = Annotated[list[Run], Field(min_length=1), Distinct]
Counts = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), Distinct]


class StandIn(Section):
    """What synthetic corpora get instead; ``context_layers`` are those of a small wav2vec."""

    runs: Runs = Field(default=[0])
    folds_used: int = Field(default=2, ge=1)
    epochs: int = Field(default=3, ge=1)
    batch_size: int = Field(default=16, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0)
    crop_s: float = Field(default=1.0, gt=0)
    kernels: int = Field(default=4, ge=1)
    channels: int = Field(default=8, ge=1)
    maps: int = Field(default=32, ge=1)
    lstm_layers: int = Field(default=1, ge=1)
    context_layers: Counts = Field(default=[1, 2])


class Temporal(Options):
    """The tables and figures of the temporal-context paper."""

    corpus: str = "iemocap"
    features: Annotated[list[str], Field(min_length=1), Distinct] = Field(default=list(ENGINEERED))
    folds: Literal["last_session", "leave_session", "in_turn", "speaker"] = "last_session"
    tested: int = Field(default=8, ge=2)
    segments: Counts = Field(default=[0, 1, 2, 3, 4])
    best_segments: int = Field(default=2, ge=1)
    controls: Annotated[list[Control], Distinct] = Field(default=[])
    context_layers: Counts = Field(default=[1, 4, 8])
    runs: Runs = Field(default=[0])
    stand_in: StandIn = StandIn()

    @field_validator("features")
    @classmethod
    def _features_there_are(cls, features: list[str]) -> list[str]:
        for position, name in enumerate(features):
            if name not in ENGINEERED:
                raise SettingError(str(position), unknown(f"no row of features {name!r}", name, ENGINEERED))
        return features

    @model_validator(mode="after")
    def _what_rows_set(self) -> "Temporal":
        """Refuse what is set by the row: it would change some rows, and be lost on the others."""
        own, default = self.segment_net, SegmentNetOptions()
        by = {"segments": "segments", "fine_tune": "the rows of Table 2", "context_layers": "context_layers"}
        for key, by_key in by.items():
            if getattr(own, key) != getattr(default, key):
                raise SettingError(f"segment_net.{key}", f"is set by {by_key}; leave it out")
        if self.warped:
            raise SettingError("warped", "is set by the columns of Table 1; leave it out")
        return self

    def check(self, data: Data) -> None:
        """Hold the section against those of the data.

        Raises
        ------
        SettingError
            If it names what they do not have, or words of IEMOCAP, whose classes are the paper's.
        """
        data.check_corpus("temporal", self.corpus, self.emotions)


PAPER: Paper = {
    # rows, and what is no setting of what is measured
    **dict.fromkeys(["corpus", "features", "segments", "best_segments", "controls", "runs"]),
    "warped": None,
    "segment_net.segments": None,
    "segment_net.fine_tune": None,
    "segment_net.context_layers": None,
    "segment_net.segment_weight": Open("weight of a segment classifier", 1.0),
    # 3.1
    "emotions": Open("emotions", None),
    "folds": Stated("folds", "last_session"),
    "folds_used": Stated("folds used", None),
    # 2.1
    "framing.window_ms": Open("window of the spectrogram (ms)", 50.0),
    "framing.hop_ms": Open("hop of the spectrogram (ms)", 12.5),
    "framing.kernel": Open("kernel of the first layer", 3),
    "framing.n_mels": Stated("mel bands", 30),
    "framing.floor": Open("power added to mel bands", 1e-6),
    "augment.crop_s": Stated("crop (s)", 3.0),
    "augment.gain_db": Open("gain (dB)", [-40.0, 0.0]),
    "augment.warp": Stated("warping", 0.15),
    "augment.spec_augment.time_masks": Open("time masks of SpecAugment", 2),
    "augment.spec_augment.time_width": Open("frames of a time mask", 20),
    "augment.spec_augment.band_masks": Open("band masks of SpecAugment", 1),
    "augment.spec_augment.band_width": Open("bands of a mask", 4),
    "pulses.floor_hz": Open("lowest pitch (Hz)", 75.0),
    "pulses.ceiling_hz": Open("highest pitch (Hz)", 600.0),
    # 2.2
    "strfnet.kernels": Open("receptive fields", 32),
    "strfnet.support_ms": Stated("support of receptive fields (ms)", 200.0),
    "strfnet.support_bands": Open("support of receptive fields (bands)", 9),
    "strfnet.channels": Open("channels of residual blocks", 32),
    "strfnet.embedding": Open("units of frames and GRU", 256),
    "strfnet.attention": Open("units of self-attention", 256),
    "strfnet.hidden": Open("units of the MLP", 256),
    "segment_net.maps": Stated("maps of the CNN block", 512),
    "segment_net.kernels": Stated("kernels of the CNN block", [4, 4, 3, 3]),
    "segment_net.strides": Stated("strides of the CNN block", [2, 2, 1, 1]),
    "segment_net.lstm": Stated("units of the BiLSTM", 256),
    "segment_net.lstm_layers": Stated("layers of the BiLSTM", 5),
    "segment_net.hidden": Stated("units of position-wise layers", 512),
    # 3.2
    "test": Open("test", "full"),
    "training.learning_rate": Stated("learning rate", 1e-4),
    "training.batch_size": Stated("batch size", 64),
    "training.epochs": Open("epochs", 100),
    "training.plateau_factor": Open("factor of the learning rate on a plateau", 0.5),
    "training.plateau_patience": Open("epochs of a plateau", 5),
    "training.patience": Open("epochs without gain", 15),
    "training.precision": Open("precision", "fp32"),
    "training.device": None,
    "training.graphs": None,
}
"""What the paper says of each option of a cell, in its order; see `serflow.studies.departures`."""
