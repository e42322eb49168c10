"""Gaussian processes: sampling, the exact predictive density, and inference of hyper-parameters (Sections 5.1 and 5.2).

Everything is batched over datasets and in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

LENGTH_SCALE, NOISE = 0.6, 1e-4
#: hyper-priors: Gamma(shape, rate) of length scale and output scale; the noise's underflows to its floor
LENGTH_PRIOR, SCALE_PRIOR = (3.0, 6.0), (2.0, 0.15)
#: where (log length, log scale) of the largest posterior density are sought, and from where
LOG_BOUNDS = ((-7.0, 3.0), (-5.0, 7.0))
LOG_STARTS = tuple((math.log(length), math.log(10.0)) for length in (0.05, 0.3, 1.0))
#: what targets are divided by: the standard deviation of the marginal
MIXTURE_DEVIATION = math.sqrt(SCALE_PRIOR[0] / SCALE_PRIOR[1] + NOISE)


def rbf(a: torch.Tensor, b: torch.Tensor, length: torch.Tensor | float) -> torch.Tensor:
    """exp(-|a - b|^2 / (2 length^2)), (..., n, m) of points (..., n, d) and (..., m, d)."""
    return torch.exp(-torch.cdist(a, b).square() / (2 * length**2))


def matern(a: torch.Tensor, b: torch.Tensor, length: torch.Tensor | float) -> torch.Tensor:
    """Matern kernel of smoothness 5/2."""
    r = math.sqrt(5) * torch.cdist(a, b) / length
    return (1 + r + r.square() / 3) * torch.exp(-r)


def normal_log_density(y: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """Log density (...) of normal distributions (...) at ``y`` (...), in nats."""
    return -0.5 * (math.log(2 * math.pi) + variance.log() + (y - mean).square() / variance)


def draw(kernel: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Noisy values (..., n) of processes with these kernels (..., n, n)."""
    return _correlated(kernel, torch.randn(kernel.shape[:-1], generator=generator, dtype=kernel.dtype))


def _correlated(kernel: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    eye = torch.eye(kernel.shape[-1], dtype=kernel.dtype, device=kernel.device)
    return (torch.linalg.cholesky(kernel + NOISE * eye) @ z[..., None])[..., 0]


def fixed(
    datasets: int, points: int, d: int, generator: torch.Generator, device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Datasets of the process with fixed hyper-parameters: inputs (datasets, points, d) in [0, 1], values (datasets,
    points). Random numbers are the CPU's; kernels are factorised on ``device``, where the datasets end."""
    x = torch.rand(datasets, points, d, generator=generator, dtype=torch.float64)
    z = torch.randn(datasets, points, generator=generator, dtype=torch.float64)
    x, z = x.to(device), z.to(device)
    parts = zip(x.split(at_once(points)), z.split(at_once(points)), strict=True)
    return x, torch.cat([_correlated(rbf(a, a, LENGTH_SCALE), b) for a, b in parts])


def at_once(points: int) -> int:
    """Datasets whose kernels are in memory together: half a gigabyte of each matrix at most."""
    return max(1, 2**26 // points**2)


def gamma(shape: float, rate: float, size: int, generator: torch.Generator) -> torch.Tensor:
    """(size,) draws of a Gamma distribution with an integer shape: a sum of exponentials."""
    uniform = torch.rand(size, int(shape), generator=generator, dtype=torch.float64).clamp_min(1e-300)
    return -uniform.log().sum(1) / rate


def mixture(datasets: int, points: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """One-dimensional datasets with drawn length and output scales; values are not standardised."""
    length = gamma(*LENGTH_PRIOR, datasets, generator)[:, None, None]
    scale = gamma(*SCALE_PRIOR, datasets, generator)[:, None, None]
    x = torch.rand(datasets, points, 1, generator=generator, dtype=torch.float64)
    return x, draw(scale * matern(x, x, length), generator)


def exact(x: torch.Tensor, y: torch.Tensor, kernel: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Predictive mean and variance (...) of a noisy last point, given all points before it.

    Args:
        x: (..., n + 1, d); the last point is the query.
        y: (..., n).
        kernel: maps two sets of points to their covariances.
    """
    n = y.shape[-1]
    if y.ndim == 2 and len(y) > at_once(n + 1) and n:
        parts = zip(x.split(at_once(n + 1)), y.split(at_once(n + 1)), strict=True)
        means, variances = zip(*(exact(a, b, kernel) for a, b in parts), strict=True)
        return torch.cat(means), torch.cat(variances)
    prior = kernel(x[..., n:, :], x[..., n:, :])[..., 0, 0] + NOISE
    if n == 0:
        return torch.zeros_like(prior), prior
    known = kernel(x[..., :n, :], x[..., :n, :]) + NOISE * torch.eye(n, dtype=x.dtype)
    cross = kernel(x[..., :n, :], x[..., n:, :])
    root = torch.linalg.cholesky(known)
    solved = torch.linalg.solve_triangular(root, cross, upper=False)
    white = torch.linalg.solve_triangular(root, y[..., None], upper=False)
    mean = (solved * white).sum((-2, -1))
    return mean, (prior - solved.square().sum((-2, -1))).clamp_min(NOISE)


def log_posterior(logs: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Log of likelihood times hyper-prior (...) at (log length, log scale) (..., 2), as densities of the two scales.

    Args:
        logs: (..., 2).
        x: (..., n, 1).
        y: (..., n).
    """
    length, scale = logs[..., 0].exp(), logs[..., 1].exp()
    n = y.shape[-1]
    kernel = scale[..., None, None] * matern(x, x, length[..., None, None])
    root = torch.linalg.cholesky(kernel + NOISE * torch.eye(n, dtype=x.dtype))
    white = torch.linalg.solve_triangular(root, y[..., None].expand(*root.shape[:-2], n, 1), upper=False)[..., 0]
    likelihood = -0.5 * white.square().sum(-1) - root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    found = likelihood - 0.5 * n * math.log(2 * math.pi)
    for value, (shape, rate) in ((length, LENGTH_PRIOR), (scale, SCALE_PRIOR)):
        found = found + (shape - 1) * value.log() - rate * value + shape * math.log(rate) - math.lgamma(shape)
    return found


def maximum(x: torch.Tensor, y: torch.Tensor) -> np.ndarray[Any, Any]:
    """(log length, log scale) of the largest posterior density (MLE-II with hyper-priors) of one dataset ``x`` (n, 1),
    ``y`` (n,): L-BFGS from three starts, as libraries do it. It is what is timed."""
    from scipy.optimize import minimize

    def loss(logs: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        at = torch.tensor(logs, dtype=torch.float64, requires_grad=True)
        value = -log_posterior(at, x, y)
        value.backward()
        assert at.grad is not None
        return float(value.detach()), at.grad.numpy()

    found = [minimize(loss, start, jac=True, method="L-BFGS-B", bounds=LOG_BOUNDS) for start in LOG_STARTS]
    return np.asarray(min(found, key=lambda result: result.fun).x)


def maxima(x: torch.Tensor, y: torch.Tensor, steps: int = 100) -> torch.Tensor:
    """What :func:`maximum` finds, (datasets, 2), for all datasets ``x`` (datasets, n, 1), ``y`` (datasets, n) at once.

    Newton's method in the eigenvectors of the curvature, whose signs are dropped so that every step goes uphill; a step
    that leads down is tried again with stronger damping.
    """
    x, y = x[:, None], y[:, None]
    low, high = torch.tensor(LOG_BOUNDS, dtype=torch.float64).T
    at = torch.tensor(LOG_STARTS, dtype=torch.float64).expand(len(x), -1, -1).contiguous()
    damping = torch.ones_like(at[..., 0])
    value, slope, bend = _local(at, x, y)
    for _ in range(steps):
        curvature, axes = torch.linalg.eigh(bend)
        along = (axes.mT @ slope[..., None])[..., 0] / (curvature.abs() + damping[..., None])
        tried = torch.clamp(at + (axes @ along[..., None])[..., 0], low, high)
        found = _local(tried, x, y)
        better = found[0] >= value
        moved = (tried - at).abs().amax()
        at = torch.where(better[..., None], tried, at)
        value, slope = torch.where(better, found[0], value), torch.where(better[..., None], found[1], slope)
        bend = torch.where(better[..., None, None], found[2], bend)
        damping = torch.where(better, damping / 10, damping * 10)
        if moved < 1e-8:
            break
    return at.gather(1, value.argmax(1)[:, None, None].expand(-1, 1, 2))[:, 0]


def _local(logs: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """:func:`log_posterior` (...) at ``logs`` (..., 2), its gradient (..., 2) and second derivatives (..., 2, 2)."""
    at = logs.detach().requires_grad_()
    value = log_posterior(at, x, y)
    (slope,) = torch.autograd.grad(value.sum(), at, create_graph=True)
    rows = [torch.autograd.grad(slope[..., i].sum(), at, retain_graph=True)[0] for i in range(2)]
    return value.detach(), slope.detach(), torch.stack(rows, -2)


def posterior_grid(x: torch.Tensor, y: torch.Tensor, points: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(log length, log scale) on a grid (points^2, 2) over their posterior, and the logs of its weights (points^2,).

    A grid over the whole prior finds the posterior's mean and deviations; three finer ones are laid over five of them.
    """
    low, high = torch.tensor([-4.5, -3.5], dtype=torch.float64), torch.tensor([1.5, 5.0], dtype=torch.float64)

    def on(low: torch.Tensor, high: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        axes = [torch.linspace(float(a), float(b), points, dtype=torch.float64) for a, b in zip(low, high, strict=True)]
        logs = torch.cartesian_prod(*axes)
        # a density of the logarithms: times length and scale
        return logs, log_posterior(logs, x, y) + logs.sum(1)

    for _ in range(3):  # each grid is laid over what the one before found
        logs, weight = on(low, high)
        p = weight.softmax(0)[:, None]
        mean = (p * logs).sum(0)
        spread = (p * (logs - mean).square()).sum(0).sqrt()
        cell = (high - low) / (points - 1)
        reach = 5 * torch.maximum(spread, cell)
        low, high = torch.maximum(mean - reach, low), torch.minimum(mean + reach, high)
    logs, weight = on(low, high)
    return logs, weight.log_softmax(0)


def answers(logs: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Predictive means and variances (m,) at the last point under each of ``logs`` (m, 2): ``x`` (n + 1, 1), ``y``
    (n,)."""
    length, scale = logs[:, 0].exp()[:, None, None], logs[:, 1].exp()[:, None, None]
    many = x.expand(len(logs), -1, -1)
    return exact(many, y.expand(len(logs), -1), lambda a, b: scale * matern(a, b, length))


def by_quadrature(x: torch.Tensor, y: torch.Tensor, target: torch.Tensor, points: int = 32) -> torch.Tensor:
    """Log of the exact predictive density at the last point, hyper-parameters integrated out on a grid in log space.

    Args:
        x: (n + 1, 1).
        y: (n,).
        target: value at the query.
        points: of the grid in each direction.
    """
    logs, weight = posterior_grid(x[:-1], y, points)
    mean, variance = answers(logs, x, y)
    return torch.logsumexp(weight + normal_log_density(target, mean, variance), 0)


def moments(x: torch.Tensor, y: torch.Tensor, queries: torch.Tensor, points: int = 32) -> tuple[Any, Any]:
    """Mean and deviation (m,) of the exact predictive distribution at ``queries`` (m, 1), given ``x`` (n, 1), ``y``."""
    logs, weight = posterior_grid(x, y, points)
    p = weight.exp()
    found = [answers(logs, torch.cat([x, query[None]]), y) for query in queries]
    means = torch.stack([(p * mean).sum() for mean, _ in found])
    squares = torch.stack([(p * (variance + mean.square())).sum() for mean, variance in found])
    return means.numpy(), (squares - means.square()).sqrt().numpy()
