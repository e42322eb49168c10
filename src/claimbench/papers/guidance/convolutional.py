"""Convolutional guides and targets, and a transformer of patches.

Layouts are those of ResNet-18, ResNet-50 (He et al. 2016) and ViT (Dosovitskiy et al. 2021); widths and stem are free,
so that small images have small networks. ``features`` of a network are what guidance aligns, in the order of the calls:
the outputs of every convolution (before BatchNorm), then the pooled channels; for the transformer the outputs of every
attention and every MLP.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from claimbench.nn.state import pack
from claimbench.nn.transformer import PatchTransformer, outputs_of

Images = Float[Tensor, "n channels height width"]
#: logits, and the features of every layer
Output = tuple[Float[Tensor, "n classes"], list[Float[Tensor, "n ..."]]]

#: blocks in each of four stages, and whether blocks are bottlenecks
LAYOUTS = {"18": ((2, 2, 2, 2), False), "50": ((3, 4, 6, 3), True)}
EXPANSION = 4


class Block(nn.Module):
    """A basic block (two 3 x 3) or a bottleneck (1 x 1, 3 x 3, 1 x 1), with or without its shortcut."""

    def __init__(self, channels: int, width: int, stride: int, bottleneck: bool, shortcut: bool) -> None:
        super().__init__()
        shapes = [(width, 3, stride), (width, 3, 1)]
        if bottleneck:
            shapes = [(width, 1, 1), (width, 3, stride), (width * EXPANSION, 1, 1)]
        self.out_channels = shapes[-1][0]
        self.convolutions, self.normals = nn.ModuleList(), nn.ModuleList()
        before = channels
        for out, kernel, step in shapes:
            self.convolutions.append(nn.Conv2d(before, out, kernel, step, kernel // 2, bias=False))
            self.normals.append(nn.BatchNorm2d(out))
            before = out
        self.shortcut = shortcut
        self.resize: nn.Sequential | None = None
        if shortcut and (stride != 1 or channels != self.out_channels):
            self.resize = nn.Sequential(
                nn.Conv2d(channels, self.out_channels, 1, stride, bias=False), nn.BatchNorm2d(self.out_channels)
            )

    def forward(self, x: torch.Tensor, features: list[torch.Tensor]) -> torch.Tensor:
        given = x
        last = len(self.convolutions) - 1
        for index, (convolution, normal) in enumerate(zip(self.convolutions, self.normals, strict=True)):
            features.append(convolution(x))
            x = normal(features[-1])
            if index < last or not self.shortcut:
                x = torch.relu(x)
        if not self.shortcut:
            return x
        if self.resize is not None:
            features.append(self.resize[0](given))
            given = self.resize[1](features[-1])
        return torch.relu(x + given)


class ConvolutionalNetwork(nn.Module):
    """Stem, four stages of blocks, global average, linear classifier.

    Args:
        layout: ``18`` or ``50``.
        shortcuts: False gives the paper's Deep ConvNet: the same without shortcuts and their convolutions, and with the
            convolutions as torch.nn.Conv2d draws them (released code); residual networks start as torchvision's.
        channels: of the images.
        widths: of the four stages.
        stem: its stride; 4 is ImageNet's (7 x 7, stride 2, then max pooling), 1 or 2 a 3 x 3 convolution.
        classes: outputs.
    """

    def __init__(self, layout: str, shortcuts: bool, channels: int, widths: list[int], stem: int, classes: int) -> None:
        super().__init__()
        counts, bottleneck = LAYOUTS[layout]
        first = widths[0]
        if stem == 4:
            self.stem = nn.Conv2d(channels, first, 7, 2, 3, bias=False)
            self.pool: nn.Module = nn.MaxPool2d(3, 2, 1)
        else:
            self.stem = nn.Conv2d(channels, first, 3, stem, 1, bias=False)
            self.pool = nn.Identity()
        self.normal = nn.BatchNorm2d(first)
        self.blocks = nn.ModuleList()
        before = first
        for stage, (blocks, width) in enumerate(zip(counts, widths, strict=True)):
            for block in range(blocks):
                stride = 2 if block == 0 and stage > 0 else 1
                self.blocks.append(Block(before, width, stride, bottleneck, shortcuts))
                before = self.blocks[-1].out_channels
        self.classifier = nn.Linear(before, classes)
        for module in self.modules() if shortcuts else ():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Logits (n, classes) and features of images (n, channels, height, width)."""
        features = [self.stem(x)]
        x = self.pool(torch.relu(self.normal(features[0])))
        for block in self.blocks:
            x = block(x, features)
        features.append(x.mean((2, 3)))
        return self.classifier(features[-1]), features


class VisionTransformer(nn.Module):
    """A small vision transformer whose features are the outputs of every attention and every feed-forward part.

    Args:
        channels: of the images.
        side: height and width of the images.
        patch: side of a patch; must divide ``side``.
        width: of the tokens; hidden layers of feed-forward parts have four times as many units.
        heads: of the attention.
        blocks: their number.
        classes: outputs.
    """

    def __init__(self, channels: int, side: int, patch: int, width: int, heads: int, blocks: int, classes: int) -> None:
        super().__init__()
        self.net = PatchTransformer(channels, side, patch, width, heads, blocks, classes, 4 * width)

    def forward(self, x: Images) -> Output:
        """Logits and features of images."""
        with outputs_of(part for block in self.net.blocks for part in (block.attention, block.feed_forward)) as found:
            logits = self.net(x)
        return logits, found


class Stacked(nn.Module):
    """One network with the interface of :class:`~claimbench.papers.guidance.fully_connected.FullyConnected`."""

    def __init__(self, net: nn.Module, image: tuple[int, int, int]) -> None:
        super().__init__()
        self.net, self.image, self.networks = net, image, 1

    def forward(
        self, x: torch.Tensor, masks: None = None, wanted: frozenset[int] = frozenset()
    ) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
        """Logits (1, classes, samples) of ``x`` (1, features, samples), and the wanted layers' features."""
        logits, features = self.net(x[0].T.reshape(-1, *self.image))
        return logits.T[None], {index: features[index].flatten(1).T[None] for index in wanted}

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (1, samples, classes) of ``x`` (samples, features), with the running statistics."""
        self.eval()
        with torch.no_grad():
            parts = [self.net(part.reshape(-1, *self.image))[0] for part in x.split(500)]
        return torch.cat(parts)[None]

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """All features (n, ...) of ``x`` (n, features), with the running statistics, without gradients."""
        self.eval()
        with torch.no_grad():
            found: list[torch.Tensor] = self.net(x.reshape(-1, *self.image))[1]
        return found

    def one(self, index: int) -> dict[str, Any]:
        """Parameters and statistics of the network, as arrays."""
        return pack(self.net)


def network(kind: str, image: tuple[int, int, int], classes: int, shape: dict[str, Any]) -> nn.Module:
    """A network by name.

    Args:
        kind: ``residual-18``, ``residual-50``, ``deep-convnet`` (50 layers without shortcuts), ``patch-transformer``.
        image: channels, height, width.
        classes: outputs.
        shape: ``widths`` and ``stem``, or ``patch``, ``width``, ``heads`` and ``blocks``.
    """
    if kind == "patch-transformer":
        size = {name: shape[name] for name in ("patch", "width", "heads", "blocks")}
        return VisionTransformer(image[0], image[1], classes=classes, **size)
    layout = {"residual-18": "18", "residual-50": "50", "deep-convnet": "50"}[kind]
    return ConvolutionalNetwork(layout, kind != "deep-convnet", image[0], shape["widths"], shape["stem"], classes)


def depth(net: nn.Module) -> int:
    """Layers whose features guidance can use (without the classifier)."""
    if isinstance(net, VisionTransformer):
        return 2 * len(net.net.blocks)
    return sum(isinstance(module, nn.Conv2d) for module in net.modules()) + 1
