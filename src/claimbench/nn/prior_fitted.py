"""A transformer that is given a labelled set and queries, and answers each query (Mueller et al. 2022, Hollmann et al.
2023).

Labelled points attend to labelled points; a query attends to them and, in the first paper, to itself. There are no
positions unless asked for.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from claimbench.nn.transformer import Block, FeedForward


class LabelledAttention(nn.Module):
    """Attention of all points to the labelled ones, and of a query to itself.

    Not :class:`~claimbench.nn.transformer.Attention` with a mask: queries are never asked, so that the two parts are
    two small products instead of a large one of which most is masked away. It starts at zero.

    Args:
        width: of the tokens.
        heads: their number.
        dropout: rate, of the attention's weights.
        query_sees_itself: whether a query attends to itself beside the labelled points.
    """

    def __init__(self, width: int, heads: int, dropout: float, query_sees_itself: bool) -> None:
        super().__init__()
        self.heads, self.dropout, self.query_sees_itself = heads, dropout, query_sees_itself
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, x: Float[Tensor, "batch points width"], labelled: int, apart: Float[Tensor, "batch n width"] | None = None
    ) -> Float[Tensor, "batch points width"]:
        """What points ``x`` gather, of which the first ``labelled`` have labels; or all are queries of labelled points
        that stand ``apart``, of which nothing is asked."""
        n = labelled
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        known = (k[:, :, :n], v[:, :, :n]) if apart is None else self._known(apart)
        p = self.dropout if self.training else 0.0
        first = F.scaled_dot_product_attention(q[:, :, :n], *known, dropout_p=p) if n else v[:, :, :0]
        if self.query_sees_itself:
            answered = _with_itself(q[:, :, n:], *known, k[:, :, n:], v[:, :, n:], p)
        elif known[0].shape[2]:
            answered = F.scaled_dot_product_attention(q[:, :, n:], *known, dropout_p=p)
        else:
            answered = torch.zeros_like(q)
        return cast(Tensor, self.out(torch.cat([first, answered], 2).transpose(1, 2).flatten(-2)))

    def _known(self, x: Tensor) -> tuple[Tensor, Tensor]:
        width = x.shape[-1]
        parts = F.linear(x, self.qkv.weight[width:], self.qkv.bias[width:]).unflatten(-1, (2, self.heads, -1))
        keys, values = parts.permute(2, 0, 3, 1, 4)
        return keys, values


def block(width: int, heads: int, inner: int, dropout: float = 0.0, query_sees_itself: bool = True) -> Block:
    """Post-norm attention and feed-forward part; both start at zero, so that the block only normalises at first."""
    attention = LabelledAttention(width, heads, dropout, query_sees_itself)
    feed_forward = FeedForward(width, inner, F.gelu, dropout)
    nn.init.zeros_(feed_forward.down.weight)
    nn.init.zeros_(feed_forward.down.bias)
    return Block(width, attention, feed_forward, dropout=dropout)


def _with_itself(
    q: Float[Tensor, "*batch m d"],
    k: Float[Tensor, "*batch n d"],
    v: Float[Tensor, "*batch n d"],
    own_k: Float[Tensor, "*batch m d"],
    own_v: Float[Tensor, "*batch m d"],
    dropout: float,
) -> Float[Tensor, "*batch m d"]:
    """Attention of queries to n keys and each to its own; ``dropout`` of its weights."""
    scores = torch.cat([q @ k.transpose(-2, -1), (q * own_k).sum(-1, keepdim=True)], -1)
    weights = F.dropout((scores / math.sqrt(q.shape[-1])).softmax(-1), dropout)
    return weights[..., :-1] @ v + weights[..., -1:] * own_v


class PriorFittedTransformer(nn.Module):
    """Answers queries from a labelled set, in one pass.

    Args:
        features: of a point.
        outputs: of a query, such as buckets.
        width: of the tokens.
        layers: blocks.
        heads: of the attention.
        inner: width of the MLPs.
        dropout: rate.
        positions: largest number of points for learned positions; 0 for none.
        query_sees_itself: whether a query attends to itself beside the labelled points.
    """

    def __init__(
        self,
        features: int,
        outputs: int,
        width: int,
        layers: int,
        heads: int,
        inner: int,
        dropout: float = 0.0,
        positions: int = 0,
        query_sees_itself: bool = True,
    ) -> None:
        super().__init__()
        self.encode_x, self.encode_y = nn.Linear(features, width), nn.Linear(1, width)
        self.blocks = nn.ModuleList(block(width, heads, inner, dropout, query_sees_itself) for _ in range(layers))
        self.head = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, outputs))
        self.positions = nn.Parameter(0.02 * torch.randn(positions, width)) if positions else None

    def forward(
        self, x: Float[Tensor, "batch points features"], y: Float[Tensor, "batch labelled"]
    ) -> Float[Tensor, "batch queries outputs"]:
        """Outputs of the queries among points ``x``, of which the first have the labels ``y``."""
        n = y.shape[1]
        tokens = self.encode_x(x)
        tokens = torch.cat([tokens[:, :n] + self.encode_y(y[..., None]), tokens[:, n:]], 1)
        if self.positions is not None:
            tokens = tokens + self.positions[: x.shape[1]]
        for block in self.blocks[:-1]:
            tokens = block(tokens, labelled=n)
        # nobody asks the labelled points after the last block
        return cast(Tensor, self.head(self.blocks[-1](tokens[:, n:], labelled=0, apart=tokens[:, :n])))


def labelled_size(points: int, generator: torch.Generator) -> int:
    """Number of labelled points, 0 to ``points`` - 1, with probability proportional to 1 / (points - n), so that every
    size gets about as many queries."""
    weights = 1.0 / (points - torch.arange(points, dtype=torch.float64))
    return int(torch.multinomial(weights, 1, generator=generator))


def schedule(step: int, steps: int, learning_rate: float, warm_up: float = 0.25) -> float:
    """Linear warm-up over a share of the steps, then a cosine down to zero."""
    warm = max(1, int(steps * warm_up))
    if step < warm:
        return learning_rate * (step + 1) / warm
    return learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
