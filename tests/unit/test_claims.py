"""From measured values to verdicts: every kind, and what must hold whatever the values are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from claimbench import claims
from claimbench.claim_schema import Claim

VALUES = some.lists(some.floats(-50, 50).map(lambda x: round(x, 3)), min_size=2, max_size=9)
RANK = {"contradicted": 0, "inconclusive": 1, "reproduced": 2, "exceeded": 3}
BETTER = {"kind": "better", "a": {"method": "a"}, "b": {"method": "b"}}


def frame(**methods: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "experiment": "e",
                "method": method,
                "dataset": "d",
                "setting": "",
                "seed": seed,
                "status": "done",
                "reason": "",
                "split": "test",
                "metric": "accuracy",
                "value": value,
            }
            for method, values in methods.items()
            for seed, value in enumerate(values)
        ]
    )


def points(x: list[float], rows: list[list[float]]) -> pd.DataFrame:
    """One method measured along the axis k, a row of values for every seed."""
    parts = [frame(a=[row[i] for row in rows]).assign(setting=f"k={level:g}") for i, level in enumerate(x)]
    return pd.concat(parts, ignore_index=True)


def judge(measured: pd.DataFrame, *specs: dict[str, Any], evidence: str = "full", **more: Any) -> list[dict[str, Any]]:
    base = {"text": "t", "source": "s", "experiment": "e", "metric": "test/accuracy", "margin_reason": "m"}
    given_claims = [Claim.model_validate({"id": f"C{i}", **base, **spec}) for i, spec in enumerate(specs)]
    columns = ["experiment", "method", "dataset", "setting", "metric", "value", "spread", "spread_kind", "n"]
    published = more.pop("published", pd.DataFrame(columns=columns))
    return claims.judge(given_claims, measured, published, "laptop", {"laptop": evidence}, {"e": {"digits": 3}}, **more)


def verdict(measured: pd.DataFrame, spec: dict[str, Any], **more: Any) -> str:
    return judge(measured, spec, **more)[0]["verdict"]


GOOD, NEAR, BAD = [9.9, 10.0, 10.1, 10.0, 9.95], [9.0, 11.2, 10.4, 8.6, 11.0], [4.0, 4.1, 3.9, 4.05, 4.0]
SLOPE_2 = [[2.0, 4.0, 6.1], [2.1, 4.1, 6.0], [1.9, 3.9, 6.0]]


@pytest.mark.parametrize(
    ("measured", "spec", "expected"),
    [
        (frame(a=GOOD), {"kind": "value", "target": 10, "margin": 1}, "reproduced"),
        (frame(a=NEAR), {"kind": "value", "target": 10, "margin": 1}, "inconclusive"),
        (frame(a=BAD), {"kind": "value", "target": 10, "margin": 1}, "contradicted"),
        (frame(a=GOOD), {"kind": "value", "target": 4, "margin": 1}, "exceeded"),
        (frame(a=GOOD), {"kind": "value", "target": 4, "margin": 1, "higher_is_better": False}, "contradicted"),
        (frame(a=GOOD, b=BAD), BETTER, "reproduced"),
        (frame(a=BAD, b=GOOD), BETTER, "contradicted"),
        (frame(a=NEAR, b=GOOD), BETTER, "inconclusive"),
        (frame(a=BAD, b=GOOD), {**BETTER, "higher_is_better": False}, "reproduced"),
        (frame(a=GOOD, b=BAD), {**BETTER, "margin": 8}, "contradicted"),
        (frame(a=GOOD, b=BAD), {**BETTER, "kind": "ratio", "factor": 2}, "reproduced"),
        (frame(a=GOOD, b=BAD), {**BETTER, "kind": "ratio", "factor": 3}, "contradicted"),
        (points([1, 2, 3], SLOPE_2), {"kind": "trend", "x": "setting.k", "expect": "increasing"}, "reproduced"),
        (points([1, 2, 3], SLOPE_2), {"kind": "trend", "x": "setting.k", "expect": "decreasing"}, "contradicted"),
        (
            points([1, 2, 4], [[3.0, 12.0, 48.0], [3.1, 12.0, 48.0], [3.0, 12.1, 48.2]]),
            {"kind": "trend", "x": "setting.k", "scale": "loglog", "expect": {"min": 1.9, "max": 2.1}},
            "reproduced",
        ),
        (frame(a=[3.0]), {"kind": "exact", "target": 3, "op": "=="}, "reproduced"),
        (frame(a=[3.0, 3.0, 4.0]), {"kind": "exact", "target": 3, "op": "=="}, "contradicted"),
        (frame(a=[1.0, 2.9]), {"kind": "exact", "target": 3, "op": "<"}, "reproduced"),
        (frame(a=[1.0, 3.0]), {"kind": "exact", "target": 3, "op": "<"}, "contradicted"),
        (frame(a=GOOD), {"kind": "none", "reason": "no data"}, "not testable"),
        (frame(b=GOOD), BETTER, "not run"),
    ],
)
def test_verdict_of_every_kind(measured: pd.DataFrame, spec: dict[str, Any], expected: str) -> None:
    spec = {"select": {"method": "a"}, **spec} if "a" not in spec else spec
    assert verdict(measured, spec) == expected


def test_a_value_is_judged_only_at_the_full_protocol() -> None:
    row = judge(frame(a=GOOD), {"kind": "value", "target": 10, "margin": 1, "select": {}}, evidence="scaled")[0]
    assert row["verdict"] == "not run"
    assert row["evidence"] == "scaled"
    assert "full protocol" in row["reason"]


@pytest.mark.parametrize("spec", [{"kind": "value", "target": 10, "margin": 1, "select": {"method": "a"}}, BETTER])
def test_one_seed_is_inconclusive(spec: dict[str, Any]) -> None:
    assert verdict(frame(a=[10.0], b=[1.0]), spec) == "inconclusive"


def test_a_published_spread_widens_the_test() -> None:
    row = {"experiment": "e", "method": "a", "dataset": "d", "setting": "", "metric": "test/accuracy", "value": 10.0}
    spec = {"kind": "value", "target": "published", "margin": 0.5, "select": {"method": "a"}}
    point = pd.DataFrame([{**row, "spread": np.nan, "spread_kind": "", "n": np.nan}])
    wide = pd.DataFrame([{**row, "spread": 2.0, "spread_kind": "sd", "n": 5}])
    assert verdict(frame(a=GOOD), spec, published=point) == "reproduced"
    assert verdict(frame(a=GOOD), spec, published=wide) == "inconclusive"


def test_strata_of_one_seed_are_one_unit() -> None:
    parts = [frame(a=[v + shift for v in GOOD], b=BAD).assign(dataset=name) for name, shift in (("d", 0), ("f", 3))]
    row = judge(pd.concat(parts, ignore_index=True), BETTER)[0]
    assert row["n"] == len(GOOD)
    assert row["diff"] == pytest.approx(np.mean(GOOD) + 1.5 - np.mean(BAD))


def test_failed_runs_do_not_count() -> None:
    measured = frame(a=[*GOOD, -1000.0], b=[*BAD, 4.0])
    measured.loc[measured["value"] == -1000.0, ["status", "reason"]] = ["failed", "broken"]
    assert judge(measured, BETTER)[0]["n"] == len(GOOD)


def test_holm_withdraws_what_many_claims_would_find_by_chance() -> None:
    measured = frame(a=[1.0, 1.2, 0.3, 0.9, 0.8], b=[0.2, 0.1, 0.2, 0.3, 0.1])
    alone, among = judge(measured, BETTER)[0], judge(measured, *[BETTER] * 5)[0]
    assert alone["verdict"] == "reproduced"
    assert among["verdict"] == "inconclusive"
    assert "Holm" in among["reason"]


def test_margins_from_a_quarter_to_four_times() -> None:
    claim = {"id": "C", "text": "t", "source": "s", "experiment": "e", "metric": "test/accuracy", "margin_reason": "m"}
    spec = Claim.model_validate({**claim, "kind": "value", "target": 11, "margin": 1, "select": {"method": "a"}})
    empty = pd.DataFrame(columns=["experiment", "method", "dataset", "setting", "metric", "value"])
    rows = claims.judge_margins(
        [spec], frame=frame(a=GOOD), published=empty, tier="laptop", tier_evidence={"laptop": "full"}, experiments={}
    )
    by_multiplier = {row["multiplier"]: row["verdict"] for row in rows}
    assert by_multiplier[0.25] == "contradicted"
    assert by_multiplier[4] == "reproduced"


@settings(max_examples=120, deadline=None)
@given(a=VALUES, b=VALUES, margin=some.floats(0, 5))
def test_relabelling_the_methods_flips_the_sign(a: list[float], b: list[float], margin: float) -> None:
    spec = {**BETTER, "margin": margin}
    one, other = judge(frame(a=a, b=b), spec)[0], judge(frame(a=b, b=a), spec)[0]
    assert one["diff"] == pytest.approx(-other["diff"])
    assert one["ci_low"] == pytest.approx(-other["ci_high"])
    assert not (one["verdict"] == "reproduced" == other["verdict"])


@settings(max_examples=120, deadline=None)
@given(a=VALUES, b=VALUES, worse=some.floats(0, 20))
def test_a_verdict_never_improves_when_the_data_get_worse(a: list[float], b: list[float], worse: float) -> None:
    before = verdict(frame(a=a, b=b), BETTER)
    after = verdict(frame(a=[value - worse for value in a], b=b), BETTER)
    assert RANK[after] <= RANK[before]


@settings(max_examples=80, deadline=None)
@given(values=VALUES, factor=some.floats(1, 4))
def test_a_wider_margin_never_turns_reproduced_away(values: list[float], factor: float) -> None:
    spec = {"kind": "value", "target": 0, "margin": 5, "select": {"method": "a"}}
    if verdict(frame(a=values), spec) == "reproduced":
        assert verdict(frame(a=values), spec, margin_multiplier=factor) == "reproduced"
