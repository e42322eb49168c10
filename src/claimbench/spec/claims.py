"""Models of ``claims.yaml``: one a kind, so that a claim has the keys of its kind and no other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, FiniteFloat, field_validator, model_validator

from claimbench.errors import UserError, nearest
from claimbench.spec.base import Metric, Strict, Tier
from claimbench.spec.paper import ExperimentSpec
from claimbench.spec.reading import parse, read_yaml
from claimbench.spec.settings import level_text

Evidence = Literal["full", "scaled", "proxy"]


class First(Strict):
    """The first of these that has results."""

    first: list[Any] = Field(min_length=1, description="methods, datasets or levels, the preferred one first")


class Selector(Strict):
    """Cells: what is not named matches all; a list is a set of strata; ``{first: [...]}`` the first with results."""

    method: str | list[str] | First | None = Field(None, description="a method, a list, or `{first: [...]}`")
    dataset: str | list[str] | First | None = Field(None, description="a dataset; the same")
    setting: dict[str, Any] = Field({}, description="axis to level; the same")

    @field_validator("setting")
    @classmethod
    def _levels(cls, value: dict[str, Any]) -> dict[str, Any]:
        for axis, wanted in value.items():
            if isinstance(wanted, dict):
                if set(wanted) != {"first"} or not isinstance(wanted["first"], list) or not wanted["first"]:
                    raise ValueError(f"the levels of axis {axis!r} are a level, a list of levels or {{first: [...]}}")
                value[axis] = First(first=wanted["first"])
            elif wanted == []:
                raise ValueError(f"axis {axis!r} has no level; give at least one")
        return value

    @field_validator("method", "dataset")
    @classmethod
    def _some(cls, value: Any) -> Any:
        if value == []:
            raise ValueError("give at least one")
        return value

    def named(self) -> dict[str, list[Any]]:
        """What it names: ``method``, ``dataset`` and the axes of the setting, each with its members."""
        given = {"method": self.method, "dataset": self.dataset, **self.setting}
        return {
            key: wanted.first if isinstance(wanted, First) else wanted if isinstance(wanted, list) else [wanted]
            for key, wanted in given.items()
            if wanted is not None
        }


class Range(Strict):
    min: FiniteFloat | None = Field(None, description="least value")
    max: FiniteFloat | None = Field(None, description="largest value")

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError(f"min {self.min:g} is not below max {self.max:g}")
        return self


class Stated(Strict):
    """What every claim has."""

    id: str = Field(min_length=1, description="its name, as the README lists it")
    kind: str = Field(description="`value`, `better`, `ratio`, `trend`, `exact` or `none`")
    title: str = Field("", description="a few words for the scoreboard")
    text: str = Field(description="the statement")
    source: str = Field("", description="table, figure or section of the paper")
    headline: bool = Field(False, description="whether the paper rests on it")
    origin: Literal["paper", "ours"] = Field("paper", description="`ours`: a finding of this project, not of the paper")
    published_note: str = Field("", description="shown in place of the published number")
    note: str = Field("", description="a remark beside the verdict")
    reason: str = Field("", description="why it is not judged, where that is so")


class Measured(Stated):
    """What every claim with a test has."""

    experiment: str = Field(min_length=1, description="the experiment whose runs it is about")
    metric: Metric = Field(description="what is compared, written `split/name`")
    margin_reason: str = Field("", description="why this margin, written before there are results")
    tiers: list[Tier] | None = Field(None, description="the tiers that can judge it; elsewhere `reason` is shown")
    evidence: dict[Tier, Evidence] = Field({}, description="in place of the paper's `tier_evidence`")
    evidence_by_dataset: dict[str, Evidence] = Field({}, description="less than the tier's, where a dataset stands in")
    complete: float = Field(1.0, gt=0, le=1, description="the share of its planned units that must have every run")
    unit: Literal["seed", "dataset"] = Field(
        "seed", description="what was drawn: it speaks of other seeds on these datasets, or of other datasets"
    )
    resplits: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="the seeds are random splits of the same tables, with so many test rows for each training row",
    )
    curve: str | None = Field(
        None, description="a logged series; while it still improves, less than the full protocol contradicts nothing"
    )
    deterministic: bool = Field(False, description="the seed cannot move the metric: compared exactly, not tested")


def _give_reason(claim: Measured) -> None:
    if not claim.margin_reason.strip():
        raise ValueError("a margin needs its margin_reason, written before there are results")


class Value(Measured):
    """A measured mean equals a number within a margin."""

    kind: Literal["value"]
    select: Selector = Field(Selector(), description="its cells")
    target: FiniteFloat | Literal["published"] = Field(description="a number, or `published`: that of published.csv")
    margin: FiniteFloat | None = Field(
        None, gt=0, description="the largest difference that counts as equal, in displayed units"
    )
    relative_margin: FiniteFloat | None = Field(None, gt=0, description="the same as a share of the target")
    higher_is_better: bool | None = Field(
        None,
        description="on which side a value beyond the margin is `exceeded`; left out, it is `contradicted` on both",
    )

    @model_validator(mode="after")
    def _one_margin(self) -> Value:
        if (self.margin is None) == (self.relative_margin is None):
            raise ValueError("give either margin or relative_margin, above 0")
        _give_reason(self)
        return self


class Better(Measured):
    """A beats B, by paired runs."""

    kind: Literal["better"]
    a: Selector = Field(description="the cells of A")
    b: Selector = Field(description="the cells of B")
    margin: FiniteFloat = Field(
        0.0, description="the least advantage, in displayed units; negative: no worse than by that"
    )
    higher_is_better: bool = Field(True, description="whether more of the metric is better")
    pair_by: Literal["seed"] = Field("seed", description="what pairs the runs of A and B")
    chance: FiniteFloat | dict[str, FiniteFloat] | None = Field(
        None, description="the metric where nothing was learned, in displayed units; or one number for each dataset"
    )

    @model_validator(mode="after")
    def _reason_of_a_margin(self) -> Better:
        if self.margin:
            _give_reason(self)
        return self


class Ratio(Measured):
    """A is at least a factor times B, in the geometric mean over paired runs."""

    kind: Literal["ratio"]
    a: Selector = Field(description="the cells of A")
    b: Selector = Field(description="the cells of B")
    factor: FiniteFloat = Field(gt=0, description="the least ratio")


class Trend(Measured):
    """A slope over an axis."""

    kind: Literal["trend"]
    select: Selector = Field(Selector(), description="its cells")
    x: str = Field(min_length=1, description="the axis, `NAME` or `setting.NAME`")
    expect: Literal["increasing", "decreasing", "constant"] | Range = Field(
        description="`increasing`, `decreasing`, `constant` or a range of slopes, `{min: ..., max: ...}`"
    )
    scale: Literal["linear", "loglog"] = Field("linear", description="`loglog` makes the slope an exponent")
    margin: FiniteFloat | None = Field(
        None, gt=0, description="with `expect: constant`, the largest slope that counts as none"
    )
    chance: FiniteFloat | dict[str, FiniteFloat] | None = Field(
        None, description="the metric where nothing was learned, in displayed units; or one number for each dataset"
    )

    @property
    def axis(self) -> str:
        """The name of the axis."""
        return self.x.removeprefix("setting.")

    @model_validator(mode="after")
    def _margin_of_a_constant(self) -> Trend:
        if self.margin is not None and self.expect != "constant":
            raise ValueError("margin is allowed with expect: constant only")
        if self.expect == "constant":
            if self.margin is None:
                raise ValueError("expect: constant needs a margin above 0, the largest slope that counts as none")
            _give_reason(self)
        return self


class Exact(Measured):
    """A relation that holds for every single value."""

    kind: Literal["exact"]
    select: Selector = Field(Selector(), description="its cells")
    target: FiniteFloat | Literal["published"] = Field(description="a number, or `published`: that of published.csv")
    op: Literal["==", "<=", ">=", "<", ">"] = Field("==", description="the relation of a value to the target")
    margin: FiniteFloat | None = Field(None, ge=0, description="with `==`, the largest difference")
    relative_margin: FiniteFloat | None = Field(None, ge=0, description="the same as a share of the target")

    @model_validator(mode="after")
    def _margin_of_an_equality(self) -> Exact:
        if self.op != "==" and (self.margin is not None or self.relative_margin is not None):
            raise ValueError("margin is allowed with op: == only")
        if self.margin is not None and self.relative_margin is not None:
            raise ValueError("give either margin or relative_margin")
        return self


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
    """Refuse a claim about an experiment, an axis, or members of a selection that paper.yaml does not have.

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
        has = _members(experiments[claim.experiment])
        if isinstance(claim, Trend) and claim.axis not in has:
            raise UserError(
                f"{path}: claim {claim.id}: x is {claim.x!r}, which no cell of {claim.experiment} has "
                f"({nearest(claim.x, set(has) - {'method', 'dataset'})})"
            )
        if claim.tiers is None or set(claim.tiers) & set(experiments[claim.experiment].tiers):
            _check_selectors(claim, has, path)


def _members(experiment: ExperimentSpec) -> dict[str, set[str]]:
    """The methods, the datasets and the levels of each axis that some tier of an experiment runs."""
    has: dict[str, set[str]] = defaultdict(set)
    for block in (block for tier in experiment.tiers.values() for block in tier.grid):
        named: dict[str, Sequence[Any]] = {"method": block.method, "dataset": block.dataset, **block.setting}
        for key, members in named.items():
            has[key] |= {level_text(member) for member in members}
    return has


def _check_selectors(claim: Testable, has: Mapping[str, set[str]], path: Path) -> None:
    sides: dict[str, Selector] = {}
    if isinstance(claim, Better | Ratio):
        sides |= {"a": claim.a, "b": claim.b}
    else:
        sides["select"] = claim.select
    for side, selector in sides.items():
        for key, members in selector.named().items():
            where = f"{path}: claim {claim.id}: {side}.{key if key in ('method', 'dataset') else f'setting.{key}'}"
            if key not in has:
                raise UserError(f"{where} names an axis that no cell of {claim.experiment} has ({nearest(key, has)})")
            for member in map(level_text, members):
                if member not in has[key]:
                    raise UserError(
                        f"{where} names {member!r}, which no cell of {claim.experiment} has "
                        f"({nearest(member, has[key])})"
                    )
