"""A fit that is killed in the middle, with its last checkpoint on disk."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from claimbench.run import Checkpoint, Run


def kill(fit: Callable[[], object], run: Run, folder: Path, after: int) -> None:
    """Interrupt ``fit`` after as many signs of life of ``run``, whose checkpoints lie in ``folder``."""
    run.checkpoint = Checkpoint(folder, every_s=0)
    calls = itertools.count()

    def alive() -> None:
        if next(calls) == after:
            raise KeyboardInterrupt

    run.alive = alive  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        fit()
