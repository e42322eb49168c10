"""Very deep, thin ReLU networks (Section 4.1), many of them trained at once as one stack.

Gradients are written by hand: with the parameters of all networks in one buffer, an autograd graph of views would
write the whole buffer once for every layer.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from claimbench.papers.gradient_noise import noise
from claimbench.training import StackLoop

if TYPE_CHECKING:
    from claimbench.run import Run


def layer_sizes(n_features: int, width: int, depth: int, n_classes: int) -> list[tuple[int, int]]:
    """(fan in, fan out) of ``depth`` hidden layers and the output layer."""
    sizes = [n_features, *[width] * depth, n_classes]
    return list(itertools.pairwise(sizes))


def views(flat: torch.Tensor, sizes: list[tuple[int, int]]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Weights (networks, fan in, fan out) and biases (networks, 1, fan out) as views of (networks, parameters)."""
    found, first = [], 0
    for fan_in, fan_out in sizes:
        weight = flat[:, first : first + fan_in * fan_out].view(-1, fan_in, fan_out)
        first += fan_in * fan_out
        found.append((weight, flat[:, first : first + fan_out].view(-1, 1, fan_out)))
        first += fan_out
    return found


def initial(kind: str, sizes: list[tuple[int, int]], generator: torch.Generator) -> torch.Tensor:
    """Parameters (parameters,) of one network; biases are zero.

    Args:
        kind: ``simple`` N(0, 0.1^2) whatever the fan-in; ``he`` N(0, 2 / fan in); ``sussillo`` N(0, g^2 / fan in) with
            g = sqrt(2) exp(1.2 / (max(N, 6) - 2.4)), N the fan-out (Sussillo and Abbott 2014); ``zero``.
    """
    flat = torch.zeros(1, sum((fan_in + 1) * fan_out for fan_in, fan_out in sizes))
    for (weight, _), (fan_in, fan_out) in zip(views(flat, sizes), sizes, strict=True):
        weight.copy_(torch.randn(weight.shape, generator=generator) * deviation(kind, fan_in, fan_out))
    return flat[0]


def deviation(kind: str, fan_in: int, fan_out: int) -> float:
    """Standard deviation of a weight at the start."""
    if kind == "simple":
        return 0.1
    if kind == "he":
        return math.sqrt(2.0 / fan_in)
    if kind == "sussillo":
        return math.sqrt(2.0 / fan_in) * math.exp(1.2 / (max(fan_out, 6) - 2.4))
    if kind == "zero":
        return 0.0
    raise ValueError(f"initialisation is {kind!r}; allowed: simple, he, sussillo, zero")


@dataclass
class Stack:
    """Networks of one shape.

    Args:
        flat: (networks, parameters).
        sizes: of the layers.
    """

    flat: torch.Tensor
    sizes: list[tuple[int, int]]

    def __post_init__(self) -> None:
        self.layers = views(self.flat, self.sizes)
        self.gradients = torch.zeros_like(self.flat)
        self._gradient_layers = views(self.gradients, self.sizes)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """(networks, samples, classes) of ``x`` (networks or 1, samples, features), without dropout."""
        return self._forward(x, None, [])

    def _forward(self, x: torch.Tensor, masks: list[torch.Tensor] | None, kept: list[torch.Tensor]) -> torch.Tensor:
        activation = x.expand(len(self.flat), -1, -1)
        for index, (weight, bias) in enumerate(self.layers[:-1]):
            kept.append(activation)
            activation = torch.baddbmm(bias, activation, weight).relu_()
            if masks is not None:
                activation = activation * masks[index]
        kept.append(activation)
        weight, bias = self.layers[-1]
        return torch.baddbmm(bias, activation, weight)

    def backward(self, x: torch.Tensor, y: torch.Tensor, masks: list[torch.Tensor] | None = None) -> torch.Tensor:
        """Fill :attr:`gradients` with those of the mean cross-entropy.

        The derivative of ReLU at 0 is 0, so that networks of zeros have zero gradients but for the output bias.

        Args:
            x: (networks, batch, features).
            y: (networks, batch) int64.
            masks: for each hidden layer (networks, batch, width), 0 or 1 / keep probability (dropout).

        Returns:
            Loss of each network (networks,).
        """
        kept: list[torch.Tensor] = []
        log_p = torch.log_softmax(self._forward(x, masks, kept), dim=2)
        loss = -log_p.gather(2, y[..., None]).mean((1, 2))
        delta = log_p.exp()
        delta.scatter_add_(2, y[..., None], torch.full_like(log_p[..., :1], -1.0))
        delta /= y.shape[1]
        for index in range(len(self.layers) - 1, -1, -1):
            into_weight, into_bias = self._gradient_layers[index]
            # by way of a product of its own: bmm has no batched path into a view with gaps
            into_weight.copy_(torch.bmm(kept[index].transpose(1, 2), delta))
            torch.sum(delta, 1, keepdim=True, out=into_bias)
            if index:
                delta = torch.bmm(delta, self.layers[index][0].transpose(1, 2))
                if masks is not None:
                    delta *= masks[index - 1]
                delta = torch.ops.aten.threshold_backward(delta, kept[index], 0.0)
        return loss

    def clip(self, limits: torch.Tensor) -> None:
        """Scale the gradient of each network to a norm of at most its limit (networks,)."""
        norms = self.gradients.norm(dim=1)
        self.gradients *= (limits / norms.clamp_min(1e-30)).clamp(max=1.0)[:, None]


def train(runs: list[Run], x: list[torch.Tensor], y: list[torch.Tensor]) -> list[dict[str, Any]]:
    """Train one network for each run and learning rate with plain SGD (Section 4.1).

    The runs share depth, steps, batch size, learning rates, dropout and data shape; initialisation, clipping, noise,
    data and random streams are each run's own. The networks of one run differ in the learning rate alone.

    Args:
        runs: with the settings ``init``, ``clip`` and ``depth``.
        x: for each run (samples, features).
        y: for each run (samples,).

    Returns:
        For each run the ``parameters`` (rates, parameters) after the last step, and ``escape_steps`` (rates): the first
        logged step at which more than half of a fixed sample of training data is right (-1: never).
    """
    h, device = runs[0].h, runs[0].device
    sizes = layer_sizes(x[0].shape[1], h.width, int(runs[0].setting["depth"]), h.n_classes)
    members = [(run, rate) for run in runs for rate in h.rates]
    start = [initial(run.setting["init"], sizes, run.torch_generator("init")) for run, _ in members]
    stack = Stack(torch.stack(start).to(device), sizes)
    rates = torch.tensor([rate for _, rate in members], device=device)[:, None]
    clips = [run.setting["clip"] for run, _ in members]
    limits = torch.tensor([math.inf if clip == "none" else float(clip) for clip in clips], device=device)
    streams = {
        name: [
            torch.Generator(place).manual_seed(run.torch_generator(f"{name} {rate}").initial_seed())
            for run, rate in members
        ]
        for name, place in (("batches", "cpu"), ("noise", device), ("dropout", device))
    }
    n = min(len(part) for part in x)
    of = torch.arange(len(runs), device=device).repeat_interleave(len(h.rates))
    inputs = torch.stack([part[:n] for part in x]).to(device)
    labels = torch.stack([part[:n] for part in y]).to(device)
    probe = inputs[of, : h.probe], labels[of, : h.probe]
    scratch = torch.empty(stack.flat.shape[1], device=device)
    state: dict[str, Any] = {"flat": stack.flat, "escaped": [-1] * len(members)}
    parts = {f"{name} {i}": stream for name, several in streams.items() for i, stream in enumerate(several)}
    # what is stacked is part of the name: another group of runs must not go on from this one's state
    who = [f"{run.seed}/{run.setting['init']}/{run.setting['clip']}/{rate}" for run, rate in members]
    loop = StackLoop(runs, " ".join(who), h.steps, state=state, **parts)
    if state["flat"] is not stack.flat:
        stack.flat.copy_(state["flat"])
        state["flat"] = stack.flat
    for step in loop:
        chosen = torch.stack([torch.randint(n, (h.batch,), generator=g) for g in streams["batches"]]).to(device)
        masks = _masks(h.dropout, (h.batch, h.width), len(sizes) - 1, streams["dropout"]) if h.dropout > 0 else None
        loss = stack.backward(inputs[of[:, None], chosen], labels[of[:, None], chosen], masks)
        if any(clip != "none" for clip in clips):
            stack.clip(limits)
        etas = [run.h.eta for run, _ in members]
        noise.add_to_stack(stack.gradients, step, etas, h.gamma, streams["noise"], scratch)
        stack.flat.addcmul_(stack.gradients, rates, value=-1.0)
        if (step + 1) % h.log_every == 0 or step + 1 == h.steps:
            right = (stack.logits(probe[0]).argmax(2) == probe[1]).float().mean(1)
            for i, (run, rate) in enumerate(members):
                if loss[i].isfinite():
                    run.curve(f"train/loss lr {rate}", step + 1, float(loss[i]))
                run.curve(f"train/accuracy lr {rate}", step + 1, float(right[i]))
                if right[i] > 0.5 and state["escaped"][i] < 0:
                    state["escaped"][i] = step + 1
    # a network that diverged counts as one that learned nothing; the others of the stack go on
    diverged = ~stack.flat.isfinite().all(1)
    stack.flat[diverged] = 0.0
    parameters = stack.flat.view(len(runs), len(h.rates), -1).cpu().numpy()
    found = []
    for i, run in enumerate(runs):
        escaped = state["escaped"][i * len(h.rates) : (i + 1) * len(h.rates)]
        run.count(n_params=stack.flat.shape[1], steps=h.steps)
        run.metric("train/diverged", float(diverged[of == i].float().mean()))
        run.metric("train/escaped", sum(step > 0 for step in escaped) / len(escaped))
        found.append({"parameters": parameters[i], "escape_steps": escaped})
    return found


def _masks(
    dropout: float, shape: tuple[int, int], layers: int, generators: list[torch.Generator]
) -> list[torch.Tensor]:
    """For each layer (networks, batch, width) of 0 or 1 / (1 - dropout)."""
    return [
        torch.stack([torch.rand(shape, generator=g, device=g.device) < 1 - dropout for g in generators]).float()
        / (1 - dropout)
        for _ in range(layers)
    ]
