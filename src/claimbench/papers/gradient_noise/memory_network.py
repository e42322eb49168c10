"""End-to-end memory networks for question answering (Section 4.2; Sukhbaatar et al. 2015), many restarts at once.

Three hops, adjacent weight sharing (the answer embedding of a hop is the memory embedding of the next, the question
embedding that of the first hop, the output matrix that of the last), position encoding, time words, and empty slots
that take part in the attention as in the MATLAB code that the paper changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from claimbench.papers.gradient_noise import noise
from claimbench.training import StackLoop

if TYPE_CHECKING:
    from claimbench.run import Run

HOPS = 3


def position_weights(dimension: int, words: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Factors ``alpha`` (dimension,) and ``beta`` (words,) of the position encoding: word j has the weight
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

    def __init__(self, tokens: torch.Tensor, answers: torch.Tensor, n_words: int) -> None:
        samples, rows, words = tokens.shape
        self.slots, self.words, self.n_words = rows - 1, words, n_words
        self.sentences, numbers = torch.unique(tokens.reshape(-1, words), dim=0, return_inverse=True)
        numbers = numbers.reshape(samples, rows)
        self.memory, self.question, self.answers = numbers[:, :-1], numbers[:, -1], answers
        self.filled = (tokens[:, :-1] > 0).any(2)  # (samples, slots)
        self.lengths = self.filled.sum(1)
        # The position encoding has rank two, so that a sentence's embedding is two sparse sums over the dictionary:
        # how often each word stands in it, and the sum of its positions' factors. The time word is one more position.
        _, beta = position_weights(1, words + 1)
        one_hot = torch.nn.functional.one_hot(self.sentences, n_words).float()
        self.counts, self.positions = one_hot.sum(1), (one_hot * beta[:-1, None]).sum(1)
        self.last_beta = float(beta[-1])


class Networks:
    """``restarts`` networks; ``tables`` (restarts, 4, n_words + slots, dimension): word and time embeddings A, C1, C2,
    C3, each N(0, 0.1^2), the row of the null word 0."""

    def __init__(self, task: Task, dimension: int, generators: list[torch.Generator]) -> None:
        self.task = task
        vocabulary = task.n_words + task.slots
        self.tables = torch.stack([0.1 * torch.randn(HOPS + 1, vocabulary, dimension, generator=g) for g in generators])
        self.tables[:, :, 0] = 0
        # the time word is the last word of a memory's sentence; a question has none
        self.alpha, _ = position_weights(dimension, task.words + 1)
        self.time_weights = 1 + self.alpha * task.last_beta

    def logits(
        self, tables: torch.Tensor, batch: torch.Tensor, times: torch.Tensor, linear: torch.Tensor
    ) -> torch.Tensor:
        """(restarts, batch, vocabulary).

        Args:
            tables: the embeddings.
            batch: (restarts, batch) sample numbers.
            times: (restarts, batch, slots) time index of each memory from 0, -1 where the slot is empty.
            linear: (restarts,) whether the attention has no softmax.
        """
        task = self.task
        pick = torch.arange(len(batch))[:, None, None]
        memory, question = task.memory[batch], task.question[batch]
        # (restarts, 4, sentences, dimension), each distinct sentence once
        words = tables[:, :, : task.n_words]
        sentences = task.counts @ words + self.alpha * (task.positions @ words)
        stamps = tables[:, :, task.n_words :] * self.time_weights
        here = (times >= 0)[..., None]
        slot = times.clamp_min(0)
        embedded = [
            torch.where(here, sentences[:, k][pick, memory] + stamps[:, k][pick, slot], 0.0) for k in range(HOPS + 1)
        ]
        u = sentences[:, 0][pick[..., 0], question]
        for hop in range(HOPS):
            scores = torch.einsum("rbsd,rbd->rbs", embedded[hop], u)
            attention = torch.where(linear[:, None, None], scores, scores.softmax(2))
            u = u + torch.einsum("rbsd,rbs->rbd", embedded[hop + 1], attention)
        return torch.einsum("rbd,rvd->rbv", u, tables[:, HOPS])


def time_indices(lengths: torch.Tensor, slots: int, blank: float, generator: torch.Generator) -> torch.Tensor:
    """Times of the memories with randomly left out ones, (samples, slots) from 0, -1 where a slot is empty.

    For a story of m sentences, up to ``ceil(blank m)`` empty times lie between them; times beyond the last slot are the
    last one. Slot 0 is the latest sentence.
    """
    m = lengths[:, None]
    blanks = (torch.rand(len(lengths), generator=generator) * ((blank * lengths).ceil() + 1)).long()[:, None]
    # m of the first m + blanks times, drawn without replacement, in order
    keys = torch.rand(len(lengths), int(slots * (1 + blank)) + 2, generator=generator)
    places = torch.arange(keys.shape[1])
    keys[places[None] >= m + blanks] = 2.0
    order = keys.argsort(1)
    chosen = torch.where(places[None] < m, order, keys.shape[1])
    times = chosen.sort(1).values[:, :slots].clamp(max=slots - 1)
    return torch.where(places[None, :slots] < m, times, -1)


def plain_times(lengths: torch.Tensor, slots: int) -> torch.Tensor:
    """Times as they are: slot i has time i."""
    places = torch.arange(slots).expand(len(lengths), -1)
    return torch.where(places < lengths[:, None], places, -1)


def train(runs: list[Run], task: Task, n_train: int) -> list[dict[str, Any]]:
    """Train one network for each run: SGD on summed losses, every tensor clipped to a norm of 40 on its own, noise
    after clipping (Section 4.2; the configuration of the changed code).

    Args:
        runs: with the setting ``start``: ``softmax``, or ``linear`` for a first stage without it.
        task: training samples first, then the validation ones.
        n_train: number of training samples.

    Returns:
        For each run ``tables`` and the errors ``train_error`` and ``val_error`` after the last epoch.
    """
    h = runs[0].h
    nets = Networks(task, h.dimension, [run.torch_generator("init") for run in runs])
    tables = nets.tables
    draws = [run.torch_generator("batches") for run in runs]
    noises = [run.torch_generator("noise") for run in runs]
    linear_start = torch.tensor([run.setting["start"] == "linear" for run in runs])
    etas = [run.h.eta for run in runs]
    scratch = torch.empty(tables[0].numel())
    per_epoch = n_train // h.batch
    # every run's own schedule: rates and the stage of each epoch
    epochs = h.linear_epochs + h.epochs
    rates = torch.zeros(epochs, len(runs))
    linear = torch.zeros(epochs, len(runs), dtype=torch.bool)
    for i, is_linear in enumerate(linear_start.tolist()):
        for epoch in range(epochs):
            if is_linear and epoch < h.linear_epochs:
                linear[epoch, i], rates[epoch, i] = True, h.linear_rate
            else:
                done = epoch - h.linear_epochs if is_linear else epoch
                first = h.linear_rate if is_linear else h.rate
                # the one-stage runs end before the two-stage ones; a rate of 0 leaves them as they are
                rates[epoch, i] = first * 0.5 ** ((done + 1) // h.halve_every) if done < h.epochs else 0.0
    state: dict[str, Any] = {"tables": tables}
    parts = {f"{name}-{i}": g for name, gs in (("b", draws), ("n", noises)) for i, g in enumerate(gs)}
    phase = "train " + " ".join(f"{run.seed}/{run.setting['start']}" for run in runs)
    loop = StackLoop(runs, phase, epochs * per_epoch, state=state, **parts)
    if state["tables"] is not tables:
        tables.copy_(state["tables"])
        state["tables"] = tables
    for step in loop:
        epoch = step // per_epoch
        batch = torch.stack([torch.randint(n_train, (h.batch,), generator=g) for g in draws])
        times = torch.stack(
            [time_indices(task.lengths[row], task.slots, h.blank, g) for row, g in zip(batch, draws, strict=True)]
        )
        tables.requires_grad_(True)
        logits = nets.logits(tables, batch, times, linear[epoch])
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), task.answers[batch].flatten(), reduction="none"
        ).view(len(runs), -1)
        (gradient,) = torch.autograd.grad(loss.sum(), tables)
        tables = tables.detach_()
        norms = gradient.flatten(2).norm(dim=2)[..., None, None]
        gradient *= (h.clip / norms.clamp_min(1e-30)).clamp(max=1.0)
        noise.add_to_stack(gradient.view(len(runs), -1), step, etas, h.gamma, noises, scratch)
        tables -= rates[epoch][:, None, None, None] * gradient
        tables[:, :, 0] = 0
        if (step + 1) % per_epoch == 0 and ((epoch + 1) % h.log_every == 0 or epoch + 1 == epochs):
            for i, run in enumerate(runs):
                if (mean := loss[i].detach().mean()).isfinite():
                    run.curve("train/loss", epoch + 1, float(mean))
    # a network that diverged counts as one that learned nothing; the others go on
    diverged = ~tables.flatten(1).isfinite().all(1)
    tables[diverged] = 0.0
    found = []
    for i, run in enumerate(runs):
        run.metric("train/diverged", float(diverged[i]))
        run.count(n_params=tables[i].numel(), steps=epochs * per_epoch)
        wrong = errors(nets, tables[i : i + 1])
        found.append(
            {
                "tables": tables[i].numpy(),
                "train_error": float(wrong[:n_train].mean()),
                "val_error": float(wrong[n_train:].mean()),
            }
        )
    return found


def errors(nets: Networks, tables: torch.Tensor) -> torch.Tensor:
    """Whether the answer to each sample of the task is wrong, (samples,), for ``tables`` (1, 4, vocabulary,
    dimension)."""
    task = nets.task
    with torch.no_grad():
        every = torch.arange(len(task.answers))
        times = plain_times(task.lengths, task.slots)
        logits = nets.logits(tables, every[None], times[None], torch.zeros(1, dtype=torch.bool))
    return (logits[0].argmax(1) != task.answers).float()
