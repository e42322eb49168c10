"""Tests and intervals behind the verdicts: plain functions on numbers, deterministic, no tables.

Most return an :class:`Estimate`. Bootstraps draw from a fixed stream, so equal input gives equal output bit for bit.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

RESAMPLES = 4000
EXACT_PAIRS = 12


@dataclass(frozen=True)
class Estimate:
    """An effect with its interval, the p value of its test, and the number of observations."""

    effect: float
    ci_low: float
    ci_high: float
    p: float
    n: int
    test: str


def _rng() -> np.random.Generator:
    return np.random.default_rng(20240229)


def mean_t(x: ArrayLike, alpha: float = 0.05) -> Estimate:
    """Mean with its Student interval (1 - alpha, two-sided); p of mean == 0. Needs two values."""
    x = np.asarray(x, float)
    n, m = x.size, float(x.mean())
    if n < 2:
        return Estimate(m, math.nan, math.nan, math.nan, n, "none (one value)")
    se = float(x.std(ddof=1)) / math.sqrt(n)
    if se == 0.0:
        return Estimate(m, m, m, 1.0 if m == 0 else 0.0, n, "t interval")
    half = float(special.stdtrit(n - 1, 1 - alpha / 2)) * se
    return Estimate(m, m - half, m + half, float(2 * special.stdtr(n - 1, -abs(m) / se)), n, "t interval")


def sign_flip(d: ArrayLike, margin: float = 0.0) -> float:
    """One-sided exact p of "mean difference <= margin" by enumerating all sign flips of d - margin (at most 2^12)."""
    d = np.asarray(d, float) - margin
    n = d.size
    if n > EXACT_PAIRS:
        raise ValueError(f"at most {EXACT_PAIRS} pairs, got {n}")
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=n)))
    sums = signs @ d
    return float(np.mean(sums >= d.sum() - 1e-12 * np.abs(d).sum()))


def wilcoxon(d: ArrayLike, margin: float = 0.0) -> float:
    """One-sided Wilcoxon signed-rank p of "median difference <= margin"."""
    d = np.asarray(d, float) - margin
    if not np.any(d):
        return 1.0
    from scipy import stats  # a second, for the few claims of many pairs

    return float(stats.wilcoxon(d, alternative="greater", zero_method="zsplit").pvalue)


def paired(strata: Sequence[ArrayLike], margin: float = 0.0, alpha: float = 0.05) -> Estimate:
    """Mean paired difference, strata of equal weight, against ``margin`` (one-sided p of "not more than margin").

    With equally many pairs in every stratum the pairs of one seed are averaged first, because they share the seed's
    luck. Up to 4 units: paired t test (an exact test of 4 units cannot reach 0.05); 5 to 12: exact sign flips; more:
    Wilcoxon. The interval is Student's.
    """
    groups = [np.asarray(s, float) for s in strata]
    groups = [g for g in groups if g.size]
    units = np.mean(groups, axis=0) if len({g.size for g in groups}) == 1 else np.concatenate(groups)
    base = mean_t(units, alpha)
    n = units.size
    if n < 2:
        return base
    if n <= 4:
        sd = float(units.std(ddof=1))
        gap = base.effect - margin
        p = float(special.stdtr(n - 1, -gap / (sd / math.sqrt(n)))) if sd > 0 else (0.0 if gap > 0 else 1.0)
        test = "paired t test"
    elif n <= EXACT_PAIRS:
        p, test = sign_flip(units, margin), "exact sign-flip test"
    else:
        p, test = wilcoxon(units, margin), "Wilcoxon signed-rank test"
    return Estimate(base.effect, base.ci_low, base.ci_high, p, n, test)


def tost(
    mean: float,
    sd: float,
    n: int,
    other: float,
    other_sd: float | None,
    other_n: int | None,
    margin: float,
    alpha: float = 0.05,
) -> Estimate:
    """Two one-sided tests that two means differ by less than ``margin``.

    Welch's where the other side has a spread, else one-sample.

    The interval is the 1 - 2 alpha one, which lies inside the margin exactly when the test rejects.
    """
    if n < 2:
        return Estimate(mean - other, math.nan, math.nan, math.nan, n, "none (one value)")
    v1 = sd**2 / n
    welch = other_sd is not None and other_n is not None and other_n > 1
    v2 = other_sd**2 / other_n if welch else 0.0  # type: ignore[operator]
    se = math.sqrt(v1 + v2)
    diff = mean - other
    if se == 0:
        return Estimate(diff, diff, diff, 0.0 if abs(diff) < margin else 1.0, n, "TOST (no spread)")
    df = (v1 + v2) ** 2 / (v1**2 / (n - 1) + (v2**2 / (other_n - 1) if welch else 0.0))  # type: ignore[operator]
    p = max(float(special.stdtr(df, -(diff + margin) / se)), float(special.stdtr(df, (diff - margin) / se)))
    half = float(special.stdtrit(df, 1 - alpha)) * se
    return Estimate(diff, diff - half, diff + half, p, n, "Welch TOST" if welch else "one-sample TOST")


def bootstrap(
    groups: Sequence[ArrayLike], statistic: Callable[..., Any], alpha: float = 0.05
) -> tuple[float, float, NDArray[np.float64]]:
    """Percentile interval and draws of ``statistic``, each group resampled on its own; it is vectorised over rows."""
    rng = _rng()
    draws = [np.asarray(g, float)[rng.integers(0, len(g), (RESAMPLES, len(g)))] for g in map(np.asarray, groups)]
    values = np.asarray(statistic(*draws), float)
    low, high = np.quantile(values, [alpha / 2, 1 - alpha / 2])
    return float(low), float(high), values


def ratio_of_medians(a: ArrayLike, b: ArrayLike, factor: float, alpha: float = 0.05) -> Estimate:
    """Median of a over median of b with its bootstrap interval; p is the share of resamples at or below ``factor``."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    effect = float(np.median(a) / np.median(b))
    n = min(a.size, b.size)
    if n < 2:
        return Estimate(effect, math.nan, math.nan, math.nan, n, "none (one value)")
    low, high, values = bootstrap([a, b], lambda x, y: np.median(x, axis=1) / np.median(y, axis=1), alpha)
    return Estimate(
        effect,
        low,
        high,
        float((np.sum(values <= factor) + 1) / (RESAMPLES + 1)),
        n,
        "bootstrap of the ratio of medians",
    )


def slopes(x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """Least-squares slope of every row of y (series, points) on x (points)."""
    x, y = np.asarray(x, float), np.atleast_2d(np.asarray(y, float))
    c = x - x.mean()
    return (y - y.mean(axis=1, keepdims=True)) @ c / (c @ c)


def kendall(x: ArrayLike, y: ArrayLike) -> float:
    """Kendall's tau-b."""
    from scipy import stats

    return float(stats.kendalltau(x, y).statistic)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p values; NaN stays NaN and does not count."""
    values = np.asarray(p, float)
    adjusted = np.full(values.size, math.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (order.size - rank) * float(values[index])))
        adjusted[index] = running
    return [float(value) for value in adjusted]


def seeds_needed(gap: float, sd: float, n: int, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """Seeds that would decide a gap of this size and spread (normal approximation); None when the gap is nil."""
    if not gap or not math.isfinite(gap) or not math.isfinite(sd):
        return None
    z = float(special.ndtri(1 - alpha) + special.ndtri(power))
    return int(min(max(math.ceil((z * sd / abs(gap)) ** 2) + 1, n + 1), 10_000))
