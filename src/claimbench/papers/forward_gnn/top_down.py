"""Single forward learning with top-down signals: from the layer above to the input (T2I) or to the loss (T2L).

ForwardGNN, Section 3.3. All layers learn together in time steps; states are detached, so a layer's loss has no gradient
for another layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from claimbench.papers.forward_gnn.forward_forward import label_matrix
from claimbench.papers.forward_gnn.loop import EarlyStopping, adam
from claimbench.papers.forward_gnn.operators import (
    Features,
    Graph,
    make_layer,
    row_l2_normalise,
    unit_rows,
)
from claimbench.papers.forward_gnn.single_forward import augmented, class_logits
from claimbench.papers.forward_gnn.task import NodeTask
from claimbench.run import Run
from claimbench.training import Loop


def update_order(depth: int) -> list[int]:
    """Layers in the order of one time step: even indices, then odd ones."""
    return [*range(0, depth, 2), *range(1, depth, 2)]


class TopToInput:
    """The recurrence of T2I on one graph.

    Layer j sees [normalised state below | normalised state above]; the state above the top layer is ``top``, or
    nothing.

    Args:
        layers: the layers, from the bottom.
        x: row-L2-normalised features, (nodes, features).
        top: (nodes, classes) label matrix above the top layer, or None.
        graph: messages of all layers.
    """

    def __init__(
        self, layers: nn.ModuleList, x: Features, top: Float[Tensor, "nodes classes"] | None, graph: Graph
    ) -> None:
        self.layers, self.x, self.graph = layers, x, graph
        self.top = None if top is None else unit_rows(top)

    def fixed(self, j: int, *, top: bool = True) -> Float[Tensor, "nodes projected"] | None:
        """Projection of the part of layer j's input that never changes: features and, if wanted, the label matrix."""
        parts = [self.x @ self.layers[0].weight[: self.x.shape[1]]] if j == 0 else []
        if top and self.top is not None and j == len(self.layers) - 1:
            parts.append(self.top @ self.layers[j].weight[-self.top.shape[1] :])
        return sum(parts[1:], parts[0]) if parts else None

    def output(
        self, j: int, states: Sequence[Float[Tensor, "nodes hidden"]], fixed: Float[Tensor, "nodes projected"] | None
    ) -> Float[Tensor, "nodes hidden"]:
        """ReLU output of layer j.

        Args:
            j: number of the layer.
            states: normalised states of the layers, from the bottom; those above layer j may be missing.
            fixed: what :meth:`fixed` gives.
        """
        layer, h = self.layers[j], fixed
        if j > 0:
            h = _plus_product(h, states[j - 1], layer.weight[: states[j - 1].shape[1]])
        if j + 1 < len(states):
            h = _plus_product(h, states[j + 1], layer.weight[-states[j + 1].shape[1] :])
        return layer.propagate(h, self.graph).relu_()

    def bottom_up(self) -> list[Float[Tensor, "nodes hidden"]]:
        """Normalised states of all layers from one pass without a top-down signal."""
        states: list[Tensor] = []
        with torch.no_grad():
            for j in range(len(self.layers)):
                states.append(unit_rows(self.output(j, states, self.fixed(j, top=False))))
        return states

    def outputs(self, steps: int, first_counted: int) -> list[Float[Tensor, "nodes hidden"]]:
        """Outputs of all layers in the steps ``first_counted`` .. ``steps - 1`` of the recurrence without learning."""
        states, counted = self.bottom_up(), []
        with torch.no_grad():
            fixed = [self.fixed(j) for j in range(len(self.layers))]
            for step in range(steps):
                for j in update_order(len(states)):
                    output = self.output(j, states, fixed[j])
                    states[j] = unit_rows(output)
                    if step >= first_counted:
                        counted.append(output)
        return counted


def _plus_product(total: Tensor | None, x: Tensor, weight: Tensor) -> Tensor:
    return x @ weight if total is None else torch.addmm(total, x, weight)


def make_layers(run: Run, n_features: int, depth: int, top_width: int) -> nn.ModuleList:
    """T2I's layers: input = layer below and layer above (``top_width`` wide above the top layer)."""
    below = [n_features] + [run.h.hidden] * (depth - 1)
    above = [run.h.hidden] * (depth - 1) + [top_width]
    return nn.ModuleList(make_layer(run, j, below[j] + above[j], run.h.hidden) for j in range(depth))


def _class_loss(run: Run, task: NodeTask, h: Tensor) -> Tensor:
    logits = class_logits(h[task.train], h[task.n_nodes :], run.h.temperature)
    return functional.cross_entropy(logits, task.y[task.train])


def _class_probabilities(run: Run, task: NodeTask, outputs: list[Tensor], nodes: Tensor) -> Tensor:
    """Class probabilities at ``nodes`` summed over ``outputs``: (nodes, classes)."""
    return torch.stack(
        [class_logits(h[nodes], h[task.n_nodes :], run.h.temperature).softmax(dim=1) for h in outputs]
    ).sum(0)


def _accuracy(probabilities: Tensor, targets: Tensor) -> float:
    return float((probabilities.argmax(dim=1) == targets).float().mean())


def train_top_to_input(
    run: Run,
    recurrence: TopToInput,
    loss: Callable[[Tensor], Tensor],
    validate: Callable[[list[Tensor]], float],
) -> None:
    """Time steps of T2I until the validation score no longer rises; the layers end at their best.

    Args:
        run: its hyper-parameters are used.
        recurrence: the layers, trained in place, on their graph.
        loss: of a layer's output, (nodes, hidden).
        validate: score of the outputs of all layers in the counted steps.
    """
    layers = recurrence.layers
    optimisers = [adam(list(layer.parameters()), run) for layer in layers]
    stopping = EarlyStopping(list(layers.parameters()), run.h.patience)
    memory: dict[str, Any] = {"states": recurrence.bottom_up(), "steps": 0}
    adams = {f"adam-{j}": optimiser for j, optimiser in enumerate(optimisers)}
    loop = Loop(run, "network", run.h.epochs, layers=layers, stopping=stopping, memory=memory, **adams)
    for done in loop:
        states, step = memory["states"], done + 1
        memory["steps"] = step
        for j in update_order(len(layers)):
            output = recurrence.output(j, states, recurrence.fixed(j))
            value = loss(output)
            optimisers[j].zero_grad(set_to_none=True)
            value.backward()
            optimisers[j].step()
            states[j] = unit_rows(output.detach())
        if step % run.h.val_every == 0:
            score = validate(recurrence.outputs(run.h.test_steps, run.h.first_counted_step))
            run.curve("network/validation", step, score)
            run.finite(value.item())
            if stopping.update(score):
                loop.stop()
    stopping.restore()
    run.count(steps=memory["steps"] * len(layers), n_params=sum(parameter.numel() for parameter in layers.parameters()))


def fit_top_to_input(run: Run, task: NodeTask, depth: int) -> Float[Tensor, "nodes classes"]:
    """T2I; class probabilities summed over layers and counted steps, (nodes, classes)."""
    x, graph = augmented(run, task)
    nodes = torch.cat([task.train, torch.arange(task.n_nodes, graph.n_nodes, device=task.device)])
    classes = torch.cat([task.y[task.train], torch.arange(task.n_classes, device=task.device)])
    top = label_matrix(graph.n_nodes, task.n_classes, nodes, classes)
    layers = make_layers(run, task.x.shape[1], depth, task.n_classes)
    recurrence = TopToInput(layers, row_l2_normalise(x), top, graph)
    val_targets = task.y[task.val]
    train_top_to_input(
        run,
        recurrence,
        lambda output: _class_loss(run, task, output),
        lambda outputs: _accuracy(_class_probabilities(run, task, outputs, task.val), val_targets),
    )
    outputs = recurrence.outputs(run.h.test_steps, run.h.first_counted_step)
    return _class_probabilities(run, task, outputs, torch.arange(task.n_nodes, device=task.device))


def fit_top_to_loss(run: Run, task: NodeTask, depth: int) -> Float[Tensor, "nodes classes"]:
    """T2L; class probabilities summed over layers, (nodes, classes).

    A layer's loss takes the mean of its own output and of the stored normalised outputs of all layers above.
    """
    x, graph = augmented(run, task)
    widths = [task.x.shape[1]] + [run.h.hidden] * (depth - 1)
    layers = nn.ModuleList(make_layer(run, j, widths[j], run.h.hidden) for j in range(depth))
    normalised_x = row_l2_normalise(x)

    def output(j: int, below: Features) -> Tensor:
        return layers[j].propagate(layers[j].project(below), graph).relu_()

    def bottom_up() -> list[Tensor]:
        # Here the layers are chained without normalisation in between, the stored states are normalised.
        below: Features = x
        states = []
        with torch.no_grad():
            for j in range(depth):
                below = output(j, below)
                states.append(unit_rows(below))
        return states

    def mixed(j: int, states: list[Tensor]) -> tuple[Tensor, Tensor]:
        """(own output, its mean with the states above) of layer j."""
        own = output(j, normalised_x if j == 0 else states[j - 1])
        return own, torch.stack([own, *states[j + 1 :]]).mean(dim=0)

    optimisers = [adam(list(layer.parameters()), run) for layer in layers]
    stopping = EarlyStopping(list(layers.parameters()), run.h.patience)
    val_targets = task.y[task.val]
    memory: dict[str, Any] = {"states": bottom_up(), "steps": 0}
    adams = {f"adam-{j}": optimiser for j, optimiser in enumerate(optimisers)}
    loop = Loop(run, "network", run.h.epochs, layers=layers, stopping=stopping, memory=memory, **adams)
    for done in loop:
        states, step = memory["states"], done + 1
        memory["steps"] = step
        new_states = []
        for j in range(depth):
            own, mean = mixed(j, states)
            loss = _class_loss(run, task, mean)
            optimisers[j].zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(layers[j].parameters(), run.h.clip_norm)
            optimisers[j].step()
            new_states.append(unit_rows(own.detach()))
        memory["states"] = new_states
        if step % run.h.val_every == 0:
            with torch.no_grad():
                current = bottom_up()
                outputs = [mixed(j, current)[1] for j in range(depth)]
            accuracy = _accuracy(_class_probabilities(run, task, outputs, task.val), val_targets)
            run.curve("network/validation", step, accuracy)
            run.finite(loss.item())
            if stopping.update(accuracy):
                loop.stop()
    stopping.restore()
    run.count(steps=memory["steps"] * depth, n_params=sum(parameter.numel() for parameter in layers.parameters()))
    with torch.no_grad():
        current = bottom_up()
        outputs = [mixed(j, current)[1] for j in range(depth)]
        return _class_probabilities(run, task, outputs, torch.arange(task.n_nodes, device=task.device))
