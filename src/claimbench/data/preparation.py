"""Prepared datasets: arrays on disk, split into what fit may see and what only score may see.

``<root>/<name>/prepared/<digest>/`` holds ``inputs.safetensors`` (features of a graph's nodes) or ``inputs.npz``
(images), ``edges.npz``, ``labels.npz``, ``info.json`` and, for each split, ``splits/<key>.fit.safetensors`` and
``splits/<key>.score.npz``. Everything that would show the test split is in ``.npz`` files, which are opened by Python
alone and therefore refused during a fit.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from claimbench.data import fetch, folders, guard, loaders
from claimbench.data.entries import Entry
from claimbench.data.registry import check, get, given_mirror, split_of
from claimbench.data.splits import Parts, Split
from claimbench.errors import UserError
from claimbench.files import read_json, replacing, write_json

_INPUTS = ("x", "categorical")
"""Arrays of independent samples that fit may see; ``x`` is cut by rows."""
DENSE_FROM = 0.2
"""Features with a smaller share of non-zeros are kept as CSR parts."""


@dataclass
class Data:
    """What a run is given of its dataset.

    ``arrays`` by kind and protocol (N nodes or samples, E directed edges, F features):

    - graph, every protocol: ``x`` (N, F) float32, or its CSR parts ``x_data`` float32, ``x_indices`` int32,
      ``x_indptr`` int64, ``x_shape`` (2,) int64.
    - graph, ``kfold``, ``random``, ``public``: ``edge_index`` (2, E) int64, both directions, sorted; ``y`` (N,) int64,
      -1 outside of training and validation; ``train_idx``, ``val_idx``, ``test_idx`` int64. Score also gets ``test_y``,
      the labels of ``test_idx``.
    - graph, ``unsupervised``: ``edge_index`` alone; score gets ``labels`` (N, C) uint8, one or several a node.
    - graph, ``labelled-nodes`` and ``links``: see :mod:`claimbench.data.splits.graphs`.
    - images, text, tables: ``x`` (n, H, W) uint8 or what the loader gives, and ``y`` (n,) int64 of training and validation
      samples only, ``train_idx`` and ``val_idx`` into them. Score also gets ``test_x``, ``test_y``; with
      ``queries: visible`` fit has ``test_x`` too. Tables with categories also have ``categorical``, the indices of those
      columns.
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


def folder_of(entry: Entry, root: Path) -> Path:
    return root / entry.name / "prepared" / entry.digest


def prepare(name: str, wanted: list[tuple[dict[str, Any], int]], root: Path, mirror: Path | None = None) -> Prepared:
    """Fetch a dataset if need be and write its arrays and splits; what is there already is kept.

    Args:
        name: dataset of the registry.
        wanted: (split parameters, index) pairs; see :mod:`claimbench.data.splits`.
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
    entry = get(name)
    folder = folder_of(entry, root)
    keys = {}
    for params, index in wanted:
        split = split_of(params)
        check(entry, split)
        keys[split.key(index)] = (split, index)
    if not _done(folder, keys):
        with fetch.locked(root / name / ".prepare.lock"):
            try:
                _write(entry, keys, root, mirror)
            except OSError as error:
                raise UserError(f"{error.filename or folder}: cannot be written ({error.strerror or error})") from error
    return Prepared(name, folder, tuple(keys), _info(folder))


def _done(folder: Path, keys: dict[str, Any]) -> bool:
    return (folder / "info.json").is_file() and all(
        (folder / "splits" / f"{key}.fit.safetensors").is_file() for key in keys
    )


def _write(entry: Entry, keys: dict[str, tuple[Split, int]], root: Path, mirror: Path | None) -> None:
    folder = folder_of(entry, root)
    if _done(folder, keys):  # another process was faster
        return
    arrays = None
    if not (folder / "info.json").is_file():
        place = fetch.raw_folder(entry, root)
        if entry.kind == "folder":
            place = folders.find(entry, mirror)
            origin = {"source": f"mirror {entry.options['folder']}", "sha256": {}, "folder": str(place)}
        else:
            origin = fetch.fetch(entry, root, mirror) if entry.files else {"source": "generated", "sha256": {}}
        try:
            arrays = loaders.load(entry, place)
        except UserError:
            fetch.forget_unchecked(entry, root)
            raise
        _write_inputs(entry, arrays, folder, origin)
    if arrays is None:
        arrays = _read_inputs(folder)
    for key, (split, index) in keys.items():
        if not (folder / "splits" / f"{key}.fit.safetensors").is_file():
            fit, score = _cut(entry, arrays, split, index)
            _save_npz(folder / "splits" / f"{key}.score.npz", score)
            _save_safetensors(folder / "splits" / f"{key}.fit.safetensors", fit)  # last: it marks the split as complete


def _write_inputs(entry: Entry, arrays: dict[str, Any], folder: Path, origin: dict[str, Any]) -> None:
    """All files but the splits, in one rename."""
    for left in folder.parent.glob(".*.tmp"):  # of a process that was killed; this one holds the lock
        shutil.rmtree(left, ignore_errors=True)
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    fresh.mkdir(parents=True)
    try:
        x = arrays["x"]
        if entry.kind != "graph":
            _save_npz(fresh / "inputs.npz", {name: arrays[name] for name in _INPUTS if name in arrays})
        else:
            _save_safetensors(fresh / "inputs.safetensors", _features(x))
            _save_npz(fresh / "edges.npz", {"edge_index": arrays["edge_index"]})
        rest = {name: value for name, value in arrays.items() if name not in (*_INPUTS, "edge_index")}
        _save_npz(fresh / "labels.npz", rest)
        found = loaders.counts(arrays)
        if entry.kind == "graph":
            del found["n_samples"]
        info = {"name": entry.name, "title": entry.title, "kind": entry.kind, **found, **origin}
        write_json(fresh / "info.json", info)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _features(x: Any) -> dict[str, np.ndarray]:
    """Dense float32, or CSR parts when few entries are set."""
    if isinstance(x, np.ndarray):
        if np.count_nonzero(x) >= DENSE_FROM * x.size:
            return {"x": x.astype(np.float32)}
        import scipy.sparse

        x = scipy.sparse.csr_matrix(x)
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


def load_fit(name: str, split: dict[str, Any], index: int, root: Path) -> Data:
    """What fit may see of run ``index``.

    Raises:
        UserError: the dataset or the split is not prepared.
    """
    folder, key, info = _open(name, split, index, root)
    arrays = _load_safetensors(folder / "splits" / f"{key}.fit.safetensors")
    if info["kind"] == "folder":
        guard.permit(Path(info["folder"]) / "train")
    if info["kind"] != "graph":
        inputs = _load_npz(folder / "inputs.npz")
        x = inputs.pop("x")
        if "test_rows" in arrays:
            arrays["test_x"] = x[arrays.pop("test_rows")]
        arrays |= {"x": x[arrays.pop("rows")], **inputs}
    else:
        arrays |= _load_safetensors(folder / "inputs.safetensors")
        if "edge_index" not in split_of(split).withholds:
            arrays |= _load_npz(folder / "edges.npz")
    return Data(name, arrays, info)


def load_score(name: str, split: dict[str, Any], index: int, root: Path) -> Data:
    """All that :func:`load_fit` gives and the hidden test arrays.

    Raises:
        LeakageError: during a fit.
        UserError: the dataset or the split is not prepared.
    """
    guard.refuse("load_score")
    data = load_fit(name, split, index, root)
    folder, key, _ = _open(name, split, index, root)
    hidden = _load_npz(folder / "splits" / f"{key}.score.npz")
    if data.info["kind"] != "graph":
        hidden["test_x"] = _load_npz(folder / "inputs.npz")["x"][hidden.pop("rows")]
    data.arrays |= hidden
    return data


def _open(name: str, split: dict[str, Any], index: int, root: Path) -> tuple[Path, str, dict[str, Any]]:
    entry = get(name)
    root = Path(root)
    guard.protect(root)
    for source in entry.sources:
        if source.kind == "bundled":
            for path in source.paths.values():
                guard.protect_bundled(f"{source.where}/{path}")
    cut = split_of(split)
    folder, key = folder_of(entry, root), cut.key(index)
    if not _done(folder, {key: None}):
        raise UserError(
            f"{folder}: {name} is not prepared for split {key}; run `claimbench data fetch {name}` or the workflow"
        )
    return folder, key, {**_info(folder), "split": cut.parameters, "index": index}


def _info(folder: Path) -> dict[str, Any]:
    info = read_json(folder / "info.json")
    if info is None:
        raise UserError(f"{folder / 'info.json'}: cannot be read; remove its folder to prepare the dataset again")
    return dict(info)


def _read_inputs(folder: Path) -> dict[str, Any]:
    """What splits are cut from (labels, official indices, edges), of a dataset that is prepared already."""
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
