"""What the methods train on: features, edges, labels and splits as tensors on the run's device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float, Int
from torch import Tensor

from claimbench.data import Data
from claimbench.errors import UserError
from claimbench.papers.forward_gnn.operators import Features, SparseFeatures, SparseMatrix
from claimbench.run import Run

SABOTAGES = ("none", "shuffled-labels")
#: above this share of non-zeros a dense product is faster than a sparse one
DENSE_ABOVE = 0.25


@dataclass
class NodeTask:
    """Node classification on one split.

    ``y`` holds labels where they may be used and -1 elsewhere (the test nodes); ``train``, ``val``, ``test`` are node
    indices.
    """

    #: (nodes, features), row-sum-normalised
    x: Features
    edge_index: Int[Tensor, "2 edges"]
    y: Int[Tensor, " nodes"]
    train: Int[Tensor, " train"]
    val: Int[Tensor, " val"]
    test: Int[Tensor, " test"]
    n_classes: int

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return int(self.x.shape[0])

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.edge_index.device


def row_sum_normalise(
    x: scipy.sparse.csr_matrix | Float[np.ndarray, "nodes features"],
) -> scipy.sparse.spmatrix | Float[np.ndarray, "nodes features"]:
    """(nodes, features) shifted to minimum 0 (where dense) and divided by the row sum, at least 1: torch-geometric's
    ``NormalizeFeatures``."""
    if isinstance(x, np.ndarray):
        x = x - x.min()
        return x / np.maximum(x.sum(axis=1, keepdims=True), 1.0)
    sums = np.maximum(np.asarray(x.sum(axis=1)).ravel(), 1.0)
    return scipy.sparse.diags((1.0 / sums).astype(np.float32)) @ x


def load_features(data: Data, device: str) -> Features:
    """(nodes, features) of a dataset with ``x`` (dense) or ``x_data``, ``x_indices``, ``x_indptr`` and ``x_shape``
    (CSR), row-sum-normalised; sparse when that is faster."""
    arrays = data.arrays
    if "x" in arrays:
        dense = np.asarray(arrays["x"], np.float32)
        matrix = scipy.sparse.csr_matrix(dense) if np.count_nonzero(dense) < DENSE_ABOVE * dense.size else dense
    else:
        parts = (arrays["x_data"].astype(np.float32), arrays["x_indices"], arrays["x_indptr"])
        matrix = scipy.sparse.csr_matrix(parts, shape=tuple(int(n) for n in arrays["x_shape"]))
        if matrix.nnz >= DENSE_ABOVE * matrix.shape[0] * matrix.shape[1]:
            matrix = matrix.toarray()
    matrix = row_sum_normalise(matrix)
    if isinstance(matrix, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(matrix, np.float32)).to(device)
    return SparseFeatures(SparseMatrix(matrix, device))


def load_node_task(run: Run, data: Data) -> NodeTask:
    """The task of ``run``; ``sabotage: shuffled-labels`` permutes the training labels among the training nodes.

    Raises:
        UserError: another value of ``sabotage``.
    """
    arrays, device = data.arrays, run.device
    y = np.array(arrays["y"], np.int64)
    train = np.asarray(arrays["train_idx"], np.int64)
    if run.h.sabotage not in SABOTAGES:
        raise UserError(f"forward-gnn: sabotage is {run.h.sabotage!r}; allowed: {', '.join(SABOTAGES)}")
    if run.h.sabotage == "shuffled-labels":
        y[train] = run.rng("sabotage").permutation(y[train])
    index = {
        name: torch.as_tensor(np.asarray(arrays[f"{name}_idx"], np.int64), device=device) for name in ("val", "test")
    }
    return NodeTask(
        x=load_features(data, device),
        edge_index=torch.as_tensor(np.asarray(arrays["edge_index"], np.int64), device=device),
        y=torch.as_tensor(y, device=device),
        train=torch.as_tensor(train, device=device),
        n_classes=int(data.info["n_classes"]),
        **index,
    )
