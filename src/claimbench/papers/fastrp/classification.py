"""The multi-label protocol of DeepWalk (Section 4): one-vs-rest logistic regression on a share of the labelled nodes,
and as many predicted labels for a node as it has."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def one_vs_rest(X: Array, Y: Array, C: float, tolerance: float = 1e-4) -> Array:
    """Weights (features + 1, classes) of L2-regularised logistic regressions, all classes at once by L-BFGS.

    Minimises ``|w|^2 / 2 + C sum log(1 + exp(-y w.x))`` for each class with a constant feature 1 that is regularised
    too, as liblinear does.

    Args:
        X: (samples, features).
        Y: (samples, classes) 0 or 1.
        C: inverse strength of the regularisation.
        tolerance: largest gradient left, in units of C times the samples' number over 100.
    """
    from scipy.optimize import minimize

    X1 = np.concatenate([X, np.ones((len(X), 1), X.dtype)], axis=1).astype(np.float64)
    signs = np.where(Y > 0, 1.0, -1.0)
    shape = (X1.shape[1], Y.shape[1])

    def value(flat: Array) -> tuple[float, Array]:
        W = flat.reshape(shape)
        margin = signs * (X1 @ W)
        loss = np.logaddexp(0.0, -margin).sum()
        slope = -signs / (1.0 + np.exp(np.minimum(margin, 700.0)))
        return 0.5 * float(flat @ flat) + C * float(loss), flat + C * (X1.T @ slope).ravel()

    limit = tolerance * max(1.0, C * len(X) / 100)
    options = {"gtol": limit, "ftol": 1e-12, "maxiter": 2000, "maxfun": 4000, "maxcor": 20}
    found = minimize(value, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(shape)


def top_k(scores: Array, Y: Array) -> Array:
    """Predicted labels (samples, classes): for each sample its k best classes, k the number of its true labels."""
    order = np.argsort(-scores, axis=1, kind="stable")
    k = Y.sum(1)
    chosen = np.arange(Y.shape[1])[None] < k[:, None]
    predicted = np.zeros(Y.shape, bool)
    np.put_along_axis(predicted, order, chosen, axis=1)
    return predicted


def f1(Y: Array, predicted: Array) -> tuple[float, float]:
    """Micro and macro F1; a class without true and predicted samples scores 0."""
    Y = Y > 0
    true, positives, found = (Y & predicted).sum(0), Y.sum(0), predicted.sum(0)
    total = positives + found
    by_class = np.where(total > 0, 2 * true / np.maximum(total, 1), 0.0)
    return float(2 * true.sum() / total.sum()), float(by_class.mean())


def evaluate(U: Array, labels: Array, fraction: float, C: float, generator: np.random.Generator) -> tuple[float, float]:
    """Micro and macro F1 of one shuffle.

    Args:
        U: embedding (nodes, dimension).
        labels: (nodes, classes) 0 or 1; nodes without a label are left out.
        fraction: of the labelled nodes that trains.
        C: of the regressions.
        generator: of the shuffle.
    """
    nodes = generator.permutation(np.flatnonzero(labels.any(1)))
    n_train = int(fraction * len(nodes))
    train, test = nodes[:n_train], nodes[n_train:]
    W = one_vs_rest(U[train], labels[train], C)
    scores = U[test].astype(np.float64) @ W[:-1] + W[-1]
    return f1(labels[test], top_k(scores, labels[test]))
