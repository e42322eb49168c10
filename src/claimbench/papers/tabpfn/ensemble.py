"""The ensemble: one table in several notations (Section 4 of the paper).

A member renumbers the classes by a cyclic shift, rotates the columns, and takes them with or without the power
transform. Its answer is turned back, and logits are averaged.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

TEMPERATURE = 0.8


@dataclass(frozen=True)
class Member:
    """One notation of a table.

    Args:
        shift: class c is called (c + shift) mod classes.
        rotation: columns are moved so far to the left, the first ones to the end.
        raised: whether columns are power transformed.
    """

    shift: int
    rotation: int
    raised: bool


def members(count: int, classes: int, columns: int, random: np.random.RandomState) -> list[Member]:
    """``count`` different notations, or as many as there are: every shift with every rotation in random order, each
    without and then with the power transform."""
    pairs = list(itertools.product(range(classes), range(max(columns, 1))))
    order = random.permutation(len(pairs))
    return [Member(pairs[i][0], pairs[i][1], raised) for i in order for raised in (False, True)][:count]


def rotated(z: Float[np.ndarray, "rows columns"], rotation: int) -> Float[np.ndarray, "rows columns"]:
    """Columns moved to the left; a rotation beyond the columns left changes nothing, as in the released code."""
    return np.concatenate([z[:, rotation:], z[:, :rotation]], 1)


def probabilities(
    logits: Sequence[Float[np.ndarray, "queries classes"]], of: Sequence[Member], temperature: float = TEMPERATURE
) -> Float[np.ndarray, "queries classes"]:
    """Class probabilities from the members' logits, each in the member's own notation."""
    back = [np.roll(part.astype(np.float64), -member.shift, axis=1) for part, member in zip(logits, of, strict=True)]
    mean = np.mean(back, 0) / temperature
    grown = np.exp(mean - mean.max(1, keepdims=True))
    return np.asarray(grown / grown.sum(1, keepdims=True))
