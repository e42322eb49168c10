"""Neural GPU on binary multiplication (Section 4.5; Kaiser and Sutskever 2015).

A tensor of length x height x maps runs through convolutional gated units, as many times as the input is long. The
parameter-sharing relaxation, the curriculum and the sizes are those of the public TensorFlow code.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from claimbench.nn.state import pack, unpack
from claimbench.papers.gradient_noise.noise import GradientNoise
from claimbench.run import Run
from claimbench.training import Loop

#: 0 is padding; digits 0 and 1 are 1 and 2; the times sign is 3
SYMBOLS = 4


def multiplication(
    bits: int, batch: int, generator: torch.Generator
) -> tuple[Int[Tensor, "batch length"], Int[Tensor, "batch length"]]:
    """``a * b`` with numbers of ``bits`` bits, least significant first, and their product of ``2 bits`` bits.

    Args:
        bits: of each factor.
        batch: number of tasks.
        generator: of the bits.

    Returns:
        Input and output of length ``2 bits + 1``, symbols.
    """
    length = 2 * bits + 1
    factors = torch.randint(2, (2, batch, bits), generator=generator)
    given = torch.zeros(batch, length, dtype=torch.int64)
    given[:, :bits], given[:, bits], given[:, bits + 1 : 2 * bits + 1] = factors[0] + 1, 3, factors[1] + 1
    product = torch.zeros(batch, length, dtype=torch.int64)
    for row, (a, b) in enumerate(zip(factors[0].tolist(), factors[1].tolist(), strict=True)):
        value = _number(a) * _number(b)  # Python's integers: the products have hundreds of bits
        product[row, : 2 * bits] = torch.tensor([1 + (value >> i & 1) for i in range(2 * bits)])
    return given, product


def _number(bits: list[int]) -> int:
    return sum(bit << i for i, bit in enumerate(bits))


def hard_sigmoid(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """``min(1, max(0, 1.2 sigmoid(x) - 0.1))``: reaches 0 and 1."""
    return (1.2 * torch.sigmoid(x) - 0.1).clamp(0, 1)


class NeuralGPU(nn.Module):
    """``copies`` sets of recurrent weights are used in turn and pulled together during training.

    Args:
        maps: channels.
        height: of the state.
        layers: convolutional gated units a step.
        copies: sets of weights.
    """

    def __init__(self, maps: int = 24, height: int = 4, layers: int = 2, copies: int = 6) -> None:
        super().__init__()
        self.maps, self.height, self.layers = maps, height, layers
        self.embedding = nn.Embedding(SYMBOLS, maps)
        # for every copy and layer: reset and update gate together, then the candidate
        self.gates = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(maps, 2 * maps, 3, padding=1) for _ in range(layers)) for _ in range(copies)
        )
        self.candidates = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(maps, maps, 3, padding=1) for _ in range(layers)) for _ in range(copies)
        )
        self.output = nn.Linear(maps, SYMBOLS)

    def forward(
        self, given: Int[Tensor, "batch length"], dropout: float = 0.0, generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch length symbols"]:
        """Logits of the output; the state is thinned out before each step."""
        batch, length = given.shape
        state = self.embedding.weight.new_zeros(batch, self.maps, length, self.height)
        state[..., 0] = torch.tanh(self.embedding(given)).transpose(1, 2)
        for step in range(length):
            copy = step % len(self.gates)
            if dropout > 0:
                kept = torch.rand(state.shape, generator=generator, device=state.device) >= dropout
                state = state * kept / (1 - dropout)
            for layer in range(self.layers):
                reset, keep = hard_sigmoid(self.gates[copy][layer](state) + 1).chunk(2, 1)
                candidate = torch.tanh(self.candidates[copy][layer](reset * state))
                state = keep * state + (1 - keep) * candidate
        return self.output(state[..., 0].transpose(1, 2))

    def recurrent(self) -> list[list[nn.Parameter]]:
        """For each recurrent parameter its copies."""
        sets = [[*g.parameters(), *c.parameters()] for g, c in zip(self.gates, self.candidates, strict=True)]
        return [list(copies) for copies in zip(*sets, strict=True)]

    def spread(self) -> Float[Tensor, ""]:
        """Sum over recurrent parameters of the squared distance of their copies from the mean."""
        stacked = [torch.stack(list(copies)) for copies in self.recurrent()]
        return torch.stack([(copies - copies.mean(0)).square().sum() for copies in stacked]).sum()

    def merge(self) -> None:
        """Set all copies to their mean."""
        with torch.no_grad():
            for copies in self.recurrent():
                mean = torch.stack(list(copies)).mean(0)
                for copy in copies:
                    copy.copy_(mean)


def sequence_errors(net: NeuralGPU, bits: int, batch: int, repeats: int, generator: torch.Generator) -> float:
    """Share of products with a wrong bit, for factors of ``bits`` bits."""
    wrong = 0
    device = net.output.weight.device
    with torch.no_grad():
        for _ in range(repeats):
            given, product = multiplication(bits, batch, generator)
            guessed = net(given.to(device)).argmax(2).cpu()
            wrong += int((guessed != product).any(1).sum())
    return wrong / (batch * repeats)


def train(run: Run) -> dict[str, Any]:
    """Train on factors whose length grows with success, up to ``run.h.train_bits``; Adam, gradients clipped to 1."""
    h = run.h
    with run.torch_stream("init"):
        net = NeuralGPU(h.maps, h.height, h.layers, h.copies).to(run.device)
    generator = run.torch_generator("tasks", device="cpu")
    noises, drops = run.torch_generator("noise"), run.torch_generator("dropout")
    optimizer = GradientNoise(
        torch.optim.Adam(net.parameters(), lr=h.learning_rate, eps=1e-4),
        h.eta,
        h.gamma,
        noises,
        clip=lambda: nn.utils.clip_grad_norm_(net.parameters(), h.clip),
    )
    state: dict[str, Any] = {"bits": 1, "pull": h.pull, "merged": False, "error": 1.0}
    loop = Loop(
        run, "train", h.steps, net=net, optimizer=optimizer, tasks=generator, noise=noises, drops=drops, state=state
    )
    for step in loop:
        # mostly the current length; one batch in five a shorter one, so that nothing is forgotten
        bits = state["bits"]
        if torch.rand((), generator=generator) < 0.2:
            bits = int(torch.randint(1, bits + 1, (), generator=generator))
        given, product = multiplication(bits, h.batch, generator)
        length = given.shape[1]
        logits = net(given.to(run.device), h.dropout * min(1.0, 8 / length), drops)
        target = product.to(run.device)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())
        total = loss + (0.0 if state["merged"] else state["pull"] * net.spread())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        if state["merged"]:
            net.merge()
        wrong = float((logits.argmax(2) != target).any(1).float().mean())
        state["error"] = 0.95 * state["error"] + 0.05 * wrong
        if (step + 1) % h.epoch == 0:
            run.curve("train/loss", step + 1, run.finite(float(loss.detach())))
            run.curve("train/bits", step + 1, state["bits"])
            if state["error"] < h.success:
                if state["bits"] < h.train_bits:
                    state["bits"] += 1
                    state["error"] = 1.0
                if not state["merged"]:
                    state["pull"] *= 1.2
                    if state["pull"] > h.merge_from:
                        net.merge()
                        state["merged"] = True
    run.count(n_params=sum(p.numel() for p in net.parameters()), steps=h.steps)
    return {"bits": state["bits"], **pack(net)}


def load(run: Run, artifact: dict[str, Any]) -> NeuralGPU:
    """The trained network of an artifact of :func:`train`."""
    net = NeuralGPU(run.h.maps, run.h.height, run.h.layers, run.h.copies)
    return unpack(net, artifact)
