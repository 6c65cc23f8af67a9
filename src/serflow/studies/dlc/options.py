"""What a fit is trained with: the keys below ``dlc`` in ``config.yaml`` that its result depends on."""

from typing import Literal

from pydantic import Field

from serflow.settings.base import Positive, Section

# strides of the decoder's two transposed convolutions that undo the encoder's pooling
DECODER_STRIDES = {1: (1, 1), 2: (2, 1), 4: (2, 2)}


class ModelOptions(Section):
    """Sizes of the networks (section IV-A.1): ``kernel``, ``dilations`` and ``pool`` in frames.

    ``readout`` makes an utterance's code one vector: the maximum of each map over time, or its mean and deviation.
    """

    maps: int = Field(default=128, ge=1)
    kernel: int = Field(default=16, ge=1)
    dilations: tuple[Positive, ...] = Field(default=(1, 2, 4), min_length=1)
    pool: Literal[1, 2, 4] = 4
    readout: Literal["max", "mean_std"] = "max"
    hidden: int = Field(default=128, ge=1)
    instance_norm: bool = False
    dropout: float = Field(default=0.0, ge=0, lt=1)


class TrainingOptions(Section):
    """How networks are trained (section V).

    ``fused`` trains the fits of a cell as one network, where a method says that it can be: ``always``, ``never``;
    ``auto`` is ``never`` as yet. ``graphs`` replays steps as CUDA graphs: ``on``, ``off``; ``auto`` is ``off`` as yet.
    """

    optimizer: Literal["adam", "adadelta"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0)
    batch_size: int = Field(default=32, ge=1)
    max_epochs: int = Field(default=1000, ge=1)
    patience: int = Field(default=10, ge=1)
    reconstruction_weight: float = Field(default=1.0, ge=0)
    class_weights: bool = True
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    graphs: Literal["auto", "on", "off"] = "auto"
    fused: Literal["auto", "always", "never"] = "auto"


class AdversaryOptions(Section):
    """The adversary behind a gradient reversal, in DANN and DSN: its weight in DANN, and the epochs of the ramp."""

    weight: float = Field(default=1.0, ge=0)
    ramp_epochs: int = Field(default=10, ge=1)


class MaddogOptions(Section):
    """MADDoG's critic: its weight for the encoder, batches it learns at the start of an epoch, bound of its weights."""

    weight: float = Field(default=0.1, ge=0)
    critic_batches: int = Field(default=5, ge=1)
    clip: float = Field(default=0.01, gt=0)


class DsnOptions(Section):
    """Weights of DSN's losses (the paper's alpha, gamma, delta), and the code that the emotion is read from.

    ``task_code`` is ``shared`` (the paper) or ``combined``, the normalised sum of shared and private code (the code).
    """

    reconstruction: float = Field(default=0.01, ge=0)
    similarity: float = Field(default=0.25, ge=0)
    difference: float = Field(default=0.075, ge=0)
    task_code: Literal["shared", "combined"] = "shared"


class StagedOptions(Section):
    """How HFFN is trained where it is trained in stages.

    Branches are trained as other methods are; ``lexical_learning_rate`` and ``lexical_epochs`` are the lexical
    branch's own where they are not None. The fusion follows the authors' code: RMSprop, and ten dialogues a batch.
    """

    lexical_learning_rate: float | None = Field(default=None, gt=0)
    lexical_epochs: int | None = Field(default=None, ge=1)
    fusion_learning_rate: float = Field(default=1e-3, gt=0)
    fusion_epochs: int | None = Field(default=None, ge=1)
    fusion_dialogues: int = Field(default=10, ge=1)


class Options(Section):
    """All that a fit is trained with."""

    iemocap_labels: Literal["merged", "hap_only"] = "merged"
    hffn: Literal["end_to_end", "staged"] = "end_to_end"
    staged: StagedOptions = StagedOptions()
    model: ModelOptions = ModelOptions()
    training: TrainingOptions = TrainingOptions()
    adversary: AdversaryOptions = AdversaryOptions()
    maddog: MaddogOptions = MaddogOptions()
    dsn: DsnOptions = DsnOptions()
