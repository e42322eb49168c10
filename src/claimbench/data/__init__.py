"""Datasets: registry, fetching with checksums, preparation, splits, and the guard between fit and the test split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from claimbench.data.preparation import Data, Prepared, load_fit, load_score, prepare
    from claimbench.data.registry import DATASETS, fingerprint

_HOME = dict.fromkeys(("Data", "Prepared", "load_fit", "load_score", "prepare"), "preparation")
_HOME |= dict.fromkeys(("DATASETS", "fingerprint"), "registry")

__all__ = ["DATASETS", "Data", "Prepared", "fingerprint", "load_fit", "load_score", "prepare"]


def __getattr__(name: str) -> Any:
    """The public names, imported when first used: the registry alone must stay cheap to import."""
    import importlib

    if name in _HOME:
        value = getattr(importlib.import_module(f"claimbench.data.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
