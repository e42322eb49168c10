"""What jobs leave for those who look on: a line for each run that ended, in a file of the tier."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from claimbench.plan.cells import PlannedRun

FILE = "progress.log"


class Progress:
    """Shared by all jobs of a tier through an append-only file of JSON lines.

    The process that the user started reads it and says what is worth saying; a job's own lines end in its log.
    """

    def __init__(self, tier_dir: Path) -> None:
        self.path = tier_dir / FILE

    def finished(self, run: PlannedRun, status: str, reason: str, wall_s: float) -> None:
        """A run ended."""
        cell = run.cell
        what = " ".join(filter(None, (cell.paper, cell.experiment, cell.method, cell.dataset, cell.setting_string)))
        self._add(
            {
                "run": run.fit_key,
                "paper": cell.paper,
                "experiment": cell.experiment,
                "dataset": cell.dataset,
                "what": what,
                "status": status,
                "reason": reason,
                "wall_s": round(wall_s, 3),
            },
            f"{what} seed {run.seed} ({wall_s:.1f} s)" + (f" {status.upper()}: {reason}" if status != "done" else ""),
        )

    def note(self, text: str) -> None:
        """A sentence for the user."""
        self._add({"note": text}, text)

    def _add(self, line: dict[str, Any], text: str) -> None:
        print(text, file=sys.stderr, flush=True)
        # the file is a comfort; the record is already safe
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
