"""The noise against its closed form, stacked networks against single ones, tasks by hand, and the verdicts' teeth."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from claimbench.execute import preparation, runner
from claimbench.judge.paper import judge_paper
from claimbench.papers.gradient_noise import (
    deep_mlp,
    experiments,
    memory_network,
    neural_gpu,
    neural_programmer,
    neural_ram,
    noise,
    schedule,
)
from claimbench.plan.plan import make_plan
from claimbench.run import Checkpoint, Run
from claimbench.spec.config import load_config
from tests.papers.killing import kill

MLP = {
    "width": 12, "n_classes": 4, "rates": [0.1], "batch": 8, "steps": 3, "dropout": 0.0, "probe": 20,
    "log_every": 1, "eta": 0.0, "gamma": 0.55,
}  # fmt: skip


def mlp_run(seed: int = 0, clip: Any = "none", init: str = "he", folder: Path | None = None, **hyper: Any) -> Run:
    setting = {"init": init, "clip": clip, "depth": 3}
    run = Run("gradient-noise", "deep-mlp", "noise", "toy", setting, seed, "smoke", {**MLP, **hyper})
    run.checkpoint = Checkpoint(folder)
    return run


def samples(seed: int = 0, n: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 6, generator=generator), torch.randint(4, (n,), generator=generator)


# ---- the noise -------------------------------------------------------------------------------------------------------


def test_eta_is_a_variance_that_falls() -> None:
    assert schedule.standard_deviation(0, 0.01) == pytest.approx(0.1)
    assert schedule.standard_deviation(99, 1.0) ** 2 == pytest.approx(100**-0.55)


def test_the_wrapper_adds_noise_after_clipping() -> None:
    weights = nn.Parameter(torch.zeros(50_000))
    optimizer = noise.GradientNoise(
        torch.optim.SGD([weights], lr=1.0),
        0.04,
        generator=torch.Generator().manual_seed(1),
        clip=lambda: nn.utils.clip_grad_norm_([weights], 1e-3),
    )
    weights.grad = torch.full_like(weights, 50.0)
    optimizer.step()
    assert float(weights.detach().std()) == pytest.approx(0.2, rel=0.01)  # not the clipped 1e-3
    before = weights.detach().clone()
    weights.grad = torch.zeros_like(weights)
    optimizer.step()
    assert float((weights.detach() - before).std()) == pytest.approx(0.2 * 2 ** (-0.55 / 2), rel=0.01)


def test_without_eta_nothing_is_drawn_and_the_step_is_the_optimisers() -> None:
    generator = torch.Generator().manual_seed(3)
    state = generator.get_state()
    one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    other.load_state_dict(one.state_dict())
    x = torch.randn(5, 3)
    wrapped = noise.GradientNoise(torch.optim.Adam(one.parameters()), 0.0, generator=generator)
    plain = torch.optim.Adam(other.parameters())
    for net, optimizer in ((one, wrapped), (other, plain)):
        for _ in range(3):
            optimizer.zero_grad()
            net(x).square().sum().backward()
            optimizer.step()
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(generator.get_state(), state)


def test_the_wrappers_state_goes_on() -> None:
    def make() -> tuple[nn.Parameter, noise.GradientNoise]:
        weights = nn.Parameter(torch.zeros(4))
        return weights, noise.GradientNoise(torch.optim.SGD([weights], lr=1.0), 1.0)

    weights, first = make()
    for _ in range(5):
        weights.grad = torch.zeros_like(weights)
        first.step()
    _, second = make()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert second.steps == 5


def test_walk_deviation_is_the_sum_of_the_variances() -> None:
    by_hand = math.sqrt(sum(schedule.standard_deviation(t, 0.01) ** 2 for t in range(50)))
    assert schedule.walk_deviation(50, 0.1, 0.01) == pytest.approx(0.1 * by_hand)
    # near the integral in place of the sum
    integral = 0.1 * math.sqrt(0.01 * 1000**0.45 / 0.45)
    assert schedule.walk_deviation(1000, 0.1, 0.01) == pytest.approx(integral, rel=0.03)


# ---- deep networks ---------------------------------------------------------------------------------------------------


def plain_network(flat: torch.Tensor, sizes: list[tuple[int, int]]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for weight, bias in deep_mlp.views(flat[None], sizes):
        layer = nn.Linear(*weight.shape[1:])
        layer.weight.data, layer.bias.data = weight[0].T.clone(), bias[0, 0].clone()
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def test_gradients_by_hand_are_those_of_autograd() -> None:
    sizes = deep_mlp.layer_sizes(6, 12, 3, 4)
    flats = [deep_mlp.initial("he", sizes, torch.Generator().manual_seed(s)) + 0.01 for s in range(3)]
    stack = deep_mlp.Stack(torch.stack(flats), sizes)
    x, y = torch.stack([samples(s)[0] for s in range(3)]), torch.stack([samples(s)[1] for s in range(3)])
    losses = stack.backward(x, y)
    for i in range(3):
        net = plain_network(flats[i], sizes)
        loss = nn.functional.cross_entropy(net(x[i]), y[i])
        loss.backward()
        linear = [layer for layer in net if isinstance(layer, nn.Linear)]
        for layer, (weight, bias) in zip(linear, deep_mlp.views(stack.gradients, sizes), strict=True):
            torch.testing.assert_close(layer.weight.grad.T, weight[i], atol=1e-6, rtol=1e-4)
            torch.testing.assert_close(layer.bias.grad, bias[i, 0], atol=1e-6, rtol=1e-4)
        assert float(losses[i]) == pytest.approx(float(loss.detach()), rel=1e-5)


def test_gradients_with_dropout_are_those_of_autograd() -> None:
    sizes = deep_mlp.layer_sizes(6, 12, 2, 4)
    flat = deep_mlp.initial("he", sizes, torch.Generator().manual_seed(0))
    masks = [torch.randint(2, (1, 60, 12)).float() * 2 for _ in range(2)]
    x, y = samples()
    leaf = flat.clone().requires_grad_(True)
    (w1, b1), (w2, b2), (w3, b3) = deep_mlp.views(leaf[None], sizes)
    hidden = torch.relu(torch.relu(x @ w1[0] + b1[0]) * masks[0][0] @ w2[0] + b2[0]) * masks[1][0]
    nn.functional.cross_entropy(hidden @ w3[0] + b3[0], y).backward()
    stack = deep_mlp.Stack(flat[None].clone(), sizes)
    stack.backward(x[None], y[None], masks)
    torch.testing.assert_close(stack.gradients[0], leaf.grad, atol=1e-6, rtol=1e-4)


def test_each_network_is_clipped_on_its_own() -> None:
    stack = deep_mlp.Stack(torch.zeros(3, 16 * 4), [(15, 4)])
    stack.gradients[:] = torch.tensor([[3.0], [0.01], [3.0]])
    stack.clip(torch.tensor([10.0, 10.0, math.inf]))
    norms = stack.gradients.norm(dim=1)
    assert norms[0] == pytest.approx(10.0)
    assert norms[1] == pytest.approx(0.08)
    assert norms[2] == pytest.approx(24.0)


def test_a_stack_trains_each_run_as_alone() -> None:
    runs = [mlp_run(0, eta=0.01), mlp_run(1, 10, "sussillo"), mlp_run(2, 0.1, "simple", eta=0.3)]
    data = [samples(run.seed) for run in runs]
    together = deep_mlp.train(runs, [x for x, _ in data], [y for _, y in data])
    for run, (x, y), found in zip(runs, data, together, strict=True):
        alone = deep_mlp.train([dataclasses.replace(run, curves={}, metrics={})], [x], [y])[0]
        np.testing.assert_allclose(found["parameters"], alone["parameters"], atol=1e-6)


def clips(steps: int, folder: Path | None = None) -> list[Run]:
    """Never clipped, clipped from a later step on, at once, and again never."""
    clip_at = ("none", 0.48, 0.1, 1e6)
    return [mlp_run(0, clip, "simple", eta=0.01, steps=steps, folder=folder) for clip in clip_at]


def test_networks_that_differ_in_the_clip_are_one_until_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = samples()
    copied = []
    with_copy = deep_mlp.Stack.with_copy

    def counted(stack: deep_mlp.Stack, row: int) -> deep_mlp.Stack:
        copied.append(len(stack.flat))
        return with_copy(stack, row)

    monkeypatch.setattr(deep_mlp.Stack, "with_copy", counted)
    together = deep_mlp.train(clips(20), [x] * 4, [y] * 4)
    assert copied == [1, 2]
    for run, found in zip(clips(20), together, strict=True):
        alone = deep_mlp.train([run], [x], [y])[0]
        np.testing.assert_allclose(found["parameters"], alone["parameters"], atol=1e-6)
    assert all(not np.array_equal(together[0]["parameters"], together[i]["parameters"]) for i in (1, 2))
    np.testing.assert_array_equal(together[0]["parameters"], together[3]["parameters"])


@pytest.mark.parametrize("stack", ["seeds", "clips"])
def test_training_resumes_bit_for_bit(tmp_path: Path, stack: str) -> None:
    """Parameters of a stack, and the curves of all its runs."""
    x, y = samples()

    def two(folder: Path | None = None) -> list[Run]:
        if stack == "clips":
            return clips(6, folder)[1:3]
        return [mlp_run(0, eta=0.01, steps=6, folder=folder), mlp_run(1, eta=0.01, steps=6)]

    whole, again = two(), two(tmp_path)
    expected = deep_mlp.train(whole, [x, x], [y, y])
    broken = two()
    kill(lambda: deep_mlp.train(broken, [x, x], [y, y]), broken[0], tmp_path, after=3)
    found = deep_mlp.train(again, [x, x], [y, y])
    for one, other, before, after in zip(whole, again, expected, found, strict=True):
        np.testing.assert_array_equal(after["parameters"], before["parameters"])
        assert other.curves == one.curves


def test_zeros_stay_zeros_without_noise() -> None:
    x, y = samples()
    found = deep_mlp.train([mlp_run(init="zero", steps=50)], [x], [y])[0]
    (*hidden, (weight, bias)) = deep_mlp.views(torch.from_numpy(found["parameters"]), deep_mlp.layer_sizes(6, 12, 3, 4))
    assert all(not w.any() and not b.any() for w, b in hidden)
    assert not weight.any()
    assert bias.any()


def test_a_network_that_diverges_stops_no_other() -> None:
    x, y = samples()
    runs = [mlp_run(0, steps=40, rates=[0.1, 1e20])]
    found = deep_mlp.train(runs, [x], [y])[0]
    assert np.isfinite(found["parameters"]).all()
    assert not found["parameters"][1].any()
    assert found["parameters"][0].any()
    assert runs[0].metrics["train/diverged"] == 0.5


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("simple", 0.1), ("he", math.sqrt(2 / 50)), ("sussillo", 1.450 / math.sqrt(50)), ("zero", 0.0)],
)
def test_initial_deviations(kind: str, expected: float) -> None:
    assert deep_mlp.deviation(kind, 50, 50) == pytest.approx(expected, rel=1e-3)
    flat = deep_mlp.initial(kind, [(50, 50)] * 8, torch.Generator().manual_seed(0))
    weights = torch.cat([weight.flatten() for weight, _ in deep_mlp.views(flat[None], [(50, 50)] * 8)])
    assert float(weights.std()) == pytest.approx(expected, rel=0.03)


def test_the_paper_tier_has_the_protocol_of_the_paper() -> None:
    cells = make_plan(load_config(None, {"tier": "paper", "papers": ["gradient-noise"]})).cells
    deep = [cell for cell in cells if cell.experiment == "deep-mlp"]
    assert {cell.split["protocol"] for cell in deep} == {"public"}, "MNIST has an official test set"
    assert {(*cell.hyper["rates"], len(cell.seeds)) for cell in deep} == {(0.1, 0.01, 20)}
    (h, _) = (cell.hyper for cell in cells if cell.experiment == "neural-gpu")
    assert (h["train_bits"], h["test_bits"]) == (20, 200)


# ---- memory networks -------------------------------------------------------------------------------------------------


def toy_task() -> memory_network.Task:
    tokens = torch.tensor([[[1, 2, 0], [3, 2, 1], [4, 0, 0]], [[3, 2, 1], [0, 0, 0], [4, 2, 0]]])
    return memory_network.Task(tokens, torch.tensor([2, 3]), n_words=5)


def test_memory_network_is_the_model_written_out() -> None:
    """Three hops for one sample in plain loops; the empty slot of sample 1 takes part in the attention."""
    task = toy_task()
    nets = memory_network.Networks(task, 4, [torch.Generator().manual_seed(0)])
    A = nets.tables[0].double()
    d, J = 4, 4

    def embed(k: int, words: list[int], time: int | None) -> torch.Tensor:
        total = torch.zeros(d, dtype=torch.float64)
        entries = [(j, w) for j, w in enumerate(words, start=1)] + ([(J, 5 + time)] if time is not None else [])
        for j, w in entries:
            for i in range(1, d + 1):
                weight = 1 + 4 * (i - (d + 1) / 2) * (j - (J + 1) / 2) / (d * J)
                total[i - 1] += weight * A[k, w, i - 1]
        return total

    stories = [([[1, 2, 0], [3, 2, 1]], [4, 0, 0]), ([[3, 2, 1]], [4, 2, 0])]
    for linear in (False, True):
        got = nets.logits(
            nets.tables,
            torch.tensor([[0, 1]]),
            memory_network.plain_times(task.lengths, 2)[None],
            linear,
        )[0]
        for sample, (story, question) in enumerate(stories):
            u = embed(0, question, None)
            for hop in range(3):
                zero = torch.zeros(d, dtype=torch.float64)
                m = [embed(hop, words, t) for t, words in enumerate(story)] + [zero] * (2 - len(story))
                c = [embed(hop + 1, words, t) for t, words in enumerate(story)] + [zero] * (2 - len(story))
                p = torch.stack([torch.dot(row, u) for row in m])
                p = p if linear else p.softmax(0)
                u = u + sum(p[s] * c[s] for s in range(2))
            torch.testing.assert_close(got[sample].double(), A[3] @ u, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("linear", [False, True])
def test_gradients_of_memory_networks_are_those_of_autograd(linear: bool) -> None:
    """With and without softmax, for stories with empty slots and equal sentences."""
    generator = torch.Generator().manual_seed(0)
    sentences = torch.randint(6, (9, 4), generator=generator)
    tokens = sentences[torch.randint(9, (30, 6), generator=generator)]
    lengths = torch.randint(1, 6, (30,), generator=generator)
    tokens[:, :-1][torch.arange(5) >= lengths[:, None]] = 0
    task = memory_network.Task(tokens, torch.randint(1, 6, (30,), generator=generator), n_words=6)
    nets = memory_network.Networks(task, 5, [torch.Generator().manual_seed(seed) for seed in range(2)])
    tables = (5 * nets.tables).requires_grad_(True)
    batch = torch.randint(30, (2, 12), generator=generator)
    times = memory_network.time_indices(task.lengths[batch], 5, 0.5, [generator, generator])
    loss = nn.functional.cross_entropy(
        nets.logits(tables, batch, times, linear).flatten(0, 1), task.answers[batch].flatten(), reduction="none"
    )
    (expected,) = torch.autograd.grad(loss.sum(), tables)
    found, gradient = nets.gradients(tables.detach(), batch, times, linear)
    torch.testing.assert_close(found.flatten(), loss.detach(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradient, expected, atol=1e-5, rtol=1e-4)


def test_noise_of_several_steps_falls_with_them() -> None:
    generators = [torch.Generator().manual_seed(seed) for seed in range(2)]
    drawn = noise.of_stack((200, 100), range(99, 101), [0.0, 4.0], 0.55, generators)
    assert (drawn[:, 0] == 0).all()
    for step in range(2):
        assert float(drawn[step, 1].std()) == pytest.approx(schedule.standard_deviation(99 + step, 4.0), rel=0.02)


def test_times_are_in_order_with_gaps() -> None:
    lengths = torch.tensor([10, 3, 0]).repeat(200)
    (times,) = memory_network.time_indices(lengths[None], 10, 0.3, [torch.Generator().manual_seed(0)])
    for row, m in zip(times, lengths.tolist(), strict=True):
        assert (row[m:] == -1).all()
        assert (row[:m].diff() >= 0).all()
        assert (row[:m] <= 9).all()
    threes = times[lengths == 3][:, :3]
    assert {tuple(row.tolist()) for row in threes} == {(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)}
    blank = float((threes != torch.arange(3)).any(1).float().mean())
    assert 0.2 < blank < 0.55  # no blank with probability 1/2; one, outside of the story, with 1/8


@pytest.mark.parametrize("start", ["softmax", "linear"])
def test_memory_network_learns_and_restarts_do_not_mix(start: str) -> None:
    h = {
        "dimension": 8, "batch": 8, "epochs": 60, "rate": 0.02, "halve_every": 60, "linear_epochs": 2,
        "linear_rate": 0.01, "clip": 40.0, "blank": 0.1, "log_every": 30, "eta": 0.0, "gamma": 0.55,
    }  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    place = torch.randint(1, 4, (60, 4), generator=generator)
    tokens = torch.zeros(60, 5, 2, dtype=torch.int64)
    tokens[:, :4, 0], tokens[:, :4, 1] = 5, place  # where it is now: the latest sentence
    tokens[:, 4, 0] = 4
    task = memory_network.Task(tokens, place[:, 0], n_words=6)
    runs = [
        Run("gradient-noise", "memory-network", "none", "toy", {"start": start}, seed, "smoke", {**h, "eta": eta})
        for seed, eta in ((0, 0.0), (1, 1.0))
    ]
    together = memory_network.train(runs, task, 50)
    assert together[0]["train_error"] == 0.0
    assert together[0]["val_error"] == 0.0
    alone = memory_network.train([dataclasses.replace(runs[1], curves={}, metrics={}, counts={})], task, 50)[0]
    np.testing.assert_allclose(together[1]["tables"], alone["tables"], atol=1e-4)


# ---- programs --------------------------------------------------------------------------------------------------------


def test_products_are_right() -> None:
    given, product = neural_gpu.multiplication(5, 50, torch.Generator().manual_seed(0))
    for row, out in zip(given.tolist(), product.tolist(), strict=True):
        assert row[5] == 3
        a, b = (sum((bit - 1) << i for i, bit in enumerate(part)) for part in (row[:5], row[6:11]))
        assert sum((bit - 1) << i for i, bit in enumerate(out[:10])) == a * b
        assert out[10] == 0


def test_neural_gpu_merges_its_copies_and_learns_one_bit() -> None:
    h = {
        "maps": 12, "height": 2, "layers": 2, "copies": 2, "train_bits": 1, "batch": 32, "steps": 100, "epoch": 25,
        "learning_rate": 1e-2, "clip": 1.0, "dropout": 0.0, "pull": 5e-4, "merge_from": 5.5e-4, "success": 0.15,
        "eta": 0.0, "gamma": 0.55,
    }  # fmt: skip
    run = Run("gradient-noise", "neural-gpu", "none", "none", {}, 0, "smoke", h)
    net = neural_gpu.load(run, neural_gpu.train(run))
    assert neural_gpu.sequence_errors(net, 1, 64, 1, torch.Generator().manual_seed(1)) == 0.0
    net.merge()
    assert float(net.spread().detach()) == pytest.approx(0.0, abs=1e-8)


def test_questions_are_answered_right() -> None:
    batch = neural_programmer.questions(300, 6, torch.Generator().manual_seed(0))
    words = neural_programmer.WORDS
    for i in range(300):
        text = [words[w] for w in batch["words"][i].tolist() if w]
        table = batch["table"][i]
        chosen = torch.ones(6, dtype=torch.bool)
        comparisons = [w for w in text if w in ("greater", "lesser")]
        masks = [
            table > pivot if name == "greater" else table < pivot
            for name, pivot in zip(comparisons, batch["pivots"][i], strict=False)
        ]
        if masks:
            chosen = masks[0] if len(masks) == 1 else (masks[0] & masks[1] if "and" in text else masks[0] | masks[1])
        assert torch.equal(batch["lookup"][i].bool(), chosen)
        if text[-1] != "print":
            expected = table[chosen].sum() if text[-1] == "sum" else chosen.sum()
            assert float(batch["scalar"][i]) == pytest.approx(float(expected), abs=1e-4)
        assert bool(batch["is_lookup"][i]) == (text[-1] == "print")


def test_a_program_set_by_hand_answers_the_sum() -> None:
    """With the choices forced to `reset`, `reset`, `reset`, `sum` the scalar output is the table's sum."""
    net = neural_programmer.NeuralProgrammer(16)
    batch = neural_programmer.questions(20, 5, torch.Generator().manual_seed(0))
    program = iter([8, 8, 8, 0])

    def chosen(logits: torch.Tensor, hard: bool) -> torch.Tensor:
        if logits.shape[-1] == len(neural_programmer.OPERATIONS):
            out = torch.zeros_like(logits)
            out[:, next(program)] = 1.0
            return out
        return logits.softmax(-1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neural_programmer, "_choice", chosen)
        scalar, _ = net(batch)
    torch.testing.assert_close(scalar.detach(), batch["table"].sum(1), atol=1e-4, rtol=1e-4)


def test_a_program_known_from_the_words_answers_every_question() -> None:
    """The network reads no numbers: what it chooses may depend on the words alone, and must be able to be right."""
    batch = neural_programmer.questions(500, 6, torch.Generator().manual_seed(0))
    programs, numbers = [], []
    for row in batch["words"].tolist():
        text = [neural_programmer.WORDS[word] for word in row if word]
        comparisons = [word for word in text if word in ("greater", "lesser")]
        *_, end = text
        program = [*comparisons, *(word for word in text if word in ("and", "or")), {"print": "assign"}.get(end, end)]
        program = ["reset"] * (4 - len(program)) + program
        programs.append([neural_programmer.OPERATIONS.index(name) for name in program])
        numbers.append([comparisons.index(kind) if kind in comparisons else 0 for kind in ("greater", "lesser")])
    steps = iter(torch.tensor(programs).T)

    def chosen(logits: torch.Tensor, hard: bool) -> torch.Tensor:
        if logits.ndim == 3:
            return nn.functional.one_hot(torch.tensor(numbers), logits.shape[-1]).float()
        if logits.shape[-1] == len(neural_programmer.OPERATIONS):
            return nn.functional.one_hot(next(steps), logits.shape[-1]).float()
        return torch.ones_like(logits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neural_programmer, "_choice", chosen)
        assert neural_programmer.accuracy(neural_programmer.NeuralProgrammer(16), batch) == 1.0


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("add", lambda a, b: (a + b) % 8),
        ("sub", lambda a, b: (a - b) % 8),
        ("less", lambda a, b: int(a < b)),
        ("less-equal", lambda a, b: int(a <= b)),
        ("equal", lambda a, b: int(a == b)),
        ("min", min),
        ("max", max),
        ("inc", lambda a, b: (a + 1) % 8),
        ("dec", lambda a, b: (a - 1) % 8),
        ("zero", lambda a, b: 0),
        ("two", lambda a, b: 2),
    ],
)
def test_modules_on_sure_integers(name: str, function: Any) -> None:
    pairs = neural_ram.tables(8)
    a, b = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    one_hot = nn.functional.one_hot
    out = neural_ram.modules(one_hot(a.flatten(), 8).float(), one_hot(b.flatten(), 8).float(), name, pairs)
    expected = [function(i, j) for i, j in zip(a.flatten().tolist(), b.flatten().tolist(), strict=True)]
    assert out.argmax(1).tolist() == expected
    torch.testing.assert_close(out.sum(1), torch.ones(64))


def test_lists_are_linked() -> None:
    task = neural_ram.lists(50, 4, 14, torch.Generator().manual_seed(0))
    for memory, target in zip(task["memory"].tolist(), task["target"].tolist(), strict=True):
        at = memory[0]
        for _ in range(memory[1]):
            at = memory[at]
        assert memory[at + 1] == target
    with pytest.raises(ValueError, match="at least 14 integers"):
        neural_ram.lists(1, 5, 12, torch.Generator())


def test_machine_keeps_distributions() -> None:
    net = neural_ram.NeuralRAM(10, 4, 8)
    memories, stops = net(neural_ram.lists(6, 2, 10, torch.Generator().manual_seed(0))["memory"], 4)
    torch.testing.assert_close(memories.sum(3), torch.ones(4, 6, 10))
    torch.testing.assert_close(stops.sum(0), torch.ones(6))


# ---- verdicts --------------------------------------------------------------------------------------------------------


def judged(tmp_path: Path, sabotage: str, experiment: str, keep: Any, **hyper: Any) -> dict[str, str]:
    from claimbench.records.collect import collect

    values = {
        "tier": "laptop",
        "bundle_s": 1e6,
        "papers": ["gradient-noise"],
        "experiments": {"gradient-noise": [experiment]},
        "seeds": 4,
        "results_dir": str(tmp_path / sabotage),
        "data_dir": str(tmp_path / "data"),
        "overrides": {"gradient-noise": {experiment: {"hyper": {"sabotage": sabotage, **hyper}}}},
    }
    plan = make_plan(load_config(None, values))
    (whole,) = plan.jobs.values()
    job = dataclasses.replace(whole, runs=tuple(run for run in whole.runs if keep(run)))
    plan.jobs[job.id] = job
    for dataset in job.datasets:
        preparation.prepare(plan, dataset)
    executor = runner.Runner(plan)
    executor.fit(job)
    executor.score(job)
    collect(plan, "gradient-noise")
    return {row["claim_id"]: row["verdict"] for row in judge_paper(plan, "gradient-noise")}


def test_labels_out_of_order_turn_the_headline(tmp_path: Path) -> None:
    """Wider networks than the paper's, which escape sooner."""

    def keep(run: Any) -> bool:
        setting = run.cell.setting
        return (
            setting["init"] == "simple"
            and setting["depth"] == 20
            and setting["clip"] == "none"
            and run.cell.method != "dropout"
        )

    honest, sabotaged = (
        judged(tmp_path, name, "deep-mlp", keep, width=70, steps=2000, batch=20) for name in ("none", "shuffled-labels")
    )
    assert honest["C1"] in ("reproduced", "exceeded")
    assert sabotaged["C1"] in ("contradicted", "inconclusive")


def test_a_wrong_eta_turns_the_walk(tmp_path: Path) -> None:
    honest, sabotaged = (
        judged(tmp_path, name, "noise-walk", lambda run: True, times=[10, 50], weights=20000)
        for name in ("none", "eta-is-a-deviation")
    )
    assert (honest["C11"], sabotaged["C11"]) == ("reproduced", "contradicted")


def test_features() -> None:
    data = type("D", (), {"arrays": {"x": np.arange(24).reshape(6, 2, 2), "y": np.zeros(6)}})
    x, shift, scale = experiments.features(mlp_run(inputs="standardised"), data)  # type: ignore[arg-type]
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(x * scale + shift, np.arange(24).reshape(6, 4), rtol=1e-6)
    assert experiments.features(mlp_run(inputs="unit"), data)[0].max() == 1.0  # type: ignore[arg-type]
