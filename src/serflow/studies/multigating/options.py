"""What a fit is trained with: the keys below ``multigating`` in ``config.yaml`` that its result depends on."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from serflow.settings.base import Distinct, Section

Feature = Literal["allosaurus", "wav2vec", "mfcc", "ge2e", "byol"]
FEATURES: tuple[Feature, ...] = ("allosaurus", "wav2vec", "mfcc", "ge2e", "byol")
"""The five features, in the paper's order (section 3)."""
PARTIALS = "ge2e_partials"
"""What GE2E is trained further from, below ``features``; all else is read as it is stored, by its own name."""
Activation = Literal["mish", "gelu", "tanh", "relu"]


class LanguageOptions(Section):
    """A language: its corpus, its tower and the weight of its contrastive loss (section 5.1).

    ``units`` are those of the tower's hidden layer, ``activations`` stand after its two layers, ``alpha`` weighs the
    contrastive loss. ``emotions`` are the words of the corpus that are kept, null for all (IEMOCAP has the paper's four
    classes); ``intensity`` keeps the utterances of that intensity, and those of none (CaFE's neutral ones).
    """

    corpus: str
    units: int = Field(default=512, ge=1)
    activations: tuple[Activation, Activation] = ("tanh", "relu")
    alpha: float = Field(default=0.01, ge=0)
    emotions: Annotated[tuple[str, ...], Field(min_length=2), Distinct] | None = None
    intensity: str | None = None


class EncoderOptions(Section):
    """Encoders of frames (section 5.1): kernels of ``kernels`` frames, a BiLSTM, attention.

    ``cnn`` says how the paper's "3x3 and 5x5 kernels" are read: both over time beside each other (``parallel``), the
    first for Allosaurus and the second for wav2vec (``respective``), or both over time and columns (``conv2d``).
    ``maps`` and ``lstm`` (units a direction) are those of Allosaurus and wav2vec, ``mfcc_...`` those of MFCC, whose
    kernels are of the first size alone. ``dropout`` is that of towers as well.
    """

    cnn: Literal["parallel", "respective", "conv2d"] = "parallel"
    kernels: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (3, 5)
    maps: int = Field(default=64, ge=1)
    lstm: int = Field(default=128, ge=1)
    mfcc_maps: int = Field(default=32, ge=1)
    mfcc_lstm: int = Field(default=64, ge=1)
    mfcc_layers: int = Field(default=2, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)


class SharingOptions(Section):
    """What languages share: features of a common ``width``, weighed by gates of the ``selector`` (section 4.3).

    ``join`` says how SB and Base join the features: as in the formula (``sum``), or side by side (``concat``).
    ``base_units`` are those of the one tower of Base, ``base_activations`` its activations. With ``byol`` as selector
    the other features are weighed (section 5.3.2), with ``ge2e`` all are.
    """

    width: int = Field(default=256, ge=1)
    selector: Literal["ge2e", "byol"] = "ge2e"
    join: Literal["sum", "concat"] = "sum"
    base_units: int = Field(default=512, ge=1)
    base_activations: tuple[Activation, Activation] = ("tanh", "relu")

    def weighed(self, features: Iterable[str]) -> tuple[str, ...]:
        """Return the features that gates weigh, in order; BYOL as a selector is not among them (section 5.3.2)."""
        return tuple(name for name in features if name != "byol" or self.selector != "byol")


class NasOptions(Section):
    """Gates of the architecture search (section 4.3.2; Louizos, Welling and Kingma, ICLR 2018).

    ``form`` is where the temperature ``beta`` stands: ``louizos`` divides the logit, ``eq9`` the whole sigmoid as
    the paper prints it, ``snr_code`` log alpha alone, with one noise that is learned, as public code of SNR does. Gates
    are stretched from ``gamma`` to ``delta`` and clipped; ``l0`` weighs their expected number; ``init_std`` is the
    deviation of ln kappa at first.
    """

    form: Literal["louizos", "eq9", "snr_code"] = "louizos"
    beta: float = Field(default=0.9, gt=0)
    gamma: float = Field(default=-0.1, lt=0)
    delta: float = Field(default=2.0, gt=1)
    l0: float = Field(default=0.0, ge=0)
    init_std: float = Field(default=0.01, ge=0)


class AuxOptions(Section):
    """The contrastive loss (section 4.2): of emotions with more than ``more_than`` samples in a batch.

    ``reduction`` is the paper's sum over samples, or their mean; ``scale`` and ``bias`` are w and b at first.
    """

    reduction: Literal["sum", "mean"] = "sum"
    more_than: int = Field(default=5, ge=1)
    scale: float = Field(default=10.0, gt=0)
    bias: float = -5.0


class TrainingOptions(Section):
    """How networks are trained (section 5.1).

    A batch is of one language. ``temperature`` T takes batches of a language with probability proportional to its
    number of utterances to the power of 1/T: 1 takes each utterance once an epoch. With ``ge2e_learning_rate`` 0 the
    embeddings of GE2E are read as released, and no network of it is run.
    """

    learning_rate: float = Field(default=1e-3, gt=0)
    ge2e_learning_rate: float = Field(default=1e-5, ge=0)
    weight_decay: float = Field(default=1e-5, ge=0)
    batch_size: int = Field(default=64, ge=2)
    epochs: int = Field(default=20, ge=1)
    temperature: float = Field(default=1.0, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    graphs: Literal["auto", "on", "off"] = "auto"


class FitOptions(Section):
    """What a fit is trained with, whatever its languages.

    ``features`` are those that its network reads, with ``standardise`` scaled to mean 0 and deviation 1 by the training
    utterances of their language (not the mel partials of GE2E), or as they are stored; ``aux`` says whether the
    contrastive loss is added; ``folds_used`` is how many folds a run has, null for all.
    """

    features: Annotated[tuple[Feature, ...], Field(min_length=1), Distinct] = FEATURES
    standardise: Literal["none", "training"] = "training"
    aux: bool = True
    folds_used: int | None = Field(default=None, ge=1)
    encoder: EncoderOptions = EncoderOptions()
    sharing: SharingOptions = SharingOptions()
    nas: NasOptions = NasOptions()
    contrastive: AuxOptions = AuxOptions()
    training: TrainingOptions = TrainingOptions()

    def stores(self) -> list[str]:
        """Return what is read of each feature, by the key below ``features``."""
        trained = self.training.ge2e_learning_rate > 0
        return [PARTIALS if name == "ge2e" and trained else name for name in self.features]


class Options(FitOptions):
    """All that a fit is trained with; ``languages`` are those of the fit: all, or one."""

    languages: dict[str, LanguageOptions] = Field(default={})
