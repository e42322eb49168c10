"""A fit that reaches for the test split is stopped, however it tries."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets

from claimbench import data
from claimbench.data import fetch, guard, preparation, registry
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


# ruff: noqa: SIM115, PT012  (files that must not open; the seal is what raises)
ATTEMPTS: dict[str, Callable[[Path, Path], object]] = {
    "np.load": lambda root, score: np.load(score),
    "open": lambda root, score: open(score, "rb"),
    "read_bytes": lambda root, score: score.read_bytes(),
    "os.open": lambda root, score: os.open(score, os.O_RDONLY),
    "bytes path": lambda root, score: open(os.fsencode(score), "rb"),
    "relative path": lambda root, score: open(os.path.relpath(score), "rb"),
    "search": lambda root, score: list((root / "sbm-120").iterdir()),
    "copy": lambda root, score: shutil.copy(score, root.parent / "copy"),
    "hard link": lambda root, score: os.link(score, root.parent / "link"),
    "symbolic link": lambda root, score: os.symlink(score, root.parent / "link"),
    "rename": lambda root, score: os.rename(score, root.parent / "moved"),
    "raw file": lambda root, score: (root / "digits" / "raw" / "digits.csv").read_text(),
    "all labels": lambda root, score: np.load(score.parents[1] / "labels.npz"),
    "load_score": lambda root, score: data.load_score("sbm-120", KFOLD, 0, root),
    "prepare": lambda root, score: data.prepare("sbm-120", [(KFOLD, 0)], root),
    "fetch": lambda root, score: fetch.fetch(registry.get("digits"), root, None),
    "loader": lambda root, score: preparation.load(registry.get("digits"), root / "digits" / "raw"),
    "the copy inside scikit-learn": lambda root, score: sklearn.datasets.load_digits(),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_fit_that_looks_is_stopped(root: Path, attempt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    score = score_file(root)
    with pytest.raises(LeakageError, match=r"fit (opened|called)"), guard.sealed():
        ATTEMPTS[attempt](root, score)


def test_safetensors_cannot_read_what_is_hidden(root: Path) -> None:
    """The library opens files without Python, so the guard cannot see it; it must not understand the file."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    for path in root.rglob("*.npz"):
        with pytest.raises(SafetensorError):
            load_file(path)


def test_a_swallowed_attempt_is_reported_at_the_end(root: Path) -> None:
    path = score_file(root)
    with pytest.raises(LeakageError, match="in the data folder"), guard.sealed(), contextlib.suppress(Exception):
        np.load(path)


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
