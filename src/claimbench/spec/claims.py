"""Models of ``claims.yaml``: one a kind, so that a claim has the keys of its kind and no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from claimbench.errors import UserError, nearest
from claimbench.spec.base import Strict, Tier
from claimbench.spec.paper import ExperimentSpec
from claimbench.spec.reading import parse, read_yaml

Evidence = Literal["full", "scaled", "proxy"]


class First(Strict):
    """The first of these that has results."""

    first: list[Any] = Field(description="methods, datasets or levels, the preferred one first")


class Selector(Strict):
    """Cells: what is not named matches all; a list is a set of strata; ``{first: [...]}`` the first with results."""

    method: str | list[str] | First | None = Field(None, description="a method, a list, or `{first: [...]}`")
    dataset: str | list[str] | First | None = Field(None, description="a dataset; the same")
    setting: dict[str, Any] = Field({}, description="axis to level; the same")


class Range(Strict):
    min: float | None = Field(None, description="least value")
    max: float | None = Field(None, description="largest value")


class Stated(Strict):
    """What every claim has."""

    id: str = Field(min_length=1, description="its name, as the README lists it")
    kind: str = Field(description="`value`, `better`, `ratio`, `trend`, `exact` or `none`")
    title: str = Field("", description="a few words for the scoreboard")
    text: str = Field(description="the statement")
    source: str = Field("", description="table, figure or section of the paper")
    headline: bool = Field(False, description="whether the paper rests on it")
    published_note: str = Field("", description="shown in place of the published number")
    note: str = Field("", description="a remark beside the verdict")
    reason: str = Field("", description="why it is not judged, where that is so")


class Measured(Stated):
    """What every claim with a test has."""

    experiment: str = Field(min_length=1, description="the experiment whose runs it is about")
    metric: str = Field(min_length=1, description="what is compared, written `split/name`")
    margin_reason: str = Field("", description="why this margin, written before there are results")
    tiers: list[Tier] | None = Field(None, description="the tiers that can judge it; elsewhere `reason` is shown")
    evidence: dict[Tier, Evidence] = Field({}, description="in place of the paper's `tier_evidence`")
    evidence_by_dataset: dict[str, Evidence] = Field({}, description="less than the tier's, where a dataset stands in")


class Value(Measured):
    """A measured mean equals a number within a margin."""

    kind: Literal["value"]
    select: Selector = Field(Selector(), description="its cells")
    target: float | Literal["published"] = Field(description="a number, or `published`: that of published.csv")
    margin: float | None = Field(None, description="the largest difference that counts as equal, in displayed units")
    relative_margin: float | None = Field(None, description="the same as a share of the target")
    higher_is_better: bool = Field(True, description="whether a larger value than the paper's is `exceeded`")


class Better(Measured):
    """A beats B, by paired runs."""

    kind: Literal["better"]
    a: Selector = Field(description="the cells of A")
    b: Selector = Field(description="the cells of B")
    margin: float = Field(0.0, description="the least advantage, in displayed units; negative: no worse than by that")
    higher_is_better: bool = Field(True, description="whether more of the metric is better")
    pair_by: Literal["seed"] = Field("seed", description="what pairs the runs of A and B")


class Ratio(Measured):
    """The median of A is at least a factor times that of B."""

    kind: Literal["ratio"]
    a: Selector = Field(description="the cells of A")
    b: Selector = Field(description="the cells of B")
    factor: float = Field(description="the least ratio")


class Trend(Measured):
    """A slope over an axis."""

    kind: Literal["trend"]
    select: Selector = Field(Selector(), description="its cells")
    x: str = Field(min_length=1, description="the axis, `NAME` or `setting.NAME`")
    expect: Literal["increasing", "decreasing", "constant"] | Range = Field(
        description="`increasing`, `decreasing`, `constant` or a range of slopes, `{min: ..., max: ...}`"
    )
    scale: Literal["linear", "loglog"] = Field("linear", description="`loglog` makes the slope an exponent")
    margin: float | None = Field(None, description="with `expect: constant`, the largest slope that counts as none")

    @property
    def axis(self) -> str:
        """The name of the axis."""
        return self.x.removeprefix("setting.")

    @model_validator(mode="after")
    def _margin_of_a_constant(self) -> Trend:
        if self.margin is not None and self.expect != "constant":
            raise ValueError("margin is allowed with expect: constant only")
        return self


class Exact(Measured):
    """A relation that holds for every single value."""

    kind: Literal["exact"]
    select: Selector = Field(Selector(), description="its cells")
    target: float | Literal["published"] = Field(description="a number, or `published`: that of published.csv")
    op: Literal["==", "<=", ">=", "<", ">"] = Field("==", description="the relation of a value to the target")
    margin: float | None = Field(None, description="with `==`, the largest difference")
    relative_margin: float | None = Field(None, description="the same as a share of the target")


class Untested(Stated):
    """A statement that is not tested here."""

    kind: Literal["none"]
    verdict: Literal["not run", "not testable"] = Field("not testable", description="what is shown")
    reason: str = Field(min_length=1, description="why it is not tested")


Testable = Value | Better | Ratio | Trend | Exact
Claim = Testable | Untested
_KINDS: dict[str, type[Claim]] = {
    "value": Value,
    "better": Better,
    "ratio": Ratio,
    "trend": Trend,
    "exact": Exact,
    "none": Untested,
}


def make_claim(content: Any, where: str) -> Claim:
    """A claim from its mapping.

    Raises:
        UserError: one sentence about the first fault, which names the claim.
    """
    if not isinstance(content, dict):
        raise UserError(f"{where} is {content!r}; it must be a mapping with id, kind and text")
    where = f"{where} {content.get('id', '(without id)')}"
    if "kind" not in content:
        raise UserError(f"{where}: key 'kind' is missing; allowed: {', '.join(_KINDS)}")
    kind = content["kind"]
    if not isinstance(kind, str) or kind not in _KINDS:
        raise UserError(f"{where}: kind is {kind!r} ({nearest(str(kind), _KINDS)})")
    return parse(_KINDS[kind], content, f"{where} of kind {kind}")


def load_claims(path: Path) -> list[Claim]:
    """The claims of a paper.

    Raises:
        UserError: one sentence about the first fault.
    """
    content = read_yaml(path)
    if not isinstance(content, dict) or not isinstance(content.get("claims"), list):
        raise UserError(f"{path}: it must be a mapping with the key 'claims', a list")
    for key in content:
        if key != "claims":
            raise UserError(f"{path}: unknown key {key!r} ({nearest(key, ['claims'])})")
    claims: list[Claim] = []
    for entry in content["claims"]:
        claim = make_claim(entry, f"{path}: claim")
        if any(claim.id == other.id for other in claims):
            raise UserError(f"{path}: claim id {claim.id!r} stands twice")
        claims.append(claim)
    return claims


def check_claims(claims: list[Claim], experiments: Mapping[str, ExperimentSpec], path: Path) -> None:
    """Refuse a claim about an experiment or over an axis that paper.yaml does not have.

    Raises:
        UserError: it names the claim, the wrong value and what is allowed.
    """
    for claim in claims:
        if isinstance(claim, Untested):
            continue
        if claim.experiment not in experiments:
            if claim.reason:
                continue
            raise UserError(
                f"{path}: claim {claim.id}: experiment is {claim.experiment!r}, which paper.yaml does not have "
                f"({nearest(claim.experiment, experiments)}); a claim about a part that is not run gives a reason"
            )
        blocks = [block for tier in experiments[claim.experiment].tiers.values() for block in tier.grid]
        axes = {axis for block in blocks for axis in block.setting}
        if isinstance(claim, Trend) and claim.axis not in axes:
            raise UserError(
                f"{path}: claim {claim.id}: x is {claim.x!r}, which no cell of {claim.experiment} has "
                f"({nearest(claim.x, axes)})"
            )
