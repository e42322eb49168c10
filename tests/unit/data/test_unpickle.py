"""Pickles: what Planetoid needs opens, everything else is refused before it runs."""

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
        with pytest.raises(UserError, match="refused as a pickle"):
            unpickle.load(tmp_path / "evil")
    assert not trace.exists()


def test_neighbour_lists_open(tmp_path: Path) -> None:
    graph = collections.defaultdict(list, {0: [1, 2], 1: [0]})
    (tmp_path / "graph").write_bytes(pickle.dumps(graph, 2))
    assert unpickle.load(tmp_path / "graph") == {0: [1, 2], 1: [0]}


@pytest.mark.parametrize("content", [b"", b"garbage", pickle.dumps([1, 2], 2), pickle.dumps("text", 2)])
def test_damaged_or_other_content_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UserError, match="refused as a pickle"):
        unpickle.load(tmp_path / "file")


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
