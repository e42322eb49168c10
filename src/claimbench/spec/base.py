"""What all models of configuration files share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Scalar = bool | int | float | str | None
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+@-]*$", max_length=80)]
Seeds = Annotated[int, Field(ge=0, le=100_000)] | list[Annotated[int, Field(ge=0, lt=2**31)]]
Tier = Literal["smoke", "laptop", "paper"]


class Strict(BaseModel):
    # a model is built when it is first used: most are parts of others, and few commands read all files
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)
