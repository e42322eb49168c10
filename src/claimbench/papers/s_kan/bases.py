"""The pool of families: eight basis functions each, without normalisation or residual paths of their own.

Source: Section 3 of the paper names the families; their constants are choices of this reproduction (README).
"""

from __future__ import annotations

import math

import torch

#: functions of a family
SIZE = 8
FAMILIES = ("bspline", "fourier", "chebyshev", "rbf", "wavelet")


def bspline(x: torch.Tensor) -> torch.Tensor:
    """Cubic B-splines of a uniform grid of five intervals on [-1, 1]; zero beyond [-2.2, 2.2].

    In closed form: with v the distance from the centre in intervals, ((2 - v)+^3 - 4 (1 - v)+^3) / 6.
    """
    step = 0.4
    centres = torch.arange(SIZE, device=x.device, dtype=x.dtype) * step - 1.4
    distance = (x[..., None] - centres).abs() / step
    return ((2 - distance).relu() ** 3 - 4 * (1 - distance).relu() ** 3) / 6


def fourier(x: torch.Tensor) -> torch.Tensor:
    """sin and cos of k pi x, k = 1 to 4; by the addition theorem from the first pair."""
    s, c = torch.sin(math.pi * x), torch.cos(math.pi * x)
    sines, cosines = [s], [c]
    for _ in range(SIZE // 2 - 1):
        sines.append(sines[-1] * c + cosines[-1] * s)
        cosines.append(cosines[-1] * c - sines[-2] * s)
    return torch.stack([*sines, *cosines], -1)


def chebyshev(x: torch.Tensor) -> torch.Tensor:
    """T_0 to T_7 of x clamped to [-1, 1], by recurrence."""
    x = x.clamp(-1, 1)
    found = [torch.ones_like(x), x]
    while len(found) < SIZE:
        found.append(2 * x * found[-1] - found[-2])
    return torch.stack(found, -1)


def rbf(x: torch.Tensor) -> torch.Tensor:
    """Gaussians exp(-u^2) around eight centres on [-1, 1], u in distances of centres."""
    return torch.exp(-_units(x).square())


def wavelet(x: torch.Tensor) -> torch.Tensor:
    """Mexican hats (u^2 - 1) exp(-u^2 / 2), times 2 / (sqrt(3) pi^(1/4)), around the same centres."""
    squared = _units(x).square()
    return 2 / (math.sqrt(3) * math.pi**0.25) * (squared - 1) * torch.exp(-squared / 2)


def _units(x: torch.Tensor) -> torch.Tensor:
    centres = torch.linspace(-1, 1, SIZE, device=x.device, dtype=x.dtype)
    return (x[..., None] - centres) * ((SIZE - 1) / 2)


_FUNCTIONS = {"bspline": bspline, "fourier": fourier, "chebyshev": chebyshev, "rbf": rbf, "wavelet": wavelet}


def evaluate(families: tuple[str, ...], x: torch.Tensor) -> torch.Tensor:
    """(..., families, 8) of ``x`` (...)."""
    return torch.stack([_FUNCTIONS[family](x) for family in families], -2)


def evaluate_kept(families: tuple[str, ...], kept: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The bases of the families that a node is left with, and no others.

    Args:
        families: the pool.
        kept: (nodes, families), as many true for every node.
        x: (nodes, n).

    Returns:
        (nodes, families left, n, 8), in the order of the pool.
    """
    nodes, chosen = kept.nonzero(as_tuple=True)
    order = chosen.argsort(stable=True)
    parts = x[nodes[order]].split(chosen.bincount(minlength=len(families)).tolist())
    found = torch.cat([_FUNCTIONS[family](part) for family, part in zip(families, parts, strict=True)])
    return found[order.argsort()].unflatten(0, (len(x), -1))
