"""The theory: recursions of kernels, four-point vertices and the NTK from layer to layer (chapters 4, 5, 8 and 9), and
where they are critical, and the same for residual networks (appendix B)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from claimbench.papers.deep_learning_theory.activations import Activation, average, averages, correlated_average

#: one number for each layer, from the first
Layers = Float[np.ndarray, " layers"]


@dataclass(frozen=True)
class Criticality:
    """Critical initialisation (section 5.3): ``C_b``, ``C_W``, the fixed point ``K_star``, and the coefficients of
    ``dK' = dK + a1 dK^2`` and ``chi_perp = 1 + b1 dK`` around it."""

    C_b: float
    C_W: float
    K_star: float
    a1: float
    b1: float


def parallel(activation: Activation, K: float, C_W: float) -> float:
    """``chi_par = C_W <s^2 (z^2 - K)> / (2 K^2)`` (eq. 5.50)."""
    return C_W * averages(activation, K).s2z / (2 * K * K)


def perpendicular(activation: Activation, K: float, C_W: float) -> float:
    """``chi_perp = C_W <s'^2>`` (eq. 5.51)."""
    return C_W * averages(activation, K).d2


def ratio(activation: Activation, K: float) -> float:
    """``chi_par / chi_perp``, whatever C_W and C_b are; 1 at criticality."""
    return parallel(activation, K, 1.0) / perpendicular(activation, K, 1.0)


def critical(activation: Activation) -> Criticality:
    """The critical initialisation (section 5.3.1, eqs. 5.71 to 5.73).

    Raises:
        ValueError: the activation has none; :func:`find_critical` says so by None.
    """
    found = find_critical(activation)
    if found is None:
        raise ValueError(f"{activation.name} has no critical initialisation")
    return found


def find_critical(activation: Activation, low: float = 1e-2, high: float = 1e2) -> Criticality | None:
    """The critical initialisation, or None where there is none (section 5.3.1, eqs. 5.71 to 5.73).

    Args:
        activation: ``s``; closed forms where it is scale-invariant or vanishes at 0.
        low: smallest fixed point that is looked for, else.
        high: largest one.
    """
    if activation.slopes is not None:
        return Criticality(0.0, 1 / activation.A2, 1.0, 0.0, 0.0)
    if activation.taylor is not None:
        s1, s2, s3, _, _ = activation.taylor
        return Criticality(0.0, 1 / s1**2, 0.0, activation.a1, s3 / s1 + (s2 / s1) ** 2)
    from scipy.optimize import brentq

    grid = np.geomspace(low, high, 120)
    values = [ratio(activation, K) - 1 for K in grid]
    for left, right, a, b in zip(grid[:-1], grid[1:], values[:-1], values[1:], strict=True):
        if a * b < 0:
            K = float(brentq(lambda k: ratio(activation, k) - 1, left, right, xtol=1e-13, rtol=1e-14))
            C_W = 1 / averages(activation, K).d2
            C_b = K - C_W * averages(activation, K).s2
            if C_b >= 0:
                a1 = C_W * _second_moment_change(activation, K) / (8 * K**4)
                return Criticality(C_b, C_W, K, a1, C_W * averages(activation, K).d2z / (2 * K * K))
    return None


def _second_moment_change(activation: Activation, K: float) -> float:
    """``<s^2 (z^4 - 6 K z^2 + 3 K^2)>``, four K^4 times the second derivative of ``<s^2>`` by K."""
    return average(lambda z: activation.value(z) ** 2 * (z**4 - 6 * K * z**2 + 3 * K * K), K)


def fixed_points(activation: Activation, C_W: float, C_b: float, low: float, high: float) -> list[float]:
    """Every K in (low, high) where ``C_b + C_W <s^2>_K - K`` changes its sign (eq. 5.41)."""
    from scipy.optimize import brentq

    def excess(K: float) -> float:
        return C_b + C_W * averages(activation, K).s2 - K

    grid = np.linspace(low, high, 400)
    values = [excess(K) for K in grid]
    return [
        float(brentq(excess, left, right, xtol=1e-12))
        for left, right, a, b in zip(grid[:-1], grid[1:], values[:-1], values[1:], strict=True)
        if a * b < 0
    ]


def kernels(activation: Activation, C_W: float, C_b: float, K1: float, layers: int) -> Layers:
    """``K_1 .. K_layers`` at infinite width: ``K' = C_b + C_W <s^2>_K`` (eq. 4.117)."""
    found = [K1]
    for _ in range(layers - 1):
        found.append(C_b + C_W * averages(activation, found[-1]).s2)
    return np.array(found)


def vertices(activation: Activation, C_W: float, C_b: float, K1: float, layers: int) -> tuple[Layers, Layers]:
    """``K_l`` and ``V_l``: ``V' = chi_par^2 V + C_W^2 (<s^4> - <s^2>^2)``, V_1 = 0 (eqs. 5.108, 5.109)."""
    K, V = [K1], [0.0]
    for _ in range(layers - 1):
        at = averages(activation, K[-1])
        chi = C_W * at.s2z / (2 * K[-1] ** 2)
        V.append(chi**2 * V[-1] + C_W**2 * (at.s4 - at.s2**2))
        K.append(C_b + C_W * at.s2)
    return np.array(K), np.array(V)


def kernel_corrections(activation: Activation, C_W: float, K1: float, layers: int, shift: float = 0.0) -> Layers:
    """``n (E[z^2] - K_l)`` at leading order in 1/n, for C_b = 0 and weights of variance ``C_W (1 + shift / n)``:
    ``G' = chi_par G + C_W <s^2>'' V / 2 + shift C_W <s^2>`` with derivatives by K (eq. 5.110)."""
    found = [0.0]
    for K, V in zip(*vertices(activation, C_W, 0.0, K1, layers - 1), strict=True):
        curvature = C_W * _second_moment_change(activation, K) / (4 * K**4)
        following = parallel(activation, K, C_W) * found[-1] + curvature * V / 2
        found.append(following + shift * C_W * averages(activation, K).s2)
    return np.array(found)


def correlations(
    activation: Activation, C_W: float, C_b: float, K1: float, c1: float, layers: int
) -> tuple[Layers, Layers]:
    """Kernels ``K_1 .. K_layers`` and correlations ``c_1 .. c_layers`` of two inputs of one norm (section 5.2)."""
    K, c = [K1], [c1]
    for _ in range(layers - 1):
        following = C_b + C_W * averages(activation, K[-1]).s2
        c.append(min(1.0, (C_b + C_W * correlated_average(activation, K[-1], c[-1])) / following))
        K.append(following)
    return np.array(K), np.array(c)


@dataclass(frozen=True)
class Tangent:
    """Kernel, NTK mean and fluctuation tensors of one layer: ``Cov(H_11, H_22) = A/n``, ``Var(H_12) = B/n``,
    ``Cov(z_1^2, H_22) = D/n``, ``E[z_1 z_2 H_12] = F/n``."""

    K: float
    V: float
    Theta: float
    A: float
    B: float
    D: float
    F: float


def tangents(
    activation: Activation,
    C_W: float,
    K1: float,
    Theta1: float,
    layers: int,
    lambda_b: float = 0.0,
    lambda_W: float = 1.0,
) -> list[Tangent]:
    """The NTK from layer to layer for C_b = 0 and equal widths (chapter 8 and eqs. 9.5 to 9.17)."""
    found = [Tangent(K1, 0.0, Theta1, 0.0, 0.0, 0.0, 0.0)]
    for _ in range(layers - 1):
        t = found[-1]
        at = averages(activation, t.K)
        par, perp = C_W * at.s2z / (2 * t.K**2), C_W * at.d2
        h = C_W / (4 * t.K**2) * at.d2z
        omega = lambda_W * at.s2 + C_W * t.Theta * at.d2
        omega2 = (lambda_W**2) * at.s4 + 2 * lambda_W * C_W * t.Theta * at.s2d2 + (C_W * t.Theta) ** 2 * at.d4
        s2omega = lambda_W * at.s4 + C_W * t.Theta * at.s2d2
        c = lambda_W * par / C_W + 2 * h * t.Theta
        found.append(
            Tangent(
                K=C_W * at.s2,
                V=par**2 * t.V + C_W**2 * (at.s4 - at.s2**2),
                Theta=lambda_b + lambda_W * at.s2 + perp * t.Theta,
                A=omega2 - omega**2 + c**2 * t.V + 2 * c * perp * t.D + perp**2 * t.A,
                B=C_W**2 * at.d4 * t.Theta**2 + perp**2 * t.B,
                D=C_W * (s2omega - at.s2 * omega) + c * par * t.V + par * perp * t.D,
                F=C_W**2 * at.s2d2 * t.Theta + par**2 * t.F,
            )
        )
    return found


# ---- residual networks (appendix B) ----------------------------------------------------------------------------------


def residual_weight(activation: Activation, gamma: float) -> float:
    """Critical C_W of ``z' = gamma z + W s(z)``: ``(1 - gamma^2) / A2``, or over s1^2 (eqs. B.20, B.26)."""
    scale = activation.A2 if activation.slopes is not None else (activation.taylor or (1.0,))[0] ** 2
    return (1 - gamma**2) / scale


def residual_vertices(activation: Activation, gamma: float, K1: float, layers: int) -> tuple[Layers, Layers]:
    """``K_l`` and ``V_l`` by the printed recursion (appendix B): ``V' = (gamma^2 + C_W g')^2 V + 4 gamma^2 K^2 C_W g' +
    C_W^2 (<s^4> - <s^2>^2)`` with ``g' = d<s^2>/dK``."""
    C_W = residual_weight(activation, gamma)
    K, V = [K1], [0.0]
    for _ in range(layers - 1):
        at = averages(activation, K[-1])
        slope = at.s2z / (2 * K[-1] ** 2)
        V.append(
            (gamma**2 + C_W * slope) ** 2 * V[-1]
            + 4 * gamma**2 * K[-1] ** 2 * C_W * slope
            + C_W**2 * (at.s4 - at.s2**2)
        )
        K.append(C_W * at.s2 + gamma**2 * K[-1])
    return np.array(K), np.array(V)


def residual_extended(activation: Activation, gamma: float, layers: int, orders: int = 40) -> Layers:
    """``V_l / K^2`` of a scale-invariant residual network with the connected three-point functions that the printed
    recursion leaves out (derived here).

    Neurons keep their identity through the skip. With normalised Hermite polynomials h_q, ``r_q = <s^2 h_q> / <s^2>``
    and ``c_q = n Cov(h_q(z_j), h_2(z_k))``; V / K^2 = 2 c_2. For even s^2 it reduces to the printed recursion.
    """
    r = _hermite_shares(activation, orders)
    r[0] = 0.0
    a = (1 - gamma**2) / math.sqrt(2)
    q = np.arange(orders)
    c = np.zeros(orders)
    found = [0.0]
    for _ in range(layers - 1):
        S = float(r @ c)
        T = float(r @ r) + 2 * r[2] * S - r[2] ** 2 * c[2]
        new = gamma ** (2.0 + q) * c + a * gamma ** q.astype(float) * (r + r[2] * c)
        new[2] = gamma**4 * c[2] + 2 * a * gamma**2 * (r[2] + S) + a**2 * T
        new[0] = 0.0
        c = new
        found.append(2 * float(c[2]))
    return np.array(found)


def _hermite_shares(activation: Activation, orders: int) -> Float[np.ndarray, " orders"]:
    """``<s^2 h_q> / <s^2>`` at unit variance, h_q the normalised probabilists' Hermite polynomials; by halves, so that
    the kink at 0 costs nothing."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    x = 6.5 * (nodes + 1)  # 0 .. 13
    density = 6.5 * weights * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    up, down = activation.slopes or (1.0, 1.0)
    q = np.arange(orders)
    norms = np.array([math.sqrt(math.factorial(k)) for k in q])
    halves = (density * x * x) @ np.polynomial.hermite_e.hermevander(x, orders - 1) / norms
    return halves * (up**2 + (-1.0) ** q * down**2) / activation.A2


def residual_slope(activation: Activation, gamma: float) -> float:
    """Printed slope nu(gamma) of V / (n K^2) on depth over width (eqs. B.29, B.35)."""
    if activation.slopes is not None:
        first = 3 * activation.A4 / activation.A2**2 - 1
        return (1 - gamma**2) * (first * (1 - gamma**2) + 4 * gamma**2)
    return 2 / 3 * (1 - gamma**4)


def vertex_slope(activation: Activation) -> float:
    """``nu`` of V_l / (n K_l^2) -> nu l / n: ``3 A4 / A2^2 - 1``, or 2/3 for the K* = 0 class (eqs. 5.120, 5.131)."""
    return residual_slope(activation, 0.0)
