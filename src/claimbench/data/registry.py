"""Finding datasets and split protocols by name, and the digest of what a run's data depends on.

Importing this module reads no data and needs nothing but the standard library.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claimbench.data.entries import Entry
from claimbench.data.sets import DATASETS
from claimbench.data.splits import PROTOCOLS, Split, make
from claimbench.errors import UserError, nearest
from claimbench.files import digest

__all__ = ["DATASETS", "SHARED", "Catalogue", "fingerprint", "get", "given_mirror", "split_of"]


@dataclass(frozen=True)
class Catalogue:
    """The datasets and split protocols that a paper may name: the shared ones and its own."""

    datasets: Mapping[str, Entry]
    protocols: Mapping[str, type[Split]]

    def dataset(self, name: str, where: str = "") -> Entry:
        """The entry of a dataset.

        Args:
            where: file and key that name it, for the message.

        Raises:
            UserError: no such dataset.
        """
        if name not in self.datasets:
            names = f"{where} names the dataset {name!r}, which" if where else f"dataset {name!r}"
            raise UserError(f"{names} is not registered ({nearest(name, self.datasets)})")
        return self.datasets[name]

    def split(self, entry: Entry, split: Mapping[str, Any], where: str = "split") -> Split:
        """The split of a dataset that a mapping of paper.yaml describes.

        Args:
            where: file and key of the split, for messages.

        Raises:
            UserError: a wrong split, or one that does not fit the dataset as far as its entry tells.
        """
        found = make(split, self.protocols, where)
        if why := found.refuses(entry):
            raise UserError(f"{where}: {found.name} {why}; the dataset {entry.name} is of the kind {entry.kind}")
        return found


SHARED = Catalogue(DATASETS, PROTOCOLS)
"""What every paper may name."""


def get(name: str) -> Entry:
    """The entry of a shared dataset; raises UserError when there is none."""
    return SHARED.dataset(name)


def split_of(entry: Entry, split: Mapping[str, Any] | Split) -> Split:
    """A split as it is, or from its mapping with a shared protocol."""
    return split if isinstance(split, Split) else SHARED.split(entry, split)


def fingerprint(entry: Entry, split: Split) -> str:
    """Digest of everything a run's data depends on, apart from the index of the split; reads no data."""
    return digest([entry.digest, split.version, split.parameters])


def given_mirror(mirror: Path | None) -> Path | None:
    """The mirror of the configuration, else the one of the environment variable CLAIMBENCH_MIRROR, else None."""
    named = os.environ.get("CLAIMBENCH_MIRROR")
    return mirror if mirror is not None or not named else Path(named).expanduser()
