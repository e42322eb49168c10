"""Small classifiers with and without random features, and adapters of a small transformer (compression claims)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from claimbench.nn.stack import Stack
from claimbench.nn.transformer import PatchTransformer
from claimbench.papers.snnk.features import Rectified
from claimbench.papers.snnk.layers import Adapter, Bottleneck, RectifiedLayer, UniversalLayer
from claimbench.papers.snnk.regression import Tower
from claimbench.run import Run
from claimbench.training import StackLoop

Tokens = Float[Tensor, "batch length width"]
Inputs = Float[Tensor, "runs n ..."]
Labels = Int[Tensor, "runs n"]


class Features(nn.Module):
    """Fixed random ReLU maps at the scale of a hidden layer; a fully bundled network is these and one linear layer.

    Args:
        inputs: width of the input.
        m: features of each map.
        depth: maps.
        generator: of the projections.
    """

    def __init__(self, inputs: int, m: int, depth: int, generator: torch.Generator) -> None:
        super().__init__()
        for index, drawn in enumerate(Tower.draw(inputs, m, depth, generator).maps):
            self.register_buffer(f"g{index}", drawn.projections.float())
        self.depth = depth

    def forward(self, x: Float[Tensor, "n inputs"]) -> Float[Tensor, "n m"]:
        """Features of inputs."""
        found = Tower([Rectified(getattr(self, f"g{index}")) for index in range(self.depth)])(x)
        return found * math.sqrt(found.shape[1])


def classifier(method: str, inputs: int, classes: int, h: Any, generator: torch.Generator) -> nn.Module:
    """A network by name.

    ``mlp`` (two hidden layers); ``snnk`` (the second hidden layer as random features and their parameters); ``bundled``
    (the second hidden layer and the output merged); ``fully-bundled`` (fixed features, parameters only at the output);
    ``narrow`` (the second hidden layer through a bottleneck); ``small`` (two narrow hidden layers).
    """
    width, m = h.width, h.m
    first = [nn.Linear(inputs, width), nn.ReLU()]
    if method == "mlp":
        return nn.Sequential(*first, nn.Linear(width, width), nn.ReLU(), nn.Linear(width, classes))
    if method == "snnk":
        return nn.Sequential(*first, RectifiedLayer(width, width, m, generator), nn.Linear(width, classes))
    if method == "bundled":
        return nn.Sequential(*first, RectifiedLayer(width, classes, m, generator))
    if method == "fully-bundled":
        return nn.Sequential(Features(inputs, m, 2, generator), nn.Linear(m, classes, bias=False))
    if method == "narrow":
        return nn.Sequential(*first, nn.Linear(width, m), nn.Linear(m, width), nn.ReLU(), nn.Linear(width, classes))
    if method == "small":
        return nn.Sequential(nn.Linear(inputs, m), nn.ReLU(), nn.Linear(m, m), nn.ReLU(), nn.Linear(m, classes))
    raise ValueError(f"method is {method!r}; allowed: mlp, snnk, bundled, fully-bundled, narrow, small")


class Adapted(nn.Module):
    """A part of a transformer's block, and an adapter on what it puts out.

    Args:
        part: the attention or the feed-forward part.
        adapter: maps tokens (batch, length, width) to the same shape.
    """

    def __init__(self, part: nn.Module, adapter: nn.Module) -> None:
        super().__init__()
        self.part, self.adapter = part, adapter

    def forward(self, x: Tokens) -> Tokens:
        """The adapter's output."""
        return cast(Tensor, self.adapter(self.part(x)))


def transformer(side: int, classes: int, h: Any) -> PatchTransformer:
    """A transformer of patches of 2 x 2 pixels that classifies by the mean of its tokens.

    Args:
        side: of the images.
        classes: outputs.
        h: ``width``, ``heads``, ``blocks``.
    """
    return PatchTransformer(1, side, 2, h.width, h.heads, h.blocks, classes, 2 * h.width, class_token=False)


def adapt(net: PatchTransformer, method: str, h: Any, generator: torch.Generator) -> None:
    """Put adapters after every attention and feed-forward part, a fresh classifier on, and leave only what ``method``
    trains trainable.

    Args:
        net: the network that is adapted, in place.
        method: ``full``, ``linear`` (the classifier alone), ``bottleneck``, ``snnk`` (features of ReLU) or ``snnk-cos``
            (of the cosine, for inputs scaled to length 1); the classifier is always trained.
        h: ``rank`` of the bottleneck, ``m`` of the random features.
        generator: of the projections.
    """
    width = net.classifier.in_features
    makers: dict[str, Callable[[], nn.Module]] = {
        "bottleneck": lambda: Bottleneck(width, h.rank),
        "snnk": lambda: Adapter(width, RectifiedLayer(width, width, h.m, generator)),
        "snnk-cos": lambda: Adapter(width, UniversalLayer(width, width, h.m, generator, length=1.0)),
    }
    net.requires_grad_(method == "full")
    if method in makers:
        for block in net.blocks:
            block.attention = Adapted(block.attention, makers[method]())
            block.feed_forward = Adapted(block.feed_forward, makers[method]())
    net.classifier = nn.Linear(width, net.classifier.out_features)


def train(runs: Sequence[Run], nets: Sequence[nn.Module], x: Inputs, y: Labels) -> list[dict[str, Any]]:
    """Adam on cross-entropy in epochs of fresh permutations, a network for each run, all at once; what does not need
    gradients stays as it is.

    Args:
        runs: the same but for their seeds.
        nets: of one shape.
        x: the training inputs of each run.
        y: their labels.

    Returns:
        The packed weights of each network. Curve: ``train/loss``, of an epoch's last batch.
    """
    h = runs[0].h
    stack = Stack(nets)
    trained = [p for p in stack.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=h.learning_rate, fused=True)
    per_epoch = x.shape[1] // h.batch
    phase = "train " + " ".join(str(run.seed) for run in runs)
    each = torch.arange(len(runs))[:, None]
    order: tuple[int, torch.Tensor] = (-1, torch.empty(0))
    for step in StackLoop(runs, phase, h.epochs * per_epoch, net=stack, adam=optimizer):
        epoch, place = divmod(step, per_epoch)
        if order[0] != epoch:
            drawn = [run.rng(f"order {epoch}").permutation(x.shape[1]) for run in runs]
            order = epoch, torch.from_numpy(np.stack(drawn))
        rows = order[1][:, place * h.batch : (place + 1) * h.batch]
        loss = nn.functional.cross_entropy(stack(x[each, rows]).transpose(1, 2), y[each, rows], reduction="none")
        optimizer.zero_grad()
        loss.mean(1).sum().backward()
        optimizer.step()
        if place == per_epoch - 1:
            for run, value in zip(runs, loss.detach().mean(1).tolist(), strict=True):
                run.curve("train/loss", epoch + 1, run.finite(value))
    for run in runs:
        run.count(n_params=sum(p.numel() for p in trained) // len(runs), steps=h.epochs * per_epoch)
    return [stack.one(index) for index in range(len(runs))]
