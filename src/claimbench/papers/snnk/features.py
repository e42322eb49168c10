"""Random features: universal ones (URF) for activations with a Fourier transform, and those of ReLU.

Source: Section 3 (universal random features); the released code for ReLU. A layer f(W x + b) becomes the product
Phi(x) Psi(W, b)^T.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Projections = Float[Tensor, "m d"]
Weights = Float[Tensor, "outputs d"]
Estimates = Float[Tensor, "n outputs"]

TARGETS = ("cos", "sin", "gaussian", "relu")


def gaussian(m: int, d: int, generator: torch.Generator) -> Projections:
    """Projections (m, d) with independent standard normal entries."""
    return torch.randn(m, d, generator=generator, dtype=torch.float64)


def orthogonal(m: int, d: int, generator: torch.Generator, signed: bool = True) -> Projections:
    """Projections (m, d) of blocks of orthogonal rows with the lengths of normal vectors.

    Args:
        m: rows; the last block is cut.
        d: columns.
        generator: of the blocks.
        signed: multiply by the signs of R's diagonal, without which Q is not uniform (Haar) and estimates are biased.
    """
    blocks = []
    for _ in range(math.ceil(m / d)):
        q, r = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64))
        if signed:
            q = q * torch.diagonal(r).sign()
        lengths = torch.randn(d, d, generator=generator, dtype=torch.float64).norm(dim=1, keepdim=True)
        blocks.append(q.T * lengths)
    return torch.cat(blocks)[:m]


PROJECTIONS = {
    "iid": gaussian,
    "orthogonal": orthogonal,
    "unsigned": lambda m, d, generator: orthogonal(m, d, generator, signed=False),
}


@dataclass
class Universal:
    """Universal random features of cos, sin or the Gaussian exp(-z^2 / 2), in real form.

    With t = 2 pi xi the frequencies of the activation (1 for cos and sin, N(0, 1) for the Gaussian), projections g and
    s = sqrt(1 + 4 M):

        Phi(x) = D exp(t^2 |x|^2 / 2 - M |g|^2) [cos(s t g x), -sin(s t g x)] / sqrt(m)
        Psi(w, b) = D exp(-|w|^2 / 2 + s g w - M |g|^2) [cos(t b), sin(t b)] / sqrt(m),    D = (1 + 4 M)^(d / 4)

    Args:
        target: ``cos``, ``sin`` or ``gaussian``.
        projections: (m, d).
        frequencies: (m,).
        spread: M of the generalised exponential features; 0 gives the plain positive ones.
    """

    target: str
    projections: Projections
    frequencies: Float[Tensor, " m"]
    spread: float = 0.0

    @classmethod
    def draw(
        cls, target: str, m: int, d: int, generator: torch.Generator, kind: str = "iid", spread: float = 0.0
    ) -> Universal:
        """``m`` features of inputs of dimension ``d``."""
        projections = PROJECTIONS[kind](m, d, generator)
        if target == "gaussian":
            frequencies = torch.randn(m, generator=generator, dtype=torch.float64)
        else:
            frequencies = torch.ones(m, dtype=torch.float64)
        return cls(target, projections, frequencies, spread)

    def phi(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch features"]:
        """(..., 2 m) features of inputs (..., d)."""
        t = self.frequencies
        angle = math.sqrt(1 + 4 * self.spread) * t * (x @ self.projections.T)
        scale = torch.exp(t.square() * x.square().sum(-1, keepdim=True) / 2 + self._level())
        return torch.cat([scale * angle.cos(), -scale * angle.sin()], -1)

    def psi(self, w: Weights, b: Float[Tensor, " outputs"]) -> Float[Tensor, "outputs features"]:
        """(out, 2 m) features of weights (out, d) and biases (out,)."""
        if self.target == "sin":
            b = b - math.pi / 2
        growth = math.sqrt(1 + 4 * self.spread) * (w @ self.projections.T) - w.square().sum(1, keepdim=True) / 2
        scale = torch.exp(growth + self._level())
        angle = self.frequencies * b[:, None]
        return torch.cat([scale * angle.cos(), scale * angle.sin()], 1)

    def _level(self) -> torch.Tensor:
        """log(D / sqrt(m)) - M |g|^2, (m,)."""
        m, d = self.projections.shape
        return d / 4 * math.log1p(4 * self.spread) - self.spread * self.projections.square().sum(1) - 0.5 * math.log(m)


@dataclass
class Rectified:
    """Features of ReLU: max(G x, c) / sqrt(m) on both sides.

    Args:
        projections: (m, d).
        floor: c; 0 gives an arc-cosine kernel.
    """

    projections: Projections
    floor: float = 0.0

    @classmethod
    def draw(cls, m: int, d: int, generator: torch.Generator, kind: str = "iid") -> Rectified:
        """``m`` features of inputs of dimension ``d``."""
        return cls(PROJECTIONS[kind](m, d, generator))

    def phi(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n m"]:
        """(n, m) features of inputs or weights (n, d)."""
        return (x @ self.projections.T).clamp_min(self.floor) / math.sqrt(len(self.projections))

    def psi(self, w: Weights, b: Float[Tensor, " outputs"] | None = None) -> Float[Tensor, "outputs m"]:
        """As :meth:`phi`; ``b`` is left out, as a bias is one more input (and the released layer has none)."""
        return self.phi(w)


def draw(
    target: str, m: int, d: int, generator: torch.Generator, kind: str = "iid", spread: float = 0.0
) -> Universal | Rectified:
    """``m`` random features of a target."""
    if target not in TARGETS:
        raise ValueError(f"target is {target!r}; allowed: {', '.join(TARGETS)}")
    if target == "relu":
        return Rectified.draw(m, d, generator, kind)
    return Universal.draw(target, m, d, generator, kind, spread)


def exact(target: str, x: Float[Tensor, "n d"], w: Weights, b: Float[Tensor, " outputs"]) -> Estimates:
    """What the features estimate, (n, out): f(W x + b), or for ``relu`` the kernel
    |x| |w| (sin a + (pi - a) cos a) / (2 pi) with the angle a."""
    if target == "relu":
        lengths, angle = _lengths_and_angle(x, w)
        return lengths * (angle.sin() + (math.pi - angle) * angle.cos()) / (2 * math.pi)
    z = x @ w.T + b
    return {"cos": torch.cos, "sin": torch.sin, "gaussian": lambda v: torch.exp(-v.square() / 2)}[target](z)


def variance(target: str, x: Float[Tensor, "n d"], w: Weights, b: Float[Tensor, " outputs"]) -> Estimates:
    """Variance (n, out) of the estimate by one independent feature, in closed form (``cos`` without spread, ``relu``).

    cos: (exp(|x|^2 + |w|^2) + exp(|w|^2 - |x|^2) cos(4 w x + 2 b)) / 2 - cos^2(w x + b);
    relu: |x|^2 |w|^2 (3 sin a cos a + (pi - a) (1 + 2 cos^2 a)) / (2 pi) minus the squared kernel.
    """
    if target == "relu":
        lengths, a = _lengths_and_angle(x, w)
        second = (3 * a.sin() * a.cos() + (math.pi - a) * (1 + 2 * a.cos().square())) / (2 * math.pi)
        return lengths.square() * second - exact(target, x, w, b).square()
    if target != "cos":
        raise ValueError(f"no closed form for {target!r}; allowed: cos, relu")
    xx, ww, z = x.square().sum(1, keepdim=True), w.square().sum(1), x @ w.T
    second = (torch.exp(xx + ww) + torch.exp(ww - xx) * torch.cos(4 * z + 2 * b)) / 2
    return second - torch.cos(z + b).square()


def _lengths_and_angle(x: torch.Tensor, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = x.norm(dim=1, keepdim=True) * w.norm(dim=1)
    return lengths, torch.acos((x @ w.T / lengths).clamp(-1, 1))
