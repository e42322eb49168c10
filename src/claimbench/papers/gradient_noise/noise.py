"""The method: Gaussian noise of decaying variance on every gradient (Section 3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

#: the exponent that the paper uses everywhere
GAMMA = 0.55


def standard_deviation(step: int, eta: float, gamma: float = GAMMA) -> float:
    """Standard deviation of the noise at an optimiser step: ``sqrt(eta / (1 + step)^gamma)`` (Section 3).

    Args:
        step: counted from 0.
        eta: variance at step 0, not a standard deviation.
        gamma: exponent of the decay.
    """
    return math.sqrt(eta / (1.0 + step) ** gamma)


def walk_deviation(steps: int, learning_rate: float, eta: float, gamma: float = GAMMA) -> float:
    """Standard deviation of a weight that plain SGD moves by noise alone, exact (derived from Section 3).

    ``learning_rate * sqrt(eta * sum_{t < steps} (1 + t)^-gamma)``
    """
    return learning_rate * math.sqrt(eta * math.fsum((1.0 + t) ** -gamma for t in range(steps)))


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
        self.optimizer.zero_grad(set_to_none=set_to_none)

    def step(self) -> None:
        import torch

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
        return {"steps": self.steps, "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
        self.optimizer.load_state_dict(state["optimizer"])


def add_to_stack(
    gradients: torch.Tensor,
    step: int,
    etas: Sequence[float],
    gamma: float,
    generators: Sequence[torch.Generator],
    scratch: torch.Tensor,
) -> None:
    """Noise for a stack of networks, each with its own variance and stream, in place.

    Args:
        gradients: (networks, parameters), already clipped.
        step: counted from 0, the same for all.
        etas: variance at step 0 of each network; 0 adds nothing.
        gamma: exponent of the decay.
        generators: one for each network.
        scratch: (parameters,) that is overwritten.
    """
    for row, eta, generator in zip(gradients, etas, generators, strict=True):
        if eta > 0:
            row.add_(scratch.normal_(generator=generator), alpha=standard_deviation(step, eta, gamma))
