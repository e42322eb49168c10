"""Prior-fitting: the network is trained on tables that are drawn as they are needed (Section 3; Appendix E.3)."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from claimbench.nn.prior_fitted import PriorFittedTransformer, schedule
from claimbench.papers.tabpfn import prior
from claimbench.training import Loop

if TYPE_CHECKING:
    from claimbench.run import Run

#: the class of rows that no loss counts
IGNORED = -100
#: what a configuration must say for its network to be built again
ARCHITECTURE = ("max_features", "max_classes", "width", "layers", "heads", "inner")


def build(configuration: dict[str, Any]) -> PriorFittedTransformer:
    """The network of a configuration, freshly initialised; a query sees labelled rows only (Section 4.1, Appendix E)."""
    c = configuration
    return PriorFittedTransformer(
        c["max_features"], c["max_classes"], c["width"], c["layers"], c["heads"], c["inner"], query_sees_itself=False
    )


def loss(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of all queries, averaged over the rows of a table, then over tables that are not ignored.

    Args:
        logits: (tables, queries, max_classes).
        classes: (tables, queries) int64, ``IGNORED`` throughout in tables without a valid split.
    """
    entropies = F.cross_entropy(logits.transpose(1, 2).float(), classes, ignore_index=IGNORED, reduction="none")
    valid = classes[:, 0] != IGNORED
    return (entropies.mean(1) * valid).sum() / valid.sum().clamp_min(1)


def draw(run: Run, step: int) -> tuple[torch.Tensor, torch.Tensor, int]:
    """The tables of a step, on the run's device: features, classes, and the number of labelled rows.

    A step's tables depend on the seed and the step alone, so that they can be drawn ahead. ``rows`` lists the lengths of
    tables, of which each step takes one; a step has ``tokens`` rows in all.
    """
    h = run.h
    start = run.torch_generator(f"tables/{step}")
    rows = h.rows[int(torch.randint(len(h.rows), (1,), generator=start))]
    labelled = int(torch.randint(2, rows - int(rows * h.least_queries) + 1, (1,), generator=start))
    generator = torch.Generator(run.device).manual_seed(start.initial_seed() + 1)
    tables = max(1, h.tokens // rows)
    x, y = prior.sample(tables, labelled, prior.Configuration.of(run.hyper | {"rows": rows}), generator)
    if h.sabotage == "shuffled-labels":
        y = y.gather(1, torch.rand(y.shape, generator=generator, device=y.device).argsort(1))
    return x, y, labelled


def train(run: Run) -> dict[str, np.ndarray[Any, Any]]:
    """Adam with warm-up and cosine, gradients clipped to 1; the tables of the next step are drawn in the background.

    Micro-batches of ``micro`` rows in all bound the memory of a step.

    Returns:
        The parameters, named ``net/...``.
    """
    h, device = run.h, run.device
    with run.torch_stream("init"):
        net = build(run.hyper).to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=h.learning_rate, fused=True)
    recent: dict[str, Any] = {"loss": 0.0, "steps": 0}
    loop = Loop(run, "train", h.steps, net=net, adam=optimizer, recent=recent)
    with ThreadPoolExecutor(1) as ahead:
        coming = None
        for step in loop:
            x, y, n = coming.result() if coming is not None else draw(run, step)
            coming = ahead.submit(draw, run, step + 1) if step + 1 < min(h.steps, h.stop_after) else None
            for group in optimizer.param_groups:
                group["lr"] = schedule(step, h.steps, h.learning_rate, h.warm_up)
            optimizer.zero_grad()
            parts = math.ceil(x.shape[0] * x.shape[1] / h.micro)
            value = torch.zeros((), device=device)
            for part_x, part_y in zip(x.chunk(parts), y.chunk(parts), strict=True):
                share = loss(net(part_x, part_y[:, :n].float()), part_y[:, n:]) * len(part_x) / len(x)
                share.backward()
                value += share.detach()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            recent["loss"] += run.finite(float(value))
            recent["steps"] += 1
            if (step + 1) % h.log_every == 0 or step + 1 == h.steps:
                run.curve("train/loss", step + 1, recent["loss"] / recent["steps"])
                recent.update(loss=0.0, steps=0)
            if step + 1 == h.stop_after:
                loop.stop()
    run.count(n_params=sum(p.numel() for p in net.parameters()), steps=min(h.steps, h.stop_after))
    return {f"net/{name}": value.detach().cpu().numpy() for name, value in net.state_dict().items()}
