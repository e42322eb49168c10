"""Floors and ceilings."""

from __future__ import annotations

import pytest

from claimbench.judge.controls import faults
from claimbench.spec.paper import ExperimentSpec, Floor, TierBlock


@pytest.mark.parametrize(
    ("kind", "higher", "worse"),
    [("floor", True, "a"), ("floor", False, "b"), ("ceiling", True, "b"), ("ceiling", False, "a")],
)
def test_the_cell_on_the_wrong_side_is_found(kind: str, higher: bool, worse: str) -> None:
    control = Floor(metric="test/x", method="control", higher_is_better=higher)
    spec = ExperimentSpec(title="t", metric="test/x", tiers={"smoke": TierBlock()}, **{kind: control})
    cells = {"a": 0.1, "control": 0.5, "b": 0.9}
    runs = [
        {"run_key": f"{method}{seed}", "experiment": "e", "method": method, "dataset": "d", "setting": ""}
        for method in cells
        for seed in (0, 1)
    ]
    metrics = [
        {"run_key": row["run_key"], "split": "test", "metric": "x", "value": cells[row["method"]]} for row in runs
    ]
    found = faults({"e": spec}, runs, metrics)
    assert [(row["method"], row["kind"], row["limit"]) for row in found] == [(worse, kind, 0.5)]


def test_other_datasets_have_their_own_control() -> None:
    control = Floor(metric="test/x", method="control")
    spec = ExperimentSpec(title="t", metric="test/x", tiers={"smoke": TierBlock()}, floor=control)
    runs = [
        {"run_key": f"{method}{dataset}", "experiment": "e", "method": method, "dataset": dataset, "setting": ""}
        for method, dataset in (("a", "d1"), ("control", "d2"))
    ]
    metrics = [
        {"run_key": row["run_key"], "split": "test", "metric": "x", "value": float(row["method"] == "control")}
        for row in runs
    ]
    assert faults({"e": spec}, runs, metrics) == []
