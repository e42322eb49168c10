"""A fit that reaches for the test split is stopped, however it tries."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from claimbench import data
from claimbench.data import fetch, guard, loaders, registry
from claimbench.errors import LeakageError

KFOLD = {"protocol": "kfold"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    data.prepare("sbm-120", [(KFOLD, 0)], root)
    data.prepare("digits", [({"protocol": "random"}, 0)], root)
    data.load_fit("sbm-120", KFOLD, 0, root)
    data.load_fit("digits", {"protocol": "random"}, 0, root)
    return root


def score_file(root: Path) -> Path:
    return next((root / "sbm-120").rglob("*.score.npz"))


ATTEMPTS: dict[str, Callable[[Path], object]] = {
    "np.load": lambda root: np.load(score_file(root)),
    "open": lambda root: open(score_file(root), "rb"),
    "read_bytes": lambda root: score_file(root).read_bytes(),
    "os.open": lambda root: os.open(score_file(root), os.O_RDONLY),
    "bytes path": lambda root: open(os.fsencode(score_file(root)), "rb"),
    "relative path": lambda root: open(os.path.relpath(score_file(root)), "rb"),
    "copy": lambda root: shutil.copy(score_file(root), root.parent / "copy"),
    "hard link": lambda root: os.link(score_file(root), root.parent / "link"),
    "symbolic link": lambda root: os.symlink(score_file(root), root.parent / "link"),
    "rename": lambda root: os.rename(score_file(root), root.parent / "moved"),
    "raw file": lambda root: (root / "digits" / "raw" / "digits.csv").read_text(),
    "all edges and labels": lambda root: np.load(next(root.rglob("labels.npz"))),
    "load_score": lambda root: data.load_score("sbm-120", KFOLD, 0, root),
    "prepare": lambda root: data.prepare("sbm-120", [(KFOLD, 0)], root),
    "fetch": lambda root: fetch.fetch(registry.get("digits"), root, None),
    "loader": lambda root: loaders.load(registry.get("digits"), root / "digits" / "raw"),
    "the copy inside scikit-learn": lambda root: __import__("sklearn.datasets").datasets.load_digits(),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_fit_that_looks_is_stopped(root: Path, attempt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sklearn.datasets  # noqa: F401  (importing it under the seal is no attempt)

    monkeypatch.chdir(root.parent)
    found = score_file(root)
    monkeypatch.setattr(f"{__name__}.score_file", lambda _: found)
    monkeypatch.setattr(Path, "rglob", lambda self, pattern: iter([found.parents[1] / pattern]))
    with pytest.raises(LeakageError, match="fit (opened|called)"), guard.sealed():
        ATTEMPTS[attempt](root)


def test_safetensors_cannot_read_what_is_hidden(root: Path) -> None:
    """The library opens files without Python, so the guard cannot see it; it must not understand the file."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    for path in root.rglob("*.npz"):
        with pytest.raises(SafetensorError):
            load_file(path)


def test_a_swallowed_attempt_is_reported_at_the_end(root: Path) -> None:
    path = score_file(root)
    with pytest.raises(LeakageError, match="in the data folder"), guard.sealed():
        try:
            np.load(path)
        except Exception:
            pass


def test_a_thread_of_the_fit_is_stopped_too(root: Path) -> None:
    path, caught = score_file(root), []

    def look() -> None:
        try:
            path.read_bytes()
        except LeakageError as error:
            caught.append(error)

    with pytest.raises(LeakageError), guard.sealed():
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert len(caught) == 1


def test_the_mirror_is_closed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "labels").write_text("1 2 3")
    (tmp_path / "alias").symlink_to(mirror)
    monkeypatch.setenv("CLAIMBENCH_MIRROR", str(tmp_path / "alias"))
    for path in (mirror / "labels", tmp_path / "alias" / "labels"):
        with pytest.raises(LeakageError), guard.sealed():
            path.read_text()


def test_the_seal_ends_and_nests_and_leaves_other_files_alone(root: Path, tmp_path: Path) -> None:
    path = score_file(root)
    with guard.sealed():
        (tmp_path / "note").write_text("fine")
        with guard.sealed():
            pass
        assert (tmp_path / "note").read_text() == "fine"
        assert data.load_fit.__name__ == "load_fit"
    assert path.read_bytes()
    with pytest.raises(LeakageError), guard.sealed(), guard.sealed():
        path.read_bytes()
    assert data.load_score("sbm-120", KFOLD, 0, root).arrays["test_y"].size == 24


def test_an_error_of_the_fit_is_not_replaced(root: Path) -> None:
    with pytest.raises(ZeroDivisionError), guard.sealed():
        raise ZeroDivisionError
    with guard.sealed():
        pass
