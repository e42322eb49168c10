"""What of a tier was imported into MLflow and what could not be, noted beside the tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from claimbench import files
from claimbench.plan.plan import Plan
from claimbench.records import conclusions


def path_of(plan: Plan, paper: str) -> Path:
    return conclusions.folder_of(plan.tier_dir, paper) / "tracked.json"


def note(plan: Plan, paper: str, failure: str | None) -> None:
    """The import of a paper was tried; ``failure`` says why it did not succeed."""
    files.write_json(path_of(plan, paper), {"failure": failure, **_made_of(plan, paper)})


def failures(plan: Plan) -> dict[str, str]:
    """Paper -> why it could not be imported."""
    found = ((paper, files.read_json(path_of(plan, paper)) or {}) for paper in plan.papers)
    return {paper: one["failure"] for paper, one in found if one.get("failure")}


def in_order(plan: Plan, paper: str) -> bool:
    """Whether what the paper is now was imported into the store that the configuration names."""
    tracking = plan.config.tracking
    if tracking.enabled and tracking.uri is None and not (Path(plan.config.results_dir) / "mlflow.db").is_file():
        return False
    return files.read_json(path_of(plan, paper)) == {"failure": None, **_made_of(plan, paper)}


def _made_of(plan: Plan, paper: str) -> dict[str, Any]:
    tracking = plan.config.tracking
    return {
        "conclusion": conclusions.checksum(conclusions.path_of(plan.tier_dir, paper)),
        "uri": tracking.uri,
        "enabled": tracking.enabled,
    }
