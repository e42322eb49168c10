"""Fitting a transformer to a prior: datasets are drawn as they are needed (Section 3, Algorithm 1)."""

from __future__ import annotations

import contextlib
import functools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from claimbench import seeding
from claimbench.nn import state
from claimbench.nn.prior_fitted import PriorFittedTransformer, labelled_size, schedule
from claimbench.nn.riemann import Riemann, equal_mass_borders
from claimbench.papers.pfn import bayesian_networks, tabular_priors
from claimbench.papers.pfn import gaussian_process as gp
from claimbench.training import Loop

if TYPE_CHECKING:
    from claimbench.run import Run


def draw(
    prior: str, datasets: int, h: Any, generator: torch.Generator, device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Datasets of a prior, standardised: inputs (datasets, points, d) float32, values or labels (datasets, points)
    float32, on ``device``; random numbers are the CPU's."""
    if prior == "fixed":
        x, y = gp.fixed(datasets, h.points, h.d, generator, device)
    elif prior == "mixture":
        x, y = gp.mixture(datasets, h.points, generator)
        y = y / gp.MIXTURE_DEVIATION
    elif prior == "networks":
        x, y = tabular_priors.networks(datasets, h.points, h.d, generator)
    elif prior == "processes":
        x, y = tabular_priors.processes(datasets, h.points, h.d, generator)
    else:
        x, y = bayesian_networks.draw(datasets, h.points, h.d, h.hidden, h.activation, generator)
    return x.float().to(device), y.float().to(device)


def labelled(prior: str, h: Any, generator: torch.Generator) -> int:
    """Number of labelled points of a batch: uniform from 1 for the tables' priors, else weighted by the queries."""
    if prior in ("networks", "processes"):
        return int(torch.randint(1, h.largest + 1, (1,), generator=generator))
    return labelled_size(min(h.largest + 1, h.points), generator)


@functools.cache
def _borders(prior: str, seed: int, datasets: int, points: int, d: int, buckets: int) -> torch.Tensor:
    """Borders of buckets that hold as many values of a process's prior each: one computation for all runs of a seed."""
    generator = seeding.torch_generator(seed, "borders", "cpu")
    _, sample = draw(prior, datasets, SimpleNamespace(points=points, d=d), generator)
    return equal_mass_borders(sample, buckets)


def build(run: Run, head: str, buckets: int | None = None) -> nn.Module:
    """The network for a head: ``riemann`` (``buckets``, by default those of the run), ``gaussian`` (mean, log variance)
    or ``binary`` (log odds)."""
    h = run.h
    outputs = {"gaussian": 2, "binary": 1}.get(head) or buckets or h.buckets
    positions = h.points if run.method == "positional" else 0
    with run.torch_stream("init"):
        return PriorFittedTransformer(h.d, outputs, h.width, h.layers, h.heads, h.inner, h.dropout, positions)


def log_density(head: str, borders: torch.Tensor, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(...) of the outputs (..., outputs of the network) at ``y`` (...)."""
    if head == "binary":
        return -F.binary_cross_entropy_with_logits(outputs[..., 0], y, reduction="none")
    if head == "gaussian":
        return gp.normal_log_density(y, outputs[..., 0], outputs[..., 1].exp() + 1e-6)
    return Riemann(borders).log_density(outputs, y)


def train(run: Run, prior: str, head: str) -> dict[str, np.ndarray[Any, Any]]:
    """Adam with warm-up and cosine, gradients clipped to 1; each step draws a batch in ``parts``, and one number of
    labelled points for each of them.

    Returns:
        The parameters, and the ``borders`` of the buckets (none for a binary head).
    """
    h, device = run.h, run.device
    tasks = run.torch_generator("tasks", "cpu")
    borders = torch.zeros(0)
    if head != "binary":
        borders = _borders(prior, run.seed, h.border_datasets, h.border_points or h.points, h.d, h.buckets).to(device)
    # equal borders are one, so there may be fewer buckets than asked for
    net = build(run, head, buckets_of(borders)).to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=h.learning_rate, fused=True)
    for step in Loop(run, "train", h.steps, net=net, adam=optimizer, tasks=tasks):
        for group in optimizer.param_groups:
            group["lr"] = schedule(step, h.steps, h.learning_rate)
        optimizer.zero_grad()
        loss = torch.zeros((), device=device)
        # dropout knows no generator; a stream a step, so that a resumed run draws the same
        with run.torch_stream(f"dropout/{step}") if h.dropout else contextlib.nullcontext():
            for _ in range(h.parts):
                x, y = draw(prior, h.batch // h.parts, h, tasks, device)
                if h.sabotage == "drifting-prior" and step >= 31:
                    y = y + 2.0
                n = labelled(prior, h, tasks)
                part = -log_density(head, borders, net(x, y[:, :n]), y[:, n:]).mean() / h.parts
                part.backward()
                loss += part.detach()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % h.log_every == 0 or step + 1 == h.steps:
            run.curve("train/loss", step + 1, run.finite(float(loss)))
    run.count(n_params=sum(p.numel() for p in net.parameters()), steps=h.steps)
    return state.pack(net, "net/") | {"borders": borders.cpu().numpy()}


def buckets_of(borders: torch.Tensor) -> int | None:
    """The number of buckets between ``borders`` (buckets + 1,), None without borders."""
    return len(borders) - 1 if len(borders) else None


def load(run: Run, artifact: dict[str, Any], head: str) -> tuple[nn.Module, torch.Tensor]:
    """The network of an artifact, and its borders."""
    borders = torch.from_numpy(np.array(artifact["borders"]))
    return state.unpack(build(run, head, buckets_of(borders)), artifact, "net/").eval(), borders


def predictive(net: nn.Module, head: str, borders: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Log density (datasets,) of the last point, given all before it: ``x`` (datasets, n + 1, d), ``y`` (datasets,
    n + 1)."""
    n = y.shape[1] - 1
    size = max(1, min(500, 2**16 // (n + 1)))
    with torch.no_grad():
        parts = [
            log_density(head, borders, net(a, b[:, :n])[:, 0], b[:, n])
            for a, b in zip(x.split(size), y.split(size), strict=True)
        ]
    return torch.cat(parts)


def probabilities(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Of class 1 (datasets, queries): ``x`` (datasets, n + queries, d), ``y`` (datasets, n)."""
    with torch.no_grad():
        return torch.cat([net(a, b)[..., 0].sigmoid() for a, b in zip(x.split(100), y.split(100), strict=True)])
