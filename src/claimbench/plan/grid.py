"""The cells of an experiment's grids, and what their results depend on: code and data."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from claimbench.data.registry import Catalogue, fingerprint
from claimbench.errors import UserError, nearest
from claimbench.plan.cells import Cell
from claimbench.plan.entries import Codes
from claimbench.plan.fingerprints import Code
from claimbench.plan.layers import NO_SABOTAGE, PACKAGE_HYPER, Layer, merged, overridden
from claimbench.spec.config import Config
from claimbench.spec.paper import Need, PaperSpec
from claimbench.spec.settings import setting_string


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
    codes = Codes(spec, folder, code)
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
            if hyper["sabotage"] not in (NO_SABOTAGE, *spec.sabotages):
                raise UserError(
                    f"{layers['sabotage']}: hyper.sabotage is {hyper['sabotage']!r}; allowed: "
                    f"{', '.join([NO_SABOTAGE, *spec.sabotages])} (declared under sabotages in {folder / 'paper.yaml'})"
                )
            seeds = next(given for given in (config.seeds, grid.seeds, block.seeds) if given is not None)
            split, split_key = experiment.split, f"experiments.{name}.split"
            if block.split is not None:
                split, split_key = block.split, f"experiments.{name}.tiers.{config.tier}.split"
            settings = [
                dict(zip(grid.setting, levels, strict=True)) for levels in itertools.product(*grid.setting.values())
            ]
            for method, dataset, setting in itertools.product(grid.method, grid.dataset, settings):
                label = " ".join(filter(None, (method, dataset, setting_string(setting))))
                if label in seen:
                    raise UserError(
                        f"{folder / 'paper.yaml'}: {where} repeats the cell {label}; allowed: cells that are written "
                        "apart"
                    )
                seen.add(label)
                own_split = _of_setting(split, setting, f"{path}: {split_key}")
                cell = Cell(
                    paper=spec.slug,
                    experiment=name,
                    method=method,
                    dataset=dataset,
                    setting=setting,
                    tier=config.tier,
                    hyper=hyper,
                    layers=layers,
                    split=own_split,
                    budget=block.budget or experiment.budget,
                    seeds=tuple(range(seeds)) if isinstance(seeds, int) else tuple(dict.fromkeys(seeds)),
                    fit_code=codes.of(name, method, "fit", "fit_many"),
                    score_code=codes.of(name, method, "score"),
                    data=_data(catalogue, dataset, f"{path}: {name}", own_split, f"{path}: {split_key}"),
                    run_s=grid.run_s if grid.run_s is not None else block.run_s,
                )
                yield cell, grid.needs


def _of_setting(split: dict[str, Any], setting: dict[str, Any], where: str) -> dict[str, Any]:
    """A cell's split: a parameter written ``$axis`` has the level of that axis in the cell's setting."""
    found = dict(split)
    for key, value in split.items():
        if isinstance(value, str) and value.startswith("$"):
            if value[1:] not in setting:
                allowed = ", ".join(f"${axis}" for axis in setting) or "a value, since a cell has no setting"
                raise UserError(f"{where}.{key} is {value!r}, which is no axis of a cell; allowed: {allowed}")
            found[key] = setting[value[1:]]
    return found


def _data(catalogue: Catalogue, dataset: str, dataset_key: str, split: dict[str, Any], split_key: str) -> str:
    """Fingerprint of the data that a cell reads; the keys name file and place of both in messages."""
    if dataset == "none":
        return "none"
    entry = catalogue.dataset(dataset, dataset_key)
    return fingerprint(entry, catalogue.split(entry, split, split_key))
