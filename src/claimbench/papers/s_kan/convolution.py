"""Convolutions with KAN edges (S-ConvKAN): basis functions of every pixel, then one ordinary convolution.

That is the same as unfolding patches and applying a KAN layer to them, at a k^2-th of the basis evaluations. The taps
of an input channel share its choice of family.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from claimbench.papers.s_kan.bases import FAMILIES, SIZE, evaluate, evaluate_kept


class ConvLayer(nn.Module):
    """A convolution whose every tap is a learned function.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: side.
        families: the pool.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, families: tuple[str, ...]) -> None:
        super().__init__()
        self.families = families
        fan_in = inputs * kernel**2
        self.coefficients = nn.Parameter(
            0.1 / math.sqrt(fan_in) * torch.randn(outputs, inputs, len(families), SIZE, kernel, kernel)
        )
        self.base = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        self.logits = nn.Parameter(torch.zeros(inputs, len(families)))
        self.register_buffer("kept", torch.ones(inputs, len(families), dtype=torch.bool))
        self.kept: Tensor

    def shares(self) -> Float[Tensor, "inputs families"]:
        """a (inputs, families)."""
        return self.logits.masked_fill(~self.kept, -torch.inf).softmax(-1)

    def _basis(self, x: Tensor) -> Tensor:
        """Of the families that are left, (n, inputs times families left, 8, height, width)."""
        points = x.flatten(2)
        if bool(self.kept.all()):
            found = evaluate(self.families, points).flatten(1, 2)
        else:
            found = evaluate_kept(self.families, self.kept.repeat(len(x), 1), points.flatten(0, 1))
            found = found.unflatten(0, x.shape[:2]).flatten(1, 2)
        return found.unflatten(-1, x.shape[2:])

    def forward(self, x: Float[Tensor, "n inputs height width"]) -> Float[Tensor, "n outputs height width"]:
        """Maps (n, outputs, height, width) of (n, inputs, height, width)."""
        weights = self.coefficients
        if len(self.families) > 1:
            weights = weights * self.shares()[..., None, None, None]
        edges = F.conv2d(
            self._basis(x).flatten(1, 2), weights[:, self.kept].flatten(1, 2), padding=weights.shape[-1] // 2
        )
        return edges + self.base(F.silu(x))

    def keep(self, x: Float[Tensor, "n inputs height width"], count: int) -> None:
        """Leave each input channel its ``count`` best families, by the mean size of what they contribute."""
        with torch.no_grad():
            basis, shares = self._basis(x), self.shares()
            scores = torch.full_like(shares, -1.0)
            for (i, p), values in zip(self.kept.nonzero().tolist(), basis.unbind(1), strict=True):
                out = F.conv2d(values, self.coefficients[:, i, p], padding=self.coefficients.shape[-1] // 2)
                scores[i, p] = shares[i, p] * out.abs().mean()
            best = scores.topk(count, dim=-1).indices
            self.kept = torch.zeros_like(self.kept).scatter_(-1, best, True)
            if count == 1:  # alone a family has the share 1
                self.coefficients *= shares[..., None, None, None]

    def parameters_kept(self) -> int:
        """Parameters after pruning."""
        outputs, inputs, _, _, k, _ = self.coefficients.shape
        return outputs * inputs * k * k * (SIZE + 1) + outputs


class Classifier(nn.Module):
    """Convolutions with pooling between and a linear output.

    Args:
        method: a family, ``s-kan``, or ``cnn`` for ordinary convolutions with ReLU.
        channels: of the images and of every convolution.
        side: of the images.
        classes: outputs.
    """

    def __init__(self, method: str, channels: Sequence[int], side: int, classes: int) -> None:
        super().__init__()
        self.plain = method == "cnn"
        families = FAMILIES if method == "s-kan" else (method,)
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1) if self.plain else ConvLayer(a, b, 3, families)
            for a, b in itertools.pairwise(channels)
        )
        self.output = nn.Linear(_features(channels, side), classes)

    def _before(self, index: int, x: Tensor) -> Tensor:
        """What layer ``index`` gets of the outputs ``x`` of the one before."""
        if index and self.plain:
            x = torch.relu(x)
        return F.max_pool2d(x, 2) if index else x

    def forward(self, x: Float[Tensor, "n colours side side"]) -> Float[Tensor, "n classes"]:
        """Logits (n, classes) of images (n, colours, side, side) in [-1, 1]."""
        for index, layer in enumerate(self.layers):
            x = layer(self._before(index, x))
        return self.output((torch.relu(x) if self.plain else x).flatten(1))

    def keep(self, x: Float[Tensor, "n colours side side"], count: int) -> None:
        """Every input channel's best families; all layers are scored on the function before any is cut."""
        inputs = []
        with torch.no_grad():
            for index, layer in enumerate(self.layers):
                inputs.append(self._before(index, x))
                x = layer(inputs[-1])
        for layer, given in zip(self.layers, inputs, strict=True):
            layer.keep(given, count)

    def parameters_kept(self) -> int:
        """Parameters after pruning."""
        output = sum(p.numel() for p in self.output.parameters())
        if self.plain:
            return output + sum(p.numel() for p in self.layers.parameters())
        return output + sum(layer.parameters_kept() for layer in self.layers)


def _features(channels: Sequence[int], side: int) -> int:
    """Inputs of the linear output: there is a pooling between every two convolutions."""
    return channels[-1] * (side // 2 ** (len(channels) - 2)) ** 2


def plain_channels(target: int, channels: Sequence[int], side: int, classes: int) -> list[int]:
    """Channels of ordinary convolutions with parameters nearest to ``target``: those of the KAN widened alike, and the
    last adjusted."""

    def count(widths: list[int]) -> int:
        layers = sum((9 * a + 1) * b for a, b in itertools.pairwise(widths))
        return layers + (_features(widths, side) + 1) * classes

    images, first, *others = channels
    candidates = []
    for a in range(first, 20 * first, first // 2 or 1):
        inner = [round(a * c / first) for c in others]
        for last in range(inner[-1] // 2, inner[-1] + 1):
            widths = [images, a, *inner[:-1], last]
            candidates.append((abs(count(widths) - target), inner[-1] - last, widths))
    return min(candidates)[2]
