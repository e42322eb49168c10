"""Mutual information and entropy of a layer's neurons (appendix A), by quadrature of the scale mixture.

At leading order in 1/n a layer is ``z | Q ~ N(0, Q)``, independent, with a fluctuating variance Q of relative
variance e = V / (n K^2); Q is log-normal when depth and width are large.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

Nodes = Float[np.ndarray, " nodes"]
Points = Float[np.ndarray, " points"]
_POINTS = 3000


def _variances(e: float) -> tuple[Nodes, Nodes]:
    """Nodes log Q and weights of a log-normal Q of mean 1 and variance e."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    sigma = math.sqrt(math.log1p(e))
    return sigma * nodes - sigma**2 / 2, weights / weights.sum()


def _log_chi2(u: Points, log_q: Nodes, m: int) -> Float[np.ndarray, "points nodes"]:
    """Density of log(Q chi^2_m) at u for each Q."""
    x = u[:, None] - log_q[None]
    return np.exp(m / 2 * x - np.exp(x) / 2 - m / 2 * math.log(2) - math.lgamma(m / 2))


def _range(m: int) -> Points:
    return np.linspace(-72.0 / m - 3.0, math.log(m + 12 * math.sqrt(2 * m) + 60) + 2.0, _POINTS)


def mutual_information(m1: int, m2: int, e: float) -> float:
    """Mutual information of m1 and m2 other neurons of a layer, in nats, at relative variance e (section A.2)."""
    log_q, weights = _variances(e)
    u1, u2 = _range(m1), _range(m2)
    p1, p2 = _log_chi2(u1, log_q, m1), _log_chi2(u2, log_q, m2)
    joint = (p1 * weights) @ p2.T
    one, other = p1 @ weights, p2 @ weights
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = joint * (np.log(joint) - np.log(one)[:, None] - np.log(other)[None])
    return float(np.nansum(terms) * (u1[1] - u1[0]) * (u2[1] - u2[0]))


def entropy(m: int, e: float) -> float:
    """Entropy of m neurons of unit mean variance, in nats, less that of independent Gaussians ``(m / 2) log(2 pi e)``
    (section A.2); ``e`` is the relative variance."""
    log_q, weights = _variances(e)
    u = _range(m)
    p_u = _log_chi2(u, log_q, m)
    # log density of z at |z|^2 = exp(u), and its average over u
    radius = np.exp(u)[:, None] / np.exp(log_q)[None]
    log_terms = -m / 2 * (math.log(2 * math.pi) + log_q[None]) - radius / 2
    top = log_terms.max(1, keepdims=True)
    log_p = top[:, 0] + np.log((np.exp(log_terms - top) * weights).sum(1))
    value = -float((p_u @ weights * log_p).sum() * (u[1] - u[0]))
    return value - m / 2 * math.log(2 * math.pi * math.e)


def cubic_coefficient(m1: int, m2: int) -> float:
    """``c`` of ``I = (m1 m2 / 8) e^2 (1 - c e + ...)``, extrapolated to e = 0; the book has (20 + 3 (m1 + m2)) / 6
    (eq. A.67)."""
    es = np.array([0.01, 0.02, 0.03, 0.04])
    found = [(1 - mutual_information(m1, m2, e) / (m1 * m2 / 8 * e * e)) / e for e in es]
    return float(np.polyfit(es, found, 3)[-1])


def entropy_coefficients(m: int) -> tuple[float, float]:
    """Second and third order of the entropy in e; the book has -(m^2 + 2 m) / 16 and (m^3 + 10 m^2 + 16 m) / 48
    (eq. A.66)."""
    es = np.array([0.005, 0.01, 0.02, 0.03, 0.04])
    found = [entropy(m, e) / e**2 for e in es]
    fit = np.polyfit(es, found, 4)
    return float(fit[-1]), float(fit[-2])


def best_ratio(outputs: int, nu: float) -> float:
    """Depth over width of the largest information between two halves of ``outputs`` neurons, ``4 / ((20 + 3 n_L) nu)``
    for a slope ``nu`` of the vertex (eq. A.73)."""
    return 4 / ((20 + 3 * outputs) * nu)
