"""Ranks over datasets, and which differences are significant (Section 5.2; Demsar 2006)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


def ranks(values: Array) -> Array:
    """Rank of each method on each dataset, 1 the best, after rounding to three digits; ties share their mean.

    Args:
        values: (datasets, methods), larger is better.
    """
    from scipy.stats import rankdata

    return np.asarray(rankdata(-np.round(values, 3), axis=1))


def significance(values: Array) -> Array:
    """Holm-adjusted p of Wilcoxon's signed-rank test between all pairs of methods, (methods, methods) symmetric.

    Args:
        values: (datasets, methods).
    """
    from scipy.stats import wilcoxon

    from claimbench.judge.statistics import holm

    methods = values.shape[1]
    pairs = list(itertools.combinations(range(methods), 2))
    raw = [
        1.0 if np.array_equal(values[:, a], values[:, b]) else float(wilcoxon(values[:, a], values[:, b]).pvalue)
        for a, b in pairs
    ]
    found = np.ones((methods, methods))
    for (a, b), p in zip(pairs, holm(raw), strict=True):
        found[a, b] = found[b, a] = p
    return found


def cliques(mean_ranks: Array, p: Array, alpha: float = 0.05) -> list[tuple[int, int]]:
    """Bars of a critical-difference diagram: largest runs of methods, in the order of their ranks, without a
    significant difference between any two; (first, last) positions in that order."""
    order = np.argsort(mean_ranks, kind="stable")
    found: list[tuple[int, int]] = []
    for first in range(len(order)):
        last = first
        while last + 1 < len(order) and all(p[order[last + 1], order[i]] > alpha for i in range(first, last + 1)):
            last += 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def matrix(frame: pd.DataFrame) -> pd.DataFrame:
    """Datasets by methods, means over the seeds that a method has; only datasets that all methods have.

    Args:
        frame: tidy, with ``method``, ``dataset``, ``value``.
    """
    return frame.pivot_table(index="dataset", columns="method", values="value").dropna()
