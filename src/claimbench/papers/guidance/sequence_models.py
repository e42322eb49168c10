"""Recurrent networks and transformers of the sequence experiments, with the features that guidance aligns.

Every network maps token numbers (n, length) to logits and a list of features (n, length, width), in the order of the
calls: the outputs of recurrent layers, attentions, layer norms and linear layers, without the last one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from claimbench.nn.transformer import Attention, Block, FeedForward, outputs_of, sinusoids
from claimbench.papers.guidance.recurrence import TanhLayer

#: logits, and features (n, length, width)
Output = tuple[Float[Tensor, "n ..."], list[Float[Tensor, "n _ _"]]]
Tokens = Int[Tensor, "n length"]

#: padding of parity strings
PARITY_PADDING = 2


class RecurrentNetwork(nn.Module):
    """Stacked tanh layers with a linear output at every place (copy-paste, language modelling).

    Args:
        tokens: size of the dictionary, inputs and outputs.
        embedding: width of the embeddings.
        width: of each layer.
        layers: their number.
        handed_on: start each layer from the final state of the layer before, as the released code does; the network
            then sees later tokens. Otherwise every layer starts from zeros.
    """

    def __init__(self, tokens: int, embedding: int, width: int, layers: int, handed_on: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, embedding)
        self.layers = nn.ModuleList(TanhLayer(width if index else embedding, width) for index in range(layers))
        self.output = nn.Linear(width, tokens)
        self.handed_on = handed_on

    def forward(self, x: Tokens, lengths: Int[Tensor, " _"] | None = None) -> Output:
        """Logits (n, length, tokens)."""
        activation, state = self.embedding(x), None
        features = []
        for layer in self.layers:
            activation, final = layer(activation, state)
            state = final if self.handed_on else None
            features.append(activation)
        return self.output(activation), features


class ParityRecurrent(nn.Module):
    """A recurrent network that answers from its last state; its only feature is the output of the whole stack.

    Args:
        tokens: size of the dictionary, and width of the embeddings.
        width: of each layer.
        layers: their number.
    """

    def __init__(self, tokens: int, width: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, tokens)
        self.rnn = nn.RNN(tokens, width, layers, batch_first=True)
        self.output = nn.Linear(width, 2)

    def forward(self, x: Tokens, lengths: Int[Tensor, " n"]) -> Output:
        """Logits (n, 2); outputs beyond the length of a string are zero in the feature."""
        states, _ = self.rnn(self.embedding(x))
        inside = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        last = states[torch.arange(len(x), device=x.device), lengths - 1]
        return self.output(torch.relu(last)), [states * inside[..., None]]


class TiedTransformer(nn.Module):
    """One post-norm layer applied several times, as in the released code: of decoder kind with an output at every place
    (copy-paste), or of encoder kind with the mean over the places as input of two outputs (parity).

    The decoder's cross-attention is to its own input, without a mask.

    Args:
        tokens: size of the dictionary.
        width: of the tokens.
        heads: of the attention.
        inner: width of the feed-forward part.
        times: how often the layer is applied.
        dropout: rate.
        pooled: the parity network.
    """

    def __init__(
        self, tokens: int, width: int, heads: int, inner: int, times: int, dropout: float, pooled: bool
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        attention = Attention(width, heads, dropout, causal=not pooled)
        cross = None if pooled else Attention(width, heads, dropout)
        self.layer = Block(width, attention, FeedForward(width, inner, F.relu, dropout), cross, dropout=dropout)
        self.output = nn.Linear(width, 2 if pooled else tokens)
        self.dropout = nn.Dropout(dropout)
        self.width, self.times, self.pooled = width, times, pooled

    def forward(self, x: Tokens, lengths: Int[Tensor, " _"] | None = None) -> Output:
        """Logits (n, 2) when pooled, else (n, length, tokens)."""
        padding = x == PARITY_PADDING if self.pooled else None
        tokens = self.embedding(x) * (1.0 if self.pooled else math.sqrt(self.width))
        tokens = self.dropout(tokens + sinusoids(x.shape[1], self.width, x.device))
        seen = list(_parts(self.layer))
        if self.layer.cross is not None:
            seen.append(self.layer)  # the released code counts the decoder layer as a module of its own
        with outputs_of(seen) as features:
            for _ in range(self.times):
                tokens = self.layer(tokens, tokens, padding=padding)
        if padding is not None:
            inside = (~padding)[..., None].float()
            tokens = (tokens * inside).sum(1) / inside.sum(1).clamp_min(1)
        return self.output(tokens), features


class LanguageTransformer(nn.Module):
    """A causal transformer with learned positions, whose layer norms act on the residual stream itself; weights, gains
    of the norms among them, start from N(0, 0.02^2) (released code).

    A norm before each part that also changes the stream is one norm on the embeddings and post-norm layers, of which
    the last has no norm at its end.

    Args:
        tokens: size of the dictionary.
        width: of the tokens.
        heads: of the attention.
        inner: width of the feed-forward parts.
        layers: their number.
        dropout: rate.
        length: largest number of tokens of a text.
    """

    def __init__(
        self, tokens: int, width: int, heads: int, inner: int, layers: int, dropout: float, length: int
    ) -> None:
        super().__init__()
        self.embedding, self.positions = nn.Embedding(tokens, width), nn.Embedding(length, width)
        attentions = [Attention(width, heads, dropout, causal=True) for _ in range(layers)]
        parts = [FeedForward(width, inner, F.relu) for _ in range(layers)]
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.layers = nn.ModuleList(
            Block(width, attention, part, dropout=dropout, epsilon=1e-12)
            for attention, part in zip(attentions, parts, strict=True)
        )
        norms = [self.norm, *(norm for layer in self.layers for norm in layer.norms)][:-1]
        self.layers[-1].norms[-1] = nn.Identity()
        self.output = nn.Linear(width, tokens)
        self.dropout = nn.Dropout(dropout)
        linear = [*(a.out for a in attentions), *(part.up for part in parts), *(part.down for part in parts)]
        for module in (self.embedding, self.positions, *linear, *norms, self.output):
            nn.init.normal_(module.weight, std=0.02)
            if not isinstance(module, nn.Embedding):
                nn.init.zeros_(module.bias)

    def forward(self, x: Tokens, lengths: Int[Tensor, " _"] | None = None) -> Output:
        """Logits (n, length, tokens)."""
        h = self.dropout(self.embedding(x) + self.positions.weight[: x.shape[1]])
        seen = [self.norm, *(part for layer in self.layers for part in _parts(layer))]
        with outputs_of(seen[:-1]) as features:  # nothing after the last linear layer
            h = self.norm(h)
            for layer in self.layers:
                h = layer(h)
        return self.output(h), features


def _parts(layer: Block) -> Iterator[nn.Module]:
    """What of a layer is a feature, in the order of the calls."""
    yield layer.attention
    yield layer.norms[0]
    if layer.cross is not None:
        yield layer.cross
        yield layer.norms[1]
    yield from (layer.feed_forward.up, layer.feed_forward.down, layer.norms[-1])


def network(kind: str, task: str, tokens: int, h: Any) -> nn.Module:
    """``rnn`` or ``transformer`` for a task, of the sizes in the hyper-parameters."""
    if kind == "rnn":
        if task == "parity":
            return ParityRecurrent(tokens, h.rnn_width, h.rnn_layers)
        return RecurrentNetwork(tokens, h.embedding, h.rnn_width, h.rnn_layers, h.handed_on)
    sizes = (tokens, h.width, h.heads, h.inner, h.layers, h.dropout)
    if task == "language-model":
        return LanguageTransformer(*sizes, h.block)
    return TiedTransformer(*sizes, task == "parity")
