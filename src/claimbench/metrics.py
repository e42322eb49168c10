"""Plain metrics on numpy arrays, tested against scikit-learn."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def accuracy(labels: ArrayLike, predicted: ArrayLike) -> float:
    """Share of equal entries."""
    return float(np.mean(np.asarray(labels) == np.asarray(predicted)))


def roc_auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: probability that a positive scores higher than a negative, ties counted half (rank
    formula).

    Args:
        labels: (n,) 0 or 1, both present.
        scores: (n,)
    """
    labels, scores = np.asarray(labels) > 0, np.asarray(scores)
    order = np.argsort(scores, kind="stable")
    values = scores[order]
    first = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    sizes = np.diff(np.r_[first, values.size])
    ranks = np.empty(values.size)
    ranks[order] = np.repeat(first + (sizes + 1) / 2.0, sizes)
    positives = int(labels.sum())
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * (labels.size - positives)))
