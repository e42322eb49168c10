"""Models of ``claims.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from claimbench.errors import UserError
from claimbench.spec.base import Strict, Tier
from claimbench.spec.reading import parse, read_yaml

Evidence = Literal["full", "scaled", "proxy"]


class First(Strict):
    """The first of these that has results."""

    first: list[Any]


Choice = Any


class Selector(Strict):
    """Cells: what is not named matches all; a list is a set of strata; ``{first: [...]}`` the first with results."""

    method: str | list[str] | First | None = None
    dataset: str | list[str] | First | None = None
    setting: dict[str, Any] = {}


class Range(Strict):
    min: float | None = None
    max: float | None = None


class Claim(Strict):
    """A testable statement of a paper."""

    id: str
    title: str = ""
    text: str
    source: str = ""
    headline: bool = False
    kind: Literal["value", "better", "ratio", "trend", "exact", "none"]
    experiment: str = ""
    metric: str = ""
    select: Selector = Selector()
    a: Selector | None = None
    b: Selector | None = None
    higher_is_better: bool = True
    pair_by: str = "seed"
    target: float | Literal["published"] | None = None
    margin: float | None = None
    relative_margin: float | None = None
    factor: float | None = None
    x: str | None = None
    expect: Literal["increasing", "decreasing", "constant"] | Range | None = None
    scale: Literal["linear", "loglog"] = "linear"
    op: Literal["==", "<=", ">=", "<", ">"] = "=="
    margin_reason: str = ""
    #: the tiers that can judge it; elsewhere it is not run, for ``reason``
    tiers: list[Tier] | None = None
    evidence: dict[Tier, Evidence] = {}
    evidence_by_dataset: dict[str, Evidence] = {}
    published_note: str = ""
    verdict: Literal["not run", "not testable"] | None = None
    reason: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Claim:
        need = {
            "value": ("experiment", "metric", "target"),
            "better": ("experiment", "metric", "a", "b"),
            "ratio": ("experiment", "metric", "a", "b", "factor"),
            "trend": ("experiment", "metric", "x", "expect"),
            "exact": ("experiment", "metric", "target"),
            "none": ("reason",),
        }[self.kind]
        for key in need:
            if getattr(self, key) in (None, ""):
                raise ValueError(f"claim {self.id} of kind {self.kind} needs the key {key!r}")
        return self


class Claims(Strict):
    claims: list[Claim] = []

    @model_validator(mode="after")
    def _unique(self) -> Claims:
        seen: set[str] = set()
        for claim in self.claims:
            if claim.id in seen:
                raise ValueError(f"claim id {claim.id!r} stands twice")
            seen.add(claim.id)
        return self


def load_claims(path: Path) -> list[Claim]:
    """The claims of a paper.

    Raises:
        UserError: one sentence about the first fault.
    """
    if not path.is_file():
        raise UserError(f"{path}: this file does not exist")
    return parse(Claims, read_yaml(path), path).claims
