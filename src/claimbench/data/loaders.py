"""From raw files to arrays, one function for each layout.

A loader takes the raw folder and the entry's options and returns plain arrays:
graphs ``x`` (dense (N, F) or ``scipy.sparse.csr_matrix``), ``edge_index`` (2, E) int64, symmetric, sorted by row then
column, without duplicates and self-loops, ``y`` (N,) int64 with -1 for a node without a label, and where nodes have
several labels ``labels`` (N, C) uint8;
images ``x`` (N, H, W) or (N, H, W, 3) uint8 and ``y`` (N,) int64; text ``x`` (N, ...) int16 word numbers and ``y`` (N,) int64;
tables ``x`` (N, F) float32 and ``y`` (N,) int64 for classes, float64 for what is regressed; ``categorical`` where columns
are categories.
The official split, where there is one, comes as ``public_train`` / ``public_test`` (and ``public_val``) index arrays.
"""

from __future__ import annotations

import array
import csv
import io
import json
import re
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from claimbench.data import archive, guard, tabular, unpickle
from claimbench.data.entries import Entry
from claimbench.errors import UserError

Arrays = dict[str, Any]


def load(entry: Entry, raw: Path) -> Arrays:
    """The arrays of a dataset, its counts checked.

    Raises:
        LeakageError: during a fit.
        UserError: a file does not have the layout or the counts that the registry promises.
    """
    guard.refuse(f"the loader of {entry.name}")
    try:
        arrays = LOADERS[entry.loader](raw, **entry.options)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise UserError(f"{raw}: the files of {entry.name} cannot be read ({type(error).__name__}: {error})") from error
    found = counts(arrays)
    for name, expected in entry.expect.items():
        if found[name] != expected:
            raise UserError(
                f"{raw}: {entry.name} has {name} {found[name]}, expected {expected}; the file is not this dataset"
            )
    return arrays


def counts(arrays: Arrays) -> dict[str, int]:
    """``n_samples``, ``n_features``, ``n_classes`` where there are any, and for graphs ``n_nodes`` and ``n_edges`` (directed)."""
    x, y = arrays["x"], arrays["y"]
    found = {
        "n_samples": int(x.shape[0]),
        "n_features": int(np.prod(x.shape[1:])),
    }
    if y.dtype.kind != "f":
        found["n_classes"] = int(y.max()) + 1
    if "labels" in arrays:
        found["n_labels"] = int(arrays["labels"].shape[1])
    if "edge_index" in arrays:
        found |= {"n_nodes": int(x.shape[0]), "n_edges": int(arrays["edge_index"].shape[1])}
    return found


def symmetric_edges(row: np.ndarray, col: np.ndarray, n_nodes: int) -> np.ndarray:
    """Both directions of every edge, once, sorted by row then column, no self-loops: (2, E) int64.

    The same as PyTorch Geometric's ``remove_self_loops`` followed by ``to_undirected``.
    """
    row, col = np.asarray(row, np.int64), np.asarray(col, np.int64)
    if row.size and (min(row.min(), col.min()) < 0 or max(row.max(), col.max()) >= n_nodes):
        raise ValueError(f"an edge names a node outside of 0..{n_nodes - 1}")
    keep = row != col
    row, col = row[keep], col[keep]
    keys = np.unique(np.concatenate([row * n_nodes + col, col * n_nodes + row]))
    return np.stack([keys // n_nodes, keys % n_nodes])


def _planetoid(raw: Path, prefix: str) -> Arrays:
    """The eight files of Planetoid; test nodes are put back to their places.

    CiteSeer has test nodes that are isolated and in no file: they get empty features and the label -1.
    """
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


def _citation_npz(raw: Path, file: str) -> Arrays:
    """An attributed graph as two CSR matrices, in the layout of graph2gauss or of PPNP; attributes become 0/1."""
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


def _linqs(raw: Path, content: str, cites: str) -> Arrays:
    """``<id> <0/1 words> <class>`` lines and ``<cited> <citing>`` lines; classes in alphabetical order."""
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


def _musae(raw: Path, file: str, folder: str, prefix: str, n_features: int) -> Arrays:
    """MUSAE's zip: edges and classes as CSV, the features of each node as a list of indices in JSON."""
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


def _graphmining_npz(raw: Path, file: str) -> Arrays:
    """PyTorch Geometric's preprocessed MUSAE sets: ``features``, ``edges`` (E, 2), ``target``."""
    with np.load(raw / file, allow_pickle=False) as parts:
        x, edges, y = (parts[name] for name in ("features", "edges", "target"))
    return {
        "x": x.astype(np.float32),
        "edge_index": symmetric_edges(edges[:, 0], edges[:, 1], len(y)),
        "y": y.astype(np.int64),
    }


def _idx(raw: Path) -> Arrays:
    """The four IDX files of MNIST and its kin."""
    images, labels = [], []
    for part in ("train", "t10k"):
        images.append(_read_idx(raw / f"{part}-images-idx3-ubyte"))
        labels.append(_read_idx(raw / f"{part}-labels-idx1-ubyte"))
    n_train = len(labels[0])
    y = np.concatenate(labels).astype(np.int64)
    return {
        "x": np.concatenate(images),
        "y": y,
        "public_train": np.arange(n_train),
        "public_test": np.arange(n_train, y.size),
    }


def _read_idx(path: Path) -> np.ndarray:
    content = path.read_bytes()
    if content[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is not an IDX file of bytes")
    shape = np.frombuffer(content, ">u4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(tuple(int(n) for n in shape))


def _digits(raw: Path) -> Arrays:
    """scikit-learn's table: 64 grey levels 0..16 and the digit."""
    table = np.loadtxt(raw / "digits.csv", delimiter=",", dtype=np.float64).astype(np.int64)
    return {"x": table[:, :64].reshape(-1, 8, 8).astype(np.uint8), "y": table[:, 64]}


def _mnist_csv(raw: Path, file: str) -> Arrays:
    """A row each image: 784 grey levels and the digit."""
    with tempfile.TemporaryDirectory() as scratch:
        archive.gunzip(raw / file, Path(scratch) / "table.csv", max_bytes=64 << 20)
        text = (Path(scratch) / "table.csv").read_text()
    table = np.fromstring(text.replace("\n", ","), dtype=np.int64, sep=",").reshape(-1, 785)
    return {"x": table[:, :784].reshape(-1, 28, 28).astype(np.uint8), "y": table[:, 784]}


def _groups_csv(raw: Path) -> Arrays:
    """``edges.csv`` (a pair of nodes a line, from 1) and ``group-edges.csv`` (node, group)."""
    edges = np.loadtxt(raw / "edges.csv", delimiter=",", dtype=np.int64) - 1
    groups = np.loadtxt(raw / "group-edges.csv", delimiter=",", dtype=np.int64) - 1
    n_nodes = int(max(edges.max(), groups[:, 0].max())) + 1
    return _labelled(edges[:, 0], edges[:, 1], n_nodes, groups[:, 0], groups[:, 1])


def _communities(raw: Path, edges: str, groups: str) -> Arrays:
    """``<node> <node>`` lines, nodes from 0; a line of nodes for each label."""
    pairs = np.loadtxt(raw / edges, dtype=np.int64)
    members = [np.fromstring(line, dtype=np.int64, sep="\t") for line in (raw / groups).read_text().splitlines()]
    n_nodes = int(max(pairs.max(), max(part.max(initial=0) for part in members))) + 1
    label = np.repeat(np.arange(len(members)), [part.size for part in members])
    return _labelled(pairs[:, 0], pairs[:, 1], n_nodes, np.concatenate(members), label)


def _labelled(row: np.ndarray, col: np.ndarray, n_nodes: int, node: np.ndarray, label: np.ndarray) -> Arrays:
    """A graph without features whose nodes have several labels: ``labels`` (N, C) uint8, ``y`` the first one or -1."""
    labels = np.zeros((n_nodes, int(label.max()) + 1), np.uint8)
    labels[node, label] = 1
    return {
        "x": np.ones((n_nodes, 1), np.float32),
        "edge_index": symmetric_edges(row, col, n_nodes),
        "y": np.where(labels.any(1), labels.argmax(1), -1).astype(np.int64),
        "labels": labels,
    }


def _attributed_mat(raw: Path, file: str) -> Arrays:
    """A MATLAB file with ``Network``, ``Attributes`` and ``Label`` (from 1)."""
    import scipy.io
    import scipy.sparse as sp

    parts = scipy.io.loadmat(raw / file, variable_names=["Network", "Attributes", "Label"])
    edges = parts["Network"].tocoo()
    return {
        "x": sp.csr_matrix(parts["Attributes"], dtype=np.float32),
        "edge_index": symmetric_edges(edges.row, edges.col, parts["Network"].shape[0]),
        "y": parts["Label"][:, 0].astype(np.int64) - 1,
    }


def _babi(raw: Path, train: str, test: str, slots: int = 50) -> Arrays:
    """Questions on stories, one sample each.

    ``x`` (N, slots + 1, words) int16: the latest ``slots`` sentences (or as many as the longest story has) from the one
    before the question back, then the question; 0 is no word. ``y``: word number of the answer; answers of several words
    are one word. Words have lower case and are numbered through both files, answers last, so that ``max(y) + 1`` is the
    size of the dictionary.
    """
    samples: list[tuple[list[list[str]], list[str], str]] = []
    sizes = []
    for name in (train, test):
        story: list[list[str]] = []
        for line in (raw / name).read_text().splitlines():
            number, _, text = line.strip().partition(" ")
            if int(number) == 1:
                story = []
            if "\t" in text:
                question, answer, _ = text.split("\t")
                samples.append((story[::-1][:slots], _words(question), answer.strip().lower()))
            else:
                story.append(_words(text))
        sizes.append(len(samples))
    answers = sorted({answer for *_, answer in samples})
    others = {word for story, question, _ in samples for sentence in (*story, question) for word in sentence}
    numbers = {word: i for i, word in enumerate([*sorted(others - set(answers)), *answers], start=1)}
    rows = max(len(story) for story, *_ in samples)
    words = max(len(sentence) for story, question, _ in samples for sentence in (*story, question))
    x = np.zeros((len(samples), rows + 1, words), np.int16)
    for i, (story, question, _) in enumerate(samples):
        for row, sentence in [*enumerate(story), (rows, question)]:
            x[i, row, : len(sentence)] = [numbers[word] for word in sentence]
    return {
        "x": x,
        "y": np.array([numbers[answer] for *_, answer in samples], np.int64),
        "public_train": np.arange(sizes[0]),
        "public_test": np.arange(*sizes),
    }


def _token_blocks(raw: Path, train: str, test: str, block: int, least: int, archived: str = "") -> Arrays:
    """Text as overlapping blocks of words, one sample each.

    ``x`` (n, block + 1) int32 word numbers; a block starts with the last word of the one before, so that every word but
    the first is predicted once. Every line ends with ``<eos>``; words of fewer than ``least`` occurrences in the training
    text are ``<unk>``. ``y`` (n,) is the largest number of each block, and of the first the last word of the dictionary,
    so that ``max(y) + 1`` is its size.
    """
    with tempfile.TemporaryDirectory() as scratch:
        if archived:
            archive.extract(raw / archived, Path(scratch), [train, test], max_bytes=1 << 30)
            raw = Path(scratch)
        with open(raw / train, encoding="utf-8") as lines:
            counted = Counter(word for line in lines for word in line.split())
        kept = sorted({"<eos>", *(word for word, count in counted.items() if count >= least)} - {"<unk>"})
        numbers = {word: i for i, word in enumerate(["<unk>", *kept])}
        blocks = []
        for name in (train, test):
            tokens = array.array("i")
            with open(raw / name, encoding="utf-8") as lines:
                for line in lines:
                    tokens.extend(numbers.get(word, 0) for word in line.split())
                    tokens.append(numbers["<eos>"])
            known = np.frombuffer(tokens, np.int32)
            starts = np.arange(0, len(known) - block, block)
            blocks.append(known[starts[:, None] + np.arange(block + 1)])
    x = np.concatenate(blocks)
    y = x.max(1).astype(np.int64)
    y[0] = len(kept)
    return {
        "x": x,
        "y": y,
        "public_train": np.arange(len(blocks[0])),
        "public_test": np.arange(len(blocks[0]), len(x)),
    }


def _table(raw: Path, file: str, target: int) -> Arrays:
    """Numbers between blanks, a sample each line: the columns before ``target`` are features, that one is predicted."""
    table = np.loadtxt(raw / file, dtype=np.float64)
    return {"x": table[:, :target].astype(np.float32), "y": table[:, target]}


def _diabetes(raw: Path) -> Arrays:
    """scikit-learn's diabetes data, unscaled."""
    return {
        "x": np.loadtxt(raw / "diabetes_data_raw.csv", dtype=np.float32),
        "y": np.loadtxt(raw / "diabetes_target.csv", dtype=np.float64),
    }


def _cifar_strips(raw: Path, train: list[str], test: list[str], labels: str) -> Arrays:
    """Pictures with one image of 32 x 32 x 3 bytes a row, and a script with the list of all labels."""
    from PIL import Image

    numbers = re.search(r"\[([\d,\s]+)\]", (raw / labels).read_text())
    if numbers is None:
        raise ValueError(f"{labels} has no list of numbers")
    known = np.fromstring(numbers.group(1), dtype=np.int64, sep=",")
    images, y = [], []
    for name in (*train, *test):
        with Image.open(raw / name) as picture:
            rows = np.asarray(picture.convert("RGB"))
        images.append(rows.reshape(len(rows), 32, 32, 3))
        first = 1000 * int(name.rsplit("_", 1)[1].removesuffix(".png"))
        y.append(known[first : first + len(rows)])
    n_train = sum(len(part) for part in images[: len(train)])
    return {
        "x": np.concatenate(images),
        "y": np.concatenate(y),
        "public_train": np.arange(n_train),
        "public_test": np.arange(n_train, sum(map(len, images))),
    }


def _omniglot(raw: Path, background: str, evaluation: str) -> Arrays:
    """Drawings of characters (n, 105, 105), 1 where there is ink; ``y`` is 100 times the alphabet and the character's
    number in it. Alphabets of the first archive train, those that only the second one has test."""
    from PIL import Image

    x, y, parts, alphabets = [], [], {"public_train": [], "public_test": []}, dict[str, int]()
    for part, file in zip(parts, (background, evaluation), strict=True):
        known = set(alphabets)
        with tempfile.TemporaryDirectory() as scratch:
            archive.extract(raw / file, Path(scratch), max_files=40_000)
            for path in sorted(Path(scratch).rglob("*.png")):
                alphabet, character = path.parts[-3:-1]
                if alphabet in known:
                    continue
                number = alphabets.setdefault(alphabet, len(alphabets))
                parts[part].append(len(y))
                y.append(100 * number + int(character.removeprefix("character")))
                with Image.open(path) as image:
                    x.append(1 - np.asarray(image.convert("1"), np.uint8))
    indices = {name: np.array(rows, np.int64) for name, rows in parts.items()}
    return {"x": np.stack(x), "y": np.array(y, np.int64), **indices, "public_val": np.zeros(0, np.int64)}


def _image_folder(raw: Path, folder: str) -> Arrays:
    from claimbench.data import folders

    return folders.index(raw)


def _words(text: str) -> list[str]:
    return text.strip().rstrip(".?").strip().lower().split()


def _block_model(raw: Path, **options: Any) -> Arrays:
    from claimbench.data.synthetic import block_model

    return block_model(**options)


LOADERS: dict[str, Callable[..., Arrays]] = {
    "planetoid": _planetoid,
    "citation_npz": _citation_npz,
    "linqs": _linqs,
    "musae": _musae,
    "graphmining_npz": _graphmining_npz,
    "idx": _idx,
    "digits": _digits,
    "mnist_csv": _mnist_csv,
    "groups_csv": _groups_csv,
    "communities": _communities,
    "attributed_mat": _attributed_mat,
    "babi": _babi,
    "token_blocks": _token_blocks,
    "table": _table,
    "diabetes": _diabetes,
    "labelled_csv": tabular.labelled_csv,
    "keel": tabular.keel,
    "keel_collection": tabular.keel_collection,
    "tabpfn": tabular.tabpfn,
    "balance_scale": tabular.balance_scale,
    "cifar_strips": _cifar_strips,
    "omniglot": _omniglot,
    "image_folder": _image_folder,
    "block_model": _block_model,
}
