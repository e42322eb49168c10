"""The tables of a run, and what the experiments do to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from claimbench.data import Data

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """A table in two parts: ``x`` (n, features) and ``y`` (n,) train, ``test_x`` (m, features) is asked for.

    ``categorical``: indices of columns whose values are codes.
    """

    x: Array
    y: NDArray[np.int64]
    test_x: Array
    categorical: tuple[int, ...]


def task(data: Data) -> Task:
    """The table of a split; during a fit there are no test rows."""
    a = data.arrays
    train = a["train_idx"]
    x = a["x"][train].astype(np.float64)
    test_x = a.get("test_x", a["x"][:0]).astype(np.float64)
    return Task(x, a["y"][train], test_x, tuple(int(column) for column in a.get("categorical", ())))


def first_rows(given: Task, count: int, random: np.random.Generator) -> Task:
    """``count`` training rows in random order; a smaller count gives the first of a larger one's."""
    order = random.permutation(len(given.x))[:count]
    return replace(given, x=given.x[order], y=given.y[order])


def first_tests(given: Task, test_y: NDArray[np.int64], count: int, random: np.random.Generator) -> tuple[Task, Any]:
    """At most ``count`` test rows in random order, and their labels."""
    order = random.permutation(len(given.test_x))[:count]
    return replace(given, test_x=given.test_x[order]), test_y[order]


def with_copies(given: Task, copies: int, random: np.random.Generator) -> Task:
    """``copies`` times as many columns again, each an old one with its values in random order, apart in both parts:
    they look like the others and say nothing (appendix B.3)."""
    if not copies:
        return given
    columns = np.tile(np.arange(given.x.shape[1]), copies)
    x, test_x = (
        np.concatenate([part, random.permuted(part[:, columns], axis=0)], 1) for part in (given.x, given.test_x)
    )
    return replace(given, x=x, test_x=test_x)


def turned(given: Task, random: np.random.Generator) -> Task:
    """The columns, z-scored by the training rows, under a random rotation (appendix B.3)."""
    mean, deviation = given.x.mean(0), given.x.std(0)
    deviation = np.where(deviation > 0, deviation, 1)
    q, r = np.linalg.qr(random.normal(size=(given.x.shape[1],) * 2))
    rotation = q * np.sign(np.diagonal(r))
    x, test_x = ((part - mean) / deviation @ rotation for part in (given.x, given.test_x))
    return replace(given, x=x, test_x=test_x)


def labels(given: Task, sabotage: str, random: np.random.Generator) -> dict[str, Any]:
    """The training labels as an artifact; ``sabotage: shuffled-labels`` puts them out of order."""
    return {"y": random.permutation(given.y) if sabotage == "shuffled-labels" else given.y}
