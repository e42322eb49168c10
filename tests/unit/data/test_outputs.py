"""What the shared loaders give never changes without a new ``version`` of the entry, which is part of every key."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from claimbench.data.fetch import fetch, raw_folder
from claimbench.data.preparation import load
from claimbench.data.registry import DATASETS, get

#: one dataset for each loader -> version and digest of the arrays. Where an output changes on purpose, raise the
#: version of every entry with that loader, then write the new digest here.
KNOWN: dict[str, tuple[int, str]] = {
    "citeseer": (1, "c2280a3188560e49"),
    "cora-ml": (1, "be3a33e3d9d327f1"),
    "ppi-node2vec": (1, "f8c836f07e78b78c"),
    "flickr-attributed": (1, "18009675f258909f"),
    "sbm-120": (1, "90d65ec9980d84f4"),
    "fashion-mnist": (1, "150a57631ec73ab4"),
    "digits": (1, "e1bfdb9fda451829"),
    "cifar10-5k": (1, "f927a4ccb2bfb588"),
    "babi-1": (1, "ece2fc7c6b693c07"),
    "wikitext-2-heldout": (1, "a9ce8a02157f2491"),
    "uci-yacht": (1, "f4dbd86b6dcb0071"),
    "diabetes": (1, "290d632b4a38c924"),
    "wine": (1, "0fcc5921d399efc2"),
    "cc18-car": (1, "eabae33066ebe107"),
    "balance-scale": (1, "2a430750b333e7cc"),
    "cranfield": (1, "458e78a4a2338ab2"),
    "nas-bench-macro": (1, "d314fe5de881a314"),
}
#: loaders whose datasets need the package index, a download or many seconds
UNSEEN = {
    "graphmining_npz",
    "groups_csv",
    "image_folder",
    "keel",
    "keel_collection",
    "linqs",
    "mnist_csv",
    "musae",
    "omniglot",
}


def digest(arrays: dict[str, Any]) -> str:
    found = hashlib.sha256()
    for name, value in sorted(arrays.items()):
        parts = [value]
        if not isinstance(value, np.ndarray):  # a sparse matrix, whose indices are as wide as scipy likes
            parts = [value.data, value.indices.astype(np.int64), value.indptr.astype(np.int64)]
        for part in parts:
            found.update(f"{name} {part.dtype.str} {part.shape}".encode() + np.ascontiguousarray(part).tobytes())
    return found.hexdigest()[:16]


@pytest.mark.parametrize("name", KNOWN)
def test_the_arrays_of_a_loader(name: str, mirror: Path, shared_root: Path) -> None:
    entry = get(name)
    if entry.files:
        fetch(entry, shared_root, mirror)
    arrays = load(entry, raw_folder(entry, shared_root))
    assert (entry.version, digest(arrays)) == KNOWN[name]


def test_every_loader_is_held() -> None:
    held = {get(name).loader for name in KNOWN}
    assert {entry.loader.__name__ for entry in DATASETS.values() if entry.loader not in held} == UNSEEN
