"""What a table goes through before the network (Section 4 of the paper, appendix; the prior's tables end alike).

Every statistic is taken from the training rows. Tables are (rows, columns) float64, training rows first, NaN where a
value is missing.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32
from numpy.typing import NDArray

from claimbench.papers.tabpfn import power

Array = NDArray[np.float64]

LIMIT = 100.0
"""Standard deviations to which values are clipped."""
OUTLIER = 4.0
"""Standard deviations beyond which values grow with the logarithm only."""


def standardise(x: Float[np.ndarray, "rows columns"], n: int) -> Float[np.ndarray, "rows kept"]:
    """z-scores by the first ``n`` rows, clipped to +-100; columns that are constant there are dropped."""
    mean, deviation = _moments(x[:n], ~np.isnan(x[:n]))
    z = np.clip((x - mean) / (deviation + 1e-6), -LIMIT, LIMIT)
    return z[:, ~(z[:n] == z[0]).all(0)]


def raise_to_normal(z: Float[np.ndarray, "rows columns"], n: int) -> Float[np.ndarray, "rows columns"]:
    """Each column under the Yeo-Johnson transform that makes its first ``n`` rows most normal, standardised again.

    A column whose transform is not finite is left as it is.
    """
    known = ~np.isnan(z[:n])
    with np.errstate(over="ignore", invalid="ignore"):
        raised = power.transform(z, power.best_lambdas(z[:n]))
        mean, deviation = _moments(raised[:n], known, 0)
        # as scikit-learn's StandardScaler: what has no spread is only centred
        raised = (raised - mean) / np.where(deviation > 10 * np.finfo(float).eps * np.abs(mean), deviation, 1)
    good = (np.isfinite(raised) | np.isnan(z)).all(0)
    return np.where(good, raised, z)


def squash_outliers(z: Float[np.ndarray, "rows columns"], n: int) -> Float[np.ndarray, "rows columns"]:
    """Values beyond four standard deviations move to the logarithm of their distance.

    Mean and deviation are those of the first ``n`` rows without the values beyond four deviations of all of them.
    """
    labelled = z[:n]
    known = ~np.isnan(labelled)
    for _ in range(2):
        mean, deviation = _moments(labelled, known)
        lower, upper = mean - OUTLIER * deviation, mean + OUTLIER * deviation
        known = known & (labelled <= upper) & (labelled >= lower)
    with np.errstate(invalid="ignore"):
        z = np.maximum(lower - np.log1p(np.abs(z)), z)
        return np.asarray(np.minimum(upper + np.log1p(np.abs(z)), z))


def prepare(x: Float[np.ndarray, "rows columns"], n: int, raised: bool) -> Float[np.ndarray, "rows kept"]:
    """All of the above: (rows, columns left)."""
    z = standardise(x, n)
    return squash_outliers(raise_to_normal(z, n) if raised else z, n)


def pad(z: Float[np.ndarray, "rows columns"], features: int) -> Float32[np.ndarray, "rows features"]:
    """Zeros for what is missing and for the columns up to ``features``; values times ``features`` / columns, so that
    few columns carry as much as many."""
    columns = z.shape[1]
    padded = np.zeros((len(z), features), np.float32)
    padded[:, :columns] = np.nan_to_num(z, nan=0.0) * (features / max(columns, 1))
    return padded


def _moments(x: Array, known: NDArray[np.bool_], lost: int = 1) -> tuple[Array, Array]:
    """Mean and standard deviation of the known values of each column, over their number less ``lost``; NaN where there
    are too few."""
    with np.errstate(divide="ignore", invalid="ignore"):
        count = known.sum(0)
        mean = np.where(known, x, 0).sum(0) / count
        deviation = np.sqrt((np.where(known, x - mean, 0) ** 2).sum(0) / (count - lost))
    return mean, deviation
