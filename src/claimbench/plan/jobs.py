"""Jobs: the runs that one process executes, and what it asks of the scheduler."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from claimbench.errors import UserError
from claimbench.files import digest
from claimbench.plan.cells import Cell, PlannedRun
from claimbench.spec.base import Tier
from claimbench.spec.config import Config
from claimbench.spec.paper import ExperimentSpec, PaperSpec, Resources


@dataclass(frozen=True)
class Job:
    """Runs that one process executes."""

    id: str
    paper: str
    runs: tuple[PlannedRun, ...]
    resources: Resources
    exclusive: bool
    #: jobs whose artifacts this one reads
    needs: tuple[str, ...]

    @cached_property
    def fit_digest(self) -> str:
        return digest([run.fit_key for run in self.runs])

    @cached_property
    def score_digest(self) -> str:
        return digest([run.run_key for run in self.runs])

    @cached_property
    def datasets(self) -> list[str]:
        return sorted({run.cell.dataset for run in self.runs} - {"none"})


def runs_alone(spec: PaperSpec, experiment: str, tier: str) -> bool:
    """Whether an experiment has the machine to itself: one that measures times, unless nobody looks at them (smoke)."""
    return spec.experiments[experiment].exclusive and tier != "smoke"


def bundle(spec: PaperSpec, cells: list[Cell], config: Config) -> Iterator[Job]:
    groups: dict[str, list[PlannedRun]] = {}
    for cell in cells:
        exclusive = runs_alone(spec, cell.experiment, config.tier)
        for seed in cell.seeds:
            if config.bundle == "paper" and not exclusive:
                name = spec.slug
            elif config.bundle in ("paper", "experiment"):
                block = spec.experiments[cell.experiment].tiers[config.tier]
                name = f"{spec.slug}.{block.joins or cell.experiment}"
            else:
                name = f"{spec.slug}.{cell.experiment}.{cell.id}"
                if config.bundle == "run":
                    name = f"{name}.s{seed}"
            groups.setdefault(name, []).append(PlannedRun(cell, seed))
    if config.bundle == "experiment":
        groups = {name: part for whole, runs in groups.items() for name, part in _cut(whole, runs, config.bundle_s)}
    home = {(id(run.cell), run.seed): name for name, runs in groups.items() for run in runs}
    edges: dict[str, set[str]] = {}
    for name, runs in groups.items():
        needed = [need for run in runs for need in run.cell.needed(run.seed).values()]
        edges[name] = {home[id(need.cell), need.seed] for need in needed} - {name}
    _refuse_job_circles(edges, config)
    for name, runs in groups.items():
        experiments = {run.cell.experiment for run in runs}
        parts = [_resources(spec, spec.experiments[e], config.tier) for e in sorted(experiments)]
        yield Job(
            name,
            spec.slug,
            tuple(_ordered(runs)),
            Resources(
                threads=max(p.threads for p in parts),
                mem_mb=max(p.mem_mb for p in parts),
                runtime_min=sum(p.runtime_min for p in parts),
                gpu=max(p.gpu for p in parts),
            ),
            any(runs_alone(spec, e, config.tier) for e in experiments),
            tuple(sorted(edges[name])),
        )


def _cut(name: str, runs: list[PlannedRun], most_s: float) -> Iterator[tuple[str, list[PlannedRun]]]:
    """The runs of an experiment and of those that join it, in jobs of at most ``most_s`` declared seconds, so that one
    long job does not keep the rest waiting. Runs of one method and dataset stay together (the paper may fit them at
    once), and so do all where cells need each other. Only declared seconds count: jobs must not change when costs are
    measured.
    """
    parts: list[list[PlannedRun]] = []
    room = 0.0
    own = {run.cell.experiment for run in runs}
    together = any(need.experiment in own for run in runs for need in run.cell.needs.values())
    for _, group in itertools.groupby(runs, lambda run: (run.cell.experiment, run.cell.method, run.cell.dataset)):
        members = list(group)
        cost = sum(run.cell.run_s or 0.0 for run in members)
        if not parts or (cost > room and not together):
            parts.append([])
            room = most_s
        parts[-1] += members
        room -= cost
    for i, part in enumerate(parts, 1):
        yield (name if len(parts) == 1 else f"{name}.{i}"), part


def _ordered(runs: list[PlannedRun]) -> list[PlannedRun]:
    """Runs with the ones they need first, otherwise in the order given."""
    if not any(run.cell.needs for run in runs):
        return runs

    def depth(cell: Cell) -> int:
        return 1 + max((depth(needed) for needed in cell.needs.values()), default=-1)

    return sorted(runs, key=lambda run: depth(run.cell))


def _refuse_job_circles(edges: dict[str, set[str]], config: Config) -> None:
    done: set[str] = set()
    while len(done) < len(edges):
        ready = [name for name in edges if name not in done and edges[name] <= done]
        if not ready:
            stuck = sorted(set(edges) - done)
            raise UserError(
                f"config.yaml: bundle is {config.bundle!r}, which makes jobs wait for each other "
                f"({', '.join(stuck[:3])}); "
                "use cell or run"
            )
        done.update(ready)


def _resources(spec: PaperSpec, experiment: ExperimentSpec, tier: Tier) -> Resources:
    layers = (spec.resources, spec.tier_resources.get(tier, {}), experiment.resources, experiment.tiers[tier].resources)
    return Resources.model_validate({key: value for layer in layers for key, value in layer.items()})
