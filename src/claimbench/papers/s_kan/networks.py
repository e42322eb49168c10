"""KANs and MLPs, many of them at once: every parameter has a leading axis of networks.

A layer is y_j = b_j + sum_i [ w_ji silu(x_i) + sum_p a_ip sum_k c_ipkj B^(p)_k(x_i) ] with the weights a of node i's
families from a softmax. A fixed family is a pool of one; a pruned layer has one family a node.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import nn
from torch.nn import functional as F

from claimbench.papers.s_kan.bases import FAMILIES, SIZE, evaluate, evaluate_kept


class Layer(nn.Module):
    """``len(generators)`` layers of one shape.

    Args:
        inputs: i.
        outputs: o.
        families: the pool.
        generators: of the first weights, one a network.
    """

    def __init__(self, inputs: int, outputs: int, families: tuple[str, ...], generators: list[torch.Generator]) -> None:
        super().__init__()
        self.families = families
        shape = (inputs, len(families), SIZE, outputs)
        draw = [
            (
                torch.randn(shape, generator=g) * (0.1 / math.sqrt(inputs)),
                torch.randn(inputs, outputs, generator=g) / math.sqrt(inputs),
            )
            for g in generators
        ]
        self.coefficients = nn.Parameter(torch.stack([c for c, _ in draw]))
        self.base = nn.Parameter(torch.stack([w for _, w in draw]))
        self.bias = nn.Parameter(torch.zeros(len(generators), 1, outputs))
        self.logits = nn.Parameter(torch.zeros(len(generators), inputs, len(families)))
        #: families that still take part; after pruning one a node
        self.register_buffer("kept", torch.ones(len(generators), inputs, len(families), dtype=torch.bool))
        self.kept: torch.Tensor

    def shares(self) -> torch.Tensor:
        """a (networks, inputs, families)."""
        return self.logits.masked_fill(~self.kept, -torch.inf).softmax(-1)

    def basis(self, x: torch.Tensor) -> torch.Tensor:
        """Of the families that are left, (networks, n, inputs times families left times 8)."""
        if bool(self.kept.all()):
            return evaluate(self.families, x).flatten(2)
        found = evaluate_kept(self.families, self.kept.flatten(0, 1), x.transpose(1, 2).flatten(0, 1))
        return found.unflatten(0, x.shape[::2]).permute(0, 3, 1, 2, 4).flatten(2)

    def forward(self, x: torch.Tensor, basis: torch.Tensor | None = None) -> torch.Tensor:
        """(networks, n, outputs) of (networks, n, inputs); ``basis`` of ``x``, where it is known."""
        weights = self.coefficients
        if len(self.families) > 1:
            weights = weights * self.shares()[..., None, None]
        weights = weights[self.kept].unflatten(0, (len(x), -1)).flatten(1, 2)
        edges = torch.bmm(self.basis(x) if basis is None else basis, weights)
        return edges + torch.baddbmm(self.bias, F.silu(x), self.base)

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """What each family contributes, (networks, inputs, families): a times the mean size of its edges' outputs."""
        basis = evaluate(self.families, x)
        edges = torch.einsum("snipk,sipko->snipo", basis, self.coefficients)
        return self.shares() * edges.abs().mean((1, 4))

    def keep(self, x: torch.Tensor, count: int) -> None:
        """Leave each node its ``count`` best families; with one, its share is 1."""
        scores = self.scores(x).masked_fill(~self.kept, -1.0)
        best = scores.topk(count, dim=-1).indices
        self.kept = torch.zeros_like(self.kept).scatter_(-1, best, True)

    def parameters_kept(self) -> int:
        """Parameters of one network after pruning: eight coefficients an edge, the base path and the biases."""
        _, inputs, _, _, outputs = self.coefficients.shape
        return inputs * outputs * (SIZE + 1) + outputs


class KAN(nn.Module):
    """Layers in a row.

    Args:
        sizes: inputs, hidden, outputs.
        families: of every node; the whole pool for selection.
        generators: one a network.
    """

    def __init__(self, sizes: list[int], families: tuple[str, ...], generators: list[torch.Generator]) -> None:
        super().__init__()
        self.families = families
        self.layers = nn.ModuleList(Layer(a, b, families, generators) for a, b in itertools.pairwise(sizes))

    def forward(self, x: torch.Tensor, basis: torch.Tensor | None = None) -> torch.Tensor:
        """(networks, n, outputs) of (networks, n, inputs); ``basis`` is the first layer's, where it is known."""
        for layer in self.layers:
            x = layer(x, basis)
            basis = None
        return x

    def keep(self, x: torch.Tensor, count: int) -> None:
        """Every node's best families, judged on the same function: all layers are scored before any is cut."""
        inputs = []
        with torch.no_grad():
            for layer in self.layers:
                inputs.append(x)
                x = layer(x)
            if count == 1:
                shares = [layer.shares() for layer in self.layers]
            for layer, given in zip(self.layers, inputs, strict=True):
                layer.keep(given, count)
            if count == 1:  # alone a family has the share 1; what it had goes into its coefficients
                for layer, share in zip(self.layers, shares, strict=True):
                    layer.coefficients *= share[..., None, None]

    def chosen(self) -> list[torch.Tensor]:
        """For each layer the number of the family that every node is left with, (networks, inputs)."""
        return [layer.kept.int().argmax(-1) for layer in self.layers]

    def parameters_kept(self) -> int:
        return sum(layer.parameters_kept() for layer in self.layers)


_ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "silu": F.silu, "sin": torch.sin}


class MLP(nn.Module):
    """Fully connected networks with two hidden layers, side by side.

    Args:
        sizes: inputs, two hidden widths, outputs.
        activation: ``relu``, ``tanh``, ``silu`` or ``sin``.
        generators: one a network; weights as torch.nn.Linear draws them.
    """

    def __init__(self, sizes: list[int], activation: str, generators: list[torch.Generator]) -> None:
        super().__init__()
        self.activation = _ACTIVATIONS[activation]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for a, b in itertools.pairwise(sizes):
            bound = a**-0.5
            drawn = [torch.empty(a + 1, b).uniform_(-bound, bound, generator=g) for g in generators]
            self.weights.append(torch.stack([d[:-1] for d in drawn]))
            self.biases.append(torch.stack([d[-1:] for d in drawn]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        last = len(self.weights) - 1
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            x = self.activation(x) if index < last else x
        return x

    def parameters_kept(self) -> int:
        return sum(p[0].numel() for p in self.parameters())


def mlp_sizes(inputs: int, outputs: int, target: int) -> list[int]:
    """Widths of an MLP with two hidden layers that differ by at most two, with parameters nearest to ``target``."""

    def count(a: int, b: int) -> int:
        return (inputs + 1) * a + (a + 1) * b + (b + 1) * outputs

    pairs = [(a, b) for a in range(1, 200) for b in range(max(1, a - 2), a + 3)]
    best = min(pairs, key=lambda pair: (abs(count(*pair) - target), abs(pair[0] - pair[1])))
    return [inputs, *best, outputs]


def pool(method: str) -> tuple[str, ...]:
    """The families of a method: one of them, or all for ``s-kan``."""
    return FAMILIES if method == "s-kan" else (method,)
