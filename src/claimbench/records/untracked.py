"""What of a tier could not be imported into MLflow, noted beside the tables."""

from __future__ import annotations

from pathlib import Path

from claimbench import files
from claimbench.plan.plan import Plan


def _place(plan: Plan, paper: str) -> Path:
    return plan.tier_dir / "papers" / paper / "tracked.json"


def note(plan: Plan, paper: str, failure: str | None) -> None:
    """The import of a paper was tried; ``failure`` says why it did not succeed."""
    files.write_json(_place(plan, paper), {"failure": failure})


def failures(plan: Plan) -> dict[str, str]:
    """Paper -> why it could not be imported."""
    found = ((paper, files.read_json(_place(plan, paper)) or {}) for paper in plan.papers)
    return {paper: one["failure"] for paper, one in found if one.get("failure")}


def forget_failures(plan: Plan) -> None:
    """Have what could not be imported tried again."""
    for paper in failures(plan):
        _place(plan, paper).unlink(missing_ok=True)
