"""One transformer for all papers: attention, feed-forward, blocks of both kinds, patches and positions.

Every part is a module that a block is given, so that a paper may put another in its place: a feed-forward part with
other activations, attention of another shape. What a layer puts out is seen by hooks (:func:`outputs_of`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017, Section 3.2), the function of :class:`torch.nn.MultiheadAttention`.

    Weights start as they do there and are drawn in the same order.

    Args:
        width: of the tokens.
        heads: their number; must divide ``width``.
        dropout: rate, of the attention's weights.
        causal: whether a token sees only itself and those before it.

    Raises:
        ValueError: ``heads`` does not divide ``width``.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, causal: bool = False) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide tokens of {width} numbers; allowed: a divisor")
        self.heads, self.dropout, self.causal = heads, dropout, causal
        self.weight = nn.Parameter(torch.empty(3 * width, width))
        self.bias = nn.Parameter(torch.zeros(3 * width))
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.bias)
        nn.init.xavier_uniform_(self.weight)

    def forward(
        self,
        x: Float[Tensor, "batch length width"],
        given: Float[Tensor, "batch other width"] | None = None,
        *,
        padding: Bool[Tensor, "batch other"] | None = None,
    ) -> Float[Tensor, "batch length width"]:
        """What tokens ``x`` gather from ``given``, or from themselves where there is none.

        Args:
            x: the tokens that ask.
            given: the tokens that are asked (cross-attention).
            padding: true where a token that is asked must not be seen.
        """
        if given is None:
            q, k, v = F.linear(x, self.weight, self.bias).chunk(3, -1)
        else:
            width = x.shape[-1]
            q = F.linear(x, self.weight[:width], self.bias[:width])
            k, v = F.linear(given, self.weight[width:], self.bias[width:]).chunk(2, -1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(-3, -2) for part in (q, k, v))
        seen = None if padding is None else ~padding[:, None, None]
        if self.causal and seen is not None:
            seen = seen & ~causal_mask(x.shape[1], x.device)
        rate = self.dropout if self.training else 0.0
        found = F.scaled_dot_product_attention(q, k, v, seen, rate, is_causal=self.causal and seen is None)
        return cast(Tensor, self.out(found.transpose(-3, -2).flatten(-2)))


class FeedForward(nn.Module):
    """Two linear layers with an activation between them, for every token by itself (Vaswani et al. 2017, Section 3.3).

    Args:
        width: of the tokens.
        inner: of the hidden layer.
        activation: of the hidden layer.
        dropout: rate, after the activation.
    """

    def __init__(
        self, width: int, inner: int, activation: Callable[[Tensor], Tensor] = F.gelu, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.activation, self.dropout = activation, nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """The tokens' new parts."""
        return cast(Tensor, self.down(self.dropout(self.activation(self.up(x)))))


class Block(nn.Module):
    """Attention, cross-attention where there is any, and a feed-forward part, each added to the stream of tokens.

    Args:
        width: of the tokens.
        attention: maps tokens (batch, length, width) to the same shape; gets what :meth:`forward` is given by name.
        feed_forward: maps tokens to the same shape.
        cross: attention to other tokens, as :class:`Attention` with ``given``.
        pre_norm: normalise what a part gets (Xiong et al. 2020) instead of the sum (Vaswani et al. 2017).
        dropout: rate, of what each part adds.
        epsilon: of the layer norms.
    """

    def __init__(
        self,
        width: int,
        attention: nn.Module,
        feed_forward: nn.Module,
        cross: nn.Module | None = None,
        *,
        pre_norm: bool = False,
        dropout: float = 0.0,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.attention, self.cross, self.feed_forward = attention, cross, feed_forward
        self.norms = nn.ModuleList(nn.LayerNorm(width, epsilon) for _ in range(2 if cross is None else 3))
        self.dropout, self.pre_norm = nn.Dropout(dropout), pre_norm

    def forward(
        self,
        x: Float[Tensor, "batch length width"],
        given: Float[Tensor, "batch other width"] | None = None,
        **how: Any,
    ) -> Float[Tensor, "batch length width"]:
        """The tokens after this block.

        Args:
            x: the tokens.
            given: what the cross-attention asks.
            how: passed on to the attention.
        """
        x = self._add(0, x, lambda tokens: self.attention(tokens, **how))
        if self.cross is not None:
            cross = self.cross
            x = self._add(1, x, lambda tokens: cross(tokens, given))
        return self._add(-1, x, self.feed_forward)

    def _add(self, norm: int, x: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
        normal = self.norms[norm]
        if self.pre_norm:
            return x + self.dropout(part(normal(x)))
        return cast(Tensor, normal(x + self.dropout(part(x))))


class PatchEmbedding(nn.Module):
    """Square patches of images, each as one token through one linear layer (Dosovitskiy et al. 2021, Equation 1).

    Args:
        channels: of the images.
        side: height and width of the images.
        patch: height and width of a patch; must divide ``side``.
        width: of the tokens.

    Raises:
        ValueError: patches do not tile the image.
    """

    def __init__(self, channels: int, side: int, patch: int, width: int) -> None:
        super().__init__()
        if side % patch:
            raise ValueError(f"patches of {patch} pixels do not tile images of {side}; allowed: a divisor")
        self.patch, self.tokens = patch, (side // patch) ** 2
        self.linear = nn.Linear(channels * patch**2, width)

    def forward(self, x: Float[Tensor, "n channels side side"]) -> Float[Tensor, "n tokens width"]:
        """Tokens of images, row by row."""
        n, channels, side, _ = x.shape
        count, patch = side // self.patch, self.patch
        cut = x.reshape(n, channels, count, patch, count, patch).permute(0, 2, 4, 1, 3, 5)
        return cast(Tensor, self.linear(cut.reshape(n, count**2, -1)))


class PatchTransformer(nn.Module):
    """A vision transformer (Dosovitskiy et al. 2021): patches, learned positions, pre-norm blocks, linear classifier.

    Args:
        channels: of the images.
        side: height and width of the images.
        patch: height and width of a patch; must divide ``side``.
        width: of the tokens.
        heads: of the attention.
        blocks: their number.
        classes: outputs.
        inner: width of the feed-forward parts' hidden layers.
        class_token: classify by a token of its own instead of the mean of all.
    """

    def __init__(
        self,
        channels: int,
        side: int,
        patch: int,
        width: int,
        heads: int,
        blocks: int,
        classes: int,
        inner: int,
        class_token: bool = True,
    ) -> None:
        super().__init__()
        self.patches = PatchEmbedding(channels, side, patch, width)
        self.token = nn.Parameter(torch.zeros(1, 1, width)) if class_token else None
        self.positions = nn.Parameter(0.02 * torch.randn(1, self.patches.tokens + class_token, width))
        attentions = [Attention(width, heads) for _ in range(blocks)]
        parts = [FeedForward(width, inner) for _ in range(blocks)]
        self.blocks = nn.ModuleList(Block(width, *pair, pre_norm=True) for pair in zip(attentions, parts, strict=True))
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, classes)

    def forward(self, x: Float[Tensor, "n channels side side"]) -> Float[Tensor, "n classes"]:
        """Logits of images."""
        tokens = self.patches(x)
        if self.token is not None:
            tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], 1)
        tokens = tokens + self.positions
        for block in self.blocks:
            tokens = block(tokens)
        pooled = self.norm(tokens).mean(1) if self.token is None else self.norm(tokens[:, 0])
        return cast(Tensor, self.classifier(pooled))


def causal_mask(length: int, device: torch.device | None = None) -> Bool[Tensor, "length length"]:
    """True where a token (row) must not see another (column): all that come after it."""
    return torch.ones(length, length, dtype=torch.bool, device=device).triu(1)


def sinusoids(length: int, width: int, device: torch.device | None = None) -> Float[Tensor, "length width"]:
    """Sinusoidal positions (Vaswani et al. 2017, Section 3.5); ``width`` is even."""
    places = torch.arange(length, device=device)[:, None]
    rates = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10000.0) / width))
    found = torch.zeros(length, width, device=device)
    found[:, 0::2], found[:, 1::2] = torch.sin(places * rates), torch.cos(places * rates)
    return found


@contextmanager
def outputs_of(modules: Iterable[nn.Module]) -> Iterator[list[Tensor]]:
    """What these modules put out inside the ``with`` block, in the order of the calls."""
    found: list[Tensor] = []
    handles = [module.register_forward_hook(lambda _module, _given, out: found.append(out)) for module in modules]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
