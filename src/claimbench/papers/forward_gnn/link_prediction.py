"""Link prediction: backpropagation, ForwardGNN-CE and ForwardGNN-FF (ForwardGNN, Section 3.4).

The score of an edge (u, v) is ``z_u . z_v``. CE and FF train layer by layer; each layer scores edges by itself and
the scores are averaged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from claimbench.metrics import roc_auc
from claimbench.papers.forward_gnn.backprop import Network
from claimbench.papers.forward_gnn.loop import train
from claimbench.papers.forward_gnn.operators import (
    OPERATORS,
    Features,
    Graph,
    Operator,
    PreparedInput,
    row_l2_normalise,
)
from claimbench.papers.forward_gnn.task import load_features
from claimbench.papers.forward_gnn.top_down import TopToInput, make_layers, train_top_to_input

if TYPE_CHECKING:
    from claimbench.data import Data
    from claimbench.run import Run


@dataclass
class LinkTask:
    """One split of a graph's edges; pairs are (2, pairs) node indices, labels 1 for edges and 0 for negatives."""

    x: Features
    #: messages during training and validation: training edges
    graph: Graph
    #: messages at test time: training and validation edges
    test_graph: Graph
    pairs: Tensor
    labels: Tensor
    val_pairs: Tensor
    val_labels: np.ndarray


def load(run: Run, data: Data) -> LinkTask:
    """The task of ``run``; ``sabotage: shuffled-labels`` permutes the labels of the training pairs."""
    arrays = {
        name: torch.as_tensor(value, device=run.device)
        for name, value in data.arrays.items()
        if "edge" in name or "label" in name
    }
    x = load_features(data, run.device)
    labels = arrays["train_label"].float()
    if run.h.sabotage == "shuffled-labels":
        labels = labels[torch.as_tensor(run.rng("sabotage").permutation(len(labels)), device=run.device)]
    new = arrays["val_label_index"][:, arrays["val_label"] > 0]
    test_edges = torch.cat([arrays["val_edge_index"], new, new.flip(0)], dim=1)
    return LinkTask(
        x,
        Graph(arrays["train_edge_index"], x.shape[0]),
        Graph(test_edges, x.shape[0]),
        arrays["train_label_index"],
        labels,
        arrays["val_label_index"],
        data.arrays["val_label"],
    )


def dot(z: Tensor, pairs: Tensor) -> Tensor:
    """``z_u . z_v`` of every pair: (pairs,)."""
    return (z[pairs[0]] * z[pairs[1]]).sum(dim=1)


def product_goodness(z: Tensor, pairs: Tensor, theta: float) -> Tensor:
    """``sum_d (z_u z_v)_d^2 - theta`` of every pair: (pairs,)."""
    return (z[pairs[0]] * z[pairs[1]]).square().sum(dim=1) - theta


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy averaged over all pairs (BP, CE, T2I)."""
    return functional.binary_cross_entropy_with_logits(logits, labels)


def goodness_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """FF: binary cross-entropy averaged over edges plus that averaged over negatives. With as many negatives as edges
    it is twice the average over all, which halves the share of weight decay in Adam's step."""
    positive = labels > 0
    return functional.softplus(-logits[positive]).mean() + functional.softplus(logits[~positive]).mean()


def fit_backpropagation(run: Run, task: LinkTask, depth: int) -> list[Tensor]:
    """The embedding z of all nodes, (nodes, hidden), as a list of one: no class head, no activation after the last
    layer."""
    network = Network(run, task.x.shape[1], run.h.hidden, run.h.hidden, depth, classifier=False).to(run.device)

    def forward() -> tuple[Tensor, Callable[[], float]]:
        z = network(task.x, task.graph)
        loss = cross_entropy(dot(z, task.pairs), task.labels)
        return loss, lambda: roc_auc(task.val_labels, dot(z, task.val_pairs).cpu().numpy())

    updates = train(run, network, forward, "network")
    run.count(steps=updates, n_params=sum(parameter.numel() for parameter in network.parameters()))
    with torch.no_grad():
        return [network(task.x, task.test_graph)]


def fit_layers(
    run: Run,
    task: LinkTask,
    depth: int,
    logit: Callable[[Tensor, Tensor], Tensor],
    loss_of: Callable[[Tensor, Tensor], Tensor],
) -> list[Tensor]:
    """Layer by layer: the outputs of all layers on the test graph, (nodes, hidden) each.

    Args:
        logit: (z, pairs) -> logit of every pair.
        loss_of: (logits, labels) -> loss.
    """
    x: Features = task.x
    test_x: Features = task.x
    earlier = torch.zeros(len(task.val_labels), device=run.device)
    outputs, updates, n_params = [], 0, 0
    for layer in range(depth):
        x, test_x = row_l2_normalise(x), row_l2_normalise(test_x)
        operator = OPERATORS[run.setting["backbone"]](
            x.shape[1], run.h.hidden, run.torch_generator(f"layer-{layer}")
        ).to(run.device)
        inputs = PreparedInput(operator, x, task.graph)

        def forward(
            operator: Operator = operator, inputs: PreparedInput = inputs, earlier: Tensor = earlier
        ) -> tuple[Tensor, Callable[[], float]]:
            z = inputs(operator)
            loss = loss_of(logit(z, task.pairs), task.labels)
            return loss, lambda: roc_auc(task.val_labels, (earlier + logit(z, task.val_pairs).sigmoid()).cpu().numpy())

        updates += train(run, operator, forward, f"layer-{layer + 1}")
        with torch.no_grad():
            x = inputs(operator)
            test_x = PreparedInput(operator, test_x, task.test_graph)(operator)
            earlier = earlier + logit(x, task.val_pairs).sigmoid()
        n_params += sum(parameter.numel() for parameter in operator.parameters())
        outputs.append(test_x)
        run.count(steps=updates, n_params=n_params)
    return outputs


def fit_top_to_input(run: Run, task: LinkTask, depth: int) -> nn.ModuleList:
    """CE with top-down signals to the input: nothing stands above the top layer."""
    layers = make_layers(run, task.x.shape[1], depth, 0).to(run.device)
    recurrence = TopToInput(layers, row_l2_normalise(task.x), None, task.graph)

    def validate(outputs: list[Tensor]) -> float:
        return roc_auc(task.val_labels, mean_score(outputs, task.val_pairs).cpu().numpy())

    def loss(z: Tensor) -> Tensor:
        return cross_entropy(dot(z, task.pairs), task.labels)

    train_top_to_input(run, recurrence, loss, validate)
    return layers


def top_to_input_scores(run: Run, task: LinkTask, weights: dict[str, Tensor], pairs: Tensor) -> Tensor:
    """Scores of ``pairs`` on the test graph by layers that :func:`fit_top_to_input` trained: (pairs,)."""
    layers = make_layers(run, task.x.shape[1], run.setting["L"], 0).to(run.device)
    layers.load_state_dict(weights)
    recurrence = TopToInput(layers, row_l2_normalise(task.x), None, task.test_graph)
    return mean_score(recurrence.outputs(run.h.test_steps, run.h.first_counted_step), pairs)


def mean_score(outputs: list[Tensor], pairs: Tensor) -> Tensor:
    """Mean of ``sigmoid(z_u . z_v)`` over ``outputs``: (pairs,)."""
    return torch.stack([dot(z, pairs).sigmoid() for z in outputs]).mean(dim=0)
