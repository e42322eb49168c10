"""The experiments of the PFN paper: what each cell trains (fit) and how it is evaluated (score)."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

    from claimbench.run import Run

Artifact = dict[str, Any]


def _head(run: Run) -> str:
    return "gaussian" if run.method == "gaussian" else "riemann"


# ---- a Gaussian process with fixed hyper-parameters ------------------------------------------------------------------


def fit_fixed_gp(run: Run, data: None) -> Artifact:
    from claimbench.papers.pfn import training

    return dict(training.train(run, "fixed", _head(run)))


def score_fixed_gp(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Negative log density of one query in each of many fresh datasets, for several numbers of labelled points, and its
    distance from that of the exact process (paired; the sabotage measures it against a process of another length)."""
    from claimbench.papers.pfn import gaussian_process as gp
    from claimbench.papers.pfn import training

    net, borders = training.load(run, artifact, _head(run))
    length = 0.3 if run.h.sabotage == "other-length" else gp.LENGTH_SCALE
    x, y = gp.fixed(run.h.tested, run.h.points, run.h.d, run.torch_generator("test"))
    found: dict[str, float] = {}
    gaps, scores, z = [], [], []
    for n in run.h.sizes:
        part_x, part_y = x[:, : n + 1], y[:, : n + 1]
        own = -training.predictive(net, _head(run), borders, part_x.float(), part_y.float()).double()
        mean, variance = gp.exact(part_x, part_y[:, :n], lambda a, b: gp.rbf(a, b, length))
        difference = own + gp.normal_log_density(part_y[:, n], mean, variance)
        gap, error = float(difference.mean()), float(difference.std() / math.sqrt(len(difference)))
        gaps.append(gap)
        scores.append(float(own.mean()))
        z.append(gap / error)
        found |= {f"test/gap_{n}": gap, f"test/nll_{n}": scores[-1]}
    return found | {
        "test/gap": float(np.mean(gaps)),
        "test/largest_gap": max(gaps),
        "test/nll": float(np.mean(scores)),
        "test/least_z": min(z),
        "test/least_fall": float(-np.diff(scores).max()),
    }


# ---- a Gaussian process with hyper-priors ----------------------------------------------------------------------------


def _tests(run: Run) -> tuple[torch.Tensor, torch.Tensor]:
    """Datasets that all methods of a seed are judged on, not standardised."""
    from claimbench.papers.pfn import gaussian_process as gp

    return gp.mixture(run.h.tested, run.h.points, run.torch_generator("test"))


def fit_hyper_gp__pfn(run: Run, data: None) -> Artifact:
    from claimbench.papers.pfn import training

    return dict(training.train(run, "mixture", "riemann"))


def fit_hyper_gp(run: Run, data: None) -> Artifact:
    """Nothing to train: ``map`` and ``quadrature`` infer hyper-parameters for each dataset anew."""
    return {}


def score_hyper_gp(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Negative log density of one query, in the units of the values; the mean over the small sizes decides."""
    from claimbench.papers.pfn import gaussian_process as gp
    from claimbench.papers.pfn import training

    x, y = _tests(run)
    if run.method == "pfn":
        net, borders = training.load(run, artifact, "riemann")
    found = {}
    for n in run.h.sizes:
        part_x, part_y = x[:, : n + 1], y[:, : n + 1]
        if run.method == "pfn":
            scaled = part_y / gp.MIXTURE_DEVIATION
            log_p = training.predictive(net, "riemann", borders, part_x.float(), scaled.float()).double()
            log_p = log_p - math.log(gp.MIXTURE_DEVIATION)
        else:
            log_p = _inferred(run.method, part_x, part_y)
        found[f"test/nll_{n}"] = float(-log_p.mean())
    small = [found[f"test/nll_{n}"] for n in run.h.sizes if n <= run.h.small]
    return found | {"test/nll_small": float(np.mean(small))}


def _inferred(method: str, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    import torch

    from claimbench.papers.pfn import gaussian_process as gp

    n = y.shape[1] - 1
    found = []
    for points, values in zip(x, y, strict=True):
        best = gp.maximum(points[:n], values[:n])
        if method == "quadrature":
            found.append(gp.by_quadrature(points, values[:n], values[n], best))
            continue
        length, scale = np.exp(best)
        mean, variance = gp.exact(
            points,
            values[:n],
            lambda a, b, s=scale, size=length: s * gp.matern(a, b, float(size)),
        )
        found.append(gp.normal_log_density(values[n], mean, variance))
    return torch.stack(found)


def fit_inference_time(run: Run, data: None) -> Artifact:
    """Seconds a dataset: the network on all datasets in one pass and one by one, MLE-II one after the other."""
    import torch

    from claimbench.papers.pfn import gaussian_process as gp
    from claimbench.papers.pfn import training

    h = run.h
    x, y = _tests(run)
    n = h.labelled
    best = {"batch": math.inf, "single": math.inf}
    if run.method == "pfn":
        net = training.build(run, "riemann").eval()
        a, b = x[:, : n + 1].float(), y[:, :n].float()
        with torch.no_grad():
            net(a, b)
            for _ in range(h.repeats):
                start = time.perf_counter()
                net(a, b)
                best["batch"] = min(best["batch"], (time.perf_counter() - start) / len(a))
                start = time.perf_counter()
                few = min(20, len(a))
                for i in range(few):
                    net(a[i : i + 1], b[i : i + 1])
                best["single"] = min(best["single"], (time.perf_counter() - start) / few)
    else:
        for _ in range(h.repeats):
            start = time.perf_counter()
            for points, values in zip(x, y, strict=True):
                gp.maximum(points[:n], values[:n])
            best["batch"] = best["single"] = min(best["batch"], (time.perf_counter() - start) / len(x))
    return dict(best)


def score_inference_time(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    return {"test/seconds": artifact["batch"], "test/seconds_single": artifact["single"]}
