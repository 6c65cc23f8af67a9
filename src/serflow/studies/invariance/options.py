"""What a fit is trained with: the keys below ``invariance`` in ``config.yaml`` that its result depends on."""

from typing import Annotated, Literal

from pydantic import Field

from serflow.settings.base import Distinct, Positive, Section

Emotions = Annotated[tuple[str, ...], Field(min_length=2), Distinct]


class ModelOptions(Section):
    """Sizes of the network (Table 1).

    ``tdnn`` are the time-delay layers, each as units, kernel (frames) and dilation (frames); ``lstm`` the units a
    direction; ``fc`` those of the dense layer before pooling; ``head`` those of both hidden layers of the emotion and
    of the speaker classifier. ``dropout_mask`` says whether all frames of an ``utterance`` lose the same values to
    dropout, or each ``frame`` its own.
    """

    tdnn: tuple[tuple[Positive, Positive, Positive], ...] = Field(default=((128, 5, 2), (64, 3, 4)), min_length=1)
    lstm: int = Field(default=64, ge=1)
    fc: int = Field(default=256, ge=1)
    head: int = Field(default=64, ge=1)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    dropout_mask: Literal["utterance", "frame"] = "utterance"


class TrainingOptions(Section):
    """How networks are trained (section 3.2)."""

    learning_rate: float = Field(default=1e-3, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    batch_size: int = Field(default=32, ge=2)
    epochs: int = Field(default=100, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"


class MtlOptions(Section):
    """Multi-task learning: the weight of the speaker's loss."""

    weight: float = Field(default=0.3, ge=0)


class DatOptions(Section):
    """Domain adversarial training: the strength of the gradient reversal (lambda), and how it comes to it."""

    strength: float = Field(default=0.3, ge=0)
    schedule: Literal["ramp", "constant"] = "ramp"


class CgtOptions(Section):
    """Cross-gradient training: the step along the input gradient, the share of perturbed inputs, the bound of a value.

    ``clip`` bounds each element of the gradient (null for no bound), which then is ``epsilon`` times added.
    """

    epsilon: float = Field(default=0.5, ge=0)
    alpha: float = Field(default=0.5, ge=0, le=1)
    clip: float | None = Field(default=0.1, gt=0)


class Options(Section):
    """All that a fit is trained with.

    ``cmvn`` says by what frames are normalised; ``style`` which recordings of IEMOCAP are used; ``emotions`` which
    words of another corpus, null for all that it has; ``speakers`` how many speakers are trained on, null for all.
    ``folds_used`` is ``first`` where one fold has to do, as in a search.
    """

    cmvn: Literal["train_global", "utterance", "none"] = "train_global"
    style: Literal["improvised", "all"] = "improvised"
    emotions: Emotions | None = None
    speakers: int | None = Field(default=None, ge=2)
    folds_used: Literal["all", "first"] = "all"
    model: ModelOptions = ModelOptions()
    training: TrainingOptions = TrainingOptions()
    mtl: MtlOptions = MtlOptions()
    dat: DatOptions = DatOptions()
    cgt: CgtOptions = CgtOptions()
