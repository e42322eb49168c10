"""Imports that a run's code will need, done before its clock starts."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterable
from contextlib import suppress

#: what the runner itself imports around every fit and score
_OWN = ("claimbench.data.preparation", "claimbench.data.guard", "safetensors.numpy")


def warm_up(names: Iterable[str]) -> float:
    """Import modules, or what defines the names in them; the seconds that it took.

    What cannot be imported is left to the run, whose record then says why.
    """
    start = time.perf_counter()
    for name in (*_OWN, *names):
        with suppress(Exception):
            try:
                importlib.import_module(name)
            except ModuleNotFoundError:
                importlib.import_module(name.rpartition(".")[0])
    return time.perf_counter() - start
