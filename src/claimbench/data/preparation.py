"""Prepared datasets: arrays on disk, split into what fit may see and what only score may see.

``<root>/<name>/prepared/<digest>/`` holds ``inputs.npz`` (inputs that are cut by rows, and what is known beside them)
or, for a dataset that is one whole, ``inputs.safetensors`` (``x``, such as features of a graph's nodes) and
``edges.npz`` (other inputs); ``labels.npz``, ``info.json`` and, for each split, ``splits/<key>.fit.safetensors`` and
``splits/<key>.score.npz``. Everything that would show the test split is in ``.npz`` files, which are opened by Python
alone and therefore refused during a fit.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from claimbench.data import fetch, folders, guard
from claimbench.data.entries import Arrays, Entry
from claimbench.data.registry import get, given_mirror, split_of
from claimbench.data.splits import Parts, Split
from claimbench.errors import UserError
from claimbench.files import read_json, replacing, write_json

AnySplit = Split | Mapping[str, Any]
DENSE_FROM = 0.2
"""Sparse features with a smaller share of non-zeros are kept as CSR parts."""


@dataclass
class Data:
    """What a run is given of its dataset.

    ``arrays`` by kind and protocol (N nodes or samples, E directed edges, F features):

    - graph, every protocol: ``x`` (N, F) float32, or its CSR parts ``x_data`` float32, ``x_indices`` int32,
      ``x_indptr`` int64, ``x_shape`` (2,) int64.
    - graph, ``kfold``, ``random``, ``public``: ``edge_index`` (2, E) int64, both directions, sorted; ``y`` (N,) int64,
      -1 outside of training and validation; ``train_idx``, ``val_idx``, ``test_idx`` int64. Score also gets ``test_y``,
      the labels of ``test_idx``.
    - graph, ``unsupervised``: ``edge_index`` alone; score gets ``labels`` (N, C) uint8, one or several a node. - graph,
    ``labelled-nodes`` and ``links``: see :mod:`claimbench.data.splits.graphs`. - images, text, tables: ``x`` (n, H, W)
    uint8 or what the loader gives, and ``y`` (n,) int64 of training and validation
      samples only, ``train_idx`` and ``val_idx`` into them. Score also gets ``test_x``, ``test_y``; with ``queries:
      visible`` fit has ``test_x`` too. Tables with categories also have ``categorical``, the indices of those columns.
    - tables, ``binary-subsets``: see :class:`claimbench.data.splits.samples.BinarySubsets`.

    ``info``: ``n_classes``, ``n_features``, ``n_nodes`` and ``n_edges`` or ``n_samples``, ``kind``, ``title``,
    ``source``, ``sha256``, ``split``, ``index``.
    """

    name: str
    arrays: dict[str, np.ndarray]
    info: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """Where a prepared dataset lies and which splits it has."""

    name: str
    folder: Path
    splits: tuple[str, ...]
    info: dict[str, Any]


def _entry(dataset: str | Entry) -> Entry:
    return get(dataset) if isinstance(dataset, str) else dataset


def prepare(
    dataset: str | Entry, wanted: Iterable[tuple[AnySplit, int]], root: Path, mirror: Path | None = None
) -> Prepared:
    """Fetch a dataset if need be and write its arrays and splits; what is there already is kept.

    Args:
        dataset: name of a shared one, or an entry.
        wanted: (split, index) pairs; a mapping names a shared protocol, see :mod:`claimbench.data.splits`.
        root: the data folder.
        mirror: a folder that already holds datasets; None takes the one of CLAIMBENCH_MIRROR, if that is set.

    Raises:
        DataUnavailable: no source delivered.
        UserError: unknown dataset or split, damaged files, a folder that cannot be written.
        LeakageError: during a fit.
    """
    guard.refuse("prepare")
    mirror = given_mirror(mirror)
    guard.protect(root)
    guard.protect(mirror)
    entry = _entry(dataset)
    folder = entry.prepared_folder(root)
    keys = {}
    for given, index in wanted:
        split = split_of(entry, given)
        keys[split.key(index)] = (split, index)
    if not entry.is_prepared(root, keys):
        with fetch.locked(root / entry.name / ".prepare.lock"):
            try:
                _write(entry, keys, root, mirror)
            except OSError as error:
                raise UserError(f"{error.filename or folder}: cannot be written ({error.strerror or error})") from error
    return Prepared(entry.name, folder, tuple(keys), _info(folder))


def _write(entry: Entry, keys: dict[str, tuple[Split, int]], root: Path, mirror: Path | None) -> None:
    folder = entry.prepared_folder(root)
    if entry.is_prepared(root, keys):  # another process was faster
        return
    if not (folder / "info.json").is_file():
        place = fetch.raw_folder(entry, root)
        if entry.in_place:
            place = folders.find(entry, mirror)
            origin = {"source": f"mirror {entry.options['folder']}", "sha256": {}, "folder": str(place)}
        else:
            origin = fetch.fetch(entry, root, mirror) if entry.files else {"source": "generated", "sha256": {}}
        try:
            arrays = load(entry, place)
        except UserError:
            fetch.forget_unchecked(entry, root)
            raise
        _write_inputs(entry, arrays, folder, origin)
    arrays = _read_inputs(folder)
    for key, (split, index) in keys.items():
        if not (folder / "splits" / f"{key}.fit.safetensors").is_file():
            fit, score = _cut(entry, arrays, split, index)
            _save_npz(folder / "splits" / f"{key}.score.npz", score)
            _save_safetensors(folder / "splits" / f"{key}.fit.safetensors", fit)  # last: it marks the split as complete


def load(entry: Entry, raw: Path) -> Arrays:
    """The arrays of a dataset, its counts checked.

    Raises:
        LeakageError: during a fit.
        UserError: a file does not have the layout or the counts that the registry promises.
    """
    guard.refuse(f"the loader of {entry.name}")
    try:
        arrays = entry.loader(raw, **entry.options)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise UserError(f"{raw}: the files of {entry.name} cannot be read ({type(error).__name__}: {error})") from error
    for name in entry.samples:
        if name not in arrays:
            raise UserError(f"{entry.name}: its loader gives no {name!r}, which its entry names under samples")
    found = counts(entry, arrays)
    for name, expected in entry.expect.items():
        if found.get(name) != expected:
            raise UserError(
                f"{raw}: {entry.name} has {name} {found.get(name)}, expected {expected}; the file is not this dataset"
            )
    return arrays


def counts(entry: Entry, arrays: Arrays) -> dict[str, int]:
    """What there is how often.

    ``n_features`` of one row of ``x``; ``n_samples``, or for graphs ``n_nodes`` and ``n_edges`` (directed);
    ``n_classes`` and ``n_labels`` where there are any; and the rows of every other input as ``n_<its name>``.
    """
    found = {
        f"n_{name}": len(arrays[name]) for name in (*entry.samples, *entry.whole) if name in arrays and name != "x"
    }
    if "x" in arrays:
        found |= {"n_samples": int(arrays["x"].shape[0]), "n_features": int(np.prod(arrays["x"].shape[1:]))}
    if "y" in arrays and arrays["y"].ndim == 1 and arrays["y"].dtype.kind in "iu":
        found["n_classes"] = int(arrays["y"].max()) + 1
    if "labels" in arrays:
        found["n_labels"] = int(arrays["labels"].shape[1])
    if entry.is_graph:
        del found["n_edge_index"]
        found |= {"n_nodes": found.pop("n_samples"), "n_edges": int(arrays["edge_index"].shape[1])}
    return found


def _write_inputs(entry: Entry, arrays: dict[str, Any], folder: Path, origin: dict[str, Any]) -> None:
    """All files but the splits, in one rename."""
    for left in folder.parent.glob(".*.tmp"):  # of a process that was killed; this one holds the lock
        shutil.rmtree(left, ignore_errors=True)
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    fresh.mkdir(parents=True)
    try:
        inputs = {name: arrays[name] for name in (*entry.samples, *entry.whole) if name in arrays}
        _save_npz(fresh / "labels.npz", {name: value for name, value in arrays.items() if name not in inputs})
        if entry.samples:
            _save_npz(fresh / "inputs.npz", inputs)
        else:
            if "x" in inputs:
                _save_safetensors(fresh / "inputs.safetensors", _features(inputs.pop("x")))
            _save_npz(fresh / "edges.npz", inputs)
        info = {"name": entry.name, "title": entry.title, "kind": entry.kind, **counts(entry, arrays), **origin}
        write_json(fresh / "info.json", info)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _features(x: Any) -> Arrays:
    """An array as it is; a sparse matrix as its CSR parts when few entries are set, else dense."""
    if isinstance(x, np.ndarray):
        return {"x": x}
    x.sum_duplicates()
    x.eliminate_zeros()
    if x.nnz >= DENSE_FROM * x.shape[0] * x.shape[1]:
        return {"x": x.toarray().astype(np.float32)}
    return {
        "x_data": x.data.astype(np.float32),
        "x_indices": x.indices.astype(np.int32),
        "x_indptr": x.indptr.astype(np.int64),
        "x_shape": np.array(x.shape, np.int64),
    }


def _cut(entry: Entry, arrays: dict[str, Any], split: Split, index: int) -> Parts:
    try:
        return split.cut(arrays, index)
    except UserError as error:
        raise UserError(f"dataset {entry.name}, split {split.name}: {error}") from error


def load_fit(dataset: str | Entry, split: AnySplit, index: int, root: Path) -> Data:
    """What fit may see of run ``index``; arguments as those of :func:`prepare`.

    Raises:
        UserError: the dataset or the split is not prepared.
    """
    entry, cut, folder, info = _open(dataset, split, index, root)
    arrays = _load_safetensors(folder / "splits" / f"{cut.key(index)}.fit.safetensors")
    if entry.in_place:
        folders.permit(info)
    if entry.samples:
        inputs = _load_npz(folder / "inputs.npz")
        rows = {"": arrays.pop("rows", None), "test_": arrays.pop("test_rows", None)}
        for name in entry.samples:
            x = inputs.pop(name)
            arrays |= {f"{part}{name}": x[chosen] for part, chosen in rows.items() if chosen is not None}
    else:
        inputs = _load_npz(folder / "edges.npz")
        if "x" in entry.whole:
            inputs |= _load_safetensors(folder / "inputs.safetensors")
    arrays |= {name: value for name, value in inputs.items() if name not in cut.withholds}
    return Data(entry.name, arrays, info)


def load_score(dataset: str | Entry, split: AnySplit, index: int, root: Path) -> Data:
    """All that :func:`load_fit` gives and the hidden test arrays.

    Raises:
        LeakageError: during a fit.
        UserError: the dataset or the split is not prepared.
    """
    guard.refuse("load_score")
    data = load_fit(dataset, split, index, root)
    entry, cut, folder, _ = _open(dataset, split, index, root)
    hidden = _load_npz(folder / "splits" / f"{cut.key(index)}.score.npz")
    rows = hidden.pop("rows", None)
    if entry.samples and rows is not None:
        inputs = _load_npz(folder / "inputs.npz")
        hidden |= {f"test_{name}": inputs[name][rows] for name in entry.samples}
    data.arrays |= hidden
    return data


def _open(dataset: str | Entry, split: AnySplit, index: int, root: Path) -> tuple[Entry, Split, Path, dict[str, Any]]:
    entry = _entry(dataset)
    root = Path(root)
    guard.protect(root)
    for source in entry.sources:
        for path in source.paths.values():
            if source.kind == "bundled":
                guard.protect_bundled(f"{source.where}/{path}")
            if source.kind == "paper" and entry.home is not None:
                guard.protect_file(entry.home / source.where / str(path))
    cut = split_of(entry, split)
    folder, key = entry.prepared_folder(root), cut.key(index)
    if not entry.is_prepared(root, [key]):
        raise UserError(
            f"{folder}: {entry.name} is not prepared for split {key}; "
            f"run `claimbench data fetch {entry.name}` or the workflow"
        )
    return entry, cut, folder, {**_info(folder), "split": cut.parameters, "index": index}


def _info(folder: Path) -> dict[str, Any]:
    info = read_json(folder / "info.json")
    if info is None:
        raise UserError(f"{folder / 'info.json'}: cannot be read; remove its folder to prepare the dataset again")
    return dict(info)


def _read_inputs(folder: Path) -> dict[str, Any]:
    """What splits are cut from, of a dataset that is prepared already: answers, and inputs of one that is whole."""
    arrays = _load_npz(folder / "labels.npz")
    if (folder / "edges.npz").is_file():
        arrays |= _load_npz(folder / "edges.npz")
    return arrays


def _save_safetensors(path: Path, arrays: dict[str, np.ndarray]) -> None:
    from safetensors.numpy import save

    with replacing(path) as temporary:
        temporary.write_bytes(save({name: np.ascontiguousarray(value) for name, value in arrays.items()}))


def _load_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: cannot be read ({error}); remove its folder to prepare the dataset again") from error


def _save_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _load_npz(path: Path) -> dict[str, np.ndarray]:
    import zipfile

    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as parts:
            return {name: parts[name] for name in parts.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot be read ({error}); remove its folder to prepare the dataset again") from error
