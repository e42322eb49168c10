"""Which papers of a tier are through: a small file beside a paper's tables says of which plan they are."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from claimbench import files
from claimbench.plan.plan import Plan

#: what a paper's verdicts rest on beside its runs
_SOURCES = ("paper.yaml", "claims.yaml", "published.csv")


def paper_digest(plan: Plan, paper: str) -> str:
    """Changes with the runs of a paper, its claims and its published numbers."""
    sources = [
        hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in (plan.folders[paper] / name for name in _SOURCES)
    ]
    return files.digest([sources, sorted(run.run_key for job in plan.jobs_of(paper) for run in job.runs)])


def path_of(tier_dir: Path, paper: str) -> Path:
    return tier_dir / "papers" / paper / "conclusion.json"


def write_conclusion(plan: Plan, paper: str, verdicts: list[dict[str, Any]], runs: list[dict[str, Any]]) -> None:
    """Say that the tables of a paper are those of the plan: its digest, and counts of verdicts and of runs."""
    conclusion = {
        "digest": paper_digest(plan, paper),
        "verdicts": Counter(row["verdict"] for row in verdicts),
        "runs": Counter(row["status"] for row in runs),
    }
    files.write_json(path_of(plan.tier_dir, paper), conclusion)


def write_plan(plan: Plan) -> None:
    """``plan.json``: what the tier runs, for those that look on."""
    papers = {
        slug: {"digest": paper_digest(plan, slug), "runs": sum(len(job.runs) for job in plan.jobs_of(slug))}
        for slug in plan.papers
    }
    files.write_json_if_changed(plan.tier_dir / "plan.json", {**plan.to_json(), "papers": papers})


def concluded(tier_dir: Path) -> list[str]:
    """The papers of the plan in ``plan.json`` whose tables are there and of that plan, in its order."""
    planned = (files.read_json(tier_dir / "plan.json") or {}).get("papers", {})
    return [slug for slug, of in planned.items() if is_concluded(tier_dir, slug, of["digest"])]


def is_concluded(tier_dir: Path, paper: str, digest: str) -> bool:
    """Whether the tables of a paper are there and of the plan with this digest."""
    found = files.read_json(path_of(tier_dir, paper))
    return isinstance(found, dict) and found.get("digest") == digest


def runs_done(tier_dir: Path) -> dict[str, tuple[int, int]]:
    """Paper -> runs of its finished jobs, and all runs, by ``plan.json`` and the jobs' manifests."""
    plan = files.read_json(tier_dir / "plan.json") or {}
    done = dict.fromkeys(plan.get("papers", {}), 0)
    for name, job in plan.get("jobs", {}).items():
        manifest = files.read_json(tier_dir / "jobs" / f"{name}.score.json")
        if manifest and manifest.get("digest") == job["score_digest"]:
            done[name.split(".", 1)[0]] += job["runs"]
    return {slug: (n, plan["papers"][slug]["runs"]) for slug, n in done.items()}
