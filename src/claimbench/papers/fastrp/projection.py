"""FastRP and what it is compared with on the same sparse products: RandNE, Gaussian projection, truncated SVD."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int, Shaped


def adjacency(edge_index: Int[np.ndarray, "2 edges"], n_nodes: int) -> sp.csr_matrix:
    """Symmetric CSR matrix of ones, float32, of (2, E) directed edges."""
    ones = np.ones(edge_index.shape[1], np.float32)
    return sp.csr_matrix((ones, (edge_index[0], edge_index[1])), shape=(n_nodes, n_nodes))


def transition(A: sp.csr_matrix) -> sp.csr_matrix:
    """``T = D^-1 A`` (Section 3); the row of an isolated node stays zero."""
    degrees = np.diff(A.indptr)
    T = A.copy()
    T.data = np.repeat(1.0 / np.maximum(degrees, 1), degrees).astype(np.float32)
    return T


def very_sparse(
    n_nodes: int, dimension: int, generator: np.random.Generator
) -> Float[np.ndarray, "{n_nodes} {dimension}"]:
    """Very sparse projection (n_nodes, dimension): entries +-sqrt(s / dimension), each with probability 1 / (2 s),
    else 0, with s = sqrt(n_nodes) (Li, Hastie and Church 2006)."""
    s = math.sqrt(n_nodes)
    total = n_nodes * dimension
    count = generator.binomial(total, 1.0 / s)
    places = np.unique(generator.integers(total, size=count))
    while places.size < count:  # without replacement
        places = np.unique(np.concatenate([places, generator.integers(total, size=count - places.size)]))
    R = np.zeros(total, np.float32)
    R[places] = np.where(generator.random(count) < 0.5, 1.0, -1.0) * math.sqrt(s / dimension)
    return R.reshape(n_nodes, dimension)


def gaussian(
    n_nodes: int, dimension: int, generator: np.random.Generator
) -> Float[np.ndarray, "{n_nodes} {dimension}"]:
    """Gaussian projection (n_nodes, dimension) of variance 1 / dimension."""
    return generator.standard_normal((n_nodes, dimension), np.float32) / np.float32(math.sqrt(dimension))


def fastrp(
    A: sp.csr_matrix,
    R: Float[np.ndarray, "nodes dimension"],
    weights: Sequence[float],
    beta: float,
    normalise_rows: bool = True,
    standardise: bool = True,
) -> Float[np.ndarray, "nodes dimension"]:
    """FastRP embedding (n_nodes, dimension) (Section 3, Algorithm 1).

    ``N_1 = T L R`` with ``L = diag(d^beta)``, ``N_k = T N_{k-1}``, and the sum of ``weights[k-1]`` times the
    L2-normalised rows of ``N_k``. As in the released code the columns are brought to mean 0 and standard
    deviation 1 at the end.

    Args:
        A: adjacency.
        R: (n_nodes, dimension), float32.
        weights: alpha_1 .. alpha_q.
        beta: exponent of the degrees; the constant 1 / (2 m) of the paper scales everything alike and is left out.
        normalise_rows: of every power.
        standardise: the columns of the sum.
    """
    T = transition(A)
    degrees = np.maximum(np.diff(A.indptr), 1).astype(np.float32)
    current = R * (degrees**beta)[:, None].astype(np.float32) if beta else R
    total: np.ndarray | None = None
    for weight in weights:
        current = T @ current
        if weight:
            part = current * np.float32(weight)
            if normalise_rows:
                norms = np.sqrt(np.einsum("ij,ij->i", current, current))
                part /= np.maximum(norms, np.finfo(np.float32).tiny)[:, None]
            total = part if total is None else np.add(total, part, out=total)
    if total is None:
        raise ValueError("all weights are zero")
    return columns_standardised(total) if standardise else total


def columns_standardised(U: Float[np.ndarray, "nodes dimension"]) -> Float[np.ndarray, "nodes dimension"]:
    """Columns of mean 0 and standard deviation 1; constant columns become 0."""
    U = U - U.mean(0, dtype=np.float64).astype(np.float32)
    deviation = np.sqrt(np.einsum("ij,ij->j", U, U, dtype=np.float64) / len(U)).astype(np.float32)
    deviation[deviation < 1e-12] = 1.0
    U /= deviation
    return U


def randne(
    A: sp.csr_matrix, dimension: int, weights: Sequence[float], generator: np.random.Generator
) -> Float[np.ndarray, "nodes {dimension}"]:
    """RandNE (Zhang et al. 2018) on the transition matrix: orthogonalised Gaussian block U_0, ``U_k = T U_{k-1}`` and
    the weighted sum of U_1 .. U_q, as in the published comparison; columns standardised as for FastRP."""
    T = transition(A)
    current, _ = np.linalg.qr(gaussian(A.shape[0], dimension, generator))
    total = np.zeros_like(current)
    for weight in weights:
        current = T @ current
        total += np.float32(weight) * current
    return columns_standardised(total)


class Similarity:
    """The similarity matrix ``S = (alpha_1 T + ... + alpha_q T^q) L`` as an operator that is never formed."""

    def __init__(self, A: sp.csr_matrix, weights: Sequence[float], beta: float) -> None:
        self.T, self.n = transition(A), A.shape[0]
        self._transposed = self.T.T.tocsr()
        self.weights = weights
        self._scale = (np.maximum(np.diff(A.indptr), 1).astype(np.float32) ** beta)[:, None].astype(np.float32)

    def times(self, X: Float[np.ndarray, "nodes columns"]) -> Float[np.ndarray, "nodes columns"]:
        """``S X`` for X (n_nodes, columns)."""
        current, total = X * self._scale, np.zeros_like(X)
        for weight in self.weights:
            current = self.T @ current
            total += np.float32(weight) * current
        return total

    def transposed_times(self, X: Float[np.ndarray, "nodes columns"]) -> Float[np.ndarray, "nodes columns"]:
        """``S^T X`` for X (n_nodes, columns)."""
        current, total = X, np.zeros_like(X)
        for weight in self.weights:
            current = self._transposed @ current
            total += np.float32(weight) * current
        return total * self._scale

    def svd(
        self, dimension: int, generator: np.random.Generator, iterations: int = 3
    ) -> Float[np.ndarray, "nodes {dimension}"]:
        """Left singular vectors times singular values, (n_nodes, dimension), by randomised subspace iteration (Halko,
        Martinsson and Tropp 2011)."""
        width = min(self.n, dimension + 20)
        Q, _ = np.linalg.qr(self.times(gaussian(self.n, width, generator)))
        for _ in range(iterations):
            Q, _ = np.linalg.qr(self.transposed_times(Q))
            Q, _ = np.linalg.qr(self.times(Q))
        U, values, _ = np.linalg.svd(self.transposed_times(Q).T, full_matrices=False)
        return np.asarray((Q @ U[:, :dimension]) * values[:dimension], np.float32)


def rows_and_columns(U: Float[np.ndarray, "nodes dimension"]) -> Float[np.ndarray, "nodes dimension"]:
    """Rows of length 1, then columns standardised: the same for every reduction."""
    norms = np.sqrt(np.einsum("ij,ij->i", U, U))
    return columns_standardised(U / np.maximum(norms, np.finfo(np.float32).tiny)[:, None])


def squared_norm_variance(x: Shaped[np.ndarray, " n"], dimension: int, s: float) -> float:
    """Variance of ``|R^T x|^2`` over very sparse projections: ``((s - 3) sum x_i^4 + 2 |x|^4) / dimension`` (Li, Hastie
    and Church 2006); its mean is ``|x|^2``.

    Args:
        x: (n,).
        dimension: of the projection.
        s: the inverse density of the projection.
    """
    x = np.asarray(x, np.float64)
    return float(((s - 3) * (x**4).sum() + 2 * (x**2).sum() ** 2) / dimension)
