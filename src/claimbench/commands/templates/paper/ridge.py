"""Least squares and ridge regression on a design whose spectrum is known (Hoerl and Kennard 1970)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: eigenvalues of X'X: the larger the ratio of the largest to the smallest, the worse least squares does
EIGENVALUES = np.logspace(0, -2, 8)


def design(n: int) -> NDArray[np.float64]:
    """A design X (n, 8) with X'X = diag(EIGENVALUES).

    The columns are cosines of different frequencies over the n observations, which are orthogonal (DCT-II basis).
    """
    angles = np.pi * np.outer(np.arange(n) + 0.5, np.arange(1, EIGENVALUES.size + 1)) / n
    return np.sqrt(2.0 / n) * np.cos(angles) * np.sqrt(EIGENVALUES)


def estimate(x: NDArray[np.float64], y: NDArray[np.float64], penalty: float) -> NDArray[np.float64]:
    """Coefficients (X'X + k I)^-1 X'y, Section 2; penalty k = 0 is least squares.

    Args:
        x: design (n, p).
        y: responses (n, r), one column a noise draw.

    Returns:
        Coefficients (r, p).
    """
    return np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y).T
