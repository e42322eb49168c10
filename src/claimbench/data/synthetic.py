"""Generated datasets."""

from __future__ import annotations

from typing import Any

import numpy as np

from claimbench.seeding import rng


def block_model(
    n_nodes: int, n_classes: int, n_features: int, p_within: float, p_between: float, seed: int
) -> dict[str, Any]:
    """A stochastic block model with equal blocks and binary word features.

    An edge is drawn with probability ``p_within`` inside a block and ``p_between`` across. Each class owns an equal
    share of the words (the rest are common) and uses its own with probability 1/2, all others with 1/6. A node without
    any word gets one of its own.

    Returns:
        x (n_nodes, n_features) float32, edge_index (2, E) int64 symmetric without self-loops, y (n_nodes,) int64.
    """
    random = rng(seed, "block_model")
    y = np.sort(np.arange(n_nodes) % n_classes)
    row, col = np.triu_indices(n_nodes, k=1)
    drawn = random.random(row.size) < np.where(y[row] == y[col], p_within, p_between)
    row, col = row[drawn], col[drawn]
    own = np.arange(n_features) // (n_features // n_classes) == y[:, None]
    x = random.random((n_nodes, n_features)) < np.where(own, 1 / 2, 1 / 6)
    x[np.arange(n_nodes), y * (n_features // n_classes)] |= ~x.any(axis=1)
    edge_index = np.stack([np.concatenate([row, col]), np.concatenate([col, row])])
    order = np.lexsort((edge_index[1], edge_index[0]))
    return {"x": x.astype(np.float32), "edge_index": edge_index[:, order].astype(np.int64), "y": y.astype(np.int64)}
