"""Gradient steps with early stopping on a validation score: the loop that every method of the paper shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from claimbench.run import Run
from claimbench.training import Loop


class EarlyStopping:
    """Keeps the parameters of the best validation score; stops after ``patience`` validations without a better one.

    Args:
        parameters: what is kept.
        patience: validations without a better score after which training stops.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], patience: int) -> None:
        self.parameters, self.patience = list(parameters), patience
        self.best_score = -float("inf")
        self.waited = 0
        self.best: list[Tensor] = [parameter.detach().clone() for parameter in self.parameters]

    def update(self, score: float) -> bool:
        """Record a validation; whether to stop."""
        if score > self.best_score:
            self.best_score, self.waited = score, 0
            for kept, parameter in zip(self.best, self.parameters, strict=True):
                kept.copy_(parameter.detach())
            return False
        self.waited += 1
        return self.waited >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """All that a checkpoint needs."""
        return {"best_score": self.best_score, "waited": self.waited, "best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        self.best_score, self.waited = state["best_score"], state["waited"]
        for kept, saved in zip(self.best, state["best"], strict=True):
            kept.copy_(saved)

    def restore(self) -> None:
        """Put the best parameters back (the last ones if nothing was ever validated)."""
        if self.best_score > -float("inf"):
            with torch.no_grad():
                for kept, parameter in zip(self.best, self.parameters, strict=True):
                    parameter.copy_(kept)


def adam(parameters: Sequence[nn.Parameter], run: Run) -> torch.optim.Adam:
    """Adam with the run's learning rate and weight decay (L2 penalty), fused into one kernel."""
    return torch.optim.Adam(parameters, lr=run.h.learning_rate, weight_decay=run.h.weight_decay, fused=True)


def train(run: Run, module: nn.Module, forward: Callable[[], tuple[Tensor, Callable[[], float]]], name: str) -> int:
    """Minimise a loss over the module's parameters; they end at the best validation score.

    Validation after update e uses the weights with which update e + 1 starts, so the two share one forward pass.

    Args:
        run: its ``epochs``, ``val_every``, ``patience``, ``learning_rate`` and ``weight_decay`` are used.
        module: what is trained.
        forward: one pass: the loss, and a function that gives the validation score of the same pass.
        name: of the loop within the run, and of its curves.

    Returns:
        The number of updates made.
    """
    parameters = list(module.parameters())
    optimiser = adam(parameters, run)
    stopping = EarlyStopping(parameters, run.h.patience)
    count = {"updates": 0}
    loop = Loop(run, name, run.h.epochs + 1, module=module, adam=optimiser, stopping=stopping, count=count)
    for updates in loop:  # the last pass only validates
        loss, validate = forward()
        if updates and updates % run.h.val_every == 0:
            with torch.no_grad():
                score = validate()
            if updates % (10 * run.h.val_every) == 0:
                run.curve(f"{name}/validation", updates, score)
                run.curve(f"{name}/loss", updates, run.finite(loss.item()))
            if stopping.update(score):
                loop.stop()
                continue
        if updates < run.h.epochs:
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            count["updates"] += 1
    stopping.restore()
    return count["updates"]
