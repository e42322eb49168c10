"""Which files of a tier are not what its plan gives, told from their content alone.

Neither time stamps nor Snakemake's memory count: every file says of what it was made, and that is compared. Nothing is
written here, so any process may look at any time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from claimbench import files
from claimbench.plan.jobs import Job
from claimbench.plan.plan import Plan
from claimbench.records import conclusions, pages, store, untracked

#: the last file of a tier: says of what the whole was made
COMPLETE = "complete"


def stale(plan: Plan, content: dict[str, Any]) -> list[Path]:
    """The files that are there and have to be made again, so that a fresh folder would have the same.

    Args:
        content: of the plan's file.
    """
    return [*_data(plan, content), *_jobs(plan), *_papers(plan, content), *_tier(plan, content)]


def _data(plan: Plan, content: dict[str, Any]) -> Iterator[Path]:
    root = Path(plan.config.data_dir)
    for name, (entry, splits) in plan.datasets.items():
        path = marker_path(plan, name)
        marker = files.read_json(path)
        if path.is_file() and (
            not isinstance(marker, dict)
            or marker.get("key") != content["datasets"][name]
            or (marker["status"] == "ready" and not entry.is_prepared(root, [s.key(index) for s, index in splits]))
        ):
            yield path


def marker_path(plan: Plan, dataset: str) -> Path:
    """The file that says whether a tier's dataset is ready, and if not, which sources were tried."""
    return plan.tier_dir / "data" / f"{dataset}.json"


def manifest_path(plan: Plan, job: str, phase: str) -> Path:
    return plan.tier_dir / "jobs" / f"{job}.{phase}.json"


def _jobs(plan: Plan) -> Iterator[Path]:
    records = store.Store(Path(plan.config.results_dir) / "store")
    for job in plan.jobs.values():
        for phase, digest in (("fit", job.fit_digest), ("score", job.score_digest)):
            path = manifest_path(plan, job.id, phase)
            if path.is_file() and not _in_order(job, files.read_json(path), digest, records):
                yield path


def _in_order(job: Job, manifest: Any, digest: str, records: store.Store) -> bool:
    """Whether a manifest is of this job and the records that it speaks of are there."""
    if not isinstance(manifest, dict) or manifest.get("digest") != digest:
        return False
    score, statuses = manifest["phase"] == "score", manifest["runs"]
    runs = {run.run_key if score else run.fit_key: run for run in job.runs}
    return runs.keys() == statuses.keys() and all(
        records.has(
            job.paper, run.fit_key, run.cell.score_code if score and statuses[key]["status"] == "done" else None
        )
        for key, run in runs.items()
    )


def _papers(plan: Plan, content: dict[str, Any]) -> Iterator[Path]:
    for slug, planned in content["papers"].items():
        path = conclusions.path_of(plan.tier_dir, slug)
        found = files.read_json(path)
        if path.is_file() and not (
            isinstance(found, dict)
            and found.get("digest") == planned["digest"]
            and conclusions.whole(plan.tier_dir, slug)
            and found["outcome"] == conclusions.outcome(plan, slug)
        ):
            yield path
        tracked = untracked.path_of(plan, slug)
        if tracked.is_file() and not untracked.in_order(plan, slug):
            yield tracked


def _tier(plan: Plan, content: dict[str, Any]) -> Iterator[Path]:
    page = pages.page_path(plan.tier_dir)
    if page.is_file() and not pages.in_order(plan):
        yield page
    complete = plan.tier_dir / COMPLETE
    if complete.is_file() and files.read_json(complete) != completion(plan, content):
        yield complete


def completion(plan: Plan, content: dict[str, Any]) -> dict[str, Any]:
    """What the tier's last file says."""
    return {
        "plan": files.digest(content),
        "page": conclusions.checksum(pages.path_of(plan.tier_dir)),
        "tracked": {slug: conclusions.checksum(untracked.path_of(plan, slug)) for slug in plan.papers},
    }
