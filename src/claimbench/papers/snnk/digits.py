"""Small classifiers with and without random features, and adapters of a small transformer (compression claims)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from claimbench.papers.snnk.features import Rectified
from claimbench.papers.snnk.layers import Adapter, Bottleneck, RectifiedLayer, UniversalLayer
from claimbench.papers.snnk.regression import Tower
from claimbench.training import Loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from claimbench.run import Run


class Features(nn.Module):
    """Fixed random ReLU maps at the scale of a hidden layer; a fully bundled network is these and one linear layer."""

    def __init__(self, inputs: int, m: int, depth: int, generator: torch.Generator) -> None:
        super().__init__()
        for index, drawn in enumerate(Tower.draw(inputs, m, depth, generator).maps):
            self.register_buffer(f"g{index}", drawn.projections.float())
        self.depth = depth

    def forward(self, x: torch.Tensor) -> torch.Tensor:
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


class PatchTransformer(nn.Module):
    """Patches of 2 x 2 pixels, pre-norm blocks, mean over the tokens; adapters after attention and MLP.

    Args:
        side: of the images.
        classes: outputs.
        h: ``width``, ``heads``, ``blocks``.
    """

    def __init__(self, side: int, classes: int, h: Any) -> None:
        super().__init__()
        width = h.width
        self.embedding = nn.Linear(4, width)
        self.positions = nn.Parameter(0.02 * torch.randn(1, (side // 2) ** 2, width))
        self.attentions = nn.ModuleList(
            nn.MultiheadAttention(width, h.heads, batch_first=True) for _ in range(h.blocks)
        )
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)) for _ in range(h.blocks)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * h.blocks + 1))
        self.adapters = nn.ModuleList(nn.Identity() for _ in range(2 * h.blocks))
        self.head = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) of images (n, side, side)."""
        n, side = x.shape[:2]
        patches = x.reshape(n, side // 2, 2, side // 2, 2).transpose(2, 3).reshape(n, -1, 4)
        tokens = self.embedding(patches) + self.positions
        for index, (attention, mlp) in enumerate(zip(self.attentions, self.mlps, strict=True)):
            normal = self.norms[2 * index](tokens)
            found, _ = attention(normal, normal, normal, need_weights=False)
            tokens = tokens + self.adapters[2 * index](found)
            tokens = tokens + self.adapters[2 * index + 1](mlp(self.norms[2 * index + 1](tokens)))
        return self.head(self.norms[-1](tokens).mean(1))

    def adapt(self, method: str, h: Any, generator: torch.Generator) -> None:
        """Put adapters in, a fresh head on, and leave only what ``method`` trains trainable.

        Args:
            method: ``full``, ``linear`` (the head alone), ``bottleneck``, ``snnk`` (features of ReLU) or ``snnk-cos``
                (of the cosine, for inputs scaled to length 1); the head is always trained.
            h: ``rank`` of the bottleneck, ``m`` of the random features.
            generator: of the projections.
        """
        width = self.head.in_features
        makers: dict[str, Callable[[], nn.Module]] = {
            "bottleneck": lambda: Bottleneck(width, h.rank),
            "snnk": lambda: Adapter(width, RectifiedLayer(width, width, h.m, generator)),
            "snnk-cos": lambda: Adapter(width, UniversalLayer(width, width, h.m, generator, length=1.0)),
        }
        self.requires_grad_(method == "full")
        if method in makers:
            self.adapters = nn.ModuleList(makers[method]() for _ in self.adapters)
        self.head = nn.Linear(width, self.head.out_features)


def train(run: Run, net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> dict[str, np.ndarray[Any, Any]]:
    """Adam on cross-entropy in epochs of fresh permutations; what does not need gradients stays as it is."""
    h = run.h
    trained = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=h.learning_rate, fused=True)
    per_epoch = len(x) // h.batch
    net.train()
    order: tuple[int, torch.Tensor] = (-1, torch.empty(0))
    for step in Loop(run, "train", h.epochs * per_epoch, net=net, adam=optimizer):
        epoch, place = divmod(step, per_epoch)
        if order[0] != epoch:
            order = epoch, torch.from_numpy(run.rng(f"order {epoch}").permutation(len(x)))
        rows = order[1][place * h.batch : (place + 1) * h.batch]
        loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if place == per_epoch - 1:
            run.curve("train/loss", epoch + 1, run.finite(float(loss.detach())))
    run.count(n_params=sum(p.numel() for p in trained), steps=h.epochs * per_epoch)
    return {name: value.detach().cpu().numpy() for name, value in net.state_dict().items()}
