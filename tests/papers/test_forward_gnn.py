"""Operators against torch-geometric, losses by hand, locality, prefixes, and the verdicts' teeth."""

from __future__ import annotations

import dataclasses
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from torch.nn import functional

from claimbench import seeding
from claimbench.data import Data
from claimbench.execute import preparation, runner
from claimbench.judge.paper import judge_paper
from claimbench.nn import state
from claimbench.papers.forward_gnn import (
    experiments,
    forward_forward,
    link_prediction,
    measuring,
    operators,
    single_forward,
    task,
    top_down,
    virtual_nodes,
)
from claimbench.plan.plan import make_plan
from claimbench.run import Checkpoint, Run
from claimbench.spec.config import load_config
from claimbench.spec.folders import load_paper, papers_dirs

HYPER = next(load_paper(folder / "forward_gnn").hyper for folder in papers_dirs(load_config(None)))


def run(method: str = "SF", backbone: str = "GCN", depth: int = 2, **hyper: Any) -> Run:
    small = {**HYPER, "hidden": 8, "epochs": 6, "sabotage": "none", **hyper}
    return Run(
        "forward-gnn", "node-classification", method, "toy", {"backbone": backbone, "L": depth}, 0, "smoke", small
    )


def graph_data(seed: int = 0, nodes: int = 40, sparse: bool = True) -> Data:
    draw = np.random.default_rng(seed)
    upper = np.triu(draw.random((nodes, nodes)) < 0.12, 1)
    source, target = np.nonzero(upper | upper.T)
    x = (draw.random((nodes, 12)) < 0.08).astype(np.float32)
    x[:, 0] = 1
    y = draw.integers(0, 3, nodes)
    order = draw.permutation(nodes)
    train, val, test = order[:20], order[20:28], order[28:]
    masked = y.copy()
    masked[test] = -1
    arrays: dict[str, Any] = {
        "edge_index": np.stack([source, target]),
        "y": masked,
        "train_idx": train,
        "val_idx": val,
        "test_idx": test,
        "test_y": y[test],
    }
    if sparse:
        csr = scipy.sparse.csr_matrix(x)
        arrays |= {
            "x_data": csr.data,
            "x_indices": csr.indices,
            "x_indptr": csr.indptr.astype(np.int64),
            "x_shape": np.array(x.shape),
        }
    else:
        arrays["x"] = x
    return Data("toy", arrays, {"n_classes": 3})


def fit_one(entry: str, current: Run, data: Any) -> dict[str, Any]:
    """The artifact of one run, by ``fit_many`` where the entry has no ``fit``."""
    many = getattr(experiments, f"fit_many_{entry}", None)
    return many([current], [data])[0] if many else getattr(experiments, f"fit_{entry}")(current, data)


@pytest.mark.parametrize("name", ["GCN", "SAGE", "GAT"])
@pytest.mark.parametrize("cached", [True, False])
def test_operators_equal_torch_geometric(name: str, cached: bool) -> None:
    from torch_geometric.nn import GATConv, GCNConv, SAGEConv

    data = graph_data()
    edges = torch.as_tensor(data.arrays["edge_index"])
    x = torch.randn(40, 12, generator=torch.Generator().manual_seed(0))
    ours = operators.OPERATORS[name](12, 8, torch.Generator().manual_seed(1))
    reference = {
        "GCN": lambda: GCNConv(12, 8),
        "SAGE": lambda: SAGEConv(12, 8),
        "GAT": lambda: GATConv(12, 2, heads=4),
    }[name]()
    with torch.no_grad():
        if name == "GCN":
            reference.lin.weight.copy_(ours.weight.T)
            reference.bias.copy_(ours.bias)
        elif name == "SAGE":
            reference.lin_l.weight.copy_(ours.weight[:, :8].T)
            reference.lin_r.weight.copy_(ours.weight[:, 8:].T)
            reference.lin_l.bias.copy_(ours.bias)
        else:
            reference.lin.weight.copy_(ours.weight.T)
            reference.att_src.copy_(ours.attend_source[None])
            reference.att_dst.copy_(ours.attend_target[None])
            reference.bias.copy_(ours.bias)
        want = reference(x, edges).relu()
        got = operators.PreparedInput(ours, x, operators.Graph(edges, 40), cached=cached)(ours)
    assert torch.allclose(got, want, atol=1e-5)


def test_sparse_features_with_class_nodes_equal_dense_ones() -> None:
    node_task = task.load_node_task(run(), graph_data())
    x, graph = single_forward.augmented(run(), node_task)
    assert isinstance(x, operators.SparseFeatures)
    normal = operators.row_l2_normalise(x)
    dense = operators.row_l2_normalise(x.to_dense())
    operator = operators.GCN(12, 8, torch.Generator().manual_seed(1))
    got, want = (operators.PreparedInput(operator, v, graph)(operator) for v in (normal, dense))
    assert torch.allclose(got, want, atol=1e-6)


def test_sf_losses_equal_a_plain_torch_geometric_loop() -> None:
    from torch_geometric.nn import GCNConv

    current, data = run(), graph_data()
    node_task = task.load_node_task(current, data)
    (_, layer_loss), _ = measuring.single_forward_layers(current, node_task, 2, cached=False)
    operator, loss = measuring.layer_loss(
        current,
        node_task,
        operators.row_l2_normalise(single_forward.augmented(current, node_task)[0]),
        single_forward.augmented(current, node_task)[1],
        0,
        True,
    )
    assert layer_loss().item() == pytest.approx(loss().item(), abs=1e-6)

    x = np.zeros((40, 12), np.float32)
    csr = scipy.sparse.csr_matrix(
        (data.arrays["x_data"], data.arrays["x_indices"], data.arrays["x_indptr"]), shape=(40, 12)
    ).toarray()
    x[:] = csr / np.maximum(csr.sum(1, keepdims=True), 1)
    classes = torch.randn(3, 12, generator=current.torch_generator("class-features"))
    features = torch.cat([torch.tensor(x), classes])
    features = features / (features.norm(dim=1, keepdim=True) + 1e-8)
    train = torch.as_tensor(data.arrays["train_idx"])
    y = torch.as_tensor(data.arrays["y"])
    links = torch.stack([train, 40 + y[train]])
    edges = torch.cat([torch.as_tensor(data.arrays["edge_index"]), links, links.flip(0)], dim=1)
    conv = GCNConv(12, 8)
    with torch.no_grad():
        conv.lin.weight.copy_(operator.weight.T)
        conv.bias.zero_()
    update = measuring.stepper(operator, loss, current)
    adam = torch.optim.Adam(conv.parameters(), lr=current.h.learning_rate, weight_decay=current.h.weight_decay)
    for _ in range(3):
        h = conv(features, edges).relu()
        value = functional.cross_entropy(h[train] @ h[40:].T, y[train])
        assert loss().item() == pytest.approx(value.item(), abs=1e-5)
        adam.zero_grad()
        value.backward()
        adam.step()
        update()


def test_forward_forward_loss_by_hand() -> None:
    positive, one, two = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 0.0]])
    loss = forward_forward.goodness_loss([positive, one, two], theta=2.0)
    want = np.log1p(np.exp(-3.0)) + (np.log1p(np.exp(-1.0)) + np.log1p(np.exp(2.0))) / 2
    assert loss.item() == pytest.approx(want, rel=1e-6)
    goodness = forward_forward.goodness([positive, one], theta=2.0)
    assert goodness.tolist() == [[pytest.approx(0.5), pytest.approx(-1.5)]]


def test_wrong_classes_are_wrong_and_complete() -> None:
    y = torch.tensor([0, 2, 1, 1])
    wrong = forward_forward.wrong_classes(4, y, 3, torch.Generator().manual_seed(0))
    assert [sorted(row) for row in wrong.tolist()] == [[1, 2], [0, 1], [0, 2], [0, 2]]


def test_class_nodes_are_linked_with_training_nodes_only() -> None:
    graph = virtual_nodes.augment(torch.tensor([[0, 1], [1, 0]]), 4, 2, torch.tensor([0, 3]), torch.tensor([1, 0]))
    assert graph.n_nodes == 6
    assert set(map(tuple, graph.edge_index.T.tolist())) == {(0, 1), (1, 0), (0, 5), (5, 0), (3, 4), (4, 3)}


@pytest.mark.parametrize("entry", ["sf", "ff_la", "ff_vn"])
def test_depths_trained_together_equal_single_fits(entry: str) -> None:
    data = graph_data()
    many = getattr(experiments, f"fit_many_node_classification__{entry}")
    together = many([run(depth=depth) for depth in (1, 2, 3)], [data] * 3)
    for depth, artifact in zip((1, 2, 3), together, strict=True):
        alone = fit_one(f"node_classification__{entry}", run(depth=depth), data)
        assert torch.equal(alone["scores"], artifact["scores"])


@pytest.mark.parametrize("backbone", ["GCN", "SAGE", "GAT"])
@pytest.mark.parametrize("entry", ["bp", "sf", "ff_la", "ff_vn", "t2i", "t2l"])
def test_every_method_scores_every_node(entry: str, backbone: str) -> None:
    data = graph_data(sparse=False)
    current = run(backbone=backbone, epochs=2, hidden=8)
    scores = fit_one(f"node_classification__{entry}", current, data)["scores"]
    assert scores.shape == (40, 3)
    assert bool(scores.isfinite().all())


@pytest.mark.parametrize("backbone", ["GCN", "SAGE", "GAT"])
def test_training_a_layer_touches_nothing_below(backbone: str) -> None:
    found = measuring.locality(run(backbone=backbone), task.load_node_task(run(), graph_data()))
    assert found["layer_1_moved"] == 0
    assert found["layer_1_gradients"] == 0
    assert found["layer_2_moved"] > 0


def test_saved_bytes_of_a_known_graph() -> None:
    x = torch.ones(10, 10)
    w = torch.nn.Parameter(torch.ones(10, 10))
    # x @ w saves x (w needs the gradient) and not w (a parameter); exp saves its result
    assert measuring.saved_bytes(lambda: (x @ w).mul(1e-3).exp().sum()) == 2 * 400


def test_memory_of_bp_grows_and_of_sf_does_not() -> None:
    data = graph_data()
    sizes = {
        method: [
            experiments.score_memory(run(), experiments.fit_memory(run(method, depth=depth), data), data)[
                "train/saved_mb"
            ]
            for depth in (2, 3, 4)
        ]
        for method in ("BP", "SF", "FF-VN")
    }
    assert sizes["BP"][0] < sizes["BP"][1] < sizes["BP"][2]
    assert sizes["SF"][0] == sizes["SF"][1] == sizes["SF"][2]
    assert sizes["FF-VN"][0] > sizes["SF"][0]


def test_passes_are_counted() -> None:
    data = graph_data()
    for method, want in (("SF", 1), ("FF-VN", 3)):
        artifact = experiments.fit_memory(run(method), data)
        assert artifact["passes"] == [want, want]
    operator, loss = measuring.forward_forward_losses(run("FF-VN"), task.load_node_task(run(), data), 1)[0]
    assert measuring.passes(operator, lambda: loss() + loss()) == 6
    assert measuring.passes(operator, loss) == 3


@pytest.mark.parametrize("method", ["SF", "BP", "FF-VN", "T2I", "T2L"])
def test_a_killed_training_resumes_bit_for_bit(method: str, tmp_path: Path) -> None:
    fit = partial(fit_one, f"node_classification__{method.lower().replace('-', '_')}")
    whole = run(method, epochs=12)
    want = fit(whole, graph_data())["scores"]
    for killed_after in (3, 8, 17):
        folder = tmp_path / str(killed_after)
        folder.mkdir()
        first = run(method, epochs=12)
        first.checkpoint = Checkpoint(folder, every_s=0.0)
        left = iter(range(killed_after))
        first.alive = lambda left=left: next(left)  # type: ignore[method-assign]
        try:
            fit(first, graph_data())
        except RuntimeError:  # its alive() ran out
            assert (folder / "checkpoint.safetensors").is_file()
        second = run(method, epochs=12)
        second.checkpoint = Checkpoint(folder, every_s=0.0)
        assert torch.equal(fit(second, graph_data())["scores"], want)
        assert second.curves == whole.curves
        assert second.counts == whole.counts


def test_top_down_link_prediction_equals_plain_layers() -> None:
    """Ten time steps by torch-geometric's GCNConv, even layers first, scores averaged over steps 2 to 9."""
    from torch_geometric.nn import GCNConv

    data = graph_data(seed=3)
    edges = torch.as_tensor(data.arrays["edge_index"])
    x = torch.randn(40, 12, generator=torch.Generator().manual_seed(0))
    link_run = run("T2I", depth=3)
    index = torch.tensor([[0, 5, 9, 30], [1, 6, 2, 31]])
    pairs = link_prediction.Pairs(index, 40)
    graph = operators.Graph(edges, 40)
    layers = top_down.make_layers(link_run, 12, 3, 0)
    link_task = link_prediction.LinkTask(x, graph, graph, pairs, torch.ones(4), pairs, np.ones(4))
    got = link_prediction.top_to_input_scores(link_run, link_task, state.pack(layers), pairs)

    convs = []
    for layer in layers:
        conv = GCNConv(layer.weight.shape[0], 8)
        with torch.no_grad():
            conv.lin.weight.copy_(layer.weight.T)
            conv.bias.copy_(layer.bias)
        convs.append(conv)

    def normal(h: torch.Tensor) -> torch.Tensor:
        return h / (h.norm(dim=1, keepdim=True) + 1e-8)

    with torch.no_grad():
        states = [x]
        for conv in convs:
            zero = torch.zeros(40, conv.lin.in_channels - states[-1].shape[1])
            states.append(conv(torch.cat([normal(states[-1]), zero], dim=1), edges).relu())
        scores = []
        for step in range(10):
            for j in (0, 2, 1):
                parts = [normal(states[j])] + ([normal(states[j + 2])] if j < 2 else [])
                states[j + 1] = convs[j](torch.cat(parts, dim=1), edges).relu()
                if step >= 2:
                    z = states[j + 1]
                    scores.append((z[index[0]] * z[index[1]]).sum(dim=1).sigmoid())
    assert torch.allclose(got, torch.stack(scores).mean(dim=0), atol=1e-5)


def test_goodness_loss_of_links_weighs_edges_and_negatives_alike() -> None:
    logits, labels = torch.tensor([0.3, -1.0, 2.0]), torch.tensor([1.0, 0.0, 0.0])
    each = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    assert torch.isclose(link_prediction.goodness_loss(logits, labels), each[0] + (each[1] + each[2]) / 2)


def test_link_scores() -> None:
    z = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]])
    pairs = link_prediction.Pairs(torch.tensor([[0, 0], [1, 2]]), 3)
    assert link_prediction.dot(z, pairs).tolist() == [1.0, 2.0]
    assert link_prediction.product_goodness(z, pairs, 2.0).tolist() == [9.0 + 4.0 - 2.0, 4.0 - 2.0]


def test_gradients_of_products_over_graphs_and_pairs_equal_those_of_dense_ones() -> None:
    draw = torch.Generator().manual_seed(0)
    dense = np.random.default_rng(0).random((9, 7), np.float32)
    dense = dense * (dense < 0.3)
    dense[4] = 0.0  # a node that hears nobody
    index = torch.randint(0, 7, (2, 12), generator=draw)
    weights = torch.randn(9, 5, generator=draw), torch.randn(12, generator=draw)
    found = []
    for sparse in (True, False):
        z = torch.nn.Parameter(torch.randn(7, 5, generator=torch.Generator().manual_seed(1)))
        product = operators.SparseMatrix(scipy.sparse.csr_matrix(dense)) @ z if sparse else torch.tensor(dense) @ z
        dots = link_prediction.dot(z, link_prediction.Pairs(index, 7)) if sparse else (z[index[0]] * z[index[1]]).sum(1)
        ((product * weights[0]).sum() + (dots * weights[1]).sum()).backward()
        found.append((product, dots, z.grad))
    for ours, want in zip(*found, strict=True):
        assert torch.allclose(ours, want, atol=1e-6)


@pytest.mark.skipif("CLAIMBENCH_MIRROR" not in os.environ, reason="needs CoraML: set CLAIMBENCH_MIRROR")
def test_shuffled_labels_turn_the_headline_claim(tmp_path: Path) -> None:
    """C2c (SF beats one-layer BP by 30 points on CoraML) holds after 60 updates, and not with shuffled training labels."""
    from claimbench.records.collect import collect

    verdicts = {}
    for sabotage in ("none", "shuffled-labels"):
        values = {
            "tier": "laptop",
            "bundle_s": 1e6,  # one job
            "papers": ["forward-gnn"],
            "experiments": {"forward-gnn": ["node-classification"]},
            "seeds": 3,
            "results_dir": str(tmp_path / sabotage),
            "data_dir": str(tmp_path / "data"),
            "mirror": os.environ["CLAIMBENCH_MIRROR"],
            "overrides": {"forward-gnn": {"hyper": {"sabotage": sabotage, "epochs": 60, "hidden": 64}}},
        }
        plan = make_plan(load_config(None, values))
        (whole,) = plan.jobs.values()
        runs = tuple(
            r
            for r in whole.runs
            if r.cell.dataset == "cora-ml" and r.cell.method in ("SF", "BP") and r.cell.setting["L"] == 1
        )
        preparation.prepare(plan, "cora-ml")
        executor, job = runner.Runner(plan), dataclasses.replace(whole, runs=runs)
        plan.jobs[job.id] = job
        executor.fit(job)
        executor.score(job)
        collect(plan, "forward-gnn")
        verdicts[sabotage] = {row["claim_id"]: row for row in judge_paper(plan, "forward-gnn")}["C2c"]
    assert verdicts["none"]["verdict"] == "reproduced", verdicts["none"]
    assert verdicts["shuffled-labels"]["verdict"] == "contradicted", verdicts["shuffled-labels"]


def test_streams_do_not_depend_on_the_device() -> None:
    assert seeding.torch_generator(0, "layer-0").device.type == "cpu"
