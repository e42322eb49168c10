"""The seven functions to fit: one for each property that separates families of activations.

The paper's own seven could not be read; these cover oscillation, composition, multiplication, jumps, kinks and several
frequencies, and four are those of the KAN paper. Inputs are uniform on [-1, 1]^d.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

pi = torch.pi


def bessel(x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """J_0(20 x): oscillating and decaying."""
    return torch.special.bessel_j0(20 * x[:, 0])


def composition(x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """exp(sin(pi x) + y^2): a smooth composition."""
    return torch.exp(torch.sin(pi * x[:, 0]) + x[:, 1].square())


def product(x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """x y."""
    return x[:, 0] * x[:, 1]


def deep(x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """exp((sin(pi (x1^2 + x2^2)) + sin(pi (x3^2 + x4^2))) / 2): a deep composition."""
    left, right = x[:, :2].square().sum(1), x[:, 2:].square().sum(1)
    return torch.exp((torch.sin(pi * left) + torch.sin(pi * right)) / 2)


def jumps(x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """[x > 0] / 2 + sign(sin 6 x) / 2."""
    return 0.5 * (x[:, 0] > 0) + 0.5 * torch.sign(torch.sin(6 * x[:, 0]))


def kinks(x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """|x| - |y| / 2."""
    return x[:, 0].abs() - 0.5 * x[:, 1].abs()


def frequencies(x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """The sum of sin(2 pi k x) / k over k in 1, 3, 7, 12."""
    return torch.stack([torch.sin(2 * pi * k * x[:, 0]) / k for k in (1, 3, 7, 12)]).sum(0)


#: name -> dimension, function
TASKS: dict[str, tuple[int, Callable[[Tensor], Tensor]]] = {
    "bessel": (1, bessel),
    "composition": (2, composition),
    "product": (2, product),
    "deep": (4, deep),
    "jumps": (1, jumps),
    "kinks": (2, kinks),
    "frequencies": (1, frequencies),
}


def sample(task: str, n: int, generator: torch.Generator) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n 1"]]:
    """``n`` inputs (n, d) and values (n, 1) of a task, drawn on the CPU."""
    d, function = TASKS[task]
    x = 2 * torch.rand(n, d, generator=generator) - 1
    return x, function(x)[:, None]
