"""Bases against libraries, stacks against single networks, selection, convolutions against unfolding, the verdicts' teeth."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from claimbench.execute import runner
from claimbench.judge.paper import judge_paper
from claimbench.papers.s_kan import authors, bases, convolution, experiments, networks, tasks, training
from claimbench.plan.plan import make_plan
from claimbench.run import Checkpoint, Run
from claimbench.spec.config import load_config
from tests.papers.killing import kill

HYPER = {
    "samples": 60, "hidden": 3, "hidden_deep": 4, "steps": 10, "learning_rate": 1e-2, "log_every": 2, "sabotage": "none",
}  # fmt: skip


IMAGES = {
    "channels": [2, 4], "images": 1000, "tested": 1000, "shrink": 1, "epochs": 2, "batch": 20, "learning_rate": 1e-2,
    "scored": 20, "log_every": 5,
}  # fmt: skip


def fit_function(run: Run) -> dict[str, Any]:
    return experiments.fit_many_functions([run], [None])[0]


def function_run(method: str = "s-kan", task: str = "product", seed: int = 0, **hyper: Any) -> Run:
    return Run("s-kan", "functions", method, "none", {"task": task}, seed, "smoke", {**HYPER, **hyper})


# ---- bases -----------------------------------------------------------------------------------------------------------


def test_splines_are_scipys() -> None:
    from scipy.interpolate import BSpline

    x = torch.linspace(-2.5, 2.5, 301, dtype=torch.float64)
    knots = -1 + 0.4 * np.arange(-3, 9)
    found = bases.bspline(x)[0].T.numpy()
    for k in range(8):
        expected = BSpline.basis_element(knots[k : k + 5], extrapolate=False)(x.numpy())
        np.testing.assert_allclose(found[:, k], np.nan_to_num(expected), atol=1e-12)
    inside = x.abs() <= 1
    np.testing.assert_allclose(found[inside].sum(1), 1, atol=1e-12)


def test_polynomials_and_waves() -> None:
    from scipy.special import eval_chebyt

    x = torch.linspace(-1, 1, 41, dtype=torch.float64)
    for k in range(8):
        np.testing.assert_allclose(bases.chebyshev(x)[0][k], eval_chebyt(k, x.numpy()), atol=1e-10)
    torch.testing.assert_close(bases.chebyshev(x + 5)[0][3], torch.ones_like(x), msg="clamped")
    for k in range(1, 5):
        torch.testing.assert_close(bases.fourier(x)[0][k - 1], torch.sin(k * torch.pi * x))
        torch.testing.assert_close(bases.fourier(x)[0][k + 3], torch.cos(k * torch.pi * x))


def test_bumps() -> None:
    centres = torch.linspace(-1, 1, 8, dtype=torch.float64)
    torch.testing.assert_close(torch.diagonal(bases.rbf(centres)[0]), torch.ones(8, dtype=torch.float64))
    peak = -2 / (3**0.5 * np.pi**0.25)
    torch.testing.assert_close(torch.diagonal(bases.wavelet(centres)[0]), torch.full((8,), peak, dtype=torch.float64))
    grid = torch.linspace(-40, 40, 200_001, dtype=torch.float64)
    assert float(bases.wavelet(grid)[0].sum(1).abs().max()) * 4e-4 < 1e-8, "a wavelet has no mean"


def test_all_families_have_one_size() -> None:
    x = torch.rand(3, 4) * 4 - 2
    found = bases.evaluate(bases.FAMILIES, x)
    assert found.shape == (3, 5, 8, 4)
    assert bool(found.isfinite().all())


def test_slopes_are_those_of_the_values() -> None:
    """Also where the functions are clamped or have faded, and where nodes are left with different families."""
    x = (torch.rand(4, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 5 - 2.5).requires_grad_()
    for family in bases.FAMILIES:
        assert torch.autograd.gradcheck(functools.partial(bases.evaluate, (family,)), x)
    kept = torch.tensor([[True, False, True, False, False], [False, True, False, False, True]] * 2)
    assert torch.autograd.gradcheck(functools.partial(bases.evaluate_kept, bases.FAMILIES, kept), x)


# ---- networks --------------------------------------------------------------------------------------------------------


def by_hand(layer: networks.Layer, index: int, x: torch.Tensor) -> torch.Tensor:
    out = layer.bias[index].expand(len(x), -1).clone()
    shares = layer.shares()[index]
    for i, (p, family) in itertools.product(range(x.shape[1]), enumerate(layer.families)):
        basis = bases.evaluate((family,), x[:, i])[0].T
        out = out + shares[i, p] * basis @ layer.coefficients[index, i, p]
    return out + F.silu(x) @ layer.base[index]


@pytest.mark.parametrize("count", [5, 2, 1])
def test_a_layer_is_its_definition(count: int) -> None:
    generators = [torch.Generator().manual_seed(s) for s in (0, 1)]
    layer = networks.Layer(3, 4, bases.FAMILIES, generators)
    with torch.no_grad():
        layer.logits += torch.randn(layer.logits.shape, generator=generators[0])
        layer.bias += 0.3
    x = torch.rand(2, 3, 7, generator=generators[0]) * 2 - 1
    layer.keep(x, count)
    for index in range(2):
        torch.testing.assert_close(layer(x)[index].T, by_hand(layer, index, x[index].T), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer(x, layer.basis(x)), layer(x))


def test_pruning_leaves_one_family_a_node_with_its_function() -> None:
    generators = [torch.Generator().manual_seed(s) for s in (0, 1)]
    net = networks.KAN([2, 3, 1], bases.FAMILIES, generators)
    x = torch.rand(2, 50, 2, generator=generators[0]) * 2 - 1
    points = x.transpose(1, 2).contiguous()
    scores = [layer.scores(points if i == 0 else net.layers[0](points)) for i, layer in enumerate(net.layers)]
    kept_before = [by.topk(2, -1).indices for by in scores]
    net.keep(x, 2)
    for layer, best in zip(net.layers, kept_before, strict=True):
        assert bool((layer.kept.sum(-1) == 2).all())
        assert bool(layer.kept.gather(-1, best).all())
    shares = [layer.shares() for layer in net.layers]
    coefficients = [layer.coefficients.detach().clone() for layer in net.layers]
    net.keep(x, 1)
    for layer, share, before, chosen in zip(net.layers, shares, coefficients, net.chosen(), strict=True):
        assert bool((layer.kept.sum(-1) == 1).all())
        torch.testing.assert_close(layer.shares().gather(-1, chosen[..., None]), torch.ones(*chosen.shape, 1))
        # what the node's remaining family gave before the cut it still gives
        now = layer.coefficients.gather(2, chosen[..., None, None, None].expand(-1, -1, 1, *before.shape[3:]))
        was = (share[..., None, None] * before).gather(
            2, chosen[..., None, None, None].expand(-1, -1, 1, *before.shape[3:])
        )
        torch.testing.assert_close(now, was)
    assert net.parameters_kept() == 2 * 3 * 9 + 3 + 3 * 9 + 1


def test_networks_of_a_stack_are_independent() -> None:
    """Tasks of one dimension and all seeds together give what each gives alone."""
    for method in ("s-kan", "rbf", "mlp-tanh"):
        runs = [function_run(method, task, seed) for task in ("product", "deep", "kinks") for seed in (0, 1)]
        together = experiments.fit_many_functions(runs, [None] * len(runs))
        for index in (1, 2, 5):
            alone = function_run(method, runs[index].setting["task"], runs[index].seed)
            found = fit_function(alone)
            torch.testing.assert_close(together[index]["predicted"], found["predicted"], rtol=1e-3, atol=1e-4)
            assert runs[index].counts == alone.counts


def test_mlps_have_the_parameters_of_the_pruned_network() -> None:
    for task in ("bessel", "product", "deep"):
        kan, mlp = (experiments.build([function_run(m, task, hidden=5, hidden_deep=8)]) for m in ("rbf", "mlp-relu"))
        assert abs(mlp.parameters_kept() / kan.parameters_kept() - 1) < 0.05
        assert mlp.parameters_kept() == sum(p[0].numel() for p in mlp.parameters())


def test_a_killed_selection_goes_on(tmp_path: Path) -> None:
    expected = fit_function(whole := function_run(steps=20))
    for stop in (3, 6, 15):  # one in each phase
        folder = tmp_path / str(stop)
        broken = function_run(steps=20)
        kill(functools.partial(fit_function, broken), broken, folder, stop)
        again = function_run(steps=20)
        again.checkpoint = Checkpoint(folder, every_s=0)
        found = fit_function(again)
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=0, atol=0)
        assert again.curves == whole.curves


def test_phases_are_of_the_right_length() -> None:
    assert sum(share for share, _ in training.PHASES) == pytest.approx(1)
    for steps_ in (50, 52):  # every step is taken, whatever the shares round to
        run = function_run(steps=steps_, log_every=1)
        fit_function(run)
        assert [step for step, _ in run.curves["train/rmse"]] == list(range(1, steps_ + 1))


# ---- tasks and scores ------------------------------------------------------------------------------------------------


def test_the_seven_functions() -> None:
    x = torch.tensor([[0.3, -0.5, 0.2, 0.9]])
    values = {name: float(function(x[:, :d])) for name, (d, function) in tasks.TASKS.items()}
    assert values == pytest.approx(
        {
            "bessel": 0.150645257,
            "composition": np.exp(np.sin(np.pi * 0.3) + 0.25),
            "product": -0.15,
            "deep": np.exp((np.sin(np.pi * 0.34) + np.sin(np.pi * 0.85)) / 2),
            "jumps": 1.0,
            "kinks": 0.05,
            "frequencies": sum(np.sin(2 * np.pi * k * 0.3) / k for k in (1, 3, 7, 12)),
        },
        abs=1e-5,
    )
    x, y = tasks.sample("deep", 500, torch.Generator().manual_seed(0))
    assert x.shape == (500, 4)
    assert y.shape == (500, 1)
    assert -1 <= float(x.min()) < -0.95 < 0.95 < float(x.max()) <= 1


def test_ranks_and_regrets() -> None:
    names = (*experiments.FAMILIES, "s-kan", *experiments.MLPS)
    errors = dict(zip(names, (0.1, 0.01, 1.0, 0.5, 0.2, 0.05, 0.001, 2.0, 3.0, 4.0), strict=True))

    def run(method: str) -> dict[str, float]:
        own = Run("s-kan", "ranking", method, "none", {"task": "product"}, 0, "smoke", {"samples": 50})
        y = experiments._sample(own, "test")[1].numpy()
        own.inputs = {name: {"predicted": y + value} for name, value in errors.items()}
        return experiments.score_ranking(own, {}, None)

    assert run("s-kan") == pytest.approx(
        {
            "test/log10_rmse": np.log10(0.05),
            "test/regret": np.log10(5),
            "test/lead": np.log10(50),
            "test/lead_mlp": np.log10(50),
            "test/rank": 2.0,
        },
        abs=1e-4,
    )
    errors["s-kan"] = 1e-4
    assert run("s-kan")["test/lead"] == pytest.approx(-1, abs=1e-4)
    errors["s-kan"] = 0.05
    assert run("best-mlp")["test/log10_rmse"] == pytest.approx(-3, abs=1e-4)
    assert run("best-baseline")["test/log10_rmse"] == pytest.approx(-3, abs=1e-4)
    assert run("fourier")["test/regret"] == pytest.approx(0, abs=1e-4)
    assert run("chebyshev")["test/rank"] == 6.0


def test_families_have_one_order() -> None:
    assert experiments.FAMILIES == bases.FAMILIES


def test_functions_are_fitted_on_the_device_of_the_run() -> None:
    """The stack is moved before it is trained; on ``meta`` nothing can be computed, and the move is seen to fail."""
    run = function_run()
    run.device = "meta"
    with pytest.raises((NotImplementedError, RuntimeError)):
        fit_function(run)


def test_nodes_can_find_a_family() -> None:
    hyper = {**HYPER, "nodes": 3, "samples": 400, "steps": 150}
    run = Run("s-kan", "selection", "s-kan", "none", {"made_by": "fourier"}, 0, "smoke", hyper)
    found = experiments.score_selection(run, {"chosen": experiments.fit_selection(run, None)["chosen"].numpy()}, None)
    assert found["test/right"] == 1.0


# ---- the authors' layers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", authors.LAYERS)
@pytest.mark.parametrize("shape", [(7, 11), (3, 2)])
def test_parameters_of_the_authors_layers(name: str, shape: tuple[int, int]) -> None:
    make, formula = authors.LAYERS[name]
    layer = make(*shape)
    assert sum(p.numel() for p in layer.parameters()) == formula(*shape)
    assert layer(torch.rand(5, shape[0]) * 2 - 1).shape == (5, shape[1])


def test_grams_recurrence() -> None:
    z = torch.linspace(-1, 1, 5, dtype=torch.float64)
    found = authors.gram(z, torch.tensor([0.0, 0.1, 0.01, 0.0], dtype=torch.float64))
    second = z * z - 3 * 1 * 1 * 3 / 4 * 0.1
    torch.testing.assert_close(found[:, 2], second)
    torch.testing.assert_close(found[:, 3], z * second - 5 * 1 * 4 * 15 / 9 * 0.01 * z)


def test_jacobi_polynomials_are_scipys() -> None:
    from scipy.special import eval_jacobi

    z = torch.linspace(-1, 1, 21, dtype=torch.float64)
    for k in range(5):
        np.testing.assert_allclose(authors.jacobi(z, 4)[:, k], eval_jacobi(k, 1, 1, z.numpy()), atol=1e-10)


# ---- convolutions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pruned", [False, True])
def test_basis_then_convolution_is_unfolding_then_a_layer(pruned: bool) -> None:
    """Every patch as a row of a KAN layer; padding adds no basis functions, so only the inside is compared."""
    torch.manual_seed(0)
    conv = convolution.ConvLayer(2, 3, 3, ("rbf", "chebyshev"))
    with torch.no_grad():
        conv.logits += torch.randn(conv.logits.shape)
    x = torch.rand(2, 2, 6, 6) * 2 - 1
    found = conv(x)[:, :, 1:-1, 1:-1]
    rows = F.unfold(x, 3).transpose(1, 2).reshape(-1, 18)  # channel first, then the nine taps
    layer = networks.Layer(18, 3, ("rbf", "chebyshev"), [torch.Generator()])
    with torch.no_grad():
        weights = conv.coefficients.permute(1, 4, 5, 2, 3, 0).reshape(18, 2, 8, 3)
        layer.coefficients.copy_(weights[None])
        layer.base.copy_(conv.base.weight.permute(1, 2, 3, 0).reshape(1, 18, 3))
        layer.bias.copy_(conv.base.bias[None, None])  # type: ignore[index]
        layer.logits.copy_(conv.logits.repeat_interleave(9, 0)[None])
        if pruned:
            conv.kept = torch.tensor([[True, False], [False, True]])
            layer.kept = conv.kept.repeat_interleave(9, 0)[None]
            found = conv(x)[:, :, 1:-1, 1:-1]
    expected = layer(rows.T[None].contiguous())[0].view(3, 2, 4, 4).transpose(0, 1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_parameters_of_the_classifiers() -> None:
    for method in ("bspline", "s-kan"):
        net = convolution.Classifier(method, (1, 8, 16), 8, 10)
        assert net.parameters_kept() == (9 * 9 * 8 + 8) + (9 * 8 * 9 * 16 + 16) + (16 * 16 * 10 + 10)
    for shape, side in (((1, 8, 16), 8), ((3, 8, 16), 16), ((3, 4, 8, 16, 64), 32), ((1, 32, 64, 128, 512), 28)):
        target = convolution.Classifier("rbf", shape, side, 10).parameters_kept()
        channels = convolution.plain_channels(target, shape, side, 10)
        plain = convolution.Classifier("cnn", channels, side, 10)
        assert abs(plain.parameters_kept() / target - 1) < 0.02
        assert plain(torch.zeros(1, shape[0], side, side)).shape == (1, 10)
    # the example of the authors: two B-spline convolutions of 5 x 5 have 10 * 25 * 10 + 10 * 250 * 20 parameters
    assert sum(authors.LAYERS["b-spline"][1](i * 25, o) for i, o in ((1, 10), (10, 20))) == 52_500


def test_channels_choose_in_convolutions() -> None:
    from claimbench.data import Data

    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 80)
    x = np.zeros((80, 8, 8), np.uint8)
    for i, label in enumerate(y):
        x[i, 2 * label : 2 * label + 2] = 16
    x += rng.integers(0, 3, x.shape, dtype=np.uint8)
    arrays = {"x": x, "y": y, "train_idx": np.arange(60), "val_idx": np.arange(0), "test_x": x[60:], "test_y": y[60:]}
    hyper = {**IMAGES, "epochs": 15}
    for method in ("s-kan", "fourier", "cnn"):
        run = Run("s-kan", "images", method, "toy", {}, 0, "smoke", dict(hyper))
        artifact = experiments.fit_images(run, Data("toy", arrays, {}))
        assert experiments.score_images(run, artifact, Data("toy", arrays, {}))["test/accuracy"] > 0.7
        if method == "s-kan":
            assert bool((artifact["net/layers.1.kept"].sum(1) == 1).all())


def test_deep_colour_networks_choose(tmp_path: Path) -> None:
    """Three colours, four convolutions, fewer images at half their size; a killed fit goes on."""
    from claimbench.data import Data

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (50, 32, 32, 3), dtype=np.uint8), rng.integers(0, 10, 50)
    arrays = {"x": x[:40], "y": y[:40], "train_idx": np.arange(40), "test_x": x[40:], "test_y": y[40:]}
    hyper = {**IMAGES, "channels": [2, 3, 4, 6], "images": 30, "tested": 7, "batch": 10, "epochs": 4, "shrink": 2}

    def run(folder: Path | None = None) -> Run:
        found = Run("s-kan", "images", "s-kan", "toy", {}, 0, "smoke", dict(hyper))
        if folder:
            found.checkpoint = Checkpoint(folder, every_s=0)
        return found

    whole, data = run(), Data("toy", arrays, {})
    artifact = experiments.fit_images(whole, data)
    assert whole.counts["steps"] == 12
    assert all(bool((artifact[f"net/layers.{i}.kept"].sum(1) == 1).all()) for i in range(4))
    assert experiments.score_images(whole, artifact, data)["test/accuracy"] * 7 % 1 == pytest.approx(0, abs=1e-6)
    assert whole.metrics["train/parameters"] > 3 * whole.counts["n_params"]
    for stop in (1, 4, 9):
        broken = run()
        kill(functools.partial(experiments.fit_images, broken, data), broken, tmp_path / str(stop), stop)
        again = experiments.fit_images(run(tmp_path / str(stop)), data)
        for name, value in artifact.items():
            np.testing.assert_array_equal(again[name], value)


def test_images_are_scaled_by_the_training_part() -> None:
    from claimbench.data import Data

    x = np.zeros((3, 4, 4), np.uint8)
    x[0], x[1], x[2] = 8, 16, 4
    data = Data("toy", {"x": x, "train_idx": np.array([0, 2])}, {})
    run = Run("s-kan", "images", "cnn", "toy", {}, 0, "smoke", dict(IMAGES))
    assert experiments._images(run, x[2:], data).unique().tolist() == [0.0]


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_values_out_of_order_turn_the_headline(tmp_path: Path) -> None:
    from claimbench.records.collect import collect

    verdicts = {}
    for sabotage in ("none", "shuffled-values"):
        functions = {"steps": 150, "samples": 300, "sabotage": sabotage}
        values = {
            "tier": "laptop",
            "bundle_s": 1e6,
            "papers": ["s-kan"],
            "experiments": {"s-kan": ["functions", "ranking"]},
            "results_dir": str(tmp_path / sabotage),
            "overrides": {"s-kan": {"functions": {"hyper": functions}, "ranking": {"hyper": {"samples": 300}}}},
        }
        plan = make_plan(load_config(None, values))
        executor = runner.Runner(plan)
        for name in ("functions", "ranking"):
            whole = plan.jobs[f"s-kan.{name}"]
            wanted = ("bessel", "composition", "product")
            job = dataclasses.replace(
                whole, runs=tuple(run for run in whole.runs if run.cell.setting["task"] in wanted)
            )
            plan.jobs[job.id] = job
            executor.fit(job)
            executor.score(job)
        collect(plan, "s-kan")
        verdicts[sabotage] = next(r["verdict"] for r in judge_paper(plan, "s-kan") if r["claim_id"] == "C2")
    assert verdicts["none"] == "reproduced"
    assert verdicts["shuffled-values"] == "contradicted"
