"""Classification towers: one a language, or one for the classes of all (Base)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from serflow.studies.multigating.options import Activation, Options

ACTIVATIONS: dict[Activation, type[nn.Module]] = {"mish": nn.Mish, "gelu": nn.GELU, "tanh": nn.Tanh, "relu": nn.ReLU}


class Tower(nn.Module):
    """Two dense layers, an activation of its own and dropout after each, and an output layer (section 5.1).

    Parameters
    ----------
    in_dim, units, n_classes
        Values of a representation, of each hidden layer, and emotions.
    activations
        After the first layer, and after the second.
    dropout
        After each.
    """

    def __init__(
        self, in_dim: int, units: int, activations: tuple[Activation, Activation], n_classes: int, dropout: float
    ) -> None:
        super().__init__()
        first, second = (ACTIVATIONS[name]() for name in activations)
        self.layers = nn.Sequential(
            nn.Linear(in_dim, units), first, nn.Dropout(dropout),
            nn.Linear(units, units), second, nn.Dropout(dropout),
            nn.Linear(units, n_classes),
        )  # fmt: skip

    def forward(self, representations: Tensor) -> Tensor:
        """Return logits ``(batch, n_classes)`` of ``(batch, in_dim)``."""
        logits: Tensor = self.layers(representations)
        return logits


class LanguageTowers(nn.Module):
    """A tower of each language, for its own classes.

    Parameters
    ----------
    in_dim
        Values of a representation.
    classes
        By language.
    options
        Towers by language, and dropout.
    """

    def __init__(self, in_dim: int, classes: Mapping[str, tuple[str, ...]], options: Options) -> None:
        super().__init__()
        self.classes = dict(classes)
        self.towers = nn.ModuleDict(
            {
                language: Tower(in_dim, own.units, own.activations, len(classes[language]), options.encoder.dropout)
                for language, own in options.languages.items()
            }
        )

    def forward(self, representations: Tensor, language: str) -> Tensor:
        """Return logits of the language's own classes."""
        logits: Tensor = self.towers[language](representations)
        return logits

    def place(self, targets: Tensor, language: str) -> Tensor:
        """Return ``targets`` ``(batch, classes)`` of a language as they are: its logits are of the same classes."""
        return targets


class UnionTower(nn.Module):
    """One tower for the classes of all languages, sorted by name (Base).

    Parameters
    ----------
    in_dim
        Values of a representation.
    classes
        By language.
    options
        The tower, and dropout.
    """

    def __init__(self, in_dim: int, classes: Mapping[str, tuple[str, ...]], options: Options) -> None:
        super().__init__()
        union = tuple(sorted({name for own in classes.values() for name in own}))
        self.classes = dict.fromkeys(classes, union)
        sharing = options.sharing
        self.tower = Tower(in_dim, sharing.base_units, sharing.base_activations, len(union), options.encoder.dropout)
        for language, own in classes.items():
            places = torch.tensor([union.index(name) for name in own])
            self.register_buffer(f"places_{language}", places, persistent=False)

    def forward(self, representations: Tensor, language: str) -> Tensor:
        """Return logits of the classes of all languages."""
        logits: Tensor = self.tower(representations)
        return logits

    def place(self, targets: Tensor, language: str) -> Tensor:
        """Return ``targets`` ``(batch, classes)`` of a language among the classes of all; no other has any."""
        whole = targets.new_zeros(len(targets), len(self.classes[language]))
        return whole.index_copy(1, self.get_buffer(f"places_{language}"), targets)
