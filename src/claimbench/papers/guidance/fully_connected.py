"""Deep and wide fully connected networks (Section 4, image experiments), several trained at once as one stack.

Each hidden layer is linear, BatchNorm, ReLU, dropout; features are the outputs of the linear layers (before BatchNorm).
Hidden linear layers have no bias: BatchNorm and the centring of CKA take it out again.
Activations are kept as (networks, width, samples), so that BatchNorm sees one long list of channels.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

MOMENTUM = 0.1


class FullyConnected(nn.Module):
    """``len(generators)`` networks of one shape.

    Args:
        sizes: features, widths of the hidden layers, classes.
        generators: of the first weights, one a network; weights and the last bias as torch.nn.Linear draws them.
    """

    def __init__(self, sizes: list[int], generators: list[torch.Generator]) -> None:
        super().__init__()
        self.sizes = sizes
        weights: list[list[torch.Tensor]] = []
        for generator in generators:
            own = []
            for fan_in, fan_out in itertools.pairwise(sizes):
                bound = fan_in**-0.5
                own.append(torch.empty(fan_out, fan_in).uniform_(-bound, bound, generator=generator))
            own.append(torch.empty(sizes[-1], 1).uniform_(-bound, bound, generator=generator))
            weights.append(own)
        *stacked, bias = [torch.stack(parts) for parts in zip(*weights, strict=True)]
        self.weights = nn.ParameterList(stacked)
        self.bias = nn.Parameter(bias)
        networks = len(generators)
        self.gains = nn.ParameterList([torch.ones(networks, width) for width in sizes[1:-1]])
        self.shifts = nn.ParameterList([torch.zeros(networks, width) for width in sizes[1:-1]])
        for index, width in enumerate(sizes[1:-1]):
            self.register_buffer(f"mean_{index}", torch.zeros(networks, width))
            self.register_buffer(f"variance_{index}", torch.ones(networks, width))

    @property
    def networks(self) -> int:
        return len(self.weights[0])

    def forward(
        self, x: torch.Tensor, masks: list[torch.Tensor] | None = None, wanted: frozenset[int] = frozenset()
    ) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
        """Logits (networks, classes, samples) of ``x`` (networks, features, samples), and the wanted layers' features.

        Args:
            x: the inputs.
            masks: dropout factors of each hidden layer (networks, width, samples); None for no dropout.
            wanted: hidden layers whose features (networks, width, samples) are returned.
        """
        features: dict[int, torch.Tensor] = {}
        activation = x
        for index, weight in enumerate(list(self.weights)[:-1]):
            z = torch.bmm(weight, activation)
            if index in wanted:
                features[index] = z
            normal = F.batch_norm(
                z.view(1, -1, z.shape[2]),
                getattr(self, f"mean_{index}").view(-1),
                getattr(self, f"variance_{index}").view(-1),
                self.gains[index].view(-1),
                self.shifts[index].view(-1),
                self.training,
                MOMENTUM,
            )
            activation = normal.relu_().view_as(z)
            if masks is not None:
                activation = activation * masks[index]
        return torch.baddbmm(self.bias, self.weights[-1], activation), features

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (networks, samples, classes) of ``x`` (samples, features), with the running statistics."""
        self.eval()
        with torch.no_grad():
            inputs = x.T.expand(self.networks, -1, -1)
            return self(inputs)[0].transpose(1, 2)

    def one(self, index: int) -> dict[str, np.ndarray[Any, Any]]:
        """Parameters and statistics of one network, as arrays."""
        return {name: value[index].detach().cpu().numpy() for name, value in self.state_dict().items()}


def from_arrays(arrays: dict[str, np.ndarray[Any, Any]]) -> FullyConnected:
    """The stack of one network whose :meth:`FullyConnected.one` this was."""
    widths = [arrays[f"weights.{i}"].shape for i in range(sum(name.startswith("weights.") for name in arrays))]
    net = FullyConnected([widths[0][1], *(shape[0] for shape in widths)], [torch.Generator()])
    net.load_state_dict({name: torch.from_numpy(np.array(value))[None] for name, value in arrays.items()})
    return net


def dropout_masks(
    rate: float, sizes: list[int], samples: int, streams: list[np.random.Generator]
) -> list[torch.Tensor]:
    """Factors 0 or 1 / (1 - rate) for each hidden layer (networks, width, samples), one stream a network.

    A rate is rounded to a multiple of 1 / 65,536: two random bytes a factor.
    """
    widths = sizes[1:-1]
    total = sum(widths) * samples
    drawn = np.stack([np.frombuffer(stream.bytes(2 * total), np.uint16) for stream in streams])
    keep = np.float32(1 / (1 - rate))
    factors = torch.from_numpy((drawn >= round(rate * 65536)).astype(np.float32) * keep)
    parts = factors.split([width * samples for width in widths], dim=1)
    return [part.reshape(len(streams), width, samples) for part, width in zip(parts, widths, strict=True)]
