"""The prior over tables against loops and scipy, and the training on it against its interruption."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from claimbench.errors import UserError
from claimbench.execute import gpus
from claimbench.papers.tabpfn import checkpoints, prior, training
from claimbench.papers.tabpfn.prior import Configuration, Draws
from claimbench.run import Checkpoint, Run
from tests.papers.killing import kill

SMALL = Configuration(rows=60, max_features=6, max_classes=4, largest_width=30, largest_layers=5, group=8)


def draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


# ---- hyper-parameters ------------------------------------------------------------------------------------------------


def test_variates_are_scipys() -> None:
    d, n = draws(), 20_000
    for shape in (0.3, 1.0, 4.5):
        found = d.gamma(torch.full((n,), shape)).numpy()
        assert stats.kstest(found, stats.gamma(shape).cdf).pvalue > 1e-3
    found = d.beta(torch.full((n,), 0.7), torch.full((n,), 2.5)).numpy()
    assert stats.kstest(found, stats.beta(0.7, 2.5).cdf).pvalue > 1e-3


def test_truncated_normals_with_log_uniform_moments() -> None:
    """By rejection, as the definition says."""
    random, n = np.random.default_rng(0), 40_000
    mean, deviation = np.exp(random.uniform(math.log(1), math.log(6), (2, n)))
    value = random.normal(mean, deviation)
    while (value < 0).any():
        again = value < 0
        value[again] = random.normal(mean[again], deviation[again])
    assert stats.ks_2samp(value, draws(1).truncated(6, 1, n).numpy()).pvalue > 1e-3


def test_hyper_parameters_keep_their_ranges() -> None:
    c = Configuration(rows=10, max_features=20, max_classes=5)
    h = prior.hyperparameters(4000, c, draws())
    assert int(h["features"].min()) == 1
    assert int(h["features"].max()) == 20
    assert int(h["layers"].min()) >= 2
    assert bool((h["width"] >= 4).all() and (h["width"] <= c.largest_width).all())
    assert bool((h["width"] >= 1 + 2 * h["features"])[h["scm"]].all()), "nodes for all features and the target"
    assert bool((h["causes"] == h["features"])[~h["scm"]].all())
    assert bool(((h["dropout"] >= 0) & (h["dropout"] <= 0.9)).all())
    assert float(h["scm"].float().mean()) == pytest.approx(0.5, abs=0.03)
    for scm in (0.0, 1.0):
        only = prior.hyperparameters(50, Configuration(10, 20, 5, scm=scm), draws())["scm"]
        assert bool((only == bool(scm)).all())


# ---- networks --------------------------------------------------------------------------------------------------------


def hyper(tables: int, seed: int, scm: bool, **fixed: Any) -> dict[str, torch.Tensor]:
    """A group: of one kind and one activation, the deepest first."""
    h = prior.hyperparameters(tables, replace(SMALL, scm=float(scm)), draws(seed))
    for name, value in {"activation": 0, **fixed}.items():
        h[name] = torch.full_like(h[name], value)
    order = h["layers"].argsort(descending=True)
    return {name: value[order] for name, value in h.items()}


FUNCTIONS = (torch.tanh, torch.nn.functional.leaky_relu, torch.nn.functional.elu, lambda x: x)


@pytest.mark.parametrize("scm, activation", [(True, 0), (False, 0), (True, 1), (False, 2), (True, 3)])
def test_padded_networks_are_those_of_a_loop(scm: bool, activation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without noise, every table recomputed alone from its own weights."""
    weights, biases, causes = [], [], []
    for name, kept in (("_weights", weights), ("_bias", biases), ("_causes", causes)):
        original = getattr(prior, name)

        def record(*args: Any, original: Any = original, kept: list[torch.Tensor] = kept, **options: Any) -> Any:
            kept.append(original(*args, **options))
            return kept[-1]

        monkeypatch.setattr(prior, name, record)
    h = hyper(40, 3, scm, activation=activation, noise=0.0, last=True, weight=0.7)
    x, y = (prior._causal if scm else prior._bayesian)(h, 60, draws(4))
    act = FUNCTIONS[activation]
    for i in range(40):
        width, inputs, depth = (int(h[name][i]) for name in ("width", "causes", "layers"))
        state = causes[0][i, :, :inputs] @ weights[0][i, :inputs, :width] + biases[0][i, :, :width]
        nodes = []
        for layer in range(1, depth):
            state = act(state) @ weights[layer][i, :width, :width] + biases[layer][i, :, :width]
            nodes.append(state)
        features = int(h["features"][i])
        if scm:
            torch.testing.assert_close(y[i], state[:, -1], rtol=1e-3, atol=1e-3)
            flat = torch.cat(nodes, 1)
            places = [int((flat - x[i, :, [j]]).abs().sum(0).argmin()) for j in range(features)]
            torch.testing.assert_close(x[i, :, :features], flat[:, places], rtol=1e-3, atol=1e-3)
        else:
            answer = act(state) @ weights[-1][i, :width, :1] + biases[-1][i]
            torch.testing.assert_close(y[i], answer[:, 0], rtol=1e-3, atol=1e-3)
            torch.testing.assert_close(x[i, :, :features], causes[0][i, :, :features])
        assert bool((x[i, :, features:] == 0).all())


def test_features_are_distinct_nodes_in_order_or_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    h = hyper(200, 5, True)

    def numbers(h: dict[str, torch.Tensor], *_: Any) -> Any:
        """States in which every node holds its own number."""
        unit = torch.arange(int(h["width"].max())).float()
        for layer in range(int(h["layers"].max()) - 1):
            deep = h["width"][h["layers"] - 1 > layer]
            yield (layer * deep[:, None] + unit)[:, None]

    monkeypatch.setattr(prior, "_states", numbers)
    monkeypatch.setattr(prior, "_causes", lambda *_: None)
    x, y = prior._causal(h, 1, draws(6))
    for i in range(200):
        features, total = int(h["features"][i]), int((h["layers"][i] - 1) * h["width"][i])
        chosen, target = x[i, 0, :features], float(y[i, 0])
        assert chosen.min() >= 0
        assert chosen.max() < total
        assert len(set(chosen.tolist())) == features
        if h["sorted"][i]:
            assert bool((chosen.diff() > 0).all())
        if h["clique"][i]:
            spread = torch.cat([chosen, y[i]]) if not h["last"][i] else chosen
            assert float(spread.max() - spread.min()) <= features
        if h["last"][i]:
            assert target == total - 1
        else:
            assert target not in chosen.tolist()


def test_groups_are_of_one_kind_and_hold_every_table_once() -> None:
    h = prior.hyperparameters(300, SMALL, draws(11))
    groups = list(prior._groups(h, 16))
    assert torch.equal(torch.cat(groups).sort().values, torch.arange(300))
    for members in groups:
        assert 1 <= len(members) <= 16
        assert len(h["scm"][members].unique()) == len(h["activation"][members].unique()) == 1
        assert bool((h["layers"][members].diff() <= 0).all())


def test_weights_are_dropped_or_in_blocks() -> None:
    d, n = draws(7), 400
    h = {"weight": torch.full((n,), 2.0), "dropout": torch.full((n,), 0.36), "blockwise": torch.arange(n) % 2 == 0}
    inputs, outputs = torch.full((n,), 12), torch.full((n,), 10)
    weights = prior._weights(h, inputs, outputs, (14, 13), d)
    assert bool((weights[:, 12:] == 0).all() and (weights[:, :, 10:] == 0).all())
    dense = weights[1::2, :12, :10]
    assert float((dense != 0).float().mean()) == pytest.approx(1 - 0.36, abs=0.01)
    assert float(dense[dense != 0].std()) == pytest.approx(2.0 / (1 - 0.6), rel=0.02)
    first = prior._weights(h, inputs, outputs, (14, 13), d, first=True)[1::2, :12, :10]
    assert bool((first != 0).all()), "the first layer is never dropped"
    assert float(first.std()) == pytest.approx(2.0, rel=0.02)
    seen = set()
    for matrix in weights[::2, :12, :10]:
        kept = matrix != 0
        fits = []
        for blocks in range(1, math.ceil(math.sqrt(10)) + 1):
            expected = torch.zeros(12, 10, dtype=torch.bool)
            high, wide = 12 // blocks, 10 // blocks
            for b in range(blocks):
                expected[high * b : high * (b + 1), wide * b : wide * (b + 1)] = True
            if torch.equal(kept, expected):
                fits.append(blocks)
        assert len(fits) == 1
        seen.add(fits[0])
    assert seen == {1, 2, 3, 4}


def test_causes_are_normal_unordered_or_zipf() -> None:
    h = hyper(300, 8, scm=True, mixed=True, shared=False, causes=6)
    values = prior._causes(h, 400, draws(9))
    kinds = {"normal": 0, "unordered": 0, "zipf": 0}
    for column in values.permute(0, 2, 1).reshape(-1, 400):
        distinct = column.unique()
        if len(distinct) > 10:
            kinds["normal"] += 1
        elif bool(((distinct.diff() - distinct.diff().round()).abs() < 1e-4).all()):
            kinds["zipf"] += 1
        else:
            kinds["unordered"] += 1
            assert float(column.std()) == pytest.approx(1, abs=1e-3)
    assert min(kinds.values()) > 50, kinds
    normal = prior._causes(hyper(50, 8, scm=True, mixed=False, shared=False, causes=4), 2000, draws(1))
    assert float(normal.std()) == pytest.approx(1, abs=0.02)


# ---- tables ----------------------------------------------------------------------------------------------------------


def test_outliers_are_squashed_as_in_a_loop() -> None:
    random = np.random.default_rng(0)
    x = random.standard_t(1.5, size=(50, 3))
    found = prior.squash_outliers(torch.from_numpy(x)).numpy()
    for j in range(3):
        column = x[:, j]
        near = column[np.abs(column - column.mean()) <= 4 * column.std(ddof=1)]
        high, low = near.mean() + 4 * near.std(ddof=1), near.mean() - 4 * near.std(ddof=1)
        expected = np.maximum(-np.log(1 + np.abs(column)) + low, column)
        expected = np.minimum(np.log(1 + np.abs(expected)) + high, expected)
        np.testing.assert_allclose(found[:, j], expected, rtol=1e-9)


def test_classes_are_the_number_of_borders_below() -> None:
    d = draws(2)
    values = d.normal(300, 80)
    count = d.integer(2, 5, 300)
    classes = prior._classes(values, count, 1.0, 6, d)
    for i in range(300):
        order = classes[i][values[i].argsort()]
        steps = order.diff()
        assert bool((steps >= 0).all() or (steps <= 0).all()), "ordered, or reversed"
        assert int(classes[i].max()) <= int(count[i]) - 1
        assert int(classes[i].min()) >= 0
    shuffled = prior._classes(values, count, 0.0, 6, d)
    assert any(
        len(set(c[v.argsort()].diff().sign().tolist()) - {0}) == 2 for c, v in zip(shuffled, values, strict=True)
    )


def test_tables_are_valid_tasks() -> None:
    for labelled in (2, 15, 45):
        x, y = prior.sample(200, labelled, SMALL, torch.Generator().manual_seed(labelled))
        again = prior.sample(200, labelled, SMALL, torch.Generator().manual_seed(labelled))
        assert torch.equal(x, again[0])
        assert torch.equal(y, again[1])
        assert bool(x.isfinite().all())
        valid = y[:, 0] != training.IGNORED
        assert bool((y[~valid] == training.IGNORED).all())
        assert float(valid.float().mean()) > (0.8 if labelled > 10 else 0.1)
        for classes in y[valid]:
            known, asked = set(classes[:labelled].tolist()), set(classes[labelled:].tolist())
            assert known == asked
            assert known == set(range(len(known))), "numbered without gaps"
            assert 2 <= len(known) <= SMALL.max_classes
    used = (x != 0).any(1)
    scaled = x * used.sum(1)[:, None, None] / SMALL.max_features
    deviation = scaled.std(1)[used & (scaled.std(1) > 0.5)]
    assert float(deviation.median()) == pytest.approx(1, abs=0.01), "standardised, then scaled by the share of features"


def test_some_columns_are_categorical() -> None:
    def few_values(categorical: float) -> float:
        c = Configuration(200, 6, 3, scm=1.0, categorical=categorical, largest_width=20, largest_layers=3)
        x, _ = prior.sample(200, 100, c, torch.Generator().manual_seed(0))
        columns = x.permute(0, 2, 1).reshape(-1, 200)
        columns = columns[columns.std(1) > 0]
        return float(np.mean([len(column.unique()) < 60 for column in columns]))

    assert few_values(0.0) < few_values(1.0) - 0.3


# ---- training --------------------------------------------------------------------------------------------------------

HYPER = {
    "max_features": 6, "max_classes": 4, "largest_width": 30, "largest_layers": 4, "group": 4, "scm": 0.5,
    "categorical": 0.2, "rows": [24, 40], "tokens": 960, "least_queries": 0.25, "micro": 10_000, "width": 16, "layers": 2,
    "heads": 2, "inner": 32, "learning_rate": 3e-3, "warm_up": 0.1, "steps": 8, "stop_after": 100, "log_every": 2,
    "sizes": [4, 8, 16], "asked": 8, "tested": 150, "sabotage": "none",
}  # fmt: skip


def run_of(**hyper: Any) -> Run:
    return Run("tabpfn", "prior-fitting", "mixture", "none", {}, 0, "smoke", {**HYPER, **hyper})


def test_the_loss_counts_valid_tables_only() -> None:
    logits, classes = torch.randn(3, 5, 4), torch.randint(4, (3, 5))
    classes[1] = training.IGNORED
    expected = torch.stack([torch.nn.functional.cross_entropy(logits[i], classes[i]) for i in (0, 2)]).mean()
    torch.testing.assert_close(training.loss(logits, classes), expected)
    assert float(training.loss(logits[1:2], classes[1:2])) == 0


def test_training_goes_on_after_a_kill(tmp_path: Path) -> None:
    expected = training.train(run_of())
    broken = run_of()
    kill(lambda: training.train(broken), broken, tmp_path, after=5)
    again = run_of()
    again.checkpoint = Checkpoint(tmp_path, every_s=0)
    found = training.train(again)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_half_precision_is_the_networks_not_the_tables() -> None:
    expected = training.draw(run_of(), 0)
    with gpus.arithmetic("cpu", "bfloat16"):
        found = training.draw(run_of(), 0)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


def test_micro_batches_have_the_same_gradient() -> None:
    whole, parts = run_of(steps=1), run_of(steps=1, micro=200)
    one, many = training.train(whole), training.train(parts)
    for name, value in one.items():  # the first step of Adam is a sign, which may turn where a gradient is nearly zero
        assert np.mean(np.abs(many[name] - value) > 1e-4) < 0.01
    assert whole.curves["train/loss"][0][1] == pytest.approx(parts.curves["train/loss"][0][1], abs=1e-5)


def test_a_short_training_beats_class_frequencies_but_not_on_shuffled_labels() -> None:
    found = {}
    easy = {
        "steps": 100, "tokens": 4000, "width": 32, "inner": 64, "max_features": 3, "max_classes": 3, "rows": [60],
        "learning_rate": 5e-3, "sizes": [8, 16, 32], "largest_width": 16, "largest_layers": 3, "scm": 0.0,
    }  # fmt: skip
    for sabotage in ("none", "shuffled-labels"):
        run = run_of(**easy, log_every=100, sabotage=sabotage)
        artifact = training.train(run)
        net = training.build(run.hyper)
        net.load_state_dict({k.removeprefix("net/"): torch.from_numpy(v) for k, v in artifact.items()})
        found[sabotage] = training.held_out(run, net.eval())
    assert found["none"]["z"] > 5
    assert found["none"]["least_fall"] > 0
    assert found["shuffled-labels"]["z"] < 3


# ---- networks that come with the package -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(checkpoints.PINNED))
def test_a_shortened_training_repeats_the_losses_of_a_shipped_network(name: str) -> None:
    record = checkpoints.training_record(name)
    expected = record["losses"][0]
    configuration = record["configuration"] | {"stop_after": expected[0]}
    run = Run("tabpfn", "prior-fitting", "mixture", "none", {}, record["seed"], "paper", configuration)
    training.train(run)
    ((steps, loss),) = run.curves["train/loss"]
    assert steps == expected[0]
    assert loss == pytest.approx(expected[1], rel=1e-3), "rounding differs by machine, nothing else may"
    assert record["losses"][-1][1] < 0.75 * expected[1]


def test_another_file_than_the_pinned_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="'minni' does not come with the package"):
        checkpoints.load_checkpoint("minni")
    content = (checkpoints.FOLDER / "mini.safetensors").read_bytes()
    (tmp_path / "mini.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path)
    with pytest.raises(UserError, match="is pinned"):
        checkpoints.load_checkpoint("mini")


def test_a_network_survives_its_file(tmp_path: Path) -> None:
    run = run_of(steps=2)
    artifact = training.train(run) | {"configuration": dict(run.hyper)}
    net, limits = checkpoints.trained(artifact)
    assert limits["max_rows"] == 40 - 10
    x, y = torch.randn(2, 9, 6), torch.randint(4, (2, 6)).float()
    digest = checkpoints.write_checkpoint(tmp_path / "own.safetensors", artifact, {"configuration": dict(run.hyper)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "FOLDER", tmp_path)
        patch.setitem(checkpoints.PINNED, "own", digest)
        again, same = checkpoints.load_checkpoint("own")
    assert same == limits
    torch.testing.assert_close(again(x, y), net(x, y), atol=0.02, rtol=0.02)  # half precision
