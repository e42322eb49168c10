"""Estimates and tests behind the verdicts: plain functions on numbers, deterministic, no tables.

What is tested is always the mean of independent units (seeds, or datasets) against a region of effects. Why so, and at
this level: docs/statistics.md. The distributions are those of ``scipy.special``, which loads in a fraction of the time
of ``scipy.stats``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from claimbench.judge.regions import Region

#: level of each of the two one-sided tests of a family; the intervals have the coverage 1 - 2 ALPHA
ALPHA = 0.02
POWER = 0.8
#: numbers that differ by less than this share of their size are equal: both may come from float32 arithmetic
RESOLUTION = 1e-6
MOST_UNITS = 1000


@dataclass(frozen=True)
class Estimate:
    """A mean effect with what its tests need.

    Its variance is ``sd^2 (1 / n + overlap) + other``: ``overlap`` is the term of Nadeau and Bengio (Machine Learning
    52, 2003, equation 9) for repeated splits of the same data, ``other`` the variance of the number compared with.
    """

    effect: float
    sd: float
    n: int
    df: float
    test: str
    overlap: float = 0.0
    other: float = 0.0
    tolerance: float = 0.0
    certain: bool = False

    @property
    def se(self) -> float:
        """Standard error of the effect."""
        return math.sqrt(self.sd**2 * (1 / self.n + self.overlap) + self.other)

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """Student's interval that leaves ``alpha`` on either side; nan with a single unit."""
        if self.se == 0:
            return (self.effect, self.effect) if self.certain or self.n > 1 else (math.nan, math.nan)
        half = float(special.stdtrit(self.df, 1 - alpha)) * self.se
        return self.effect - half, self.effect + half

    def above(self, bound: float) -> float:
        """p of "the effect is not above ``bound``"."""
        if bound == -math.inf:
            return 0.0
        if self.n < 2 or math.isinf(bound):
            return 1.0
        if self.se == 0:
            return 0.5**self.n if self.effect > bound + self.tolerance else 1.0  # the sign test
        return float(special.stdtr(self.df, (bound - self.effect) / self.se))

    def below(self, bound: float) -> float:
        """p of "the effect is not below ``bound``"."""
        mirrored = Estimate(**{**self.__dict__, "effect": -self.effect})
        return mirrored.above(-bound)

    def inside(self, region: Region) -> float:
        """p of "the effect is not in the region": two one-sided tests (Schuirmann 1987), the larger p."""
        return max(self.above(region.low), self.below(region.high))

    def outside(self, region: Region) -> float:
        """p of "the effect is in the region"; with two bounds the test of Hodges and Lehmann (1954)."""
        if not region.two_sided:
            return min(self.below(region.low), self.above(region.high))
        if self.n < 2 or self.se == 0:
            return min(1.0, 2 * min(self.below(region.low), self.above(region.high)))
        centre, half = (region.low + region.high) / 2, (region.high - region.low) / 2
        gap = abs(self.effect - centre)
        tails = special.stdtr(self.df, [(half - gap) / self.se, (-half - gap) / self.se])
        return min(1.0, float(tails.sum()))


def estimate(
    units: ArrayLike,
    size: float,
    overlap: float | None = None,
    certain: bool = False,
    other: tuple[float, int] | None = None,
) -> Estimate:
    """The mean of independent units.

    Args:
        units: an effect for each of them.
        size: the largest of the numbers from which the effects were computed, for the tolerance.
        overlap: test rows for each training row, where the units are repeated random splits of the same data.
        certain: the seed cannot move the effect, so that it is compared and not tested.
        other: sd and n of the number that the effects are differences from, where it has them (Welch's test).
    """
    values = np.asarray(units, float)
    n, tolerance = values.size, RESOLUTION * size
    effect, sd = float(values.mean()), float(values.std(ddof=1)) if n > 1 else 0.0
    if float(np.ptp(values)) <= tolerance:
        sd = 0.0
        effect = 0.0 if abs(effect) <= tolerance else effect
    if certain:
        return Estimate(effect, sd, n, math.nan, "exact comparison", tolerance=tolerance, certain=True)
    if n < 2:
        return Estimate(effect, 0.0, n, math.nan, "none (one unit)", tolerance=tolerance)
    if other is not None:
        own, others = sd**2 / n, other[0] ** 2 / other[1]
        if own + others > 0:
            df = (own + others) ** 2 / (own**2 / (n - 1) + others**2 / (other[1] - 1))
            return Estimate(effect, sd, n, df, "Welch's t test", other=others, tolerance=tolerance)
    if sd == 0:
        return Estimate(effect, 0.0, n, math.nan, "sign test (no spread)", tolerance=tolerance)
    test = "Student's t test" if overlap is None else "t test corrected for overlapping splits"
    return Estimate(effect, sd, n, n - 1, test, overlap or 0.0, tolerance=tolerance)


def power(found: Estimate, region: Region, n: int, alpha: float = ALPHA) -> float:
    """Probability that ``n`` units decide, if the effect and the spread are those found.

    In the region this is the probability of being found inside, else of being found outside. Exact for one bound
    (noncentral t); for two bounds the lower limit of Bonferroni.
    """
    se = math.sqrt(found.sd**2 * (1 / n + found.overlap) + found.other)
    reach = float(special.stdtrit(n - 1, 1 - alpha))

    def passes(gap: float) -> float:
        if math.isinf(gap):
            return 1.0
        below = float(special.nctdtr(n - 1, gap / se, reach))
        if math.isnan(below):  # far out, where the numerator of t hardly varies beside its mean
            return float(special.gammainc((n - 1) / 2, (n - 1) * (gap / se / reach) ** 2 / 2)) if gap > 0 else 0.0
        return 1.0 - below

    if region.holds(found.effect, found.tolerance):
        return max(0.0, passes(found.effect - region.low) + passes(region.high - found.effect) - 1)
    return max(passes(gap) for gap in (region.low - found.effect, found.effect - region.high) if math.isfinite(gap))


def units_needed(found: Estimate, region: Region, alpha: float = ALPHA) -> int | None:
    """The least number of units that would decide with a power of 0.8, if effect and spread are those found.

    None beyond 1,000, and where there is no spread to go by.
    """
    if found.n < 2 or found.certain:
        return None
    if found.sd == 0:
        decides = found.effect != region.low and found.effect != region.high
        return max(found.n + 1, math.ceil(math.log2(1 / alpha))) if decides else None
    low, high = 2, MOST_UNITS
    if power(found, region, high, alpha) < POWER:
        return None
    while low < high:
        middle = (low + high) // 2
        if power(found, region, middle, alpha) >= POWER:
            high = middle
        else:
            low = middle + 1
    return max(low, found.n + 1)


def detectable(n: int, alpha: float = ALPHA, overlap: float = 0.0) -> float:
    """The effect, in standard deviations of a unit, that ``n`` units find with a power of 0.8."""
    from scipy.optimize import brentq

    def lacks(effect: float) -> float:
        return power(Estimate(effect, 1.0, n, n - 1, "", overlap), Region(low=0.0), n, alpha) - POWER

    high = 1.0
    while lacks(high) < 0:
        high *= 2
    return float(brentq(lacks, 1e-9, high))


def slopes(x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """Least-squares slope of every row of y (series, points) on x (points)."""
    return np.polyfit(np.asarray(x, float), np.atleast_2d(np.asarray(y, float)).T, 1)[0]


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p values; NaN stays NaN and does not count.

    Not statsmodels' ``multipletests``, which collects garbage at every call, a tenth of a second each; tests compare
    with it.
    """
    values = np.asarray(p, float)
    order = np.argsort(values, kind="stable")[: int(np.sum(~np.isnan(values)))]
    adjusted = np.full(values.size, math.nan)
    steps = np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps * values[order])) if order.size else 0.0
    return [float(value) for value in adjusted]
