"""What keeps ``fit`` from the test split: while it runs, nothing under the data folder can be opened.

``load_fit`` is called before the seal, so a fit needs no file of the data folder. Under the seal every ``open`` there
(also the raw files, the mirror and data sets inside installed packages) raises LeakageError, and so do ``load_score``,
``prepare`` and the loaders. What only score may see is kept in ``.npz`` files, which no native reader that bypasses
Python's ``open`` (safetensors) understands. It guards against mistakes and shortcuts; it is no sandbox against hostile
code.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from claimbench.errors import LeakageError

_lock = threading.Lock()
_folders: set[str] = set()
_bundled: set[str] = set()
_files: set[str] = set()
_permitted: set[str] = set()
_depth = 0
_hooked = False
_caught: list[str] = []
_PATH_EVENTS = frozenset({"open", "os.link", "os.symlink", "os.rename", "shutil.copyfile", "os.listdir", "os.scandir"})


def protect(folder: Path | None) -> None:
    """From now on ``folder`` is closed while a fit runs."""
    if folder is not None:
        _folders.add(os.path.realpath(folder) + os.sep)


def protect_bundled(path: str) -> None:
    """Close one file inside an installed package, named by the end of its path."""
    _bundled.add(os.sep + path)


def protect_file(path: Path) -> None:
    """Close one file outside of the closed folders, such as a table in a paper's own folder."""
    _files.add(os.path.realpath(path))


def permit(folder: Path) -> None:
    """Leave one folder inside a closed one open: the training files of a dataset that stays where it is."""
    _permitted.add(os.path.realpath(folder) + os.sep)


def refuse(what: str) -> None:
    """Raise LeakageError when a fit is running.

    Args:
        what: the call that would show the test split, as it reads in the message.
    """
    if _depth:
        _raise(f"fit called {what}, which only score may do")


@contextlib.contextmanager
def sealed() -> Iterator[None]:
    """Close the data folders for the time of a fit (of the whole process, also its threads).

    Raises:
        LeakageError: from the forbidden call itself, and again at the end when the fit swallowed it.
    """
    global _depth, _hooked
    if mirror := os.environ.get("CLAIMBENCH_MIRROR"):
        protect(Path(mirror))
    with _lock:
        if not _hooked:
            sys.addaudithook(_hook)  # cannot be removed, so it is installed once and idle outside of fits
            _hooked = True
        if _depth == 0:
            _caught.clear()
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
    if _caught:
        raise LeakageError(_caught[0])


def _raise(message: str) -> None:
    _caught.append(message)
    raise LeakageError(message)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not _depth or event not in _PATH_EVENTS:
        return
    for value in args[:2]:
        if isinstance(value, bytes):
            value = os.fsdecode(value)
        if not isinstance(value, str | os.PathLike):
            continue
        path = os.path.realpath(value)
        if any(path.startswith(folder) for folder in _permitted):
            continue
        closed = any((path + os.sep).startswith(folder) for folder in _folders)
        if closed or path in _files or path.endswith(tuple(_bundled)):
            _raise(f"fit opened {value}, which is in the data folder or a part of it; a fit works on what it is given")
