"""Layers with random features in place of dense ones, bundling, and adapters for transformers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from claimbench.papers.snnk.features import PROJECTIONS, Universal

if TYPE_CHECKING:
    from collections.abc import Sequence

Tokens = Float[Tensor, "*batch width"]


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

    def features(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch features"]:
        """Phi(x) (..., m) of x (..., inputs)."""
        m = len(self.projections)
        shift = self.projections[:, -1]
        return torch.relu(torch.nn.functional.linear(x, self.projections[:, :-1], shift)) / math.sqrt(m)

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """The outputs, features times Theta."""
        return torch.nn.functional.linear(self.features(x), self.theta)


class UniversalLayer(nn.Module):
    """Universal features of the input times trainable parameters Theta (out, 2 m); what is drawn is fixed.

    Args:
        inputs: width of the input.
        outputs: width of the output.
        m: number of features, each a cosine and a sine.
        generator: of projections and frequencies.
        weight: (outputs, inputs) of the layer that Theta is the features of; None starts from N(0, 0.02^2).
        bias: (outputs,) of that layer; None is zero.
        target: activation of that layer: ``cos``, ``sin`` or ``gaussian``.
        kind: of the projections.
        length: scale every input to this length, as exp(t^2 |x|^2 / 2) would explode for long ones; None leaves them.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        m: int,
        generator: torch.Generator,
        weight: torch.Tensor | None = None,
        bias: torch.Tensor | None = None,
        target: str = "cos",
        kind: str = "orthogonal",
        length: float | None = None,
    ) -> None:
        super().__init__()
        drawn = Universal.draw(target, m, inputs, generator, kind)
        if weight is None:
            weight = 0.02 * torch.randn(outputs, inputs, generator=generator)
        if bias is None:
            bias = torch.zeros(outputs)
        self.target, self.length = target, length
        self.projections: torch.Tensor
        self.frequencies: torch.Tensor
        self.register_buffer("projections", drawn.projections.float())
        self.register_buffer("frequencies", drawn.frequencies.float())
        self.theta = nn.Parameter(drawn.psi(weight.double(), bias.double()).float())

    def features(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch features"]:
        """Phi(x) (..., 2 m) of x (..., inputs)."""
        if self.length is not None:
            x = self.length * torch.nn.functional.normalize(x, dim=-1)
        return Universal(self.target, self.projections, self.frequencies).phi(x)

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """The outputs, features times Theta."""
        return torch.nn.functional.linear(self.features(x), self.theta)


def bundle(weights: Sequence[torch.Tensor], biases: Sequence[torch.Tensor], maps: Sequence[Any]) -> torch.Tensor:
    """Parameters P (out, features) of a whole network f_L(W_L ... f_1(W_1 x + b_1) ... + b_L), so that its output is
    P Phi_L(... Phi_1(x)).

    W_2 (Psi_1 Phi_1) = (W_2 Psi_1) Phi_1: the second layer sees Phi_1(x) through the weights W_2 Psi_1, and so on.

    Args:
        weights: W_1 to W_L.
        biases: b_1 to b_L.
        maps: the features of each layer's activation; those of layer l are of the width of Phi_(l-1).
    """
    found = maps[0].psi(weights[0], biases[0])
    for weight, bias, drawn in zip(weights[1:], biases[1:], maps[1:], strict=True):
        found = drawn.psi(weight @ found, bias)
    return found


class Bottleneck(nn.Module):
    """An adapter x + up(relu(down(x))), with the up-projection starting at zero (Houlsby et al. 2019)."""

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, rank), nn.Linear(rank, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tokens) -> Tokens:
        """The tokens with what the adapter adds."""
        return x + self.up(torch.relu(self.down(x)))


class Adapter(nn.Module):
    """An adapter x + v * layer(x) with a trainable vector v that starts at zero; the layer has random features."""

    def __init__(self, width: int, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.scale = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tokens) -> Tokens:
        """The tokens with what the adapter adds."""
        return x + self.scale * self.layer(x)
