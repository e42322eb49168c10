"""Protocols of one transductive graph: its labels, or its edges, are held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from claimbench.data.splits.base import Arrays, Parts, Split, count, fraction, is_percentage, parameter
from claimbench.data.splits.samples import at_most_one
from claimbench.errors import UserError
from claimbench.seeding import rng

if TYPE_CHECKING:
    import numpy as np

    from claimbench.data.entries import Entry


@dataclass(frozen=True, kw_only=True)
class GraphSplit(Split):
    """What protocols of graphs share."""

    def refuses(self, entry: Entry) -> str:
        return "" if entry.is_graph else "needs a graph"


def labels_of(arrays: Arrays) -> np.ndarray:
    """(N, C) uint8, 1 for each label of a node; a node without a label has none."""
    import numpy as np

    y = arrays["y"]
    return arrays["labels"] if "labels" in arrays else (y[:, None] == np.arange(y.max() + 1)).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class Unsupervised(GraphSplit):
    """The graph without its labels; score gets them all and cuts them itself.

    Score gets ``labels`` (N, C) uint8, one or several a node.
    """

    name = "unsupervised"
    one_for_all_seeds = True

    def cut(self, arrays: Arrays, index: int) -> Parts:
        return {}, {"labels": labels_of(arrays)}


@dataclass(frozen=True, kw_only=True)
class LabelledNodes(GraphSplit):
    """Shuffles of the labelled nodes, of which the first ``percent`` train and the others test.

    The protocol of DeepWalk and of those who compare with it (Perozzi et al., KDD 2014, Section 4): classifiers on a
    fixed embedding, trained on 10 %, 20 %, ... of the labelled nodes. Each percentage is a split of its own, so that
    nobody sees the labels of a larger one; training sets of one shuffle are nested.

    Fit gets ``nodes`` (S, n) int64, every labelled node in the order of each shuffle, and ``train_labels`` (S, n_train,
    C) uint8, the labels of the first ones. Score also gets ``labels`` (N, C) uint8 of all nodes.
    """

    name = "labelled-nodes"

    percent: float = parameter(50, is_percentage, "a percentage between 0 and 100")
    shuffles: int = count(1, 1, "a number of shuffles")

    def cut(self, arrays: Arrays, index: int) -> Parts:
        import numpy as np

        labels = labels_of(arrays)
        known = np.flatnonzero(labels.any(1))
        n_train = int(self.percent / 100 * len(known))
        if not n_train:
            raise UserError(f"percent is {self.percent}, which is no node; allowed: at least {100 / len(known):.2g}")
        random = rng(index, "shuffles")
        nodes = np.stack([random.permutation(known) for _ in range(self.shuffles)])
        return {"nodes": nodes, "train_labels": labels[nodes[:, :n_train]]}, {"labels": labels}


@dataclass(frozen=True, kw_only=True)
class Links(GraphSplit):
    """Held-out edges, with as many non-edges, for link prediction in an undirected graph.

    As ForwardGNN cuts them (ICLR 2024, official code). The authors call PyTorch Geometric's
    ``RandomLinkSplit(is_undirected=True, num_val=0.16, num_test=0.2, neg_sampling_ratio=1.0)`` under seed 101 * i for
    run i, counted from 0; so does this, and leaves the process's own random state alone. Every part has as many fixed
    negatives as positives. Which edges are drawn depends on the versions of torch and torch-geometric.

    For each part in train, val, test there are ``{part}_edge_index`` (2, M) int64, the edges messages may use (training
    edges for train and val, training and validation edges for test; both directions); ``{part}_label_index`` (2, P)
    int64 node pairs, each undirected edge once, positives first; ``{part}_label`` (P,) float32, 1 for edges and 0 for
    negatives. Those of test are for score alone.
    """

    name = "links"

    val: float = fraction(0.16)
    test: float = fraction(0.2)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_most_one(val=self.val, test=self.test)

    @property
    def withholds(self) -> tuple[str, ...]:
        return ("edge_index",)

    def cut(self, arrays: Arrays, index: int) -> Parts:
        import random

        import numpy as np
        import torch
        from torch_geometric.data import Data
        from torch_geometric.transforms import RandomLinkSplit

        transform = RandomLinkSplit(
            num_val=float(self.val), num_test=float(self.test), is_undirected=True, neg_sampling_ratio=1.0
        )
        graph = Data(edge_index=torch.from_numpy(arrays["edge_index"]), num_nodes=len(arrays["y"]))
        state = random.getstate()
        try:
            with torch.random.fork_rng(devices=[]):
                random.seed(101 * index)
                torch.manual_seed(101 * index)
                parts = transform(graph)
        finally:
            random.setstate(state)
        fit: dict[str, Any] = {}
        score: dict[str, Any] = {}
        for name, part in zip(("train", "val", "test"), parts, strict=True):
            found = score if name == "test" else fit
            found[f"{name}_edge_index"] = part.edge_index.numpy()
            found[f"{name}_label_index"] = part.edge_label_index.numpy()
            found[f"{name}_label"] = part.edge_label.numpy().astype(np.float32)
        return fit, score
