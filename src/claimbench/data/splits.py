"""The split protocols: which samples (or edges) train, validate and test.

``index`` is the number of the run (its seed), counted from 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from claimbench.errors import UserError
from claimbench.seeding import rng

Indices = dict[str, np.ndarray]


def samples(arrays: dict[str, Any], params: dict[str, Any], index: int, what: str) -> Indices:
    """``train``, ``val``, ``test``: sorted int64 indices of labelled samples, disjoint.

    Args:
        arrays: of :func:`claimbench.data.loaders.load`.
        params: of :func:`claimbench.data.registry.complete_split`.
        index: number of the run.
        what: name of the dataset, for messages.

    Raises:
        UserError: the protocol does not fit the dataset.
    """
    protocol = params["protocol"]
    y = arrays["y"]
    labelled = np.arange(len(y)) if y.dtype.kind == "f" else np.flatnonzero(y >= 0)
    if protocol == "kfold":
        found = kfold(labelled.size, params["folds"], params["val"], index)
        return {name: labelled[chosen] for name, chosen in found.items()}
    if protocol == "random":
        found = random_fractions(labelled.size, params["train"], params["val"], params["test"], index)
        return {name: labelled[chosen] for name, chosen in found.items()}
    if protocol == "public":
        return public(arrays, params["val"], what)
    if protocol == "halves":
        return halves(y, params["most"], index, what)
    if protocol == "binary-subset":
        return binary_subset(y, params["train"], params["test"], params["most"], index, what)
    raise UserError(f"split: protocol {protocol!r} does not cut samples")


def kfold(n: int, folds: int, val: float, index: int) -> Indices:
    """Fold ``index`` of a shuffled k-fold tests; the share ``val`` of the others validates.

    The protocol of ForwardGNN (ICLR 2024, official code; with the defaults these are its published index files):
    scikit-learn's ``KFold(5, shuffle=True, random_state=101)``, then run i, counted from 0,
    ``train_test_split(test_size=0.2, random_state=127 * i)``.
    Runs beyond the last fold go on with a fresh shuffle (random_state 102, 103, ...).
    """
    from sklearn.model_selection import KFold, train_test_split

    cut = KFold(folds, shuffle=True, random_state=101 + index // folds).split(np.arange(n))
    train, test = list(cut)[index % folds]
    train, validation = train_test_split(train, test_size=val, random_state=127 * index, shuffle=True)
    return {"train": np.sort(train), "val": np.sort(validation), "test": np.sort(test)}


def random_fractions(n: int, train: float, val: float, test: float, index: int) -> Indices:
    """A random permutation cut into fractions; fractions that add up to 1 use every sample."""
    order = rng(index, "split/random").permutation(n)
    n_test, n_val = round(test * n), round(val * n)
    n_train = n - n_test - n_val if abs(train + val + test - 1) < 1e-9 else int(train * n)
    stops = np.cumsum([n_test, n_val, n_train])
    return {
        "test": np.sort(order[: stops[0]]),
        "val": np.sort(order[stops[0] : stops[1]]),
        "train": np.sort(order[stops[1] : stops[2]]),
    }


def halves(y: np.ndarray, most: int, index: int, what: str) -> Indices:
    """TabPFN's protocol: a fresh permutation, its first half trains (at most ``most`` rows), the second tests.

    Permutations are drawn until both parts hold every class (Hollmann et al., ICLR 2023, official evaluation). They come
    from the run's own stream, so the splits are of the published kind without being the published ones.
    """
    if y.dtype.kind == "f":
        raise UserError(f"split halves: {what} has no classes; allowed: a dataset with classes")
    random, classes = rng(index, "split/halves"), np.unique(y)
    for _ in range(1000):
        order = random.permutation(y.size)
        train, test = order[: y.size // 2][:most], order[y.size // 2 :]
        if all(np.array_equal(np.unique(y[part]), classes) for part in (train, test)):
            return {"train": np.sort(train), "val": order[:0], "test": np.sort(test)}
    raise UserError(f"split halves: no permutation of {what} has every class among {most} training rows and in the test half")


def binary_subset(y: np.ndarray, train: int, test: int, most: int, index: int, what: str) -> Indices:
    """A small balanced task of two classes, as in the tabular study of PFNs (Mueller et al., ICLR 2022, appendix).

    Of the first two classes the first ``most`` / 2 rows each are kept (fewer when one has fewer); subset ``index`` draws
    half of ``train`` + ``test`` rows from each. The classes alternate, so both parts are balanced. The authors walk
    through the kept rows; here they are drawn.
    """
    if y.dtype.kind == "f":
        raise UserError(f"split binary-subset: {what} has no classes; allowed: a dataset with classes")
    first, second = (np.flatnonzero(y == label)[: most // 2] for label in (0, 1))
    kept, wanted = min(first.size, second.size), (train + test) // 2
    if kept < wanted:
        raise UserError(f"split binary-subset: {train + test} rows, but {what} has {kept} rows of a class; allowed: {2 * kept}")
    random = rng(index, "split/binary-subset")
    rows = np.stack([random.choice(part[:kept], wanted, replace=False) for part in (first, second)], 1).ravel()
    return {"train": np.sort(rows[:train]), "val": rows[:0], "test": np.sort(rows[train:])}


def public(arrays: dict[str, Any], val: int | None, what: str) -> Indices:
    """The official split.

    Planetoid: the first samples train, the next ``val`` (500) validate, the listed ones test. Images: the last ``val``
    (5,000) of the official training set validate.
    """
    if "public_test" not in arrays:
        raise UserError(f"{what} has no public split; allowed: kfold, random")
    train, test = arrays["public_train"], arrays["public_test"]
    if "public_val" in arrays:
        validation = arrays["public_val"][:val]
        if val is not None and validation.size < val:
            raise UserError(f"split public: val is {val}; {what} has {validation.size} official validation nodes")
    else:
        val = 5000 if val is None else val
        if val >= train.size:
            raise UserError(
                f"split public: val is {val}; allowed: less than the {train.size} training samples of {what}"
            )
        train, validation = train[:-val], train[-val:]
    return {"train": train, "val": validation, "test": test}


def links(edge_index: np.ndarray, n_nodes: int, val: float, test: float, index: int) -> dict[str, np.ndarray]:
    """Edges of an undirected graph for link prediction, as ForwardGNN cuts them (ICLR 2024, official code).

    The authors call PyTorch Geometric's ``RandomLinkSplit(is_undirected=True, num_val=0.16, num_test=0.2,
    neg_sampling_ratio=1.0)`` under seed 101 * i for run i, counted from 0; so does this, and leaves the process's own
    random state alone. Every part has as many fixed negatives as positives. Which edges are drawn depends on the
    versions of torch and torch-geometric.

    Args:
        edge_index: (2, E) int64, symmetric, sorted by row then column.
        n_nodes: also counts nodes without an edge.
        val: share of the undirected edges.
        test: share of the undirected edges.
        index: number of the run.

    Returns:
        For each part in train, val, test: ``{part}_edge_index`` (2, M) int64, the edges messages may use (training
        edges for train and val, training and validation edges for test; both directions); ``{part}_label_index`` (2, P)
        int64 node pairs, each undirected edge once, positives first; ``{part}_label`` (P,) float32, 1 for edges and 0
        for negatives.
    """
    import random

    import torch
    from torch_geometric.data import Data
    from torch_geometric.transforms import RandomLinkSplit

    cut = RandomLinkSplit(num_val=float(val), num_test=float(test), is_undirected=True, neg_sampling_ratio=1.0)
    graph = Data(edge_index=torch.from_numpy(edge_index), num_nodes=n_nodes)
    state = random.getstate()
    try:
        with torch.random.fork_rng(devices=[]):
            random.seed(101 * index)
            torch.manual_seed(101 * index)
            parts = cut(graph)
    finally:
        random.setstate(state)
    found = {}
    for name, part in zip(("train", "val", "test"), parts, strict=True):
        found[f"{name}_edge_index"] = part.edge_index.numpy()
        found[f"{name}_label_index"] = part.edge_label_index.numpy()
        found[f"{name}_label"] = part.edge_label.numpy().astype(np.float32)
    return found
