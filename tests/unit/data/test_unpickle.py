"""Pickles: what Planetoid and TabPFN's tables need opens, everything else is refused before it runs."""

from __future__ import annotations

import collections
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from claimbench.data import unpickle
from claimbench.errors import UserError


class Call:
    """A pickle that calls ``function`` when it is opened."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.function, self.args


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: {"graph": [value]}, lambda value: (1, value)])
def test_a_malicious_pickle_does_not_run(tmp_path: Path, protocol: int, wrap: Any) -> None:
    trace = tmp_path / "trace"
    for value in (
        Call(os.system, f"touch {trace}"),
        Call(exec, f"open({str(trace)!r}, 'w')"),
        Call(Path.touch, trace),
        Call(getattr, "text", "upper"),
    ):
        (tmp_path / "evil").write_bytes(pickle.dumps(wrap(value), protocol))
        for load in (unpickle.load, unpickle.load_tables):
            with pytest.raises(UserError, match="refused as a pickle"):
                load(tmp_path / "evil")
    assert not trace.exists()


def test_neighbour_lists_open(tmp_path: Path) -> None:
    graph = collections.defaultdict(list, {0: [1, 2], 1: [0]})
    (tmp_path / "graph").write_bytes(pickle.dumps(graph, 2))
    assert unpickle.load(tmp_path / "graph") == {0: [1, 2], 1: [0]}


@pytest.mark.parametrize("content", [b"", b"garbage", pickle.dumps([1, 2], 2), pickle.dumps("text", 2)])
def test_damaged_or_other_content_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    for load in (unpickle.load, unpickle.load_tables):
        with pytest.raises(UserError, match="refused as a pickle"):
            load(tmp_path / "file")


def test_a_matrix_with_indices_outside_is_refused(tmp_path: Path) -> None:
    """The parts of a pickled matrix are set without any check: an index outside would read foreign memory later."""
    import scipy.sparse

    matrix = scipy.sparse.csr_matrix(np.eye(3, dtype=np.float32))
    content = pickle.dumps(matrix, 3).replace(b"scipy.sparse._csr", b"scipy.sparse.csr")
    content = content.replace(b"numpy._core", b"numpy.core")
    (tmp_path / "good").write_bytes(content)
    assert (unpickle.load(tmp_path / "good").toarray() == np.eye(3)).all()
    matrix.indices[1] = 77
    content = pickle.dumps(matrix, 3).replace(b"scipy.sparse._csr", b"scipy.sparse.csr")
    (tmp_path / "bad").write_bytes(content.replace(b"numpy._core", b"numpy.core"))
    with pytest.raises(UserError, match="refused as a pickle"):
        unpickle.load(tmp_path / "bad")


def tables() -> bytes:
    """Two tables in the layout of TabPFN's file, written by torch itself."""
    import torch

    x = torch.arange(12, dtype=torch.float32).reshape(4, 3)
    x[1, 2] = torch.nan
    y = torch.tensor([0.0, 1.0, 1.0, 0.0])
    rows = [["a", x, y, [np.int64(2), 0], ["f", "g", "h"], {}], ["b", x[2:].double(), y[2:].long(), [], [], {}]]
    return pickle.dumps(rows, 3).replace(b"numpy._core", b"numpy.core")


def test_tables_written_by_torch_open(tmp_path: Path) -> None:
    (tmp_path / "tables").write_bytes(tables())
    found = unpickle.load_tables(tmp_path / "tables")
    x, y, categorical = found["a"]
    expected = np.arange(12, dtype=np.float32).reshape(4, 3)
    expected[1, 2] = np.nan
    np.testing.assert_array_equal(x, expected)
    assert (x.dtype, y.dtype) == (np.float32, np.int64)
    assert y.tolist() == [0, 1, 1, 0]
    assert categorical == [2, 0]
    assert found["b"][0].tolist() == [[6, 7, 8], [9, 10, 11]]
    assert found["b"][1].tolist() == [1, 0]


def test_tables_are_what_torch_reads(mirror: Path) -> None:
    import torch  # noqa: F401  (its own classes are needed by the bare pickle)

    path = mirror / "tabpfn_cc18" / "cc_test_datasets_multiclass.pickle"
    theirs = pickle.loads(path.read_bytes())
    ours = unpickle.load_tables(path)
    assert list(ours) == [row[0] for row in theirs]
    for name, x, y, categorical, *_ in theirs:
        np.testing.assert_array_equal(ours[name][0], x.numpy())
        np.testing.assert_array_equal(ours[name][1], y.numpy())
        assert ours[name][2] == list(categorical)


class Inner:
    """Content of a tensor's storage, as ``torch.storage._load_from_bytes`` would be given it."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __reduce__(self) -> tuple[Any, tuple[bytes]]:
        import torch.storage

        return torch.storage._load_from_bytes, (self.content,)


def test_a_malicious_storage_does_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for content in (pickle.dumps(Call(os.system, f"touch {trace}"), 2), b"", tables()):
        (tmp_path / "evil").write_bytes(pickle.dumps([Inner(content)], 3))
        with pytest.raises(UserError, match="refused as a pickle"):
            unpickle.load_tables(tmp_path / "evil")
    assert not trace.exists()


class Outside:
    """A tensor whose description does not fit its storage; bare torch would be left to notice."""

    def __init__(self, *place: Any) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        import torch

        storage = torch.arange(6.0)._typed_storage()
        return torch._utils._rebuild_tensor_v2, (storage, *self.place, False, collections.OrderedDict())


@pytest.mark.parametrize(
    "place",
    [(0, (4, 2), (2, 1)), (-1, (2, 2), (2, 1)), (3, (2, 2), (2, 1)), (0, (2, 2), (100, 1)), (0, (-2, -2), (-2, 1))],
)
def test_a_tensor_outside_of_its_storage_is_refused(tmp_path: Path, place: tuple[Any, ...]) -> None:
    rows = [["a", Outside(*place), Outside(0, (2,), (1,)), []]]
    (tmp_path / "bad").write_bytes(pickle.dumps(rows, 3))
    with pytest.raises(UserError, match="refused as a pickle"):
        unpickle.load_tables(tmp_path / "bad")
    good = [["a", Outside(0, (2, 2), (2, 1)), Outside(0, (2,), (1,)), []]]
    (tmp_path / "good").write_bytes(pickle.dumps(good, 3))
    assert unpickle.load_tables(tmp_path / "good")["a"][0].tolist() == [[0, 1], [2, 3]]


class Number:
    """A numpy number of ``dtype``; the fields of a record may lie outside of its bytes."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return np._core.multiarray.scalar, (self.dtype, bytes(self.dtype.itemsize))


def test_only_numbers_are_numbers(tmp_path: Path) -> None:
    tensors = [Outside(0, (2, 2), (2, 1)), Outside(0, (2,), (1,))]
    for dtype, fine in (("<i8", True), ([("a", "<i8")], False), ("<U2", False), ("V8", False)):
        content = pickle.dumps([["a", *tensors, [Number(dtype)]]], 3).replace(b"numpy._core", b"numpy.core")
        (tmp_path / "file").write_bytes(content)
        if fine:
            assert unpickle.load_tables(tmp_path / "file")["a"][2] == [0]
        else:
            with pytest.raises(UserError, match="a number is none"):
                unpickle.load_tables(tmp_path / "file")
