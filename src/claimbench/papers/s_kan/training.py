"""Full batches, Adam, a cosine schedule for each phase; for selection three phases: all families, the best two of every
node, the best one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from claimbench.papers.s_kan.networks import KAN, MLP
from claimbench.training import Loop

if TYPE_CHECKING:
    from claimbench.run import Run

#: share of the steps of each phase, and the families a node keeps in it
PHASES = ((0.2, None), (0.2, 2), (0.6, 1))


def train(runs: list[Run], net: KAN | MLP, x: torch.Tensor, y: torch.Tensor) -> None:
    """Fit all networks of a stack to their own data, in place.

    Args:
        runs: one a network; hyper-parameters are the first's.
        net: the stack.
        x: (networks, n, d).
        y: (networks, n, outputs).
    """
    h = runs[0].h
    selecting = isinstance(net, KAN) and len(net.layers[0].families) > 1  # type: ignore[arg-type, union-attr]
    phases = PHASES if selecting else ((1.0, None),)
    who = " ".join(f"{run.seed}/{sorted(run.setting.items())}" for run in runs)
    for number, (share, count) in enumerate(phases):
        steps = round(share * h.steps)
        optimizer = torch.optim.Adam(net.parameters(), lr=h.learning_rate, fused=True)
        state: dict[str, Any] = {"cut": False}
        loop = Loop(runs[0], f"phase {number} {who}", steps, net=net, adam=optimizer, state=state)
        if count is not None and not state["cut"]:
            assert isinstance(net, KAN)
            net.keep(x, count)
            state["cut"] = True
        for step in loop:
            for group in optimizer.param_groups:
                group["lr"] = h.learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
            loss = (net(x) - y).square().mean((1, 2))
            optimizer.zero_grad()
            loss.sum().backward()
            optimizer.step()
            if (step + 1) % h.log_every == 0 or step + 1 == steps:
                before = sum(round(s * h.steps) for s, _ in phases[:number])
                for run, value in zip(runs, loss.detach().tolist(), strict=True):
                    run.curve("train/rmse", before + step + 1, math.sqrt(run.finite(value)))
    for run in runs:
        run.count(n_params=net.parameters_kept(), steps=h.steps)
