"""Claim kinds and verdicts on small tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from claimbench.errors import UserError
from claimbench.judge.verdicts import MULTIPLIERS, answered, asked, judge
from claimbench.spec.claims import load_claims
from tests.unit.judge.tables import BETTER, EXPERIMENTS, NO_PUBLISHED, claim, frame, verdict


@pytest.mark.parametrize(
    ("a", "b", "want"),
    [
        ([5.0, 5.1, 5.2], [1.0, 1.2, 1.1], "reproduced"),
        ([1.0, 1.2, 1.1], [5.0, 5.1, 5.2], "contradicted"),
        ([1.0, 3.0, 2.0], [2.0, 1.0, 3.1], "inconclusive"),
        ([5.0], [1.0], "inconclusive"),
    ],
)
def test_better(a: list[float], b: list[float], want: str) -> None:
    data = frame({("a", "d", ""): a, ("b", "d", ""): b})
    assert verdict(BETTER, data)["verdict"] == want
    swapped = {**BETTER, "higher_is_better": False}
    flipped = {"reproduced": "contradicted", "contradicted": "reproduced"}.get(want, want)
    assert verdict(swapped, data)["verdict"] == flipped


def test_better_is_paired_within_strata() -> None:
    cells = {("a", "d", f"L={i}"): [100 * i + s + 1.0 for s in range(3)] for i in (1, 2)}
    cells |= {("b", "d", f"L={i}"): [100 * i + s + 0.01 * i * s for s in range(3)] for i in (1, 2)}
    row = verdict(
        {**BETTER, "a": {"method": "a", "setting": {"L": [1, 2]}}, "b": {"method": "b", "setting": {"L": [1, 2]}}},
        frame(cells),
    )
    assert row["verdict"] == "reproduced"
    assert row["diff"] == pytest.approx(1 - 0.015)
    assert row["n"] == 3


def test_inconclusive_says_how_many_seeds() -> None:
    row = verdict(BETTER, frame({("a", "d", ""): [1.2, 1.4, 0.9, 1.3], ("b", "d", ""): [1.0, 1.1, 1.2, 1.0]}))
    assert row["verdict"] == "inconclusive"
    assert row["seeds_needed"] > 4


def test_first_available_dataset_and_its_evidence() -> None:
    data = frame({("a", "second", ""): [5.0, 5.1, 5.2], ("b", "second", ""): [1.0, 1.0, 1.1]})
    choice = {"first": ["first", "second"]}
    claim = {
        **BETTER,
        "a": {"method": "a", "dataset": choice},
        "b": {"method": "b", "dataset": choice},
        "evidence_by_dataset": {"second": "proxy"},
    }
    row = verdict(claim, data)
    assert (row["verdict"], row["evidence"]) == ("reproduced", "proxy")


@pytest.mark.parametrize(
    ("values", "want"),
    [
        ([10.0, 10.1, 9.9, 10.05], "reproduced"),
        ([13.0, 13.1, 12.9], "contradicted"),
        ([7.0, 7.1, 6.9], "contradicted"),
        ([9.0, 11.5, 8.0], "inconclusive"),
    ],
)
def test_value(values: list[float], want: str) -> None:
    claim = {"kind": "value", "select": {"method": "a"}, "target": 10.0, "margin": 0.5}
    assert verdict(claim, frame({("a", "d", ""): values}))["verdict"] == want
    row = verdict(claim, frame({("a", "d", ""): values}), evidence="scaled")
    assert row["verdict"] == "not run"
    assert "full protocol" in row["reason"]


def test_value_against_the_published_spread() -> None:
    published = pd.DataFrame(
        [
            {
                "experiment": "e",
                "method": "a",
                "dataset": "d",
                "setting": "",
                "metric": "test/x",
                "value": 10.0,
                "spread": 0.2,
                "spread_kind": "sd",
                "n": 5,
            }
        ]
    )
    claim = {"kind": "value", "select": {"method": "a", "dataset": "d"}, "target": "published", "margin": 0.5}
    row = verdict(claim, frame({("a", "d", ""): [10.0, 10.1, 9.9]}), published)
    assert (row["verdict"], row["test"], row["published"]) == ("reproduced", "Welch's t test", "10.00")


@pytest.mark.parametrize(
    ("a", "want"),
    [([9.0, 9.2, 9.1], "reproduced"), ([4.0, 4.1, 4.2], "contradicted"), ([5.5, 6.5, 6.0], "inconclusive")],
)
def test_ratio(a: list[float], want: str) -> None:
    data = frame({("a", "d", ""): a, ("b", "d", ""): [2.0, 2.0, 2.0]})
    assert verdict({"kind": "ratio", "a": {"method": "a"}, "b": {"method": "b"}, "factor": 3}, data)["verdict"] == want


@pytest.mark.parametrize(
    ("slope", "expect", "want"),
    [
        (1.0, "increasing", "reproduced"),
        (1.0, "decreasing", "contradicted"),
        (0.0, "constant", "reproduced"),
        (1.0, "constant", "contradicted"),
        (2.0, {"min": 1.5, "max": 2.5}, "reproduced"),
    ],
)
def test_trend(slope: float, expect: Any, want: str) -> None:
    cells = {("a", "d", f"L={i}"): [slope * i + 0.01 * s * i for s in (-1, 0, 1)] for i in (1, 2, 3)}
    margin = {"margin": 0.1} if expect == "constant" else {}
    row = verdict(
        {"kind": "trend", "select": {"method": "a"}, "x": "setting.L", "expect": expect, **margin}, frame(cells)
    )
    assert row["verdict"] == want


def test_trend_with_exponents() -> None:
    cells = {("a", "d", f"k={i}"): [3.0 * i**1.5 * (1 + 0.001 * s) for s in (-1, 0, 1)] for i in (10, 100, 1000)}
    row = verdict(
        {
            "kind": "trend",
            "select": {"method": "a"},
            "x": "setting.k",
            "expect": {"min": 1.4, "max": 1.6},
            "scale": "loglog",
        },
        frame(cells),
    )
    assert row["diff"] == pytest.approx(1.5, abs=1e-6)


@pytest.mark.parametrize(
    ("op", "target", "want"),
    [
        ("==", 3.0, "contradicted"),
        ("<=", 4.0, "reproduced"),
        (">=", 3.0, "reproduced"),
        ("<", 4.0, "contradicted"),
        (">", 2.0, "reproduced"),
    ],
)
def test_exact(op: str, target: float, want: str) -> None:
    assert (
        verdict(
            {"kind": "exact", "select": {"method": "a"}, "target": target, "op": op},
            frame({("a", "d", ""): [3.0, 4.0]}),
        )["verdict"]
        == want
    )


def test_missing_cells_are_not_run_with_the_reason() -> None:
    assert "not part of tier" in verdict(BETTER, frame({("a", "d", ""): [1.0]}))["reason"]
    skipped = frame({("a", "d", ""): [1.0], ("b", "d", ""): [1.0]}, status="skipped")
    assert verdict(BETTER, skipped)["reason"] == "skipped: no luck"
    assert verdict({"kind": "none", "reason": "by eye"}, frame({("a", "d", ""): [1.0]}))["verdict"] == "not testable"


def test_holm_is_over_the_paper() -> None:
    data = frame({("a", "d", ""): [1.3, 1.5, 1.4], ("b", "d", ""): [1.0, 1.05, 1.12]})
    claims = [claim(**{**BETTER, "id": f"C{i}"}) for i in range(8)]
    one = judge(claims[:1], data, NO_PUBLISHED, "laptop", {"laptop": "full"}, EXPERIMENTS)
    many = judge(claims, data, NO_PUBLISHED, "laptop", {"laptop": "full"}, EXPERIMENTS)
    assert one[0]["verdict"] == "reproduced"
    assert many[0]["p_adj"] == pytest.approx(min(1.0, 8 * many[0]["p"]))
    assert many[0]["verdict"] == ("reproduced" if many[0]["p_adj"] <= 0.05 else "inconclusive")


def test_margins_are_judged_at_all_multipliers() -> None:
    data = frame({("a", "d", ""): [3.0, 3.1, 2.9], ("b", "d", ""): [1.0, 1.0, 1.0]})
    claims = [claim(**{**BETTER, "margin": 1.0}), claim(**{**BETTER, "id": "none", "metric": "test/y"})]
    given = (claims, data, NO_PUBLISHED, "laptop", {"laptop": "full"}, EXPERIMENTS)
    at = answered(*asked(*given), MULTIPLIERS)
    assert list(at) == list(MULTIPLIERS)
    assert all(rows == judge(*given, margin_multiplier=multiplier) for multiplier, rows in at.items())
    assert at[1.0] == judge(*given)
    assert [at[m][0]["verdict"] for m in (0.25, 4.0)] == ["reproduced", "contradicted"]
    assert [at[m][0]["margin"] for m in (0.25, 4.0)] == [0.25, 4.0]


_ORDER = {"contradicted": 0, "inconclusive": 1, "reproduced": 2, "exceeded": 3}
_values = st.lists(st.floats(-3, 3).map(lambda v: round(v, 3)), min_size=3, max_size=3)


@settings(max_examples=60, deadline=None)
@given(_values, _values, st.floats(0, 2))
def test_a_verdict_never_improves_when_the_data_get_worse(a: list[float], b: list[float], less: float) -> None:
    before = verdict(BETTER, frame({("a", "d", ""): a, ("b", "d", ""): b}))["verdict"]
    after = verdict(BETTER, frame({("a", "d", ""): [v - less for v in a], ("b", "d", ""): b}))["verdict"]
    assert _ORDER[after] <= _ORDER[before]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kindd": "better"}, "'kind'"),
        ({"kind": "bettr"}, "'better'"),
        ({"a": None}, "a is None; it must be a mapping"),
        ({"factor": 2.0}, "claim C of kind better: unknown key 'factor'"),
        ({"pair_by": "moon"}, "claim C of kind better: pair_by is 'moon'; input should be 'seed'"),
        ({"kind": "exact", "target": 1}, "claim C of kind exact: unknown key 'a'"),
        ({"experiment": ""}, "claim C of kind better: experiment is ''"),
        ({"margin": "wide"}, "margin"),
        ({"metric": "x"}, "metric is 'x'; write it as split/metric, for example test/accuracy"),
    ],
)
def test_bad_claims_are_one_sentence(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    claim = {"id": "C", "text": "t", "experiment": "e", "metric": "test/x", **BETTER, **change}
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump({"claims": [claim]}))
    with pytest.raises(UserError) as error:
        load_claims(path)
    assert words in str(error.value)
    assert "claims.yaml" in str(error.value)
    assert "\n" not in str(error.value)
