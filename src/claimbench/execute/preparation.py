"""Bring the datasets of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from claimbench import files
from claimbench.errors import DataUnavailable, UserError, nearest
from claimbench.plan.plan import Plan
from claimbench.records.freshness import marker_path


def prepare(plan: Plan, dataset: str) -> dict[str, Any]:
    """Bring a dataset and the splits that the plan uses; a dataset that no source has is a result too."""
    from claimbench import data

    if dataset not in plan.datasets:
        raise UserError(
            f"dataset {dataset!r} is not used by tier {plan.config.tier} ({nearest(dataset, plan.datasets)})"
        )
    mirror = Path(plan.config.mirror) if plan.config.mirror else None
    try:
        entry, splits = plan.datasets[dataset]
        data.prepare(entry, splits, Path(plan.config.data_dir), mirror)
        marker: dict[str, Any] = {"status": "ready", "tried": []}
    except DataUnavailable as error:
        marker = {"status": "missing", "tried": error.tried}
    files.write_json(marker_path(plan, dataset), {"dataset": dataset, "key": plan.data_key(dataset), **marker})
    return marker
