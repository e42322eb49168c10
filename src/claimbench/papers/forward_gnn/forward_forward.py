"""Forward-forward learning on graphs with label appending (FF-LA) and with virtual nodes (FF-VN).

ForwardGNN, Section 3.1. A layer learns to give positive inputs (the right label) a high goodness and K - 1 negative
inputs (wrong labels) a low one; each input is a *stream* that goes through the frozen layers on its own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from claimbench.papers.forward_gnn.loop import train
from claimbench.papers.forward_gnn.operators import (
    Features,
    Graph,
    Operator,
    PreparedInput,
    SparseFeatures,
    make_layer,
    row_l2_normalise,
    unit_rows,
)
from claimbench.papers.forward_gnn.task import NodeTask
from claimbench.papers.forward_gnn.virtual_nodes import augment, class_node_features, with_class_nodes
from claimbench.run import Run


def goodness_loss(outputs: list[Float[Tensor, "nodes width"]], theta: float) -> Float[Tensor, ""]:
    """BCE of ``sum h^2 - theta`` against 1 for the first output and 0 for the others, which are averaged.

    Args:
        outputs: (nodes, width) of the positive and then of every negative stream.
        theta: threshold of the goodness.
    """
    positive, *negatives = [h.square().sum(dim=1) - theta for h in outputs]
    return (
        functional.softplus(-positive).mean() + torch.stack([functional.softplus(g).mean() for g in negatives]).mean()
    )


def goodness(outputs: list[Float[Tensor, "nodes width"]], theta: float) -> Float[Tensor, "nodes classes"]:
    """``mean h^2 - theta`` of every class's stream: (nodes, classes). Training uses the sum, prediction the mean."""
    return torch.stack([h.square().mean(dim=1) - theta for h in outputs], dim=1)


def wrong_classes(
    n_nodes: int, y: Int[Tensor, " nodes"], n_classes: int, generator: torch.Generator
) -> Int[Tensor, "nodes wrong"]:
    """The K - 1 wrong classes of every node in a random order: (nodes, K - 1).

    ``y`` -1 (unknown) leaves out class 0. ``generator`` draws on the CPU.
    """
    order = torch.rand(n_nodes, n_classes, generator=generator)
    order[torch.arange(n_nodes), y.clamp(min=0).cpu()] = 2.0
    return order.argsort(dim=1)[:, :-1].to(y.device)


def label_matrix(
    n_nodes: int, n_classes: int, nodes: Int[Tensor, " known"], classes: Int[Tensor, " known"]
) -> Float[Tensor, "n_nodes n_classes"]:
    """(nodes, classes): one-hot ``classes`` at ``nodes``, uniform 1/K elsewhere."""
    labels = torch.full((n_nodes, n_classes), 1.0 / n_classes, device=nodes.device)
    labels[nodes] = functional.one_hot(classes, n_classes).float()
    return labels


def squared_norm(x: Features) -> Float[Tensor, " nodes"]:
    """Squared Euclidean norm of every row: (nodes,)."""
    if isinstance(x, SparseFeatures):
        host = x.sparse.host
        return torch.as_tensor(host.multiply(host).sum(axis=1).A1, dtype=torch.float32, device=x.sparse.device)
    return x.square().sum(dim=1)


class LabelStreams:
    """Streams that differ in the label vector appended to the features.

    The features' product with the weights is common to all streams; a stream adds its label's rows of the weights
    and, as the label enters the row-L2 norm, scales each node.

    Args:
        x: (nodes, features).
        labels: (nodes, classes) of every stream.
        graph: messages of all streams.
        receivers: nodes at which :meth:`outputs` is wanted.
    """

    def __init__(
        self,
        x: Features,
        labels: list[Float[Tensor, "nodes classes"]],
        graph: Graph,
        receivers: Int[Tensor, " receivers"],
    ) -> None:
        self.graph, self.limited = graph, graph.towards(receivers)
        inverse = [1.0 / ((squared_norm(x) + label.square().sum(dim=1)).sqrt() + 1e-8)[:, None] for label in labels]
        self.inverse_norm, self.labels = inverse, [label * scale for label, scale in zip(labels, inverse, strict=True)]
        self.states: list[Tensor] | None = None
        self.prepared: list[PreparedInput] = []

    def prepare(self, operator: Operator) -> None:
        """Aggregate the streams' inputs for a layer about to train."""
        self.prepared = [PreparedInput(operator, state, self.limited) for state in self.states or []]

    def _first(self, operator: Operator, raw: Tensor, graph: Graph) -> list[Tensor]:
        label_weight = operator.weight[-self.labels[0].shape[1] :]
        return [
            operator.propagate(torch.addmm(raw * scale, label, label_weight), graph).relu_()
            for label, scale in zip(self.labels, self.inverse_norm, strict=True)
        ]

    def outputs(
        self, operator: Operator, raw: Float[Tensor, "nodes projected"] | None
    ) -> list[Float[Tensor, "receivers hidden"]]:
        """The layer's output at the receivers, a stream each; ``raw`` is the first layer's projection of x."""
        if raw is not None:
            return self._first(operator, raw, self.limited)
        return [prepared(operator) for prepared in self.prepared]

    def advance(
        self, operator: Operator, raw: Float[Tensor, "nodes projected"] | None
    ) -> list[Float[Tensor, "nodes hidden"]]:
        """Pass the trained layer: the outputs at all nodes, whose normalised values are the next layer's inputs."""
        if raw is not None:
            outputs = self._first(operator, raw, self.graph)
        else:
            outputs = [PreparedInput(operator, state, self.graph)(operator) for state in self.states or []]
        self.states = [unit_rows(h) for h in outputs]
        return outputs


class LinkStreams:
    """Streams that differ in the class node to which nodes are linked.

    Args:
        graphs: one graph a stream.
        receivers: nodes at which :meth:`outputs` is wanted.
        follow_positive: the first stream's output is the next input of all (training); otherwise each keeps its own.
    """

    def __init__(self, graphs: list[Graph], receivers: Int[Tensor, " receivers"], *, follow_positive: bool) -> None:
        self.graphs, self.follow_positive = graphs, follow_positive
        self.limited = [graph.towards(receivers) for graph in graphs]
        self.states: list[Tensor] | None = None
        self.prepared: list[PreparedInput] = []

    def prepare(self, operator: Operator) -> None:
        """Aggregate the streams' inputs for a layer about to train."""
        self.prepared = [
            PreparedInput(operator, state, graph) for state, graph in zip(self.states or [], self.limited, strict=False)
        ]

    def outputs(
        self, operator: Operator, raw: Float[Tensor, "nodes projected"] | None
    ) -> list[Float[Tensor, "receivers hidden"]]:
        """The layer's output at the receivers, a stream each; ``raw`` is the first layer's projection of x."""
        if raw is not None:
            return [operator.propagate(raw, graph).relu_() for graph in self.limited]
        return [prepared(operator) for prepared in self.prepared]

    def advance(
        self, operator: Operator, raw: Float[Tensor, "nodes projected"] | None
    ) -> list[Float[Tensor, "nodes hidden"]]:
        """Pass the trained layer: the outputs at all nodes, whose normalised values are the next layer's inputs."""
        used = self.graphs[:1] if self.follow_positive else self.graphs
        if raw is not None:
            outputs = [operator.propagate(raw, graph).relu_() for graph in used]
        else:
            states = self.states or []
            outputs = [
                PreparedInput(operator, state, graph)(operator) for state, graph in zip(states, used, strict=False)
            ]
        normalised = [unit_rows(h) for h in outputs]
        self.states = normalised * len(self.graphs) if self.follow_positive else normalised
        return outputs


Streams = LabelStreams | LinkStreams


def _fit_streams(
    run: Run,
    task: NodeTask,
    depth: int,
    x: Features,
    n_labels: int,
    training: Streams,
    validation: Streams,
    test: Streams,
) -> list[Tensor]:
    """Train ``depth`` layers on the streams.

    Returns:
        Goodness of the test streams, summed over the layers of every prefix: (nodes, classes) each.
    """
    n_features, theta = x.shape[1], run.h.theta
    val_targets = task.y[task.val]
    val_total = torch.zeros(len(task.val), task.n_classes, device=task.device)
    test_total = torch.zeros(task.n_nodes, task.n_classes, device=task.device)
    prefixes, updates, n_params = [], 0, 0
    for layer in range(depth):
        width = n_features + n_labels if layer == 0 else run.h.hidden
        operator = make_layer(run, layer, width, run.h.hidden)
        first = layer == 0
        for streams in (training, validation):
            streams.prepare(operator)

        def forward(
            operator: Operator = operator, first: bool = first, below: Tensor = val_total
        ) -> tuple[Tensor, Callable[[], float]]:
            raw = x @ operator.weight[:n_features] if first else None
            loss = goodness_loss(training.outputs(operator, raw), theta)

            def validate() -> float:
                total = below + goodness(validation.outputs(operator, raw), theta)
                return float((total.argmax(dim=1) == val_targets).float().mean())

            return loss, validate

        updates += train(run, operator, forward, f"layer-{layer + 1}")
        with torch.no_grad():
            raw = x @ operator.weight[:n_features] if first else None
            training.advance(operator, raw)
            val_total += goodness([h[task.val] for h in validation.advance(operator, raw)], theta)
            test_total = test_total + goodness([h[: task.n_nodes] for h in test.advance(operator, raw)], theta)
        n_params += sum(parameter.numel() for parameter in operator.parameters())
        prefixes.append(test_total)
        run.count(steps=updates, n_params=n_params)
    return prefixes


def _evaluation_labels(task: NodeTask, known: Tensor, evaluated: Tensor) -> list[tuple[Tensor, Tensor]]:
    """For every class: (nodes, classes) with the truth at ``known`` and that class at all ``evaluated`` nodes."""
    nodes = torch.cat([known, evaluated])
    return [(nodes, torch.cat([task.y[known], torch.full_like(evaluated, label)])) for label in range(task.n_classes)]


def fit_label_appending(run: Run, task: NodeTask, depth: int) -> list[Float[Tensor, "nodes classes"]]:
    """FF-LA; goodness summed over the layers of every prefix, (nodes, classes) each.

    At test time the labels of training and validation nodes are appended (the authors' evaluation).
    """
    graph = Graph(task.edge_index, task.n_nodes)
    wrong = wrong_classes(task.n_nodes, task.y, task.n_classes, run.torch_generator("negatives", device="cpu"))[
        task.train
    ]
    assigned = [task.y[task.train], *wrong.T]

    def streams(labelled: list[tuple[Tensor, Tensor]], receivers: Tensor) -> LabelStreams:
        labels = [label_matrix(task.n_nodes, task.n_classes, nodes, classes) for nodes, classes in labelled]
        return LabelStreams(task.x, labels, graph, receivers)

    training = streams([(task.train, classes) for classes in assigned], task.train)
    validation = streams(_evaluation_labels(task, task.train, task.val), task.val)
    test = streams(_evaluation_labels(task, torch.cat([task.train, task.val]), task.test), task.test)
    return _fit_streams(run, task, depth, task.x, task.n_classes, training, validation, test)


def _linked(task: NodeTask, labelled: list[tuple[Tensor, Tensor]]) -> list[Graph]:
    return [augment(task.edge_index, task.n_nodes, task.n_classes, nodes, classes) for nodes, classes in labelled]


def virtual_node_training(run: Run, task: NodeTask) -> tuple[Features, list[Graph]]:
    """What FF-VN trains on: normalised features with class nodes, the positive graph and the K - 1 negative ones."""
    class_features = class_node_features(
        task.n_classes, task.x.shape[1], run.torch_generator("class-features", device="cpu")
    )
    x = row_l2_normalise(with_class_nodes(task.x, class_features.to(task.device)))
    wrong = wrong_classes(task.n_nodes, task.y, task.n_classes, run.torch_generator("negatives", device="cpu"))[
        task.train
    ]
    return x, _linked(task, [(task.train, classes) for classes in [task.y[task.train], *wrong.T]])


def fit_virtual_nodes(run: Run, task: NodeTask, depth: int) -> list[Float[Tensor, "nodes classes"]]:
    """FF-VN; goodness summed over the layers of every prefix, (nodes, classes) each."""
    x, training = virtual_node_training(run, task)
    validation = _linked(task, _evaluation_labels(task, task.train, task.val))
    test = _linked(task, _evaluation_labels(task, torch.cat([task.train, task.val]), task.test))
    return _fit_streams(
        run,
        task,
        depth,
        x,
        0,
        LinkStreams(training, task.train, follow_positive=True),
        LinkStreams(validation, task.val, follow_positive=False),
        LinkStreams(test, task.test, follow_positive=False),
    )
