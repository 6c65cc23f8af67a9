"""The study's section of ``config.yaml``: what its tables are made of; and what the paper says of each setting.

Trainings see `Options` alone, so a change of anything else here trains nothing again.
"""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from serflow.settings.base import Distinct, Run, Section, SettingError, unknown
from serflow.settings.data import Data
from serflow.studies.departures import Open, Paper, Stated
from serflow.studies.invariance.catalog import system_info, system_names
from serflow.studies.invariance.options import Emotions, ModelOptions, Options

CONTROLS = ("cgt_random", "svc", "chance", "majority")
TRAINED_CONTROLS = ("cgt_random", "svc")
MANDARIN = "mandarin"
MANDARIN_EMOTIONS = ("anger", "happiness", "sadness", "surprise")
"""Section 3.1: the set has laughing and cry as well, which Table 3 leaves out."""

Runs = Annotated[list[Run], Field(min_length=1), Distinct]
SpeakerCounts = Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=1), Distinct]
Weights = Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1), Distinct]


class ManySpeakers(Section):
    """Table 3: the corpus of many speakers, who is trained and tested on it, and the larger network.

    Without ``emotions`` they are the paper's four of the Mandarin set, and all words of another corpus.
    """

    corpus: str = MANDARIN
    emotions: Emotions | None = None
    split: Literal["speaker80", "speaker"] = "speaker80"
    draw: int = Field(default=0, ge=0)
    runs: Runs = Field(default=[0, 1, 2])
    model: ModelOptions = ModelOptions(tdnn=((128, 5, 2), (128, 3, 4)), lstm=128, fc=512, head=128)

    def words(self) -> tuple[str, ...] | None:
        """Return the emotions that are kept, None for all."""
        return MANDARIN_EMOTIONS if self.emotions is None and self.corpus == MANDARIN else self.emotions


class Search(Section):
    """What the search tries on the validation speakers of one fold: values that the paper does not give."""

    mtl_weight: Weights = Field(default=[0.1, 0.3, 1.0])
    dat_strength: Weights = Field(default=[0.1, 0.3, 1.0])
    cgt_epsilon: Weights = Field(default=[0.1, 0.5, 2.0, 10.0, 50.0, 500.0])
    run: Run = 0


class StandIn(Section):
    """What synthetic corpora get instead; ``many_epochs`` are those on the many-speaker corpus, of more utterances."""

    runs: Runs = Field(default=[0])
    epochs: int = Field(default=12, ge=1)
    many_epochs: int = Field(default=6, ge=1)
    batch_size: int = Field(default=8, ge=2)
    learning_rate: float = Field(default=1e-2, gt=0)
    speaker_counts: SpeakerCounts = Field(default=[8, 16])


class Invariance(Options):
    """The tables and figures of the speaker-invariance paper."""

    corpus: str = "iemocap"
    systems: Annotated[list[str], Field(min_length=1), Distinct] = Field(default=["ser_only", "mtl", "dat", "cgt"])
    controls: Annotated[list[Literal["cgt_random", "svc", "chance", "majority"]], Distinct] = Field(default=[])
    held_out: Literal["session", "pair", "other_session", "other_pair"] = "session"
    validates: Literal["F", "M", "both"] = "F"
    runs: Runs = Field(default=[0, 1, 2, 3, 4])
    many_speakers: ManySpeakers = ManySpeakers()
    speaker_counts: SpeakerCounts = Field(default=[8, 16, 32, 64])
    search: Search = Search()
    stand_in: StandIn = StandIn()

    @field_validator("systems")
    @classmethod
    def _systems_there_are(cls, systems: list[str]) -> list[str]:
        known = [name for name in system_names() if name not in TRAINED_CONTROLS]
        for position, name in enumerate(systems):
            if name not in known:
                raise SettingError(str(position), unknown(f"no system {name!r}", name, known))
        return systems

    def trained_systems(self) -> list[str]:
        """Return the systems that are trained, controls among them."""
        return [*self.systems, *(name for name in self.controls if name in TRAINED_CONTROLS)]

    def networks(self) -> list[str]:
        """Return the systems that are networks: those that a probe can read."""
        return [name for name in self.trained_systems() if system_info(name).network]

    def check(self, data: Data) -> None:
        """Hold the section against those of the data.

        Raises
        ------
        SettingError
            If it names what they do not have, one corpus twice, or words of IEMOCAP, whose classes are the paper's.
        """
        data.check_corpus("invariance", self.corpus, self.emotions)
        data.check_corpus("invariance.many_speakers", self.many_speakers.corpus, self.many_speakers.emotions)
        if self.corpus == self.many_speakers.corpus:
            raise SettingError(
                "invariance.many_speakers.corpus", f"is {self.corpus}, as invariance.corpus is; take another one"
            )


PAPER: Paper = {
    # rows and runs, which the tables show; what the stand-ins get stands in the options that it replaces
    **dict.fromkeys(["corpus", "systems", "controls", "runs", "many_speakers.corpus", "many_speakers.runs"]),
    # 3.1
    "style": Stated("recordings of IEMOCAP", "improvised"),
    "emotions": Open("emotions", None),
    "held_out": Stated("held out", "session"),
    "validates": Open("speakers who validate", "F"),
    "many_speakers.emotions": Stated("emotions", list(MANDARIN_EMOTIONS)),
    "many_speakers.split": Stated("split of the many speakers", "speaker80"),
    "many_speakers.draw": Open("draw of the split", 0),
    "speakers": Stated("speakers of training", None),
    "folds_used": Stated("folds", "all"),
    "features.mfcc_kaldi.n_mfcc": Stated("MFCC", 13),
    "features.mfcc_kaldi.delta_order": Stated("order of deltas", 2),
    "features.mfcc_kaldi.n_mels": Open("mel bands of MFCC", 23),
    "features.mfcc_kaldi.frame_length_ms": Open("window of MFCC (ms)", 25.0),
    "features.mfcc_kaldi.frame_shift_ms": Open("shift of MFCC (ms)", 10.0),
    "features.mfcc_kaldi.low_hz": Open("lowest frequency of MFCC (Hz)", 20.0),
    "features.mfcc_kaldi.high_hz": Open("highest frequency of MFCC (Hz)", 8000.0),
    "features.mfcc_kaldi.lifter": Open("lifter of MFCC", 22.0),
    "features.mfcc_kaldi.preemphasis": Open("pre-emphasis of MFCC", 0.97),
    "features.mfcc_kaldi.delta_window": Open("window of deltas", 2),
    "features.energy_vad.threshold": Open("threshold of the VAD", 5.5),
    "features.energy_vad.mean_scale": Open("mean scale of the VAD", 0.5),
    "features.energy_vad.context": Open("context of the VAD", 2),
    "features.energy_vad.proportion": Open("proportion of the VAD", 0.12),
    "features.energy_vad.frame_length_ms": Open("window of the VAD (ms)", 25.0),
    "features.energy_vad.frame_shift_ms": Open("shift of the VAD (ms)", 10.0),
    "stores.mantissa_bits": Open("bits of the features' mantissas", None),
    "cmvn": Open("normalisation", "train_global"),
    # 3.2; sizes are held against Table 1 of the corpus
    "model.tdnn": None,
    "model.lstm": None,
    "model.fc": None,
    "model.head": None,
    "model.dropout": Stated("dropout", 0.5),
    "model.dropout_mask": Open("mask of dropout", "utterance"),
    "training.learning_rate": Stated("learning rate", 1e-3),
    "training.momentum": Stated("Nesterov momentum", 0.9),
    "training.batch_size": Open("batch size", 32),
    "training.epochs": Stated("epochs", 100),
    "training.precision": Open("precision", "fp32"),
    "training.device": None,
    # 2.2 and 2.3
    "mtl.weight": Open("MTL's weight of the speaker's loss", 0.3),
    "dat.strength": Open("DAT's lambda", 0.3),
    "dat.schedule": Open("DAT's schedule of lambda", "ramp"),
    "cgt.epsilon": Open("CGT's epsilon", 0.5),
    "cgt.alpha": Open("CGT's alpha", 0.5),
    "cgt.clip": Open("bound of CGT's gradients", 0.1),
}
"""What the paper says of each option of a cell, in its order; see `serflow.studies.departures`."""
