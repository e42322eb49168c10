"""Claim -> test -> verdict."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from claimbench.judge import selection, statistics
from claimbench.spec.claims import (
    Better,
    Claim,
    Exact,
    Measured,
    Range,
    Ratio,
    Selector,
    Testable,
    Trend,
    Untested,
    Value,
)

if TYPE_CHECKING:
    import pandas as pd


MULTIPLIERS = tuple(float(2.0**e) for e in np.linspace(-2, 2, 9))
_OPS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
Row = dict[str, Any]


@dataclass
class _Context:
    frame: pd.DataFrame
    published: pd.DataFrame
    tier: str
    tier_evidence: dict[str, str]
    experiments: dict[str, Row]
    alpha: float
    multiplier: float
    memory: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def once(self, key: tuple[str, ...], make: Callable[[], Any]) -> Any:
        """What does not depend on the margin, made for the first margin and kept for the others."""
        if key not in self.memory:
            self.memory[key] = make()
        return self.memory[key]


@dataclass
class _Ground:
    """What a verdict starts from, at any margin: the row so far, and the values where there are any to judge."""

    claim: Claim
    row: Row
    found: list[pd.DataFrame] | None = None


def judge(
    claims: Iterable[Claim],
    frame: pd.DataFrame,
    published: pd.DataFrame,
    tier: str,
    tier_evidence: dict[str, str],
    experiments: dict[str, Row],
    alpha: float = 0.05,
    margin_multiplier: float = 1.0,
) -> list[Row]:
    """Verdicts, one row a claim (see ``schema.TABLES["verdicts"]``); p values are adjusted by Holm over the claims.

    Args:
        frame: measured runs: experiment, method, dataset, setting, seed, status, reason, split, metric, value.
        published: rows of published.csv.
        experiments: per experiment ``scale`` (factor to display units) and ``digits``.
    """
    given = (claims, frame, published, tier, tier_evidence, experiments, alpha)
    return judge_at((margin_multiplier,), *given)[margin_multiplier]


def judge_at(
    multipliers: Iterable[float],
    claims: Iterable[Claim],
    frame: pd.DataFrame,
    published: pd.DataFrame,
    tier: str,
    tier_evidence: dict[str, str],
    experiments: dict[str, Row],
    alpha: float = 0.05,
) -> dict[float, list[Row]]:
    """What :func:`judge` says when the claims' margins are multiplied; their runs are chosen once for all."""
    frame, published = selection.parsed(frame), selection.with_axes(published)
    context = _Context(frame, published, tier, tier_evidence, experiments, alpha, 1.0)
    grounds = [_ground(claim, context) for claim in claims]
    return {m: _verdicts(grounds, replace(context, multiplier=m)) for m in multipliers}


def _verdicts(grounds: list[_Ground], context: _Context) -> list[Row]:
    rows = [_judge(ground, context) for ground in grounds]
    adjusted = statistics.holm([row["p"] if row["p"] is not None else math.nan for row in rows])
    for row, p in zip(rows, adjusted, strict=True):
        row["p_adj"] = None if math.isnan(p) else p
        # The p of an exceeded value speaks of equality, not of the verdict: only a p that was small is corrected.
        if row["verdict"] in ("reproduced", "exceeded") and not math.isnan(p) and row["p"] <= context.alpha < p:
            row["verdict"] = "inconclusive"
            row["reason"] = "significant alone, not after Holm's correction over the paper's claims"
    return rows


def _judge(ground: _Ground, context: _Context) -> Row:
    row = dict(ground.row)
    if isinstance(ground.claim, Measured) and ground.found is not None:
        scale = float(context.experiments.get(ground.claim.experiment, {}).get("scale", 1.0))
        _KINDS[type(ground.claim)](ground.claim, row, ground.found, scale, context)
        _clean(row)
    return row


def _ground(claim: Claim, context: _Context) -> _Ground:
    row: Row = {
        "claim_id": claim.id,
        "title": claim.title or claim.id,
        "text": claim.text,
        "headline": claim.headline,
        "kind": claim.kind,
        "experiment": "",
        "metric": "",
        "cells": "[]",
        "margin": None,
        "margin_reason": "",
        "published": claim.published_note,
        "measured": "",
        "n": None,
        "effect": "",
        "diff": None,
        "ci_low": None,
        "ci_high": None,
        "p": None,
        "p_adj": None,
        "verdict": "not run",
        "evidence": "",
        "seeds_needed": None,
        "test": "",
        "source": claim.source,
        "reason": claim.reason,
        "note": claim.note,
    }
    if isinstance(claim, Untested):
        row["verdict"] = claim.verdict
        return _Ground(claim, row)
    row |= {"experiment": claim.experiment, "metric": claim.metric, "margin_reason": claim.margin_reason}
    if claim.tiers is not None and context.tier not in claim.tiers:
        row["reason"] = claim.reason or f"judged at tier {' or '.join(claim.tiers)} only"
        return _Ground(claim, row)
    if not (context.frame["experiment"] == claim.experiment).any():
        row["reason"] = claim.reason or f"the experiment {claim.experiment} has no cells in tier {context.tier}"
        return _Ground(claim, row)
    chosen = selection.sides(claim, context.frame)
    found = selection.measured(claim, chosen)
    if any(part.empty for part in found):
        row["reason"] = claim.reason or _why_missing(chosen, context)
        return _Ground(claim, row)
    row["reason"] = ""  # the claim's own says why it is not judged
    row["evidence"] = _evidence(claim, found, context)
    found = selection.used(claim, found)
    cells = {cell for part in found for cell in zip(part["method"], part["dataset"], part["setting"], strict=True)}
    row["cells"] = json.dumps(sorted(cells), separators=(",", ":"))
    return _Ground(claim, row, found)


def _why_missing(chosen: list[pd.DataFrame], context: _Context) -> str:
    for part in chosen:
        if part.empty:
            return f"its cells are not part of tier {context.tier}"
        bad = part[part["status"] != "done"]
        if len(bad):
            return f"{bad['status'].iloc[0]}: {bad['reason'].iloc[0]}"
    return "no cell reported this metric"


def _evidence(claim: Testable, found: list[pd.DataFrame], context: _Context) -> str:
    order = ("proxy", "scaled", "full")
    base = claim.evidence.get(context.tier, context.tier_evidence[context.tier])  # type: ignore[call-overload]
    datasets = {name for part in found for name in part["dataset"]}
    return min(
        [base, *(claim.evidence_by_dataset[d] for d in datasets if d in claim.evidence_by_dataset)], key=order.index
    )


def _format(value: float, claim: Measured, context: _Context) -> str:
    digits = context.experiments.get(claim.experiment, {}).get("digits", 3)
    return f"{value:.{digits}f}" if abs(value) >= 10.0**-digits or value == 0 else f"{value:.3g}"


def _published(claim: Measured, selector: Selector, context: _Context) -> pd.DataFrame:
    key = (claim.id, "published", selector.model_dump_json())
    return context.once(key, lambda: _printed(claim, selector, context))


def _printed(claim: Measured, selector: Selector, context: _Context) -> pd.DataFrame:
    of = context.published
    of = of[(of["experiment"] == claim.experiment) & (of["metric"] == claim.metric)]
    for column, wanted in (("method", selector.method), ("dataset", selector.dataset)):
        if wanted is not None:
            of = selection.narrow(of, of[column], wanted)
    for axis, wanted in selector.setting.items():
        if of["axes"].map(lambda axes, axis=axis: axis in axes).any():
            of = selection.narrow(of, of["axes"].map(lambda axes, axis=axis: axes.get(axis)), wanted)
    return of


def _value(claim: Value, row: Row, found: list[pd.DataFrame], scale: float, context: _Context) -> None:
    per_seed = (found[0].groupby("seed")["value"].mean() * scale).to_numpy()
    other_sd = other_n = None
    if claim.target == "published":
        published = _published(claim, claim.select, context)
        if published.empty:
            row["reason"] = "published.csv has no row for this selection"
            return
        target = float(published["value"].mean())
        if (
            len(published) == 1
            and published["spread_kind"].iloc[0] == "sd"
            and not math.isnan(float(published["n"].iloc[0] or math.nan))
        ):
            other_sd, other_n = float(published["spread"].iloc[0]), int(published["n"].iloc[0])
    else:
        target = claim.target
    margin = (
        claim.margin if claim.margin is not None else (claim.relative_margin or 0.0) * abs(target)
    ) * context.multiplier
    row |= {"margin": margin, "n": per_seed.size, "published": row["published"] or _format(target, claim, context)}
    sd = float(per_seed.std(ddof=1)) if per_seed.size > 1 else 0.0
    row["measured"] = f"{_format(float(per_seed.mean()), claim, context)} ± {_format(sd, claim, context)}"
    if row["evidence"] != "full":
        row |= {"reason": "a value is judged only at the full protocol", "diff": float(per_seed.mean()) - target}
        return
    result = statistics.tost(
        float(per_seed.mean()), sd, per_seed.size, target, other_sd, other_n, margin, context.alpha
    )
    _fill(row, result, "difference from the published value")
    if result.n < 2:
        row["verdict"] = "inconclusive"
    elif result.p <= context.alpha:
        row["verdict"] = "reproduced"
    elif result.ci_low > margin or result.ci_high < -margin:
        above = (result.effect > 0) == claim.higher_is_better
        row["verdict"] = "exceeded" if above else "contradicted"
    else:
        row["verdict"] = "inconclusive"
        row["seeds_needed"] = statistics.seeds_needed(margin - abs(result.effect), sd, per_seed.size)


def _better(claim: Better, row: Row, found: list[pd.DataFrame], scale: float, context: _Context) -> None:
    if found[0].empty:
        row["reason"] = "no seed ran on both sides"
        return
    margin = claim.margin * context.multiplier
    sign = 1.0 if claim.higher_is_better else -1.0
    differences = context.once((claim.id, "differences"), lambda: _differences(found, sign * scale))
    result = statistics.paired(differences, margin, context.alpha)
    means = [float(part["value"].mean()) * scale for part in found]
    row |= {"margin": margin, "measured": " vs ".join(_format(m, claim, context) for m in means)}
    _fill(row, result, "advantage")
    advantage = None
    printed = [_published(claim, selector, context) for selector in (claim.a, claim.b)]
    if all(len(part) for part in printed):
        values = [float(part["value"].mean()) for part in printed]
        advantage = sign * (values[0] - values[1])
        row["published"] = row["published"] or " vs ".join(_format(v, claim, context) for v in values)
    if result.n < 2:
        row["verdict"] = "inconclusive"
    elif result.ci_low > margin and result.p <= context.alpha:
        row["verdict"] = (
            "exceeded" if advantage is not None and result.ci_low > advantage + abs(margin) > margin else "reproduced"
        )
    elif result.ci_high < margin:
        row["verdict"] = "contradicted"
    else:
        row["verdict"] = "inconclusive"
        half = result.ci_high - result.effect
        row["seeds_needed"] = statistics.seeds_needed(result.effect - margin, half * math.sqrt(result.n) / 2, result.n)


def _differences(found: list[pd.DataFrame], scale: float) -> list[Any]:
    """A minus B in displayed units, an array of the seeds for each stratum."""
    a, b = (part.groupby(["stratum", "seed"])["value"].mean() for part in found)
    return [scale * part.to_numpy() for _, part in (a - b).groupby(level="stratum")]


def _ratio(claim: Ratio, row: Row, found: list[pd.DataFrame], scale: float, context: _Context) -> None:
    factor = 1 + (claim.factor - 1) * context.multiplier if claim.factor > 1 else claim.factor
    sides = [part.groupby("seed")["value"].mean().to_numpy() for part in found]
    result = statistics.ratio_of_medians(sides[0], sides[1], factor, context.alpha)
    row |= {
        "margin": factor,
        "measured": " / ".join(_format(float(np.median(s)) * scale, claim, context) for s in sides),
    }
    _fill(row, result, "ratio")
    if result.n < 2:
        row["verdict"] = "inconclusive"
    elif result.ci_low >= factor:
        row["verdict"] = "reproduced"
    elif result.ci_high < factor:
        row["verdict"] = "contradicted"
    else:
        row["verdict"] = "inconclusive"


def _trend(claim: Trend, row: Row, found: list[pd.DataFrame], scale: float, context: _Context) -> None:
    table = context.once(
        (claim.id, "table"), lambda: found[0].pivot_table(index="seed", columns="x", values="value") * scale
    )
    x, y = table.columns.to_numpy(float), table.to_numpy(float)
    if x.size < 2 or not len(table):
        row |= {"verdict": "inconclusive", "reason": "fewer than two points on the axis"}
        return
    if claim.scale == "loglog":
        x, y = np.log(x), np.log(y)
    result = statistics.mean_t(statistics.slopes(x, y), context.alpha)
    row["measured"] = f"slope {result.effect:.4g}"
    _fill(row, result, f"slope on {claim.axis}" + (" (log-log)" if claim.scale == "loglog" else ""))
    low, high = -math.inf, math.inf
    if claim.expect == "increasing":
        low = 0.0
    elif claim.expect == "decreasing":
        high = 0.0
    elif claim.expect == "constant":
        margin = (claim.margin or 0.0) * context.multiplier
        low, high, row["margin"] = -margin, margin, margin
    elif isinstance(claim.expect, Range):
        low = claim.expect.min if claim.expect.min is not None else low
        high = claim.expect.max if claim.expect.max is not None else high
    row["p"] = None
    if result.n < 2:
        row["verdict"] = "inconclusive"
    elif low <= result.ci_low and result.ci_high <= high and not (low == 0 == result.ci_low and result.ci_high == 0):
        row["verdict"] = "reproduced"
    elif result.ci_high < low or result.ci_low > high:
        row["verdict"] = "contradicted"
    else:
        row["verdict"] = "inconclusive"


def _exact(claim: Exact, row: Row, found: list[pd.DataFrame], scale: float, context: _Context) -> None:
    values = found[0]["value"].to_numpy(float) * scale
    given = _published(claim, claim.select, context)["value"].mean() if claim.target == "published" else claim.target
    target = float(given)
    margin = (
        claim.margin if claim.margin is not None else (claim.relative_margin or 0.0) * abs(target)
    ) * context.multiplier
    if claim.op == "==":
        holds = np.abs(values - target) <= margin
        worst = values[np.argmax(np.abs(values - target))]
    else:
        holds = np.array([_OPS[claim.op](v, target) for v in values])
        worst = values.max() if claim.op in ("<=", "<") else values.min()
    low, high = float(values.min()), float(values.max())
    row |= {
        "margin": margin or None,
        "n": values.size,
        "published": row["published"] or (f"{target:g}" if claim.target == "published" else ""),
        "measured": f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}",
        "test": "every value compared",
        "effect": f"worst value, must be {claim.op} {target:g}" + (f" ± {margin:g}" if margin else ""),
        "diff": float(worst),
        "verdict": "reproduced" if holds.all() else "contradicted",
    }


def _fill(row: Row, result: statistics.Estimate, effect: str) -> None:
    row |= {
        "n": result.n,
        "effect": effect,
        "diff": result.effect,
        "ci_low": result.ci_low,
        "ci_high": result.ci_high,
        "p": result.p,
        "test": result.test,
    }


def _clean(row: Row) -> None:
    for key, value in row.items():
        if isinstance(value, float) and not math.isfinite(value):
            row[key] = None
        elif isinstance(value, np.generic):
            row[key] = value.item()


_KINDS: dict[type[Measured], Callable[[Any, Row, list[Any], float, _Context], None]] = {
    Value: _value,
    Better: _better,
    Ratio: _ratio,
    Trend: _trend,
    Exact: _exact,
}
