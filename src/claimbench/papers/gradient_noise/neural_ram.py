"""Neural random-access machine on the k-th element of a linked list (Section 4.4; Kurach et al. 2015).

Registers and memory cells hold distributions over the integers 0..M-1. In every step a controller, which sees only the
probability that each register is 0, wires fourteen modules to registers and earlier modules, and registers to all
of them.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from claimbench.nn.state import pack, unpack
from claimbench.papers.gradient_noise.noise import GradientNoise
from claimbench.run import Run
from claimbench.training import Loop

MODULES = (
    "read", "zero", "one", "two", "inc", "add", "sub", "dec", "less", "less-equal", "equal", "min", "max", "write",
)  # fmt: skip


def lists(batch: int, elements: int, integers: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Linked lists at random places; cells 0 to 2 hold the address of the head, k, and the address for the answer.

    An element is two cells: the address of the next (of itself at the end) and a value.

    Args:
        batch: number of lists.
        elements: of each list; ``2 elements + 4 <= integers``.
        integers: M, also the number of cells.

    Returns:
        ``memory`` (batch, M) int64, ``target`` (batch,) value of the k-th element, ``place`` (batch,) where it
        is wanted.
    """
    if 2 * elements + 4 > integers:
        raise ValueError(f"{elements} elements need at least {2 * elements + 4} integers, there are {integers}")
    memory = torch.zeros(batch, integers, dtype=torch.int64)
    slots = (integers - 4) // 2
    order = torch.rand(batch, slots, generator=generator).argsort(1)[:, :elements]
    address = 4 + 2 * order  # of the elements in the list's order
    value = torch.randint(integers, (batch, elements), generator=generator)
    k = torch.randint(elements, (batch,), generator=generator)
    following = torch.cat([address[:, 1:], address[:, -1:]], 1)
    memory.scatter_(1, address, following)
    memory.scatter_(1, address + 1, value)
    memory[:, 0], memory[:, 1], memory[:, 2] = address[:, 0], k, 3
    target = value.gather(1, k[:, None])[:, 0]
    return {"memory": memory, "target": target, "place": torch.full((batch,), 3)}


def modules(
    a: Float[Tensor, "batch integers"],
    b: Float[Tensor, "batch integers"],
    name: str,
    pairs: dict[str, Int[Tensor, "integers integers"]],
) -> Float[Tensor, "batch integers"]:
    """Distribution (batch, M) of a module's output for distributions of its inputs.

    Args:
        a: of the first input.
        b: of the second.
        name: of the module (not read and write, which need the memory).
        pairs: of :func:`tables`.
    """
    integers = a.shape[1]
    if name in ("zero", "one", "two"):
        out = torch.zeros_like(a)
        out[:, ("zero", "one", "two").index(name)] = 1.0
        return out
    if name == "inc":
        return a.roll(1, 1)
    if name == "dec":
        return a.roll(-1, 1)
    joint = (a[:, :, None] * b[:, None, :]).flatten(1)
    return joint @ nn.functional.one_hot(pairs[name].flatten(), integers).to(a)


def tables(integers: int, device: torch.device | str = "cpu") -> dict[str, Int[Tensor, "integers integers"]]:
    """For each module of two inputs its value at (first, second), (M, M)."""
    i = torch.arange(integers, device=device)[:, None]
    j = torch.arange(integers, device=device)[None]
    found = {
        "add": (i + j) % integers,
        "sub": (i - j) % integers,
        "less": (i < j).long(),
        "less-equal": (i <= j).long(),
        "equal": (i == j).long(),
        "min": torch.minimum(i, j),
        "max": torch.maximum(i, j),
    }
    return {name: value.expand(integers, integers) for name, value in found.items()}


class NeuralRAM(nn.Module):
    """The machine (Kurach et al. 2015, section 3).

    Args:
        integers: M, also the number of cells.
        registers: of the machine.
        size: of the controller's LSTM.
    """

    def __init__(self, integers: int, registers: int, size: int) -> None:
        super().__init__()
        self.integers, self.registers = integers, registers
        self.controller = nn.LSTMCell(registers, size)
        self.sources = [registers + index for index in range(len(MODULES))]
        # two inputs of every module, what every register takes, and the wish to stop
        outputs = 2 * sum(self.sources) + registers * (registers + len(MODULES)) + 1
        self.wiring = nn.Linear(size, outputs)
        self.start = nn.Parameter(torch.randn(registers, integers) * 0.1)

    def forward(
        self, memory: Int[Tensor, "batch integers"], steps: int
    ) -> tuple[Float[Tensor, "steps batch integers integers"], Float[Tensor, "steps batch"]]:
        """Memories after each step (steps, batch, M cells, M) and the probability to stop there (steps, batch)."""
        batch = memory.shape[0]
        cells = nn.functional.one_hot(memory, self.integers).to(self.start)
        registers = self.start.softmax(1).expand(batch, -1, -1)
        pairs = tables(self.integers, memory.device)
        state: tuple[torch.Tensor, torch.Tensor] | None = None
        left = self.start.new_ones(batch)
        memories, stops = [], []
        for step in range(steps):
            state = self.controller(registers[:, :, 0], state)
            wires = self.wiring(state[0])
            values, first = registers, 0
            for name, sources in zip(MODULES, self.sources, strict=True):
                a, b = (
                    torch.einsum(
                        "bs,bsm->bm", wires[:, first + i * sources : first + (i + 1) * sources].softmax(1), values
                    )
                    for i in range(2)
                )
                first += 2 * sources
                if name == "read":
                    out = torch.einsum("bc,bcm->bm", a, cells)
                elif name == "write":
                    cells = (1 - a)[:, :, None] * cells + a[:, :, None] * b[:, None, :]
                    out = torch.zeros_like(a)
                    out[:, 0] = 1.0
                else:
                    out = modules(a, b, name, pairs)
                values = torch.cat([values, out[:, None]], 1)
            choice = wires[:, first:-1].view(batch, self.registers, -1).softmax(2)
            registers = choice @ values
            stop = torch.sigmoid(wires[:, -1]) if step + 1 < steps else torch.ones_like(left)
            memories.append(cells)
            stops.append(left * stop)
            left = left * (1 - stop)
        return torch.stack(memories), torch.stack(stops)


def loss(net: NeuralRAM, task: dict[str, Tensor], steps: int) -> tuple[Float[Tensor, ""], Bool[Tensor, " batch"]]:
    """Expected negative log likelihood of the answer's cell over the stopping time, and which answers are right when
    the machine stops at its likeliest time."""
    memories, stops = net(task["memory"], steps)
    rows = torch.arange(task["memory"].shape[0], device=memories.device)
    cell = memories[:, rows, task["place"]]  # (steps, batch, M)
    log_p = cell.clamp_min(1e-6).log()[:, rows, task["target"]]
    when = stops.argmax(0)
    right = cell[when, rows].argmax(1) == task["target"]
    return -(stops * log_p).sum(0).mean(), right


def train(run: Run) -> dict[str, Any]:
    """Adam with noise after clipping; lists grow with success."""
    h = run.h
    with run.torch_stream("init"):
        net = NeuralRAM(h.integers, h.registers, h.size).to(run.device)
    tasks = run.torch_generator("tasks", device="cpu")
    noises = run.torch_generator("noise")
    optimizer = GradientNoise(
        torch.optim.Adam(net.parameters(), lr=h.learning_rate),
        h.eta,
        h.gamma,
        noises,
        clip=lambda: nn.utils.clip_grad_norm_(net.parameters(), h.clip),
    )
    state: dict[str, Any] = {"elements": 2, "error": 1.0}
    for step in Loop(run, "train", h.steps, net=net, optimizer=optimizer, tasks=tasks, noise=noises, state=state):
        task = lists(h.batch, state["elements"], h.integers, tasks)
        task = {name: value.to(run.device) for name, value in task.items()}
        value, right = loss(net, task, program_length(state["elements"]))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        state["error"] = 0.95 * state["error"] + 0.05 * (1 - float(right.float().mean()))
        if state["error"] < h.success and state["elements"] < h.elements:
            state["elements"], state["error"] = state["elements"] + 1, 1.0
        if (step + 1) % h.log_every == 0 or step + 1 == h.steps:
            run.curve("train/loss", step + 1, run.finite(float(value.detach())))
            run.curve("train/elements", step + 1, state["elements"])
    run.count(n_params=sum(p.numel() for p in net.parameters()), steps=h.steps)
    return pack(net)


def program_length(elements: int) -> int:
    """Steps that the machine may take: two for each element and three around them."""
    return 2 * elements + 3


def accuracy(net: NeuralRAM, elements: int, lists_tested: int, generator: torch.Generator) -> float:
    """Share of fresh lists whose k-th element is answered."""
    with torch.no_grad():
        _, right = loss(net, lists(lists_tested, elements, net.integers, generator), program_length(elements))
    return float(right.float().mean())


def load(run: Run, artifact: dict[str, Any]) -> NeuralRAM:
    """The trained network of an artifact of :func:`train`."""
    net = NeuralRAM(run.h.integers, run.h.registers, run.h.size)
    return unpack(net, artifact)
