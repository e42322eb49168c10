"""Which papers of a tier are through: a small file beside a paper's tables says of what they were made."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from claimbench import files
from claimbench.plan.plan import Plan

#: a copy of the tier's last plan, for those that look on
LAST = "plan.json"
#: what a paper's verdicts rest on beside its runs
_SOURCES = ("paper.yaml", "claims.yaml", "published.csv")
#: the code that turns records into verdicts, tables and figures
_CODE = (
    "claimbench.records.collect",
    "claimbench.records.columns",
    "claimbench.spec.published",
    "claimbench.judge.paper",
    "claimbench.judge.selection",
    "claimbench.judge.questions",
    "claimbench.judge.decision",
    "claimbench.judge.regions",
    "claimbench.judge.robustness",
    "claimbench.judge.budget",
    "claimbench.judge.verdicts",
    "claimbench.judge.statistics",
    "claimbench.present.tables",
    "claimbench.present.drawing",
    "claimbench.figures",
)


def paper_digest(plan: Plan, paper: str) -> str:
    """Changes with the runs of a paper, its claims, its published numbers and the code that judges and draws."""
    folder = plan.folders[paper]
    sources = [
        hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in (folder / name for name in _SOURCES)
    ]
    code = [plan.code.of_modules(*_CODE), plan.code.of_modules(f"claimbench.papers.{folder.name}.figures")]
    return files.digest([sources, code, sorted(run.run_key for job in plan.jobs_of(paper) for run in job.runs)])


def folder_of(tier_dir: Path, paper: str) -> Path:
    return tier_dir / "papers" / paper


def path_of(tier_dir: Path, paper: str) -> Path:
    return folder_of(tier_dir, paper) / "conclusion.json"


def outcome(plan: Plan, paper: str) -> str:
    """Digest of how the runs of a paper ended, by the manifests of its jobs."""
    found = (files.read_json(plan.tier_dir / "jobs" / f"{job.id}.score.json") or {} for job in plan.jobs_of(paper))
    return files.digest([[manifest.get("digest"), manifest.get("runs")] for manifest in found])


def write_conclusion(plan: Plan, paper: str, verdicts: list[dict[str, Any]], runs: list[dict[str, Any]]) -> None:
    """Say of what the tables of a paper were made, what they are, and how many verdicts and runs of each kind."""
    folder = folder_of(plan.tier_dir, paper)
    made = [*folder.glob("*.parquet"), *folder.glob("tables/*"), *folder.glob("figures/*")]
    conclusion = {
        "digest": paper_digest(plan, paper),
        "outcome": outcome(plan, paper),
        "files": checksums(folder, made),
        "verdicts": Counter(row["verdict"] for row in verdicts if row["family"] != "ours"),
        "runs": Counter(row["status"] for row in runs),
    }
    files.write_json(path_of(plan.tier_dir, paper), conclusion)


def checksums(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    """Name below ``folder`` -> sha256, "" for a file that is not there."""
    return {str(path.relative_to(folder)): checksum(path) for path in sorted(paths)}


def checksum(path: Path) -> str:
    """sha256 of a file, "" when it is not there."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def unchanged(folder: Path, sums: dict[str, str]) -> bool:
    """Whether the files below ``folder`` are those of :func:`checksums`."""
    return all(checksum(folder / name) == expected for name, expected in sums.items())


def concluded(tier_dir: Path) -> list[str]:
    """The papers of the plan in ``plan.json`` whose tables are there and of that plan, in its order."""
    planned = (files.read_json(tier_dir / LAST) or {}).get("papers", {})
    return [slug for slug, of in planned.items() if is_concluded(tier_dir, slug, of["digest"])]


def is_concluded(tier_dir: Path, paper: str, digest: str) -> bool:
    """Whether the tables of a paper are there and of the plan with this digest."""
    found = files.read_json(path_of(tier_dir, paper))
    return isinstance(found, dict) and found.get("digest") == digest


def whole(tier_dir: Path, paper: str) -> bool:
    """Whether a paper has tables, of whatever plan, and all of them as they were written."""
    found = files.read_json(path_of(tier_dir, paper))
    return isinstance(found, dict) and "files" in found and unchanged(folder_of(tier_dir, paper), found["files"])


def runs_done(tier_dir: Path) -> dict[str, tuple[int, int]]:
    """Paper -> runs of its finished jobs, and all runs, by ``plan.json`` and the jobs' manifests."""
    plan = files.read_json(tier_dir / LAST) or {}
    done = dict.fromkeys(plan.get("papers", {}), 0)
    for name, job in plan.get("jobs", {}).items():
        manifest = files.read_json(tier_dir / "jobs" / f"{name}.score.json")
        if manifest and manifest.get("digest") == job["score_digest"]:
            done[name.split(".", 1)[0]] += job["runs"]
    return {slug: (n, plan["papers"][slug]["runs"]) for slug, n in done.items()}
