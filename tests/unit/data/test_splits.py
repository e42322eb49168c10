"""The split protocols: what the published index files hold, disjoint parts, masked labels."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claimbench.data.splits import PROTOCOLS
from claimbench.data.splits.graphs import LabelledNodes, Links
from claimbench.data.splits.samples import BinarySubset, Halves, KFold, Public, Random
from claimbench.errors import UserError
from claimbench.seeding import rng

# sha256 (16 digits) of the published index files train|val|test as little-endian int64, splits 0 to 4:
# github.com/NamyongPark/forwardgnn-datasplits at 48997da, folders node-5splits.
PUBLISHED = {
    4230: ["b6ee9ae6258ef72a", "d4232a47c871a69a", "d25ea25a552455e3", "9e44af1dcf8ff2f6", "292377d8fa44c101"],
    2995: ["dbd8d8e6b6ba8e1e", "5ae54a37a83d0e67", "0904dc5e465a924e", "76ac5157f971105b", "6df7a707e25e4639"],
    19717: ["fd2372298a04611f", "8ab308e8d94d83ea", "27cc2d65e3d75dec", "2c1d1e5c40575d0b", "c308bd68ffe6b135"],
    7650: ["2acc5386a53b10b6", "a1e08918ab8b3df1", "c2e7cb66123c450c", "d126ecf9000407c6", "86231c41479431c8"],
    37700: ["50d620d05152a1ac", "75e2f526a5c259c8", "e90807567d68cddd", "ac03db1c682e51fe", "5121e5fae8702127"],
}


def kfold(n: int, index: int, folds: int = 5) -> dict[str, np.ndarray]:
    return KFold(folds=folds).choose({"y": np.zeros(n, int)}, index)


@pytest.mark.parametrize("n_nodes", PUBLISHED)
def test_kfold_gives_the_published_index_files(n_nodes: int) -> None:
    for index, expected in enumerate(PUBLISHED[n_nodes]):
        found = kfold(n_nodes, index)
        content = b"|".join(found[part].astype("<i8").tobytes() for part in ("train", "val", "test"))
        assert hashlib.sha256(content).hexdigest()[:16] == expected


@settings(max_examples=40, deadline=None)
@given(n=st.integers(20, 300), folds=st.integers(2, 7), index=st.integers(0, 20))
def test_kfold_parts_are_disjoint_and_cover(n: int, folds: int, index: int) -> None:
    found = kfold(n, index, folds)
    assert np.array_equal(np.sort(np.concatenate(list(found.values()))), np.arange(n))
    again = kfold(n, index + folds, folds)
    assert not np.array_equal(found["test"], again["test"]), "runs beyond the last fold are shuffled anew"


def test_the_folds_test_every_sample_once() -> None:
    tests = [kfold(103, index)["test"] for index in range(5)]
    assert np.array_equal(np.sort(np.concatenate(tests)), np.arange(103))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(20, 300), train=st.floats(0.1, 0.5), val=st.floats(0.05, 0.25), index=st.integers(0, 20))
def test_random_parts_are_disjoint(n: int, train: float, val: float, index: int) -> None:
    y = {"y": np.zeros(n, int)}
    found = Random(train=train, val=val, test=0.25).choose(y, index)
    joined = np.concatenate(list(found.values()))
    assert np.unique(joined).size == joined.size
    assert joined.min() >= 0
    assert joined.max() < n
    assert found["test"].size == round(0.25 * n)
    assert found["val"].size == round(val * n)
    whole = Random(train=0.75 - val, val=val, test=0.25).choose(y, index)
    assert sum(part.size for part in whole.values()) == n


@pytest.mark.parametrize("split", [KFold, Random, Halves, BinarySubset, Public])
def test_visible_queries_are_inputs_of_the_test_rows_without_labels(split: type) -> None:
    arrays = {"y": np.arange(200) % 2, "public_train": np.arange(150), "public_test": np.arange(150, 200)}
    params = {"val": 10} if split is Public else {}
    fit, score = split(**params).cut(arrays, 3)
    seeing, same = split(**params, queries="visible").cut(arrays, 3)
    assert set(fit) == {"rows", "y", "train_idx", "val_idx"}
    assert set(seeing) == {*fit, "test_rows"}
    assert np.array_equal(seeing["test_rows"], score["rows"])
    assert all(np.array_equal(seeing[name], fit[name]) for name in fit)
    assert all(np.array_equal(same[name], score[name]) for name in score)
    assert split(**params).key(3) != split(**params, queries="visible").key(3)


def test_public_images_validate_on_the_last_of_the_training_set() -> None:
    arrays = {"y": np.zeros(70), "public_train": np.arange(60), "public_test": np.arange(60, 70)}
    found = Public(val=10).choose(arrays, 0)
    assert np.array_equal(found["train"], np.arange(50))
    assert np.array_equal(found["val"], np.arange(50, 60))
    with pytest.raises(UserError, match="less than its 60 training samples"):
        Public(val=60).choose(arrays, 0)
    with pytest.raises(UserError, match="has no public split"):
        Public().choose({"y": np.zeros(3)}, 0)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(20, 300), most=st.integers(10, 200), index=st.integers(0, 20))
def test_halves_hold_every_class(n: int, most: int, index: int) -> None:
    y = np.minimum(np.arange(n) % 5, 2)
    y[:2] = 3  # a class of two rows: one for each half
    most = max(most, n // 2) if n < 60 else most
    found = Halves(most=most).choose({"y": y}, index)
    assert found["test"].size == n - n // 2
    assert found["train"].size == min(n // 2, most)
    assert found["val"].size == 0
    assert not set(found["train"]) & set(found["test"])
    assert set(y[found["train"]]) == set(y[found["test"]]) == {0, 1, 2, 3}
    again = Halves(most=most).choose({"y": y}, index)
    assert np.array_equal(found["train"], again["train"])
    assert not np.array_equal(found["train"], Halves(most=most).choose({"y": y}, index + 1)["train"])


def test_halves_that_cannot_hold_every_class() -> None:
    y = np.zeros(30, int)
    y[0] = 1
    with pytest.raises(UserError, match="no permutation has every class"):
        Halves().choose({"y": y}, 0)
    with pytest.raises(UserError, match="has no classes"):
        Halves().choose({"y": np.zeros(30)}, 0)


@settings(max_examples=40, deadline=None)
@given(counts=st.lists(st.integers(50, 300), min_size=2, max_size=4), index=st.integers(0, 20))
def test_binary_subsets_are_balanced(counts: list[int], index: int) -> None:
    y = np.repeat(np.arange(len(counts)), counts)
    found = BinarySubset().choose({"y": y}, index)
    assert np.bincount(y[found["train"]]).tolist() == [15, 15]
    assert np.bincount(y[found["test"]]).tolist() == [35, 35]
    assert found["val"].size == 0
    rows = np.concatenate([found["train"], found["test"]])
    assert np.unique(rows).size == 100
    kept = min(200, counts[0], counts[1])
    within = np.where(y[rows] == 0, rows, rows - counts[0])
    assert within.max() < kept, "only the first rows of a class are loaded"


def test_binary_subsets_need_two_classes() -> None:
    with pytest.raises(UserError, match="has 40 rows of a class; allowed: 80"):
        BinarySubset().choose({"y": np.repeat([0, 1], [90, 40])}, 0)
    with pytest.raises(UserError, match="has no classes"):
        BinarySubset().choose({"y": np.zeros(300)}, 0)


def test_nodes_without_a_label_are_in_no_part() -> None:
    y = np.where(np.arange(60) % 7 == 3, -1, 0)
    for split in (KFold(), Random()):
        found = split.choose({"y": y}, 2)
        assert np.array_equal(np.sort(np.concatenate(list(found.values()))), np.flatnonzero(y >= 0))


def links(edges: np.ndarray, n_nodes: int, index: int) -> dict[str, np.ndarray]:
    fit, score = Links().cut({"edge_index": edges, "y": np.zeros(n_nodes, int)}, index)
    assert all(name.startswith("test_") for name in score)
    assert not any(name.startswith("test_") for name in fit)
    return fit | score


def ring(n_nodes: int) -> np.ndarray:
    from claimbench.data.sets.graphs import symmetric_edges

    nodes = np.arange(n_nodes)
    return symmetric_edges(
        np.concatenate([nodes, nodes]), np.concatenate([(nodes + 1), (nodes + 7)]) % n_nodes, n_nodes
    )


def test_links_hide_the_test_edges_from_the_messages() -> None:
    edges = ring(200)
    found = links(edges, 200, 0)

    def undirected(pairs: np.ndarray) -> set[tuple[int, int]]:
        return {(min(a, b), max(a, b)) for a, b in pairs.T.tolist()}

    every = undirected(edges)
    positives = {
        part: found[f"{part}_label_index"][:, found[f"{part}_label"] == 1] for part in ("train", "val", "test")
    }
    sizes = {part: pairs.shape[1] for part, pairs in positives.items()}
    assert sizes == {"train": 256, "val": 64, "test": 80}
    assert set.union(*map(undirected, positives.values())) == every
    assert sum(len(undirected(pairs)) for pairs in positives.values()) == len(every)
    for part, seen in (("train", ["train"]), ("val", ["train"]), ("test", ["train", "val"])):
        messages = found[f"{part}_edge_index"]
        assert undirected(messages) == set.union(*(undirected(positives[name]) for name in seen))
        assert messages.shape[1] == 2 * len(undirected(messages))
        negatives = found[f"{part}_label_index"][:, found[f"{part}_label"] == 0]
        assert negatives.shape[1] == sizes[part]
        assert not undirected(negatives) & every


def test_links_are_the_authors_call_and_leave_the_random_state_alone() -> None:
    import torch
    from torch_geometric.data import Data
    from torch_geometric.seed import seed_everything
    from torch_geometric.transforms import RandomLinkSplit

    edges = ring(120)
    random.seed(5)
    torch.manual_seed(5)
    expected_next = (random.random(), torch.rand(1).item())
    random.seed(5)
    torch.manual_seed(5)
    ours = [links(edges, 120, index) for index in range(3)]
    assert (random.random(), torch.rand(1).item()) == expected_next
    for index in range(3):
        seed_everything(101 * index)
        transform = RandomLinkSplit(
            is_undirected=True, num_val=0.16, num_test=0.2, neg_sampling_ratio=1.0, split_labels=False
        )
        parts = transform(Data(edge_index=torch.from_numpy(edges), num_nodes=120))
        for name, part in zip(("train", "val", "test"), parts, strict=True):
            assert np.array_equal(ours[index][f"{name}_edge_index"], part.edge_index.numpy())
            assert np.array_equal(ours[index][f"{name}_label_index"], part.edge_label_index.numpy())
            assert np.array_equal(ours[index][f"{name}_label"], part.edge_label.numpy())


# ---- labelled nodes --------------------------------------------------------------------------------------------------


def test_labelled_nodes_hide_the_labels_of_test_nodes() -> None:
    labels = np.zeros((50, 4), np.uint8)
    labels[np.arange(40), np.arange(40) % 4] = 1  # the last ten have none
    arrays = {"labels": labels, "y": labels.argmax(1), "edge_index": np.zeros((2, 0), int)}
    fit, score = LabelledNodes(percent=50, shuffles=3).cut(arrays, 1)
    assert fit["nodes"].shape == (3, 40)
    assert fit["train_labels"].shape == (3, 20, 4), "as many as train, and no more"
    for nodes, known in zip(fit["nodes"], fit["train_labels"], strict=True):
        assert sorted(nodes) == list(range(40))
        assert np.array_equal(known, labels[nodes[:20]])
    assert set(fit) == {"nodes", "train_labels"}
    assert list(score) == ["labels"]
    assert np.array_equal(score["labels"], labels)
    fewer, _ = LabelledNodes(percent=10, shuffles=3).cut(arrays, 1)
    assert np.array_equal(fewer["nodes"], fit["nodes"])
    assert np.array_equal(fewer["train_labels"], fit["train_labels"][:, :4]), "training sets are nested"
    with pytest.raises(UserError, match=r"percent is 1, which is no node; allowed: at least 2\.5"):
        LabelledNodes(percent=1).cut(arrays, 0)


def test_labelled_nodes_of_one_label_each() -> None:
    y = np.where(np.arange(30) % 5 == 0, -1, np.arange(30) % 3)
    fit, score = LabelledNodes(percent=50).cut({"y": y}, 0)
    assert sorted(fit["nodes"][0]) == np.flatnonzero(y >= 0).tolist()
    assert np.array_equal(score["labels"].argmax(1)[y >= 0], y[y >= 0])
    assert not score["labels"][y < 0].any()


def test_labelled_nodes_are_the_subsets_of_shuffles_drawn_one_after_the_other() -> None:
    """An evaluation that draws its shuffles from the run's stream ``shuffles`` and cuts at ``int(percent / 100 * n)``."""
    labels = np.eye(5, dtype=np.uint8)[np.arange(87) % 5]
    labels[::9] = 0
    for percent in (10, 30, 70):
        fit, _ = LabelledNodes(percent=percent, shuffles=4).cut({"labels": labels, "y": labels.argmax(1)}, 6)
        generator = rng(6, "shuffles")
        for nodes, known in zip(fit["nodes"], fit["train_labels"], strict=True):
            expected = generator.permutation(np.flatnonzero(labels.any(1)))
            n_train = int(percent / 100 * len(expected))
            assert np.array_equal(nodes, expected)
            assert np.array_equal(known, labels[expected[:n_train]])


def test_every_protocol_says_what_it_is() -> None:
    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert protocol.__doc__
        assert not protocol.__doc__.startswith(f"{protocol.__name__}("), "a docstring of its own"
