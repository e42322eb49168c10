"""Priors of tables, networks and strokes against independent computations, measures and baselines, and C5's control."""

from __future__ import annotations

import functools
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from claimbench.data import Data
from claimbench.errors import Skipped
from claimbench.execute import local
from claimbench.judge.paper import judge_paper
from claimbench.papers.pfn import (
    baselines,
    bayesian_networks,
    datasets,
    experiments,
    few_shot,
    nuts,
    strokes,
    tables,
    tabular_priors,
    training,
)
from claimbench.papers.pfn import gaussian_process as gp
from claimbench.plan.plan import make_plan
from claimbench.records.collect import collect
from claimbench.run import Checkpoint, Run
from claimbench.spec.config import load_config
from tests.papers.killing import kill

HYPER: dict[str, Any] = {
    "width": 8, "layers": 2, "heads": 2, "inner": 16, "dropout": 0.0, "batch": 4, "parts": 1, "steps": 6, "learning_rate": 1e-2,
    "log_every": 2, "points": 12, "largest": 8, "d": 4, "tested": 20, "sabotage": "none", "bins": 10, "hidden": 3,
    "activation": "none", "revealed": 8, "asked": 10, "svi_steps": 10, "svi_samples": 5, "svi_rate": 1e-2,
    "warm_up": 4, "samples": 4, "depth": 3, "grid": "coarse", "folds": 2,
}  # fmt: skip
FEW: dict[str, Any] = {
    **HYPER,
    "classes": 3,
    "shots": 2,
    "queries": 2,
    "side": 4,
    "fine_steps": 6,
    "fine_batch": 2,
    "fine_rate": 1e-3,
}


def run_of(experiment: str, method: str, seed: int = 0, **hyper: Any) -> Run:
    return Run("pfn", experiment, method, "none", {}, seed, "smoke", {**HYPER, **hyper})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---- priors of tables ------------------------------------------------------------------------------------------------


def test_sizes_and_spreads_have_the_moments_of_their_distributions() -> None:
    from scipy.stats import beta, gamma

    for a, b, low, high in ((2.0, 4.0, 2, 150), (1.0, 1.6, 2, 60)):
        drawn = tabular_priors.scaled_beta(a, b, low, high, (50_000,), generator())
        assert (int(drawn.min()), int(drawn.max()) <= high) == (low, True)
        expected = low - 0.5 + (high - low + 1) * beta(a, b).mean()
        assert float(drawn.double().mean()) == pytest.approx(expected, rel=0.02)
    for shape, scale in (tabular_priors.WEIGHT_SPREAD, tabular_priors.NOISE_SPREAD):
        drawn = tabular_priors.gamma(shape, scale, (50_000,), generator())
        theirs = gamma(shape, scale=scale)
        assert float(drawn.mean()) == pytest.approx(theirs.mean(), rel=0.02)
        assert float(drawn.std()) == pytest.approx(theirs.std(), rel=0.03)
        again = tabular_priors.gamma(shape, scale, (50_000,), generator())
        assert torch.equal(drawn, again)


def test_tables_of_networks_are_balanced_standardised_and_padded() -> None:
    x, y = tabular_priors.networks(200, 50, 20, generator())
    begins = y[:, :1]
    assert 60 < float(begins.sum()) < 140, "either class begins"
    assert torch.equal(y[:, ::2], begins.expand(-1, 25))
    assert torch.equal(y[:, 1::2], 1 - begins.expand(-1, 25))
    used = (x != 0).any(1)
    assert int(used.sum(1).min()) >= 2
    assert bool((used[:, 1:] <= used[:, :-1]).all()), "zeros are behind the features"
    assert float(x.mean(1).abs().max()) < 1e-5
    np.testing.assert_allclose(x.std(1)[used].numpy(), 1, atol=1e-4)
    first, second = tabular_priors.networks(3, 50, 20, generator(1)), tabular_priors.networks(3, 50, 20, generator(2))
    assert not torch.equal(first[0], second[0])


def test_labels_of_a_network_can_be_learned_from_its_inputs() -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = tabular_priors.networks(40, 100, 6, generator())
    scores = [
        LogisticRegression().fit(a[:60], b[:60]).score(a[60:], b[60:])
        for a, b in zip(x.numpy(), y.numpy(), strict=True)
    ]
    assert np.mean(scores) > 0.6


def test_alternating_keeps_rows_and_labels_together() -> None:
    y = torch.tensor([[0.0, 0.0, 1.0, 1.0, 0.0, 1.0]])
    x = (10 * y + torch.arange(6))[..., None]
    for begins, expected in ((True, [1, 0, 1, 0, 1, 0]), (False, [0, 1, 0, 1, 0, 1])):
        moved, labels = tabular_priors.alternate(x, y, torch.tensor([begins]))
        assert labels.tolist() == [expected]
        assert torch.equal((moved[..., 0] >= 10).float(), labels)
        assert sorted(moved.flatten().tolist()) == sorted(x.flatten().tolist())


def test_tables_of_processes_are_smooth_and_rescaled() -> None:
    x, y = tabular_priors.processes(300, 40, 8, generator())
    np.testing.assert_allclose(y.mean(1).numpy(), 0.5)
    used = (x != 0).any(1).sum(1)
    assert set(used.tolist()) == set(range(1, 8))
    for i in range(5):
        spread = x[i].std(0)[: used[i]].numpy()
        np.testing.assert_allclose(spread, 8 / int(used[i]), rtol=1e-4)
    # the nearest row in one dimension mostly has the same label; with the released length scale it would be a coin
    alone = used == 1
    order = x[alone][..., 0].argsort(1)
    sorted_labels = y[alone].gather(1, order)
    assert float((sorted_labels[:, 1:] == sorted_labels[:, :-1]).float().mean()) > 0.8


def test_numbers_of_labelled_points() -> None:
    h = run_of("table-prior", "pfn-bnn").h
    uniform = [training.labelled("networks", h, generator(i)) for i in range(400)]
    assert set(uniform) == set(range(1, 9))
    weighted = [training.labelled("bayesian", h, generator(i)) for i in range(400)]
    assert np.mean(weighted) > np.mean(uniform)
    assert max(weighted) <= 8


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("method", ["pfn-bnn", "pfn-gp"])
def test_training_on_tables_goes_on_after_a_kill(method: str, dropout: float, tmp_path: Path) -> None:
    expected = experiments.fit_table_prior(run_of("table-prior", method, dropout=dropout), None)
    broken = run_of("table-prior", method, dropout=dropout)
    kill(lambda: experiments.fit_table_prior(broken, None), broken, tmp_path, after=3)
    again = run_of("table-prior", method, dropout=dropout)
    again.checkpoint = Checkpoint(tmp_path, every_s=0)
    found = experiments.fit_table_prior(again, None)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
    assert set(experiments.score_table_prior(run_of("table-prior", method), found, None)) == {"test/nll", "test/auc"}


# ---- tables ----------------------------------------------------------------------------------------------------------


def made_up(subsets: int = 3, seed: int = 0) -> Data:
    """Two tables, the second with a column less and one that is constant among the labelled rows."""
    rng = np.random.default_rng(seed)
    y = np.tile([0, 1], (2 * subsets, 20))
    x = rng.normal(size=(2 * subsets, 40, 5)).astype(np.float32) + 2 * y[..., None]
    x[subsets:, :, 4] = np.nan
    x[subsets:, :12, 0] = 3.0
    arrays = {"x": x, "y": y[:, :12], "table": np.repeat([0, 1], subsets), "test_y": y[:, 12:], "test_x": x[:, 12:]}
    return Data("binary-tables", arrays)


def test_tasks_are_standardised_with_their_labelled_rows() -> None:
    found = tables.tasks(made_up(), 4, np.random.default_rng(0))
    assert [task.table for task in found] == [0, 0, 0, 1, 1, 1]
    assert {task.x.shape for task in found} == {(12, 4)}
    for task in found:
        assert np.abs(task.x.mean(0)).max() < 1e-6
        spread = task.x.std(0, ddof=1)
        assert np.allclose(spread[spread > 0], 1, atol=1e-4)
        assert np.isfinite(task.query).all()
        if task.table == 1:
            assert not task.query[:, 0].any(), "a column without variation says nothing"
    # which columns a table loses does not depend on the subset
    wide = tables.tasks(made_up(), 3, np.random.default_rng(0))
    raw = made_up().arrays["x"][0, :, :]
    kept = [
        int(np.flatnonzero([np.allclose(_scaled(raw[:12, c]), column, atol=1e-4) for c in range(5)])[0])
        for column in wide[0].x.T
    ]
    second = made_up().arrays["x"][1]
    for column, place in zip(wide[1].x.T, kept, strict=True):
        np.testing.assert_allclose(column, _scaled(second[:12, place]), atol=1e-4)


def _scaled(column: np.ndarray) -> np.ndarray:
    return (column - column.mean()) / column.std(ddof=1)


def test_measures_are_scikit_learns() -> None:
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(0)
    y = rng.integers(2, size=200)
    p = rng.random(200)
    frequency, mean = calibration_curve(y, p, n_bins=10)
    counts = np.bincount(np.minimum((p * 10).astype(int), 9), minlength=10)
    expected = float(np.sum(np.abs(frequency - mean) * counts[counts > 0]) / 200)
    assert tables.calibration_error(p, y, 10) == pytest.approx(expected)
    assert [f for _, f in tables.reliability(p, y, 10)] == pytest.approx(list(frequency))
    assert tables.calibration_error(np.array([1.0, 0.0]), np.array([1, 0]), 100) == 0


def test_ranks_are_means_over_tables_with_shared_ties() -> None:
    found = tables.mean_ranks({"a": {0: 0.9, 1: 0.5}, "b": {0: 0.8, 1: 0.5}, "c": {0: 0.7, 1: 0.6}})
    assert found == {"a": pytest.approx((1 + 2.5) / 2), "b": pytest.approx((2 + 2.5) / 2), "c": pytest.approx(2)}


def test_grids_are_the_papers() -> None:
    sizes = {name: len(baselines.settings(grid)) for name, grid in baselines.FULL.items()}
    assert sizes == {"logreg": 13, "knn": 5, "gp": 24, "catboost": 81, "xgboost": 16}
    for name, grid in baselines.COARSE.items():
        for key, values in grid.items():
            assert key in baselines.FULL[name]
            assert values


def test_the_search_is_scikit_learns() -> None:
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.neighbors import KNeighborsClassifier

    (task, *_) = tables.tasks(made_up(), 5, np.random.default_rng(0))
    found = baselines.answer("knn", baselines.FULL["knn"], task.x, task.y, task.query, 3, 0)
    search = GridSearchCV(
        KNeighborsClassifier(),
        baselines.FULL["knn"],
        scoring="roc_auc",
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
    ).fit(task.x, task.y)
    np.testing.assert_allclose(found, search.predict_proba(task.query)[:, 1])


@pytest.mark.parametrize("method", ["logreg", "gp", "catboost", "xgboost"])
def test_baselines_learn_and_repeat(method: str) -> None:
    if method in ("catboost", "xgboost"):
        pytest.importorskip(method)
    data = made_up(1)
    first, again = (experiments.fit_tables(run_of("tables", method, d=5), data) for _ in range(2))
    np.testing.assert_array_equal(first["p"], again["p"])
    scored = experiments.score_tables(run_of("tables", method, d=5), first, data)
    assert scored["test/auc"] > 0.8
    assert scored["test/auc"] == pytest.approx((scored["test/auc_wine"] + scored["test/auc_vehicle"]) / 2)


@pytest.mark.parametrize("method", ["catboost", "xgboost"])
def test_a_missing_library_skips_its_runs(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, method, None)
    with pytest.raises(Skipped, match=f"{method} is not installed; pip install 'claimbench"):
        experiments.fit_tables(run_of("tables", method, d=5), made_up(1))


def test_no_answer_depends_on_labels_that_are_asked_for() -> None:
    data = made_up(1)
    other = Data(data.name, {**data.arrays, "test_y": 1 - data.arrays["test_y"]})
    net = experiments.fit_table_prior(run_of("table-prior", "pfn-bnn", d=5), None)
    answers = []
    for given in (data, other):
        run = run_of("tables", "pfn-bnn", d=5)
        run.inputs = {"net": net}
        answers.append(experiments.fit_tables__pfn_bnn(run, given)["p"])
    np.testing.assert_array_equal(*answers)
    sabotaged = run_of("tables", "pfn-bnn", d=5, sabotage="shuffled-labels")
    sabotaged.inputs = {"net": net}
    assert not np.array_equal(experiments.fit_tables__pfn_bnn(sabotaged, data)["p"], answers[0])


def test_labels_out_of_order_turn_the_tabular_headline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that was trained for seconds keeps up with XGBoost on one easy table, but not on shuffled labels."""
    pytest.importorskip("xgboost")
    pytest.importorskip("catboost")
    small = {"width": 24, "inner": 48, "layers": 2, "d": 10, "points": 50, "largest": 40}
    trained, train = {}, training.train

    def once(run: Run, prior: str, head: str) -> dict[str, Any]:
        """The network of seed 0 answers for all seeds; the others' would be trained in vain."""
        if prior not in trained:
            trained[prior] = train(run, prior, head)
        return dict(trained[prior])

    monkeypatch.setattr(training, "train", once)
    verdicts = {}
    for sabotage in ("none", "shuffled-labels"):
        overrides = {
            "hyper": {"sabotage": sabotage},
            "table-prior": {"hyper": {**small, "steps": 300, "batch": 8, "learning_rate": 3e-3}},
            "tables": {"hyper": small},
        }
        values = {
            "tier": "smoke",
            "papers": ["pfn"],
            "experiments": {"pfn": ["table-prior", "tables", "ranks"]},
            "seeds": 6,
            "results_dir": str(tmp_path / sabotage),
            "data_dir": str(tmp_path / "data"),
            "overrides": {"pfn": overrides},
        }
        plan = make_plan(load_config(None, values))
        rows = local.fit_and_score(plan, "pfn", "ranks")
        assert {row["status"] for row in rows} == {"done"}, rows
        local.fit_and_score(plan, "pfn", "tables")
        collect(plan, "pfn")
        verdicts[sabotage] = {row["claim_id"]: row for row in judge_paper(plan, "pfn")}
    assert verdicts["none"]["C5"]["verdict"] != "contradicted"
    assert verdicts["shuffled-labels"]["C5"]["verdict"] == "contradicted"
    assert verdicts["shuffled-labels"]["C5"]["diff"] < verdicts["none"]["C5"]["diff"] - 1
    assert verdicts["shuffled-labels"]["C5b"]["verdict"] == "contradicted"


# ---- Bayesian inference ----------------------------------------------------------------------------------------------


def test_a_bayesian_network_is_two_linear_layers() -> None:
    weights = {
        name: torch.randn(shape, generator=generator(i))
        for i, (name, shape) in enumerate(bayesian_networks.shapes(3, 5).items())
    }
    first, second = torch.nn.Linear(3, 5), torch.nn.Linear(5, 2)
    with torch.no_grad():
        for layer, w, b in ((first, "w1", "b1"), (second, "w2", "b2")):
            layer.weight.copy_(weights[w].T)
            layer.bias.copy_(weights[b][0])
        x = torch.randn(7, 3, generator=generator(9))
        torch.testing.assert_close(bayesian_networks.logits(weights, x, "none"), second(first(x)))
        torch.testing.assert_close(bayesian_networks.logits(weights, x, "tanh"), second(first(x).tanh()))
    x, y = bayesian_networks.draw(4000, 2, 3, 5, "none", generator())
    assert float(y.mean()) == pytest.approx(0.5, abs=0.02)
    assert float((y[:, 0] == y[:, 1]).double().mean()) > 0.52, "labels of one network go together"
    assert float(x.std()) == pytest.approx(1, abs=0.02)


def by_importance(x: torch.Tensor, y: torch.Tensor, query: torch.Tensor, hidden: int) -> torch.Tensor:
    """Exact predictive probability by weighting draws of the prior with their likelihood."""
    many = 200_000
    weights = {
        name: torch.randn(many, *shape, generator=generator(5))
        for name, shape in bayesian_networks.shapes(x.shape[1], hidden).items()
    }
    p = bayesian_networks.logits(weights, x, "none").softmax(-1)[..., 1]
    likelihood = torch.where(y == 1, p, 1 - p).log().sum(-1).softmax(0)
    return likelihood @ bayesian_networks.logits(weights, query, "none").softmax(-1)[..., 1]


def test_the_program_has_the_density_of_prior_times_likelihood() -> None:
    pytest.importorskip("pyro")
    from pyro import poutine
    from scipy.stats import norm

    weights = {
        name: torch.randn(shape, generator=generator(i))
        for i, (name, shape) in enumerate(bayesian_networks.shapes(3, 5).items())
    }
    x, y = bayesian_networks.draw(1, 9, 3, 5, "tanh", generator(7))
    program = bayesian_networks.model(3, 5, "tanh")
    traced = poutine.trace(poutine.condition(program, data=weights)).get_trace(x[0], y[0].long())
    p = bayesian_networks.predict(weights, x[0], "tanh")
    likelihood = float(torch.where(y[0] == 1, p, 1 - p).log().sum())
    prior = sum(float(norm.logpdf(value.numpy()).sum()) for value in weights.values())
    assert float(traced.log_prob_sum()) == pytest.approx(likelihood + prior, rel=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_nuts_and_svi_find_the_posterior_of_a_small_network() -> None:
    pytest.importorskip("pyro")
    x, y = bayesian_networks.draw(1, 8, 1, 2, "none", generator(2))
    query = torch.linspace(-2, 2, 5)[:, None]
    exact = by_importance(x[0], y[0], query, 2)
    program = bayesian_networks.model(1, 2, "none")
    with run_of("bayesian-networks", "nuts").torch_stream("inference"):
        by_nuts = bayesian_networks.by_nuts(program, x[0], y[0].long(), 40, 100, 5)
        by_svi = bayesian_networks.by_backprop(program, x[0], y[0].long(), 300, 200, 3e-2)
    for weights in (by_nuts, by_svi):
        # few, dependent samples of a posterior with several modes
        p = bayesian_networks.predict(weights, query, "none").mean(0)
        assert float(torch.corrcoef(torch.stack([p, exact]))[0, 1]) > 0.95
        np.testing.assert_allclose(p, exact, atol=0.2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_nuts_agrees_with_quadrature() -> None:
    pytest.importorskip("pyro")
    x, y = gp.mixture(1, 5, generator(4))
    found = nuts.answer(run_of("hyper-gp", "nuts", warm_up=30, samples=80), x, y)
    for log_p, points, values in zip(found, x, y, strict=True):
        exact = gp.by_quadrature(points, values[:4], values[4])
        assert float(log_p) == pytest.approx(float(exact), abs=0.25)


def test_moments_of_the_mixture_integrate_its_density() -> None:
    x, y = gp.mixture(1, 5, generator(6))
    mean, deviation = gp.moments(x[0, :4], y[0, :4], x[0, 4:])
    grid = torch.linspace(
        float(mean[0] - 12 * deviation[0]), float(mean[0] + 12 * deviation[0]), 4001, dtype=torch.float64
    )
    logs, weight = gp.posterior_grid(x[0, :4], y[0, :4], 32)
    means, variances = gp.answers(logs, x[0], y[0, :4])
    density = (weight + gp.normal_log_density(grid[:, None], means, variances)).exp().sum(1)
    step = float(grid[1] - grid[0])
    assert float(density.sum()) * step == pytest.approx(1, abs=0.01)
    middle = float(gp.by_quadrature(x[0], y[0, :4], grid[2000]).exp())
    assert middle == pytest.approx(float(density[2000]), rel=1e-6)
    assert float((density * grid).sum()) * step == pytest.approx(float(mean[0]), abs=0.05 * float(deviation[0]))


def test_missing_pyro_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "pyro"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyro", None)
    with pytest.raises(Skipped, match="pyro is not installed"):
        experiments.fit_bayesian_networks(run_of("bayesian-networks", "svi"), None)
    x, y = gp.mixture(1, 3, generator())
    with pytest.raises(Skipped, match="pyro is not installed"):
        nuts.sample(x[0], y[0], 1, 1)


def test_losses_of_sampled_labels_are_those_of_the_released_code() -> None:
    """Few sampled labels agree on a wrong one now and then; a logarithm is at least -100 there."""
    run = run_of("bayesian-networks", "nuts", tested=1, asked=4, revealed=8)
    _, y, n = experiments._bayesian(run)
    wrong = 1 - y[:, n:].double()
    scored = experiments.score_bayesian_networks(run, {"p": wrong[:, None].numpy(), "seconds": 1.0}, None)
    assert scored["test/nll_sampled"] == pytest.approx(100)
    even = np.full((1, 3, 4), 0.5)
    assert experiments.score_bayesian_networks(run, {"p": even, "seconds": 1.0}, None)["test/nll"] == pytest.approx(
        math.log(2)
    )


def test_only_the_network_sees_standardised_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[torch.Tensor]] = {"svi": [], "pfn": []}
    x, _, n = experiments._bayesian(run_of("bayesian-networks", "svi", d=3))
    from claimbench.papers.pfn import training

    def by_backprop(program: Any, known: torch.Tensor, *_: Any) -> Any:
        seen["svi"].append(known)
        return {k: torch.zeros(1, *shape) for k, shape in bayesian_networks.shapes(3, 4).items()}

    def probabilities(net: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        seen["pfn"].append(x)
        return torch.full((len(x), x.shape[1] - y.shape[1]), 0.5)

    monkeypatch.setattr(bayesian_networks, "by_backprop", by_backprop)
    monkeypatch.setattr(training, "probabilities", probabilities)
    experiments.fit_bayesian_networks(run_of("bayesian-networks", "svi", d=3), None)
    experiments.fit_bayesian_networks__pfn(run_of("bayesian-networks", "pfn", d=3), None)
    assert torch.equal(torch.stack(seen["svi"]), x[:, :n])
    revealed = seen["pfn"][-1][:, :n]
    torch.testing.assert_close(revealed.mean(1), torch.zeros(len(x), 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(revealed.std(1), torch.ones(len(x), 3))


def test_the_network_answers_bayesian_datasets() -> None:
    run = run_of("bayesian-networks", "pfn", d=3)
    artifact = {name: np.asarray(value) for name, value in experiments.fit_bayesian_networks__pfn(run, None).items()}
    scored = experiments.score_bayesian_networks(run_of("bayesian-networks", "pfn", d=3), artifact, None)
    assert scored["test/nll"] == scored["test/nll_sampled"] < 5


# ---- few-shot --------------------------------------------------------------------------------------------------------


def test_strokes_stay_inside_and_have_their_lengths() -> None:
    ends, present = strokes.segments(2000, generator())
    assert set(present.sum(1).tolist()) == {1, 2, 3}
    assert bool(present[:, 0].all())
    assert float(ends.min()) >= 0
    assert float(ends.max()) <= strokes.SIDE - 1
    lengths = (ends[:, :, 1] - ends[:, :, 0]).norm(dim=-1)
    assert float(lengths.min()) >= strokes.LENGTH[0] - 1e-4
    assert float(lengths.max()) <= strokes.LENGTH[1] + 1e-4
    assert float(ends[:, :, 0].min()) >= strokes.START[0]


def test_a_stroke_is_drawn_where_it_is() -> None:
    """A vertical stroke, no jitter left by averaging many drawings: ink around its line, none far away."""
    ends = torch.tensor([[[[8.0, 14.0], [20.0, 14.0]]] * 3]).expand(400, -1, -1, -1)
    images = strokes.render(ends, torch.tensor([[True, False, False]]).expand(400, -1), generator())
    assert 0 <= float(images.min()) <= float(images.max()) <= 1
    mean = images.mean(0)
    assert float(mean[8:21, 11:18].mean()) > 5 * float(mean[:, :5].mean() + 1e-3)
    rows, columns = (mean.sum(1), mean.sum(0))
    axis = torch.arange(28.0)
    assert float((axis * rows).sum() / rows.sum()) == pytest.approx(14, abs=0.4)
    assert float((axis * columns).sum() / columns.sum()) == pytest.approx(14, abs=0.4)


def test_blurring_keeps_the_ink() -> None:
    image = torch.zeros(1, 9, 9)
    image[0, 4, 4] = 1
    found = strokes.blurred(image)
    assert float(found.sum()) == pytest.approx(1, abs=1e-5)
    assert float(found[0, 4, 4]) == pytest.approx(math.erf(0.5 / (0.2 * math.sqrt(2))) ** 2, abs=1e-5)


def test_tasks_of_strokes_label_what_they_show() -> None:
    x, y = strokes.draw(60, 5, 5, 5, generator())
    assert x.shape == (60, 30, 28, 28)
    assert y[:, :25].tolist() == [[0, 1, 2, 3, 4] * 5] * 60
    small = few_shot.shrunk(x, 7)
    nearest = torch.cdist(small[:, 25:], small[:, :25]).argmin(-1)
    assert float((y.gather(1, nearest) == y[:, 25:]).double().mean()) > 0.35, "well above a fifth"


def test_test_tasks_show_no_drawing_twice_and_stay_in_an_alphabet() -> None:
    y = np.repeat(np.concatenate([100 + np.arange(6), 200 + np.arange(7)]), 8)
    rows, labels = datasets.drawn(y, 30, 5, 3, 2, np.random.default_rng(0))
    for chosen, label in zip(rows, labels, strict=True):
        assert len(set(chosen)) == 25
        assert len(set(y[chosen] // 100)) == 1
        assert [len(set(y[chosen[label == k]])) for k in range(5)] == [1] * 5
        assert set(y[chosen] % 100) == {0, 1, 2, 3, 4}, "the first characters of an alphabet"
        assert set(chosen[:15] % 8) == {0, 1, 2}, "their first drawings are shown"
        assert min(chosen[15:] % 8) >= 3
        assert np.bincount(label[:15]).tolist() == [3] * 5

    assert len({tuple(y[chosen[:5]] % 100) for chosen in rows}) > 10, "a character has any class"


def test_tasks_of_alphabets_name_characters_anew() -> None:
    y = torch.arange(6).repeat_interleave(8) + 100
    images = torch.zeros(48, 28, 28)
    images[:, 10, 12] = 1 + y - 100  # a pixel that tells the character
    x, labels = few_shot.alphabet_tasks(images, y, 60, 5, 3, 4, generator())
    assert x.shape == (60, 19, 28, 28)
    told = (x.flatten(2).max(2).values - 1).long()
    names = []
    for characters, label in zip(told, labels, strict=True):
        assert set(characters.tolist()) <= {0, 1, 2, 3, 4}
        of = dict(zip(label.tolist(), characters.tolist(), strict=True))
        assert all(of[int(k)] == int(c) for k, c in zip(label, characters, strict=True))
        names.append(tuple(of[k] for k in range(5)))
    assert len(set(names)) > 20


def test_shifted_drawings_keep_their_ink() -> None:
    images = torch.zeros(500, 9, 9)
    images[:, 2:5, 3] = torch.tensor([1.0, 2.0, 3.0])
    moved = few_shot.shifted(images, generator())
    assert torch.equal(moved.sum((1, 2)), images.sum((1, 2)))
    corners = set()
    for image in moved:
        row, column = (int(part[0]) for part in image.nonzero(as_tuple=True))
        assert image[row : row + 3, column].tolist() == [1, 2, 3]
        corners.add((row, column))
    assert {row for row, _ in corners} == set(range(7))
    assert {column for _, column in corners} == set(range(9))
    whole = torch.ones(3, 4, 4)
    assert torch.equal(few_shot.shifted(whole, generator()), whole)


def test_fitting_strokes_and_fine_tuning_go_on_after_a_kill(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.random((60, 14, 14)) < 0.2).astype(np.uint8), np.repeat(np.arange(6), 10)
    net = experiments.fit_stroke_prior(run_of("stroke-prior", "pfn", **FEW), None)

    def tuned(run: Run) -> dict[str, Any]:
        return few_shot.fine_tune(run, net, x, y)

    for name, fit in (
        ("strokes", lambda run: experiments.fit_stroke_prior(run, None)),
        ("alphabets", tuned),
    ):
        expected = fit(run_of("few-shot", "pfn", **FEW))
        broken = run_of("few-shot", "pfn", **FEW)
        kill(functools.partial(fit, broken), broken, tmp_path / name, after=3)
        again = run_of("few-shot", "pfn", **FEW)
        again.checkpoint = Checkpoint(tmp_path / name, every_s=0)
        found = fit(again)
        for key, value in expected.items():
            np.testing.assert_array_equal(found[key], value)
    moved = [key for key in net if not np.array_equal(net[key], found[key])]
    assert moved, "fine-tuning changes the network"


def character_tasks(x: np.ndarray, y: np.ndarray, **parameters: int) -> tuple[Data, Data]:
    """What fit and score are given of drawings whose every second one is tested."""
    fit, score = datasets.CharacterTasks(classes=3, shots=2, asked=2, **parameters).cut({"y": y}, 0)
    fitted = {"x": x[fit.pop("rows")], "test_x": x[fit.pop("test_rows")], **fit}
    return Data("made-up", fitted), Data("made-up", fitted | score)


def test_few_shot_methods_on_drawings_that_tell_themselves_apart() -> None:
    rng = np.random.default_rng(1)
    prototypes = rng.random((6, 14, 14)) < 0.3
    y = np.repeat(np.arange(6), 10)
    x = (prototypes[y] ^ (rng.random((60, 14, 14)) < 0.02)).astype(np.uint8)
    fitted, scored = character_tasks(x, y, tasks=20)
    assert set(fitted.arrays) == {"x", "y", "test_x", "places", "shown"}
    for method in ("nearest", "logreg"):
        run = run_of("few-shot", method, **{**FEW, "side": 7})
        artifact = getattr(experiments, f"fit_few_shot__{method}")(run, fitted)
        assert artifact["classes"].shape == (20, 6)
        assert experiments.score_few_shot(run, artifact, scored)["test/accuracy"] > 0.95
    answers = []
    for fine_steps in (0, 6):
        run = run_of("few-shot", "pfn", **{**FEW, "fine_steps": fine_steps, "fine_rate": 0.1})
        run.inputs = {"net": experiments.fit_stroke_prior(run, None)}
        artifact = experiments.fit_few_shot__pfn(run, fitted)
        assert 0 <= experiments.score_few_shot(run, artifact, scored)["test/accuracy"] <= 1
        answers.append(artifact["classes"])
    assert not np.array_equal(*answers), "fine-tuning changes the network"


def test_tasks_show_test_drawings_alone() -> None:
    y = np.repeat(np.concatenate([100 + np.arange(4), 200 + np.arange(4)]), 8)
    for official in ({}, {"public_test": np.arange(32, 64)}):
        split = datasets.CharacterTasks(tasks=9, classes=3, shots=2, asked=1)
        fit, score = split.cut({"y": y, **official}, 1)
        assert not set(fit["rows"]) & set(fit["test_rows"])
        assert set(fit["test_rows"]) <= set(official.get("public_test", range(1, 64, 2)))
        assert np.array_equal(fit["y"], y[fit["rows"]])
        for places, shown, asked in zip(fit["places"], fit["shown"], score["test_y"], strict=True):
            of = y[fit["test_rows"][places]]
            assert len({(int(character), int(k)) for character, k in zip(of, [*shown, *asked], strict=True)}) == 3
