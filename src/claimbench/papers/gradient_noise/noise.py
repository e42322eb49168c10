"""The method: Gaussian noise of decaying variance on every gradient (Section 3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from claimbench.papers.gradient_noise.schedule import GAMMA, standard_deviation


class GradientNoise:
    """Any torch optimiser, with noise on the gradients of all its parameters before each step.

    Gradients are clipped before (by ``clip``, called without arguments), because the paper adds the noise to the
    clipped gradient (Sections 4.2, 4.3 and 4.5).

    Args:
        optimizer: what takes the step.
        eta: variance at step 0; 0 adds nothing and draws nothing.
        gamma: exponent of the decay.
        generator: of the noise; the device must be that of the parameters.
        clip: called before the noise is added.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        eta: float,
        gamma: float = GAMMA,
        generator: torch.Generator | None = None,
        clip: Callable[[], Any] | None = None,
    ) -> None:
        self.optimizer, self.eta, self.gamma, self.generator, self.clip = optimizer, eta, gamma, generator, clip
        self.steps = 0

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As of the optimiser."""
        self.optimizer.zero_grad(set_to_none=set_to_none)

    def step(self) -> None:
        """Clip, add the noise of this step to every gradient, and let the optimiser step."""
        if self.clip is not None:
            self.clip()
        if self.eta > 0:
            deviation = standard_deviation(self.steps, self.eta, self.gamma)
            for group in self.optimizer.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        noise = torch.empty_like(parameter.grad).normal_(0.0, deviation, generator=self.generator)
                        parameter.grad.add_(noise)
        self.steps += 1
        self.optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """Steps so far and the optimiser's state; the generator is saved by its owner."""
        return {"steps": self.steps, "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a :meth:`state_dict`."""
        self.steps = state["steps"]
        self.optimizer.load_state_dict(state["optimizer"])


def of_stack(
    shape: Sequence[int],
    steps: Sequence[int],
    etas: Sequence[float],
    gamma: float,
    generators: Sequence[torch.Generator],
) -> Float[Tensor, "steps networks ..."]:
    """Noise of several steps for a stack of networks, each with its own variance and stream (Section 3).

    Args:
        shape: of the gradient of one network.
        steps: counted from 0, the same for all.
        etas: variance at step 0 of each network; for 0 nothing is drawn.
        gamma: exponent of the decay.
        generators: one for each network.
    """
    found = torch.zeros(len(etas), len(steps), *shape)
    for row, eta, generator in zip(found, etas, generators, strict=True):
        if eta > 0:
            row.normal_(generator=generator).mul_(math.sqrt(eta))
    scales = torch.tensor([standard_deviation(step, 1.0, gamma) for step in steps])
    return found.transpose(0, 1) * scales.view(-1, *[1] * (len(shape) + 1))


def add_to_stack(
    gradients: Float[Tensor, "networks parameters"],
    step: int,
    etas: Sequence[float],
    gamma: float,
    generators: Sequence[torch.Generator],
    scratch: Float[Tensor, " parameters"],
    streams: Sequence[int] | None = None,
) -> None:
    """Noise for a stack of networks, each with its own variance and stream, in place (Section 3).

    Args:
        gradients: already clipped.
        step: counted from 0, the same for all.
        etas: variance at step 0 of each network; 0 adds nothing.
        gamma: exponent of the decay.
        generators: one for each stream; it draws nothing when all its networks have the variance 0.
        scratch: is overwritten.
        streams: number of the stream of each network; networks of one stream get the same numbers, times the deviation
            of each. None: each network has its own.
    """
    rows: dict[int, list[int]] = {}
    for row, stream in enumerate(range(len(etas)) if streams is None else streams):
        if etas[row] > 0:
            rows.setdefault(stream, []).append(row)
    for stream, several in rows.items():
        scratch.normal_(generator=generators[stream])
        for row in several:
            gradients[row].add_(scratch, alpha=standard_deviation(step, etas[row], gamma))
