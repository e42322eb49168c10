"""Very deep, thin ReLU networks (Section 4.1), many of them trained at once as one stack.

Gradients are written by hand: with the parameters of all networks in one buffer, an autograd graph of views would
write the whole buffer once for every layer.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from claimbench.papers.gradient_noise import noise
from claimbench.run import Run
from claimbench.training import StackLoop


def layer_sizes(n_features: int, width: int, depth: int, n_classes: int) -> list[tuple[int, int]]:
    """(fan in, fan out) of ``depth`` hidden layers and the output layer."""
    sizes = [n_features, *[width] * depth, n_classes]
    return list(itertools.pairwise(sizes))


def views(
    flat: Float[Tensor, "networks parameters"], sizes: list[tuple[int, int]]
) -> list[tuple[Float[Tensor, "networks _ _"], Float[Tensor, "networks 1 _"]]]:
    """Weights (networks, fan in, fan out) and biases (networks, 1, fan out) as views of (networks, parameters)."""
    found, first = [], 0
    for fan_in, fan_out in sizes:
        weight = flat[:, first : first + fan_in * fan_out].view(-1, fan_in, fan_out)
        first += fan_in * fan_out
        found.append((weight, flat[:, first : first + fan_out].view(-1, 1, fan_out)))
        first += fan_out
    return found


def initial(kind: str, sizes: list[tuple[int, int]], generator: torch.Generator) -> Float[Tensor, " parameters"]:
    """Parameters of one network; biases are zero.

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
        flat: their parameters.
        sizes: of the layers.
    """

    flat: Float[Tensor, "networks parameters"]
    sizes: list[tuple[int, int]]

    def __post_init__(self) -> None:
        self.layers = views(self.flat, self.sizes)
        self.gradients = torch.zeros_like(self.flat)
        self._gradient_layers = views(self.gradients, self.sizes)

    def logits(self, x: Float[Tensor, "#networks samples features"]) -> Float[Tensor, "networks samples classes"]:
        """Of all samples, the same for all networks or each network's own, without dropout."""
        return self._forward(x, None, [])

    def _forward(self, x: Tensor, masks: list[Tensor] | None, kept: list[Tensor]) -> Tensor:
        activation = x.expand(len(self.flat), -1, -1)
        for index, (weight, bias) in enumerate(self.layers[:-1]):
            kept.append(activation)
            activation = torch.baddbmm(bias, activation, weight).relu_()
            if masks is not None:
                activation = activation * masks[index]
        kept.append(activation)
        weight, bias = self.layers[-1]
        return torch.baddbmm(bias, activation, weight)

    def backward(
        self,
        x: Float[Tensor, "networks batch features"],
        y: Int[Tensor, "networks batch"],
        masks: list[Float[Tensor, "networks batch width"]] | None = None,
    ) -> Float[Tensor, " networks"]:
        """Fill :attr:`gradients` with those of the mean cross-entropy.

        The derivative of ReLU at 0 is 0, so that networks of zeros have zero gradients but for the output bias.

        Args:
            x: a batch for each network.
            y: its classes.
            masks: for each hidden layer 0 or 1 / keep probability (dropout).

        Returns:
            The losses.
        """
        kept: list[Tensor] = []
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

    def norms(self) -> Float[Tensor, " networks"]:
        """Of the gradients."""
        return self.gradients.norm(dim=1)

    def clip(self, limits: Float[Tensor, " networks"]) -> None:
        """Scale the gradient of each network to a norm of at most its limit."""
        norms = self.norms()
        if bool((norms > limits).any()):
            self.gradients *= (limits / norms.clamp_min(1e-30)).clamp(max=1.0)[:, None]

    def with_copy(self, row: int) -> Stack:
        """This stack and one more network, with the parameters and the gradient of network ``row``."""
        found = Stack(torch.cat([self.flat, self.flat[row : row + 1]]), self.sizes)
        found.gradients.copy_(torch.cat([self.gradients, self.gradients[row : row + 1]]))
        return found


@dataclass(frozen=True)
class Member:
    """One network to be trained: a learning rate of a run, with the run's number among those of the stack."""

    run: Run
    rate: float
    number: int

    @property
    def limit(self) -> float:
        """Largest norm of the gradient."""
        clip = self.run.setting["clip"]
        return math.inf if clip == "none" else float(clip)

    @property
    def stream(self) -> tuple[int, float]:
        """Members with equal streams draw equal batches, noise and dropout."""
        return self.run.seed, self.rate


def train(runs: list[Run], x: list[Float[Tensor, "_ features"]], y: list[Int[Tensor, " _"]]) -> list[dict[str, Any]]:
    """Train one network for each run and learning rate with plain SGD (Section 4.1).

    The runs share depth, steps, batch size, learning rates, dropout and data shape; initialisation, clipping, noise,
    data and random streams are each run's own. The networks of one run differ in the learning rate alone. Networks that
    differ in the clipping alone are one until a gradient is first clipped, and equal streams are drawn once.

    Args:
        runs: with the settings ``init``, ``clip`` and ``depth``; those of one seed have the same data.
        x: for each run (samples, features).
        y: for each run (samples,).

    Returns:
        For each run the ``parameters`` (rates, parameters) after the last step, and ``escape_steps`` (rates): the first
        logged step at which more than half of a fixed sample of training data is right (-1: never).
    """
    h, device = runs[0].h, runs[0].device
    sizes = layer_sizes(x[0].shape[1], h.width, int(runs[0].setting["depth"]), h.n_classes)
    members = [Member(run, rate, number) for number, run in enumerate(runs) for rate in h.rates]
    first: dict[str, int] = {}
    for i in sorted(range(len(members)), key=lambda i: -members[i].limit):
        first.setdefault(_but_for_clip(members[i]), i)
    owners = sorted(first.values())  # whose limit holds for each network of the stack
    row_of = [owners.index(first[_but_for_clip(member)]) for member in members]
    start = [
        initial(members[i].run.setting["init"], sizes, members[i].run.torch_generator("init", device="cpu"))
        for i in owners
    ]
    stack = Stack(torch.stack(start).to(device), sizes)
    keys = sorted({member.stream for member in members})
    one_of = {member.stream: member for member in members}
    streams = {
        name: [one_of[key].run.torch_generator(f"{name} {key[1]}", device=place) for key in keys]
        for name, place in (("batches", "cpu"), ("noise", device), ("dropout", device))
    }
    n = min(len(part) for part in x)
    inputs = torch.stack([part[:n] for part in x]).to(device)
    labels = torch.stack([part[:n] for part in y]).to(device)
    scratch = torch.empty(stack.flat.shape[1], device=device)
    state: dict[str, Any] = {
        "flat": stack.flat, "owners": owners, "row_of": row_of, "escaped": [-1] * len(members),
    }  # fmt: skip
    parts = {f"{name} {i}": stream for name, several in streams.items() for i, stream in enumerate(several)}
    # what is stacked is part of the name: another group of runs must not go on from this one's state
    who = [f"{m.run.seed}/{m.run.setting['init']}/{m.run.setting['clip']}/{m.rate}" for m in members]
    loop = StackLoop(runs, " ".join(who), h.steps, state=state, **parts)
    if state["flat"] is not stack.flat:
        stack = Stack(state["flat"], sizes)
    rows = _Rows([members[i] for i in state["owners"]], keys, device)
    for step in loop:
        chosen = torch.stack([torch.randint(n, (h.batch,), generator=g) for g in streams["batches"]]).to(device)
        chosen, of = chosen[rows.stream], rows.number[:, None]
        masks = None
        if h.dropout > 0:
            masks = [m[rows.stream] for m in _masks(h.dropout, (h.batch, h.width), len(sizes) - 1, streams["dropout"])]
        loss = stack.backward(inputs[of, chosen], labels[of, chosen], masks)
        if len(state["owners"]) < len(members):
            norms = stack.norms().tolist()
            for i, member in enumerate(members):
                row = state["row_of"][i]
                if state["owners"][row] != i and norms[row] > member.limit:
                    stack = stack.with_copy(row)
                    loss = torch.cat([loss, loss[row : row + 1]])
                    state["row_of"][i] = len(state["owners"])
                    state["owners"].append(i)
            if len(rows.members) < len(state["owners"]):
                state["flat"] = stack.flat
                rows = _Rows([members[i] for i in state["owners"]], keys, device)
        if rows.clipped:
            stack.clip(rows.limits)
        noise.add_to_stack(stack.gradients, step, rows.etas, h.gamma, streams["noise"], scratch, rows.streams)
        stack.flat.addcmul_(stack.gradients, rows.rates, value=-1.0)
        if (step + 1) % h.log_every == 0 or step + 1 == h.steps:
            logits = stack.logits(inputs[rows.number, : h.probe])
            right = (logits.argmax(2) == labels[rows.number, : h.probe]).float().mean(1).tolist()
            for i, (member, row) in enumerate(zip(members, state["row_of"], strict=True)):
                if loss[row].isfinite():
                    member.run.curve(f"train/loss lr {member.rate}", step + 1, float(loss[row]))
                member.run.curve(f"train/accuracy lr {member.rate}", step + 1, right[row])
                if right[row] > 0.5 and state["escaped"][i] < 0:
                    state["escaped"][i] = step + 1
    # a network that diverged counts as one that learned nothing; the others of the stack go on
    diverged = ~stack.flat.isfinite().all(1)
    stack.flat[diverged] = 0.0
    flat, lost = stack.flat[state["row_of"]].cpu().numpy(), diverged[state["row_of"]].float().tolist()
    found = []
    for number, run in enumerate(runs):
        part = slice(number * len(h.rates), (number + 1) * len(h.rates))
        escaped = state["escaped"][part]
        run.count(n_params=stack.flat.shape[1], steps=h.steps)
        run.metric("train/diverged", sum(lost[part]) / len(h.rates))
        run.metric("train/escaped", sum(step > 0 for step in escaped) / len(escaped))
        found.append({"parameters": flat[part], "escape_steps": escaped})
    return found


def _but_for_clip(member: Member) -> str:
    """What two members have in common that are one network as long as no gradient is clipped."""
    return repr((member.stream, member.run.setting["init"], sorted(member.run.hyper.items())))


class _Rows:
    """What the networks of a stack need in every step, by row."""

    def __init__(self, members: list[Member], streams: list[tuple[int, float]], device: str) -> None:
        self.members = members
        self.number = torch.tensor([member.number for member in members], device=device)
        self.streams = [streams.index(member.stream) for member in members]
        self.stream = torch.tensor(self.streams, device=device)
        self.rates = torch.tensor([member.rate for member in members], device=device)[:, None]
        self.limits = torch.tensor([member.limit for member in members], device=device)
        self.etas = [member.run.h.eta for member in members]
        self.clipped = any(member.limit < math.inf for member in members)


def _masks(dropout: float, shape: tuple[int, int], layers: int, generators: list[torch.Generator]) -> list[Tensor]:
    """For each layer (networks, batch, width) of 0 or 1 / (1 - dropout)."""
    drawn = torch.stack([torch.rand(layers, *shape, generator=g, device=g.device) for g in generators], 1)
    return list((drawn < 1 - dropout).float().mul_(1 / (1 - dropout)))
