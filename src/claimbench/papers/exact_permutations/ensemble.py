"""How many networks an ensemble needs: closed forms, and exact simulation of the Gaussian process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from claimbench.papers.exact_permutations import kernels

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float64]
Draws = NDArray[np.float32]

#: numbers drawn at once; about what a cache holds
BLOCK = 100_000


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
    from scipy import optimize

    high = 2.0
    while function(high) < 0:
        high *= 2.0
    return float(optimize.brentq(function, high / 2.0 if high > 2.0 else 1e-9, high, rtol=1e-10))


@dataclass(frozen=True)
class Process:
    """The Gaussian process of the trained network at q inputs; output bits are independent.

    Args:
        mean: (q, k).
        target: (q, k), whether a bit is to be 1.
        spread: a root of the covariance: maps standard normal numbers (..., q, k) to such with the covariance (q, q)
            of the process in every column.
    """

    mean: Array
    target: NDArray[np.bool_]
    spread: Callable[[Draws], Draws]


def process(kernel: str, inputs: Array) -> Process:
    """The process at any unit inputs (q, k), with the symmetric root of its covariance."""
    mean, covariance = kernels.trained_process(kernel, inputs)
    values, vectors = np.linalg.eigh(covariance)
    root = ((vectors * np.sqrt(values.clip(0))) @ vectors.T).astype(np.float32)
    return Process(mean, inputs > 0, lambda draws: root @ draws)


def pair_process(kernel: str, k: int) -> Process:
    """The process at all inputs with two ones, in the order of :func:`kernels.pair_inputs`.

    The covariance is ``a I + b B B^T + c J`` with the incidence B (pairs, k) of pairs and bits and J all ones (the
    Johnson scheme), so that its symmetric root is of the same form: its three eigenvalues are the roots of those of the
    covariance, and its product with a vector takes k instead of q numbers for every row.
    """
    disjoint, overlapping, same = kernels.pair_covariance(kernel, k, [0, 1, 2])
    first, second = np.triu_indices(k, 1)
    q = first.size
    b, c = overlapping - disjoint, disjoint
    a = same - 2 * b - c
    roots = np.sqrt(np.clip([a, a + (k - 2) * b, a + (2 * k - 2) * b + q * c], 0, None))
    a = roots[0]
    b = (roots[1] - a) / max(k - 2, 1)  # two bits have one pair: nothing is left for b
    c = (roots[2] - a - (2 * k - 2) * b) / q
    inputs = kernels.pair_inputs(k)
    incidence = (inputs > 0).T.astype(np.float32)
    moment = kernels.moments(kernel, k, 2)

    def spread(draws: Draws) -> Draws:
        by_bit = incidence @ draws
        # the sum over all pairs: each is in the sums of two bits, and its row gets those of two
        by_bit = np.float32(b) * by_bit + np.float32(c / 4) * by_bit.sum(-2, keepdims=True)
        found = np.float32(a) * draws
        found += by_bit.take(first, axis=-2)
        found += by_bit.take(second, axis=-2)
        return found

    return Process(np.where(inputs > 0, moment.on, moment.off), inputs > 0, spread)


def simulate_accuracy(
    given: Process, sizes: ArrayLike, repeats: int, generator: torch.Generator, weights: Array | None = None
) -> Array:
    """Accuracy of ensembles of growing size, drawn from the exact Gaussian process: the share of its inputs with all
    bits right.

    The sum of the networks between two sizes is one Gaussian draw, so only as many draws as sizes are made.

    Args:
        given: the process.
        sizes: increasing ensemble sizes.
        repeats: curves.
        generator: of the draws, on the CPU.
        weights: (q,) or (repeats, q): how often each input stands in the test set, as shares; equal when None.

    Returns:
        (repeats, sizes)
    """
    import torch

    sizes = np.asarray(sizes, float)
    q, k = given.mean.shape
    share = np.broadcast_to(np.full(q, 1.0 / q) if weights is None else weights, (repeats, q))
    steps = np.sqrt(np.diff(sizes, prepend=0.0))
    # a bit is right where its sum has the sign of its target: both sides are turned so that this is plus
    sign = np.where(given.target, 1, -1).astype(np.float32)
    mean = given.mean.astype(np.float32) * sign
    result = np.empty((repeats, sizes.size))
    together = max(1, BLOCK // (q * k))
    for repeat in range(repeats):
        total = np.zeros((q, k), np.float32)
        for start in range(0, sizes.size, together):
            part = slice(start, start + together)
            drawn = torch.randn(len(steps[part]), q, k, generator=generator).numpy()
            for step, draws in zip(steps[part], drawn, strict=True):
                draws *= np.float32(step)
                draws += total
                total = draws
            found = given.spread(drawn)
            found *= sign
            found += mean * sizes[part].astype(np.float32)[:, None, None]
            result[repeat, part] = np.all(found > 0, axis=-1) @ share[repeat]
    return result


def first_size(sizes: ArrayLike, curves: Array, level: float) -> Array:
    """First size at which each curve (rows) reaches ``level``; NaN where it never does."""
    sizes, reached = np.asarray(sizes, float), np.asarray(curves) >= level
    return np.where(reached.any(axis=-1), sizes[reached.argmax(axis=-1)], np.nan)
