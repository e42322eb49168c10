"""Atomic files and the content-addressed store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from claimbench.errors import UserError
from claimbench.files import read_json, write_bytes, write_json, write_json_if_changed
from claimbench.records.store import Store, encode


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError, match="object"):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_writing_below_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_bytes(tmp_path / "file" / "x", b"")


def test_equal_json_keeps_its_time_stamp(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json_if_changed(path, {"a": [1, 2.5]})
    before = path.stat().st_mtime_ns
    write_json_if_changed(path, {"a": [1, 2.5]})
    assert path.stat().st_mtime_ns == before
    write_json_if_changed(path, {"a": [1]})
    assert read_json(path) == {"a": [1]}


def test_artifacts_come_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artifact = {
        "w": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "i": np.array([1, 2]),
        "n": np.int64(3),
        "s": "x",
        "d": {"a": [1, None]},
    }
    store.write_fit("p", "k" * 64, {"status": "done"}, encode(artifact))
    loaded = store.artifact("p", "k" * 64)
    np.testing.assert_array_equal(loaded["w"], artifact["w"])
    np.testing.assert_array_equal(loaded["i"], artifact["i"])
    assert (loaded["n"], loaded["s"], loaded["d"]) == (3, "x", {"a": [1, None]})


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_artifact_is_noticed_and_fitted_again(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    store.write_fit("p", "k" * 64, {"status": "done"}, encode({"w": np.ones(100)}))
    path = store.folder("p", "k" * 64) / "artifact.safetensors"
    content = path.read_bytes()
    if damage == "flip":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(UserError, match="damaged"):
            store.artifact("p", "k" * 64)
    elif damage == "cut":
        path.write_bytes(content[:-10])
    else:
        path.unlink()
    assert store.fit_record("p", "k" * 64) is None


def test_torch_tensors_are_stored(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    store = Store(tmp_path)
    store.write_fit(
        "p",
        "k" * 64,
        {"status": "done"},
        encode({"w": torch.ones(2, 3, requires_grad=True), "b": torch.ones(2, dtype=torch.bfloat16)}),
    )
    loaded = store.artifact("p", "k" * 64)
    assert loaded["w"].shape == (2, 3)
    assert loaded["b"].dtype == np.float32
