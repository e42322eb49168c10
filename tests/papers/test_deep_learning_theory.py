"""Averages and recursions against independent quadrature and limits, sampling against its law, and the verdicts' teeth."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from claimbench.execute import runner
from claimbench.judge.paper import judge_paper
from claimbench.papers.deep_learning_theory import experiments, information, recursions, sampling
from claimbench.papers.deep_learning_theory.activations import (
    ACTIVATIONS,
    Activation,
    average,
    averages,
    correlated_average,
)
from claimbench.papers.deep_learning_theory.gradient_descent import Networks, largest_rate
from claimbench.plan.plan import make_plan
from claimbench.spec.config import load_config

# ---- averages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["relu", "leaky", "tanh", "gelu", "swish"])
def test_averages_are_those_of_scipy(name: str) -> None:
    from scipy.integrate import quad

    activation, K = ACTIVATIONS[name], 1.7
    found = averages(activation, K)

    def mean(f: Any) -> float:
        def integrand(z: float) -> float:
            t = torch.tensor(z, dtype=torch.float64)
            return float(f(t)) * math.exp(-z * z / (2 * K)) / math.sqrt(2 * math.pi * K)

        return quad(integrand, -16, 0)[0] + quad(integrand, 0, 16)[0]

    s, d = activation.value, activation.slope
    expected = {
        "s2": lambda z: s(z) ** 2,
        "s4": lambda z: s(z) ** 4,
        "d2": lambda z: d(z) ** 2,
        "d4": lambda z: d(z) ** 4,
        "s2d2": lambda z: (s(z) * d(z)) ** 2,
        "s2z": lambda z: s(z) ** 2 * (z * z - K),
        "d2z": lambda z: d(z) ** 2 * (z * z - K),
    }
    for key, f in expected.items():
        assert getattr(found, key) == pytest.approx(mean(f), abs=1e-6), key


@pytest.mark.parametrize("name", ["tanh", "sin", "gelu", "swish"])
def test_slopes_are_derivatives(name: str) -> None:
    z = torch.linspace(-3, 3, 31, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(ACTIVATIONS[name].value(z).sum(), z)
    torch.testing.assert_close(ACTIVATIONS[name].slope(z.detach()), slope)


def test_correlated_average_by_sampling() -> None:
    generator = torch.Generator().manual_seed(0)
    u, w = torch.randn(2, 400_000, generator=generator, dtype=torch.float64)
    c, K = 0.6, 1.3
    u, v = math.sqrt(K) * u, math.sqrt(K) * (c * u + math.sqrt(1 - c * c) * w)
    for name in ("relu", "leaky", "tanh"):
        products = ACTIVATIONS[name].value(u) * ACTIVATIONS[name].value(v)
        error = float(products.std()) / math.sqrt(len(u))
        assert abs(correlated_average(ACTIVATIONS[name], K, c) - float(products.mean())) < 4 * error, name


# ---- recursions ------------------------------------------------------------------------------------------------------


def test_swish_needs_the_printed_constant() -> None:
    found = recursions.critical(ACTIVATIONS["swish"])
    assert found.C_b == pytest.approx(0.55514317, abs=5e-9)
    K = found.K_star
    assert found.C_b + found.C_W * averages(ACTIVATIONS["swish"], K).s2 == pytest.approx(K, rel=1e-10)
    assert 0.055514317 + found.C_W * averages(ACTIVATIONS["swish"], K).s2 != pytest.approx(K, rel=1e-2)


def test_susceptibilities_are_derivatives_of_the_kernel() -> None:
    activation, K, C_W = ACTIVATIONS["gelu"], 2.0, 1.5

    def following(k: float) -> float:
        return C_W * average(lambda z: activation.value(z) ** 2, k)

    numeric = (following(K + 1e-4) - following(K - 1e-4)) / 2e-4
    assert recursions.parallel(activation, K, C_W) == pytest.approx(numeric, rel=1e-6)


def test_a1_and_a2_are_the_expansion_of_the_kernel() -> None:
    s = (1.3, 0.4, -0.7, 0.9, 2.1)
    activation = Activation(
        "quintic",
        lambda z: sum(c * z ** (k + 1) / math.factorial(k + 1) for k, c in enumerate(s)),  # type: ignore[misc]
        torch.ones_like,
        taylor=s,
    )
    for K in (1e-3, 2e-3):
        rest = average(lambda z: activation.value(z) ** 2, K) / s[0] ** 2 - K - activation.a1 * K**2
        assert rest / K**3 == pytest.approx(activation.a2, abs=20 * K)


@pytest.mark.parametrize("name", ["tanh", "sin"])
def test_what_the_tuning_leaves_has_its_limit(name: str) -> None:
    """With V = v K + w K^2, v = -2 / (3 a1), the source of G is -(2 a1 + a2 / (3 a1)) K^2; without w it is the printed
    one."""
    activation, layers = ACTIVATIONS[name], 3000
    found = recursions.kernel_corrections(activation, 1.0, 1.0, layers, 2 / 3)
    limit = (2 + activation.a2 / (3 * activation.a1**2)) / -activation.a1
    assert layers * found[-1] == pytest.approx(limit, rel=0.01)
    plain = recursions.kernel_corrections(activation, 1.0, 1.0, layers)
    assert plain[-1] == pytest.approx(1 / (3 * activation.a1), rel=0.01)


def test_corrections_of_the_kernel_are_those_of_samples() -> None:
    width, layers, nets = 64, 12, 100_000
    generator = torch.Generator().manual_seed(0)
    C_W = 1 + 2 / (3 * width)
    (kernel,) = sampling.gram(ACTIVATIONS["sin"], width, layers, nets, [C_W], 0.0, 1.0, generator)
    K = recursions.kernels(ACTIVATIONS["sin"], 1.0, 0.0, 1.0, layers)
    expected = recursions.kernel_corrections(ACTIVATIONS["sin"], 1.0, 1.0, layers, 2 / 3)
    error = width * float(kernel[:, -1].std()) / math.sqrt(nets)
    assert abs(width * (float(kernel[:, -1].mean()) - K[-1]) - expected[-1]) < 4 * error + 0.1 * expected[-1]


def test_vertex_of_scale_invariant_networks_is_linear_in_depth() -> None:
    K, V = recursions.vertices(ACTIVATIONS["relu"], 2.0, 0.0, 1.0, 6)
    np.testing.assert_allclose(K, 1.0)
    np.testing.assert_allclose(V, 5.0 * np.arange(6))


def test_tangent_recursion_of_relu_has_the_closed_form() -> None:
    """B_L = (A4/A2^2) theta^2 (L-1) L (2L-1) / 6 and F_L = (A4/A2^2) K theta L (L-1) / 2 with theta = A2 K."""
    found = recursions.tangents(ACTIVATIONS["relu"], 2.0, 1.0, 0.5, 6)
    for L, t in enumerate(found, start=1):
        assert t.Theta == pytest.approx(0.5 * L)
        assert pytest.approx(2 * 0.25 * (L - 1) * L * (2 * L - 1) / 6) == t.B
        assert pytest.approx(2 * 0.5 * L * (L - 1) / 2) == t.F


@pytest.mark.parametrize("name", ["linear", "abs"])
def test_extended_recursion_is_the_printed_one_for_even_squares(name: str) -> None:
    K, V = recursions.residual_vertices(ACTIVATIONS[name], 0.7, 1.0, 10)
    np.testing.assert_allclose(recursions.residual_extended(ACTIVATIONS[name], 0.7, 10), V / K**2, atol=1e-8)


@pytest.mark.parametrize("name", ["linear", "relu", "abs"])
def test_slope_of_the_printed_residual_recursion(name: str) -> None:
    K, V = recursions.residual_vertices(ACTIVATIONS[name], 0.8, 1.0, 5)
    np.testing.assert_allclose(V / K**2, recursions.residual_slope(ACTIVATIONS[name], 0.8) * np.arange(5))


def test_kernel_and_slope_of_residual_tanh() -> None:
    K, V = recursions.residual_vertices(ACTIVATIONS["tanh"], 0.5, 1.0, 4000)
    assert 4000 * K[-1] == pytest.approx(1 / (2 * 0.75), rel=0.01)
    assert V[-1] / K[-1] ** 2 / 4000 == pytest.approx(recursions.residual_slope(ACTIVATIONS["tanh"], 0.5), rel=0.01)


def test_without_a_skip_the_extended_recursion_is_the_plain_one() -> None:
    _, V = recursions.vertices(ACTIVATIONS["relu"], 2.0, 0.0, 1.0, 8)
    np.testing.assert_allclose(recursions.residual_extended(ACTIVATIONS["relu"], 0.0, 8), V, rtol=2e-5)


# ---- sampling --------------------------------------------------------------------------------------------------------


def test_dense_and_gram_sampling_agree() -> None:
    generator = torch.Generator().manual_seed(0)
    squares, pairs = sampling.dense(ACTIVATIONS["tanh"], 16, 3, 4000, 1.0, 0.1, 1.0, generator)
    (kernel,) = sampling.gram(ACTIVATIONS["tanh"], 16, 3, 40_000, [1.0], 0.1, 1.0, generator)
    for layer in range(3):
        error = math.sqrt(float(squares[:, layer].var()) / 4000 + float(kernel[:, layer].var()) / 40_000)
        assert abs(float(squares[:, layer].mean() - kernel[:, layer].mean())) < 4 * error
        error = math.sqrt(float(pairs[:, layer].var()) / 4000)
        assert abs(float(pairs[:, layer].mean() - (kernel[:, layer] ** 2).mean())) < 4.5 * error


def test_the_first_layer_of_dense_networks_is_drawn_by_weights() -> None:
    squares, _ = sampling.dense(ACTIVATIONS["tanh"], 400, 1, 500, 1.6, 0.3, 1.1, torch.Generator().manual_seed(0))
    assert abs(float(squares.mean()) - 1.1) < 4 * 1.1 * math.sqrt(2 / (400 * 500))


def test_tangent_recursion_is_the_empirical_ntk() -> None:
    """H of one network from autograd over all weights."""
    width, layers = 6, 3
    activation, C_W, K1 = ACTIVATIONS["tanh"], 1.0, 1.0
    found = sampling.tangent(activation, width, layers, 1, C_W, K1, 0.7, torch.Generator().manual_seed(5))
    generator = torch.Generator().manual_seed(5)
    z1 = math.sqrt(K1) * torch.randn(1, width, generator=generator)[0]
    weights = [
        (torch.randn(1, width, width, generator=generator)[0] * math.sqrt(C_W / width)).requires_grad_(True)
        for _ in range(layers - 1)
    ]
    z1.requires_grad_(True)
    z = z1
    for W in weights:
        z = W @ activation.value(z)
    H = torch.zeros(width, width)
    grads = [torch.autograd.grad(z[i], [z1, *weights], retain_graph=True) for i in range(width)]
    for i in range(width):
        for j in range(width):
            H[i, j] = 0.7 * grads[i][0] @ grads[j][0]
            H[i, j] += sum((a * b).sum() for a, b in zip(grads[i][1:], grads[j][1:], strict=True)) / width
    assert float(found["Theta"][0, -1]) == pytest.approx(float(H.diagonal().mean()), rel=1e-4)
    off = H - torch.diag(H.diagonal())
    assert float(found["H2"][0, -1]) == pytest.approx(float(off.square().sum()) / 30, rel=1e-4)


def test_errors_of_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20_000, 1, generator=generator, dtype=torch.float64) + 2
    value, error = sampling.batch_errors({"x": x, "y": x * x}, lambda d: d["y"] - d["x"] ** 2)
    assert abs(float(value) - 1) < 4 * math.sqrt(2 / 20_000)
    assert float(error) == pytest.approx(math.sqrt(2 / 20_000), rel=0.35)


def test_extrapolation_of_a_polynomial_is_exact() -> None:
    widths = [64, 128, 256]
    n = torch.tensor(widths, dtype=torch.float64)
    values = (3.0 + 5 / n - 70 / n**2)[:, None]
    limit, _ = sampling.extrapolated(widths, values, torch.ones(3, 1, dtype=torch.float64))
    assert float(limit) == pytest.approx(3.0)


# ---- information -----------------------------------------------------------------------------------------------------


def test_information_has_the_books_expansion_and_vanishes() -> None:
    assert information.mutual_information(2, 1, 1e-8) == pytest.approx(0.0, abs=1e-10)
    e = 0.01
    expected = 2 / 8 * e**2 * (1 - (20 + 9) / 6 * e)
    assert information.mutual_information(2, 1, e) == pytest.approx(expected, rel=3e-3)


def test_entropy_of_a_gaussian() -> None:
    assert information.entropy(3, 1e-9) == pytest.approx(0.0, abs=1e-6)


# ---- training --------------------------------------------------------------------------------------------------------


def test_ntk_is_the_sum_of_squared_gradients_and_steps_follow_it() -> None:
    nets = Networks(ACTIVATIONS["tanh"], 2, 5, 7, 3, 2.0, torch.Generator().manual_seed(0))
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    ntk = nets.ntk(x)
    for weight in nets.weights:
        weight.requires_grad_(True)
    f, _, _ = nets.passes(x)
    for net in range(2):
        grads = [torch.autograd.grad(f[net, i], nets.weights, retain_graph=True) for i in range(4)]
        for i in range(4):
            for j in range(4):
                # df/dw has a factor scale = sqrt(C_W / n), the NTK 1 / n
                total = sum(float((a * b).sum()) for a, b in zip(grads[i], grads[j], strict=True)) / nets.C_W
                assert float(ntk[net, i, j]) == pytest.approx(total, rel=1e-4)
    for weight in nets.weights:
        weight.requires_grad_(False)
    y = f.detach() + 0.01 * torch.randn(2, 4, generator=torch.Generator().manual_seed(2))
    rate = 1e-3
    nets.step(x, y, rate)
    after, _, _ = nets.passes(x)
    expected = f.detach() - rate * torch.einsum("nij,nj->ni", ntk.detach(), f.detach() - y)
    torch.testing.assert_close(after, expected, atol=2e-7, rtol=1e-5)


def test_largest_rate_is_the_linear_limit() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 8, generator=generator)
    y = 0.001 * torch.randn(6, generator=generator)
    nets = Networks(ACTIVATIONS["relu"], 1, 8, 64, 3, 2.0, torch.Generator().manual_seed(3))
    limit = 2 / float(torch.linalg.eigvalsh(nets.ntk(x)[0])[-1])
    found = largest_rate(ACTIVATIONS["relu"], x, y, 64, 3, 2.0, 3, steps=60)
    assert 0.97 < found / limit < 1.12


# ---- verdicts --------------------------------------------------------------------------------------------------------


def judged(tmp_path: Path, sabotage: str, experiment: str, method: str, **hyper: Any) -> dict[str, str]:
    from claimbench.records.collect import collect

    values = {
        "tier": "laptop",
        "bundle_s": 1e6,
        "papers": ["deep-learning-theory"],
        "experiments": {"deep-learning-theory": [experiment]},
        "seeds": 1,
        "results_dir": str(tmp_path / sabotage),
        "overrides": {"deep-learning-theory": {experiment: {"hyper": {"sabotage": sabotage, **hyper}}}},
    }
    plan = make_plan(load_config(None, values))
    (whole,) = plan.jobs.values()
    job = dataclasses.replace(whole, runs=tuple(run for run in whole.runs if run.cell.method == method))
    plan.jobs[job.id] = job
    executor = runner.Runner(plan)
    executor.fit(job)
    executor.score(job)
    collect(plan, "deep-learning-theory")
    return {row["claim_id"]: row["verdict"] for row in judge_paper(plan, "deep-learning-theory")}


def test_a_wrong_initialisation_turns_the_headline(tmp_path: Path) -> None:
    few = {"widths": [32, 64], "layers": 6, "nets": 40_000}
    honest, sabotaged = (judged(tmp_path, name, "four-point", "tanh", **few) for name in ("none", "off-critical"))
    assert (honest["C5"], sabotaged["C5"]) == ("reproduced", "contradicted")


def test_a_wrong_constant_turns_criticality(tmp_path: Path) -> None:
    honest, sabotaged = (judged(tmp_path, name, "criticality", "gelu") for name in ("none", "off-critical"))
    assert (honest["C6"], sabotaged["C6"]) == ("reproduced", "contradicted")


def test_holm() -> None:
    from scipy.stats import norm

    z = np.array([0.5, -3.0, 1.0])
    assert experiments.holm_p(z) == pytest.approx(3 * 2 * norm.sf(3.0))
    assert experiments.holm_p(np.zeros(4)) == 1.0
