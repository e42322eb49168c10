"""The effects that a claim allows."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Region:
    """Effects from ``low`` to ``high``; whether a bound itself is allowed is ``closed``."""

    low: float = -math.inf
    high: float = math.inf
    closed: bool = True

    @property
    def two_sided(self) -> bool:
        """Whether it is bounded on both sides."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def holds(self, effect: float, tolerance: float = 0.0) -> bool:
        """Whether an effect lies in it; closer than ``tolerance`` to a bound counts as on it."""
        slack = tolerance if self.closed else -tolerance
        above = effect >= self.low - slack if self.closed else effect > self.low - slack
        below = effect <= self.high + slack if self.closed else effect < self.high + slack
        return above and below
