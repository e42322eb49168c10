"""Neural Programmer on one numeric column (Section 4.3; Neelakantan, Le and Sutskever 2015).

A question network reads the words; in four steps a controller chooses softly one of nine operations and a column, and
the row selection and the scalar output carry the result on. Sizes are those of the Neural Programmer paper as far as
they are known; the grid of the 72 settings is not published, so one setting and its learning rates stand in.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from claimbench.nn.state import pack, unpack
from claimbench.papers.gradient_noise.noise import GradientNoise
from claimbench.run import Run
from claimbench.training import Loop

OPERATIONS = ("sum", "count", "difference", "greater", "lesser", "and", "or", "assign", "reset")
WORDS = ("<pad>", "<number>", "sum", "count", "print", "greater", "lesser", "and", "or")
_ENDS = ("sum", "count", "print")


def questions(batch: int, rows: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Questions on tables of one column with numbers from -10 to 10.

    ``[greater|lesser N [and|or greater|lesser N]] sum|count|print``

    Two comparisons are of different kinds: a program has one number for each of them, and which one is decided from the
    words alone, so that no program answers ``greater N or greater N``.

    Returns:
        ``words`` (batch, 8) int64, ``pivots`` (batch, 2) the numbers in the question in order of their places
        ``places`` (batch, 2) int64 (-1: none), ``table`` (batch, rows), ``scalar`` (batch,), ``lookup`` (batch, rows)
        in {0, 1} and ``is_lookup`` (batch,) bool.
    """

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    table, pivots = draw(batch, rows) * 20 - 10, draw(batch, 2) * 20 - 10
    index = {word: i for i, word in enumerate(WORDS)}
    end = torch.randint(3, (batch,), generator=generator)
    first = torch.randint(2, (batch, 1), generator=generator).bool()
    greater = torch.cat([first, ~first], 1)
    how_many = torch.randint(3, (batch,), generator=generator)  # comparisons
    both = torch.randint(2, (batch,), generator=generator).bool()  # and, else or
    chosen = torch.where(greater[:, :, None], table[:, None] > pivots[..., None], table[:, None] < pivots[..., None])
    joined = torch.where(both[:, None], chosen[:, 0] & chosen[:, 1], chosen[:, 0] | chosen[:, 1])
    rows_chosen = torch.where(
        how_many[:, None] == 0, torch.ones_like(joined), torch.where(how_many[:, None] == 1, chosen[:, 0], joined)
    )
    words = torch.zeros(batch, 8, dtype=torch.int64)
    places = torch.full((batch, 2), -1)
    comparison = torch.where(greater, index["greater"], index["lesser"])
    one, two = how_many >= 1, how_many == 2
    words[one, 0], words[one, 1] = comparison[one, 0], index["<number>"]
    words[two, 2] = torch.where(both[two], index["and"], index["or"])
    words[two, 3], words[two, 4] = comparison[two, 1], index["<number>"]
    places[one, 0], places[two, 1] = 1, 4
    at = torch.tensor([0, 2, 5])[how_many]
    words[torch.arange(batch), at] = torch.tensor([index[word] for word in _ENDS])[end]
    chosen_float = rows_chosen.float()
    scalar = torch.where(end == 0, (table * chosen_float).sum(1), chosen_float.sum(1))
    return {
        "words": words,
        "pivots": torch.where(places >= 0, pivots, torch.zeros(())),
        "places": places,
        "table": table,
        "scalar": scalar,
        "lookup": chosen_float,
        "is_lookup": end == 2,
    }


class NeuralProgrammer(nn.Module):
    """The question network and the controller (Neelakantan, Le and Sutskever 2015, section 2).

    Args:
        size: of the embeddings and states.
        steps: of the program.
        columns: of the table.
    """

    def __init__(self, size: int = 256, steps: int = 4, columns: int = 1) -> None:
        super().__init__()
        self.steps = steps
        self.words = nn.Embedding(len(WORDS), size)
        self.question = nn.RNN(size, size, batch_first=True)
        self.history = nn.Linear(3 * size, size)
        self.operations = nn.Parameter(torch.empty(len(OPERATIONS), size).uniform_(-0.1, 0.1))
        self.columns = nn.Parameter(torch.empty(columns, size).uniform_(-0.1, 0.1))
        self.choose_operation = nn.Linear(2 * size, size)
        self.choose_column = nn.Linear(2 * size, size)

    def forward(
        self, batch: dict[str, Tensor], hard: bool = False
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch rows"]]:
        """Scalar answer and lookup answer to :func:`questions`; ``hard`` takes the likeliest choices (test time)."""
        words, table, places = batch["words"], batch["table"], batch["places"]
        n = len(table)
        states, _ = self.question(self.words(words))
        length = (words > 0).sum(1) - 1
        pick = torch.arange(n, device=table.device)
        question = states[pick, length]
        # for each comparison operation a soft choice among the numbers of the question
        at_numbers = states[pick[:, None], places.clamp_min(0)]
        fits = torch.einsum("bnd,od->bon", at_numbers, self.operations[3:5])
        fits = fits.masked_fill((places < 0)[:, None], -1e9)
        weights = _choice(fits, hard) * (places >= 0).any(1)[:, None, None]
        pivots = torch.einsum("bon,bn->bo", weights, batch["pivots"])
        # comparisons are steps; their gradients reach the choices, not the numbers
        greater = (table > pivots[:, :1]).float()
        lesser = (table < pivots[:, 1:]).float()
        history = torch.zeros_like(question)
        selections = [torch.ones_like(table), torch.ones_like(table)]
        scalars = [torch.zeros(n, device=table.device)] * 3
        lookup = torch.zeros_like(table)
        for _ in range(self.steps):
            context = torch.cat([question, history], 1)
            operation = _choice(torch.tanh(self.choose_operation(context)) @ self.operations.T, hard)
            column = _choice(torch.tanh(self.choose_column(context)) @ self.columns.T, hard)
            before, earlier = selections[-1], selections[-2]
            total = (before * table).sum(1)
            scalar = (
                operation[:, 0] * column[:, 0] * total
                + operation[:, 1] * before.sum(1)
                + operation[:, 2] * (scalars[-3] - scalars[-1])
            )
            lookup = (operation[:, 7] * column[:, 0])[:, None] * before
            selected = (
                column[:, :1] * (operation[:, 3:4] * greater + operation[:, 4:5] * lesser)
                + operation[:, 5:6] * torch.minimum(before, earlier)
                + operation[:, 6:7] * torch.maximum(before, earlier)
                + operation[:, 8:9]
            )
            selections.append(selected)
            scalars.append(scalar)
            chosen = torch.cat([operation @ self.operations, column @ self.columns], 1)
            history = torch.tanh(self.history(torch.cat([chosen, history], 1)))
        return scalars[-1], lookup


def _choice(logits: torch.Tensor, hard: bool) -> torch.Tensor:
    if hard:
        return nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
    return logits.softmax(-1)


def loss(
    scalar: Float[Tensor, " batch"], lookup: Float[Tensor, "batch rows"], batch: dict[str, Tensor], delta: float
) -> Float[Tensor, ""]:
    """Mean over questions of Huber's loss for numbers and the mean log loss over rows for lookups."""
    numeric = nn.functional.huber_loss(scalar, batch["scalar"], reduction="none", delta=delta)
    entries = nn.functional.binary_cross_entropy(lookup.clamp(1e-6, 1 - 1e-6), batch["lookup"], reduction="none").mean(
        1
    )
    return torch.where(batch["is_lookup"], entries, numeric).mean()


def accuracy(net: NeuralProgrammer, batch: dict[str, torch.Tensor]) -> float:
    """Share of questions answered exactly with hard choices: numbers to 1e-2, lookups in every row."""
    with torch.no_grad():
        scalar, lookup = net(batch, hard=True)
    right = torch.where(
        batch["is_lookup"], ((lookup > 0.5) == (batch["lookup"] > 0.5)).all(1), (scalar - batch["scalar"]).abs() < 1e-2
    )
    return float(right.float().mean())


def train(run: Run) -> dict[str, Any]:
    """Adam with noise after clipping; a fresh batch a step, tables of up to ``run.h.most_rows`` rows."""
    h = run.h
    with run.torch_stream("init"):
        net = NeuralProgrammer(h.size, h.program_steps).to(run.device)
    tasks = run.torch_generator("tasks", device="cpu")
    noises = run.torch_generator("noise")
    optimizer = GradientNoise(
        torch.optim.Adam(net.parameters(), lr=h.learning_rate, eps=1e-6),
        h.eta,
        h.gamma,
        noises,
        clip=lambda: nn.utils.clip_grad_norm_(net.parameters(), h.clip),
    )
    for step in Loop(run, "train", h.steps, net=net, optimizer=optimizer, tasks=tasks, noise=noises):
        rows = int(torch.randint(2, h.most_rows + 1, (), generator=tasks))
        batch = {name: value.to(run.device) for name, value in questions(h.batch, rows, tasks).items()}
        scalar, lookup = net(batch)
        value = loss(scalar, lookup, batch, h.huber_delta)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if (step + 1) % h.log_every == 0 or step + 1 == h.steps:
            run.curve("train/loss", step + 1, run.finite(float(value.detach())))
    run.count(n_params=sum(p.numel() for p in net.parameters()), steps=h.steps)
    return pack(net)


def load(run: Run, artifact: dict[str, Any]) -> NeuralProgrammer:
    """The trained network of an artifact of :func:`train`."""
    net = NeuralProgrammer(run.h.size, run.h.program_steps)
    return unpack(net, artifact)
