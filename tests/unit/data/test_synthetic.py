"""The generated graph."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from claimbench.data.registry import DATASETS
from claimbench.data.sets.graphs import block_model


def test_the_smoke_graph_never_changes() -> None:
    arrays = block_model(Path(), **DATASETS["sbm-120"].options)
    assert arrays["x"].shape == (120, 16)
    assert np.bincount(arrays["y"]).tolist() == [40, 40, 40]
    assert arrays["x"].any(axis=1).all(), "no node is without words: rows are divided by their sum"
    content = b"".join(arrays[name].tobytes() for name in ("x", "edge_index", "y"))
    assert hashlib.sha256(content).hexdigest()[:16] == "547c4b24337758e1"


def test_the_blocks_have_the_promised_densities() -> None:
    arrays = block_model(Path(), 1200, 3, 9, 0.06, 0.01, seed=1)
    row, col = arrays["edge_index"]
    same = arrays["y"][row] == arrays["y"][col]
    within, between = 3 * 400 * 399, 3 * 400 * 800
    assert same.sum() / within == pytest.approx(0.06, rel=0.05)
    assert (~same).sum() / between == pytest.approx(0.01, rel=0.05)
    assert not (row == col).any()
    pairs = set(zip(row.tolist(), col.tolist(), strict=True))
    assert len(pairs) == row.size
    assert all((b, a) in pairs for a, b in pairs)
    own = arrays["x"][np.arange(1200), arrays["y"] * 3]
    assert own.mean() == pytest.approx(0.5, abs=0.06)
