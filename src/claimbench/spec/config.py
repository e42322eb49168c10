"""Models of ``config.yaml``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from claimbench.errors import UserError
from claimbench.spec.base import Seeds, Strict, Tier
from claimbench.spec.reading import merge, parse, read_yaml, without_passwords


class Tracking(Strict):
    """Where MLflow is. The configuration is written beside the results, so it never holds a password."""

    enabled: bool = Field(True, description="whether runs are imported")
    uri: str | None = Field(None, description="an MLflow server or database; null is the local `results/mlflow.db`")
    live: bool = Field(False, description="whether points of long runs reach the server while they train")

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

    tier: Tier = Field("laptop", description="which budget is run")
    papers: Literal["all"] | list[str] = Field("all", description="or a list of slugs")
    experiments: dict[str, list[str]] = Field({}, description="only these experiments of a paper")
    seeds: Seeds | None = Field(None, description="a number or a list; replaces the seeds of every experiment")
    bundle: Literal["run", "cell", "experiment", "paper"] = Field(
        "experiment", description="how many runs one process executes"
    )
    bundle_s: Annotated[float, Field(gt=0)] = Field(
        90.0, description="with `bundle: experiment`, how many seconds a job may be declared to take"
    )
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = Field(
        "auto", description="`auto` gives a GPU to the jobs that ask for one; or `cpu`, `cuda`, `cuda:1`"
    )
    mirror: str | None = Field(None, description="a folder with datasets; also `CLAIMBENCH_MIRROR`")
    data_dir: str = Field("data", description="folder of downloaded and prepared data")
    results_dir: str = Field("results", description="folder of the results")
    papers_dir: str | None = Field(None, description="a folder with papers outside the package")
    tracking: Tracking = Field(Tracking(), description="MLflow")
    overrides: dict[str, dict[str, Any]] = Field({}, description="hyper-parameters by paper and experiment")

    @field_validator("mirror", "data_dir", "results_dir", "papers_dir")
    @classmethod
    def _home(cls, value: str | None) -> str | None:
        """``~`` and ``~user`` are expanded here and nowhere else."""
        found = os.path.expanduser(value) if value else value
        if found and found.startswith("~"):
            raise ValueError("this home folder is not known; a folder that is called so is written ./~...")
        return found

    @field_validator("results_dir")
    @classmethod
    def _no_pattern(cls, value: str) -> str:
        if "{" in value or "}" in value or not value.isprintable():
            raise ValueError("it must be without { and }, which Snakemake takes for patterns, and without line breaks")
        return value

    @field_validator("papers", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) and value != "all" else value


def load_config(path: Path | None, values: dict[str, Any] | None = None) -> Config:
    """config.yaml with ``values`` (from the command line) on top; within mappings, key by key.

    Raises:
        UserError: an unknown key or a wrong value.
    """
    content: Any = read_yaml(path) if path is not None else {}
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected keys and values at the top level, found {content!r}")
    merged = merge(content, values or {})
    if merged.get("mirror") is None and os.environ.get("CLAIMBENCH_MIRROR"):
        merged["mirror"] = os.environ["CLAIMBENCH_MIRROR"]
    return parse(Config, merged, path or "the configuration")
