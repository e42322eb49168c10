"""Atomic file writes, JSON and its digests."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from claimbench.errors import UserError

#: raised when what this module gives changes; it stands for the module in the keys of runs
SEMANTICS = 1


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; NaN and infinity are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def digest(value: Any) -> str:
    """sha256 (hex) of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that it is either absent, old or complete, also after a power cut."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` that takes its place when the block ends well, else it is removed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
        raise


@contextlib.contextmanager
def locked(path: Path, advice: str = "") -> Iterator[bool]:
    """One process at a time; the system frees the lock when its holder dies.

    Args:
        path: a file that exists for the lock alone.
        advice: what to do where it cannot be written.

    Yields:
        Whether the lock is held. Some file systems have none; this is said once, and done without.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a", encoding="utf-8")  # noqa: SIM115  (closed below)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}){advice}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            held = True
        except OSError as error:
            without_locks(path.parent, error)
            held = False
        yield held


@functools.cache
def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


def without_locks(folder: Path, error: OSError) -> None:
    """Say once that a folder's file system has no locks."""
    _say(f"{folder}: this file system has no locks ({error.strerror}); going on without, one process at a time is safe")


def write_json(path: Path, value: Any) -> None:
    """Atomic, sorted keys; floats that are not finite become null."""
    write_bytes(path, (json.dumps(plain(value), sort_keys=True, indent=1, allow_nan=False) + "\n").encode())


def write_json_if_changed(path: Path, value: Any) -> None:
    """As :func:`write_json`, but an equal file keeps its time stamp."""
    if read_json(path) != json.loads(json.dumps(plain(value))):
        write_json(path, value)


def read_json(path: Path) -> Any | None:
    """The content, or None when the file is missing or damaged."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it: numpy scalars as numbers, floats that are not finite as null.

    Raises:
        TypeError: something that JSON has no word for.
    """
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    if hasattr(value, "item"):
        return plain(value.item())
    raise TypeError(f"{type(value).__name__} cannot be stored as JSON")
