"""End-to-end memory networks for question answering (Section 4.2; Sukhbaatar et al. 2015), many restarts at once.

Three hops, adjacent weight sharing (the answer embedding of a hop is the memory embedding of the next, the question
embedding that of the first hop, the output matrix that of the last), position encoding, time words, and empty slots
that take part in the attention as in the MATLAB code that the paper changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from claimbench.papers.gradient_noise import noise
from claimbench.training import StackLoop

if TYPE_CHECKING:
    from claimbench.run import Run

HOPS = 3


def position_weights(dimension: int, words: int) -> tuple[Float[Tensor, " dimension"], Float[Tensor, " words"]]:
    """Factors ``alpha`` and ``beta`` of the position encoding (Sukhbaatar et al., section 4.1): word j has the weight
    ``1 + 4 (i - (d + 1) / 2) (j - (J + 1) / 2) / (d J) = 1 + alpha_i beta_j`` in dimension i, both from 1."""
    i = torch.arange(1, dimension + 1) - (dimension + 1) / 2
    j = torch.arange(1, words + 1) - (words + 1) / 2
    return 4 * i / (dimension * words), j


class Task:
    """The stories of one task as indices into its distinct sentences.

    Args:
        tokens: (samples, slots + 1, words) int, the last row the question, the others from the latest sentence back; 0
            is no word.
        answers: (samples,) word numbers.
        n_words: size of the dictionary with 0.
    """

    def __init__(
        self, tokens: Int[Tensor, "samples rows words"], answers: Int[Tensor, " samples"], n_words: int
    ) -> None:
        samples, rows, words = tokens.shape
        self.slots, self.words, self.n_words = rows - 1, words, n_words
        self.sentences, numbers = torch.unique(tokens.reshape(-1, words), dim=0, return_inverse=True)
        numbers = numbers.reshape(samples, rows)
        self.memory, self.question, self.answers = numbers[:, :-1], numbers[:, -1], answers
        self.filled = (tokens[:, :-1] > 0).any(2)  # (samples, slots)
        self.lengths = self.filled.sum(1)
        # What a sentence and a time of one slot contribute to a memory are the rows of one matrix (section 4.1 of
        # Sukhbaatar et al.): the position encoding has rank two, so that a sentence is its word counts times the
        # embeddings, and the sums of its positions' factors times the embeddings scaled by ``alpha``. The time word is
        # one more position; a question has none.
        _, beta = position_weights(1, words + 1)
        one_hot = torch.nn.functional.one_hot(self.sentences, n_words).float()
        self.design = torch.block_diag(
            torch.cat([one_hot.sum(1), (one_hot * beta[:-1, None]).sum(1)], 1), torch.eye(self.slots)
        )
        self.last_beta = float(beta[-1])


@dataclass
class Passed:
    """What :meth:`Networks.backward` needs of a forward pass; R restarts, B samples, N rows of the task's design.

    Args:
        rows: (4, R, N, dimension), what sentences and times add to memories and answers of each embedding.
        places: (R, B, 2 slots), the two rows of each memory.
        here: (R, B, slots), 0 where the slot is empty.
        question: (R, B, dimension), the row of each question.
        states: (R, B, dimension) before each hop and after the last.
        attention: (R, B, slots) of each hop, before empty slots are left out.
        by_row: (R, B, N) of each hop, attention summed by row.
    """

    rows: Float[Tensor, "embeddings restarts rows dimension"]
    places: Int[Tensor, "restarts batch places"]
    here: Float[Tensor, "restarts batch slots"]
    question: Int[Tensor, "restarts batch dimension"]
    states: list[Tensor]
    attention: list[Tensor]
    by_row: list[Tensor]


class Networks:
    """``restarts`` networks; ``tables`` (restarts, 4, n_words + slots, dimension): word and time embeddings A, C1, C2,
    C3, each N(0, 0.1^2), the row of the null word 0.

    Args:
        task: what is answered.
        dimension: of the embeddings.
        generators: of the initial embeddings, one a restart.
    """

    def __init__(self, task: Task, dimension: int, generators: Sequence[torch.Generator]) -> None:
        self.task = task
        vocabulary = task.n_words + task.slots
        self.tables = torch.stack([0.1 * torch.randn(HOPS + 1, vocabulary, dimension, generator=g) for g in generators])
        self.tables[:, :, 0] = 0
        self.alpha, _ = position_weights(dimension, task.words + 1)
        self.time_weights = 1 + self.alpha * task.last_beta

    def logits(
        self,
        tables: Float[Tensor, "restarts embeddings vocabulary dimension"],
        batch: Int[Tensor, "restarts batch"],
        times: Int[Tensor, "restarts batch slots"],
        linear: bool,
    ) -> Float[Tensor, "restarts batch vocabulary"]:
        """Of the answers.

        Args:
            tables: the embeddings.
            batch: sample numbers.
            times: time index of each memory from 0, -1 where the slot is empty.
            linear: the attention has no softmax.
        """
        passed = self._forward(tables, batch, times, linear)
        return passed.states[-1] @ tables[:, HOPS].transpose(1, 2)

    def _forward(self, tables: Tensor, batch: Tensor, times: Tensor, linear: bool) -> Passed:
        task = self.task
        words, stamps = tables[:, :, : task.n_words], tables[:, :, task.n_words :]
        parts = torch.cat([words, self.alpha * words, self.time_weights * stamps], 2).transpose(0, 1)
        design = task.design.expand(parts.shape[0] * parts.shape[1], -1, -1)
        rows = torch.bmm(design, parts.flatten(0, 1)).unflatten(0, parts.shape[:2])
        # The products of a state with all rows are few beside the memories of a batch, so that no memory is written
        # out: scores are picked from the products, and attention is summed by row.
        places = torch.cat([task.memory[batch], len(task.sentences) + times.clamp_min(0)], 2)
        here = (times >= 0).float()
        question = task.question[batch][..., None].expand(-1, -1, rows.shape[3])
        u = rows[0].gather(1, question)
        states, attentions, by_rows = [u], [], []
        for hop in range(HOPS):
            scores = _picked(u @ rows[hop].transpose(1, 2), places) * here
            attention = scores if linear else scores.softmax(2)
            by_row = _summed(attention * here, places, rows.shape[2])
            u = u + by_row @ rows[hop + 1]
            states.append(u)
            attentions.append(attention)
            by_rows.append(by_row)
        return Passed(rows, places, here, question, states, attentions, by_rows)

    def gradients(
        self,
        tables: Float[Tensor, "restarts embeddings vocabulary dimension"],
        batch: Int[Tensor, "restarts batch"],
        times: Int[Tensor, "restarts batch slots"],
        linear: bool,
    ) -> tuple[Float[Tensor, "restarts batch"], Float[Tensor, "restarts embeddings vocabulary dimension"]]:
        """Cross-entropies of the samples and the gradient of each restart's sum of them, by hand.

        An autograd graph would fill and add a buffer of all rows for each use of a table.

        Args: as of :meth:`logits`.
        """
        task, passed = self.task, self._forward(tables, batch, times, linear)
        rows, places, here, states = passed.rows, passed.places, passed.here, passed.states
        answers = task.answers[batch][..., None]
        log_p = torch.log_softmax(states[-1] @ tables[:, HOPS].transpose(1, 2), 2)
        loss = -log_p.gather(2, answers)[..., 0]
        delta = log_p.exp()
        delta.scatter_add_(2, answers, torch.full_like(loss[..., None], -1.0))
        into_output = delta.transpose(1, 2) @ states[-1]
        du = delta @ tables[:, HOPS]
        into_rows = torch.zeros_like(rows)
        for hop in reversed(range(HOPS)):
            into_rows[hop + 1].baddbmm_(passed.by_row[hop].transpose(1, 2), du)
            change = _picked(du @ rows[hop + 1].transpose(1, 2), places) * here
            if not linear:
                attention = passed.attention[hop]
                change = attention * (change - (change * attention).sum(2, keepdim=True)) * here
            scores = _summed(change, places, rows.shape[2])
            into_rows[hop].baddbmm_(scores.transpose(1, 2), states[hop])
            du = torch.baddbmm(du, scores, rows[hop])
        into_rows[0].scatter_add_(1, passed.question, du)
        design = task.design.T.expand(rows.shape[0] * rows.shape[1], -1, -1)
        parts = torch.bmm(design, into_rows.flatten(0, 1)).unflatten(0, rows.shape[:2]).transpose(0, 1)
        words, scaled, stamps = parts.split([task.n_words, task.n_words, task.slots], 2)
        gradient = torch.cat([words + self.alpha * scaled, self.time_weights * stamps], 2)
        gradient[:, HOPS] += into_output
        return loss, gradient


def _picked(products: Tensor, places: Tensor) -> Tensor:
    """Sum of the two products (restarts, batch, rows) that belong to each memory, (restarts, batch, slots)."""
    found = products.gather(2, places)
    slots = places.shape[2] // 2
    return found[..., :slots] + found[..., slots:]


def _summed(values: Tensor, places: Tensor, rows: int) -> Tensor:
    """Values of memories (restarts, batch, slots) added to both rows of each, (restarts, batch, rows)."""
    return values.new_zeros(*values.shape[:2], rows).scatter_add(2, places, torch.cat([values, values], 2))


def time_indices(
    lengths: Int[Tensor, "restarts samples"], slots: int, blank: float, generators: Sequence[torch.Generator]
) -> Int[Tensor, "restarts samples slots"]:
    """Times of the memories with randomly left out ones, from 0, -1 where a slot is empty.

    For a story of m sentences, up to ``ceil(blank m)`` empty times lie between them; times beyond the last slot are the
    last one. Slot 0 is the latest sentence.

    Args:
        lengths: numbers of sentences.
        slots: of a story.
        blank: share of empty times.
        generators: one a restart.
    """
    samples, width = lengths.shape[1], int(slots * (1 + blank)) + 2
    shares = torch.stack([torch.rand(samples, generator=g) for g in generators])
    keys = torch.stack([torch.rand(samples, width, generator=g) for g in generators])
    m = lengths[..., None]
    blanks = (shares * ((blank * lengths).ceil() + 1)).long()[..., None]
    # m of the first m + blanks times, drawn without replacement, in order
    places = torch.arange(width)
    keys.masked_fill_(places >= m + blanks, 2.0)
    chosen = torch.where(places < m, keys.argsort(2), width)
    times = chosen.sort(2).values[..., :slots].clamp(max=slots - 1)
    return torch.where(places[:slots] < m, times, -1)


def plain_times(lengths: Int[Tensor, " samples"], slots: int) -> Int[Tensor, "samples slots"]:
    """Times as they are: slot i has time i."""
    places = torch.arange(slots).expand(len(lengths), -1)
    return torch.where(places < lengths[:, None], places, -1)


def schedule(run: Run) -> tuple[list[float], list[bool]]:
    """By epoch the learning rate, halved every ``halve_every`` epochs, and whether the attention has no softmax yet
    (Section 4.2)."""
    h = run.h
    halved = [0.5 ** ((epoch + 1) // h.halve_every) for epoch in range(h.epochs)]
    if run.setting["start"] == "softmax":
        return [h.rate * part for part in halved], [False] * h.epochs
    rates = [h.linear_rate] * h.linear_epochs + [h.linear_rate * part for part in halved]
    return rates, [True] * h.linear_epochs + [False] * h.epochs


def train(runs: list[Run], task: Task, n_train: int) -> list[dict[str, Any]]:
    """Train one network for each run: SGD on summed losses, every tensor clipped to a norm of 40 on its own, noise
    after clipping (Section 4.2; the configuration of the changed code).

    Args:
        runs: with one setting ``start``: ``softmax``, or ``linear`` for a first stage without it.
        task: training samples first, then the validation ones.
        n_train: number of training samples.

    Returns:
        For each run ``tables`` and the errors ``train_error`` and ``val_error`` after the last epoch.
    """
    h = runs[0].h
    init, draws, noises = (
        [run.torch_generator(name, device="cpu") for run in runs] for name in ("init", "batches", "noise")
    )
    nets = Networks(task, h.dimension, init)
    tables = nets.tables
    per_epoch = n_train // h.batch
    rates, linear = schedule(runs[0])
    etas = [run.h.eta for run in runs]
    state: dict[str, Any] = {"tables": tables}
    parts = {f"{name}-{i}": g for name, gs in (("b", draws), ("n", noises)) for i, g in enumerate(gs)}
    phase = "train " + " ".join(f"{run.seed}/{run.setting['start']}" for run in runs)
    loop = StackLoop(runs, phase, len(rates), state=state, **parts)
    if state["tables"] is not tables:
        tables.copy_(state["tables"])
        state["tables"] = tables
    for epoch in loop:
        # all that is random in an epoch is drawn at once
        batches = torch.stack([torch.randint(n_train, (per_epoch * h.batch,), generator=g) for g in draws])
        times = time_indices(task.lengths[batches], task.slots, h.blank, draws)
        steps = range(epoch * per_epoch, (epoch + 1) * per_epoch)
        added = noise.of_stack(tables[0].shape, steps, etas, h.gamma, noises)
        for step in range(per_epoch):
            part = slice(step * h.batch, (step + 1) * h.batch)
            loss, gradient = nets.gradients(tables, batches[:, part], times[:, part], linear[epoch])
            norms = gradient.flatten(2).norm(dim=2)[..., None, None]
            gradient *= (h.clip / norms.clamp_min(1e-30)).clamp(max=1.0)
            gradient += added[step]
            tables.sub_(gradient, alpha=rates[epoch])
            tables[:, :, 0] = 0
        if (epoch + 1) % h.log_every == 0 or epoch + 1 == len(rates):
            for i, run in enumerate(runs):
                if (mean := loss[i].mean()).isfinite():
                    run.curve("train/loss", epoch + 1, float(mean))
    # a network that diverged counts as one that learned nothing; the others go on
    diverged = ~tables.flatten(1).isfinite().all(1)
    tables[diverged] = 0.0
    found = []
    for i, run in enumerate(runs):
        run.metric("train/diverged", float(diverged[i]))
        run.count(n_params=tables[i].numel(), steps=len(rates) * per_epoch)
        wrong = errors(nets, tables[i : i + 1])
        found.append(
            {
                "tables": tables[i].numpy(),
                "train_error": float(wrong[:n_train].mean()),
                "val_error": float(wrong[n_train:].mean()),
            }
        )
    return found


def errors(nets: Networks, tables: Float[Tensor, "1 embeddings vocabulary dimension"]) -> Float[Tensor, " samples"]:
    """Whether the answer to each sample of the task is wrong, 0 or 1, for the tables of one network."""
    task = nets.task
    with torch.no_grad():
        every = torch.arange(len(task.answers))
        times = plain_times(task.lengths, task.slots)
        logits = nets.logits(tables, every[None], times[None], linear=False)
    return (logits[0].argmax(1) != task.answers).float()
