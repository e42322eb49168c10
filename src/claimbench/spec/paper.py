"""Models of ``paper.yaml``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from claimbench.errors import nearest
from claimbench.spec.base import Metric, Name, Scalar, Seeds, Strict, Tier
from claimbench.spec.settings import RESERVED


class Resources(Strict):
    """What one job of an experiment asks of the scheduler."""

    threads: int = Field(1, ge=1, le=1024, description="CPU threads of a job")
    mem_mb: int = Field(2000, ge=100, description="memory of a job, in MB")
    runtime_min: int = Field(60, ge=1, description="wall time of a job, in minutes, for a cluster's scheduler")
    gpu: int = Field(0, ge=0, le=64, description="GPUs of a job")


class Budget(Strict):
    """Limits of one run: wall time in seconds, resident memory in MB."""

    wall_s: float | None = Field(None, gt=0, description="wall seconds of a run, beyond which it ends as `timeout`")
    mem_mb: int | None = Field(None, ge=50, description="resident memory in MB, beyond which it ends as `oom`")


class Need(Strict):
    """Another cell's artifact that a cell's ``fit`` reads; what is not named is as in the needing cell."""

    as_: Name = Field(alias="as", description="its name in `run.inputs`")
    experiment: Name | None = Field(None, description="its experiment; left out, as in the needing cell")
    method: Name | None = Field(None, description="its method; the same")
    dataset: Name | None = Field(None, description="its dataset; the same")
    setting: dict[str, Scalar] | None = Field(None, description="its setting; the same")
    seed: int | None = Field(None, ge=0, description="one run serves all seeds; left out, the run of the same seed")


class Block(Strict):
    """A product of methods, datasets and setting axes."""

    method: list[Name] = Field(min_length=1, description="methods")
    dataset: list[Name] = Field(default=["none"], min_length=1, description="registered datasets; `none` reads no data")
    setting: dict[Name, list[Scalar]] = Field({}, description="axes with their levels")
    hyper: dict[str, Any] = Field({}, description="hyper-parameters of these cells; each is declared further up")
    seeds: Seeds | None = Field(None, description="a number of seeds or a list; left out, the tier's")
    needs: list[Need] = Field([], description="artifacts of other cells that `fit` reads")
    run_s: float | None = Field(None, ge=0, description="CPU-seconds of a run; jobs are cut and ordered by it")

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
                for text in (axis, *(levels if isinstance(levels, list) else [levels])):
                    if isinstance(text, str) and any(sign in text for sign in RESERVED):
                        raise ValueError(
                            f"axis {axis!r} has {text!r}; allowed: text without comma, equals sign and line break"
                        )
            return {axis: levels if isinstance(levels, list) else [levels] for axis, levels in value.items()}
        return value


class TierBlock(Strict):
    """The cells and the budget of one tier."""

    seeds: Seeds = Field(1, description="a number of seeds or a list")
    hyper: dict[str, Any] = Field({}, description="hyper-parameters of the tier; each is declared further up")
    split: dict[str, Any] | None = Field(None, description="in place of the experiment's")
    grid: list[Block] = Field([], description="the cells, as products")
    resources: dict[str, Any] = Field({}, description="over the experiment's")
    budget: Budget | None = Field(None, description="in place of the experiment's")
    joins: Name | None = Field(
        None, description="an experiment whose jobs take these cells too, so that seconds of work share their imports"
    )
    run_s: float | None = Field(None, ge=0, description="CPU-seconds of a run where a grid block gives none")


class Floor(Strict):
    """The control that every other method of the experiment must not fall below."""

    metric: Metric = Field(description="written `split/name`")
    method: Name = Field(description="the control")
    higher_is_better: bool = Field(True, description="whether more of the metric is better")


class ExperimentSpec(Strict):
    """One table or figure of a paper."""

    title: str = Field(description="heading of the table")
    source: str = Field("", description="table, figure or section of the paper")
    metric: Metric = Field(description="what the table shows, written `split/name`, for example `test/accuracy`")
    unit: str = Field("", description="unit of the displayed numbers, for example `%`")
    scale: float = Field(1.0, description="measured numbers are shown times this; the same for margins and targets")
    digits: int = Field(2, ge=0, le=8, description="decimal places in the tables")
    rows: list[str] = Field(["method"], description="what the rows of the table are")
    columns: list[str] = Field(["dataset", "setting"], description="what its columns are")
    exclusive: bool = Field(False, description="measures times: its runs have the machine to themselves")
    split: dict[str, Any] = Field(
        {}, description="how the data is split: `protocol` and its parameters; `$axis` is a cell's level of that axis"
    )
    hyper: dict[str, Any] = Field({}, description="hyper-parameters and their defaults, declared here or by the paper")
    resources: dict[str, Any] = Field({}, description="over the paper's")
    budget: Budget = Field(Budget(), description="limits of one run")
    floor: Floor | None = Field(None, description="control that no other method may fall below")
    ceiling: Floor | None = Field(None, description="control that no other method may exceed")
    tiers: dict[Tier, TierBlock] = Field(min_length=1, description="what each tier runs")
    published: list[str] = Field(
        [], description="experiments whose published numbers `run.published` gives; left out, its own"
    )
    note: str = Field("", description="a remark below the table")


class NotRun(Strict):
    """A part of the paper that is not rerun, and why."""

    what: str = Field(description="the part")
    reason: str = Field(description="why")
    experiment: str | None = Field(None, description="its name in published.csv")


class Code(Strict):
    url: str = Field(description="address of the authors' code")
    commit: str = Field("", description="the commit that was read")
    licence: str = Field("", description="its licence")


class PaperSpec(Strict):
    """One paper: identity, hyper-parameters, experiments."""

    slug: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60, description="the folder's name")]
    title: str = Field(description="title of the paper")
    authors: list[str] = Field(description="its authors")
    year: int = Field(ge=1900, le=2100, description="year of publication")
    venue: str = Field("", description="journal or conference")
    arxiv: str = Field("", description="arXiv number")
    url: str = Field("", description="address")
    code: Code | None = Field(None, description="the authors' code")
    theme: str = Field("", description="subject, for the report")
    summary: str = Field("", description="what the paper says, in a few sentences")
    hyper: dict[str, Any] = Field({}, description="hyper-parameters and their defaults")
    sabotages: dict[Name, str] = Field({}, description="values of `run.h.sabotage`, each with what it does")
    resources: dict[str, Any] = Field({}, description="what a job asks of the scheduler")
    tier_resources: dict[Tier, dict[str, Any]] = Field({}, description="over `resources`, in one tier")
    experiments: dict[Name, ExperimentSpec] = Field(min_length=1, description="tables and figures")
    not_run: list[NotRun] = Field([], description="parts that are not rerun, and why")
    deviations: list[str] = Field([], description="what differs from the paper")
    tier_evidence: dict[Tier, Literal["full", "scaled", "proxy"]] = Field(
        {"smoke": "proxy", "laptop": "scaled", "paper": "full"}, description="how much a tier's verdicts prove"
    )

    @model_validator(mode="after")
    def _known_keys(self) -> PaperSpec:
        printed = {*self.experiments, *filter(None, (part.experiment for part in self.not_run))}
        for name, experiment in self.experiments.items():
            for other in experiment.published:
                if other not in printed:
                    raise ValueError(
                        f"experiments.{name}.published names {other!r}, which is no experiment "
                        f"({nearest(other, printed)})"
                    )
            for tier, block in experiment.tiers.items():
                if block.joins is not None:
                    self._refuse_to_join(name, tier, block.joins)
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
            for where, resources in [
                ("resources", self.resources),
                *((f"tier_resources.{tier}", given) for tier, given in self.tier_resources.items()),
                (f"{name}.resources", experiment.resources),
                *((f"{name}.tiers.{tier}.resources", block.resources) for tier, block in experiment.tiers.items()),
            ]:
                for key in resources:
                    if key not in Resources.model_fields:
                        raise ValueError(
                            f"{where} has the unknown key {key!r} ({nearest(key, Resources.model_fields)})"
                        )
                Resources.model_validate(resources)
        return self

    def _refuse_to_join(self, name: str, tier: Tier, host: str) -> None:
        allowed = [
            other
            for other, experiment in self.experiments.items()
            if other != name
            and tier in experiment.tiers
            and experiment.tiers[tier].joins is None
            and experiment.exclusive == self.experiments[name].exclusive
        ]
        if host not in allowed:
            raise ValueError(
                f"experiments.{name}.tiers.{tier}.joins is {host!r}; allowed: {', '.join(allowed) or 'nothing'} (an "
                "experiment of the tier that joins none and is as exclusive)"
            )
