"""One line for each finished run: how far the tier is, what failed, how long it may still take."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from claimbench import files
from claimbench.plan.cells import PlannedRun
from claimbench.spec.words import FAILURES


class Progress:
    """Shared by all jobs of a tier through an append-only file, ``progress.log``: run key, status, wall seconds.

    Quiet where nobody looks on (``CI`` is set): there only failures and every tenth part of the whole are printed.
    """

    def __init__(self, tier_dir: Path) -> None:
        self.path = tier_dir / "progress.log"
        plan = files.read_json(tier_dir / "plan.json") or {}
        self.total = int(plan.get("n_runs", 0))
        self.forecast = plan.get("forecast_s")
        self.quiet = bool(os.environ.get("CI"))

    def finished(self, run: PlannedRun, status: str, reason: str, wall_s: float) -> None:
        """Add a line to the file and, when it is worth it, to standard error."""
        before = self._read()
        line = f"{run.fit_key} {status} {wall_s:.3f}\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(line)
        except OSError:
            return  # the log is a comfort; the record is already safe
        done = {**before, run.fit_key: (status, wall_s)}
        total = max(self.total, len(done))
        failed = sum(status in FAILURES for status, _ in done.values())
        tenth = len(done) * 10 // max(total, 1) != len(before) * 10 // max(total, 1)
        if self.quiet and status not in FAILURES and not tenth:
            return
        text = f"{len(done)}/{total} runs"
        if failed:
            text += f", {failed} failed"
        spent = sum(wall for _, wall in done.values())
        if self.forecast and self.forecast > spent and len(done) < total:
            text += f", about {_duration(self.forecast - spent)} of computing left"
        cell = run.cell
        what = " ".join(filter(None, (cell.paper, cell.experiment, cell.method, cell.dataset, cell.setting_string)))
        note = f" {status.upper()}: {reason}" if status != "done" else ""
        print(f"[{text}] {what} seed {run.seed} ({wall_s:.1f} s){note}", file=sys.stderr, flush=True)

    def _read(self) -> dict[str, tuple[str, float]]:
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except OSError:
            return {}
        parts = [line.split() for line in lines]
        return {part[0]: (part[1], float(part[2])) for part in parts if len(part) == 3}


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
