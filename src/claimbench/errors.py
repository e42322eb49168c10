"""The errors a user or a paper's code can meet; each message is one sentence that says what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: raised when what this module gives changes; it stands for the module in the keys of runs
SEMANTICS = 1


class ClaimBenchError(Exception):
    """Base of all errors that end in one sentence rather than a traceback."""


class UserError(ClaimBenchError):
    """Bad input: the message names the file, the key, the wrong value and what is allowed."""


class LeakageError(ClaimBenchError):
    """``fit`` reached for data that only ``score`` may see."""


class DataUnavailable(ClaimBenchError):
    """No source could deliver a dataset; its cells are skipped.

    Args:
        name: registry name of the dataset.
        tried: one sentence per source that was tried, in order.
    """

    def __init__(self, name: str, tried: list[str]) -> None:
        self.name = name
        self.tried = tried
        super().__init__(f"dataset {name} is not available; tried: {'; '.join(tried) or 'no source'}")


class Skipped(ClaimBenchError):
    """A run that needs another one that was skipped, for the same reason."""


class Diverged(ClaimBenchError):
    """A loss or metric stopped being finite."""


class BudgetExceeded(ClaimBenchError):
    """A run used more wall time (status ``timeout``) or memory (status ``oom``) than its budget."""

    def __init__(self, status: str, message: str) -> None:
        self.status = status
        super().__init__(message)


def nearest(word: str, allowed: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the closest allowed word, or the list of what is allowed."""
    options = sorted(set(map(str, allowed)))
    close = difflib.get_close_matches(str(word), options, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return "allowed: " + (", ".join(options) if options else "nothing")
