"""What of a tier was imported into MLflow and what could not be, noted beside the tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from claimbench import files
from claimbench.plan.plan import Plan
from claimbench.records import conclusions
from claimbench.spec.config import Config


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
    """Whether what the paper is now is in the store that the configuration names."""
    return files.read_json(path_of(plan, paper)) == {"failure": None, **_made_of(plan, paper)}


def _made_of(plan: Plan, paper: str) -> dict[str, Any]:
    tracking = plan.config.tracking
    return {
        "conclusion": conclusions.checksum(conclusions.path_of(plan.tier_dir, paper)),
        "enabled": tracking.enabled,
        "uri": tracking.uri,
        "store": store(plan.config) if tracking.enabled else None,
    }


def store(config: Config) -> str:
    """The configured server or database, else the file of the local store and when it was made."""
    if config.tracking.uri is not None:
        return config.tracking.uri
    path = Path(config.results_dir).resolve() / "mlflow.db"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            (made,) = database.execute("SELECT min(creation_time) FROM experiments").fetchone()
    except sqlite3.Error:
        made = "missing"
    return f"{path} {made}"
