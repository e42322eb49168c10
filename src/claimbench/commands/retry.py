"""Forget failed and skipped runs."""

from __future__ import annotations

from claimbench import files
from claimbench.plan.plan import Plan


def retry(plan: Plan) -> int:
    """Make the next run try the runs again that failed or were skipped, and only those.

    Removes their jobs' manifests and what was made from them: Snakemake does not make a missing file again as long as
    everything that came from it is there.

    Returns:
        The number of manifests removed.
    """
    removed = 0
    papers = set()
    for job in plan.jobs.values():
        for phase in ("fit", "score"):
            path = plan.tier_dir / "jobs" / f"{job.id}.{phase}.json"
            manifest = files.read_json(path)
            if manifest and any(run["status"] != "done" for run in manifest["runs"].values()):
                path.unlink()
                removed += 1
                papers.add(job.paper)
    for path in (plan.tier_dir / "data").glob("*.json"):
        marker = files.read_json(path)
        if marker and marker["status"] != "ready":
            path.unlink()
    if papers:
        stale = [path for slug in papers for path in (plan.tier_dir / "papers" / slug).glob("*.parquet")]
        stale += [plan.tier_dir / "papers" / slug / "conclusion.json" for slug in papers]
        stale += [*plan.tier_dir.glob("*.parquet"), plan.tier_dir / "report" / "index.html"]
        for path in (*stale, plan.tier_dir / "tracked", plan.tier_dir / "complete"):
            path.unlink(missing_ok=True)
    return removed
