"""What a fit is trained with: the keys below ``temporal`` in ``config.yaml`` that its result depends on."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from serflow.settings.base import Distinct, Positive, Section

_SAMPLES_PER_MS = 16


class FramingOptions(Section):
    """Frames of the log-mel spectrogram: ``window_ms`` every ``hop_ms``, and the first layer's ``kernel``.

    ``floor`` is the power that is added to every band before its logarithm.

    50 ms every 12.5 ms under a kernel of 3 see 75 ms, as 25 ms every 12.5 ms under a kernel of 5 do; of the two the
    paper's Table 1 gives the 75 ms alone.
    """

    window_ms: float = Field(default=50.0, gt=0, le=64)
    hop_ms: float = Field(default=12.5, gt=0)
    kernel: Annotated[int, Field(ge=1)] = 3
    n_mels: int = Field(default=30, ge=2)
    floor: float = Field(default=1e-6, ge=1e-30, le=1)

    @model_validator(mode="after")
    def _odd_kernel(self) -> "FramingOptions":
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel is {self.kernel}; an odd number keeps frames where they are")
        return self

    @model_validator(mode="after")
    def _whole_samples(self) -> "FramingOptions":
        for key in ("window_ms", "hop_ms"):
            samples = getattr(self, key) * _SAMPLES_PER_MS
            if samples != round(samples):
                raise ValueError(f"{key} is {getattr(self, key):g}, which is no whole number of samples at 16 kHz")
        if self.hop > self.window:
            raise ValueError(f"hop_ms is {self.hop_ms:g}, above window_ms: samples between the windows would not count")
        return self

    @property
    def window(self) -> int:
        """Samples at 16 kHz of a window."""
        return round(self.window_ms * _SAMPLES_PER_MS)

    @property
    def hop(self) -> int:
        """Samples at 16 kHz from a frame to the next."""
        return round(self.hop_ms * _SAMPLES_PER_MS)


class SpecAugmentOptions(Section):
    """What SpecAugment hides: ``time_masks`` of up to ``time_width`` frames, ``band_masks`` of ``band_width`` bands."""

    time_masks: int = Field(default=2, ge=0)
    time_width: int = Field(default=20, ge=0)
    band_masks: int = Field(default=1, ge=0)
    band_width: int = Field(default=4, ge=0)


class AugmentOptions(Section):
    """What training changes of an utterance (sections 2.1 and 3.2).

    A crop of ``crop_s`` (s), a gain from ``gain_db`` (dB), and of engineered features SpecAugment, and where a row
    warps an alpha from -``warp`` to ``warp``.
    """

    crop_s: float = Field(default=3.0, gt=0)
    gain_db: tuple[float, float] = (-40.0, 0.0)
    warp: float = Field(default=0.15, ge=0, lt=1)
    spec_augment: SpecAugmentOptions = SpecAugmentOptions()

    @model_validator(mode="after")
    def _rising_gain(self) -> "AugmentOptions":
        if self.gain_db[0] > self.gain_db[1]:
            raise ValueError(
                f"gain_db goes from {self.gain_db[0]:g} down to {self.gain_db[1]:g}; give the lower one first"
            )
        return self


class StrfNetOptions(Section):
    """Sizes of the network on engineered features (section 2.2; Vuong, Xia and Stern, Interspeech 2020).

    ``kernels`` is K: that many pairs of receptive fields of ``support_ms`` (ms) by ``support_bands``, and 2K maps of
    the convolution. ``channels`` are those of the residual blocks, ``embedding`` the units of the frames and of the
    GRU in each direction, ``attention`` and ``hidden`` those of self-attention and of the MLP.
    """

    kernels: int = Field(default=32, ge=1)
    support_ms: float = Field(default=200.0, gt=0)
    support_bands: int = Field(default=9, ge=1)
    channels: int = Field(default=32, ge=1)
    embedding: int = Field(default=256, ge=1)
    attention: int = Field(default=256, ge=1)
    hidden: int = Field(default=256, ge=1)


class SegmentNetOptions(Section):
    """Sizes of the network on learned features (Figure 1), and its segment classifiers.

    ``lstm`` are the units a direction of each of ``lstm_layers``; ``segments`` is N_s, each weighing
    ``segment_weight`` in the loss. ``fine_tune`` is the part of wav2vec that is trained; ``context_layers`` cuts its
    context network to the first k layers, null for all.
    """

    maps: int = Field(default=512, ge=1)
    kernels: tuple[Positive, ...] = Field(default=(4, 4, 3, 3), min_length=1)
    strides: tuple[Positive, ...] = (2, 2, 1, 1)
    lstm: int = Field(default=256, ge=1)
    lstm_layers: int = Field(default=5, ge=1)
    hidden: int = Field(default=512, ge=1)
    segments: int = Field(default=0, ge=0)
    segment_weight: float = Field(default=1.0, ge=0)
    fine_tune: Literal["all", "context", "encoder", "none"] = "none"
    context_layers: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _one_stride_a_kernel(self) -> "SegmentNetOptions":
        if len(self.kernels) != len(self.strides):
            raise ValueError(f"{len(self.kernels)} kernels and {len(self.strides)} strides; a layer has one of each")
        return self

    @model_validator(mode="after")
    def _a_layer_to_train(self) -> "SegmentNetOptions":
        if self.fine_tune == "context" and self.context_layers == 0:
            raise ValueError("fine_tune is context, of which context_layers 0 leaves no layer; set 1 or more, or null")
        return self


class TrainingOptions(Section):
    """How networks are trained (section 3.2); an epoch takes one crop of each utterance.

    The learning rate is multiplied by ``plateau_factor`` after ``plateau_patience`` epochs without a better validation
    UA; after ``patience`` of them training ends.
    """

    learning_rate: float = Field(default=1e-4, gt=0)
    batch_size: int = Field(default=64, ge=2)
    epochs: int = Field(default=100, ge=1)
    plateau_factor: float = Field(default=0.5, gt=0, le=1)
    plateau_patience: int = Field(default=5, ge=1)
    patience: int = Field(default=15, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    graphs: Literal["auto", "on", "off"] = "auto"


class Options(Section):
    """All that a fit is trained with.

    ``emotions`` are the words of another corpus than IEMOCAP that are kept, null for all; ``test`` says how an
    utterance is tested: as a whole, or by the mean over crops of ``augment.crop_s``; ``folds_used`` how many folds a
    run has, null for all; ``warped`` whether this row's training warps.
    """

    emotions: Annotated[tuple[str, ...], Field(min_length=2), Distinct] | None = None
    test: Literal["full", "crops_mean"] = "full"
    folds_used: int | None = Field(default=None, ge=1)
    warped: bool = False
    framing: FramingOptions = FramingOptions()
    augment: AugmentOptions = AugmentOptions()
    strfnet: StrfNetOptions = StrfNetOptions()
    segment_net: SegmentNetOptions = SegmentNetOptions()
    training: TrainingOptions = TrainingOptions()
