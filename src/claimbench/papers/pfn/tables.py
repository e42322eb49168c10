"""Small tables: what a method is asked, and how its answers are measured (Section 6, Table 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from claimbench.metrics import roc_auc

if TYPE_CHECKING:
    from claimbench.data import Data

#: the tables of the collection, in its order
NAMES = ("wine", "vehicle", "australian", "phoneme", "segment", "credit-g", "kr-vs-kp")
Array = np.ndarray[Any, Any]


@dataclass
class Task:
    """One subset of one table, standardised with its training rows.

    Args:
        table: number of the table.
        x: (train, features) of labelled rows.
        y: (train,) 0 or 1.
        query: (test, features) of the rows asked for.
    """

    table: int
    x: Array
    y: Array
    query: Array


def names(data: Data) -> tuple[str, ...]:
    """Of the tables of a dataset: the collection's, or its own."""
    return NAMES if data.name == "binary-tables" else (data.name,)


def tasks(data: Data, most: int, rng: np.random.Generator) -> list[Task]:
    """The subsets of all tables, in the order of the data.

    Args:
        most: features; a table with more loses columns at random, the same for all its subsets.
    """
    found: list[Task] = []
    kept: dict[int, Array] = {}
    for table, x, labels in zip(data.arrays["table"], data.arrays["x"], data.arrays["y"], strict=True):
        if int(table) not in kept:
            columns = np.flatnonzero(~np.isnan(x[0]))
            # Deviates: at the laptop tier kr-vs-kp keeps 20 random columns of 36, for all methods.
            chosen = columns if len(columns) <= most else np.sort(rng.choice(columns, most, replace=False))
            kept[int(table)] = chosen
        own = x[:, kept[int(table)]].astype(np.float64)
        train = own[: len(labels)]
        spread = train.std(0, ddof=1)
        # Deviates: a column without variation among training rows is zero. Divided by 1e-6, as in the released code,
        # it would put a test row that differs a million deviations away.
        scaled = np.where(spread > 0, (own - train.mean(0)) / np.where(spread > 0, spread, 1), 0)
        found.append(Task(int(table), scaled[: len(labels)], labels.astype(np.int64), scaled[len(labels) :]))
    return found


def calibration_error(p: Array, y: Array, bins: int) -> float:
    """Expected calibration error of probabilities ``p`` (n,) of class 1: distance of mean probability and frequency in
    equally wide bins, weighted by their sizes."""
    which = np.minimum((p * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(which, p - y, bins)).sum() / len(p))


def reliability(p: Array, y: Array, bins: int) -> list[tuple[float, float]]:
    """Mean probability and frequency of class 1 in bins of probability that are not empty."""
    which = np.minimum((p * bins).astype(int), bins - 1)
    return [(float(p[which == k].mean()), float(y[which == k].mean())) for k in np.unique(which)]


def by_table(table: Array, p: Array, y: Array) -> dict[int, float]:
    """Mean AUC over the subsets of each table: ``table`` (subsets,), ``p`` and ``y`` (subsets, test)."""
    values = np.array([roc_auc(b, a) for a, b in zip(p, y, strict=True)])
    return {int(t): float(values[table == t].mean()) for t in np.unique(table)}


def mean_ranks(aucs: dict[str, dict[int, float]]) -> dict[str, float]:
    """Rank 1 is the largest AUC of a table, ties share theirs; the mean over tables for each method."""
    from scipy.stats import rankdata

    methods = sorted(aucs)
    tables = sorted(aucs[methods[0]])
    ranks = rankdata([[-aucs[m][t] for t in tables] for m in methods], axis=0)
    return dict(zip(methods, ranks.mean(1).tolist(), strict=True))
