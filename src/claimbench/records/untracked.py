"""What of a tier could not be imported into MLflow, noted beside the tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from claimbench import files
from claimbench.plan.plan import Plan
from claimbench.spec.config import Config


def _place(plan: Plan, paper: str) -> Path:
    return plan.tier_dir / "papers" / paper / "tracked.json"


def note(plan: Plan, paper: str, failure: str | None) -> None:
    """The import of a paper was tried; ``failure`` says why it did not succeed."""
    files.write_json(_place(plan, paper), {"failure": failure, "store": store(plan.config)})


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


def failures(plan: Plan) -> dict[str, str]:
    """Paper -> why it could not be imported."""
    found = ((paper, files.read_json(_place(plan, paper)) or {}) for paper in plan.papers)
    return {paper: one["failure"] for paper, one in found if one.get("failure")}


def forget_failures(plan: Plan) -> None:
    """Have what could not be imported tried again, and what is in a local store that was moved or removed."""
    own = store(plan.config)
    for paper in plan.papers:
        said = files.read_json(_place(plan, paper)) or {}
        elsewhere = plan.config.tracking.enabled and said.get("store") != own
        if said.get("failure") or elsewhere:
            _place(plan, paper).unlink(missing_ok=True)
