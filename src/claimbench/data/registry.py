"""Finding datasets and split protocols by name, and the digest of what a run's data depends on.

Importing this module reads no data and needs nothing but the standard library.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from claimbench.data.entries import Entry
from claimbench.data.sets import DATASETS
from claimbench.data.splits import PROTOCOLS, Split, make
from claimbench.errors import UserError, nearest
from claimbench.files import digest

__all__ = ["DATASETS", "check", "fingerprint", "get", "given_mirror", "split_of"]


def get(name: str) -> Entry:
    """The entry of a dataset.

    Raises:
        UserError: no such dataset.
    """
    if name not in DATASETS:
        raise UserError(f"dataset {name!r} is not registered ({nearest(name, DATASETS)})")
    return DATASETS[name]


def given_mirror(mirror: Path | None) -> Path | None:
    """The mirror of the configuration, else the one of the environment variable CLAIMBENCH_MIRROR, else None."""
    named = os.environ.get("CLAIMBENCH_MIRROR")
    return mirror if mirror is not None or not named else Path(named)


def split_of(split: Mapping[str, Any], where: str = "split") -> Split:
    """The split that a mapping of paper.yaml describes; see :func:`claimbench.data.splits.make`."""
    return make(split, PROTOCOLS, where)


def fingerprint(name: str, split: Mapping[str, Any], where: str = "split") -> str:
    """Digest of everything a run's data depends on, apart from the index of the split; reads no data.

    Args:
        name: dataset.
        split: its split as in paper.yaml.
        where: file and key of the split, for messages.

    Raises:
        UserError: no such dataset, a wrong split, or one that does not fit the dataset.
    """
    entry, cut = get(name), split_of(split, where)
    check(entry, cut, where)
    return digest([entry.digest, cut.version, cut.parameters])


def check(entry: Entry, split: Split, where: str = "split") -> None:
    """Refuse a split that does not fit a dataset, as far as the entry tells."""
    if why := split.refuses(entry):
        raise UserError(f"{where}: {split.name} {why}; the dataset {entry.name} is of the kind {entry.kind}")
