"""Models of ``config.yaml``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from claimbench.errors import UserError
from claimbench.spec.base import Seeds, Strict, Tier
from claimbench.spec.reading import parse, read_yaml, without_passwords


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
