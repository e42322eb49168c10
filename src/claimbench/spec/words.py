"""The words that have a fixed set."""

from __future__ import annotations

TIERS = ("smoke", "laptop", "paper")
STATUSES = ("done", "timeout", "oom", "diverged", "failed", "skipped")
FAILURES = ("timeout", "oom", "diverged", "failed")
VERDICTS = ("reproduced", "exceeded", "contradicted", "inconclusive", "not run", "not testable")
EVIDENCE = ("full", "scaled", "proxy")
SPREADS = ("", "sd", "se", "ci95", "range")
CHECKED = ("read", "derived", "figure", "memory")
PRECISIONS = ("float32", "tf32", "bfloat16")
BUNDLES = ("run", "cell", "experiment", "paper")
