"""How many networks an ensemble needs: closed forms, and exact simulation of the Gaussian process."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from claimbench.papers.exact_permutations import kernels

Array = NDArray[np.float64]


def accuracy(kernel: str, k: ArrayLike, m: ArrayLike, size: ArrayLike) -> Array:
    """Probability that the mean of ``size`` networks has the right sign on all k bits of an input with m ones.

    ``Phi(sqrt(N) mu_on / sd)^m Phi(-sqrt(N) mu_off / sd)^(k - m)``; bits are independent.
    """
    moment = kernels.moments(kernel, k, m)
    root = np.sqrt(np.asarray(size, float) / moment.variance)
    k, m = np.asarray(k, float), np.asarray(m, float)
    return np.exp(m * special.log_ndtr(root * moment.on) + (k - m) * special.log_ndtr(-root * moment.off))


def size_for(kernel: str, k: int, probability: float = 0.9, m: int = 2) -> float:
    """Ensemble size N with which one input with m ones is right with this probability: the root of :func:`accuracy`."""
    return _root(lambda size: float(accuracy(kernel, k, m, size)) - probability)


def union_failure(kernel: str, k: int, size: float) -> float:
    """Union estimate of the probability that some bit of some input with at least two ones is wrong.

    ``sum_m C(k, m) [m Phi(-sqrt(N) mu_on / sd) + (k - m) Phi(sqrt(N) mu_off / sd)]``
    """
    m = np.arange(2, k + 1)
    moment = kernels.moments(kernel, k, m)
    root = np.sqrt(size / moment.variance)
    count = special.gammaln(k + 1) - special.gammaln(m + 1) - special.gammaln(k - m + 1)
    on = np.log(m) + special.log_ndtr(-root * moment.on)
    with np.errstate(divide="ignore"):
        off = np.log(k - m) + special.log_ndtr(root * moment.off)
    return float(np.exp(min(special.logsumexp(count + np.logaddexp(on, off)), 700.0)))


def size_for_all(kernel: str, k: int, probability: float = 0.9) -> float:
    """Ensemble size with which the union estimate says: all inputs right with this probability."""
    return _root(lambda size: 1.0 - probability - union_failure(kernel, k, size))


def _root(function: Callable[[float], float]) -> float:
    high = 2.0
    while function(high) < 0:
        high *= 2.0
    return float(optimize.brentq(function, high / 2.0 if high > 2.0 else 1e-9, high, rtol=1e-10))


def simulate_accuracy(
    kernel: str, inputs: Array, sizes: ArrayLike, repeats: int, rng: np.random.Generator, weights: Array | None = None
) -> Array:
    """Accuracy on ``inputs`` of ensembles of growing size, drawn from the exact Gaussian process.

    The sum of the networks between two sizes is one Gaussian draw, so only as many draws as sizes are made.

    Args:
        inputs: (q, k) unit vectors; the accuracy is their share with all bits right.
        sizes: increasing ensemble sizes.
        weights: (q,) or (repeats, q): how often each input stands in the test set, as shares; equal when None.

    Returns:
        (repeats, sizes)
    """
    sizes = np.asarray(sizes, float)
    q, k = inputs.shape
    mean, covariance = kernels.trained_process(kernel, inputs)
    values, vectors = np.linalg.eigh(covariance)
    keep = values > values[-1] * 1e-12
    factor = vectors[:, keep] * np.sqrt(values[keep])
    target = inputs > 0
    share = np.broadcast_to(np.full(q, 1.0 / q) if weights is None else weights, (repeats, q))
    result = np.empty((repeats, sizes.size))
    steps = np.sqrt(np.diff(sizes, prepend=0.0))
    for repeat in range(repeats):
        total = np.zeros((q, k))
        for i, step in enumerate(steps):
            total += step * (factor @ rng.standard_normal((factor.shape[1], k)))
            result[repeat, i] = share[repeat] @ np.all((mean * sizes[i] + total > 0) == target, axis=1)
    return result


def first_size(sizes: ArrayLike, curves: Array, level: float) -> Array:
    """First size at which each curve (rows) reaches ``level``; NaN where it never does."""
    sizes, reached = np.asarray(sizes, float), np.asarray(curves) >= level
    return np.where(reached.any(axis=-1), sizes[reached.argmax(axis=-1)], np.nan)
