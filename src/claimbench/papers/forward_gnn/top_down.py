"""Single forward learning with top-down signals: from the layer above to the input (T2I) or to the loss (T2L).

ForwardGNN, Section 3.3. All layers learn together in time steps; states are detached, so a layer's loss has no
gradient for
another layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from claimbench.papers.forward_gnn.forward_forward import label_matrix
from claimbench.papers.forward_gnn.loop import EarlyStopping, adam
from claimbench.papers.forward_gnn.operators import OPERATORS, Features, Graph, Operator, row_l2_normalise
from claimbench.papers.forward_gnn.single_forward import augmented, class_logits
from claimbench.papers.forward_gnn.task import NodeTask
from claimbench.training import Loop

if TYPE_CHECKING:
    from claimbench.run import Run


def _normalise(x: Tensor) -> Tensor:
    normalised = row_l2_normalise(x)
    assert isinstance(normalised, Tensor)
    return normalised


def update_order(depth: int) -> list[int]:
    """Layers in the order of one time step: even indices, then odd ones."""
    return [*range(0, depth, 2), *range(1, depth, 2)]


class TopToInput:
    """The recurrence of T2I on one graph.

    Layer j sees [normalised state below | normalised state above]; the state above the top layer is ``top``, or
    nothing.

    Args:
        x: row-L2-normalised features, (nodes, features).
        top: (nodes, classes) label matrix above the top layer, or None.
    """

    def __init__(self, layers: nn.ModuleList, x: Features, top: Tensor | None, graph: Graph) -> None:
        self.layers, self.x, self.graph = layers, x, graph
        self.top = None if top is None else _normalise(top)

    def output(self, j: int, below: Features | Tensor, above: Tensor | None, features: Tensor | None = None) -> Tensor:
        """ReLU output of layer j, (nodes, hidden); ``features`` is layer 0's projection of x where it is known."""
        layer: Operator = self.layers[j]  # type: ignore[assignment]
        width = below.shape[1]
        h = features if features is not None else below @ layer.weight[:width]
        if above is not None:
            h = h + above @ layer.weight[width:]
        return layer.propagate(h, self.graph).relu()

    @torch.no_grad()
    def bottom_up(self) -> list[Tensor]:
        """Normalised states of all layers from one pass without a top-down signal."""
        states: list[Tensor] = []
        below: Features = self.x
        for j in range(len(self.layers)):
            below = _normalise(self.output(j, below, None))
            states.append(below)
        return states

    def inputs(self, j: int, states: list[Tensor]) -> tuple[Features, Tensor | None]:
        """(below, above) of layer j given normalised states."""
        return (self.x if j == 0 else states[j - 1]), (self.top if j == len(states) - 1 else states[j + 1])

    @torch.no_grad()
    def outputs(self, steps: int, first_counted: int) -> list[Tensor]:
        """Outputs of all layers in the steps ``first_counted`` .. ``steps - 1`` of the recurrence without learning."""
        first: Operator = self.layers[0]  # type: ignore[assignment]
        features = self.x @ first.weight[: self.x.shape[1]]
        states, counted = self.bottom_up(), []
        for step in range(steps):
            for j in update_order(len(states)):
                output = self.output(j, *self.inputs(j, states), features=features if j == 0 else None)
                states[j] = _normalise(output)
                if step >= first_counted:
                    counted.append(output)
        return counted


def make_layers(run: Run, n_features: int, depth: int, top_width: int) -> nn.ModuleList:
    """T2I's layers: input = layer below and layer above (``top_width`` wide above the top layer)."""
    below = [n_features] + [run.h.hidden] * (depth - 1)
    above = [run.h.hidden] * (depth - 1) + [top_width]
    return nn.ModuleList(
        OPERATORS[run.setting["backbone"]](below[j] + above[j], run.h.hidden, run.torch_generator(f"layer-{j}"))
        for j in range(depth)
    )


def _class_loss(run: Run, task: NodeTask, h: Tensor) -> Tensor:
    logits = class_logits(h[task.train], h[task.n_nodes :], run.h.temperature)
    return functional.cross_entropy(logits, task.y[task.train])


def _class_probabilities(run: Run, task: NodeTask, outputs: list[Tensor], nodes: Tensor) -> Tensor:
    """Class probabilities at ``nodes`` summed over ``outputs``."""
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
            output = recurrence.output(j, *recurrence.inputs(j, states))
            value = loss(output)
            optimisers[j].zero_grad(set_to_none=True)
            value.backward()
            optimisers[j].step()
            states[j] = _normalise(output.detach())
        if step % run.h.val_every == 0:
            score = validate(recurrence.outputs(run.h.test_steps, run.h.first_counted_step))
            run.curve("network/validation", step, score)
            run.finite(value.item())
            if stopping.update(score):
                loop.stop()
    stopping.restore()
    run.count(steps=memory["steps"] * len(layers), n_params=sum(parameter.numel() for parameter in layers.parameters()))


def fit_top_to_input(run: Run, task: NodeTask, depth: int) -> Tensor:
    """T2I; class probabilities summed over layers and counted steps, (nodes, classes)."""
    x, graph = augmented(run, task)
    nodes = torch.cat([task.train, torch.arange(task.n_nodes, graph.n_nodes, device=task.device)])
    classes = torch.cat([task.y[task.train], torch.arange(task.n_classes, device=task.device)])
    top = label_matrix(graph.n_nodes, task.n_classes, nodes, classes)
    layers = make_layers(run, task.x.shape[1], depth, task.n_classes).to(task.device)
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


def fit_top_to_loss(run: Run, task: NodeTask, depth: int) -> Tensor:
    """T2L; class probabilities summed over layers, (nodes, classes).

    A layer's loss takes the mean of its own output and of the stored normalised outputs of all layers above.
    """
    x, graph = augmented(run, task)
    widths = [task.x.shape[1]] + [run.h.hidden] * (depth - 1)
    layers = nn.ModuleList(
        OPERATORS[run.setting["backbone"]](widths[j], run.h.hidden, run.torch_generator(f"layer-{j}"))
        for j in range(depth)
    ).to(task.device)
    normalised_x = row_l2_normalise(x)

    def output(j: int, below: Features) -> Tensor:
        layer: Operator = layers[j]  # type: ignore[assignment]
        return layer.propagate(layer.project(below), graph).relu()

    @torch.no_grad()
    def bottom_up() -> list[Tensor]:
        # Here the layers are chained without normalisation in between, the stored states are normalised.
        below: Features = x
        states = []
        for j in range(depth):
            below = output(j, below)
            states.append(_normalise(below))
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
            new_states.append(_normalise(own.detach()))
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
