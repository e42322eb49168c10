"""Yeo-Johnson's power transform of all columns at once (Yeo, Johnson 2000; Section 4 of the paper applies it to half of
the ensemble).

With ``l = log(1 + |x|)`` and ``mu`` equal to lambda for x >= 0 and to 2 - lambda below, the transform is
``sign(x) * (exp(mu l) - 1) / mu``. Its likelihood has simple derivatives in lambda, so every column's maximum is found
by Newton's method inside a bracket, all columns in step.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

Array = NDArray[np.float64]

LOWEST, HIGHEST = -20.0, 22.0
"""Lambda is sought between these; they mirror each other around 1, the identity."""
_STEPS = 40
_SERIES_BELOW = 0.05


def transform(
    x: Float[np.ndarray, "n columns"], lambdas: Float[np.ndarray, " columns"]
) -> Float[np.ndarray, "n columns"]:
    """Columns of ``x`` raised by their ``lambdas``; NaN stays NaN."""
    size, sign = np.log1p(np.abs(x)), np.where(x < 0, -1.0, 1.0)
    return np.asarray(sign * _derivatives(size, np.where(x < 0, 2 - lambdas, lambdas), 0)[0])


def best_lambdas(x: Float[np.ndarray, "n columns"]) -> Float[np.ndarray, " columns"]:
    """The most likely lambda of each column; 1 where a column has no spread.

    Args:
        x: NaN where a value is missing.
    """
    known = ~np.isnan(x)
    count = np.maximum(known.sum(0), 1)
    size = np.where(known, np.log1p(np.abs(np.where(known, x, 0))), 0)
    negative = known & (x < 0)
    pull = np.where(negative, -size, size).sum(0)
    low, high = np.full(x.shape[1], LOWEST), np.full(x.shape[1], HIGHEST)
    found = np.ones(x.shape[1])
    active = np.flatnonzero(_spread(x, known))
    for _ in range(_STEPS):
        if not active.size:
            break
        part = slice(None) if active.size == x.shape[1] else active
        slope, bend = _likelihood(
            found[active], size[:, part], negative[:, part], known[:, part], count[part], pull[part]
        )
        low[active] = np.where(slope > 0, found[active], low[active])
        high[active] = np.where(slope > 0, high[active], found[active])
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = found[active] - slope / bend
        inside = (bend < 0) & (newton > low[active]) & (newton < high[active])
        fresh = np.where(inside, newton, (low[active] + high[active]) / 2)
        moved = np.abs(fresh - found[active]) > 1e-9 * np.maximum(1, np.abs(fresh))
        found[active] = fresh
        active = active[moved]
    return found


def _spread(x: Array, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    most = np.where(known, x, -np.inf).max(0, initial=-np.inf)
    return np.asarray(most > np.where(known, x, np.inf).min(0, initial=np.inf))


def _likelihood(
    lambdas: Array,
    size: Array,
    negative: NDArray[np.bool_],
    known: NDArray[np.bool_],
    count: NDArray[np.int64],
    pull: Array,
) -> tuple[Array, Array]:
    """First and second derivative of the log likelihood per value, ``-log(variance) / 2 + (lambda - 1) pull / n``."""
    value, first, second = _derivatives(size, np.where(negative, 2 - lambdas, lambdas), 2)
    value, second = np.where(negative, -value, value), np.where(negative, -second, second)
    # The scale cancels in every ratio below; without it squares overflow for large powers.
    scale = np.maximum(np.abs(value).max(0), 1e-300)
    value, first, second = (np.where(known, part / scale, 0) for part in (value, first, second))
    value = np.where(known, value - value.sum(0) / count, 0)
    centred = np.where(known, first - first.sum(0) / count, 0)
    variance = np.maximum((value * value).sum(0), 1e-300)
    slope = (value * centred).sum(0) / variance
    bend = ((centred * centred).sum(0) + (value * second).sum(0)) / variance - 2 * slope * slope
    return pull / count - slope, -bend


def _derivatives(size: Array, power: Array, order: int) -> list[Array]:
    """``(exp(power size) - 1) / power`` and its derivatives in ``power`` up to ``order``.

    Near zero the quotients cancel; there the Taylor series in ``power`` is summed.
    """
    small = np.abs(power) * np.maximum(size, 1) < _SERIES_BELOW
    safe = np.where(small, 1.0, power)
    grown = np.expm1(safe * size)
    found = [grown / safe]
    for k in range(1, order + 1):
        found.append((size**k * (grown + 1) - k * found[-1]) / safe)
    if small.any():
        t = np.where(small, power, 0.0)
        for k in range(order + 1):
            # sum over j of size^(j+1) power^(j-k) / ((j+1) (j-k)!)
            term, total = size ** (k + 1), np.zeros_like(size)
            for j in range(k, k + 9):
                total = total + term / (j + 1)
                term = term * size * t / (j + 1 - k)
            found[k] = np.where(small, total, found[k])
    return found
