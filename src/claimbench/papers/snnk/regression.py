"""Fully bundled networks: fixed random maps and one layer of parameters, whose optimum is a formula (Section 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from claimbench.papers.snnk.features import Rectified

Samples = Float[Tensor, "n features"]
Targets = Float[Tensor, "n targets"]
Parameters = Float[Tensor, "features targets"]


@dataclass
class Tower:
    """Random ReLU maps in a row, Phi_L(... Phi_1(x)); a constant 1 is appended before each, which stands for biases.

    Args:
        maps: the features of each.
    """

    maps: list[Rectified]

    @classmethod
    def draw(cls, inputs: int, m: int, depth: int, generator: torch.Generator) -> Tower:
        """``depth`` maps to ``m`` features each."""
        widths = [inputs, *[m] * (depth - 1)]
        return cls([Rectified.draw(m, width + 1, generator) for width in widths])

    def __call__(self, x: Float[Tensor, "n inputs"]) -> Samples:
        """(n, m) features of (n, inputs)."""
        for drawn in self.maps:
            x = drawn.phi(torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype, device=x.device)], 1))
        return x


def ridge_path(z: Samples, y: Targets, penalties: list[float]) -> list[Parameters]:
    """Theta^T (m, targets) of least squares with each penalty on the squared norm, from one decomposition.

    With fewer samples than features the n x n system is solved instead.

    Args:
        z: (n, m) features.
        y: (n, targets).
        penalties: lambda, times the mean diagonal of Z^T Z.
    """
    n, m = z.shape
    dual = n < m
    values, vectors = torch.linalg.eigh(z @ z.T if dual else z.T @ z)
    values = values.clamp_min(0)
    level = float(z.square().sum()) / m
    right = vectors.T @ (y if dual else z.T @ y)
    found = []
    for penalty in penalties:
        solved = vectors @ (right / (values + penalty * level)[:, None])
        found.append(z.T @ solved if dual else solved)
    return found


def train(
    z: Samples, y: Targets, epochs: int, batch: int, learning_rate: float, generator: torch.Generator
) -> Parameters:
    """The same parameters by Adam on the mean squared error, from zero."""
    theta = torch.zeros(z.shape[1], y.shape[1], dtype=z.dtype, requires_grad=True)
    optimizer = torch.optim.Adam([theta], lr=learning_rate)
    for _ in range(epochs):
        for rows in torch.randperm(len(z), generator=generator).split(batch):
            optimizer.zero_grad()
            (z[rows] @ theta - y[rows]).square().mean().backward()
            optimizer.step()
    return theta.detach()


def friedman(n: int, generator: torch.Generator) -> tuple[Float[Tensor, "n 10"], Float[Tensor, "n 1"]]:
    """Friedman's first function of ten uniform inputs, of which five count, with noise N(0, 1): (n, 10), (n, 1)."""
    x = torch.rand(n, 10, generator=generator, dtype=torch.float64)
    y = 10 * torch.sin(math.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    return x, (y + torch.randn(n, generator=generator, dtype=torch.float64))[:, None]
