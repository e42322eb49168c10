"""Class nodes: one extra node a class, linked with the nodes known to belong to it (ForwardGNN, Section 3.2)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from claimbench.papers.forward_gnn.operators import Features, Graph, SparseFeatures


def class_node_features(
    n_classes: int, n_features: int, generator: torch.Generator
) -> Float[Tensor, "n_classes n_features"]:
    """(classes, features) drawn once from N(0, 1) on the CPU and never trained."""
    return torch.randn(n_classes, n_features, generator=generator)


def with_class_nodes(x: Features, class_features: Float[Tensor, "classes features"]) -> Features:
    """Features of real nodes with those of the class nodes below: (nodes + classes, features)."""
    if isinstance(x, SparseFeatures):
        return SparseFeatures(x.sparse, class_features)
    return torch.cat([x, class_features])


def augment(
    edge_index: Int[Tensor, "2 edges"],
    n_nodes: int,
    n_classes: int,
    nodes: Int[Tensor, " linked"],
    classes: Int[Tensor, " linked"],
) -> Graph:
    """The graph with class nodes ``n_nodes + c``, each of ``nodes`` linked with its class node in both directions.

    Args:
        edge_index: (2, edges), source above target.
        n_nodes: number of real nodes.
        n_classes: number of class nodes to add.
        nodes: (linked,) real nodes.
        classes: (linked,) class of each of them.
    """
    class_nodes = n_nodes + classes
    to_class, from_class = torch.stack([nodes, class_nodes]), torch.stack([class_nodes, nodes])
    return Graph(torch.cat([edge_index, to_class, from_class], dim=1), n_nodes + n_classes)
