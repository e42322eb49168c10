"""Training time of forward-gnn beside the released code; final predictions are compared before times are printed.

    python benchmarks/forward_gnn.py [--official DIR] [--dataset cora-ml] [--epochs 100] [--depth 3]

DIR is a checkout of github.com/facebookresearch/forwardgnn. Without it the same loops from torch-geometric's layers
stand in its place. Both sides train SF and BP from equal initial values, on one split, in float32, validating every
second epoch and never stopping early; their turns alternate.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch_geometric.data import Data
from torch_geometric.nn import GCN, GCNConv

from claimbench.data import load_fit, prepare
from claimbench.papers.forward_gnn import backprop, operators, single_forward, task
from claimbench.run import Run
from claimbench.spec.config import load_config
from claimbench.spec.folders import load_paper, papers_dirs

SPLIT = {"protocol": "kfold", "folds": 5}


def dense(x: operators.Features) -> Tensor:
    return x.to_dense() if isinstance(x, operators.SparseFeatures) else x


def mask(index: Tensor, n: int) -> Tensor:
    found = torch.zeros(n, dtype=torch.bool)
    found[index] = True
    return found


def copy_gcn(conv: Any, ours: operators.Operator) -> None:
    with torch.no_grad():
        conv.lin.weight.copy_(ours.weight.T)
        conv.bias.copy_(ours.bias)


def initial(run: Run, widths: list[int]) -> list[operators.Operator]:
    """The layers that our code starts from."""
    return [
        operators.OPERATORS["GCN"](widths[i], widths[i + 1], run.torch_generator(f"layer-{i}"))
        for i in range(len(widths) - 1)
    ]


class Best:
    """The weights of the best validation accuracy."""

    def __init__(self, module: torch.nn.Module, data: Data) -> None:
        self.module, self.data, self.score, self.state = module, data, -1.0, {}

    def offer(self, scores: Tensor) -> None:
        where = self.data.val_mask
        accuracy = float((scores[where].argmax(dim=1) == self.data.y[where]).float().mean())
        if accuracy > self.score:
            self.score, self.state = accuracy, copy.deepcopy(self.module.state_dict())

    def restore(self) -> None:
        self.module.load_state_dict(self.state)


class ReferenceSF:
    """SF from torch-geometric's GCNConv: every epoch normalises, aggregates and steps; validation runs all layers."""

    def __init__(self, convs: list[GCNConv], data: Data, run: Run) -> None:
        self.convs, self.data, self.run = convs, data, run

    def train(self) -> None:
        data, run = self.data, self.run
        n, classes = data.num_nodes, data.n_classes
        features = torch.randn(classes, data.x.shape[1], generator=run.torch_generator("class-features"))
        self.x = torch.cat([data.x, features])
        own, virtual = data.train_mask.nonzero()[:, 0], n + data.y[data.train_mask]
        links = [torch.stack([own, virtual]), torch.stack([virtual, own])]
        self.edges = torch.cat([data.edge_index, *links], dim=1)
        x = self.x
        for i, conv in enumerate(self.convs):
            optimiser = torch.optim.Adam(conv.parameters(), lr=run.h.learning_rate, weight_decay=run.h.weight_decay)
            best = Best(conv, data)
            for epoch in range(run.h.epochs):
                h = conv(x / (x.norm(dim=1, keepdim=True) + 1e-8), self.edges).relu()
                loss = functional.cross_entropy((h[:n] @ h[n:].T)[data.train_mask], data.y[data.train_mask])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                if epoch % run.h.val_every:
                    best.offer(self.probabilities(i + 1))
            best.restore()
            with torch.no_grad():
                x = conv(x / (x.norm(dim=1, keepdim=True) + 1e-8), self.edges).relu()

    @torch.no_grad()
    def probabilities(self, depth: int) -> Tensor:
        x, n = self.x, self.data.num_nodes
        total = torch.zeros(n, self.data.n_classes)
        for conv in self.convs[:depth]:
            x = conv(x / (x.norm(dim=1, keepdim=True) + 1e-8), self.edges).relu()
            total += (x[:n] @ x[n:].T).softmax(dim=1)
        return total


class ReleasedSF:
    """The released class, told to start from our initial values."""

    def __init__(self, layers: list[operators.Operator], data: Data, run: Run) -> None:
        from forward_learning.nodeclass.gnn_sf import GNNSingleForward

        arguments = SimpleNamespace(
            patience=10**9, val_every=run.h.val_every, val_from=-1, append_label=None, temperature=1.0,
            aug_edge_direction="bidirection", epochs=run.h.epochs, device=torch.device("cpu"),
        )  # fmt: skip
        self.data, self.run = data, run
        self.model = GNNSingleForward(
            [data.x.shape[1]] + [run.h.hidden] * len(layers),
            "Adam",
            {"lr": run.h.learning_rate, "weight_decay": run.h.weight_decay},
            data.n_classes,
            "GCN",
            arguments,
        )
        for theirs, ours in zip(self.model.layers, layers, strict=True):
            copy_gcn(theirs.gnn_layer.gnn, ours)
            theirs.gnn_layer.gnn.cached = False

    def train(self) -> None:
        torch.random.set_rng_state(self.run.torch_generator("class-features").get_state())
        keep = SimpleNamespace(save_run_result=lambda *_, **__: None)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            self.model.forward_train(self.data, keep, 0)

    @torch.no_grad()
    def probabilities(self, depth: int) -> Tensor:
        everyone = torch.ones(self.data.num_nodes, dtype=torch.bool)
        return sum(self.model.eval_model(everyone, last_eval_layer=depth - 1)[1])


def reference_bp(run: Run, data: Data, layers: list[operators.Operator]) -> Callable[[], GCN]:
    """The released loop of BP (train_backprop.py), with torch-geometric's GCN as there."""

    def train() -> GCN:
        model = GCN(data.x.shape[1], run.h.hidden, len(layers), out_channels=data.n_classes, dropout=0.0)
        for theirs, ours in zip(model.convs, layers, strict=True):
            copy_gcn(theirs, ours)
        optimiser = torch.optim.Adam(model.parameters(), lr=run.h.learning_rate, weight_decay=run.h.weight_decay)
        best = Best(model, data)
        for epoch in range(run.h.epochs):
            optimiser.zero_grad()
            out = model(data.x, data.edge_index)
            functional.cross_entropy(out[data.train_mask], data.y[data.train_mask]).backward()
            optimiser.step()
            if epoch % run.h.val_every:
                with torch.no_grad():
                    best.offer(model(data.x, data.edge_index))
        best.restore()
        return model

    return train


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    value = function()
    return time.perf_counter() - start, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", help="checkout of the released code")
    parser.add_argument("--dataset", default="cora-ml")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    config = load_config(None)
    paper = load_paper(papers_dirs(config)[0] / "forward_gnn")
    prepare(given.dataset, [(SPLIT, 0)], Path(config.data_dir), config.mirror and Path(config.mirror))
    loaded = load_fit(given.dataset, SPLIT, 0, Path(config.data_dir))
    # patience without end, and the weights of the best validation on both sides: equal work
    hyper = {**paper.hyper, "epochs": given.epochs, "patience": 10**9, "sabotage": "none"}
    run = Run(paper.slug, "benchmark", "SF", given.dataset, {"backbone": "GCN", "L": given.depth}, 0, "laptop", hyper)
    node_task = task.load_node_task(run, loaded)
    n, width = node_task.x.shape
    data = Data(
        x=dense(node_task.x),
        edge_index=node_task.edge_index,
        y=node_task.y.clamp(min=0),  # the labels of test nodes are not loaded; nothing here is scored on them
        n_classes=node_task.n_classes,
        train_mask=mask(node_task.train, n),
        val_mask=mask(node_task.val, n),
        test_mask=mask(node_task.test, n),
    )
    hidden, classes, depth = run.h.hidden, node_task.n_classes, given.depth
    if given.official:
        sys.path.insert(0, f"{given.official}/src")

    def theirs_sf() -> ReferenceSF | ReleasedSF:
        layers = initial(run, [width] + [hidden] * depth)
        if given.official:
            side: ReferenceSF | ReleasedSF = ReleasedSF(layers, data, run)
        else:
            convs = [GCNConv(layer.weight.shape[0], hidden) for layer in layers]
            for conv, layer in zip(convs, layers, strict=True):
                copy_gcn(conv, layer)
            side = ReferenceSF(convs, data, run)
        side.train()
        return side

    bp_layers = initial(run, [width] + [hidden] * (depth - 1) + [classes])
    times: dict[str, list[float]] = {"SF theirs": [], "SF ours": [], "BP theirs": [], "BP ours": []}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(given.rounds):
            for name, function in (
                ("SF theirs", theirs_sf),
                ("SF ours", lambda: single_forward.fit(run, node_task, depth)),
                ("BP theirs", reference_bp(run, data, bp_layers)),
                ("BP ours", lambda: backprop.fit(run, node_task, depth)),
            ):
                seconds, value = timed(function)
                times[name].append(seconds)
                if name == "SF theirs":
                    outputs = value.probabilities(depth)
                elif name == "SF ours":
                    compare("SF", value[-1], outputs)
                elif name == "BP theirs":
                    with torch.no_grad():
                        outputs = value(data.x, data.edge_index).softmax(dim=1)
                else:
                    compare("BP", value, outputs)
    epochs = {"SF": given.epochs * depth, "BP": given.epochs}
    for method in ("SF", "BP"):
        theirs, ours = (
            1000 * statistics.median(times[f"{method} {side}"]) / epochs[method] for side in ("theirs", "ours")
        )
        print(f"{method}  theirs {theirs:8.2f} ms/epoch   ours {ours:8.2f} ms/epoch   {theirs / ours:5.1f} x")


def compare(method: str, ours: Tensor, theirs: Tensor) -> None:
    """Predictions must agree, but for ties and rounding that training amplifies."""
    agree = 100 * float((ours.argmax(dim=1) == theirs.argmax(dim=1)).float().mean())
    gap = float((ours - theirs).abs().max())
    print(f"{method}: equal predictions for {agree:.2f} % of the nodes, largest difference {gap:.1e}")
    if agree < 99:
        sys.exit("the outputs differ; the times would mean nothing")


if __name__ == "__main__":
    main()
