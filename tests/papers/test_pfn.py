"""Processes against scikit-learn and integration, training against its interruption, and the verdicts' teeth."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from claimbench.execute import runner
from claimbench.judge.paper import judge_paper
from claimbench.papers.pfn import experiments, training
from claimbench.papers.pfn import gaussian_process as gp
from claimbench.plan.plan import make_plan
from claimbench.run import Checkpoint, Run
from claimbench.spec.config import load_config
from tests.papers.killing import kill

HYPER = {
    "width": 8, "layers": 2, "heads": 2, "inner": 16, "buckets": 12, "border_datasets": 200, "border_points": 0, "parts": 1, "first": 2, "batch": 8, "steps": 6,
    "warm_up": 4, "samples": 4,
    "learning_rate": 1e-2, "log_every": 2, "points": 8, "largest": 5, "d": 2, "tested": 40, "sizes": [1, 3, 5],
    "small": 3, "sabotage": "none", "dropout": 0.0,
}  # fmt: skip


def run_of(experiment: str = "fixed-gp", method: str = "pfn", seed: int = 0, **hyper: Any) -> Run:
    return Run("pfn", experiment, method, "none", {"datasets": 48}, seed, "smoke", {**HYPER, **hyper})


# ---- processes -------------------------------------------------------------------------------------------------------


def test_the_predictive_density_is_scikit_learns() -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

    x, y = gp.fixed(3, 9, 2, torch.Generator().manual_seed(0))
    for kernel, theirs in (
        (lambda a, b: gp.rbf(a, b, 0.6), RBF(0.6)),
        (lambda a, b: 2.5 * gp.matern(a, b, 0.3), ConstantKernel(2.5) * Matern(0.3, nu=2.5)),
    ):
        mean, variance = gp.exact(x, y[:, :8], kernel)
        for i in range(3):
            fitted = GaussianProcessRegressor(theirs + WhiteKernel(gp.NOISE), optimizer=None, alpha=0)
            fitted.fit(x[i, :8].numpy(), y[i, :8].numpy())
            expected, deviation = fitted.predict(x[i, 8:].numpy(), return_std=True)
            assert float(mean[i]) == pytest.approx(float(expected[0]), abs=1e-6)
            assert float(variance[i]) == pytest.approx(float(deviation[0]) ** 2, rel=1e-4, abs=1e-9)


def test_without_labels_the_loss_is_that_of_the_marginal() -> None:
    """0.5 ln(2 pi e 1.0001) = 1.419."""
    x, y = gp.fixed(20_000, 1, 5, torch.Generator().manual_seed(0))
    mean, variance = gp.exact(x, y[:, :0], lambda a, b: gp.rbf(a, b, gp.LENGTH_SCALE))
    losses = -gp.normal_log_density(y[:, 0], mean, variance)
    assert float(losses.mean()) == pytest.approx(0.5 * math.log(2 * math.pi * math.e * 1.0001), abs=0.02)


def test_losses_of_the_exact_process() -> None:
    """Reference values over thousands of datasets."""
    x, y = gp.fixed(3000, 21, 5, torch.Generator().manual_seed(1))
    for n, expected in ((1, 1.297), (5, 1.032), (20, 0.457)):
        mean, variance = gp.exact(x[:, : n + 1], y[:, :n], lambda a, b: gp.rbf(a, b, gp.LENGTH_SCALE))
        loss = -gp.normal_log_density(y[:, n], mean, variance)
        assert float(loss.mean()) == pytest.approx(expected, abs=0.08)


def test_hyper_priors_have_their_moments() -> None:
    generator = torch.Generator().manual_seed(0)
    for shape, rate in (gp.LENGTH_PRIOR, gp.SCALE_PRIOR):
        drawn = gp.gamma(shape, rate, 100_000, generator)
        assert float(drawn.mean()) == pytest.approx(shape / rate, rel=0.02)
        assert float(drawn.var()) == pytest.approx(shape / rate**2, rel=0.05)
    _, y = gp.mixture(20_000, 1, generator)
    assert float(y.std()) == pytest.approx(gp.MIXTURE_DEVIATION, rel=0.03)


def test_the_posterior_is_likelihood_times_prior() -> None:
    from scipy.stats import gamma, multivariate_normal

    x, y = gp.mixture(1, 5, torch.Generator().manual_seed(0))
    x, y = x[0], y[0]
    length, scale = 0.4, 9.0
    covariance = scale * gp.matern(x, x, length).numpy() + gp.NOISE * np.eye(5)
    expected = multivariate_normal(np.zeros(5), covariance).logpdf(y.numpy())
    expected += gamma(3, scale=1 / 6).logpdf(length) + gamma(2, scale=1 / 0.15).logpdf(scale)
    found = gp.log_posterior(torch.tensor([math.log(length), math.log(scale)], dtype=torch.float64), x, y)
    assert float(found) == pytest.approx(expected, rel=1e-6)
    best = gp.maximum(x, y)
    at = float(gp.log_posterior(torch.from_numpy(best), x, y))
    around = [
        gp.log_posterior(torch.from_numpy(best + np.array(d)), x, y)
        for d in ((0.05, 0), (-0.05, 0), (0, 0.05), (0, -0.05))
    ]
    assert all(at > float(value) for value in around)


def test_quadrature_does_not_depend_on_its_grid_and_beats_the_mode() -> None:
    x, y = gp.mixture(30, 6, torch.Generator().manual_seed(3))
    known, target = y[:, :5], y[:, 5]
    exact = torch.stack([gp.by_quadrature(*dataset) for dataset in zip(x, known, target, strict=True)])
    fine = torch.stack([gp.by_quadrature(x[i], known[i], target[i], points=64) for i in range(5)])
    torch.testing.assert_close(exact[:5], fine, atol=0.01, rtol=0)
    length, scale = gp.maxima(x[:, :5], known).exp()[..., None, None].unbind(1)
    mode = gp.normal_log_density(target, *gp.exact(x, known, lambda a, b: scale * gp.matern(a, b, length)))
    assert float(exact.mean()) > float(mode.mean())


@pytest.mark.parametrize("n", [2, 12])
def test_maxima_of_many_datasets_are_those_of_each(n: int) -> None:
    x, y = gp.mixture(4, n, torch.Generator().manual_seed(n))
    each = np.stack([gp.maximum(points, values) for points, values in zip(x, y, strict=True)])
    np.testing.assert_allclose(gp.maxima(x, y).numpy(), each, atol=1e-4)


# ---- training --------------------------------------------------------------------------------------------------------


def test_the_sampler_is_reproducible_and_standardised() -> None:
    h = run_of().h
    for prior in ("fixed", "mixture"):
        first, again = (training.draw(prior, 3000, h, torch.Generator().manual_seed(5)) for _ in range(2))
        torch.testing.assert_close(first[1], again[1])
        assert first[0].dtype == first[1].dtype == torch.float32
        assert float(first[1].std()) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("method", ["pfn", "gaussian", "positional"])
def test_training_goes_on_after_a_kill(method: str, tmp_path: Path) -> None:
    expected = experiments.fit_fixed_gp(run_of(method=method), None)
    broken = run_of(method=method)
    kill(lambda: experiments.fit_fixed_gp(broken, None), broken, tmp_path, after=3)
    again = run_of(method=method)
    again.checkpoint = Checkpoint(tmp_path, every_s=0)
    found = experiments.fit_fixed_gp(again, None)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
    scored = experiments.score_fixed_gp(run_of(method=method), found, None)
    assert scored["test/gap"] == pytest.approx(np.mean([scored[f"test/gap_{n}"] for n in (1, 3, 5)]))


def test_the_exact_process_itself_has_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The score with the exact density in the network's place: the gap is zero, with another length it is negative."""

    def exact(net: Any, head: str, borders: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        n = y.shape[1] - 1
        x, y = x.double(), y.double()
        mean, variance = gp.exact(x, y[:, :n], lambda a, b: gp.rbf(a, b, gp.LENGTH_SCALE))
        return gp.normal_log_density(y[:, n], mean, variance)

    artifact = experiments.fit_fixed_gp(run_of(steps=1), None)
    monkeypatch.setattr(training, "predictive", exact)
    honest = experiments.score_fixed_gp(run_of(tested=400), artifact, None)
    assert honest["test/largest_gap"] == pytest.approx(0, abs=1e-3)
    sabotaged = experiments.score_fixed_gp(run_of(tested=400, sabotage="other-length"), artifact, None)
    assert sabotaged["test/least_z"] < -3


def test_methods_answer_in_the_units_of_the_values() -> None:
    scores = {}
    for method in ("pfn", "map", "quadrature"):
        run = run_of("hyper-gp", method, d=1, tested=12)
        fit = experiments.fit_hyper_gp__pfn if method == "pfn" else experiments.fit_hyper_gp
        scores[method] = experiments.score_hyper_gp(run, fit(run, None), None)
        assert scores[method]["test/nll_small"] == pytest.approx(
            (scores[method]["test/nll_1"] + scores[method]["test/nll_3"]) / 2
        )
    assert scores["quadrature"]["test/nll_5"] < scores["pfn"]["test/nll_5"]


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_large_kernels_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gp.fixed(7, 6, 2, torch.Generator().manual_seed(0))

    def rbf(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return gp.rbf(a, b, 0.6)

    expected = gp.exact(whole[0], whole[1][:, :5], rbf)
    monkeypatch.setattr(gp, "at_once", lambda points: 3)
    parts = gp.fixed(7, 6, 2, torch.Generator().manual_seed(0))
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(gp.exact(parts[0], parts[1][:, :5], rbf), expected)


def test_parts_of_a_batch_have_sizes_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    experiments.fit_fixed_gp(run_of(steps=1), None)
    drawn, sizes = [], []
    original = training.draw, training.labelled
    monkeypatch.setattr(training, "draw", lambda *a, **k: drawn.append(a[1]) or original[0](*a, **k))
    monkeypatch.setattr(training, "labelled", lambda *a: sizes.append(original[1](*a)) or sizes[-1])
    experiments.fit_fixed_gp(run_of(parts=4, steps=5), None)
    assert drawn == [2] * 20, "borders are not drawn anew for the runs of a seed"
    assert len(sizes) == 20
    assert any(len(set(sizes[i : i + 4])) > 1 for i in range(0, 20, 4))


def test_nuts_answers_the_first_datasets_of_the_network() -> None:
    pytest.importorskip("pyro")
    small = {"d": 1, "tested": 5, "first": 2, "sizes": [1, 2], "small": 2, "warm_up": 4, "samples": 4}

    def scored(method: str, **hyper: Any) -> dict[str, float]:
        run = run_of("hyper-gp", method, **hyper)
        return experiments.score_hyper_gp(run, experiments.fit_hyper_gp(run, None), None)

    scores = {method: scored(method, **small) for method in ("map", "quadrature", "nuts")}
    assert scores["nuts"]["test/nll_first"] == pytest.approx(
        (scores["nuts"]["test/nll_1"] + scores["nuts"]["test/nll_2"]) / 2
    )
    few = scored("quadrature", **{**small, "first": 5})
    assert few["test/nll_first"] == pytest.approx(few["test/nll_small"])
    assert scores["quadrature"]["test/nll_first"] != pytest.approx(few["test/nll_first"])
    assert abs(scores["nuts"]["test/nll_first"] - scores["quadrature"]["test/nll_first"]) < 1


def test_too_small_a_prior_turns_the_headline(tmp_path: Path) -> None:
    """More datasets bring the network nearer, unless those of the large budgets come from another process."""
    from claimbench.records.collect import collect

    verdicts = {}
    for sabotage in ("none", "drifting-prior"):
        hyper = {
            "width": 24, "inner": 48, "layers": 2, "points": 16, "largest": 10, "sizes": [1, 5], "tested": 500,
            "border_datasets": 2000, "sabotage": sabotage,
        }  # fmt: skip
        values = {
            "tier": "laptop",
            "bundle_s": 1e6,
            "papers": ["pfn"],
            "experiments": {"pfn": ["fixed-gp"]},
            "seeds": 3,
            "results_dir": str(tmp_path / sabotage),
            "overrides": {"pfn": {"fixed-gp": {"hyper": hyper}}},
        }
        plan = make_plan(load_config(None, values))
        (job,) = plan.jobs.values()
        kept = [run for run in job.runs if run.cell.method == "pfn" and run.cell.setting["datasets"] < 30000]
        import dataclasses

        job = dataclasses.replace(job, runs=tuple(kept))
        plan.jobs[job.id] = job
        executor = runner.Runner(plan)
        executor.fit(job)
        executor.score(job)
        collect(plan, "pfn")
        verdicts[sabotage] = next(r["verdict"] for r in judge_paper(plan, "pfn") if r["claim_id"] == "C2")
    assert verdicts["none"] == "reproduced"
    assert verdicts["drifting-prior"] in ("contradicted", "inconclusive")
