"""The baseline BP: a GNN trained end to end by backpropagation (ForwardGNN, Section 4.1).

The networks are torch-geometric's GCN, GraphSAGE and GAT.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from claimbench.papers.forward_gnn.loop import train
from claimbench.papers.forward_gnn.operators import Features, Graph, PreparedInput, make_layer
from claimbench.papers.forward_gnn.task import NodeTask
from claimbench.run import Run


class Network(nn.Module):
    """``depth`` layers with ReLU between them and none after the last.

    Args:
        run: its backbone and random streams are used.
        in_features: width of the input.
        hidden: width of the layers before the last.
        out_features: width of the last layer.
        depth: number of layers.
        classifier: the last layer gives class scores (GAT then averages its heads).
    """

    def __init__(
        self, run: Run, in_features: int, hidden: int, out_features: int, depth: int, *, classifier: bool = True
    ) -> None:
        super().__init__()
        widths = [in_features] + [hidden] * (depth - 1) + [out_features]
        self.layers = nn.ModuleList(
            make_layer(run, i, widths[i], widths[i + 1], last=classifier and i == depth - 1) for i in range(depth)
        )

    def forward(
        self, x: Features, graph: Graph, last_graph: Graph | None = None, first: PreparedInput | None = None
    ) -> Float[Tensor, "receivers out"]:
        """(receivers of the last graph, out).

        Args:
            x: (nodes, features).
            graph: messages of every layer.
            last_graph: the graph of the last layer when fewer outputs are wanted.
            first: ``x`` prepared for the first layer, whose input never changes.
        """
        last = len(self.layers) - 1
        for i, layer in enumerate(self.layers):
            if i == 0 and first is not None:
                h = first.linear(layer)
            else:
                h = layer.propagate(layer.project(h if i else x), (last_graph or graph) if i == last else graph)
            h = h if i == last else h.relu_()
        return h


def fit(run: Run, task: NodeTask, depth: int) -> Float[Tensor, "nodes classes"]:
    """Train a network of ``depth`` layers; class probabilities of all nodes, (nodes, classes)."""
    graph = Graph(task.edge_index, task.n_nodes)
    network = Network(run, task.x.shape[1], run.h.hidden, task.n_classes, depth)
    n_train = len(task.train)
    last_graph = graph.towards(torch.cat([task.train, task.val]))
    targets, val_targets = task.y[task.train], task.y[task.val]
    first = PreparedInput(network.layers[0], task.x, last_graph if depth == 1 else graph)

    def forward() -> tuple[Tensor, Callable[[], float]]:
        out = network(task.x, graph, last_graph, first)
        loss = functional.cross_entropy(out[:n_train], targets)
        return loss, lambda: float((out[n_train:].argmax(dim=1) == val_targets).float().mean())

    updates = train(run, network, forward, "network")
    run.count(steps=updates, n_params=sum(parameter.numel() for parameter in network.parameters()))
    with torch.no_grad():
        return network(task.x, graph).softmax(dim=1)
