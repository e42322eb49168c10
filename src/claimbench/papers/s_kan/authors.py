"""The nine KAN layers of the authors' collection, each with its own normalisation and residual path.

Written from their formulas: the table of the README says what each consists of and how many parameters it has. They are
the evidence for the pool of families; the pool itself (:mod:`.bases`) has the same functions without those extras.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def _normal(*shape: int, scale: float) -> nn.Parameter:
    return nn.Parameter(scale * torch.randn(*shape))


class BSpline(nn.Module):
    """Grid 5, order 3 on [-1, 1], a scale for every edge, SiLU base: 10 i o parameters."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.spline, self.scale = _normal(o, i, 8, scale=0.1), nn.Parameter(torch.ones(o, i))
        self.base = _normal(o, i, scale=1 / math.sqrt(i))

    def forward(self, x: Float[Tensor, "n i"]) -> Float[Tensor, "n o"]:
        """(n, o) of (n, i)."""
        from claimbench.papers.s_kan.bases import bspline

        edges = torch.einsum("nki,oik->no", bspline(x)[0], self.spline * self.scale[..., None])
        return edges + F.linear(F.silu(x), self.base)


class FastKAN(nn.Module):
    """Layer norm, Gaussians on eight centres in [-2, 2], linear base with bias: 9 i o + o + 2 i."""

    def __init__(self, i: int, o: int, normalised: bool = True) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(i) if normalised else nn.Identity()
        self.register_buffer("centres", torch.linspace(-2, 2, 8))
        self.centres: Tensor
        self.spline, self.base = nn.Linear(8 * i, o, bias=False), nn.Linear(i, o)

    def forward(self, x: Float[Tensor, "n i"]) -> Float[Tensor, "n o"]:
        """(n, o) of (n, i)."""
        u = (self.norm(x)[..., None] - self.centres) / (4 / 7)
        return self.spline(torch.exp(-u.square()).flatten(1)) + self.base(F.silu(x))


class RBF(FastKAN):
    """FastKAN without the layer norm: 9 i o + o."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__(i, o, normalised=False)


class FasterKAN(nn.Module):
    """Layer norm, 1 - tanh^2 on eight centres in [-1.2, 0.2], no base: 8 i o + 2 i."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.norm, self.spline = nn.LayerNorm(i), nn.Linear(8 * i, o, bias=False)
        self.register_buffer("centres", torch.linspace(-1.2, 0.2, 8))
        self.centres: Tensor

    def forward(self, x: Float[Tensor, "n i"]) -> Float[Tensor, "n o"]:
        """(n, o) of (n, i)."""
        return self.spline((1 - torch.tanh(self.norm(x)[..., None] - self.centres).square()).flatten(1))


class Chebyshev(nn.Module):
    """T_0 to T_4 of the clamped input, no base: 5 i o."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.coefficients = _normal(i, o, 5, scale=1 / (5 * i))

    def forward(self, x: Float[Tensor, "n i"]) -> Float[Tensor, "n o"]:
        """(n, o) of (n, i)."""
        angle = torch.acos(x.clamp(-1 + 1e-6, 1 - 1e-6))
        basis = torch.cos(angle[..., None] * torch.arange(5, device=x.device))
        return torch.einsum("nik,iok->no", basis, self.coefficients)


class Gram(nn.Module):
    """Gram polynomials of degree 3 on tanh, learned recurrence, SiLU of basis, base and output, layer norm:
    5 i o + 4 + 2 o."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.coefficients, self.beta = _normal(i, o, 4, scale=1 / (4 * i)), _normal(4, scale=1 / (4 * i))
        self.base, self.norm = _normal(o, i, scale=1 / math.sqrt(i)), nn.LayerNorm(o)

    def forward(self, x: Float[Tensor, "n i"]) -> Float[Tensor, "n o"]:
        """(n, o) of (n, i)."""
        basis = F.silu(gram(torch.tanh(x), self.beta))
        edges = torch.einsum("nik,iok->no", basis, self.coefficients)
        return F.silu(self.norm(edges + F.linear(F.silu(x), self.base)))


def gram(z: Float[Tensor, "*shape"], beta: Float[Tensor, " degrees"]) -> Float[Tensor, "*shape degrees"]:
    """Polynomials (..., len(beta)) with p_k = z p_(k-1) - c_n p_(k-2), n = k - 1, and, as released,
    c_n = (k + n) (k - n) n^2 (4 n^2 - 1) / k^2 times a learned beta_n (Gram's own divides by 4 n^2 - 1)."""
    found = [torch.ones_like(z), z]
    for k in range(2, len(beta)):
        n = k - 1
        found.append(z * found[-1] - (k + n) * (k - n) * n**2 * (4 * n**2 - 1) / k**2 * beta[n] * found[-2])
    return torch.stack(found, -1)


class Wavelet(nn.Module):
    """A Mexican hat of its own place and width for every edge, SiLU base, batch norm: 4 i o + 2 o."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.width, self.place = nn.Parameter(torch.ones(o, i)), nn.Parameter(torch.zeros(o, i))
        self.weight, self.base = _normal(o, i, scale=1 / math.sqrt(i)), _normal(o, i, scale=1 / math.sqrt(i))
        self.norm = nn.BatchNorm1d(o)

    def forward(self, x: Float[Tensor, "n i"]) -> Float[Tensor, "n o"]:
        """(n, o) of (n, i)."""
        squared = ((x[:, None] - self.place) / self.width).square()
        hats = 2 / (math.sqrt(3) * math.pi**0.25) * (squared - 1) * torch.exp(-squared / 2)
        return self.norm((hats * self.weight).sum(2) + F.linear(F.silu(x), self.base))


class Jacobi(nn.Module):
    """Jacobi polynomials of degree 4 (a = b = 1) on tanh, SiLU base, layer norm, SiLU: 6 i o + 2 o."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.coefficients = _normal(i, o, 5, scale=1 / (5 * i))
        self.base, self.norm = _normal(o, i, scale=1 / math.sqrt(i)), nn.LayerNorm(o)

    def forward(self, x: Float[Tensor, "n i"]) -> Float[Tensor, "n o"]:
        """(n, o) of (n, i)."""
        edges = torch.einsum("nik,iok->no", jacobi(torch.tanh(x), 4), self.coefficients)
        return F.silu(self.norm(edges + F.linear(F.silu(x), self.base)))


def jacobi(
    z: Float[Tensor, "*shape"], degree: int, a: float = 1.0, b: float = 1.0
) -> Float[Tensor, "*shape polynomials"]:
    """Jacobi polynomials P_0 to P_degree (..., degree + 1), by the three-term recurrence."""
    found = [torch.ones_like(z), ((a - b) + (a + b + 2) * z) / 2]
    for n in range(2, degree + 1):
        s = 2 * n + a + b
        lead = 2 * n * (n + a + b) * (s - 2)
        found.append(
            ((s - 1) * (s * (s - 2) * z + a * a - b * b) * found[-1] - 2 * (n + a - 1) * (n + b - 1) * s * found[-2])
            / lead
        )
    return torch.stack(found[: degree + 1], -1)


class ReLUKAN(nn.Module):
    """Squared products of two ReLUs with learned ends, grid 5, order 3: 8 i o + 16 i + o."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        grid, order = 5, 3
        low = torch.arange(-order, grid) / grid
        self.low = nn.Parameter(low.repeat(i, 1))
        self.high = nn.Parameter((low + (order + 1) / grid).repeat(i, 1))
        self.scale = 4 * grid**2 / (order + 1) ** 2
        self.output = nn.Linear(8 * i, o)

    def forward(self, x: Float[Tensor, "n i"]) -> Float[Tensor, "n o"]:
        """(n, o) of (n, i)."""
        bumps = torch.relu(x[..., None] - self.low) * torch.relu(self.high - x[..., None]) * self.scale
        return self.output(bumps.square().flatten(1))


#: name -> layer, its number of parameters for i inputs and o outputs
LAYERS: dict[str, tuple[Callable[[int, int], nn.Module], Callable[[int, int], int]]] = {
    "b-spline": (BSpline, lambda i, o: 10 * i * o),
    "fastkan": (FastKAN, lambda i, o: 9 * i * o + o + 2 * i),
    "fasterkan": (FasterKAN, lambda i, o: 8 * i * o + 2 * i),
    "chebyshev": (Chebyshev, lambda i, o: 5 * i * o),
    "gram": (Gram, lambda i, o: 5 * i * o + 4 + 2 * o),
    "wavelet": (Wavelet, lambda i, o: 4 * i * o + 2 * o),
    "jacobi": (Jacobi, lambda i, o: 6 * i * o + 2 * o),
    "relu-kan": (ReLUKAN, lambda i, o: 8 * i * o + 16 * i + o),
    "rbf": (RBF, lambda i, o: 9 * i * o + o),
}
