"""Which faults of a tracking store pass by themselves, and which stay until somebody mends something."""

from __future__ import annotations

import errno

#: in a database's words
_STAY = (
    "authentication failed",
    "does not exist",
    "no password supplied",
    "no such",
    "not a database",
    "malformed",
    "out-of-date database schema",
    "permission denied",
    "readonly database",
    "unable to open database",
)
_NUMBERS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def passes(error: BaseException) -> bool:
    """Whether the same may go well later, with nothing changed: a server that is down or busy, a full disk."""
    text = str(error).lower()
    if any(word in text for word in _STAY):
        return False
    status = getattr(error, "get_http_status_code", None)  # MLflow's own
    if status is not None:
        return _later(status())
    if isinstance(getattr(error, "code", None), int):  # urllib's
        return _later(error.code)  # type: ignore[attr-defined]
    if isinstance(error, ConnectionError | TimeoutError | MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno in _NUMBERS
    return type(error).__name__ in ("OperationalError", "InterfaceError", "TimeoutError", "DisconnectionError")


def broken(error: BaseException) -> bool:
    """Whether the file of a database is damaged."""
    text = str(error).lower()
    return "malformed" in text or "not a database" in text


def _later(status: int) -> bool:
    return status >= 500 or status in (408, 425, 429)
