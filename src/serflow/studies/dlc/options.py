"""Options of the study as they come from ``config.yaml``: checked, with the paper's values as defaults."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from serflow.errors import ConfigError

# strides of the decoder's two transposed convolutions that undo the encoder's pooling
DECODER_STRIDES = {1: (1, 1), 2: (2, 1), 4: (2, 2)}


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
class Options:
    """All options of a cell."""

    labels: str = "merged"
    model: ModelOptions = field(default_factory=ModelOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)

    def as_json(self) -> dict[str, Any]:
        """Return the options as plain values."""
        return asdict(self)


_CHOICES = {
    "labels": ("merged", "hap_only"),
    "model.pool": tuple(DECODER_STRIDES),
    "training.optimizer": ("adam", "adadelta"),
    "training.device": ("auto", "cpu", "cuda"),
    "training.precision": ("fp32", "bf16"),
}
_POSITIVE = (
    "model.maps", "model.kernel", "model.pool", "model.hidden", "training.learning_rate", "training.batch_size",
    "training.max_epochs", "training.patience",
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
    if key == "training.reconstruction_weight" and not value >= 0:
        raise ConfigError(f"{key}: a value of at least 0 is needed; got {value!r}")
    if key == "model.dropout" and not 0 <= value < 1:
        raise ConfigError(f"{key}: a value from 0 to below 1 is needed; got {value!r}")
    return value


def _group(kind: type[Any], content: Any, prefix: str) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise ConfigError(f"{prefix.rstrip('.') or 'options'}: a mapping is needed; got {content!r}")
    defaults = {entry.name: getattr(kind(), entry.name) for entry in fields(kind)}
    unknown = sorted(set(content) - set(defaults))
    if unknown:
        raise ConfigError(f"no option {prefix}{unknown[0]}; known: {', '.join(prefix + name for name in defaults)}")
    return {
        name: value if name in ("model", "training") else _check(prefix + name, value, defaults[name])
        for name, value in content.items()
    }


def parse_options(content: Any) -> Options:
    """Return checked options; what is left out takes the paper's value.

    Raises
    ------
    ConfigError
        If an option is unknown or its value cannot be used; names the option.
    """
    found = _group(Options, content, "")
    return Options(
        **{
            **found,
            "model": ModelOptions(**_group(ModelOptions, found.get("model", {}), "model.")),
            "training": TrainingOptions(**_group(TrainingOptions, found.get("training", {}), "training.")),
        }
    )
