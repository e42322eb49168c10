"""The words that have a fixed set."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


TIERS = ("smoke", "laptop", "paper")
STATUSES = ("done", "timeout", "oom", "diverged", "failed", "skipped")
FAILURES = ("timeout", "oom", "diverged", "failed")
VERDICTS = ("reproduced", "exceeded", "contradicted", "inconclusive", "not run", "not testable")
EVIDENCE = ("full", "scaled", "proxy")
CHECKED = ("read", "derived", "figure", "memory")
PRECISIONS = ("float32", "tf32", "bfloat16")
BUNDLES = ("run", "cell", "experiment", "paper")
