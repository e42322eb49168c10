"""Cells and runs, with their keys."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from claimbench.files import digest
from claimbench.spec.paper import Budget


def setting_string(setting: dict[str, Any]) -> str:
    """``{"k": 5, "mode": "ntk"}`` -> ``"k=5,mode=ntk"``, keys sorted."""
    return ",".join(f"{axis}={_level(value)}" for axis, value in sorted(setting.items()))


def _level(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, eq=False)
class Cell:
    """A method on a dataset in a setting, with everything that decides its result but the seed.

    Nothing of it changes once it is made, so its digest is computed once.
    """

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
    seeds: tuple[int, ...]
    fit_code: str
    score_code: str
    data: str
    run_s: float | None = None
    needs: dict[str, Cell] = field(default_factory=dict)
    #: needs that one seed meets for all
    need_seeds: dict[str, int] = field(default_factory=dict)

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
