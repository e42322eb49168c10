"""Adam with a cosine schedule for each phase.

Selection has three phases (Section 3 of the paper): all families, the best two of every node, the best one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from claimbench.papers.s_kan.networks import KAN, MLP
from claimbench.run import Run
from claimbench.training import StackLoop

#: share of the steps of each phase, and the families a node keeps in it
PHASES = ((0.2, None), (0.2, 2), (0.6, 1))


def phases(
    runs: list[Run], net: torch.nn.Module, steps: int, keep: Callable[[int], None] | None, name: str = ""
) -> Iterator[tuple[int, torch.optim.Optimizer]]:
    """Steps ``0..steps-1`` still to do, each with the optimiser of its phase.

    Args:
        runs: trained together; the ``learning_rate`` and checkpoint of the first are used.
        net: what is trained; it lies on its device already.
        steps: of all phases together.
        keep: called with the number of families at the start of a phase that has fewer; None is a single phase.
        name: tells loops of one run apart.
    """
    rate, share, start = runs[0].h.learning_rate, 0.0, 0
    for number, (part, count) in enumerate(PHASES if keep else ((1.0, None),)):
        share += part
        stop = round(share * steps)
        optimizer = torch.optim.Adam(net.parameters(), lr=rate, fused=True)
        state: dict[str, Any] = {"cut": False}
        loop = StackLoop(runs, f"phase {number} {name}", stop - start, net=net, adam=optimizer, state=state)
        if keep and count is not None and not state["cut"]:
            keep(count)
            state["cut"] = True
        for step in loop:
            for group in optimizer.param_groups:
                group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / (stop - start)))
            yield start + step, optimizer
        start = stop


def train(
    runs: list[Run],
    net: KAN | MLP,
    x: Float[Tensor, "networks n inputs"],
    y: Float[Tensor, "networks n outputs"],
) -> None:
    """Fit all networks of a stack to their own data, full batches, in place and on the device of the runs.

    Args:
        runs: one a network; hyper-parameters are the first's.
        net: the stack.
        x: (networks, n, d).
        y: (networks, n, outputs).
    """
    h, device = runs[0].h, runs[0].device
    net.to(device)
    x, y = x.to(device), y.to(device)
    keep = None
    if isinstance(net, KAN) and len(net.families) > 1:
        selectable = net
        keep = lambda count: selectable.keep(x, count)  # noqa: E731
    who = " ".join(f"{run.seed}/{sorted(run.setting.items())}" for run in runs)
    current = basis = None
    for step, optimizer in phases(runs, net, h.steps, keep, who):
        if isinstance(net, KAN) and optimizer is not current:  # the inputs stay, the families change with the phase
            current, basis = optimizer, net.basis(x)
        loss = ((net(x, basis) if isinstance(net, KAN) else net(x)) - y).square().mean((1, 2))
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        if (step + 1) % h.log_every == 0 or step + 1 == h.steps:
            for run, value in zip(runs, loss.detach().tolist(), strict=True):
                run.curve("train/rmse", step + 1, math.sqrt(run.finite(value)))
    for run in runs:
        run.metric("train/parameters", sum(p[0].numel() for p in net.parameters()))
        run.count(n_params=net.parameters_kept(), steps=h.steps)
