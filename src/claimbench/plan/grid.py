"""The cells of an experiment's grids, and what their results depend on: code and data."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from claimbench.data.registry import Catalogue, fingerprint
from claimbench.errors import UserError, nearest
from claimbench.files import canonical_json
from claimbench.plan.cells import Cell, setting_string
from claimbench.plan.fingerprints import EVERY_RUN, Code
from claimbench.plan.layers import PACKAGE_HYPER, Layer, merged, overridden
from claimbench.spec.config import Config
from claimbench.spec.folders import identifier
from claimbench.spec.paper import Need, PaperSpec


def drafts(
    spec: PaperSpec, folder: Path, config: Config, code: Code, catalogue: Catalogue
) -> Iterator[tuple[Cell, list[Need]]]:
    """The cells of a paper's tier, each with the cells that it needs (see :func:`claimbench.plan.links.link`).

    Raises:
        UserError: an unknown experiment, a cell that is given twice, an entry or a dataset that does not exist.
    """
    chosen = config.experiments.get(spec.slug, list(spec.experiments))
    for name in chosen:
        if name not in spec.experiments:
            raise UserError(
                f"config.yaml: experiments.{spec.slug} names {name!r}, which is no experiment "
                f"({nearest(name, spec.experiments)})"
            )
    module = f"claimbench.papers.{folder.name}.experiments"
    if code.file(module) is None:
        raise UserError(f"{folder / 'experiments.py'}: this file does not exist")
    overrides = overridden(config, spec)
    path = folder / "paper.yaml"
    for name, experiment in spec.experiments.items():
        if name not in chosen or config.tier not in experiment.tiers:
            continue
        block = experiment.tiers[config.tier]
        seen: set[str] = set()
        for index, grid in enumerate(block.grid):
            where = f"{name}.tiers.{config.tier}.grid.{index}"
            hyper, layers = merged(
                [
                    Layer("package defaults", PACKAGE_HYPER),
                    Layer(f"{spec.slug}/paper.yaml", spec.hyper),
                    Layer(f"{spec.slug}/paper.yaml: {name}", experiment.hyper),
                    Layer(f"{spec.slug}/paper.yaml: {name}.tiers.{config.tier}", block.hyper),
                    Layer(f"{spec.slug}/paper.yaml: {where}", grid.hyper),
                    Layer("config.yaml: overrides", overrides.get("", {}), only_declared=True),
                    Layer(f"config.yaml: overrides.{spec.slug}.{name}", overrides.get(name, {})),
                ]
            )
            seeds = next(given for given in (config.seeds, grid.seeds, block.seeds) if given is not None)
            split, split_key = experiment.split, f"experiments.{name}.split"
            if block.split is not None:
                split, split_key = block.split, f"experiments.{name}.tiers.{config.tier}.split"
            settings = [
                dict(zip(grid.setting, levels, strict=True)) for levels in itertools.product(*grid.setting.values())
            ]
            for method, dataset, setting in itertools.product(grid.method, grid.dataset, settings):
                key = canonical_json([method, dataset, setting])
                if key in seen:
                    repeated = " ".join(filter(None, (method, dataset, setting_string(setting))))
                    raise UserError(f"{folder / 'paper.yaml'}: {where} repeats the cell {repeated}")
                seen.add(key)
                cell = Cell(
                    paper=spec.slug,
                    experiment=name,
                    method=method,
                    dataset=dataset,
                    setting=setting,
                    tier=config.tier,
                    hyper=hyper,
                    layers=layers,
                    split=split,
                    budget=block.budget or experiment.budget,
                    seeds=tuple(range(seeds)) if isinstance(seeds, int) else tuple(dict.fromkeys(seeds)),
                    fit_code=_code(code, module, ("fit", "fit_many"), name, method, folder),
                    score_code=_code(code, module, ("score",), name, method, folder),
                    data=_data(catalogue, dataset, f"{path}: {name}", split, f"{path}: {split_key}"),
                    run_s=grid.run_s if grid.run_s is not None else block.run_s,
                )
                yield cell, grid.needs


def entry_names(kind: str, experiment: str, method: str) -> tuple[str, str]:
    """The two names under which ``experiments.py`` may define an entry: for one method, or for the experiment."""
    return f"{kind}_{identifier(experiment)}__{identifier(method)}", f"{kind}_{identifier(experiment)}"


def _code(code: Code, module: str, kinds: tuple[str, ...], experiment: str, method: str, folder: Path) -> str:
    """Fingerprint of the entries of the given kinds that ``experiments.py`` defines; at least one must be there."""
    entries = []
    for kind in kinds:
        found = next((name for name in entry_names(kind, experiment, method) if code.has(module, name)), None)
        if found is not None:
            entries.append((module, found))
    if not entries:
        names = entry_names(kinds[0], experiment, method)
        raise UserError(
            f"{folder / 'experiments.py'}: neither {names[0]} nor {names[1]} is defined, "
            f"which {experiment} of paper.yaml (method {method}) needs"
        )
    return code.fingerprint([*entries, *EVERY_RUN])


def _data(catalogue: Catalogue, dataset: str, dataset_key: str, split: dict[str, Any], split_key: str) -> str:
    """Fingerprint of the data that a cell reads; the keys name file and place of both in messages."""
    if dataset == "none":
        return "none"
    entry = catalogue.dataset(dataset, dataset_key)
    return fingerprint(entry, catalogue.split(entry, split, split_key))
