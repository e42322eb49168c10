"""From a claim and the runs to what is tested: one effect a unit, and the region of effects that the claim allows."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from claimbench.judge import budget, selection, statistics
from claimbench.judge.regions import Region
from claimbench.judge.statistics import Estimate
from claimbench.spec.claims import Better, Exact, Measured, Range, Ratio, Selector, Testable, Trend, Value

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
_OPS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True)
class Context:
    """What the claims of a paper are judged from; both frames with ``axes``, see :mod:`claimbench.judge.selection`."""

    frame: pd.DataFrame
    published: pd.DataFrame
    tier: str
    tier_evidence: dict[str, str]
    experiments: dict[str, Row]
    #: run_key, series, step, value
    curves: pd.DataFrame | None = None


@dataclass(frozen=True)
class Effects:
    """An effect for each unit and stratum, in displayed units (logarithms of a ratio), with what its test needs."""

    table: pd.DataFrame
    size: float
    overlap: float | None = None
    certain: bool = False
    other: tuple[float, int] | None = None

    def estimate(self) -> Estimate:
        """The mean over the strata of a unit, then over the units."""
        return statistics.estimate(self.table.mean(axis=1), self.size, self.overlap, self.certain, self.other)


@dataclass(frozen=True)
class Question:
    """A claim with its data. ``row`` is what the table of verdicts says beside the verdict."""

    claim: Testable
    row: Row
    effects: Effects | None = None
    #: the allowed effects when all margins are multiplied by a number
    region: Callable[[float], Region] = lambda _: Region()
    #: the verdict at such a number, where nothing is tested
    settled: Callable[[float], str] | None = None
    #: why it can only be inconclusive
    blocked: str = ""
    #: why it cannot be reproduced
    unproven: str = ""
    #: why it cannot be contradicted
    improving: str = ""
    #: the effect beyond which the published one is exceeded
    beyond: Callable[[float], float] | None = None


def ask(claim: Testable, row: Row, context: Context) -> Question | None:
    """What a claim asks of the runs; None, with the reason in ``row``, when this tier does not judge it."""
    if claim.tiers is not None and context.tier not in claim.tiers:
        row["reason"] = claim.reason or f"judged at tier {' or '.join(claim.tiers)} only"
        return None
    if not (context.frame["experiment"] == claim.experiment).any():
        row["reason"] = claim.reason or f"the experiment {claim.experiment} has no cells in tier {context.tier}"
        return None
    chosen = selection.sides(claim, context.frame)
    if any(part.empty for part in chosen):
        row["reason"] = claim.reason or f"its cells are not part of tier {context.tier}"
        return None
    for part in chosen:
        if set(part["status"]) == {"skipped"}:
            row["reason"] = claim.reason or f"skipped: {part['reason'].iloc[0]}"
            return None
        done = part[part["status"] == "done"]
        if len(done) == len(part) and not (done["name"] == claim.metric).any():
            row["reason"] = claim.reason or "no cell reported this metric"
            return None
    basis = selection.basis(claim, chosen)
    row |= {"reason": "", "n": basis.complete, "n_planned": basis.planned}
    row["evidence"] = _evidence(claim, chosen, context)
    cells = {cell for part in basis.rows for cell in zip(part["method"], part["dataset"], part["setting"], strict=True)}
    row["cells"] = json.dumps(sorted(cells), separators=(",", ":"))
    what = "runs" if isinstance(claim, Exact) else f"{claim.unit}s"
    blocked = ""
    if not basis.planned:
        blocked = "no seed is planned in all of its cells"
    elif basis.complete < claim.complete * basis.planned:
        blocked = f"{basis.complete} of {basis.planned} {what} are complete: {basis.lost}"
    if basis.diverged:
        row["note"] = "; ".join(filter(None, [row["note"], f"{basis.diverged} runs of A diverged: worst value"]))
    if not basis.complete:
        return Question(claim, row, blocked=blocked)
    scale = float(context.experiments.get(claim.experiment, {}).get("scale", 1.0))
    question = _KINDS[type(claim)](claim, row, basis.rows, scale, context)
    nothing, unproven = _unlearned(claim, basis.rows, scale, context)
    blocked = blocked or question.blocked or nothing
    improving = ""
    if claim.curve is not None and context.curves is not None and row["evidence"] != "full":
        improving = budget.improving(chosen[0], context.curves, claim.curve)
    return replace(question, blocked=blocked, unproven=unproven, improving=improving)


def _evidence(claim: Testable, chosen: list[pd.DataFrame], context: Context) -> str:
    order = ("proxy", "scaled", "full")
    base = claim.evidence.get(context.tier, context.tier_evidence[context.tier])  # type: ignore[call-overload]
    datasets = {name for part in chosen for name in part["dataset"]}
    return min(
        [base, *(claim.evidence_by_dataset[d] for d in datasets if d in claim.evidence_by_dataset)], key=order.index
    )


def _unlearned(claim: Testable, rows: list[pd.DataFrame], scale: float, context: Context) -> tuple[str, str]:
    """Why a comparison says nothing, or cannot be reproduced: arms that are no better than what has learned nothing.

    A method that is better than another must have learned something, or the other have; that it is no worse says
    something only where both have.
    """
    if not isinstance(claim, Better | Trend):
        return "", ""
    chance = _chance(claim, {data for part in rows for data in part["dataset"]}, context)
    if chance is None:
        return "", ""
    sign = 1.0 if not isinstance(claim, Better) or claim.higher_is_better else -1.0
    learned = []
    for part in rows:
        lead = sign * (part.groupby("unit")["value"].mean() * scale - chance)
        found = statistics.estimate(lead, float(part["value"].abs().max()) * scale, claim.resplits)
        learned.append((found.sd == 0 and found.effect > 0) or found.above(0.0) <= statistics.ALPHA)
    at = f"at chance ({format_value(chance, claim, context)})"
    if not any(learned):
        return f"nothing was learned: {'both arms are' if len(rows) > 1 else 'it is'} {at}", ""
    needs_both = isinstance(claim, Better) and claim.margin < 0
    return "", f"an arm is {at}" if needs_both and not all(learned) else ""


def _chance(claim: Better | Trend, datasets: set[str], context: Context) -> float | None:
    """What learns nothing reaches on these datasets: as the claim says, else the control of the experiment."""
    if isinstance(claim.chance, dict):
        known = [claim.chance[name] for name in datasets if name in claim.chance]
        return sum(known) / len(known) if known else None
    if claim.chance is not None:
        return claim.chance
    floor = context.experiments.get(claim.experiment, {}).get("floor")
    if not floor or floor["metric"] != claim.metric:
        return None
    frame = context.frame
    control = frame[
        (frame["experiment"] == claim.experiment)
        & (frame["method"] == floor["method"])
        & (frame["name"] == claim.metric)
        & frame["dataset"].isin(datasets)
    ]
    scale = float(context.experiments[claim.experiment].get("scale", 1.0))
    return None if control.empty else float(control.groupby("dataset")["value"].mean().mean()) * scale


def format_value(value: float, claim: Measured, context: Context) -> str:
    """A number with the digits of its experiment."""
    digits = context.experiments.get(claim.experiment, {}).get("digits", 3)
    return f"{value:.{digits}f}" if abs(value) >= 10.0**-digits or value == 0 else f"{value:.3g}"


def _published(claim: Measured, selector: Selector, context: Context) -> pd.DataFrame:
    of = context.published
    of = of[(of["experiment"] == claim.experiment) & (of["metric"] == claim.metric)]
    for column, wanted in (("method", selector.method), ("dataset", selector.dataset)):
        if wanted is not None:
            of = selection.narrow(of, of[column], wanted)
    for axis, wanted in selector.setting.items():
        if of["axes"].map(lambda axes, axis=axis: axis in axes).any():
            of = selection.narrow(of, of["axes"].map(lambda axes, axis=axis: axes.get(axis)), wanted)
    return of


def _target(claim: Value | Exact, context: Context) -> tuple[float | None, tuple[float, int] | None]:
    """The number that a claim compares with, and the sd and n of a single published one."""
    if claim.target != "published":
        return float(claim.target), None
    found = _published(claim, claim.select, context)
    if found.empty:
        return None, None
    spread = None
    if len(found) == 1 and float(found["n"].iloc[0] or math.nan) > 1:
        n, width = int(found["n"].iloc[0]), float(found["spread"].iloc[0])
        kind = found["spread_kind"].iloc[0]
        spread = (width, n) if kind == "sd" else (width * math.sqrt(n), n) if kind == "se" else None
    return float(found["value"].mean()), spread


def _width(claim: Value | Exact, target: float) -> float:
    return claim.margin if claim.margin is not None else (claim.relative_margin or 0.0) * abs(target)


def _value(claim: Value, row: Row, rows: list[pd.DataFrame], scale: float, context: Context) -> Question:
    target, other = _target(claim, context)
    if target is None:
        return Question(claim, row, blocked="published.csv has no number for this selection")
    found = rows[0].groupby("unit")["value"].mean() * scale
    margin = _width(claim, target)
    sd = float(found.std(ddof=1)) if len(found) > 1 else 0.0
    row |= {
        "margin": margin,
        "published": row["published"] or format_value(target, claim, context),
        "measured": f"{format_value(float(found.mean()), claim, context)} ± {format_value(sd, claim, context)}",
        "effect": "difference from the published value",
    }
    if row["evidence"] != "full":
        row |= {"reason": "a value is judged only at the full protocol", "diff": float(found.mean()) - target}
        return Question(claim, row, settled=lambda _: "not run")
    size = max(float(found.abs().max()), abs(target))
    effects = Effects((found - target).to_frame(), size, claim.resplits, claim.deterministic, other)
    return Question(claim, row, effects, lambda by: Region(-margin * by, margin * by))


def _better(claim: Better, row: Row, rows: list[pd.DataFrame], scale: float, context: Context) -> Question:
    sign = 1.0 if claim.higher_is_better else -1.0
    a, b = (part.groupby(["unit", "stratum"])["value"].mean() * scale for part in rows)
    row |= {
        "margin": claim.margin,
        "measured": " vs ".join(format_value(float(side.mean()), claim, context) for side in (a, b)),
        "effect": "advantage",
    }
    printed = [_published(claim, selector, context) for selector in (claim.a, claim.b)]
    beyond = None
    if all(len(part) for part in printed):
        values = [float(part["value"].mean()) for part in printed]
        row["published"] = row["published"] or " vs ".join(format_value(v, claim, context) for v in values)
        lead = sign * (values[0] - values[1])
        if lead > 0:
            beyond = lambda by: max(lead, 0.0) + abs(claim.margin) * by  # noqa: E731
    size = max(float(a.abs().max()), float(b.abs().max()))
    effects = Effects((sign * (a - b)).unstack("stratum"), size, claim.resplits, claim.deterministic)
    return Question(claim, row, effects, lambda by: Region(low=claim.margin * by, closed=False), beyond=beyond)


def _ratio(claim: Ratio, row: Row, rows: list[pd.DataFrame], scale: float, context: Context) -> Question:
    a, b = (part.groupby(["unit", "stratum"])["value"].mean() * scale for part in rows)
    row |= {
        "margin": claim.factor,
        "measured": " / ".join(format_value(float(side.median()), claim, context) for side in (a, b)),
        "effect": "ratio (geometric mean)",
    }
    if (a <= 0).any() or (b <= 0).any():
        return Question(claim, row, blocked="a ratio of values that are not all above 0")
    effects = Effects(np.log(a / b).unstack("stratum"), 1.0, claim.resplits, claim.deterministic)

    def region(by: float) -> Region:
        factor = 1 + (claim.factor - 1) * by if claim.factor > 1 else claim.factor
        return Region(low=math.log(factor))

    return Question(claim, row, effects, region)


def _trend(claim: Trend, row: Row, rows: list[pd.DataFrame], scale: float, context: Context) -> Question:
    import pandas as pd

    loglog = claim.scale == "loglog"
    table = rows[0].pivot_table(index="unit", columns="x", values="value") * scale
    row |= {"margin": claim.margin, "effect": f"slope on {claim.axis}" + (" (log-log)" if loglog else "")}
    x, y = table.columns.to_numpy(float), table.to_numpy(float)
    if x.size < 2:
        return Question(claim, row, blocked="fewer than two points on the axis")
    if loglog:
        if (x <= 0).any() or (y <= 0).any():
            return Question(claim, row, blocked="an exponent of values that are not all above 0")
        x, y = np.log(x), np.log(y)
    slopes = statistics.slopes(x, y)
    row["measured"] = f"slope {slopes.mean():.4g}"
    size = float(np.abs(y).max() / np.ptp(x))
    effects = Effects(pd.DataFrame(slopes, index=table.index), size, claim.resplits, claim.deterministic)

    def region(by: float) -> Region:
        if claim.expect == "increasing":
            return Region(low=0.0, closed=False)
        if claim.expect == "decreasing":
            return Region(high=0.0, closed=False)
        if isinstance(claim.expect, Range):
            low, high = claim.expect.min, claim.expect.max
            return Region(-math.inf if low is None else low, math.inf if high is None else high)
        return Region(-(claim.margin or 0.0) * by, (claim.margin or 0.0) * by)

    return Question(claim, row, effects, region)


def _exact(claim: Exact, row: Row, rows: list[pd.DataFrame], scale: float, context: Context) -> Question:
    target, _ = _target(claim, context)
    if target is None:
        return Question(claim, row, blocked="published.csv has no number for this selection")
    values = rows[0]["value"].to_numpy(float) * scale
    width = _width(claim, target)
    if claim.op == "==":
        worst = values[np.argmax(np.abs(values - target))]
    else:
        worst = values.max() if claim.op in ("<=", "<") else values.min()
    low, high = float(values.min()), float(values.max())
    row |= {
        "margin": width or None,
        "published": row["published"] or (f"{target:g}" if claim.target == "published" else ""),
        "measured": f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}",
        "test": "every value compared",
        "effect": f"worst value, must be {claim.op} {target:g}" + (f" ± {width:g}" if width else ""),
        "diff": float(worst),
    }

    def settled(by: float) -> str:
        if claim.op == "==":
            holds = bool((np.abs(values - target) <= width * by).all())
        else:
            holds = all(_OPS[claim.op](value, target) for value in values)
        return "reproduced" if holds else "contradicted"

    return Question(claim, row, settled=settled)


_KINDS: dict[type[Measured], Callable[[Any, Row, list[Any], float, Context], Question]] = {
    Value: _value,
    Better: _better,
    Ratio: _ratio,
    Trend: _trend,
    Exact: _exact,
}
