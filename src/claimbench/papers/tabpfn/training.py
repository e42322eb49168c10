"""Prior-fitting: the network is trained on tables that are drawn as they are needed (Section 3; Appendix E.3)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from claimbench.nn import state
from claimbench.nn.prior_fitted import PriorFittedTransformer, schedule
from claimbench.papers.tabpfn import prior
from claimbench.training import Loop

if TYPE_CHECKING:
    from claimbench.run import Run

#: the class of rows that no loss counts
IGNORED = -100


def build(configuration: Mapping[str, Any]) -> PriorFittedTransformer:
    """The network of a configuration, freshly initialised; a query sees labelled rows only (Section 4.1)."""
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

    A step's tables depend on the seed and the step alone, so that they can be drawn ahead. ``rows`` lists the lengths
    of tables, of which each step takes one; a step has ``tokens`` rows in all.
    """
    h = run.h
    start = run.torch_generator(f"tables/{step}", "cpu")
    rows = h.rows[int(torch.randint(len(h.rows), (1,), generator=start))]
    labelled = int(torch.randint(2, rows - int(rows * h.least_queries) + 1, (1,), generator=start))
    generator = torch.Generator(run.device).manual_seed(start.initial_seed() + 1)
    tables = max(1, h.tokens // rows)
    with torch.autocast(generator.device.type, enabled=False):  # tables are float32 in every precision of the training
        x, y = prior.sample(tables, labelled, prior.Configuration.of({**run.hyper, "rows": rows}), generator)
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
            valid = (y[:, 0] != IGNORED).sum().clamp_min(1)
            for part_x, part_y in zip(x.chunk(parts), y.chunk(parts), strict=True):
                share = (part_y[:, 0] != IGNORED).sum() / valid
                part = loss(net(part_x, part_y[:, :n].float()), part_y[:, n:]) * share
                part.backward()
                value += part.detach()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            recent["loss"] += run.finite(float(value))
            recent["steps"] += 1
            if (step + 1) % h.log_every == 0 or step + 1 in (h.steps, h.stop_after):
                run.curve("train/loss", step + 1, recent["loss"] / recent["steps"])
                recent.update(loss=0.0, steps=0)
            if step + 1 == h.stop_after:
                loop.stop()
    run.count(n_params=sum(p.numel() for p in net.parameters()), steps=min(h.steps, h.stop_after))
    return state.pack(net, "net/")


def held_out(run: Run, net: nn.Module) -> dict[str, float]:
    """Cross-entropy on fresh tables by the number of labelled rows, beside that of the class frequencies.

    The same tables and queries for every size: the first rows are labelled, the last ``asked`` are queries.

    Returns:
        ``ce_<n>`` for each of ``sizes``; ``ce`` and ``frequency_ce`` at the largest; ``z``, the mean paired difference
        of those two in standard errors; ``least_fall`` of ``ce`` from a size to the next.
    """
    h, largest = run.h, max(run.h.sizes)
    rows = largest + h.asked
    configuration = prior.Configuration.of({**run.hyper, "rows": rows})
    x, y = prior.sample(h.tested, largest, configuration, run.torch_generator("held-out"))
    valid = y[:, 0] != IGNORED
    x, y = x[valid], y[valid]
    found, entropies = {}, torch.zeros(len(x))
    with torch.inference_mode():
        for n in h.sizes:
            known = torch.cat([x[:, :n], x[:, largest:]], 1)
            parts = [net(a, b) for a, b in zip(known.split(64), y[:, :n].float().split(64), strict=True)]
            asked = y[:, largest:]
            entropies = F.cross_entropy(torch.cat(parts).transpose(1, 2), asked, reduction="none").mean(1)
            found[f"ce_{n}"] = float(entropies.mean())
    counts = F.one_hot(y[:, :largest], h.max_classes).sum(1).float()
    frequencies = counts / largest  # every class of the queries is there
    floor = -frequencies.gather(1, y[:, largest:]).log().mean(1)
    difference = floor - entropies
    falls = [found[f"ce_{a}"] - found[f"ce_{b}"] for a, b in zip(h.sizes, h.sizes[1:], strict=False)]
    return found | {
        "ce": float(entropies.mean()),
        "frequency_ce": float(floor.mean()),
        "z": float(difference.mean() / (difference.std() / math.sqrt(len(difference)))),
        "least_fall": min(falls),
    }
