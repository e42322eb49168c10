"""Configuration and papers -> cells -> runs -> jobs.

Every cluster job plans again, so this package imports neither torch nor pandas and does only string work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from claimbench.data.entries import Entry
from claimbench.data.own import catalogues
from claimbench.data.registry import Catalogue
from claimbench.data.splits import Split
from claimbench.errors import UserError, nearest
from claimbench.files import digest
from claimbench.plan.cells import Cell, PlannedRun
from claimbench.plan.fingerprints import Code
from claimbench.plan.grid import drafts
from claimbench.plan.jobs import Job, bundle
from claimbench.plan.links import link
from claimbench.spec.claims import check_claims, load_claims
from claimbench.spec.config import Config
from claimbench.spec.folders import make_importable, selected_papers
from claimbench.spec.paper import PaperSpec
from claimbench.spec.published import read_published


@dataclass
class Plan:
    """Everything a tier runs."""

    config: Config
    papers: dict[str, PaperSpec]
    folders: dict[str, Path]
    catalogues: dict[str, Catalogue]
    cells: list[Cell]
    jobs: dict[str, Job]
    #: the source that the keys were read from
    code: Code

    @property
    def tier_dir(self) -> Path:
        return tier_dir(self.config)

    @cached_property
    def runs(self) -> list[PlannedRun]:
        return [run for job in self.jobs.values() for run in job.runs]

    @cached_property
    def datasets(self) -> dict[str, tuple[Entry, list[tuple[Split, int]]]]:
        """Dataset -> its entry and the splits, each with its index, that its runs use."""
        entries: dict[str, Entry] = {}
        wanted: dict[str, dict[tuple[str, int], tuple[Split, int]]] = {}
        for cell in self.cells:
            if cell.dataset != "none":
                entry, split = self.source(cell)
                entries[entry.name] = entry
                found, key = wanted.setdefault(entry.name, {}), split.key(0)
                for seed in cell.seeds:
                    found.setdefault((key, seed), (split, seed))
        return {name: (entries[name], [found[key] for key in sorted(found)]) for name, found in sorted(wanted.items())}

    def source(self, cell: Cell) -> tuple[Entry, Split]:
        """The dataset of a cell that has one, and its split."""
        catalogue = self.catalogues[cell.paper]
        entry = catalogue.dataset(cell.dataset)
        return entry, catalogue.split(entry, cell.split)

    def data_key(self, dataset: str) -> str:
        """Changes with a dataset's files, loader and splits, and with where it is looked for."""
        from claimbench.data import registry

        entry, splits = self.datasets[dataset]
        return digest([[[registry.fingerprint(entry, split), index] for split, index in splits], self.config.mirror])

    def jobs_of(self, paper: str) -> list[Job]:
        return [job for job in self.jobs.values() if job.paper == paper]

    def to_json(self) -> dict[str, Any]:
        """What is planned, in numbers and digests."""
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


def tier_dir(config: Config) -> Path:
    """The folder of a tier's results."""
    return Path(config.results_dir) / config.tier


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
    code = _code(config)
    papers: dict[str, PaperSpec] = {}
    folders: dict[str, Path] = {}
    cells: list[Cell] = []
    jobs: dict[str, Job] = {}
    for spec, folder in selected_papers(config_papers):
        papers[spec.slug], folders[spec.slug] = spec, folder
    data = data_of(config, folders, code)
    for spec in papers.values():
        folder = folders[spec.slug]
        own = link(drafts(spec, folder, config, code, data[spec.slug]), folder / "paper.yaml")
        cells += own
        for job in bundle(spec, own, config):
            jobs[job.id] = job
        if only is None:  # a job that runs is not stopped by what is only judged later
            check_claims(load_claims(folder / "claims.yaml"), spec.experiments, folder / "claims.yaml")
            read_published(folder)
    if only is not None and only not in jobs:
        raise UserError(f"job {only!r} is not in the plan of tier {config.tier} ({nearest(only, jobs)})")
    return Plan(config, papers, folders, data, cells, jobs, code)


def data_of(config: Config, folders: dict[str, Path], code: Code | None = None) -> dict[str, Catalogue]:
    """The datasets and split protocols that each paper may name; see :func:`claimbench.data.own.catalogues`."""
    read = _code(config) if code is None else code
    make_importable(config)
    return catalogues(folders, lambda module, name: read.fingerprint([(module, name)]))


def outline(config: Config) -> Plan:
    """The papers of ``config`` without cells and jobs, which is most of the work of a plan."""
    selected = [*selected_papers(config)]
    specs, folders = {s.slug: s for s, _ in selected}, {s.slug: folder for s, folder in selected}
    return Plan(config, specs, folders, {}, [], {}, _code(config))


def _code(config: Config) -> Code:
    return Code([Path(config.papers_dir)] if config.papers_dir else [])


def _keep(mapping: dict[str, Any], key: str) -> dict[str, Any]:
    return {key: mapping[key]} if key in mapping else {}
