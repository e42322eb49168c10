"""Alignment against its definition, stacks against plain networks, tasks against closed forms, and the verdicts' teeth."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from claimbench import data as datasets
from claimbench.data import registry
from claimbench.execute import preparation, runner
from claimbench.judge.paper import judge_paper
from claimbench.nn import transformer
from claimbench.papers.guidance import (
    alignment,
    convolutional,
    experiments,
    figures,
    fully_connected,
    image_folder,
    image_training,
    recurrence,
    sequence_models,
    sequence_tasks,
    sequence_training,
)
from claimbench.plan.plan import make_plan
from claimbench.run import Checkpoint, Run
from claimbench.spec.config import load_config
from tests.papers.killing import kill

IMAGE = {
    "classes": 4, "batch": 8, "steps": 4, "dropout": 0.1, "decay_every": 0, "guided_steps": 0, "log_every": 2,
    "hidden_layers": 3, "first_width": 10, "width": 6, "learning_rate": 1e-2, "alpha": 1.0, "temperature": 4.0,
    "stack": 2, "guide": "residual-18", "sabotage": "none", "side": 16, "decode_threads": 2,
    "shapes": {
        "residual-18": {"widths": [2, 2, 2, 2], "stem": 1}, "residual-50": {"widths": [1, 1, 2, 2], "stem": 2},
        "deep-convnet": {"widths": [1, 1, 2, 2], "stem": 2},
        "patch-transformer": {"patch": 4, "width": 8, "heads": 2, "blocks": 2},
    },
}  # fmt: skip
SEQUENCE = {
    "batch": 6, "steps": 3, "clip": 0.25, "log_every": 1, "tested": 300, "embedding": 8, "rnn_width": 8,
    "rnn_layers": 3, "handed_on": False, "width": 8, "heads": 2, "inner": 12, "layers": 2, "dropout": 0.1,
    "shortest": 2, "longest": 5, "learning_rate": 1e-3, "alpha": 1.0, "block": 12, "tokens": 11,
}  # fmt: skip


def image_run(seed: int = 0, target: str = "deep-fcn", method: str = "base", **hyper: Any) -> Run:
    return Run("guidance", "images", method, "toy", {"target": target}, seed, "smoke", {**IMAGE, **hyper})


def sequence_run(method: str = "rnn", seed: int = 0, **hyper: Any) -> Run:
    return Run("guidance", "copy-paste", method, "none", {}, seed, "smoke", {**SEQUENCE, **hyper})


def toy_data(seed: int = 0, n: int = 40, side: int = 8) -> Any:
    rng = np.random.default_rng(seed)
    arrays = {
        "x": rng.integers(0, 255, (n, side, side), dtype=np.uint8),
        "y": rng.integers(0, 4, n),
        "train_idx": np.arange(n - 12),
        "val_idx": np.arange(n - 12, n),
        "test_x": rng.integers(0, 255, (10, side, side), dtype=np.uint8),
        "test_y": rng.integers(0, 4, 10),
    }
    return datasets.Data("toy", arrays, {"kind": "images", "n_classes": 4})


def fit_images(run: Run, data: Any) -> dict[str, Any]:
    """One network by itself."""
    return experiments.fit_many_images([run], [data])[0]


# ---- alignment -------------------------------------------------------------------------------------------------------


def released_cka(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The definition: Hilbert-Schmidt independence of two kernels with explicit centring matrices."""
    n = len(a)
    h = torch.eye(n, dtype=a.dtype) - torch.ones(n, n, dtype=a.dtype) / n

    def hsic(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return ((h @ (x @ x.T) @ h) * (h @ (y @ y.T) @ h)).sum()

    return hsic(a, b) / (hsic(a, a).sqrt() * hsic(b, b).sqrt())


def test_cka_is_its_definition_and_blind_to_rotation_and_scale() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(12, k, generator=generator, dtype=torch.float64) for k in (5, 9))
    torch.testing.assert_close(alignment.cka(a, b), released_cka(a, b))
    assert float(alignment.cka(a, a)) == pytest.approx(1.0)
    q, _ = torch.linalg.qr(torch.randn(9, 9, generator=generator, dtype=torch.float64))
    torch.testing.assert_close(alignment.cka(a, 3 * b @ q + 7), alignment.cka(a, b))
    assert float(alignment.cka(torch.ones(12, 3), torch.randn(12, 4))) == 0.0, "constant features are not like anything"


def test_the_gradient_of_the_dissimilarity() -> None:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2, 5, 10, generator=generator, dtype=torch.float64, requires_grad=True)
    guide = torch.randn(2, 10, 4, generator=generator, dtype=torch.float64)
    # constants of rows and columns, as the cached kernels have, change nothing
    rows = torch.randn(2, 10, 1, generator=generator, dtype=torch.float64)
    kernel = guide @ guide.transpose(1, 2) + rows + rows.transpose(1, 2)
    norm = alignment.centred_norm(kernel)
    found = alignment.dissimilarity(features, kernel, norm)
    expected = torch.stack([1 - released_cka(f.T, g) for f, g in zip(features, guide, strict=True)])
    torch.testing.assert_close(found, expected)
    (own,) = torch.autograd.grad(found.sum(), features)
    (theirs,) = torch.autograd.grad(expected.sum(), features)
    torch.testing.assert_close(own, theirs)
    assert torch.autograd.gradcheck(lambda z: alignment.dissimilarity(z, kernel, norm), (features,))


def test_layers_are_paired_as_in_the_released_code() -> None:
    assert alignment.layer_pairs(21, 3) == {0: 5, 1: 14, 2: 20}
    deep = alignment.layer_pairs(21, 48)
    assert len(deep) == 21
    assert deep[0] == 0
    assert deep[47] == 20
    assert list(alignment.layer_pairs(54, 50).values())[-1] == 53
    assert alignment.layer_pairs(1, 20) == {0: 0}


def test_cached_kernels_are_those_of_the_batch() -> None:
    run, images = image_run(), image_training.ArrayImages(toy_data())
    net = image_training.build([run], "residual-18", images.shape)
    cached = image_training.guide_of(net, images, "cpu")
    assert isinstance(cached, alignment.CachedGuide)
    live = alignment.LiveGuide(net.features, image_training.layers(net))
    assert cached.layers == live.layers == 21
    chosen = np.array([3, 1, 4, 15, 9, 2, 6])
    for wanted in (list(range(21)), [5, 14, 20]):
        mine = cached.kernels(chosen, images.x[chosen], wanted)
        theirs = live.kernels(chosen, images.x[chosen], wanted)
        torch.testing.assert_close(alignment.unit(mine), alignment.unit(theirs), rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(alignment.centred_norm(mine), alignment.centred(theirs).flatten(1).norm(dim=1))


# ---- networks --------------------------------------------------------------------------------------------------------


def plain(stack: fully_connected.FullyConnected, index: int) -> nn.Sequential:
    """One network of a stack, with biases before BatchNorm as usual."""
    layers: list[nn.Module] = []
    for place, weight in enumerate(stack.weights):
        layer = nn.Linear(weight.shape[2], weight.shape[1])
        layer.weight.data = weight[index].detach().clone()
        layers.append(layer)
        if place < len(stack.gains):
            layers += [nn.BatchNorm1d(weight.shape[1]), nn.ReLU()]
        else:
            layer.bias.data = stack.bias[index, :, 0].detach().clone()
    return nn.Sequential(*layers)


def test_a_stack_is_plain_networks_side_by_side() -> None:
    generators = [torch.Generator().manual_seed(s) for s in (0, 1)]
    stack = fully_connected.FullyConnected([6, 8, 5, 5, 4], generators)
    x = torch.randn(2, 9, 6, generator=torch.Generator().manual_seed(2))
    logits, features = stack(x.transpose(1, 2), None, frozenset({0, 2}))
    logits.square().sum().backward()
    for index in range(2):
        net = plain(stack, index)
        expected = net(x[index])
        expected.square().sum().backward()
        torch.testing.assert_close(logits[index].T, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(features[0][index].T, net[0](x[index]) - net[0].bias, rtol=1e-4, atol=1e-5)
        gradient = stack.weights[1].grad
        assert gradient is not None
        torch.testing.assert_close(gradient[index], net[3].weight.grad, rtol=1e-3, atol=1e-4)
    stack.train()
    with torch.no_grad():
        for _ in range(150):  # running statistics: once they follow, a bias before BatchNorm has no influence
            stack(x.transpose(1, 2))
    for index in range(2):
        net = plain(stack, index)
        with torch.no_grad():
            for _ in range(150):
                net(x[index])
        again = fully_connected.from_arrays(stack.one(index))
        torch.testing.assert_close(again.predict(x[index])[0], stack.predict(x[index])[index])
        torch.testing.assert_close(again.predict(x[index])[0], net.eval()(x[index]), rtol=1e-4, atol=1e-5)


def test_dropout_keeps_the_mean_and_does_not_depend_on_the_stack() -> None:
    rngs = [np.random.default_rng(s) for s in (5, 6)]
    masks = fully_connected.dropout_masks(0.1, [3, 400, 300, 2], 50, rngs)
    assert [tuple(m.shape) for m in masks] == [(2, 400, 50), (2, 300, 50)]
    assert float(masks[0].mean()) == pytest.approx(1.0, abs=0.01)
    assert float((masks[1] == 0).float().mean()) == pytest.approx(0.1, abs=0.01)
    alone = fully_connected.dropout_masks(0.1, [3, 400, 300, 2], 50, [np.random.default_rng(6)])
    torch.testing.assert_close(alone[1][0], masks[1][1])


def test_sizes_of_the_official_networks() -> None:
    def parameters(net: nn.Module) -> int:
        return sum(p.numel() for p in net.parameters())

    wide = {"widths": [64, 128, 256, 512], "stem": 4}
    eighteen = convolutional.network("residual-18", (3, 224, 224), 1000, wide)
    fifty = convolutional.network("residual-50", (3, 224, 224), 1000, wide)
    assert (parameters(eighteen), parameters(fifty)) == (11_689_512, 25_557_032)
    without = convolutional.network("deep-convnet", (3, 224, 224), 1000, wide)
    assert [convolutional.depth(net) for net in (eighteen, fifty, without)] == [21, 54, 50]
    paper = load_config(None, {"tier": "paper", "papers": ["guidance"]})
    cell = next(c for c in make_plan(paper).cells if c.experiment == "images" and c.setting["target"] == "deep-fcn")
    h = cell.hyper
    sizes = [150528, h["first_width"], *[h["width"]] * (h["hidden_layers"] - 1), h["classes"]]
    assert len(sizes) - 1 == 49
    assert 355e6 < sum(a * b for a, b in itertools.pairwise(sizes)) < 365e6


def test_convolutions_start_as_in_the_released_networks() -> None:
    """Residual networks as torchvision draws them, the plain one as torch.nn.Conv2d does."""
    shape = {"widths": [32, 32, 32, 32], "stem": 1}
    for kind, expected in (("residual-50", math.sqrt(2 / (9 * 32))), ("deep-convnet", math.sqrt(1 / (3 * 9 * 32)))):
        torch.manual_seed(0)
        net = convolutional.network(kind, (1, 8, 8), 4, shape)
        middle = net.blocks[0].convolutions[1].weight  # type: ignore[index, union-attr]
        assert float(middle.detach().std()) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("kind", ["residual-18", "residual-50", "deep-convnet", "patch-transformer"])
def test_features_come_in_the_order_of_calls(kind: str) -> None:
    net = convolutional.network(kind, (1, 8, 8), 4, IMAGE["shapes"][kind])  # type: ignore[index]
    logits, features = net(torch.randn(3, 1, 8, 8))
    assert logits.shape == (3, 4)
    assert len(features) == convolutional.depth(net)
    # hooks on the same modules see the same tensors
    seen: list[torch.Tensor] = []
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and kind != "patch-transformer":
            module.register_forward_hook(lambda m, given, out: seen.append(out))
    _, features = net(torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    for own, hooked in zip(features, seen, strict=False):
        assert own is hooked


# ---- training on images ----------------------------------------------------------------------------------------------


def guide_artifact(data: Any, seed: int = 0) -> dict[str, Any]:
    run = Run("guidance", "guides", "residual-18", "toy", {"weights": "untrained"}, seed, "smoke", dict(IMAGE))
    return experiments.fit_guides(run, data)


def guided_runs(seeds: range, method: str = "trained", **hyper: Any) -> tuple[list[Run], list[Any]]:
    datas = [toy_data(seed) for seed in seeds]
    runs = [image_run(seed, method=method, **hyper) for seed in seeds]
    for run, data in zip(runs, datas, strict=True):
        run.inputs["guide"] = guide_artifact(data, run.seed)
    return runs, datas


@pytest.mark.parametrize("method", ["base", "trained", "distilled", "twin"])
def test_networks_of_a_stack_do_not_touch_each_other(method: str) -> None:
    runs, datas = guided_runs(range(3), method)
    together = experiments.fit_many_images(runs, datas)
    (alone,), (data,) = guided_runs(range(1, 2), method)
    found = fit_images(alone, data)
    for name, value in found.items():
        difference = np.abs(np.asarray(together[1][name]) - np.asarray(value))
        # Adam makes a part of a step (1e-2) of a single gradient that is nothing but rounding
        assert float(difference.mean()) < 5e-6, name
        assert float(difference.max()) < 1e-3, name
    np.testing.assert_allclose(runs[1].curves["val/loss"], alone.curves["val/loss"], rtol=1e-4)
    scored = experiments.score_images(alone, found, data)
    assert scored["test/accuracy"] <= scored["test/top5"] == 1.0


def test_guidance_makes_layers_alike_and_ends_where_it_should() -> None:
    (run,), (data,) = guided_runs(range(1), steps=30, dropout=0.0)
    fit_images(run, data)
    assert run.metrics["train/cka_gain"] > 0.05
    (part,), (data,) = guided_runs(range(1), "trained-start", steps=30, guided_steps=10, dropout=0.0)
    fit_images(part, data)
    assert [step for step, _ in part.curves["train/cka"]] == [2, 4, 6, 8, 10]
    assert [v for _, v in part.curves["train/cka"]] == [v for _, v in run.curves["train/cka"][:5]]
    (without,), (data,) = guided_runs(range(1), "base", steps=30, dropout=0.0)
    fit_images(without, data)
    assert "train/cka" not in without.curves
    assert without.curves["val/loss"] != run.curves["val/loss"]


def test_a_killed_training_goes_on(tmp_path: Path) -> None:
    """The networks of a stack share one checkpoint; the curves and metrics of each go on."""
    whole, datas = guided_runs(range(2), steps=6)
    expected = experiments.fit_many_images(whole, datas)
    broken, _ = guided_runs(range(2), steps=6)
    kill(lambda: experiments.fit_many_images(broken, datas), broken[0], tmp_path, after=4)
    again, _ = guided_runs(range(2), steps=6)
    again[0].checkpoint = Checkpoint(tmp_path, every_s=0)
    found = experiments.fit_many_images(again, datas)
    for one, other, artifact, same in zip(whole, again, expected, found, strict=True):
        for name, value in artifact.items():
            np.testing.assert_array_equal(same[name], value)
        assert other.metrics == one.metrics
        assert other.curves == one.curves


def test_learning_rates_fall() -> None:
    slow, fast = (image_run(steps=8, decay_every=every, dropout=0.0) for every in (1, 0))
    images = image_training.ArrayImages(toy_data())
    first, last = (
        image_training.train([run], [images], "deep-fcn", [image_training.Teaching()])[0] for run in (slow, fast)
    )
    start = image_training.build([slow], "deep-fcn", images.shape).one(0)
    moved = [np.abs(found["weights.0"] - start["weights.0"]).mean() for found in (first, last)]
    assert moved[0] < 0.4 * moved[1]


def test_distillation_is_zero_for_equal_outputs() -> None:
    logits = torch.randn(2, 4, 7)
    torch.testing.assert_close(image_training.distillation(logits, logits.clone(), 4.0), torch.zeros(2))
    assert (image_training.distillation(logits, torch.randn(2, 4, 7), 4.0) > 0).all()


def test_error_consistency_is_cohens_kappa() -> None:
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(0)
    a, b = rng.random(500) < 0.7, rng.random(500) < 0.4
    b[:200] = a[:200]
    assert experiments.error_consistency(a, b) == pytest.approx(cohen_kappa_score(a, b))
    assert experiments.error_consistency(np.ones(3, bool), np.ones(3, bool)) == 1.0


# ---- images from a folder --------------------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from PIL import Image

    rng = np.random.default_rng(0)
    for part, count in (("train", 14), ("val", 3)):
        for label in range(4):
            folder = tmp_path / "mirror" / "pictures" / part / f"n{label}"
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = np.full((30, 24, 3), 60 * label, np.uint8) + rng.integers(0, 20, (30, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.JPEG")
    entry = dataclasses.replace(
        registry.get("imagenet"), name="pictures", options={"folder": "pictures"}, expect={"n_classes": 4}
    )
    monkeypatch.setitem(registry.DATASETS, "pictures", entry)
    datasets.prepare("pictures", [({"protocol": "public", "val": 8}, 0)], tmp_path / "data", tmp_path / "mirror")
    return tmp_path / "data"


@pytest.mark.parametrize("method", ["trained", "distilled"])
@pytest.mark.parametrize("target", ["deep-fcn", "deep-convnet"])
def test_training_reads_a_folder_of_pictures(pictures: Path, method: str, target: str) -> None:
    """As ImageNet at the paper tier: decoded while training, the guide run on every batch, the seal closed."""
    from claimbench.data import guard

    split = {"protocol": "public", "val": 8}
    data = datasets.load_fit("pictures", split, 0, pictures)
    guide = Run("guidance", "guides", "residual-18", "pictures", {"weights": "trained"}, 0, "smoke", dict(IMAGE))
    run = image_run(0, target, method, steps=12, learning_rate=3e-2)
    with guard.sealed():
        run.inputs["guide"] = experiments.fit_guides(guide, data)
        artifact = fit_images(run, data)
    if method == "trained":
        assert "train/cka_gain" in run.metrics
    score = datasets.load_score("pictures", split, 0, pictures)
    assert 0 <= experiments.score_images(run, artifact, score)["test/accuracy"] <= 1
    assert experiments.score_guides(guide, run.inputs["guide"], score)["test/top5"] == 1.0


def test_augmentation_belongs_to_the_step_and_not_to_the_threads(pictures: Path) -> None:
    data = datasets.load_fit("pictures", {"protocol": "public", "val": 8}, 0, pictures)
    one, many = (image_folder.FolderImages(image_run(decode_threads=n), data) for n in (1, 4))
    chosen = np.arange(6)
    torch.testing.assert_close(one.batch(chosen, 3)[0], many.batch(chosen, 3)[0])
    assert not torch.equal(one.batch(chosen, 3)[0], one.batch(chosen, 4)[0])
    x, y = next(iter(one.validation()))
    assert x.shape == (8, 3 * 16 * 16)
    # the classes differ in brightness, which standardising keeps
    brightness = x.mean(1).numpy()
    assert np.corrcoef(brightness, y.numpy())[0, 1] > 0.99


def test_random_parts_lie_inside() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(500):
        left, top, right, bottom = image_folder.random_part(500, 375, rng)
        assert 0 <= left < right <= 500
        assert 0 <= top < bottom <= 375
        assert 0.74 < (right - left) / (bottom - top) < 1.34
        shares.append((right - left) * (bottom - top) / (500 * 375))
    assert 0.08 <= min(shares) < 0.12
    assert max(shares) > 0.8
    assert image_folder.random_part(1000, 10, rng) == (495.0, 0.0, 505.0, 10.0), "too flat for any draw"


# ---- sequences -------------------------------------------------------------------------------------------------------


def test_copy_paste_by_hand() -> None:
    x, answers, lengths = sequence_tasks.copy_paste(50, 2, 4, torch.Generator().manual_seed(0))
    for row, answer, length in zip(x.tolist(), answers.tolist(), lengths.tolist(), strict=True):
        symbols = row[:length]
        assert row == symbols + [11] + [0] * length + [12] + [0] * (8 - 2 * length)
        assert answer == [0] * (length + 1) + symbols + [12] + [0] * (8 - 2 * length)
    assert set(lengths.tolist()) == {2, 3, 4}


def test_parity_by_hand() -> None:
    x, answers, lengths = sequence_tasks.parity(50, 2, 6, torch.Generator().manual_seed(0))
    for row, answer, length in zip(x.tolist(), answers.tolist(), lengths.tolist(), strict=True):
        assert row[length:] == [2] * (6 - length)
        assert answer == sum(row[:length]) % 2


def test_the_closed_form_is_that_of_a_constant_guess() -> None:
    """A network that knows the end and nothing else: 1/9 for each symbol, and its own loss."""

    class Guess(nn.Module):
        def forward(self, x: torch.Tensor, lengths: Any = None) -> tuple[torch.Tensor, list[torch.Tensor]]:
            logits = torch.full((*x.shape, 13), -30.0)
            logits[..., 1:10] = 0.0
            logits[..., 3] += 1e-4
            logits[x == 12] = -30.0
            logits[..., 12][x == 12] = 30.0
            return logits, []

    run = sequence_run(tested=4000, shortest=20, longest=40)
    found = sequence_training.evaluate_copy_paste(run, Guess())
    assert found["test/z"] < 3
    assert found["test/excess_loss"] < 1e-3
    accuracy, loss = figures.closed_form(30)
    assert (accuracy, loss) == (pytest.approx(4 / 28), pytest.approx(27 * math.log(9) / 28))
    assert found["test/accuracy"] == pytest.approx(accuracy, abs=0.005)
    assert found["test/loss"] == pytest.approx(loss, abs=0.005)


@pytest.mark.parametrize("kind", ["rnn", "transformer"])
@pytest.mark.parametrize("task", ["copy-paste", "parity", "language-model"])
def test_sequence_networks_train_with_a_guide(kind: str, task: str) -> None:
    other = "transformer" if kind == "rnn" else "rnn"
    tokens = 13
    run = sequence_run(steps=40, batch=16, learning_rate=1e-2, dropout=0.0)
    guide = sequence_training.build(run, other, task, tokens)
    before = {name: value.clone() for name, value in guide.state_dict().items()}
    blocks = torch.randint(tokens, (30, 13), generator=torch.Generator().manual_seed(0))
    found = sequence_training.train(run, task, kind, tokens, guide, blocks if task == "language-model" else None)
    alike = [value for _, value in run.curves["train/cka"]]
    assert sum(alike[-5:]) > sum(alike[:5])
    assert run.metrics["train/cka_gain"] == pytest.approx(alike[-1] - alike[0])
    for name, value in guide.state_dict().items():
        torch.testing.assert_close(value, before[name], msg="the guide is frozen")
    net = sequence_training.build(run, kind, task, tokens, found)
    torch.testing.assert_close(net.state_dict()["embedding.weight"], torch.from_numpy(found["embedding.weight"]))


def test_language_networks_are_causal_unless_states_are_handed_on() -> None:
    x = torch.randint(11, (4, 12), generator=torch.Generator().manual_seed(0))
    for kind, handed_on in (("rnn", False), ("transformer", False), ("rnn", True)):
        run = sequence_run(handed_on=handed_on)
        net = sequence_training.build(run, kind, "language-model", 11)
        assert (sequence_training.largest_change(net, x, 7) > 0) == handed_on
        run.experiment, run.method = "causality", kind
        assert experiments.score_causality(run, {}, None)["test/leaks"] == float(handed_on)


def test_the_tanh_layer_is_torchs() -> None:
    x = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(0))
    start = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(1))
    ours = recurrence.TanhLayer(5, 4)
    theirs = nn.RNN(5, 4, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    found = []
    for layer in (ours, theirs):
        given = [x.clone().requires_grad_(), start.clone().requires_grad_()]
        states, last = layer(*given)
        ((states * torch.arange(7.0)[:, None]).square().sum() + last.sum()).backward()
        found.append([states, last, *(part.grad for part in (*given, *layer.parameters()))])
    for mine, expected in zip(*found, strict=True):
        torch.testing.assert_close(mine, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])


def test_the_tied_transformer_has_one_layer() -> None:
    net = sequence_models.TiedTransformer(13, 8, 2, 12, 4, 0.0, pooled=False)
    _, features = net(torch.randint(13, (2, 6)))
    assert len(features) == 4 * 8
    assert sum(isinstance(m, transformer.Block) for m in net.modules()) == 1
    # what is a feature is what the parts put out, in the order of the calls
    x = torch.randint(13, (2, 6))
    given = net.embedding(x) * math.sqrt(8) + transformer.sinusoids(6, 8)
    attended = net.layer.attention(given)
    middle = net.layer.norms[0](given + attended)
    asked = net.layer.cross(middle, given)
    later = net.layer.norms[1](middle + asked)
    up = net.layer.feed_forward.up(later)
    down = net.layer.feed_forward.down(torch.relu(up))
    end = net.layer.norms[2](later + down)
    for own, expected in zip(net(x)[1], (attended, middle, asked, later, up, down, end, end), strict=False):
        torch.testing.assert_close(own, expected)
    # parity: padding has no influence
    pooled = sequence_models.TiedTransformer(3, 8, 2, 12, 4, 0.0, pooled=True).eval()
    x = torch.tensor([[1, 0, 1, 2, 2]])
    torch.testing.assert_close(pooled(x)[0], pooled(x[:, :3])[0])


def test_norms_of_the_language_transformer_act_on_the_stream() -> None:
    """As released: h = norm(h), h = norm(h + attention(h)), h = h + feed-forward part(h), and so on."""
    net = sequence_models.LanguageTransformer(11, 8, 2, 12, 2, 0.0, 6)
    for value in net.parameters():
        nn.init.normal_(value, std=0.5)
    x = torch.randint(11, (2, 6))
    h, expected = net.embedding(x) + net.positions.weight, []
    norms = [net.norm, *(norm for layer in net.layers for norm in layer.norms)]
    for index, layer in enumerate(net.layers):
        h = norms[2 * index](h)
        found = layer.attention(h)
        expected += [h, found]
        h = norms[2 * index + 1](h + found)
        up = layer.feed_forward.up(h)
        down = layer.feed_forward.down(torch.relu(up))
        expected += [h, up, down]
        h = h + down
    logits, features = net(x)
    torch.testing.assert_close(logits, net.output(h))
    assert len(features) == len(expected)
    for own, other in zip(features, expected, strict=True):
        torch.testing.assert_close(own, other)


def test_parity_answers_from_the_last_bit() -> None:
    net = sequence_models.ParityRecurrent(3, 6, 2)
    x = torch.tensor([[1, 0, 1, 2, 2], [1, 1, 0, 1, 0]])
    lengths = torch.tensor([3, 5])
    with torch.no_grad():
        logits, (feature,) = net(x, lengths)
    torch.testing.assert_close(logits[0], net(x[:1, :3], lengths[:1])[0][0])
    assert float(feature[0, 3:].abs().max()) == 0.0


def test_perplexity_of_a_uniform_guess() -> None:
    class Uniform(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
            return torch.zeros(*x.shape, 17), []

    blocks = torch.randint(17, (70, 9))
    assert sequence_training.evaluate_language(Uniform(), blocks)["test/perplexity"] == pytest.approx(17, rel=1e-4)


# ---- verdicts --------------------------------------------------------------------------------------------------------


def judged(tmp_path: Path, sabotage: str) -> dict[str, str]:
    """The unguided and the guided network of the smoke tier, deeper and longer, with verdicts."""
    from claimbench.records.collect import collect

    shapes = {"residual-18": {"widths": [4, 8, 16, 32], "stem": 1}}
    deep = {"hidden_layers": 40, "steps": 500, "log_every": 500, "learning_rate": 2e-3, "dropout": 0.0}
    values = {
        "tier": "smoke",
        "bundle_s": 1e6,
        "papers": ["guidance"],
        "seeds": 8,
        "results_dir": str(tmp_path / sabotage),
        "data_dir": str(tmp_path / "data"),
        "overrides": {
            "guidance": {
                "guides": {"hyper": {"shapes": shapes}},
                "images": {"hyper": {"shapes": shapes, "sabotage": sabotage, **deep}},
            }
        },
    }
    plan = make_plan(load_config(None, values))
    preparation.prepare(plan, "digits")
    executor, done = runner.Runner(plan), {}
    for name, method, setting in (
        ("guides", "residual-18", {"weights": "untrained"}),
        ("images", "base", {"target": "deep-fcn"}),
        ("images", "untrained", {"target": "deep-fcn"}),
    ):
        whole = plan.jobs[f"guidance.{name}"]
        kept = [run for run in whole.runs if (run.cell.method, run.cell.setting) == (method, setting)]
        job = dataclasses.replace(whole, runs=tuple(kept))
        executor.fit(job)
        executor.score(job)
        done[method] = job
    plan.jobs.clear()
    plan.jobs.update(done)
    collect(plan, "guidance")
    return {row["claim_id"]: row["verdict"] for row in judge_paper(plan, "guidance")}


def test_a_guide_that_saw_other_images_turns_the_headline(tmp_path: Path) -> None:
    honest, sabotaged = (judged(tmp_path, name) for name in ("none", "shuffled-guide"))
    assert honest["C1"] in ("reproduced", "exceeded")
    assert sabotaged["C1"] in ("contradicted", "inconclusive")
