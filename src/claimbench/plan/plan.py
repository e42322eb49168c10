"""Configuration and papers -> cells -> runs -> jobs.

Every cluster job plans again, so this package imports neither torch nor pandas and does only string work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from claimbench.errors import UserError, nearest
from claimbench.files import canonical_json
from claimbench.plan.cells import Cell, PlannedRun
from claimbench.plan.fingerprints import Code
from claimbench.plan.grid import drafts
from claimbench.plan.jobs import Job, bundle
from claimbench.plan.links import link
from claimbench.spec.config import Config
from claimbench.spec.folders import selected_papers
from claimbench.spec.paper import PaperSpec


@dataclass
class Plan:
    """Everything a tier runs."""

    config: Config
    papers: dict[str, PaperSpec]
    folders: dict[str, Path]
    cells: list[Cell]
    jobs: dict[str, Job]

    @property
    def tier_dir(self) -> Path:
        return Path(self.config.results_dir) / self.config.tier

    @cached_property
    def runs(self) -> list[PlannedRun]:
        return [run for job in self.jobs.values() for run in job.runs]

    @cached_property
    def datasets(self) -> dict[str, list[tuple[dict[str, Any], int]]]:
        """Dataset -> the splits (parameters, index) that its runs use."""
        wanted: dict[str, dict[str, tuple[dict[str, Any], int]]] = {}
        for cell in self.cells:
            if cell.dataset != "none":
                for seed in cell.seeds:
                    wanted.setdefault(cell.dataset, {})[f"{canonical_json(cell.split)}{seed:012d}"] = (cell.split, seed)
        return {name: [splits[key] for key in sorted(splits)] for name, splits in sorted(wanted.items())}

    def jobs_of(self, paper: str) -> list[Job]:
        return [job for job in self.jobs.values() if job.paper == paper]

    def to_json(self) -> dict[str, Any]:
        """What ``plan.json`` holds."""
        return {
            "tier": self.config.tier,
            "n_runs": len(self.runs),
            "jobs": {
                job.id: {
                    "runs": len(job.runs),
                    "fit_digest": job.fit_digest,
                    "score_digest": job.score_digest,
                    "datasets": job.datasets,
                    "needs": list(job.needs),
                    "resources": job.resources.model_dump(),
                }
                for job in self.jobs.values()
            },
        }


def make_plan(config: Config, only: str | None = None) -> Plan:
    """The plan of ``config``.

    Args:
        only: a job id; then only what that job needs is planned (its paper).

    Raises:
        UserError: a paper or the configuration asks for something that does not exist.
    """
    config_papers = config
    if only is not None:
        slug = only.split(".", 1)[0]
        if config.papers == "all" or slug in config.papers:
            config_papers = config.model_copy(
                update={
                    "papers": [slug],
                    "experiments": _keep(config.experiments, slug),
                    "overrides": _keep(config.overrides, slug),
                }
            )
    code = Code([Path(config.papers_dir)] if config.papers_dir else [])
    papers: dict[str, PaperSpec] = {}
    folders: dict[str, Path] = {}
    cells: list[Cell] = []
    jobs: dict[str, Job] = {}
    for spec, folder in selected_papers(config_papers):
        papers[spec.slug], folders[spec.slug] = spec, folder
        own = link(drafts(spec, folder, config, code), folder / "paper.yaml")
        cells += own
        for job in bundle(spec, own, config):
            jobs[job.id] = job
    if only is not None and only not in jobs:
        raise UserError(f"job {only!r} is not in the plan of tier {config.tier} ({nearest(only, jobs)})")
    return Plan(config, papers, folders, cells, jobs)


def outline(config: Config) -> Plan:
    """The papers of ``config`` without cells and jobs, which is most of the work of a plan."""
    selected = [*selected_papers(config)]
    return Plan(config, {s.slug: s for s, _ in selected}, {s.slug: folder for s, folder in selected}, [], {})


def _keep(mapping: dict[str, Any], key: str) -> dict[str, Any]:
    return {key: mapping[key]} if key in mapping else {}
