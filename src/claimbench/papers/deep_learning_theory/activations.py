"""Activations and their averages over a Gaussian preactivation (chapter 5)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

#: of every element on its own
Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Activation:
    """An activation ``s``, elementwise.

    Args:
        name: as in paper.yaml.
        value: ``s(z)``.
        slope: ``s'(z)``.
        slopes: ``(a+, a-)`` of a scale-invariant activation ``a+ z`` for z > 0 and ``a- z`` for z < 0, else None.
        taylor: ``(s1, s2, s3, s4, s5)``, derivatives at 0 of a smooth activation with s(0) = 0, else None.
    """

    name: str
    value: Function
    slope: Function
    slopes: tuple[float, float] | None = None
    taylor: tuple[float, float, float, float, float] | None = None

    @property
    def A2(self) -> float:
        """``(a+^2 + a-^2) / 2`` of a scale-invariant activation (eq. 5.63)."""
        assert self.slopes is not None
        return (self.slopes[0] ** 2 + self.slopes[1] ** 2) / 2

    @property
    def A4(self) -> float:
        """``(a+^4 + a-^4) / 2`` of a scale-invariant activation (eq. 5.115)."""
        assert self.slopes is not None
        return (self.slopes[0] ** 4 + self.slopes[1] ** 4) / 2

    @property
    def a1(self) -> float:
        """Second coefficient of ``<s^2>_K / s1^2 = K + a1 K^2 + a2 K^3 + ...`` of a smooth activation with s(0) = 0
        (eqs. 5.86 to 5.94)."""
        assert self.taylor is not None
        s1, s2, s3, _, _ = self.taylor
        return s3 / s1 + 0.75 * (s2 / s1) ** 2

    @property
    def a2(self) -> float:
        """Third coefficient, see :attr:`a1`."""
        assert self.taylor is not None
        s1, s2, s3, s4, s5 = self.taylor
        return s5 / (4 * s1) + 0.625 * (s4 / s1) * (s2 / s1) + 5 / 12 * (s3 / s1) ** 2


def _scale_invariant(name: str, down: float) -> Activation:
    """``z`` for z > 0 and ``down z`` for z < 0."""
    return Activation(
        name,
        lambda z: torch.nn.functional.leaky_relu(z, down),
        lambda z: torch.where(z > 0, torch.ones_like(z), torch.full_like(z, down)),
        slopes=(1.0, down),
    )


def _phi(z: Tensor) -> Tensor:
    return torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _cdf(z: Tensor) -> Tensor:
    return torch.special.ndtr(z)


#: by name
ACTIVATIONS = {
    each.name: each
    for each in (
        _scale_invariant("linear", 1.0),
        _scale_invariant("relu", 0.0),
        _scale_invariant("leaky", 0.5),
        _scale_invariant("abs", -1.0),
        Activation("tanh", torch.tanh, lambda z: 1 - torch.tanh(z) ** 2, taylor=(1.0, 0.0, -2.0, 0.0, 16.0)),
        Activation("sin", torch.sin, torch.cos, taylor=(1.0, 0.0, -1.0, 0.0, 1.0)),
        Activation("gelu", lambda z: z * _cdf(z), lambda z: _cdf(z) + z * _phi(z)),
        Activation(
            "swish",
            lambda z: z * torch.sigmoid(z),
            lambda z: torch.sigmoid(z) * (1 + z * (1 - torch.sigmoid(z))),
        ),
        Activation("sigmoid", torch.sigmoid, lambda z: torch.sigmoid(z) * (1 - torch.sigmoid(z))),
        Activation("softplus", torch.nn.functional.softplus, torch.sigmoid),
    )
}

_REACH, _POINTS = 12.0, 2001


@lru_cache(maxsize=1)
def _grid() -> tuple[Float[Tensor, " points"], Float[Tensor, " points"]]:
    x = torch.linspace(-_REACH, _REACH, _POINTS, dtype=torch.float64)
    weights = _phi(x) * (x[1] - x[0])
    return x, weights / weights.sum()


def average(f: Function, K: float) -> float:
    """``<f(z)>`` over z ~ N(0, K) by the trapezoid rule; to rounding for smooth f, to 1e-5 for f with a kink at 0."""
    x, weights = _grid()
    return float((weights * f(math.sqrt(K) * x)).sum())


@dataclass(frozen=True)
class Averages:
    """Averages over z ~ N(0, K), in order ``<s^2>``, ``<s^4>``, ``<s'^2>``, ``<s'^4>``, ``<s^2 s'^2>``,
    ``<s^2 (z^2 - K)>`` and ``<s'^2 (z^2 - K)>`` (section 5.1)."""

    s2: float
    s4: float
    d2: float
    d4: float
    s2d2: float
    s2z: float
    d2z: float


@lru_cache(maxsize=50_000)
def averages(activation: Activation, K: float) -> Averages:
    """All averages at one K; closed forms for scale-invariant activations (eqs. 5.63, 5.115).

    Kept, because the recursions of kernels, vertices and the NTK pass the same K.
    """
    if activation.slopes is not None:
        A2, A4 = activation.A2, activation.A4
        return Averages(A2 * K, 3 * A4 * K * K, A2, A4, A4 * K, 2 * A2 * K * K, 0.0)
    x, weights = _grid()
    z = math.sqrt(K) * x
    s2, d2 = activation.value(z) ** 2, activation.slope(z) ** 2
    away = z * z - K
    return Averages(*(torch.stack([s2, s2 * s2, d2, d2 * d2, s2 * d2, s2 * away, d2 * away]) @ weights).tolist())


def correlated_average(activation: Activation, K: float, c: float) -> float:
    """``<s(u) s(v)>`` for u and v of variance K and correlation c (section 5.2); closed form for ReLU and its kin, else
    a Gauss-Hermite product rule."""
    if activation.slopes is not None:
        up, down = activation.slopes
        # s = (up + down)/2 z + (up - down)/2 |z|; <|u||v|> = (2 K / pi)(sqrt(1 - c^2) + c asin c)
        even = 2 / math.pi * (math.sqrt(max(0.0, 1 - c * c)) + c * math.asin(c))
        return K * (((up + down) / 2) ** 2 * c + ((up - down) / 2) ** 2 * even)
    nodes, weights = _hermite()
    v = math.sqrt(K) * (c * nodes[:, None] + math.sqrt(max(0.0, 1 - c * c)) * nodes[None])
    return float((weights * activation.value(math.sqrt(K) * nodes)) @ (activation.value(v) @ weights))


@lru_cache(maxsize=1)
def _hermite() -> tuple[Float[Tensor, " points"], Float[Tensor, " points"]]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    return torch.from_numpy(nodes), torch.from_numpy(weights / weights.sum())
