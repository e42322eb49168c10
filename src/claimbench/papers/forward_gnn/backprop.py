"""The baseline BP: a GNN trained end to end by backpropagation (ForwardGNN, Section 4.1; torch-geometric's GCN,
GraphSAGE, GAT)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from claimbench.papers.forward_gnn.loop import train
from claimbench.papers.forward_gnn.operators import OPERATORS, Features, Graph, PreparedInput
from claimbench.papers.forward_gnn.task import NodeTask

if TYPE_CHECKING:
    from claimbench.run import Run


class Network(nn.Module):
    """``depth`` layers with ReLU between them and none after the last.

    Args:
        out_features: width of the last layer.
        classifier: the last layer gives class scores (GAT then averages its heads).
    """

    def __init__(
        self, run: Run, in_features: int, hidden: int, out_features: int, depth: int, *, classifier: bool = True
    ) -> None:
        super().__init__()
        widths = [in_features] + [hidden] * (depth - 1) + [out_features]
        self.layers = nn.ModuleList(
            OPERATORS[run.setting["backbone"]](
                widths[i], widths[i + 1], run.torch_generator(f"layer-{i}"), last=classifier and i == depth - 1
            )
            for i in range(depth)
        )

    def forward(
        self, x: Features, graph: Graph, last_graph: Graph | None = None, first: PreparedInput | None = None
    ) -> Tensor:
        """(receivers of ``last_graph``, out).

        Args:
            last_graph: the graph of the last layer when fewer outputs are wanted.
            first: ``x`` prepared for the first layer, whose input never changes.
        """
        for i, layer in enumerate(self.layers):
            last = i == len(self.layers) - 1
            if i == 0 and first is not None:
                x = first.linear(layer)  # type: ignore[arg-type]
            else:
                x = layer.propagate(layer.project(x), (last_graph or graph) if last else graph)
            if not last:
                x = x.relu()
        assert isinstance(x, Tensor)
        return x


def fit(run: Run, task: NodeTask, depth: int) -> Tensor:
    """Train a network of ``depth`` layers; class scores of all nodes, (nodes, classes)."""
    graph = Graph(task.edge_index, task.n_nodes)
    network = Network(run, task.x.shape[1], run.h.hidden, task.n_classes, depth).to(task.device)
    n_train = len(task.train)
    last_graph = graph.towards(torch.cat([task.train, task.val]))
    targets, val_targets = task.y[task.train], task.y[task.val]
    first = PreparedInput(network.layers[0], task.x, last_graph if depth == 1 else graph)  # type: ignore[arg-type]

    def forward() -> tuple[Tensor, object]:
        out = network(task.x, graph, last_graph, first)
        loss = functional.cross_entropy(out[:n_train], targets)
        return loss, lambda: float((out[n_train:].argmax(dim=1) == val_targets).float().mean())

    updates = train(run, network, forward, "network")
    run.count(steps=updates, n_params=sum(parameter.numel() for parameter in network.parameters()))
    with torch.no_grad():
        return network(task.x, graph).softmax(dim=1)
