"""Options of the study as they come from ``config.yaml``: checked, with the paper's values as defaults."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any

from serflow.errors import ConfigError

# strides of the decoder's two transposed convolutions that undo the encoder's pooling
DECODER_STRIDES = {1: (1, 1), 2: (2, 1), 4: (2, 2)}
HFFN_TRAINING = ("end_to_end", "staged")


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Sizes of the networks (section IV-A.1): ``kernel``, ``dilations`` and ``pool`` in frames."""

    maps: int = 128
    kernel: int = 16
    dilations: tuple[int, ...] = (1, 2, 4)
    pool: int = 4
    hidden: int = 128
    instance_norm: bool = False
    dropout: float = 0.0


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How networks are trained (section V)."""

    optimizer: str = "adam"
    learning_rate: float = 1e-3
    batch_size: int = 32
    max_epochs: int = 1000
    patience: int = 10
    reconstruction_weight: float = 1.0
    class_weights: bool = True
    device: str = "auto"
    precision: str = "fp32"


@dataclass(frozen=True, slots=True)
class AdversaryOptions:
    """The adversary behind a gradient reversal, in DANN and DSN: its weight in DANN, and the epochs of the ramp."""

    weight: float = 1.0
    ramp_epochs: int = 10


@dataclass(frozen=True, slots=True)
class MaddogOptions:
    """MADDoG's critic: its weight for the encoder, batches it learns at the start of an epoch, bound of its weights."""

    weight: float = 0.1
    critic_batches: int = 5
    clip: float = 0.01


@dataclass(frozen=True, slots=True)
class DsnOptions:
    """Weights of DSN's losses (the paper's alpha, gamma, delta), and the code that the emotion is read from.

    ``task_code`` is ``shared`` (the paper) or ``combined``, the normalised sum of shared and private code (the code).
    """

    reconstruction: float = 0.01
    similarity: float = 0.25
    difference: float = 0.075
    task_code: str = "shared"


@dataclass(frozen=True, slots=True)
class Options:
    """All options of a cell."""

    labels: str = "merged"
    hffn: str = "end_to_end"
    model: ModelOptions = field(default_factory=ModelOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    adversary: AdversaryOptions = field(default_factory=AdversaryOptions)
    maddog: MaddogOptions = field(default_factory=MaddogOptions)
    dsn: DsnOptions = field(default_factory=DsnOptions)

    def as_json(self) -> dict[str, Any]:
        """Return the options as plain values."""
        return asdict(self)


_CHOICES: dict[str, tuple[Any, ...]] = {
    "labels": ("merged", "hap_only"),
    "hffn": HFFN_TRAINING,
    "model.pool": tuple(DECODER_STRIDES),
    "training.optimizer": ("adam", "adadelta"),
    "training.device": ("auto", "cpu", "cuda"),
    "training.precision": ("fp32", "bf16"),
    "dsn.task_code": ("shared", "combined"),
}
_POSITIVE = (
    "model.maps", "model.kernel", "model.pool", "model.hidden", "training.learning_rate", "training.batch_size",
    "training.max_epochs", "training.patience", "adversary.ramp_epochs", "maddog.critic_batches", "maddog.clip",
)  # fmt: skip
_NOT_NEGATIVE = (
    "training.reconstruction_weight", "adversary.weight", "maddog.weight", "dsn.reconstruction", "dsn.similarity",
    "dsn.difference",
)  # fmt: skip


def _check(key: str, value: Any, default: Any) -> Any:
    """Return ``value`` in the type of ``default``, or say what is wrong with it."""
    kind = type(default)
    if kind is tuple:
        if isinstance(value, (list, tuple)) and value and all(type(v) is int and v > 0 for v in value):
            return tuple(value)
        raise ConfigError(f"{key}: a list of positive integers is needed, such as {list(default)}; got {value!r}")
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ConfigError(f"{key}: {kind.__name__} is needed, such as {default!r}; got {value!r}")
    if key in _CHOICES and value not in _CHOICES[key]:
        raise ConfigError(f"{key}: one of {', '.join(map(str, _CHOICES[key]))} is needed; got {value!r}")
    if key in _POSITIVE and not value > 0:
        raise ConfigError(f"{key}: a value above 0 is needed; got {value!r}")
    if key in _NOT_NEGATIVE and not value >= 0:
        raise ConfigError(f"{key}: a value of at least 0 is needed; got {value!r}")
    if key == "model.dropout" and not 0 <= value < 1:
        raise ConfigError(f"{key}: a value from 0 to below 1 is needed; got {value!r}")
    return value


def _group(defaults: Any, content: Any, prefix: str = "") -> Any:
    """Return ``content`` as an object like ``defaults``, groups within groups."""
    if not isinstance(content, Mapping):
        raise ConfigError(f"{prefix.rstrip('.') or 'options'}: a mapping is needed; got {content!r}")
    known = {entry.name: getattr(defaults, entry.name) for entry in fields(defaults)}
    unknown = sorted(set(content) - set(known))
    if unknown:
        raise ConfigError(f"no option {prefix}{unknown[0]}; known: {', '.join(prefix + name for name in known)}")
    return type(defaults)(
        **{
            name: _group(known[name], value, f"{prefix}{name}.")
            if is_dataclass(known[name])
            else _check(prefix + name, value, known[name])
            for name, value in content.items()
        }
    )


def parse_options(content: Any) -> Options:
    """Return checked options; what is left out takes the paper's value.

    Raises
    ------
    ConfigError
        If an option is unknown or its value cannot be used; names the option.
    """
    options = _group(Options(), content)
    assert isinstance(options, Options)
    return options
