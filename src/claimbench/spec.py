"""Models of ``paper.yaml`` and ``config.yaml``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from claimbench.errors import UserError, nearest
from claimbench.validation import parse, read_yaml, without_passwords

Scalar = bool | int | float | str | None
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+@-]*$", max_length=80)]
Seeds = Annotated[int, Field(ge=0, le=100_000)] | list[Annotated[int, Field(ge=0, lt=2**31)]]
Tier = Literal["smoke", "laptop", "paper"]

PAPERS_DIR = Path(__file__).parent / "papers"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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


class Tracking(Strict):
    """Where MLflow is. The configuration is written beside the results, so it never holds a password."""

    enabled: bool = True
    uri: str | None = None
    live: bool = False

    @field_validator("uri")
    @classmethod
    def _no_password(cls, value: str | None) -> str | None:
        if value is None or value.startswith("sqlite:"):
            return value
        scheme, _, rest = value.partition("://")
        user = rest.rpartition("@")[0]
        if (user and (":" in user or scheme.startswith("http"))) or without_passwords(value) != value:
            raise ValueError(
                "it must hold no password, which belongs into environment variables: MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD (or MLFLOW_TRACKING_TOKEN) for a server, PGPASSWORD for PostgreSQL"
            )
        return value

    @model_validator(mode="after")
    def _live_needs_a_server(self) -> Tracking:
        if self.live and not (self.uri or "").startswith(("http://", "https://")):
            raise ValueError("live needs uri to be the http address of a server; jobs write to no database")
        return self


class Config(Strict):
    """``config.yaml``: what a user chooses."""

    tier: Tier = "laptop"
    papers: Literal["all"] | list[str] = "all"
    experiments: dict[str, list[str]] = {}
    seeds: Seeds | None = None
    bundle: Literal["run", "cell", "experiment", "paper"] = "experiment"
    bundle_s: Annotated[float, Field(gt=0)] = 90.0
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    mirror: str | None = None
    data_dir: str = "data"
    results_dir: str = "results"
    papers_dir: str | None = None
    tracking: Tracking = Tracking()
    overrides: dict[str, dict[str, Any]] = {}

    @field_validator("papers", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) and value != "all" else value

    @field_validator("device")
    @classmethod
    def _device(cls, value: str) -> str:
        return value


def load_config(path: Path | None, values: dict[str, Any] | None = None) -> Config:
    """config.yaml with ``values`` (from the command line) on top.

    Raises:
        UserError: an unknown key or a wrong value.
    """
    content: Any = read_yaml(path) if path is not None else {}
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected keys and values at the top level, found {content!r}")
    merged = {**content, **(values or {})}
    if merged.get("mirror") is None and os.environ.get("CLAIMBENCH_MIRROR"):
        merged["mirror"] = os.environ["CLAIMBENCH_MIRROR"]
    return parse(Config, merged, path or "the configuration")


def papers_dirs(config: Config) -> list[Path]:
    """The folders that are searched for papers: the package's, then ``papers_dir`` of the configuration."""
    return [PAPERS_DIR] + ([Path(config.papers_dir)] if config.papers_dir else [])


def make_importable(config: Config) -> None:
    """Let papers of ``papers_dir`` be imported as ``claimbench.papers.<folder>``, like the package's own."""
    import claimbench.papers

    if config.papers_dir and config.papers_dir not in claimbench.papers.__path__:
        claimbench.papers.__path__.append(config.papers_dir)


def find_papers(config: Config) -> dict[str, Path]:
    """Slug -> folder of every paper found, in alphabetical order."""
    found: dict[str, Path] = {}
    for folder in papers_dirs(config):
        if not folder.is_dir():
            raise UserError(f"papers_dir is {str(folder)!r}; it must be an existing folder of paper folders")
        for path in folder.iterdir():
            if (path / "paper.yaml").is_file():
                found[path.name.replace("_", "-")] = path
    return dict(sorted(found.items()))


def load_paper(folder: Path) -> PaperSpec:
    """The paper in ``folder``."""
    path = folder / "paper.yaml"
    spec = parse(PaperSpec, read_yaml(path), path)
    expected = folder.name.replace("_", "-")
    if spec.slug != expected:
        raise UserError(f"{path}: slug is {spec.slug!r}; it must be the folder's name, {expected!r}")
    return spec


def selected_papers(config: Config) -> Iterator[tuple[PaperSpec, Path]]:
    """The papers that the configuration asks for.

    Raises:
        UserError: a name in ``papers``, ``experiments`` or ``overrides`` that does not exist.
    """
    found = find_papers(config)
    wanted = list(found) if config.papers == "all" else list(dict.fromkeys(config.papers))
    for key, names in (("papers", wanted), ("experiments", config.experiments), ("overrides", config.overrides)):
        for name in names:
            if name not in found:
                raise UserError(f"config.yaml: {key} names {name!r}, which is no paper ({nearest(name, found)})")
    for slug in wanted:
        yield load_paper(found[slug]), found[slug]


def identifier(name: str) -> str:
    """``Top-To-Input`` -> ``top_to_input``: how experiments and methods appear in function names."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
