"""What all models of configuration files share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Scalar = bool | int | float | str | None
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+@-]*$", max_length=80)]
Seeds = Annotated[int, Field(ge=0, le=100_000)] | list[Annotated[int, Field(ge=0, lt=2**31)]]


def _split_and_name(value: str) -> str:
    if value.count("/") != 1 or not all(value.split("/")):
        raise ValueError("write it as split/metric, for example test/accuracy")
    return value


Metric = Annotated[str, AfterValidator(_split_and_name)]
Tier = Literal["smoke", "laptop", "paper"]


class Strict(BaseModel):
    # a model is built when it is first used: most are parts of others, and few commands read all files
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)
