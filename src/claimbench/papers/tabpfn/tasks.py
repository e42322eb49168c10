"""The tables of a run, and what the experiments do to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from claimbench.data import Data
    from claimbench.run import Run

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
    """The table of a split whose ``queries`` are ``visible``."""
    a = data.arrays
    train = a["train_idx"]
    x, test_x = a["x"][train].astype(np.float64), a["test_x"].astype(np.float64)
    return Task(x, a["y"][train], test_x, tuple(int(column) for column in a.get("categorical", ())))


def first_rows(given: Task, count: int, random: np.random.Generator) -> Task:
    """``count`` training rows in random order; a smaller count gives the first of a larger one's."""
    order = random.permutation(len(given.x))[:count]
    return replace(given, x=given.x[order], y=given.y[order])


def chosen(count: int, run: Run) -> NDArray[np.int64]:
    """Numbers of the test rows that are asked for: ``tested`` of ``count`` in random order, or all of them."""
    return run.rng("tested").permutation(count)[: run.h.tested]


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
