"""The multi-label protocol of DeepWalk (Perozzi et al. 2014, Section 4).

One-vs-rest logistic regression on a share of the labelled nodes, and as many predicted labels for a node as it has.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped


def one_vs_rest(
    X: Float[np.ndarray, "samples features"],
    Y: Shaped[np.ndarray, "samples classes"],
    C: float,
    tolerance: float = 5e-3,
) -> Float[np.ndarray, "weights classes"]:
    """Weights (features + 1, classes) of L2-regularised logistic regressions, all classes at once by L-BFGS.

    Minimises ``|w|^2 / 2 + C sum log(1 + exp(-y w.x))`` for each class with a constant feature 1 that is regularised
    too, as liblinear does. Embeddings have few strong directions and many weak ones, so the steps are taken along the
    eigenvectors of ``X^T X``, each in the length that the curvature there asks for: half the time of plain steps.
    Margins are float32 and their sums float64, which leaves errors of about 1e-5 in the weights.

    Args:
        X: (samples, features).
        Y: (samples, classes) 0 or 1.
        C: inverse strength of the regularisation.
        tolerance: largest gradient left, in those lengths: about the largest error left in a weight.
    """
    from scipy.linalg import eigh
    from scipy.optimize import minimize

    X1 = np.concatenate([X, np.ones((len(X), 1), X.dtype)], axis=1).astype(np.float64)
    signs = np.where(Y > 0, np.float32(1), np.float32(-1))
    rate = np.clip((Y > 0).mean(0), 1.0 / len(X), 1.0 - 1.0 / len(X))
    eigenvalues, directions = eigh(X1.T @ X1)
    rotated = (X1 @ directions).astype(np.float32)
    curvature = 1.0 + C * np.maximum(eigenvalues, 0.0)[:, None] * (rate * (1.0 - rate))
    length = 1.0 / np.sqrt(curvature)

    def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
        W = flat.reshape(length.shape) * length
        margin = rotated @ W.astype(np.float32)
        margin *= signs
        small = np.exp(-np.abs(margin))
        loss = float(np.log1p(small).sum(dtype=np.float64) - np.minimum(margin, 0).sum(dtype=np.float64))
        slope = np.where(margin >= 0, small, np.float32(1))
        slope /= 1 + small
        slope *= signs
        gradient = (W - C * (rotated.T @ slope)) * length
        return 0.5 * float(np.einsum("ij,ij->", W, W)) + C * loss, gradient.ravel()

    start = directions[-1][:, None] * np.log(rate / (1.0 - rate)) / length
    options = {"gtol": tolerance, "ftol": 1e-12, "maxiter": 2000, "maxfun": 4000, "maxcor": 20}
    found = minimize(value, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    return directions @ (found.x.reshape(length.shape) * length)


def scores(
    U: Float[np.ndarray, "nodes dimension"],
    train: Shaped[np.ndarray, " train"],
    labels: Shaped[np.ndarray, "train classes"],
    test: Shaped[np.ndarray, " test"],
    C: float,
) -> Float[np.ndarray, "test classes"]:
    """How much every class suits the test nodes, (test, classes) float32, by regressions on the training nodes.

    Args:
        U: embedding of all nodes.
        train: nodes that train.
        labels: 0 or 1, of ``train``.
        test: other nodes.
        C: of the regressions.
    """
    W = one_vs_rest(U[train], labels, C)
    return (U[test].astype(np.float64) @ W[:-1] + W[-1]).astype(np.float32)


def top_k(
    scores: Float[np.ndarray, "samples classes"], Y: Shaped[np.ndarray, "samples classes"]
) -> Shaped[np.ndarray, "samples classes"]:
    """Predicted labels (samples, classes): for each sample its k best classes, k the number of its true labels."""
    order = np.argsort(-scores, axis=1, kind="stable")
    k = Y.sum(1)
    chosen = np.arange(Y.shape[1])[None] < k[:, None]
    predicted = np.zeros(Y.shape, bool)
    np.put_along_axis(predicted, order, chosen, axis=1)
    return predicted


def f1(
    Y: Shaped[np.ndarray, "samples classes"], predicted: Shaped[np.ndarray, "samples classes"]
) -> tuple[float, float]:
    """Micro and macro F1; a class without true and predicted samples scores 0."""
    Y = Y > 0
    true, positives, found = (Y & predicted).sum(0), Y.sum(0), predicted.sum(0)
    total = positives + found
    by_class = np.where(total > 0, 2 * true / np.maximum(total, 1), 0.0)
    return float(2 * true.sum() / total.sum()), float(by_class.mean())
