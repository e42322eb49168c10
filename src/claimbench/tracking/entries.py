"""What is written to MLflow, whichever way it gets there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Entry:
    """One MLflow run. Times are in milliseconds since 1970; every metric bears ``start_ms``.

    Args:
        name: how MLflow calls it.
        status: ``FINISHED`` or ``FAILED``.
        metrics: (name, value, step).
        dataset: name, digest and source.
        files: folder among the run's artifacts ("" for the topmost) -> files.
        old: MLflow's id of the run whose place it takes.
    """

    name: str
    status: str
    start_ms: int
    end_ms: int
    tags: dict[str, str]
    metrics: list[tuple[str, float, int]]
    params: dict[str, str] = field(default_factory=dict)
    dataset: tuple[str, str, str] | None = None
    files: dict[str, list[Path]] = field(default_factory=dict)
    old: str | None = None


#: run key -> (MLflow's run id, content digest); the digest is empty where an import was cut off
Known = dict[str, tuple[str, str]]


class Writer(Protocol):
    """A way into an MLflow store."""

    def experiment(self, name: str, tags: dict[str, str], folder: Path | None) -> str:
        """MLflow's id of an experiment, which is made where it is not there, with its artifacts in ``folder``."""

    def known(self, experiment: str) -> Known:
        """The runs that are there; of two with one key, one is deleted."""

    def write(self, experiment: str, entries: list[Entry]) -> None:
        """Write runs so that one whose import is cut off at any moment is absent or known as unfinished."""


def once(found: Iterable[tuple[str, str, str, str]]) -> tuple[Known, list[str]]:
    """Of rows (run key, run id, status, content): one run a key, finished if there is such, and the others' ids."""
    known: Known = {}
    twice: list[str] = []
    for key, run_id, status, content in found:
        # a live run, and one that an earlier import did not finish, is imported again
        one = (run_id, content if status in ("FINISHED", "FAILED") else "")
        if key in known:
            one, other = (one, known[key]) if one[1] else (known[key], one)
            twice.append(other[0])
        known[key] = one
    return known, twice
