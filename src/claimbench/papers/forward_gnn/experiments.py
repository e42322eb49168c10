"""The experiments of ForwardGNN: what each cell trains (fit) and how it is evaluated (score)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from claimbench.data import Data
    from claimbench.run import Run

Artifact = dict[str, Any]


# --- node classification (Tables 3-5) -------------------------------------------------------------------------------


def score_node_classification(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """Accuracy on the test nodes: share of nodes whose highest score is their class."""
    predicted = np.asarray(artifact["scores"]).argmax(axis=1)
    test = data.arrays["test_idx"]
    return {"test/accuracy": float((predicted[test] == data.arrays["test_y"]).mean())}


def fit_node_classification__majority(run: Run, data: Data) -> Artifact:
    """Floor: the class frequencies of the training nodes, for every node."""
    y = data.arrays["y"]
    frequency = np.bincount(y[data.arrays["train_idx"]], minlength=int(data.info["n_classes"]))
    return {"scores": np.tile((frequency / frequency.sum()).astype(np.float32), (len(y), 1))}


def fit_node_classification__bp(run: Run, data: Data) -> Artifact:
    """Backpropagation through all layers; class probabilities."""
    from claimbench.papers.forward_gnn import backprop, task

    return {"scores": backprop.fit(run, task.load_node_task(run, data), run.setting["L"])}


def fit_node_classification__bp_rowl2(run: Run, data: Data) -> Artifact:
    """Control: BP on row-L2-normalised features, the input scale that the forward methods get."""
    from claimbench.papers.forward_gnn import backprop, operators, task

    node_task = task.load_node_task(run, data)
    node_task.x = operators.row_l2_normalise(node_task.x)
    return {"scores": backprop.fit(run, node_task, run.setting["L"])}


def fit_node_classification__bp_nowd(run: Run, data: Data) -> Artifact:
    """Control: BP without weight decay; what differs stands in the grid."""
    return fit_node_classification__bp(run, data)


def fit_node_classification__bp_long(run: Run, data: Data) -> Artifact:
    """Control: BP trained long enough: ten times the learning rate, no early stopping, best validation weights."""
    return fit_node_classification__bp(run, data)


def fit_node_classification__bp_nowd_long(run: Run, data: Data) -> Artifact:
    """Control: the same without weight decay."""
    return fit_node_classification__bp(run, data)


def _prefixes(runs: list[Run], datas: list[Data], fit: Callable[[Run, Data, int], list[Any]]) -> list[Artifact]:
    """One training of the deepest run gives the artifacts of all runs that differ in depth alone.

    Layers are trained from the bottom and a layer never depends on those above, so the result is that of single fits.
    """
    from claimbench.training import in_stacks

    def all_but_depth(run: Run) -> tuple[Any, ...]:
        rest = {axis: value for axis, value in run.setting.items() if axis != "L"}
        return run.dataset, run.seed, sorted(rest.items()), sorted(run.hyper.items())

    def fit_deepest(members: list[int]) -> list[Artifact]:
        deepest = max(members, key=lambda i: runs[i].setting["L"])
        prefixes = fit(runs[deepest], datas[deepest], runs[deepest].setting["L"])
        return [{"scores": prefixes[runs[i].setting["L"] - 1]} for i in members]

    return in_stacks(runs, all_but_depth, fit_deepest)


def _single_forward(run: Run, data: Data, depth: int) -> list[Any]:
    from claimbench.papers.forward_gnn import single_forward, task

    return single_forward.fit(run, task.load_node_task(run, data), depth)


def fit_many_node_classification__sf(runs: list[Run], datas: list[Data]) -> list[Artifact]:
    """Single forward learning (Section 3.2); class probabilities summed over layers."""
    return _prefixes(runs, datas, _single_forward)


def _label_appending(run: Run, data: Data, depth: int) -> list[Any]:
    from claimbench.papers.forward_gnn import forward_forward, task

    return forward_forward.fit_label_appending(run, task.load_node_task(run, data), depth)


def fit_many_node_classification__ff_la(runs: list[Run], datas: list[Data]) -> list[Artifact]:
    """Forward-forward with label appending (Section 3.1); goodness of every class."""
    return _prefixes(runs, datas, _label_appending)


def _virtual_nodes(run: Run, data: Data, depth: int) -> list[Any]:
    from claimbench.papers.forward_gnn import forward_forward, task

    return forward_forward.fit_virtual_nodes(run, task.load_node_task(run, data), depth)


def fit_many_node_classification__ff_vn(runs: list[Run], datas: list[Data]) -> list[Artifact]:
    """Forward-forward with virtual nodes (Section 3.1); goodness of every class."""
    return _prefixes(runs, datas, _virtual_nodes)


def fit_node_classification__t2i(run: Run, data: Data) -> Artifact:
    """Top-down signals to the input (Section 3.3)."""
    from claimbench.papers.forward_gnn import task, top_down

    return {"scores": top_down.fit_top_to_input(run, task.load_node_task(run, data), run.setting["L"])}


def fit_node_classification__t2l(run: Run, data: Data) -> Artifact:
    """Top-down signals to the loss (Section 3.3)."""
    from claimbench.papers.forward_gnn import task, top_down

    return {"scores": top_down.fit_top_to_loss(run, task.load_node_task(run, data), run.setting["L"])}


# --- link prediction (Tables 9-11) ----------------------------------------------------------------------------------


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.where(x >= 0, 1.0 / (1.0 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1.0 + np.exp(-np.abs(x))))


def score_link_prediction(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """ROC-AUC on the test pairs of the mean over layers of sigmoid(score)."""
    from claimbench.metrics import roc_auc

    u, v = data.arrays["test_label_index"]
    scores = []
    for layer in range(run.setting["L"] if f"z_{run.setting['L']}" in artifact else 1):
        z = artifact[f"z_{layer + 1}"]
        product = z[u] * z[v]
        logit = np.square(product).sum(axis=1) - run.h.theta if run.method == "FF" else product.sum(axis=1)
        scores.append(_sigmoid(logit))
    return {"test/roc_auc": float(roc_auc(data.arrays["test_label"], np.mean(scores, axis=0)))}


def fit_link_prediction__bp(run: Run, data: Data) -> Artifact:
    """Backpropagation through all layers: the embedding z."""
    from claimbench.papers.forward_gnn import link_prediction

    return {"z_1": link_prediction.fit_backpropagation(run, link_prediction.load(run, data), run.setting["L"])}


def _link_layers(runs: list[Run], datas: list[Data], goodness: bool) -> list[Artifact]:
    """As :func:`_prefixes`: one training of the deepest run, its first layers for the others."""
    from claimbench.papers.forward_gnn import link_prediction

    def fit(run: Run, data: Data, depth: int) -> list[Any]:
        def squared(z: Any, pairs: Any) -> Any:
            return link_prediction.product_goodness(z, pairs, run.h.theta)

        logit, loss = (
            (squared, link_prediction.goodness_loss)
            if goodness
            else (link_prediction.dot, link_prediction.cross_entropy)
        )
        outputs = link_prediction.fit_layers(run, link_prediction.load(run, data), depth, logit, loss)
        return [outputs[: n + 1] for n in range(depth)]

    return [{f"z_{i + 1}": z for i, z in enumerate(artifact["scores"])} for artifact in _prefixes(runs, datas, fit)]


def fit_many_link_prediction__ce(runs: list[Run], datas: list[Data]) -> list[Artifact]:
    """ForwardGNN-CE (Section 3.4): the embeddings z of every layer."""
    return _link_layers(runs, datas, goodness=False)


def fit_many_link_prediction__ff(runs: list[Run], datas: list[Data]) -> list[Artifact]:
    """ForwardGNN-FF (Section 3.4): the embeddings z of every layer."""
    return _link_layers(runs, datas, goodness=True)


def fit_link_prediction__t2i(run: Run, data: Data) -> Artifact:
    """ForwardGNN-CE with top-down signals to the input: the weights of the layers."""
    from claimbench.nn.state import pack
    from claimbench.papers.forward_gnn import link_prediction

    return pack(link_prediction.fit_top_to_input(run, link_prediction.load(run, data), run.setting["L"]))


def score_link_prediction__t2i(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """ROC-AUC of the trained layers' recurrence on the test graph."""
    import torch

    from claimbench.metrics import roc_auc
    from claimbench.papers.forward_gnn import link_prediction

    task = link_prediction.load(run, data)
    pairs = link_prediction.Pairs(torch.as_tensor(data.arrays["test_label_index"]), task.x.shape[0])
    scores = link_prediction.top_to_input_scores(run, task, artifact, pairs)
    return {"test/roc_auc": float(roc_auc(data.arrays["test_label"], scores.cpu().numpy()))}


# --- memory (Tables 6-8), time (Table 15), locality -----------------------------------------------------------------


def fit_memory(run: Run, data: Data) -> Artifact:
    """Megabytes that one backward pass needs, of the whole network (BP) or of every layer (SF, FF-VN).

    They are what autograd saves for it and, on a GPU, the peak that the device saw.
    """
    from claimbench.papers.forward_gnn import measuring, task

    node_task, depth = task.load_node_task(run, data), run.setting["L"]
    if run.method == "BP":
        layers = [measuring.backprop_loss(run, node_task, depth)]
    elif run.method == "SF":
        layers = measuring.single_forward_layers(run, node_task, depth, cached=False)
    else:
        layers = measuring.forward_forward_losses(run, node_task, depth)
    artifact: Artifact = {"megabytes": [measuring.saved_bytes(loss) / 1e6 for _, loss in layers]}
    if run.method != "BP":
        artifact["passes"] = [measuring.passes(operator, loss) for operator, loss in layers]
        artifact["classes"] = node_task.n_classes
    if run.device != "cpu":
        artifact["gpu_megabytes"] = [measuring.peak_gpu_bytes(loss) / 1e6 for _, loss in layers]
    return artifact


def score_memory(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """Megabytes: most of any layer and of the last one; forward passes an update: most of any layer, and that over the
    number of classes."""
    sizes = artifact["megabytes"]
    metrics = {"train/saved_mb": max(sizes), "train/saved_last_layer_mb": sizes[-1]}
    if "passes" in artifact:
        metrics["train/passes"] = float(max(artifact["passes"]))
        metrics["train/passes_a_class"] = max(artifact["passes"]) / artifact["classes"]
    if "gpu_megabytes" in artifact:
        metrics["train/gpu_mb"] = max(artifact["gpu_megabytes"])
    return metrics


def fit_time(run: Run, data: Data) -> Artifact:
    """Milliseconds an update, interleaved: BP of depth L; all L layers of SF with and without cached aggregation."""
    from claimbench.papers.forward_gnn import measuring, task

    node_task, depth = task.load_node_task(run, data), run.setting["L"]
    arms = {"BP": measuring.stepper(*measuring.backprop_loss(run, node_task, depth), run)}
    for cached in (True, False):
        for layer, (module, loss) in enumerate(measuring.single_forward_layers(run, node_task, depth, cached), start=1):
            arms[f"{'cached' if cached else 'uncached'}-{layer}"] = measuring.stepper(module, loss, run)
    return {"ms": measuring.interleaved_ms(arms, run.h.time_rounds, run.h.time_updates)}


def score_time(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """Medians in milliseconds, the spread of BP (interquartile range over median), and the ratios of the claim."""
    median = {name: float(np.median(values)) for name, values in artifact["ms"].items()}
    depth = run.setting["L"]
    sums = {kind: sum(median[f"{kind}-{layer}"] for layer in range(1, depth + 1)) for kind in ("cached", "uncached")}
    quartiles = np.percentile(artifact["ms"]["BP"], [25, 75])
    metrics = {
        "train/bp_ms": median["BP"],
        "train/sf_ms": sums["cached"],
        "train/sf_uncached_ms": sums["uncached"],
        "train/bp_over_sf": median["BP"] / sums["cached"],
        "train/spread": float(np.diff(quartiles)[0] / median["BP"]),
    }
    if depth > 1:
        metrics["train/cached_over_uncached"] = median[f"cached-{depth}"] / median[f"uncached-{depth}"]
    return metrics


def fit_locality(run: Run, data: Data) -> Artifact:
    """What training layer 2 does to layer 1 (Algorithm 1)."""
    from claimbench.papers.forward_gnn import measuring, task

    return measuring.locality(run, task.load_node_task(run, data))


def score_locality(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """How far training layer 2 moved each layer, and how many parameters of layer 1 got a gradient."""
    return {f"train/{name}": artifact[name] for name in ("layer_1_moved", "layer_1_gradients", "layer_2_moved")}
