"""The pool of families: eight basis functions each, without normalisation or residual paths of their own.

Every function gives its values with its slopes, so that the way back through a basis is one weighted sum. Source:
Section 3 of the paper names the families; their constants are choices of this reproduction (README).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

#: functions of a family
SIZE = 8
FAMILIES = ("bspline", "fourier", "chebyshev", "rbf", "wavelet")

#: (..., 8, n) values of a family's functions at x (..., n), and their slopes where these are wanted
Curves = tuple[Float[Tensor, "*nodes 8 n"], Float[Tensor, "*nodes 8 n"] | None]


def bspline(x: Float[Tensor, "*nodes n"], sloped: bool = True) -> Curves:
    """Cubic B-splines of a uniform grid of five intervals on [-1, 1]; zero beyond [-2.2, 2.2].

    In closed form: with v the distance from the centre in intervals, ((2 - v)+^3 - 4 (1 - v)+^3) / 6.
    """
    step = 0.4
    centres = torch.arange(SIZE, device=x.device, dtype=x.dtype)[:, None] * step - 1.4
    offset = (x[..., None, :] - centres).div_(step)
    distance = offset.abs()
    far, near = (2 - distance).relu_(), (1 - distance).relu_()
    far_squared, near_squared = far * far, near * near
    values = far.mul_(far_squared).sub_(near.mul_(near_squared), alpha=4).div_(6)
    if not sloped:
        return values, None
    return values, near_squared.mul_(2).sub_(far_squared, alpha=0.5).mul_(offset.sign_()).div_(step)


def fourier(x: Float[Tensor, "*nodes n"], sloped: bool = True) -> Curves:
    """sin and cos of k pi x, k = 1 to 4; by the addition theorem from the first pair."""
    s, c = torch.sin(math.pi * x), torch.cos(math.pi * x)
    sines, cosines = [s], [c]
    for _ in range(SIZE // 2 - 1):
        sines.append((sines[-1] * c).addcmul_(cosines[-1], s))
        cosines.append((cosines[-1] * c).addcmul_(sines[-2], s, value=-1))
    half = SIZE // 2
    values = torch.stack([*sines, *cosines], -2)
    if not sloped:
        return values, None
    rates = math.pi * torch.arange(1, half + 1, device=x.device, dtype=x.dtype)[:, None]
    slopes = torch.empty_like(values)
    torch.mul(values[..., half:, :], rates, out=slopes[..., :half, :])
    torch.mul(values[..., :half, :], -rates, out=slopes[..., half:, :])
    return values, slopes


def chebyshev(x: Float[Tensor, "*nodes n"], sloped: bool = True) -> Curves:
    """T_0 to T_7 of x clamped to [-1, 1], by recurrence; flat beyond. The slope of T_k is k U_(k-1)."""
    clamped = x.clamp(-1, 1)
    twice, ones = 2 * clamped, torch.ones_like(x)
    first, second = [ones, clamped], [torch.zeros_like(x), ones]
    while len(first) < SIZE:
        first.append((twice * first[-1]).sub_(first[-2]))
    if not sloped:
        return torch.stack(first, -2), None
    while len(second) < SIZE:
        second.append((twice * second[-1]).sub_(second[-2]))
    orders = torch.arange(SIZE, device=x.device, dtype=x.dtype)[:, None]
    inside = (x.abs() <= 1).to(x.dtype)[..., None, :]
    return torch.stack(first, -2), torch.stack(second, -2).mul_(orders).mul_(inside)


def rbf(x: Float[Tensor, "*nodes n"], sloped: bool = True) -> Curves:
    """Gaussians exp(-u^2) around eight centres on [-1, 1], u in distances of centres."""
    u = _units(x)
    values = (u * u).neg_().exp_()
    return values, u.mul_(-2 * _PER_UNIT).mul_(values) if sloped else None


def wavelet(x: Float[Tensor, "*nodes n"], sloped: bool = True) -> Curves:
    """Mexican hats (u^2 - 1) exp(-u^2 / 2), times 2 / (sqrt(3) pi^(1/4)), around the same centres."""
    u = _units(x)
    squared = u * u
    bump = torch.exp(squared / -2).mul_(2 / (math.sqrt(3) * math.pi**0.25))
    return (squared - 1).mul_(bump), u.mul_(_PER_UNIT).mul_(bump).mul_(3 - squared) if sloped else None


#: distances of centres in a unit of x
_PER_UNIT = (SIZE - 1) / 2


def _units(x: Tensor) -> Tensor:
    centres = torch.linspace(-1, 1, SIZE, device=x.device, dtype=x.dtype)[:, None]
    return (x[..., None, :] - centres).mul_(_PER_UNIT)


_FUNCTIONS = {"bspline": bspline, "fourier": fourier, "chebyshev": chebyshev, "rbf": rbf, "wavelet": wavelet}


class _All(torch.autograd.Function):
    """(..., families, 8, n) of (..., n)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, families: tuple[str, ...]) -> Tensor:
        curves = [_FUNCTIONS[family](x, ctx.needs_input_grad[0]) for family in families]
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(_side_by_side([slopes for _, slopes in curves]))
        return _side_by_side([values for values, _ in curves])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (slopes,) = ctx.saved_tensors
        return (gradients[0] * slopes).sum((-3, -2)), None


def _side_by_side(parts: list[Tensor]) -> Tensor:
    return parts[0].unsqueeze(-3) if len(parts) == 1 else torch.stack(parts, -3)


class _Kept(torch.autograd.Function):
    """(nodes, families left, 8, n) of (nodes, n)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, families: tuple[str, ...], kept: Tensor) -> Tensor:
        nodes, chosen = kept.nonzero(as_tuple=True)
        sloped = ctx.needs_input_grad[0]
        values = x.new_empty((len(nodes), SIZE, x.shape[1]))
        slopes = torch.empty_like(values) if sloped else None
        for number, family in enumerate(families):
            rows = (chosen == number).nonzero()[:, 0]
            if len(rows):
                values[rows], found = _FUNCTIONS[family](x[nodes[rows]], sloped)
                if slopes is not None:
                    slopes[rows] = found
        if slopes is not None:
            ctx.save_for_backward(slopes.unflatten(0, (len(x), -1)))
        return values.unflatten(0, (len(x), -1))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (slopes,) = ctx.saved_tensors
        return (gradients[0] * slopes).sum((1, 2)), None, None


def evaluate(families: tuple[str, ...], x: Float[Tensor, "*nodes n"]) -> Float[Tensor, "*nodes families 8 n"]:
    """All functions of some families: (..., families, 8, n) of ``x`` (..., n)."""
    found: Tensor = _All.apply(x, families)
    return found


def evaluate_kept(
    families: tuple[str, ...], kept: Bool[Tensor, "nodes families"], x: Float[Tensor, "nodes n"]
) -> Float[Tensor, "nodes left 8 n"]:
    """The bases of the families that a node is left with, and no others.

    Args:
        families: the pool.
        kept: (nodes, families), as many true for every node.
        x: (nodes, n).

    Returns:
        (nodes, families left, 8, n), in the order of the pool.
    """
    found: Tensor = _Kept.apply(x, families, kept)
    return found
