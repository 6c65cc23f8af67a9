"""What languages share of features: brought to one width, then summed, weighed by gates, or searched (section 4.3)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from serflow.errors import ConfigError
from serflow.nn.parameters import count_parameters
from serflow.studies.multigating.architecture import Transitions
from serflow.studies.multigating.options import NasOptions, SharingOptions

Widths = Mapping[str, int]
Vectors = Mapping[str, Tensor]


class Shared(NamedTuple):
    """What a tower reads, ``(batch, dim)``, and the weight of each feature, ``(batch, features)``, of a gate."""

    representation: Tensor
    gates: Tensor | None = None


class SideBySide(nn.Module):
    """All features as they are, side by side (Figure 1): nothing is learnt.

    Parameters
    ----------
    widths
        Values of each feature.
    """

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.dim = sum(widths.values())

    def forward(self, vectors: Vectors, language: str) -> Shared:
        """Return ``(batch, dim)`` of features ``(batch, width)`` each."""
        return Shared(torch.cat(list(vectors.values()), dim=1))


class CommonWidth(nn.Module):
    """A linear layer for each feature, or two with a ReLU between them, to values of one width.

    Parameters
    ----------
    widths
        Values of each feature before.
    width
        After.
    hidden
        Units between two layers; None for one layer.
    """

    def __init__(self, widths: Widths, width: int, hidden: int | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {
                name: nn.Linear(own, width)
                if hidden is None
                else nn.Sequential(nn.Linear(own, hidden), nn.ReLU(), nn.Linear(hidden, width))
                for name, own in widths.items()
            }
        )

    def forward(self, vectors: Vectors) -> Tensor:
        """Return ``(batch, features, width)``."""
        return torch.stack([layer(vectors[name]) for name, layer in self.layers.items()], dim=1)


class SharedBottom(nn.Module):
    """The sum of all features (section 4.3), or all side by side.

    Parameters
    ----------
    widths
        Values of each feature.
    options
        The common width, and how features are joined.
    hidden
        See `CommonWidth`.
    """

    def __init__(self, widths: Widths, options: SharingOptions, hidden: int | None = None) -> None:
        super().__init__()
        self.common = CommonWidth(widths, options.width, hidden)
        self.sums = options.join == "sum"
        self.dim = options.width * (1 if self.sums else len(widths))

    def forward(self, vectors: Vectors, language: str) -> Shared:
        """Return ``(batch, dim)`` of features ``(batch, width)`` each."""
        common = self.common(vectors)
        return Shared(common.sum(1) if self.sums else common.flatten(1))


class SoftGate(nn.Module):
    """Weights of features: ``softmax(W x)`` of a selector x (Eq. 7).

    Parameters
    ----------
    in_dim, n_features
        d and M: W is ``(n_features, in_dim)``.
    """

    def __init__(self, in_dim: int, n_features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dim, n_features, bias=False)

    def forward(self, selector: Tensor) -> Tensor:
        """Return ``(batch, n_features)``, each row of sum 1, in single precision at least."""
        with torch.autocast(selector.device.type, enabled=False):
            weights: Tensor = self.linear(selector).softmax(1)
        return weights


class Gated(nn.Module):
    """The sum of features weighed by a gate (section 4.3.1), behind the transitions of a language where searched.

    The gate sees the selector as it is, not at the common width. No tower sees a selector that is not weighed (see
    `SharingOptions.weighed`) but by the weights.

    Parameters
    ----------
    widths
        Values of each feature.
    options
        The common width and the selector.
    languages
        Those with a gate and transitions of their own.
    one_gate
        All languages have the same gate (OMoE).
    nas
        Of the architecture search; None where there is none.

    Raises
    ------
    ConfigError
        If the selector is not among the features, or is all there is and not weighed.
    """

    def __init__(
        self,
        widths: Widths,
        options: SharingOptions,
        languages: Sequence[str],
        one_gate: bool = False,
        nas: NasOptions | None = None,
    ) -> None:
        super().__init__()
        self.selector = options.selector
        if self.selector not in widths:
            raise ConfigError(
                f"multigating.sharing.selector: gates read {self.selector}, and the network reads {', '.join(widths)}; "
                f"add {self.selector} to multigating.features or name another selector"
            )
        weighed = {name: widths[name] for name in options.weighed(widths)}
        if not weighed:
            raise ConfigError(
                "multigating.sharing.selector: gates that read byol weigh the other features, and the network reads "
                "none; add one to multigating.features"
            )
        self.features = tuple(weighed)
        self.dim = options.width
        self.common = CommonWidth(weighed, options.width)
        self.gate_of = {language: "all" if one_gate else language for language in languages}
        self.gates = nn.ModuleDict(
            {name: SoftGate(widths[self.selector], len(weighed)) for name in dict.fromkeys(self.gate_of.values())}
        )
        self.transitions = (
            None
            if nas is None
            else nn.ModuleDict({language: Transitions(len(weighed), options.width, nas) for language in languages})
        )

    def forward(self, vectors: Vectors, language: str) -> Shared:
        """Return ``(batch, dim)`` and the weights ``(batch, features)`` of features ``(batch, width)`` each."""
        features = self.common(vectors)
        if self.transitions is not None:
            features = self.transitions[language](features)
        weights = self.gates[self.gate_of[language]](vectors[self.selector])
        return Shared(torch.einsum("bm,bmd->bd", weights, features), weights)


Sharing = SideBySide | SharedBottom | Gated


def hidden_as_searched(widths: Widths, options: SharingOptions, languages: Sequence[str], nas: NasOptions) -> int:
    """Return the hidden units with which `SharedBottom` has as many weights as the searched network's shared part."""
    with torch.device("meta"):
        wanted = count_parameters(Gated(widths, options, languages, nas=nas))
    a_unit = sum(width + 1 + options.width for width in widths.values())
    return max(1, round((wanted - len(widths) * options.width) / a_unit))
