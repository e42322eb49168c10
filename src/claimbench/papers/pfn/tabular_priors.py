"""Priors over small tables with two classes: random networks and Gaussian processes, cut at the median (Section 6).

A batch of datasets is drawn at once: sizes that differ between datasets are masks on common arrays.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from claimbench.papers.pfn.gaussian_process import rbf

#: Gamma(shape, scale) of the standard deviation of weights, and of the noise's (released configuration)
WEIGHT_SPREAD, NOISE_SPREAD = (3.6187797729244253, 0.06773738681062867), (1.8663049257557085, 0.05275478076173361)
HIDDEN = (2, 150)
OUTPUT_SCALE, PROCESS_NOISE = 2.3163584733185836, 1e-3
# Deviates: the released length scale, 1.48e-4, makes the labels independent of inputs in [0, 1]; taken as the parameter
# that GPyTorch passes through softplus it is 0.693, and there is something to learn.
LENGTH = 0.6932


def _generated(distribution: torch.distributions.Distribution, shape: tuple[int, ...], generator: Any) -> torch.Tensor:
    """Draws of a distribution that knows no generator, from one seed of ``generator``."""
    seed = int(torch.randint(2**62, (1,), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # the CPU's alone: torch.manual_seed keeps a traceback for CUDA
        return distribution.sample(shape)


def gamma(shape: float, scale: float, size: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Draws of a Gamma distribution with any shape."""
    return _generated(torch.distributions.Gamma(shape, 1 / scale), size, generator)


def scaled_beta(
    a: float, b: float, low: int, high: int, size: tuple[int, ...], generator: torch.Generator
) -> torch.Tensor:
    """Whole numbers ``low`` to ``high``, a Beta(a, b) draw cut into equal parts."""
    drawn = _generated(torch.distributions.Beta(a, b), size, generator)
    return (low + (drawn * (high - low + 1)).long()).clamp(max=high)


def networks(
    datasets: int, points: int, features: int, generator: torch.Generator
) -> tuple[Float[Tensor, "datasets points features"], Float[Tensor, "datasets points"]]:
    """Networks of three layers whose width, weights' spread, noise and number of inputs are drawn for each dataset.

    Returns:
        Inputs (datasets, points, features), standardised and padded with zeros, and labels (datasets, points), 0 or 1.
        Classes are equally frequent and alternate; which one begins is a coin's side. An odd number of points ends with
        one more of class 0.
    """
    used = scaled_beta(1.0, 1.6, min(2, features), features, (datasets,), generator)
    hidden = scaled_beta(2.0, 4.0, *HIDDEN, (datasets,), generator)
    spread = gamma(*WEIGHT_SPREAD, (datasets, 1, 1), generator)
    noise = gamma(*NOISE_SPREAD, (datasets, 1, 1), generator)
    width = int(hidden.max())
    inputs = (torch.arange(features) < used[:, None]).float()[:, None]
    units = (torch.arange(width) < hidden[:, None]).float()[:, None]

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(datasets, *shape, generator=generator)

    x = normal(points, features) * inputs
    first = spread * (x @ normal(features, width) + normal(1, width))
    # masks are on the activations: a unit that is not there sends nothing on
    second = spread * ((first.tanh() * units) @ normal(width, width) + normal(1, width))
    second = second + (noise * normal(1, width)).abs() * normal(points, width)
    value = spread * ((second.tanh() * units) @ normal(width, 1) + normal(1, 1))
    value = value + (noise * normal(1, 1)).abs() * normal(points, 1)
    return alternate(standardise(x), above_median(value[..., 0]), torch.rand(datasets, generator=generator) < 0.5)


def processes(
    datasets: int, points: int, features: int, generator: torch.Generator
) -> tuple[Float[Tensor, "datasets points features"], Float[Tensor, "datasets points"]]:
    """Gaussian processes on inputs in [0, 1]; shapes as of :func:`networks`, rows in no order.

    Standardised inputs are multiplied by the largest number of features over the number used.
    """
    used = torch.randint(1, max(features, 2), (datasets,), generator=generator)
    inputs = (torch.arange(features) < used[:, None]).double()[:, None]
    x = torch.rand(datasets, points, features, generator=generator, dtype=torch.float64) * inputs
    kernel = OUTPUT_SCALE * rbf(x, x, LENGTH) + PROCESS_NOISE * torch.eye(points, dtype=x.dtype)
    z = torch.randn(datasets, points, 1, generator=generator, dtype=x.dtype)
    value = (torch.linalg.cholesky(kernel) @ z)[..., 0]
    return (standardise(x) * rescaling(used, features)[:, None, None]).float(), above_median(value).float()


def rescaling(used: torch.Tensor | int, features: int) -> Any:
    """Factor of the inputs under the prior of processes: all features over those used."""
    return features / used


def standardise(x: Float[Tensor, "*datasets points features"]) -> Float[Tensor, "*datasets points features"]:
    """Mean 0 and deviation 1 over points; columns of zeros stay."""
    return (x - x.mean(-2, keepdim=True)) / (x.std(-2, keepdim=True) + 1e-6)


def above_median(value: Float[Tensor, "*datasets points"]) -> Float[Tensor, "*datasets points"]:
    """1.0 where a value is above the median of its dataset (the lower one of two)."""
    return (value > value.median(-1, keepdim=True).values).to(value)


def alternate(
    x: Float[Tensor, "datasets points features"], y: Float[Tensor, "datasets points"], begins: Bool[Tensor, " datasets"]
) -> tuple[Float[Tensor, "datasets points features"], Float[Tensor, "datasets points"]]:
    """Rows reordered so that the classes take turns, which keeps every labelled part balanced.

    Args:
        x: inputs.
        y: labels, 0 or 1.
        begins: whether class 1 does.
    """
    order = y.argsort(dim=1, stable=True)
    half = order.shape[1] // 2
    zeros, ones = order[:, :half], order[:, half : 2 * half]
    first = begins[:, None]
    pairs = torch.stack([torch.where(first, ones, zeros), torch.where(first, zeros, ones)], 2).flatten(1)
    order = torch.cat([pairs, order[:, 2 * half :]], 1)
    return x.gather(1, order[..., None].expand_as(x)), y.gather(1, order)
