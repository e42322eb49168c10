"""Training on sequences, with and without a guide (sequence experiments of Section 4)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from claimbench.nn.state import pack, unpack
from claimbench.papers.guidance import sequence_models, sequence_tasks
from claimbench.papers.guidance.alignment import centred_norm, dissimilarity, gram, layer_pairs
from claimbench.training import Loop

if TYPE_CHECKING:
    from claimbench.run import Run

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def build(run: Run, kind: str, task: str, tokens: int, arrays: dict[str, Any] | None = None) -> nn.Module:
    """A network as it is drawn, or with the parameters of an artifact."""
    with run.torch_stream(f"init {kind}"):
        net = sequence_models.network(kind, task, tokens, run.h)
    if arrays is not None:
        unpack(net, arrays)
    return net


def drawn(task: str, n: int, h: Any, generator: torch.Generator) -> Batch:
    """A fresh batch of a generated task: tokens, answers, lengths."""
    make = sequence_tasks.copy_paste if task == "copy-paste" else sequence_tasks.parity
    return make(n, h.shortest, h.longest, generator)


def loss_of(task: str, logits: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy without padding; for parity the two logits are independent (binary cross-entropy)."""
    if task == "parity":
        return F.binary_cross_entropy_with_logits(logits, F.one_hot(answers, 2).float())
    return F.cross_entropy(logits.flatten(0, 1), answers.flatten(), ignore_index=0 if task == "copy-paste" else -1)


def train(
    run: Run, task: str, kind: str, tokens: int, guide: nn.Module | None, blocks: torch.Tensor | None = None
) -> dict[str, np.ndarray[Any, Any]]:
    """AdamW on fresh batches of a generated task, or on shuffled blocks of text; the guide is frozen.

    Args:
        run: with the hyper-parameters.
        task: ``copy-paste``, ``parity`` or ``language-model``.
        kind: ``rnn`` or ``transformer``, the network that is trained.
        tokens: size of the dictionary.
        guide: of the other kind, or None.
        blocks: (samples, block + 1) tokens for language modelling.
    """
    h, device = run.h, run.device
    net = build(run, kind, task, tokens).to(device)
    if guide is not None:
        guide = guide.to(device).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(net.parameters(), lr=h.learning_rate, fused=True)
    tasks, dropouts = (run.torch_generator(name, device="cpu") for name in ("tasks", "dropout"))
    state: dict[str, Any] = {"first_cka": 0.0, "last_cka": 0.0}
    for step in Loop(run, f"{kind} {guide is not None}", h.steps, net=net, adam=optimizer, tasks=tasks, state=state):
        net.train()
        if blocks is None:
            x, answers, lengths = drawn(task, h.batch, h, tasks)
        else:
            chosen = blocks[torch.randint(len(blocks), (h.batch,), generator=tasks)]
            x, answers, lengths = chosen[:, :-1], chosen[:, 1:], torch.empty(0, dtype=torch.long)
        x, answers, lengths = x.to(device), answers.to(device), lengths.to(device)
        with torch.random.fork_rng(devices=[]):  # dropout draws from the global stream
            torch.manual_seed(dropouts.initial_seed() + step)
            logits, features = net(x, lengths)
            loss = loss_of(task, logits, answers)
            total = loss
            if guide is not None:
                with torch.no_grad():
                    given = guide(x, lengths)[1]
                similarity = alignment(features, given)
                total = total + h.alpha * (len(similarity) - similarity.sum())
                state["last_cka"] = float(similarity.detach().mean())
                if step == 0:
                    state["first_cka"] = state["last_cka"]
        optimizer.zero_grad()
        total.backward()
        if h.clip > 0:
            nn.utils.clip_grad_norm_(net.parameters(), h.clip)
        optimizer.step()
        if (step + 1) % h.log_every == 0 or step + 1 == h.steps:
            run.curve("train/loss", step + 1, run.finite(float(loss.detach())))
            if guide is not None:
                run.curve("train/cka", step + 1, state["last_cka"])
    if guide is not None:
        run.metric("train/cka_gain", state["last_cka"] - state["first_cka"])
    run.count(n_params=sum(p.numel() for p in net.parameters()), steps=h.steps)
    return pack(net)


def alignment(features: list[torch.Tensor], guide: list[torch.Tensor]) -> torch.Tensor:
    """CKA (pairs,) of whole sequences: places and channels of a sequence are its features."""
    found = []
    for layer, given in layer_pairs(len(guide), len(features)).items():
        kernel = gram(guide[given])[None]
        found.append(1.0 - dissimilarity(features[layer].flatten(1).T[None], kernel, centred_norm(kernel))[0])
    return torch.stack(found)


def evaluate_copy_paste(run: Run, net: nn.Module) -> dict[str, float]:
    """Accuracy and loss on fresh sequences, and their distance from the closed form.

    ``test/z``: distance of the accuracy in standard errors, the sequences' own number of scored symbols given;
    ``test/excess_loss``: distance of the loss from the closed form for these sequences, in nats.
    """
    h = run.h
    x, answers, _ = drawn("copy-paste", h.tested, h, run.torch_generator("test", device="cpu"))
    net.eval()
    with torch.no_grad():
        logits = torch.cat([net(part)[0] for part in x.split(256)])
    scored = answers != 0
    right = (logits.argmax(2) == answers)[scored]
    loss = float(loss_of("copy-paste", logits, answers))
    symbols, ends = int(scored.sum()) - len(x), len(x)
    accuracy = (symbols / 9 + ends) / (symbols + ends)
    error = math.sqrt(symbols * (1 / 9) * (8 / 9)) / (symbols + ends)
    return {
        "test/accuracy": float(right.float().mean()),
        "test/loss": loss,
        "test/z": abs(float(right.float().mean()) - accuracy) / error,
        "test/excess_loss": abs(loss - symbols * math.log(9) / (symbols + ends)),
    }


def evaluate_parity(run: Run, net: nn.Module) -> dict[str, float]:
    """Accuracy on fresh strings."""
    x, answers, lengths = drawn("parity", run.h.tested, run.h, run.torch_generator("test", device="cpu"))
    net.eval()
    with torch.no_grad():
        guessed = torch.cat(
            [net(part, sizes)[0].argmax(1) for part, sizes in zip(x.split(500), lengths.split(500), strict=True)]
        )
    return {"test/accuracy": float((guessed == answers).float().mean())}


def evaluate_language(net: nn.Module, blocks: torch.Tensor) -> dict[str, float]:
    """Perplexity per token of ``blocks`` (samples, block + 1)."""
    net.eval()
    total = 0.0
    with torch.no_grad():
        for part in blocks.split(64):
            logits = net(part[:, :-1])[0]
            total += float(F.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="sum"))
    return {"test/perplexity": math.exp(total / blocks[:, 1:].numel())}


def largest_change(net: nn.Module, x: torch.Tensor, place: int) -> float:
    """Largest change of logits before ``place`` when the token there is another: 0 for a causal network."""
    edited = x.clone()
    edited[:, place] = (edited[:, place] + 1) % net.embedding.num_embeddings
    net.eval()
    with torch.no_grad():
        return float((net(x)[0] - net(edited)[0])[:, :place].abs().max())
