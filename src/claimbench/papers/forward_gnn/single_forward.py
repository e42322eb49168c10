"""Single forward learning (SF): layers train one after another, each by one forward pass on a graph with class nodes.

ForwardGNN, Section 3.2 and Algorithm 1. "Single forward" still differentiates inside a layer; nothing is differentiated
through two layers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from claimbench.papers.forward_gnn.loop import train
from claimbench.papers.forward_gnn.operators import (
    Features,
    Graph,
    Operator,
    PreparedInput,
    make_layer,
    row_l2_normalise,
)
from claimbench.papers.forward_gnn.task import NodeTask
from claimbench.papers.forward_gnn.virtual_nodes import augment, class_node_features, with_class_nodes
from claimbench.run import Run


def class_logits(
    nodes: Float[Tensor, "nodes width"], class_nodes: Float[Tensor, "classes width"], temperature: float = 1.0
) -> Float[Tensor, "nodes classes"]:
    """``h_v . h_c / temperature``: (nodes, classes)."""
    logits = nodes @ class_nodes.T
    return logits if temperature == 1.0 else logits / temperature


def augmented(run: Run, task: NodeTask) -> tuple[Features, Graph]:
    """Features with random class nodes, and the graph whose training nodes are linked with their class node."""
    generator = run.torch_generator("class-features", device="cpu")
    class_features = class_node_features(task.n_classes, task.x.shape[1], generator).to(task.device)
    graph = augment(task.edge_index, task.n_nodes, task.n_classes, task.train, task.y[task.train])
    return with_class_nodes(task.x, class_features), graph


def train_layer(
    run: Run,
    task: NodeTask,
    operator: Operator,
    x: Features,
    graph: Graph,
    earlier: Float[Tensor, "nodes classes"],
    name: str,
) -> int:
    """Train one layer on its fixed input.

    Args:
        run: its hyper-parameters are used.
        task: labels and split.
        operator: the layer, trained in place.
        x: (nodes + classes, width) normalised input.
        graph: messages between nodes and class nodes.
        earlier: (nodes, classes) summed class probabilities of the layers below.
        name: of the loop within the run.

    Returns:
        The number of updates.
    """
    n_train, n_val = len(task.train), len(task.val)
    class_nodes = torch.arange(task.n_nodes, graph.n_nodes, device=task.device)
    inputs = PreparedInput(operator, x, graph.towards(torch.cat([task.train, task.val, class_nodes])))
    targets, val_targets, earlier_val = task.y[task.train], task.y[task.val], earlier[task.val]

    def forward() -> tuple[Tensor, Callable[[], float]]:
        h = inputs(operator)
        logits = class_logits(h[: n_train + n_val], h[n_train + n_val :], run.h.temperature)
        loss = functional.cross_entropy(logits[:n_train], targets)

        def validate() -> float:
            summed = earlier_val + logits[n_train:].softmax(dim=1)
            return float((summed.argmax(dim=1) == val_targets).float().mean())

        return loss, validate

    return train(run, operator, forward, name)


def fit(
    run: Run, task: NodeTask, depth: int, trained: list[Operator] | None = None
) -> list[Float[Tensor, "nodes classes"]]:
    """Train ``depth`` layers from the bottom.

    Args:
        run: its hyper-parameters and random streams are used.
        task: graph, labels and split.
        depth: number of layers.
        trained: receives the layers.

    Returns:
        For every prefix of 1..depth layers the class probabilities summed over its layers: (nodes, classes) each.
    """
    x, graph = augmented(run, task)
    earlier = torch.zeros(task.n_nodes, task.n_classes, device=task.device)
    prefixes, updates, n_params = [], 0, 0
    for layer in range(depth):
        x = row_l2_normalise(x)
        operator = make_layer(run, layer, x.shape[1], run.h.hidden)
        updates += train_layer(run, task, operator, x, graph, earlier, f"layer-{layer + 1}")
        with torch.no_grad():
            x = PreparedInput(operator, x, graph)(operator)
            logits = class_logits(x[: task.n_nodes], x[task.n_nodes :], run.h.temperature)
            earlier = earlier + logits.softmax(dim=1)
        n_params += sum(parameter.numel() for parameter in operator.parameters())
        prefixes.append(earlier)
        if trained is not None:
            trained.append(operator)
        run.count(steps=updates, n_params=n_params)
    return prefixes
