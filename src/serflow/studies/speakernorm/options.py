"""What a fit is trained with: the keys below ``speakernorm`` in ``config.yaml`` that its result depends on."""

from typing import Annotated, Literal

from pydantic import Field

from serflow.settings.base import Distinct, Section


class CtcOptions(Section):
    """The loss of the ASR head.

    ``sum`` adds up a batch, as transformers does unless it is told otherwise; ``mean`` divides each by the symbols of
    its transcript and averages. ``zero_infinity`` leaves out transcripts that are longer than their frames.
    """

    reduction: Literal["sum", "mean"] = "sum"
    zero_infinity: bool = False


class SpeakerOptions(Section):
    """The speaker head: its ``direction`` and beta.

    With ``scale_head`` beta weighs the whole loss, as in the paper; without, the head learns at its full rate, and only
    what reaches the backbone is scaled. ``ramp`` raises the strength of the gradient from 0 to 1 (Ganin et al., 2016).
    """

    direction: Literal["reverse", "forward"] = "reverse"
    beta: float = Field(default=0.0, ge=0)
    scale_head: bool = True
    schedule: Literal["constant", "ramp"] = "constant"


class TrainingOptions(Section):
    """How the network is trained; an update takes ``accumulate`` batches, an evaluation follows ``eval_updates``.

    ``bucketing`` deals utterances of similar length to a batch. ``checkpointing`` runs layers of the transformer twice
    and saves memory, with the same result.
    """

    learning_rate: float = Field(default=5e-5, gt=0)
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    epsilon: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)
    batch_size: int = Field(default=2, ge=1)
    accumulate: int = Field(default=4, ge=1)
    epochs: int = Field(default=100, ge=1)
    eval_updates: int = Field(default=500, ge=1)
    bucketing: bool = False
    checkpointing: bool = True
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"


class Options(Section):
    """All that a fit is trained with.

    ``emotions`` are the words of another corpus than IEMOCAP that are kept, null for all; ``tested`` says whether the
    first fold is tested or all in turn; ``held_out`` is the share of each training speaker's utterances that is not
    trained on, where speakers of the test are not those of training, and ``watch`` what is evaluated on the way: the
    test fold itself, or these. ``pool`` is the mean over time, padding included, or over an utterance's own frames;
    ``fine_tune`` the part of the backbone that is trained.
    """

    emotions: Annotated[tuple[str, ...], Field(min_length=2), Distinct] | None = None
    tested: Literal["first", "all"] = "first"
    held_out: float = Field(default=0.1, gt=0, lt=1)
    watch: Literal["test", "held_out"] = "test"
    pool: Literal["mean", "masked_mean"] = "mean"
    fine_tune: Literal["all", "context"] = "all"
    alpha: float = Field(default=0.1, ge=0)
    ctc: CtcOptions = CtcOptions()
    speaker: SpeakerOptions = SpeakerOptions()
    probe: bool = True
    training: TrainingOptions = TrainingOptions()
