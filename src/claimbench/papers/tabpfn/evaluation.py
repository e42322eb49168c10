"""The paper's metrics (Section 5.2) on numpy arrays.

``y`` is (n,) int class numbers, ``p`` (n, classes) probabilities; for logarithms rows are made to add up to 1.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray

from claimbench.metrics import accuracy, roc_auc

Array = NDArray[np.float64]


def all_metrics(y: ArrayLike, p: ArrayLike) -> dict[str, float]:
    """``test/auc``, ``test/accuracy``, ``test/ce`` and ``test/double_softmax_ce``."""
    labels, rows = _checked(y, p)
    return {
        "test/auc": auc_ovo(y, p),
        "test/accuracy": accuracy(labels, rows.argmax(1)),
        "test/ce": cross_entropy(labels, rows),
        "test/double_softmax_ce": double_softmax_cross_entropy(labels, rows),
    }


def auc_ovo(y: ArrayLike, p: ArrayLike) -> float:
    """Area under the ROC curve, one class against one other, averaged over ordered pairs (Hand, Till 2001); for two
    classes the usual one. As scikit-learn's ``roc_auc_score(multi_class="ovo")``; classes without rows are left out."""
    labels, rows = np.asarray(y), np.asarray(p, np.float64)  # as they are: sums that are rounded would break ties
    classes = np.unique(labels)
    if rows.shape[1] == 2:
        return roc_auc(labels == 1, rows[:, 1])
    pairs = []
    for a, b in itertools.combinations(classes, 2):
        of = (labels == a) | (labels == b)
        pairs += [roc_auc(labels[of] == c, rows[of, c]) for c in (a, b)]
    return float(np.mean(pairs))


def cross_entropy(y: ArrayLike, p: ArrayLike) -> float:
    """Mean negative log probability of the true class, in nats; probabilities are at least 1e-15."""
    labels, rows = _checked(y, p)
    return float(-np.log(np.maximum(rows[np.arange(len(labels)), labels], 1e-15)).mean())


def double_softmax_cross_entropy(y: ArrayLike, p: ArrayLike) -> float:
    """The "CE" of the paper's Table 1: for more than two classes its code takes probabilities for logits, a second
    softmax; for two classes it is the cross-entropy, each term at most 100."""
    labels, rows = _checked(y, p)
    if rows.shape[1] == 2:
        with np.errstate(divide="ignore"):
            return float(np.minimum(-np.log(rows[np.arange(len(labels)), labels]), 100).mean())
    again = np.exp(rows)
    return cross_entropy(labels, again / again.sum(1, keepdims=True))


def _checked(y: ArrayLike, p: ArrayLike) -> tuple[NDArray[np.int64], Array]:
    rows = np.asarray(p, np.float64)
    return np.asarray(y, np.int64), rows / rows.sum(1, keepdims=True)
