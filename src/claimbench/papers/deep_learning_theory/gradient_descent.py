"""Stacks of networks in NTK parametrisation trained by full-batch gradient descent (chapters 9 to 11)."""

from __future__ import annotations

import copy
import itertools
import math

import torch
from jaxtyping import Float
from torch import Tensor

from claimbench.papers.deep_learning_theory.activations import Activation


class Networks:
    """Networks with one output, weights N(0, 1) and factors sqrt(C_W / n) in front, without biases (section 8.0).

    Args:
        activation: ``s``.
        nets: networks of the stack.
        inputs: features n_0.
        width: of the hidden layers.
        depth: preactivation layers L, the output included.
        C_W: variance of the initial weights, over the fan-in.
        generator: of the weights; its device is used.
    """

    def __init__(
        self,
        activation: Activation,
        nets: int,
        inputs: int,
        width: int,
        depth: int,
        C_W: float,
        generator: torch.Generator,
    ) -> None:
        self.activation, self.C_W = activation, C_W
        sizes = [inputs, *[width] * (depth - 1), 1]
        device = generator.device
        self.weights = [
            torch.randn(nets, fan_in, fan_out, generator=generator, device=device)
            for fan_in, fan_out in itertools.pairwise(sizes)
        ]
        self.scales = [math.sqrt(C_W / fan_in) for fan_in in sizes[:-1]]

    def copies(self, count: int) -> Networks:
        """``count`` networks with the weights of this one (of a stack of one)."""
        found = copy.copy(self)
        found.weights = [weight.expand(count, -1, -1).clone() for weight in self.weights]
        return found

    def passes(
        self, x: Float[Tensor, "samples features"]
    ) -> tuple[Float[Tensor, "nets samples"], list[Tensor], list[Tensor]]:
        """Outputs, and for every layer its inputs and the derivatives of the output by its preactivations, each (nets,
        samples, units)."""
        h = x.expand(len(self.weights[0]), -1, -1)
        inputs, slopes = [], []
        for weight, scale in zip(self.weights, self.scales, strict=True):
            inputs.append(h)
            z = scale * torch.bmm(h, weight)
            slopes.append(self.activation.slope(z))
            h = self.activation.value(z)
        delta = torch.ones_like(z)
        deltas = [delta]
        for index in range(len(self.weights) - 1, 0, -1):
            delta = self.scales[index] * torch.bmm(delta, self.weights[index].transpose(1, 2)) * slopes[index - 1]
            deltas.append(delta)
        return z[..., 0], inputs, deltas[::-1]

    def ntk(self, x: Float[Tensor, "samples features"]) -> Float[Tensor, "nets samples samples"]:
        """Empirical NTK with lambda_W / n in front of each layer's gradient (eq. 8.5)."""
        _, inputs, deltas = self.passes(x)
        total = torch.zeros(len(self.weights[0]), len(x), len(x), device=x.device)
        for h, delta in zip(inputs, deltas, strict=True):
            gram = torch.bmm(h, h.transpose(1, 2)) / h.shape[2]
            total += gram * torch.bmm(delta, delta.transpose(1, 2))
        return total

    def step(
        self, x: Float[Tensor, "samples features"], y: Float[Tensor, "#nets samples"], rate: Tensor | float
    ) -> Float[Tensor, " nets"]:
        """One step of gradient descent on ``sum (f - y)^2 / 2``, so that f changes by ``- rate NTK (f - y)``.

        Args:
            x: inputs.
            y: targets, for all networks (1, samples) or for each.
            rate: for all networks, or (nets, 1, 1).

        Returns:
            The losses before the step.
        """
        f, inputs, deltas = self.passes(x)
        error = (f - y)[..., None]
        pull = rate * error
        for weight, scale, h, delta in zip(self.weights, self.scales, inputs, deltas, strict=True):
            # dz/dW = scale h, and lambda / n = scale^2 / C_W of the NTK: the step is divided by scale C_W / n
            weight.baddbmm_(h.transpose(1, 2), pull * delta, alpha=-scale / self.C_W)
        return 0.5 * error.square().sum((1, 2))


def largest_rate(
    activation: Activation,
    x: Float[Tensor, "samples features"],
    y: Float[Tensor, " samples"],
    width: int,
    depth: int,
    C_W: float,
    seed: int,
    steps: int = 20,
) -> float:
    """Smallest rate for which the loss after ``steps`` steps exceeds that before, for one network and targets ``y``
    away from its outputs at the start (section 9.4).

    The targets should be near, so that the network stays where the theory expands it: with targets of order 1 the loss
    rises and falls again at rates of 2 to 10 times the linear limit.

    Rates are raised by 3 % from half of the linear limit ``2 / lambda_max`` of the NTK on: far above the first failure
    networks of dead units have small losses again.
    """

    net = Networks(activation, 1, x.shape[1], width, depth, C_W, torch.Generator(x.device).manual_seed(seed))
    start, _, _ = net.passes(x)
    rate = 1.0 / float(torch.linalg.eigvalsh(net.ntk(x)[0].double())[-1])
    while rate < 1e6:
        # eight rates at once; the first that fails counts
        rates = rate * 1.03 ** torch.arange(9, dtype=torch.float64)
        nets, each = net.copies(8), rates[:-1].to(x)[:, None, None]
        first = last = nets.step(x, start + y, each)
        for _ in range(steps):
            last = nets.step(x, start + y, each)
        failed = ~(torch.isfinite(last) & (last < first))
        if bool(failed.any()):
            return float(rates[int(failed.nonzero()[0])])
        rate = float(rates[-1])
    return rate
