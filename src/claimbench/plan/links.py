"""Cells that read other cells' artifacts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from claimbench.errors import UserError
from claimbench.plan.cells import Cell, setting_string
from claimbench.spec.paper import Need

_Identity = tuple[str, str, str, str]


def link(drafts: Iterable[tuple[Cell, list[Need]]], path: Path) -> list[Cell]:
    """The cells of a paper, each with the cells that it needs, in the order given.

    Args:
        drafts: cells without needs, and what they need.
        path: the paper.yaml, for messages.

    Raises:
        UserError: a needed cell or seed does not exist, or needs form a circle.
    """
    given = {(cell.experiment, cell.method, cell.dataset, cell.setting_string): (cell, n) for cell, n in drafts}
    linked: dict[_Identity, Cell] = {}

    def make(identity: _Identity, trail: tuple[_Identity, ...]) -> Cell:
        if identity in linked:
            return linked[identity]
        cell, wanted = given[identity]
        if identity in trail:
            circle = " -> ".join(given[name][0].id for name in (*trail, identity))
            raise UserError(f"{path}: needs form a circle: {circle}")
        needs = {}
        for need in wanted:
            other = _identity(need, cell)
            if other not in given:
                raise UserError(
                    f"{path}: {cell.experiment} needs {' '.join(filter(None, other))}, "
                    f"which is no cell of tier {cell.tier}"
                )
            needs[need.as_] = make(other, (*trail, identity))
            seeds = set(cell.seeds) if need.seed is None else {need.seed}
            if missing := seeds - set(needs[need.as_].seeds):
                raise UserError(
                    f"{path}: {cell.id} needs seed {min(missing)} of {needs[need.as_].id}, which does not run that seed"
                )
        seeds_for_all = {need.as_: need.seed for need in wanted if need.seed is not None}
        linked[identity] = replace(cell, needs=needs, need_seeds=seeds_for_all) if wanted else cell
        return linked[identity]

    return [make(identity, ()) for identity in given]


def _identity(need: Need, cell: Cell) -> _Identity:
    """The cell that is needed; what the need does not name is as in the needing cell."""
    return (
        need.experiment or cell.experiment,
        need.method or cell.method,
        need.dataset or cell.dataset,
        setting_string(cell.setting if need.setting is None else need.setting),
    )
