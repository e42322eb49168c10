"""Forget failed and skipped runs."""

from __future__ import annotations

from claimbench import files
from claimbench.plan.plan import Plan
from claimbench.records.freshness import manifest_path, marker_path


def retry(plan: Plan) -> int:
    """Make the next run try the runs again that failed or were skipped, and only those.

    Removes their jobs' manifests; what was made from them no longer fits and is made again.

    Returns:
        The number of manifests removed.
    """
    removed = 0
    for job in plan.jobs.values():
        for phase in ("fit", "score"):
            path = manifest_path(plan, job.id, phase)
            manifest = files.read_json(path)
            if manifest and any(run["status"] != "done" for run in manifest["runs"].values()):
                path.unlink()
                removed += 1
    for dataset in plan.datasets:
        marker = files.read_json(marker_path(plan, dataset))
        if marker and marker["status"] != "ready":
            marker_path(plan, dataset).unlink()
    return removed
