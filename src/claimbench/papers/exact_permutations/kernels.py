"""Closed forms of the infinite-width limit: the trained network is a Gaussian process with this mean and variance.

Network (NTK parametrisation, Section 3): ``f(x) = n^{-1/2} V relu(k^{-1/2} W x)`` with standard normal W (n x k) and V
(k x n). Inputs are the k basis vectors for training and unit vectors with m equal ones for testing. Kernels are given
without their common factor 1/k, which cancels in the mean and multiplies the variance.

Two trainings are told apart by the kernel that drives them: ``ntk`` (both layers) and ``readout`` (second layer alone,
the NNGP kernel). The network's prior covariance is the NNGP kernel in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

C = 1.0 / (2.0 * np.pi)
KERNELS = ("ntk", "readout")
Array = NDArray[np.float64]


def nngp(cosine: ArrayLike) -> Array:
    """k K(u, v) of unit vectors at angle t: ``(sin t + (pi - t) cos t) / (2 pi)`` (arc-cosine kernel of order 1)."""
    cosine = np.clip(np.asarray(cosine, float), -1.0, 1.0)
    angle = np.arccos(cosine)
    return C * (np.sin(angle) + (np.pi - angle) * cosine)


def ntk(cosine: ArrayLike) -> Array:
    """k Theta(u, v) of unit vectors at angle t: the NNGP kernel plus ``(pi - t) cos t / (2 pi)``."""
    cosine = np.clip(np.asarray(cosine, float), -1.0, 1.0)
    return nngp(cosine) + C * (np.pi - np.arccos(cosine)) * cosine


def training_kernel(kernel: str, cosine: ArrayLike) -> Array:
    """The kernel by which gradient descent learns."""
    return ntk(cosine) if kernel == "ntk" else nngp(cosine)


@dataclass(frozen=True)
class Moments:
    """Of the trained output over initialisations, at a test input with m ones: arrays of shape (k, m) broadcast."""

    #: mean at a bit whose target is 1
    on: Array
    #: mean at a bit whose target is 0
    off: Array
    #: variance of every bit; bits are independent
    variance: Array


def moments(kernel: str, k: ArrayLike, m: ArrayLike) -> Moments:
    """Mean and variance after training on all k basis vectors.

    With ``d`` and ``o`` the diagonal and off-diagonal of the training Gram matrix its inverse is ``alpha I + beta 1
    1^T``; the means are ``alpha T_a + beta S`` at active and ``alpha T_z + beta S`` at inactive bits, ``S = m T_a + (k
    - m) T_z``.

    Args:
        kernel: ``ntk`` or ``readout``.
        k: length of the inputs.
        m: number of ones, 1 <= m <= k.
    """
    k, m = np.broadcast_arrays(np.asarray(k, float), np.asarray(m, float))
    diagonal = 1.0 if kernel == "ntk" else 0.5
    alpha = 1.0 / (diagonal - C)
    beta = -C / ((diagonal - C) * (diagonal - C + k * C))
    cosine = 1.0 / np.sqrt(m)
    active, inactive = training_kernel(kernel, cosine), C
    total = m * active + (k - m) * inactive
    # The terms nearly cancel when m is close to 1; alpha T_z + beta S is written out so that m = 1 gives exactly zero
    # for off.
    on = alpha * active + beta * total
    off = alpha * inactive + beta * total
    prior_active = nngp(cosine)
    sum_of_squares = m * on**2 + (k - m) * off**2
    square_of_sum = (m * on + (k - m) * off) ** 2
    variance = (
        0.5 - 2.0 * (m * on * prior_active + (k - m) * off * C) + (0.5 - C) * sum_of_squares + C * square_of_sum
    ) / k
    return Moments(on, off, np.maximum(variance, 0.0))


def pair_inputs(k: int) -> Array:
    """All unit vectors with exactly two ones: (k (k - 1) / 2, k)."""
    first, second = np.triu_indices(k, 1)
    inputs = np.zeros((first.size, k))
    inputs[np.arange(first.size), first] = inputs[np.arange(first.size), second] = 1.0 / np.sqrt(2.0)
    return inputs


def pair_covariance(kernel: str, k: int, shared: ArrayLike) -> Array:
    """Covariance of the trained output at two inputs of two ones that have ``shared`` (0, 1 or 2) ones in common.

    The formula of :func:`trained_process`, of which the entries depend on nothing else.
    """
    s = np.asarray(shared, float)
    moment, prior = moments(kernel, k, 2), nngp(1.0 / np.sqrt(2.0))
    on, off = moment.on, moment.off
    cross = prior * (s * on + (2 - s) * off) + C * ((2 - s) * on + (k - 4 + s) * off)
    product = s * on**2 + 2 * (2 - s) * on * off + (k - 4 + s) * off**2
    return (nngp(s / 2) - 2 * cross + (0.5 - C) * product + C * (2 * on + (k - 2) * off) ** 2) / k


def nonzero_inputs(k: int) -> Array:
    """All nonzero binary vectors as unit vectors: (2^k - 1, k)."""
    bits = (np.arange(1, 2**k)[:, None] >> np.arange(k)) & 1
    return bits / np.sqrt(bits.sum(axis=1, keepdims=True))


def trained_process(kernel: str, inputs: Array) -> tuple[Array, Array]:
    """Mean and covariance of the trained process at any unit inputs, by the general formula.

    ``A = Theta(Q, X) Theta(X, X)^{-1}``; mean ``A Y`` with Y the identity permutation (all others are relabellings);
    covariance ``K(Q, Q) - A K(X, Q) - K(Q, X) A^T + A K(X, X) A^T``, the same for every output bit.

    Args:
        inputs: (q, k) unit vectors.

    Returns:
        mean (q, k) and covariance (q, q), with the factor 1/k of the network.
    """
    k = inputs.shape[1]
    weights = training_kernel(kernel, inputs) @ np.linalg.inv(training_kernel(kernel, np.eye(k)))
    cross = nngp(inputs) @ weights.T
    covariance = nngp(inputs @ inputs.T) - cross - cross.T + weights @ nngp(np.eye(k)) @ weights.T
    return weights, covariance / k
