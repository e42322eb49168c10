"""KANs and MLPs, many of them at once: every parameter has a leading axis of networks.

A layer is y_j = b_j + sum_i [ w_ji silu(x_i) + sum_p a_ip sum_k c_ipkj B^(p)_k(x_i) ] with the weights a of node i's
families from a softmax (Section 3 of the paper). A fixed family is a pool of one; a pruned layer has one family a node.

Within a KAN the points lie along the last axis, so that a basis is written and read in one piece.
"""

from __future__ import annotations

import itertools
import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from claimbench.papers.s_kan.bases import FAMILIES, SIZE, evaluate, evaluate_kept


class Layer(nn.Module):
    """``len(generators)`` layers of one shape.

    Args:
        inputs: i.
        outputs: o.
        families: the pool.
        generators: of the first weights, one a network, on the CPU.
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
        self.kept: Tensor

    def shares(self) -> Float[Tensor, "networks inputs families"]:
        """a (networks, inputs, families)."""
        return self.logits.masked_fill(~self.kept, -torch.inf).softmax(-1)

    @property
    def whole(self) -> bool:
        """Whether no family has been cut."""
        return bool(self.kept.all())

    def basis(self, x: Float[Tensor, "networks inputs n"]) -> Float[Tensor, "networks functions n"]:
        """Of the families that are left, (networks, inputs times families left times 8, n)."""
        if self.whole:
            return evaluate(self.families, x).flatten(1, 3)
        found = evaluate_kept(self.families, self.kept.flatten(0, 1), x.flatten(0, 1))
        return found.unflatten(0, x.shape[:2]).flatten(1, 3)

    def forward(
        self, x: Float[Tensor, "networks inputs n"], basis: Float[Tensor, "networks functions n"] | None = None
    ) -> Float[Tensor, "networks outputs n"]:
        """(networks, outputs, n) of (networks, inputs, n); ``basis`` of ``x``, where it is known."""
        weights = self.coefficients
        if len(self.families) > 1:
            weights = weights * self.shares()[..., None, None]
        if not self.whole:
            weights = weights[self.kept].unflatten(0, (len(x), -1))
        weights = weights.flatten(1, -2)
        straight = torch.baddbmm(self.bias.transpose(1, 2), self.base.transpose(1, 2), F.silu(x))
        return torch.baddbmm(straight, weights.transpose(1, 2), self.basis(x) if basis is None else basis)

    def scores(self, x: Float[Tensor, "networks inputs n"]) -> Float[Tensor, "networks inputs families"]:
        """What each family contributes, (networks, inputs, families): a times the mean size of its edges' outputs."""
        basis = evaluate(self.families, x)
        edges = torch.einsum("sipkn,sipko->sipon", basis, self.coefficients)
        return self.shares() * edges.abs().mean((3, 4))

    def keep(self, x: Float[Tensor, "networks inputs n"], count: int) -> None:
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
        generators: one a network, on the CPU.
    """

    def __init__(self, sizes: list[int], families: tuple[str, ...], generators: list[torch.Generator]) -> None:
        super().__init__()
        self.families = families
        self.layers = nn.ModuleList(Layer(a, b, families, generators) for a, b in itertools.pairwise(sizes))

    def basis(self, x: Float[Tensor, "networks n inputs"]) -> Float[Tensor, "networks functions n"]:
        """The first layer's basis of ``x``."""
        return self.layers[0].basis(x.transpose(1, 2).contiguous())

    def forward(
        self, x: Float[Tensor, "networks n inputs"], basis: Float[Tensor, "networks functions n"] | None = None
    ) -> Float[Tensor, "networks n outputs"]:
        """(networks, n, outputs) of (networks, n, inputs); ``basis`` is what :meth:`basis` gives, where it is known."""
        h = x.transpose(1, 2).contiguous()
        for layer in self.layers:
            h = layer(h, basis)
            basis = None
        return h.transpose(1, 2)

    def keep(self, x: Float[Tensor, "networks n inputs"], count: int) -> None:
        """Every node's best families, judged on the same function: all layers are scored before any is cut."""
        inputs, h = [], x.transpose(1, 2).contiguous()
        with torch.no_grad():
            for layer in self.layers:
                inputs.append(h)
                h = layer(h)
            if count == 1:
                shares = [layer.shares() for layer in self.layers]
            for layer, given in zip(self.layers, inputs, strict=True):
                layer.keep(given, count)
            if count == 1:  # alone a family has the share 1; what it had goes into its coefficients
                for layer, share in zip(self.layers, shares, strict=True):
                    layer.coefficients *= share[..., None, None]

    def chosen(self) -> list[Int[Tensor, "networks inputs"]]:
        """For each layer the number of the family that every node is left with, (networks, inputs)."""
        return [layer.kept.int().argmax(-1) for layer in self.layers]

    def parameters_kept(self) -> int:
        """Parameters of one network after pruning."""
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

    def forward(self, x: Float[Tensor, "networks n inputs"]) -> Float[Tensor, "networks n outputs"]:
        """(networks, n, outputs) of (networks, n, inputs)."""
        last = len(self.weights) - 1
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            x = self.activation(x) if index < last else x
        return x

    def parameters_kept(self) -> int:
        """Parameters of one network; nothing is pruned."""
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
