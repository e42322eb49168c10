"""Memory, time and locality of training: what is saved for backward, milliseconds an update, who gets a gradient."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from claimbench.papers.forward_gnn import single_forward
from claimbench.papers.forward_gnn.backprop import Network
from claimbench.papers.forward_gnn.forward_forward import goodness_loss, virtual_node_training
from claimbench.papers.forward_gnn.operators import (
    Features,
    Graph,
    Operator,
    PreparedInput,
    make_layer,
    row_l2_normalise,
)
from claimbench.papers.forward_gnn.single_forward import augmented, class_logits
from claimbench.papers.forward_gnn.task import NodeTask
from claimbench.run import Checkpoint, Run


def saved_bytes(loss: Callable[[], Tensor]) -> int:
    """Bytes that autograd keeps for the backward pass of ``loss()``.

    Tensors that share a storage count once, parameters not at all.
    """
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if not (tensor.is_leaf and tensor.requires_grad) and tensor.layout == torch.strided:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        value = loss()
        total = sum(kept.values())
        value.backward()
    return total


def peak_gpu_bytes(loss: Callable[[], Tensor]) -> int:
    """Most GPU memory that one forward and backward pass of ``loss()`` holds at once beside what was there before."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    loss().backward()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def layer_loss(
    run: Run, task: NodeTask, x: Features, graph: Graph, layer: int, cached: bool
) -> tuple[torch.nn.Module, Callable[[], Tensor]]:
    """A layer of SF on its fixed input, and its loss.

    Args:
        run: its backbone, width and random stream are used.
        task: labels and split.
        x: (nodes + classes, width) normalised input.
        graph: messages between nodes and class nodes.
        layer: number of the layer, for its random stream.
        cached: whether the input is aggregated beforehand.
    """
    operator = make_layer(run, layer, x.shape[1], run.h.hidden)
    inputs = PreparedInput(operator, x, graph, cached=cached)

    def loss() -> Tensor:
        h = inputs(operator)
        return functional.cross_entropy(class_logits(h[task.train], h[task.n_nodes :]), task.y[task.train])

    return operator, loss


def single_forward_layers(
    run: Run, task: NodeTask, depth: int, cached: bool
) -> list[tuple[torch.nn.Module, Callable[[], Tensor]]]:
    """Untrained layers of SF, each on the output of the one below."""
    x, graph = augmented(run, task)
    layers = []
    for layer in range(depth):
        x = row_l2_normalise(x)
        operator, loss = layer_loss(run, task, x, graph, layer, cached)
        layers.append((operator, loss))
        with torch.no_grad():
            x = PreparedInput(operator, x, graph)(operator)
    return layers


def backprop_loss(run: Run, task: NodeTask, depth: int) -> tuple[torch.nn.Module, Callable[[], Tensor]]:
    """An untrained BP network of ``depth`` layers, and its loss."""
    network = Network(run, task.x.shape[1], run.h.hidden, task.n_classes, depth)
    graph = Graph(task.edge_index, task.n_nodes)
    return network, lambda: functional.cross_entropy(network(task.x, graph)[task.train], task.y[task.train])


def forward_forward_losses(run: Run, task: NodeTask, depth: int) -> list[tuple[torch.nn.Module, Callable[[], Tensor]]]:
    """Untrained FF-VN layers with their losses: one positive and K - 1 negative graphs are kept at once."""
    x, graphs = virtual_node_training(run, task)
    layers: list[tuple[torch.nn.Module, Callable[[], Tensor]]] = []
    for layer in range(depth):
        operator = make_layer(run, layer, x.shape[1], run.h.hidden)
        inputs = [PreparedInput(operator, x, graph, cached=False) for graph in graphs]

        def loss(operator: Operator = operator, inputs: list[PreparedInput] = inputs) -> Tensor:
            return goodness_loss([prepared(operator)[task.train] for prepared in inputs], run.h.theta)

        layers.append((operator, loss))
        with torch.no_grad():
            x = row_l2_normalise(inputs[0](operator))
    return layers


def passes(operator: torch.nn.Module, loss: Callable[[], Tensor]) -> int:
    """How often ``loss()`` sends node features through the layer."""
    count = 0
    kind = type(operator)
    originals = {name: getattr(kind, name) for name in ("propagate", "combine")}

    def counting(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(*arguments: object) -> Tensor:
            nonlocal count
            count += 1
            return original(*arguments)

        return call

    try:
        for name, original in originals.items():
            setattr(kind, name, counting(original))
        loss()
    finally:
        for name, original in originals.items():
            setattr(kind, name, original)
    return count


def interleaved_ms(arms: dict[str, Callable[[], None]], rounds: int, updates: int) -> dict[str, list[float]]:
    """Milliseconds an update of every arm, ``rounds`` times A B C A B C ..., after one round to warm up.

    Args:
        arms: one update of each.
        rounds: measurements of each arm.
        updates: in each measurement.
    """
    found: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds + 1):
        for name, update in arms.items():
            start = time.perf_counter()
            for _ in range(updates):
                update()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn:
                found[name].append(1000 * (time.perf_counter() - start) / updates)
    return found


def stepper(module: torch.nn.Module, loss: Callable[[], Tensor], run: Run) -> Callable[[], None]:
    """One update of ``module``."""
    optimiser = torch.optim.Adam(module.parameters(), lr=run.h.learning_rate, weight_decay=run.h.weight_decay)

    def update() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss().backward()
        optimiser.step()

    return update


def locality(run: Run, task: NodeTask) -> dict[str, float]:
    """Train one layer, and two layers from the same start, by the method's own code.

    Returns:
        How far training layer 2 moved layer 1 and how many gradients of layer 1 it changed (both must be 0), and how
        far layer 2 itself moved.
    """

    def trained(depth: int) -> list[Operator]:
        layers: list[Operator] = []
        short = {**run.hyper, "epochs": run.h.locality_updates}
        single_forward.fit(replace(run, hyper=short, checkpoint=Checkpoint(None)), task, depth, layers)
        return layers

    alone, both = trained(1), trained(2)
    start = make_layer(run, 1, run.h.hidden, run.h.hidden)

    def farthest(one: torch.nn.Module, other: torch.nn.Module) -> float:
        pairs = zip(one.parameters(), other.parameters(), strict=True)
        return max(float((a.detach().cpu() - b.detach().cpu()).abs().max()) for a, b in pairs)

    gradients = sum(
        not torch.equal(a.grad, b.grad) for a, b in zip(alone[0].parameters(), both[0].parameters(), strict=True)
    )
    return {
        "layer_1_moved": farthest(alone[0], both[0]),
        "layer_1_gradients": float(gradients),
        "layer_2_moved": farthest(start, both[1]),
    }
