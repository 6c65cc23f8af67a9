"""Architecture search: transitions from low-level to high-level features, each behind a gate (section 4.3.2).

    u_i = sum_j xi_ij W_ij v_j    (Eq. 8)

from low-level feature j to high-level feature i. Gates are hard concrete (Louizos, Welling and Kingma, ICLR 2018): a
binary concrete variable s of parameter ln kappa, stretched from gamma to delta and clipped to 0..1 (Eq. 9), so that it
is exactly 0 or 1 with some probability and has a gradient in between.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from serflow.studies.multigating.options import NasOptions

_EPS = 1e-6


class HardConcrete(nn.Module):
    """Gates between 0 and 1, which are learnt.

    With logistic noise ``n = ln u - ln(1 - u)``, u uniform and new in each training step, s is by ``form``

    - ``louizos``: ``sigmoid((n + ln kappa) / beta)``, their Eq. 10;
    - ``eq9``: ``sigmoid(n + ln kappa) / beta``, Eq. 9 as it is printed;
    - ``snr_code``: ``sigmoid(n + ln kappa / beta)``, with n a weight that is drawn once and learnt.

    At test time there is no noise. ``louizos``: s is ``sigmoid(ln kappa)``, their Eq. 13, without beta. ``eq9``: s is
    ``sigmoid(ln kappa) / beta``, that of n = 0, for its beta is a factor of what comes after. ``snr_code``: s as in
    training, for its noise is a weight.

    Parameters
    ----------
    shape
        Of the gates.
    options
        The form, beta, gamma and delta, and the deviation of ln kappa at first.
    """

    def __init__(self, shape: tuple[int, ...], options: NasOptions) -> None:
        super().__init__()
        self.options = options
        self.log_kappa = nn.Parameter(options.init_std * torch.randn(shape))
        self.noise = nn.Parameter(self._draw()) if options.form == "snr_code" else None

    def forward(self) -> Tensor:
        """Return the gates: a draw in training, else those of test time."""
        if not self.training:
            return self.at_test()
        return self._stretch(self._concrete(self._draw() if self.noise is None else self.noise))

    def at_test(self) -> Tensor:
        """Return the gates of test time."""
        if self.noise is not None:
            return self._stretch(self._concrete(self.noise))
        if self.options.form == "eq9":
            return self._stretch(self._concrete(torch.zeros_like(self.log_kappa)))
        return self._stretch(self.log_kappa.sigmoid())

    def open_probability(self) -> Tensor:
        """Return the probability that a gate is above 0, of noise that is drawn anew.

        A gate is open where s is above ``t = -gamma / (delta - gamma)``. For ``louizos`` that has the probability
        ``sigmoid(ln kappa - beta ln(-gamma / delta))``, their Eq. 12; the other forms move the threshold accordingly.
        """
        form, beta = self.options.form, self.options.beta
        threshold = -self.options.gamma / (self.options.delta - self.options.gamma)
        if form == "louizos":
            return torch.sigmoid(self.log_kappa - beta * _logit(threshold))
        if form == "eq9":
            return torch.sigmoid(self.log_kappa - _logit(beta * threshold))
        return torch.sigmoid(self.log_kappa / beta - _logit(threshold))

    def _draw(self) -> Tensor:
        return torch.logit(torch.rand_like(self.log_kappa), eps=_EPS).detach()

    def _concrete(self, noise: Tensor) -> Tensor:
        form, beta = self.options.form, self.options.beta
        if form == "louizos":
            return torch.sigmoid((noise + self.log_kappa) / beta)
        if form == "eq9":
            return torch.sigmoid(noise + self.log_kappa) / beta
        return torch.sigmoid(noise + self.log_kappa / beta)

    def _stretch(self, concrete: Tensor) -> Tensor:
        gamma, delta = self.options.gamma, self.options.delta
        return (concrete * (delta - gamma) + gamma).clamp(0, 1)


def _logit(probability: float) -> float:
    """Return the logit; infinity of what is 1 or more, which no s of ``eq9`` comes to."""
    return math.log(probability / (1 - probability)) if probability < 1 else math.inf


class Transitions(nn.Module):
    """Low-level to high-level features of one language (Eq. 8).

    Parameters
    ----------
    n_features, width
        M, and the values of each feature, low and high alike.
    options
        Of the gates.
    """

    def __init__(self, n_features: int, width: int, options: NasOptions) -> None:
        super().__init__()
        self.gates = HardConcrete((n_features, n_features), options)
        self.weight = nn.Parameter(torch.empty(n_features, n_features, width, width))
        """W_ij at ``[i, j]``, for rows: ``(width in, width out)``; drawn as that of a linear layer is."""
        nn.init.uniform_(self.weight, -1 / math.sqrt(width), 1 / math.sqrt(width))

    def forward(self, low: Tensor) -> Tensor:
        """Return high-level features ``(batch, n_features, width)`` of low-level ones of the same shape."""
        weighed = self.gates()[:, None, :, None] * low
        return torch.bmm(weighed.flatten(2), self.weight.flatten(1, 2)).transpose(0, 1)


class Gate(NamedTuple):
    """What a gate of a trained network does.

    Parameters
    ----------
    low, high
        Features that it is between.
    value
        At test time, 0 to 1.
    open_probability
        That it is above 0 in a step of training; 1 or 0 with ``snr_code``, which draws nothing.
    """

    low: str
    high: str
    value: float
    open_probability: float


@torch.no_grad()
def read_gates(transitions: Transitions, features: tuple[str, ...]) -> list[Gate]:
    """Return all gates, those to the first high-level feature first."""
    gates = transitions.gates
    values = gates.at_test()
    probabilities = gates.open_probability() if gates.noise is None else (values > 0).to(values.dtype)
    return [
        Gate(low, high, float(value), float(probability))
        for high, *of_row in zip(features, values.cpu(), probabilities.cpu(), strict=True)
        for low, value, probability in zip(features, *of_row, strict=True)
    ]
