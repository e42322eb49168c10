"""Freed memory stays with the process: glibc hands large blocks back to the system at once, and training that asks for
them again in every step then spends up to half of its time on fresh pages."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_MOST = 2**31 - 1


@lru_cache
def _glibc() -> Any | None:
    """The C library, where it is glibc."""
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


def keep_freed() -> None:
    """Let this process keep what it frees; with another C library nothing changes."""
    library = _glibc()
    if library is not None:
        library.mallopt(_MMAP_THRESHOLD, 2**30)
        library.mallopt(_TOP_PAD, 2**26)
        library.mallopt(_TRIM_THRESHOLD, _MOST)


def release() -> None:
    """Give the system what is free now, so that the next run's peak is its own."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)
