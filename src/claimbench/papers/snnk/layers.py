"""Layers with random features: dense, bundled, and adapters for transformers."""

from __future__ import annotations

import math

import torch
from torch import nn

from claimbench.papers.snnk.features import PROJECTIONS


class RectifiedLayer(nn.Module):
    """ReLU features of the input times trainable parameters Theta (out, m); the projections are fixed.

    Args:
        inputs: width of the input; a constant 1 is appended, which stands for the bias.
        outputs: width of the output.
        m: number of features.
        generator: of the projections.
        weight: (outputs, inputs + 1) of the layer that Theta is the features of; None starts from N(0, 0.02^2).
        kind: of the projections.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        m: int,
        generator: torch.Generator,
        weight: torch.Tensor | None = None,
        kind: str = "orthogonal",
    ) -> None:
        super().__init__()
        projections = PROJECTIONS[kind](m, inputs + 1, generator).float()
        self.projections: torch.Tensor
        self.register_buffer("projections", projections)
        if weight is None:
            weight = 0.02 * torch.randn(outputs, inputs + 1, generator=generator)
        self.theta = nn.Parameter(torch.relu(weight @ projections.T) / math.sqrt(m))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Phi(x) (..., m) of x (..., inputs)."""
        m = len(self.projections)
        shift = self.projections[:, -1]
        return torch.relu(torch.nn.functional.linear(x, self.projections[:, :-1], shift)) / math.sqrt(m)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(self.features(x), self.theta)


def bundled(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Parameters (out, m) of the linear maps Theta (hidden, m) and W (out, hidden): W (Theta Phi) = (W Theta) Phi."""
    return second @ first


class Bottleneck(nn.Module):
    """An adapter x + up(relu(down(x))), with the up-projection starting at zero (Houlsby et al. 2019)."""

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, rank), nn.Linear(rank, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.up(torch.relu(self.down(x)))


class Adapter(nn.Module):
    """An adapter x + v * Theta Phi(x) with m features and a trainable vector v that starts at zero."""

    def __init__(self, width: int, m: int, generator: torch.Generator) -> None:
        super().__init__()
        self.layer = RectifiedLayer(width, width, m, generator)
        self.scale = nn.Parameter(torch.zeros(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.scale * self.layer(x)
