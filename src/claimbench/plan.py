"""Configuration and papers -> cells -> runs -> jobs.

Every cluster job plans again, so this module imports neither torch nor pandas and does only string work.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from claimbench.errors import UserError, nearest
from claimbench.keys import Code, canonical_json, digest
from claimbench.schema import PRECISIONS
from claimbench.spec import (
    Block,
    Budget,
    Config,
    ExperimentSpec,
    Need,
    PaperSpec,
    Resources,
    identifier,
    selected_papers,
)

#: lowest layer of every run's hyper-parameters
PACKAGE_HYPER: dict[str, Any] = {"sabotage": "none", "precision": "float32"}


def setting_string(setting: dict[str, Any]) -> str:
    """``{"k": 5, "mode": "ntk"}`` -> ``"k=5,mode=ntk"``, keys sorted."""
    return ",".join(f"{axis}={_level(value)}" for axis, value in sorted(setting.items()))


def _level(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(eq=False)
class Cell:
    """A method on a dataset in a setting, with everything that decides its result but the seed."""

    paper: str
    experiment: str
    method: str
    dataset: str
    setting: dict[str, Any]
    tier: str
    hyper: dict[str, Any]
    #: hyper-parameter -> name of the layer that set it
    layers: dict[str, str]
    split: dict[str, Any]
    budget: Budget
    seeds: list[int]
    needs: dict[str, Cell] = field(default_factory=dict)
    #: needs that one seed meets for all
    need_seeds: dict[str, int] = field(default_factory=dict)
    fit_code: str = ""
    score_code: str = ""
    data: str = ""
    run_s: float | None = None

    @cached_property
    def setting_string(self) -> str:
        return setting_string(self.setting)

    @cached_property
    def id(self) -> str:
        """Readable and unique within its experiment, safe in file names."""
        label = re.sub(
            r"[^A-Za-z0-9=.+-]+", "-", "-".join(filter(None, (self.method, self.dataset, self.setting_string)))
        )
        return f"{label[:60]}-{digest([self.method, self.dataset, self.setting])[:6]}"

    @cached_property
    def digest(self) -> str:
        return digest(
            {
                "paper": self.paper,
                "experiment": self.experiment,
                "method": self.method,
                "dataset": self.dataset,
                "setting": self.setting,
                "tier": self.tier,
                "hyper": self.hyper,
                "split": self.split,
                "data": self.data,
                "code": self.fit_code,
                "needs": {
                    name: [cell.digest, self.need_seeds[name]] if name in self.need_seeds else cell.digest
                    for name, cell in self.needs.items()
                },
            }
        )

    def needed(self, seed: int) -> dict[str, PlannedRun]:
        """The runs whose artifacts a seed's ``fit`` reads."""
        return {name: PlannedRun(cell, self.need_seeds.get(name, seed)) for name, cell in self.needs.items()}

    def fit_key(self, seed: int) -> str:
        """Key of what ``fit`` leaves."""
        return digest([self.digest, seed])

    def run_key(self, seed: int) -> str:
        """Key of the scored run: the fit, and the code that scored it."""
        return digest([self.digest, seed, self.score_code])


@dataclass(frozen=True)
class PlannedRun:
    """A cell with a seed."""

    cell: Cell
    seed: int

    @property
    def fit_key(self) -> str:
        return self.cell.fit_key(self.seed)

    @property
    def run_key(self) -> str:
        return self.cell.run_key(self.seed)


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
        own = list(_cells(spec, folder, config, code))
        _link_needs(own, folder / "paper.yaml", dict(spec.experiments), config)
        cells += own
        for job in _bundle(spec, own, config):
            jobs[job.id] = job
    if only is not None and only not in jobs:
        raise UserError(f"job {only!r} is not in the plan of tier {config.tier} ({nearest(only, jobs)})")
    return Plan(config, papers, folders, cells, jobs)


def _keep(mapping: dict[str, Any], key: str) -> dict[str, Any]:
    return {key: mapping[key]} if key in mapping else {}


def _merge(
    base: dict[str, Any], top: dict[str, Any], layer: str, layers: dict[str, str], prefix: str = ""
) -> dict[str, Any]:
    """Deep merge; lists are replaced. A value must be of the declared value's kind (any kind where that is null)."""
    merged = dict(base)
    for key, value in top.items():
        path = f"{prefix}{key}"
        if key in base and isinstance(base[key], dict) and isinstance(value, dict):
            merged[key] = _merge(base[key], value, layer, layers, f"{path}.")
            continue
        if key in base and not _same_kind(base[key], value):
            raise UserError(
                f"{layer}: hyper.{path} is {value!r}; "
                f"it must be {_kind(base[key])} like its declared value {base[key]!r}"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{layer}: hyper.{path} is {value!r}; it must be a finite number")
        if path == "precision" and value not in PRECISIONS:
            raise UserError(f"{layer}: hyper.precision is {value!r}; allowed: {', '.join(PRECISIONS)}")
        merged[key] = value
        layers[path] = layer
    return merged


def _same_kind(declared: Any, value: Any) -> bool:
    return declared is None or value is None or _kind(declared) == _kind(value)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    names: dict[type, str] = {str: "a word", list: "a list", dict: "a mapping"}
    return names.get(type(value), "null")


def _seed_list(seeds: int | list[int]) -> list[int]:
    return list(range(seeds)) if isinstance(seeds, int) else list(dict.fromkeys(seeds))


def _overrides(config: Config, spec: PaperSpec) -> dict[str, dict[str, Any]]:
    """Experiment name ("" for the whole paper) -> overridden hyper-parameters."""
    found: dict[str, dict[str, Any]] = {}
    for key, value in config.overrides.get(spec.slug, {}).items():
        where = f"config.yaml: overrides.{spec.slug}.{key}"
        if key != "hyper" and key not in spec.experiments:
            raise UserError(f"{where} is no experiment of this paper ({nearest(key, ['hyper', *spec.experiments])})")
        if not isinstance(value, dict):
            raise UserError(f"{where} is {value!r}; it must be a mapping")
        if key == "hyper":
            hyper, known = value, set(spec.hyper).union(PACKAGE_HYPER, *(e.hyper for e in spec.experiments.values()))
        else:
            for inner in value:
                if inner != "hyper":
                    raise UserError(f"{where} has the unknown key {inner!r} (allowed: hyper)")
            hyper, known = value.get("hyper") or {}, {*spec.hyper, *PACKAGE_HYPER, *spec.experiments[key].hyper}
            if not isinstance(hyper, dict):
                raise UserError(f"{where}.hyper is {hyper!r}; it must be a mapping")
        for name in hyper:
            if name not in known:
                raise UserError(f"{where} has the unknown hyper-parameter {name!r} ({nearest(name, known)})")
        found["" if key == "hyper" else key] = hyper
    return found


def _cells(spec: PaperSpec, folder: Path, config: Config, code: Code) -> Iterator[Cell]:
    chosen = config.experiments.get(spec.slug, list(spec.experiments))
    for name in chosen:
        if name not in spec.experiments:
            raise UserError(
                f"config.yaml: experiments.{spec.slug} names {name!r}, which is no experiment "
                f"({nearest(name, spec.experiments)})"
            )
    overrides = _overrides(config, spec)
    module = f"claimbench.papers.{folder.name}.experiments"
    if code.file(module) is None:
        raise UserError(f"{folder / 'experiments.py'}: this file does not exist")
    for name, experiment in spec.experiments.items():
        if name not in chosen or config.tier not in experiment.tiers:
            continue
        block = experiment.tiers[config.tier]
        seen: set[str] = set()
        for index, grid in enumerate(block.grid):
            layers: dict[str, str] = {}
            hyper: dict[str, Any] = {}
            for layer, values in (
                ("package defaults", PACKAGE_HYPER),
                (f"{spec.slug}/paper.yaml", spec.hyper),
                (f"{spec.slug}/paper.yaml: {name}", experiment.hyper),
                (f"{spec.slug}/paper.yaml: {name}.tiers.{config.tier}", block.hyper),
                (f"{spec.slug}/paper.yaml: {name}.tiers.{config.tier}.grid.{index}", grid.hyper),
                ("config.yaml: overrides", overrides.get("", {})),
                (f"config.yaml: overrides.{spec.slug}.{name}", overrides.get(name, {})),
            ):
                if layer == "config.yaml: overrides":
                    values = {key: value for key, value in values.items() if key in hyper}
                hyper = _merge(hyper, values, layer, layers)
            seeds = config.seeds if config.seeds is not None else grid.seeds if grid.seeds is not None else block.seeds
            for cell in _product(spec, name, experiment, grid, config, hyper, layers, _seed_list(seeds), block.split):
                key = canonical_json([cell.method, cell.dataset, cell.setting])
                if key in seen:
                    raise UserError(
                        f"{folder / 'paper.yaml'}: {name}.tiers.{config.tier}.grid.{index} "
                        f"repeats the cell {cell.id[:-7]}"
                    )
                seen.add(key)
                cell.run_s = grid.run_s if grid.run_s is not None else block.run_s
                cell.budget = block.budget or experiment.budget
                cell.fit_code = _entry_fingerprint(code, module, ("fit", "fit_many"), cell, folder)
                cell.score_code = _entry_fingerprint(code, module, ("score",), cell, folder)
                split_key = f"{name}.split" if block.split is None else f"{name}.tiers.{config.tier}.split"
                cell.data = _data_fingerprint(cell, folder, split_key)
                yield cell


def _product(
    spec: PaperSpec,
    name: str,
    experiment: ExperimentSpec,
    grid: Block,
    config: Config,
    hyper: dict[str, Any],
    layers: dict[str, str],
    seeds: list[int],
    split: dict[str, Any] | None,
) -> Iterator[Cell]:
    axes = list(grid.setting)
    for method, dataset, *levels in itertools.product(grid.method, grid.dataset, *grid.setting.values()):
        cell = Cell(
            spec.slug,
            name,
            str(method),
            str(dataset),
            dict(zip(axes, levels, strict=True)),
            config.tier,
            hyper,
            layers,
            experiment.split if split is None else split,
            experiment.budget,
            seeds,
        )
        cell.needs = {need.as_: need for need in grid.needs}  # type: ignore[misc]  # linked to cells below
        yield cell


def entry_names(cell: Cell, kind: str) -> tuple[str, str]:
    """The two names under which ``experiments.py`` may define an entry: for one method, or for the experiment."""
    return f"{kind}_{identifier(cell.experiment)}__{identifier(cell.method)}", f"{kind}_{identifier(cell.experiment)}"


def _entry_fingerprint(code: Code, module: str, kinds: Iterable[str], cell: Cell, folder: Path) -> str:
    """Of the entries of the given kinds that ``experiments.py`` defines; at least one must be there."""
    entries = []
    for kind in kinds:
        found = next((name for name in entry_names(cell, kind) if code.has(module, name)), None)
        if found is not None:
            entries.append((module, found))
    if not entries:
        names = entry_names(cell, next(iter(kinds)))
        raise UserError(
            f"{folder / 'experiments.py'}: neither {names[0]} nor {names[1]} is defined, "
            f"which {cell.experiment} of paper.yaml (method {cell.method}) needs"
        )
    return code.fingerprint(entries)


def _data_fingerprint(cell: Cell, folder: Path, split_key: str) -> str:
    if cell.dataset == "none":
        return "none"
    from claimbench.data import registry

    if cell.dataset not in registry.DATASETS:
        raise UserError(
            f"{folder / 'paper.yaml'}: {cell.experiment} names the dataset {cell.dataset!r}, which is not registered "
            f"({nearest(cell.dataset, registry.DATASETS)})"
        )
    return registry.fingerprint(cell.dataset, cell.split, f"{folder / 'paper.yaml'}: experiments.{split_key}")


def _link_needs(cells: list[Cell], path: Path, experiments: dict[str, ExperimentSpec], config: Config) -> None:
    by_identity = {(c.experiment, c.method, c.dataset, c.setting_string): c for c in cells}
    for cell in cells:
        wanted: dict[str, Need] = cell.needs  # type: ignore[assignment]
        linked = {}
        for name, need in wanted.items():
            setting = cell.setting if need.setting is None else need.setting
            identity = (
                need.experiment or cell.experiment,
                need.method or cell.method,
                need.dataset or cell.dataset,
                setting_string(setting),
            )
            if identity not in by_identity:
                raise UserError(
                    f"{path}: {cell.experiment} needs {' '.join(filter(None, identity))}, "
                    f"which is no cell of tier {config.tier}"
                )
            linked[name] = by_identity[identity]
        cell.needs, cell.need_seeds = linked, {n: need.seed for n, need in wanted.items() if need.seed is not None}
    state: dict[int, int] = {}

    def visit(cell: Cell, trail: tuple[str, ...]) -> None:
        if state.get(id(cell)) == 2:
            return
        if state.get(id(cell)) == 1:
            raise UserError(f"{path}: needs form a circle: {' -> '.join((*trail, cell.id))}")
        state[id(cell)] = 1
        for name, needed in cell.needs.items():
            if missing := {run.seed for seed in cell.seeds for run in [cell.needed(seed)[name]]} - set(needed.seeds):
                raise UserError(
                    f"{path}: {cell.id} needs seed {min(missing)} of {needed.id}, which does not run that seed"
                )
            visit(needed, (*trail, cell.id))
        state[id(cell)] = 2

    for cell in cells:
        visit(cell, ())


def runs_alone(spec: PaperSpec, experiment: str, tier: str) -> bool:
    """Whether an experiment has the machine to itself: one that measures times, unless nobody looks at them (smoke)."""
    return spec.experiments[experiment].exclusive and tier != "smoke"


def _bundle(spec: PaperSpec, cells: list[Cell], config: Config) -> Iterator[Job]:
    groups: dict[str, list[PlannedRun]] = {}
    for cell in cells:
        exclusive = runs_alone(spec, cell.experiment, config.tier)
        for seed in cell.seeds:
            if config.bundle == "paper" and not exclusive:
                name = spec.slug
            elif config.bundle in ("paper", "experiment"):
                name = f"{spec.slug}.{cell.experiment}"
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
    """An experiment's runs in jobs of at most ``most_s`` declared seconds, so that one long job does not keep the rest
    waiting. Runs of one method and dataset stay together (the paper may fit them at once), and so does an experiment
    whose cells need each other. Only declared seconds count: jobs must not change when costs are measured.
    """
    parts: list[list[PlannedRun]] = []
    room = 0.0
    together = any(need.experiment == run.cell.experiment for run in runs for need in run.cell.needs.values())
    for _, group in itertools.groupby(runs, lambda run: (run.cell.method, run.cell.dataset)):
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


def _resources(spec: PaperSpec, experiment: ExperimentSpec, tier: str) -> Resources:
    return Resources.model_validate({**spec.resources, **experiment.resources, **experiment.tiers[tier].resources})  # type: ignore[index]


def read_costs(results_dir: Path) -> dict[str, float]:
    """Median wall seconds of a run by ``tier/paper/experiment/method/dataset``, from earlier runs."""
    try:
        return json.loads((results_dir / "costs.json").read_text())
    except (OSError, ValueError):
        return {}


def forecast_s(run: PlannedRun, costs: dict[str, float]) -> float | None:
    """Seconds a run will take: measured before, else declared (``run_s``), else None."""
    cell = run.cell
    measured = costs.get(f"{cell.tier}/{cell.paper}/{cell.experiment}/{cell.method}/{cell.dataset}")
    return measured if measured is not None else cell.run_s
