"""The study's section of ``config.yaml``: what its tables are made of; and what the paper says of each setting.

Trainings see `Options` alone, so a change of anything else here trains nothing again.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from serflow.settings.base import Distinct, Run, Section, SettingError
from serflow.settings.data import Data
from serflow.studies.departures import Open, Paper, Stated
from serflow.studies.speakernorm.options import Options

Folds = Literal["dialogue_fold", "speaker_fold", "session_fold", "utterance_fold"]
Runs = Annotated[list[Run], Field(min_length=1), Distinct]
Betas = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1), Distinct]


class StandIn(Section):
    """What synthetic corpora get instead."""

    runs: Runs = Field(default=[0])
    epochs: int = Field(default=14, ge=1)
    batch_size: int = Field(default=4, ge=1)
    accumulate: int = Field(default=1, ge=1)
    eval_updates: int = Field(default=42, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    ctc_reduction: Literal["sum", "mean"] = "mean"


class Speakernorm(Options):
    """The tables and figures of the speaker-normalisation paper."""

    corpus: str = "iemocap"
    folds: Annotated[list[Folds], Field(min_length=1), Distinct] = Field(default=["dialogue_fold", "speaker_fold"])
    betas: Betas = Field(default=[1.0, 0.1])
    controls: Annotated[list[Literal["chance", "majority"]], Distinct] = Field(default=[])
    runs: Runs = Field(default=[0])
    stand_in: StandIn = StandIn()

    @model_validator(mode="after")
    def _what_rows_set(self) -> "Speakernorm":
        """Refuse what is set by the row: it would change some rows, and be lost on the others."""
        if self.speaker.direction != "reverse":
            raise SettingError("speaker.direction", "is set by the rows; leave it out")
        if self.speaker.beta != 0:
            raise SettingError("speaker.beta", "is set by betas; leave it out")
        return self

    def check(self, data: Data) -> None:
        """Hold the section against those of the data.

        Raises
        ------
        SettingError
            If it names what they do not have, or words of IEMOCAP, whose classes are the paper's.
        """
        data.check_corpus("speakernorm", self.corpus, self.emotions)


PAPER: Paper = {
    # rows, and what is no setting of what is measured
    **dict.fromkeys(["corpus", "folds", "betas", "controls", "runs", "probe"]),
    "speaker.direction": None,
    "speaker.beta": None,
    # IV-A; which folds are compared is said by the headings
    "emotions": Open("emotions", None),
    "tested": Stated("folds tested", "first"),
    "held_out": Open("utterances of training held out", 0.1),
    "watch": Stated("evaluated in training", "test"),
    # III
    "pool": Open("pooling", "mean"),
    "fine_tune": Open("part of wav2vec 2.0 that is trained", "all"),
    "alpha": Stated("alpha", 0.1),
    "ctc.reduction": Open("reduction of CTC", "sum"),
    "ctc.zero_infinity": Open("CTC leaves out transcripts longer than their frames", False),
    "speaker.scale_head": Stated("beta scales the speaker head", True),
    "speaker.schedule": Stated("schedule of the reversal", "constant"),
    # Table I
    "training.learning_rate": Stated("learning rate", 5e-5),
    "training.betas": Stated("betas of AdamW", [0.9, 0.999]),
    # the paper prints 10^8, which cannot be meant
    "training.epsilon": Stated("epsilon of AdamW", 1e-8),
    "training.weight_decay": Open("weight decay", 0.0),
    "training.warmup": Stated("warm-up", 0.1),
    "training.clip_norm": Open("bound of the gradients' norm", 1.0),
    "training.batch_size": Open("batch size before accumulation", 2),
    "training.accumulate": Open("batches of an update", 4),
    "training.epochs": Stated("epochs", 100),
    "training.eval_updates": Open("updates between evaluations", 500),
    "training.bucketing": Open("batches of similar length", False),
    "training.checkpointing": None,
    "training.precision": Open("precision", "fp32"),
    "training.device": None,
}
"""What the paper says of each option of a cell, in its order; see `serflow.studies.departures`."""
