"""Recurrent networks and transformers of the sequence experiments, with the features that guidance aligns.

Every network maps token numbers (n, length) to logits and a list of features (n, length, width), in the order of the
calls: the outputs of recurrent layers, attentions, layer norms and linear layers, without the last one.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

Output = tuple[torch.Tensor, list[torch.Tensor]]


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
        self.layers = nn.ModuleList(
            nn.RNN(width if index else embedding, width, batch_first=True) for index in range(layers)
        )
        self.output = nn.Linear(width, tokens)
        self.handed_on = handed_on

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> Output:
        """Logits (n, length, tokens)."""
        activation, state = self.embedding(x), None
        features = []
        for layer in self.layers:
            activation, final = layer(activation, state)
            state = final if self.handed_on else None
            features.append(activation)
        return self.output(activation), features


class ParityRecurrent(nn.Module):
    """A recurrent network that answers from its last state; its only feature is the output of the whole stack."""

    def __init__(self, tokens: int, width: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, tokens)
        self.rnn = nn.RNN(tokens, width, layers, batch_first=True)
        self.output = nn.Linear(width, 2)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> Output:
        """Logits (n, 2); outputs beyond the length of a string are zero in the feature."""
        states, _ = self.rnn(self.embedding(x))
        inside = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        last = states[torch.arange(len(x), device=x.device), lengths - 1]
        return self.output(torch.relu(last)), [states * inside[..., None]]


class Layer(nn.Module):
    """A post-norm transformer layer; with ``cross`` it also attends to its own input without a mask."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float, cross: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.cross = nn.MultiheadAttention(width, heads, dropout, batch_first=True) if cross else None
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3 if cross else 2))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor | None, padding: torch.Tensor | None, features: list[torch.Tensor]
    ) -> torch.Tensor:
        given = x
        found, _ = self.attention(x, x, x, attn_mask=mask, key_padding_mask=padding, need_weights=False)
        x = self.norms[0](x + self.dropout(found))
        features += [found, x]
        if self.cross is not None:
            found, _ = self.cross(x, given, given, need_weights=False)
            x = self.norms[1](x + self.dropout(found))
            features += [found, x]
        up = self.up(x)
        down = self.down(self.dropout(torch.relu(up)))
        x = self.norms[-1](x + self.dropout(down))
        features += [up, down, x]
        if self.cross is not None:
            features.append(x)  # the released code counts the decoder layer as a module of its own
        return x


class TiedTransformer(nn.Module):
    """One layer applied several times, as in the released code: of decoder kind with an output at every place
    (copy-paste), or of encoder kind with the mean over the places as input of two outputs (parity).

    Args:
        tokens: size of the dictionary.
        width: of the tokens.
        heads: of the attention.
        inner: width of the MLP.
        times: how often the layer is applied.
        dropout: rate.
        pooled: the parity network. Its padding token is 2.
    """

    def __init__(
        self, tokens: int, width: int, heads: int, inner: int, times: int, dropout: float, pooled: bool
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.layer = Layer(width, heads, inner, dropout, cross=not pooled)
        self.output = nn.Linear(width, 2 if pooled else tokens)
        self.dropout = nn.Dropout(dropout)
        self.width, self.times, self.pooled = width, times, pooled

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> Output:
        """Logits (n, 2) when pooled, else (n, length, tokens)."""
        length = x.shape[1]
        padding = x == 2 if self.pooled else None
        mask = None if self.pooled else causal(length, x.device)
        tokens = self.embedding(x) * (1.0 if self.pooled else math.sqrt(self.width))
        tokens = self.dropout(tokens + sinusoids(length, self.width, x.device))
        features: list[torch.Tensor] = []
        for _ in range(self.times):
            tokens = self.layer(tokens, mask, padding, features)
        if padding is not None:
            inside = (~padding)[..., None].float()
            tokens = (tokens * inside).sum(1) / inside.sum(1).clamp_min(1)
        return self.output(tokens), features


class LanguageTransformer(nn.Module):
    """A causal transformer with learned positions, whose layer norms act on the residual stream itself; weights, gains
    of the norms among them, start from N(0, 0.02^2) (released code)."""

    def __init__(
        self, tokens: int, width: int, heads: int, inner: int, layers: int, dropout: float, length: int
    ) -> None:
        super().__init__()
        self.embedding, self.positions = nn.Embedding(tokens, width), nn.Embedding(length, width)
        self.attentions = nn.ModuleList(
            nn.MultiheadAttention(width, heads, dropout, batch_first=True) for _ in range(layers)
        )
        self.ups = nn.ModuleList(nn.Linear(width, inner) for _ in range(layers))
        self.downs = nn.ModuleList(nn.Linear(inner, width) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-12) for _ in range(2 * layers))
        self.output = nn.Linear(width, tokens)
        self.dropout = nn.Dropout(dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding | nn.LayerNorm):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear | nn.LayerNorm):
                nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> Output:
        """Logits (n, length, tokens)."""
        mask = causal(x.shape[1], x.device)
        h = self.dropout(self.embedding(x) + self.positions.weight[: x.shape[1]])
        features: list[torch.Tensor] = []
        for index, attention in enumerate(self.attentions):
            h = self.norms[2 * index](h)
            found, _ = attention(h, h, h, attn_mask=mask, need_weights=False)
            features += [h, found]
            h = self.norms[2 * index + 1](h + self.dropout(found))
            up = self.ups[index](h)
            down = self.downs[index](torch.relu(up))
            features += [h, up, down]
            h = h + self.dropout(down)
        return self.output(h), features


def causal(length: int, device: torch.device) -> torch.Tensor:
    """True where attention is forbidden (length, length)."""
    return torch.ones(length, length, dtype=torch.bool, device=device).triu(1)


def sinusoids(length: int, width: int, device: torch.device) -> torch.Tensor:
    """Sinusoidal positions (length, width) (Vaswani et al. 2017)."""
    places = torch.arange(length, device=device)[:, None]
    rates = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10000.0) / width))
    found = torch.zeros(length, width, device=device)
    found[:, 0::2], found[:, 1::2] = torch.sin(places * rates), torch.cos(places * rates)
    return found


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
