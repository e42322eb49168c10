"""The trained network of the regression: what scikit-learn's MLPRegressor fits with early stopping, several at once."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from claimbench.nn.stack import Stack
from claimbench.run import Run
from claimbench.training import StackLoop

#: scikit-learn's own values: share of the samples that validate, epochs without a better score, what counts as better,
#: and the penalty on the squared weights
HELD_OUT, PATIENCE, TOLERANCE, PENALTY = 0.1, 10, 1e-4, 1e-4

Rows = Float[Tensor, "networks n _"]


def network(inputs: int, hidden: int) -> nn.Sequential:
    """Two hidden layers of ``hidden`` rectified units and one output, drawn as Glorot and Bengio (2010) do."""
    sizes = (inputs, hidden, hidden, 1)
    first, second, last = (nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
    for layer in (first, second, last):
        bound = math.sqrt(6 / (layer.in_features + layer.out_features))
        nn.init.uniform_(layer.weight, -bound, bound)
        nn.init.uniform_(layer.bias, -bound, bound)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), last)


def train(runs: Sequence[Run], x: Rows, y: Rows) -> list[dict[str, Any]]:
    """Adam on half the squared error, until a tenth of the samples has not been predicted better for ten epochs.

    Args:
        runs: one a network, the same but for their seeds. Metric: ``train/epochs``.
        x: (networks, n, inputs) of each run.
        y: (networks, n, 1).

    Returns:
        Of each network the weights of its best epoch, by R^2 on the tenth.
    """
    h, (_, n, inputs) = runs[0].h, x.shape
    nets = []
    for run in runs:
        with run.torch_stream("init"):
            nets.append(network(inputs, h.hidden))
    stack, each = Stack(nets), torch.arange(len(runs))[:, None]
    orders = torch.from_numpy(np.stack([run.rng("held out").permutation(n) for run in runs]))
    held, kept = orders[:, : math.ceil(HELD_OUT * n)], orders[:, math.ceil(HELD_OUT * n) :]
    val_x, val_y, x, y = x[each, held], y[each, held], x[each, kept], y[each, kept]
    spread = (val_y - val_y.mean(1, keepdim=True)).square().mean((1, 2))
    batch = min(h.batch, n // 2)
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, value in zip(stack.names, stack.weights, strict=True):
        groups[name.endswith("weight")].append(value)
    parts = [{"params": groups[True], "weight_decay": PENALTY / batch}, {"params": groups[False]}]
    optimizer = torch.optim.Adam(parts, lr=h.learning_rate, fused=True)
    state: dict[str, Any] = {
        "score": torch.full((len(runs),), -math.inf),
        "waited": torch.zeros(len(runs), dtype=torch.long),
        "epochs": torch.zeros(len(runs), dtype=torch.long),
        "best": [value.detach().clone() for value in stack.weights],
    }
    loop = StackLoop(
        runs,
        "network " + " ".join(str(run.seed) for run in runs),
        h.network_epochs,
        net=stack,
        adam=optimizer,
        state=state,
    )
    for epoch in loop:
        order = torch.from_numpy(np.stack([run.rng(f"order {epoch}").permutation(x.shape[1]) for run in runs]))
        for rows in order.split(batch, 1):
            loss = (stack(x[each, rows]) - y[each, rows]).square().mean((1, 2)) / 2
            optimizer.zero_grad()
            loss.sum().backward()
            optimizer.step()
        with torch.no_grad():
            score = 1 - (stack(val_x) - val_y).square().mean((1, 2)) / spread
        active = state["waited"] <= PATIENCE  # the others have stopped, and only go along
        for index in range(len(runs)):
            runs[index].finite(float(score[index]))
        state["epochs"] += active
        state["waited"] = torch.where(
            active & (score >= state["score"] + TOLERANCE), torch.zeros_like(state["waited"]), state["waited"] + active
        )
        better = active & (score > state["score"])
        state["score"] = torch.where(better, score, state["score"])
        for value, best in zip(stack.weights, state["best"], strict=True):
            best[better] = value.detach()[better]
        if not bool((state["waited"] <= PATIENCE).any()):
            loop.stop()
    with torch.no_grad():
        for value, best in zip(stack.weights, state["best"], strict=True):
            value.copy_(best)
    for run, epochs in zip(runs, state["epochs"].tolist(), strict=True):
        run.metric("train/epochs", epochs)
        run.count(n_params=sum(value[0].numel() for value in stack.weights))
    return [stack.one(index) for index in range(len(runs))]
