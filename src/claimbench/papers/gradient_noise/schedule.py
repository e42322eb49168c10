"""How the variance of the noise decays (Section 3), and what it does to a weight."""

from __future__ import annotations

import math

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
