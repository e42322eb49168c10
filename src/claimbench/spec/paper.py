"""Models of ``paper.yaml``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from claimbench.errors import nearest
from claimbench.spec.base import Name, Scalar, Seeds, Strict, Tier


class Resources(Strict):
    """What one job of an experiment asks of the scheduler."""

    threads: int = Field(1, ge=1, le=1024)
    mem_mb: int = Field(2000, ge=100)
    runtime_min: int = Field(60, ge=1)
    gpu: int = Field(0, ge=0, le=64)


class Budget(Strict):
    """Limits of one run: wall time in seconds, resident memory in MB."""

    wall_s: float | None = Field(None, gt=0)
    mem_mb: int | None = Field(None, ge=50)


class Need(Strict):
    """Another cell's artifact that a cell's ``fit`` reads; what is not named is as in the needing cell."""

    as_: Name = Field(alias="as")
    experiment: Name | None = None
    method: Name | None = None
    dataset: Name | None = None
    setting: dict[str, Scalar] | None = None
    #: one run serves all seeds; without it the run of the same seed
    seed: int | None = Field(None, ge=0)


class Block(Strict):
    """A product of methods, datasets and setting axes."""

    method: list[Name] = Field(min_length=1)
    dataset: list[Name] = Field(default=["none"], min_length=1)
    setting: dict[Name, list[Scalar]] = {}
    hyper: dict[str, Any] = {}
    seeds: Seeds | None = None
    needs: list[Need] = []
    run_s: float | None = Field(None, ge=0)

    @field_validator("method", "dataset", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("setting", mode="before")
    @classmethod
    def _axes(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for axis, levels in value.items():
                if isinstance(levels, list) and not levels:
                    raise ValueError(f"axis {axis!r} has no value; give at least one")
            return {axis: levels if isinstance(levels, list) else [levels] for axis, levels in value.items()}
        return value


class TierBlock(Strict):
    """The cells and the budget of one tier."""

    seeds: Seeds = 1
    hyper: dict[str, Any] = {}
    #: in place of the experiment's
    split: dict[str, Any] | None = None
    grid: list[Block] = []
    resources: dict[str, Any] = {}
    budget: Budget | None = None
    run_s: float | None = Field(None, ge=0)


class Floor(Strict):
    """The control that every other method of the experiment must not fall below."""

    metric: str
    method: Name
    higher_is_better: bool = True


class ExperimentSpec(Strict):
    """One table or figure of a paper."""

    title: str
    source: str = ""
    metric: str
    unit: str = ""
    scale: float = 1.0
    digits: int = Field(2, ge=0, le=8)
    rows: list[str] = ["method"]
    columns: list[str] = ["dataset", "setting"]
    exclusive: bool = False
    split: dict[str, Any] = {}
    hyper: dict[str, Any] = {}
    resources: dict[str, Any] = {}
    budget: Budget = Budget()
    floor: Floor | None = None
    ceiling: Floor | None = None
    tiers: dict[Tier, TierBlock] = Field(min_length=1)
    note: str = ""

    @field_validator("metric")
    @classmethod
    def _split_and_name(cls, value: str) -> str:
        if value.count("/") != 1 or not all(value.split("/")):
            raise ValueError("write it as split/metric, for example test/accuracy")
        return value


class NotRun(Strict):
    """A part of the paper that is not rerun, and why."""

    what: str
    reason: str
    experiment: str | None = None


class Code(Strict):
    url: str
    commit: str = ""
    licence: str = ""


class PaperSpec(Strict):
    """One paper: identity, hyper-parameters, experiments."""

    slug: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
    title: str
    authors: list[str]
    year: int = Field(ge=1900, le=2100)
    venue: str = ""
    arxiv: str = ""
    url: str = ""
    code: Code | None = None
    theme: str = ""
    summary: str = ""
    hyper: dict[str, Any] = {}
    resources: dict[str, Any] = {}
    experiments: dict[Name, ExperimentSpec] = Field(min_length=1)
    not_run: list[NotRun] = []
    deviations: list[str] = []
    tier_evidence: dict[Tier, Literal["full", "scaled", "proxy"]] = {
        "smoke": "proxy",
        "laptop": "scaled",
        "paper": "full",
    }

    @model_validator(mode="after")
    def _known_keys(self) -> PaperSpec:
        for name, experiment in self.experiments.items():
            known = set(self.hyper) | set(experiment.hyper)
            for tier, block in experiment.tiers.items():
                for where, hyper in [(f"tiers.{tier}", block.hyper)] + [
                    (f"tiers.{tier}.grid.{i}", cells.hyper) for i, cells in enumerate(block.grid)
                ]:
                    for key in hyper:
                        if key not in known:
                            raise ValueError(
                                f"experiments.{name}.{where}.hyper has the unknown key {key!r} ({nearest(key, known)})"
                            )
            for where, resources in [("resources", self.resources), (f"{name}.resources", experiment.resources)] + [
                (f"{name}.tiers.{tier}.resources", block.resources) for tier, block in experiment.tiers.items()
            ]:
                for key in resources:
                    if key not in Resources.model_fields:
                        raise ValueError(
                            f"{where} has the unknown key {key!r} ({nearest(key, Resources.model_fields)})"
                        )
                Resources.model_validate(resources)
        return self
