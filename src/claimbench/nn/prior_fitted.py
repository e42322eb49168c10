"""A transformer that is given a labelled set and queries, and answers each query (Mueller et al. 2022, Hollmann et al.
2023).

Labelled points attend to labelled points; a query attends to them and, in the first paper, to itself. There are no
positions unless asked for.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Post-norm attention and MLP; both start as the identity (their last layers are zero).

    ``dropout`` is where :class:`torch.nn.TransformerEncoderLayer` has it: in the attention's weights, in the MLP and on
    what both add.
    """

    def __init__(
        self, width: int, heads: int, inner: int, dropout: float = 0.0, query_sees_itself: bool = True
    ) -> None:
        super().__init__()
        self.heads, self.query_sees_itself = heads, query_sees_itself
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = nn.Dropout(dropout)
        for layer in (self.out, self.down):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor, n: int) -> torch.Tensor:
        """(batch, points, width); the first ``n`` points are labelled."""
        batch, points, width = x.shape
        q, k, v = self.qkv(x).view(batch, points, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        known = k[:, :, :n], v[:, :, :n]
        p = self.dropout.p if self.training else 0.0
        labelled = F.scaled_dot_product_attention(q[:, :, :n], *known, dropout_p=p) if n else v[:, :, :0]
        if self.query_sees_itself:
            answered = _with_itself(q[:, :, n:], *known, k[:, :, n:], v[:, :, n:], p)
        else:
            answered = F.scaled_dot_product_attention(q[:, :, n:], *known, dropout_p=p) if n else torch.zeros_like(q)
        attended = torch.cat([labelled, answered], 2).transpose(1, 2).reshape(batch, points, width)
        x = self.norms[0](x + self.dropout(self.out(attended)))
        return self.norms[1](x + self.dropout(self.down(self.dropout(F.gelu(self.up(x))))))


def _with_itself(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, own_k: torch.Tensor, own_v: torch.Tensor, dropout: float
) -> torch.Tensor:
    """Attention of queries ``q`` (..., m, d) to n keys (..., n, d) and each to its own; ``dropout`` of its weights."""
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
        self.blocks = nn.ModuleList(Block(width, heads, inner, dropout, query_sees_itself) for _ in range(layers))
        self.head = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, outputs))
        self.positions = nn.Parameter(0.02 * torch.randn(positions, width)) if positions else None

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Outputs (batch, points - n, outputs) of points ``x`` (batch, points, features), of which the first n have the
        labels ``y`` (batch, n)."""
        n = y.shape[1]
        tokens = self.encode_x(x)
        tokens = torch.cat([tokens[:, :n] + self.encode_y(y[..., None]), tokens[:, n:]], 1)
        if self.positions is not None:
            tokens = tokens + self.positions[: x.shape[1]]
        for block in self.blocks:
            tokens = block(tokens, n)
        return self.head(tokens[:, n:])


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
