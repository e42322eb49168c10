"""Link prediction: backpropagation, ForwardGNN-CE and ForwardGNN-FF (ForwardGNN, Section 3.4).

The score of an edge (u, v) is ``z_u . z_v``. CE and FF train layer by layer; each layer scores edges by itself and
the scores are averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional

from claimbench.data import Data
from claimbench.metrics import roc_auc
from claimbench.nn.state import unpack
from claimbench.papers.forward_gnn.backprop import Network
from claimbench.papers.forward_gnn.loop import train
from claimbench.papers.forward_gnn.operators import (
    Features,
    Graph,
    Operator,
    PreparedInput,
    make_layer,
    row_l2_normalise,
)
from claimbench.papers.forward_gnn.task import load_features
from claimbench.papers.forward_gnn.top_down import TopToInput, make_layers, train_top_to_input
from claimbench.run import Run


class Pairs:
    """Pairs of nodes whose scores are wanted.

    Args:
        index: (2, pairs) node indices.
        n_nodes: number of nodes.
    """

    def __init__(self, index: Int[Tensor, "2 pairs"], n_nodes: int) -> None:
        self.index, self.n_nodes = index, n_nodes

    @cached_property
    def by_node(self) -> tuple[Tensor, Tensor, Tensor]:
        """For every node what its pairs are: (partners, numbers of the pairs, where a node's entries start)."""
        nodes, partners = self.index.flatten(), self.index.flip(0).flatten()
        order = nodes.argsort(stable=True)
        starts = torch.bincount(nodes, minlength=self.n_nodes).cumsum(0)
        return partners[order], order % self.index.shape[1], functional.pad(starts, (1, 0))


class _Dot(torch.autograd.Function):
    """``z_u . z_v`` of pairs; the gradient of a node is one weighted sum over its partners."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, pairs: Pairs) -> Tensor:
        ctx.pairs = pairs
        ctx.save_for_backward(z)
        # much faster than indexing with the same numbers
        return z.index_select(0, pairs.index[0]).mul_(z.index_select(0, pairs.index[1])).sum(dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (z,), (partners, numbers, starts) = ctx.saved_tensors, ctx.pairs.by_node
        return functional.embedding_bag(
            partners, z, starts, mode="sum", per_sample_weights=gradients[0][numbers], include_last_offset=True
        ), None


@dataclass
class LinkTask:
    """One split of a graph's edges; labels are 1 for edges and 0 for negatives."""

    x: Features
    #: messages during training and validation: training edges
    graph: Graph
    #: messages at test time: training and validation edges
    test_graph: Graph
    pairs: Pairs
    labels: Float[Tensor, " pairs"]
    val_pairs: Pairs
    val_labels: Shaped[np.ndarray, " val_pairs"]


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
        Pairs(arrays["train_label_index"], x.shape[0]),
        labels,
        Pairs(arrays["val_label_index"], x.shape[0]),
        data.arrays["val_label"],
    )


def dot(z: Float[Tensor, "nodes width"], pairs: Pairs) -> Float[Tensor, " pairs"]:
    """``z_u . z_v`` of every pair: (pairs,)."""
    product: Tensor = _Dot.apply(z, pairs)
    return product


def product_goodness(z: Float[Tensor, "nodes width"], pairs: Pairs, theta: float) -> Float[Tensor, " pairs"]:
    """``sum_d (z_u z_v)_d^2 - theta`` of every pair: (pairs,)."""
    return dot(z.square(), pairs) - theta


def cross_entropy(logits: Float[Tensor, " pairs"], labels: Float[Tensor, " pairs"]) -> Float[Tensor, ""]:
    """Binary cross-entropy averaged over all pairs (BP, CE, T2I)."""
    return functional.binary_cross_entropy_with_logits(logits, labels)


def goodness_loss(logits: Float[Tensor, " pairs"], labels: Float[Tensor, " pairs"]) -> Float[Tensor, ""]:
    """FF: binary cross-entropy averaged over edges plus that averaged over negatives.

    With as many negatives as edges it is twice the average over all, which halves the share of weight decay in Adam's
    step.
    """
    positive = labels > 0
    return functional.softplus(-logits[positive]).mean() + functional.softplus(logits[~positive]).mean()


def fit_backpropagation(run: Run, task: LinkTask, depth: int) -> Float[Tensor, "nodes hidden"]:
    """BP for links: the embedding z of all nodes on the test graph, without class head or activation at the end."""
    network = Network(run, task.x.shape[1], run.h.hidden, run.h.hidden, depth, classifier=False)

    def forward() -> tuple[Tensor, Callable[[], float]]:
        z = network(task.x, task.graph)
        loss = cross_entropy(dot(z, task.pairs), task.labels)
        return loss, lambda: roc_auc(task.val_labels, dot(z, task.val_pairs).cpu().numpy())

    updates = train(run, network, forward, "network")
    run.count(steps=updates, n_params=sum(parameter.numel() for parameter in network.parameters()))
    with torch.no_grad():
        return network(task.x, task.test_graph)


def fit_layers(
    run: Run,
    task: LinkTask,
    depth: int,
    logit: Callable[[Tensor, Pairs], Tensor],
    loss_of: Callable[[Tensor, Tensor], Tensor],
) -> list[Float[Tensor, "nodes hidden"]]:
    """ForwardGNN for links, layer by layer: the outputs of all layers on the test graph, (nodes, hidden) each.

    Args:
        run: its hyper-parameters and random streams are used.
        task: the pairs and graphs.
        depth: number of layers.
        logit: (z, pairs) -> logit of every pair.
        loss_of: (logits, labels) -> loss.
    """
    x: Features = task.x
    test_x: Features = task.x
    earlier = torch.zeros(len(task.val_labels), device=run.device)
    outputs, updates, n_params = [], 0, 0
    for layer in range(depth):
        x, test_x = row_l2_normalise(x), row_l2_normalise(test_x)
        operator = make_layer(run, layer, x.shape[1], run.h.hidden)
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
    layers = make_layers(run, task.x.shape[1], depth, 0)
    recurrence = TopToInput(layers, row_l2_normalise(task.x), None, task.graph)

    def validate(outputs: list[Tensor]) -> float:
        return roc_auc(task.val_labels, mean_score(outputs, task.val_pairs).cpu().numpy())

    def loss(z: Tensor) -> Tensor:
        return cross_entropy(dot(z, task.pairs), task.labels)

    train_top_to_input(run, recurrence, loss, validate)
    return layers


def top_to_input_scores(run: Run, task: LinkTask, weights: Mapping[str, Any], pairs: Pairs) -> Float[Tensor, " pairs"]:
    """Scores of ``pairs`` on the test graph by layers that :func:`fit_top_to_input` trained: (pairs,).

    Args:
        run: its depth and steps are used.
        task: the features and the test graph.
        weights: the layers as :func:`claimbench.nn.state.pack` gives them.
        pairs: what is scored.
    """
    layers = unpack(make_layers(run, task.x.shape[1], run.setting["L"], 0), weights)
    recurrence = TopToInput(layers, row_l2_normalise(task.x), None, task.test_graph)
    return mean_score(recurrence.outputs(run.h.test_steps, run.h.first_counted_step), pairs)


def mean_score(outputs: list[Float[Tensor, "nodes width"]], pairs: Pairs) -> Float[Tensor, " pairs"]:
    """Mean of ``sigmoid(z_u . z_v)`` over ``outputs``: (pairs,)."""
    return torch.stack([dot(z, pairs).sigmoid() for z in outputs]).mean(dim=0)
