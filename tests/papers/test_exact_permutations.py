"""Closed forms, networks and the verdicts' teeth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import integrate

from claimbench.execute import local
from claimbench.judge.paper import judge_paper
from claimbench.papers.exact_permutations import ensemble, experiments, kernels, networks
from claimbench.plan.plan import make_plan
from claimbench.spec.config import load_config


@pytest.mark.parametrize(
    ("kernel", "k", "on", "off", "variance"),
    [
        ("readout", 5, 0.6017, -0.03954, 0.012877),
        ("readout", 10, 0.6179, -0.02326, 0.006282),
        ("readout", 30, 0.6324, -0.00879, 0.002047),
        ("ntk", 5, 0.5606, -0.01464, 0.013235),
        ("ntk", 20, 0.5693, -0.00595, 0.003224),
        ("ntk", 100, 0.5738, -0.00143, 0.000637),
    ],
)
def test_reference_values(kernel: str, k: int, on: float, off: float, variance: float) -> None:
    moment = kernels.moments(kernel, k, 2)
    assert float(moment.on) == pytest.approx(on, abs=6e-5)
    assert float(moment.off) == pytest.approx(off, abs=6e-6)
    assert float(moment.variance) == pytest.approx(variance, abs=6e-7)


@pytest.mark.parametrize("cosine", [-0.5, 0.0, 0.3, 0.9])
def test_kernels_by_quadrature(cosine: float) -> None:
    """E[relu(g) relu(h)] and E[1(g > 0) 1(h > 0)] of correlated normals, divided as the kernel is."""
    sine = np.sqrt(1 - cosine**2)

    def expectation(function) -> float:  # type: ignore[no-untyped-def]
        def polar(angle: float) -> float:
            g, h = np.cos(angle), cosine * np.cos(angle) + sine * np.sin(angle)
            return function(g, h)

        return integrate.quad(polar, 0, 2 * np.pi, points=[np.pi / 2, 3 * np.pi / 2], limit=200)[0] / (2 * np.pi)

    product = expectation(lambda g, h: max(g, 0.0) * max(h, 0.0)) * 2.0  # E[r^2] = 2
    both = expectation(lambda g, h: float(g > 0 and h > 0))
    assert float(kernels.nngp(cosine)) == pytest.approx(product, rel=1e-4)
    assert float(kernels.ntk(cosine)) == pytest.approx(product + cosine * both, rel=1e-3)


@pytest.mark.parametrize("kernel", kernels.KERNELS)
def test_general_formula_equals_the_closed_form(kernel: str) -> None:
    k = 6
    inputs = kernels.nonzero_inputs(k)
    mean, covariance = kernels.trained_process(kernel, inputs)
    m = (inputs > 0).sum(axis=1)
    moment = kernels.moments(kernel, k, m)
    assert mean == pytest.approx(np.where(inputs > 0, moment.on[:, None], moment.off[:, None]), abs=1e-12)
    assert np.diag(covariance) == pytest.approx(moment.variance, abs=1e-12)


def test_training_inputs_are_learnt_exactly() -> None:
    moment = kernels.moments("ntk", 9, 1)
    assert (float(moment.on), float(moment.off), float(moment.variance)) == pytest.approx((1.0, 0.0, 0.0), abs=1e-12)


@pytest.mark.parametrize(
    ("kernel", "sizes"), [("readout", {10: 57, 30: 190, 320: 2859}), ("ntk", {10: 332, 30: 840, 320: 10757})]
)
def test_predicted_n90(kernel: str, sizes: dict[int, int]) -> None:
    assert {k: round(ensemble.size_for(kernel, k)) for k in sizes} == sizes


def test_size_for_all_inputs() -> None:
    assert [round(ensemble.size_for_all("ntk", k)) for k in (4, 10, 30)] == [362, 801, 2182]
    assert [round(ensemble.size_for_all("readout", k)) for k in (4, 10, 30)] == [44, 138, 492]


def test_simulation_agrees_with_the_closed_form() -> None:
    want = ensemble.accuracy("readout", 8, 2, [20, 60])
    for process in (ensemble.process("readout", kernels.pair_inputs(8)), ensemble.pair_process("readout", 8)):
        curves = ensemble.simulate_accuracy(process, [20, 60], 400, torch.Generator().manual_seed(0))
        assert curves.mean(axis=0) == pytest.approx(want, abs=4 * curves.std(axis=0).max() / 20)


@pytest.mark.parametrize("kernel", kernels.KERNELS)
@pytest.mark.parametrize("k", [2, 3, 4, 5, 9])
def test_pairs_have_the_covariance_of_the_general_formula(kernel: str, k: int) -> None:
    """And the root of it that the general process takes."""
    inputs = kernels.pair_inputs(k)
    mean, covariance = kernels.trained_process(kernel, inputs)
    shared = np.rint(2 * inputs @ inputs.T)
    assert kernels.pair_covariance(kernel, k, shared) == pytest.approx(covariance, abs=1e-12)
    pairs, general = ensemble.pair_process(kernel, k), ensemble.process(kernel, inputs)
    assert pairs.mean == pytest.approx(mean, abs=1e-12)
    assert pairs.target.tolist() == general.target.tolist()
    draws = np.random.default_rng(0).standard_normal((3, len(inputs), k), dtype=np.float32)
    assert pairs.spread(draws) == pytest.approx(general.spread(draws), abs=2e-4 * np.sqrt(covariance.max()))


def test_sums_of_networks_do_not_depend_on_how_many_sizes_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    process = ensemble.pair_process("ntk", 5)
    found = []
    for block in (1, 100_000):
        monkeypatch.setattr(ensemble, "BLOCK", block)
        found.append(ensemble.simulate_accuracy(process, [20, 40, 90], 30, torch.Generator().manual_seed(0)))
    # draws of one size at a time and of all together are other numbers of the same law
    assert found[0].mean(axis=0) == pytest.approx(found[1].mean(axis=0), abs=0.1)
    assert bool((np.diff(found[0].mean(axis=0)) > 0).all())


def test_readout_solution_equals_gradient_descent() -> None:
    generator = torch.Generator().manual_seed(0)
    w, v = networks.initial(2, 64, 4, generator)
    targets = torch.eye(4)[torch.tensor([2, 0, 3, 1])]
    solved = networks.train_readout(w, v, targets)
    features = torch.relu(w.double()) / 16.0
    slow = v.double()
    for _ in range(20000):
        slow = slow - 3.0 * (slow @ features - targets) @ features.mT
    assert torch.allclose(solved.double(), slow, atol=1e-4)


def test_ntk_training_fits_and_its_gradient_is_autograds() -> None:
    generator = torch.Generator().manual_seed(1)
    w, v = networks.initial(1, 32, 3, generator)
    targets = torch.eye(3)
    one_w, one_v, _, _ = networks.train_ntk(w, v, targets, tolerance=0.0, most_steps=1)
    a, b = w.clone().requires_grad_(), v.clone().requires_grad_()
    loss = (networks.outputs(a, b, torch.eye(3)) - targets).square().sum() / 2
    loss.backward()
    step = 3 / (1 - kernels.C + 3 * kernels.C)
    assert torch.allclose(one_w, w - step * a.grad, atol=1e-6)
    assert torch.allclose(one_v, v - step * b.grad, atol=1e-6)
    _, _, _, residual = networks.train_ntk(w, v, targets)
    assert residual < 2e-5


def test_a_batch_trains_as_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    w, v = networks.initial(5, 32, 3, torch.Generator().manual_seed(1))
    whole = networks.train_ntk(w, v, torch.eye(3), tolerance=0.0, most_steps=30)
    inputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))
    solved = networks.outputs(w, networks.train_readout(w, v, torch.eye(3)), inputs)
    monkeypatch.setattr(networks, "CACHED", 2 * 32 * 3)
    parts = networks.train_ntk(w, v, torch.eye(3), tolerance=0.0, most_steps=30)
    torch.testing.assert_close(networks.outputs(w, networks.train_readout(w, v, torch.eye(3)), inputs), solved)
    for one, other in zip(whole[:2], parts[:2], strict=True):
        torch.testing.assert_close(one, other)
    assert whole[2:] == (parts[2], pytest.approx(parts[3], abs=1e-6))


def test_official_recipe_equals_torch_modules() -> None:
    k, width, steps = 4, 16, 25
    test = torch.eye(k)[:2] + torch.eye(k)[2:]
    start = networks.official_initial(1, width, k, torch.Generator().manual_seed(2))
    ours = networks.official_outputs(networks.train_official(start, torch.eye(k), steps, 0.5), test)[0]
    w, _, v, _ = (part[0] for part in start)
    net = torch.nn.Sequential(torch.nn.Linear(k, width), torch.nn.ReLU(), torch.nn.Linear(width, k))
    with torch.no_grad():
        net[0].weight.copy_(w)
        net[2].weight.copy_(v)
        net[0].bias.zero_()
        net[2].bias.zero_()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.5)
    for _ in range(steps):
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(net(torch.eye(k)), torch.eye(k)).backward()
        optimiser.step()
    assert torch.allclose(ours, net(test).detach().T, atol=1e-5)


def test_extrapolation_recovers_a_limit() -> None:
    widths = np.array([128.0, 512.0, 2048.0])
    for order in (0.5, 1.0):
        means = 0.3 + 2.0 / widths**order - 5.0 / widths ** (2 * order)
        assert experiments.extrapolate(widths, means, np.full(3, 1e-3), order)[0] == pytest.approx(0.3)


def judged(tmp_path: Path, sabotage: str, experiment: str, tier: str, **hyper: object) -> dict[str, str]:
    from claimbench.records.collect import collect

    config = load_config(
        None,
        {
            "tier": tier,
            "papers": ["exact-permutations"],
            "experiments": {"exact-permutations": [experiment]},
            "seeds": 1,
            "results_dir": str(tmp_path / sabotage),
            "data_dir": str(tmp_path / "data"),
            "overrides": {"exact-permutations": {experiment: {"hyper": {"sabotage": sabotage, **hyper}}}},
        },
    )
    plan = make_plan(config)
    rows = local.fit_and_score(plan, "exact-permutations", experiment)
    assert all(row["status"] == "done" for row in rows), rows
    collect(plan, "exact-permutations")
    return {row["claim_id"]: row["verdict"] for row in judge_paper(plan, "exact-permutations")}


def test_the_wrong_kernel_turns_the_published_curve(tmp_path: Path) -> None:
    honest, sabotaged = (judged(tmp_path, name, "which-kernel", "smoke") for name in ("none", "wrong-kernel"))
    assert (honest["C8a"], honest["C8b"]) == ("reproduced", "reproduced")
    assert (sabotaged["C8a"], sabotaged["C8b"]) == ("contradicted", "contradicted")


def test_the_wrong_kernel_turns_the_accuracy_curves(tmp_path: Path) -> None:
    few = {"width": 1024, "band_repeats": 400, "band_sizes": 8, "models_factor": 1.2}
    honest, sabotaged = (judged(tmp_path, name, "ensemble", "laptop", **few) for name in ("none", "wrong-kernel"))
    assert (honest["C7"], sabotaged["C7"]) == ("reproduced", "contradicted")
