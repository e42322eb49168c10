"""CPU time of a tier's processes: what a paper costs with imports, scores and tables, beside its runs."""

from __future__ import annotations

import contextlib
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from claimbench import files

#: CPU-seconds that a paper may take at the laptop tier
BUDGET_CPU_S = 180.0
_FILE = "processes.jsonl"


def note(tier_dir: Path, step: str, paper: str) -> None:
    """Add a line for this process, which did ``step`` (of ``paper``, or of all of them: ""), and now ends."""
    used = os.times()
    line = {"step": step, "paper": paper, "cpu_s": round(sum(used[:4]), 3), "ended": _now()}
    with contextlib.suppress(OSError), open(tier_dir / _FILE, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read(tier_dir: Path, since: float = 0.0) -> list[dict[str, Any]]:
    """The lines of processes that ended after ``since`` (seconds of the epoch); damaged ones are left out."""
    found = []
    with contextlib.suppress(OSError):
        for line in (tier_dir / _FILE).read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                row = json.loads(line)
                if row["ended"] >= since:
                    found.append(row)
    return found


def last_run(tier_dir: Path) -> dict[str, Any]:
    """The tier's last run: its start, its length, CPU-seconds of Snakemake itself; empty without one."""
    return files.read_json(tier_dir / "timing.json") or {}


def by_paper(tier_dir: Path) -> dict[str, dict[str, float]]:
    """Paper ("" for what serves all) -> step -> CPU-seconds of the tier's last run."""
    since = float(last_run(tier_dir).get("started", 0.0))
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in read(tier_dir, since):
        sums[row["paper"]][row["step"]] += row["cpu_s"]
    return {paper: dict(steps) for paper, steps in sums.items()}


def _now() -> float:
    import time

    return time.time()
