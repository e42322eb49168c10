"""What a verdict must not do, with the values at which it once went wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from claimbench.errors import UserError
from claimbench.spec.claims import check_claims
from claimbench.spec.paper import Block, ExperimentSpec, TierBlock
from tests.unit.judge.tables import BETTER, EXPERIMENTS, claim, frame, verdict, verdicts

DATASETS = {"a": {"method": "a"}, "b": {"method": "b"}}
SPREAD = {"a": [0.1, -0.05, 0.02, 0.07, -0.1, 0.04, 0.0, 0.05, -0.02, 0.03]}


def pairs(differences: dict[str, dict[int, float]]) -> dict[tuple[str, str, str], Any]:
    """Cells of A and B over datasets that differ by these numbers."""
    cells: dict[tuple[str, str, str], Any] = {}
    for dataset, by_seed in differences.items():
        cells["a", dataset, ""] = {seed: 10 + value for seed, value in by_seed.items()}
        cells["b", dataset, ""] = dict.fromkeys(by_seed, 10.0)
    return cells


# ---- pairs and strata ------------------------------------------------------------------------------------------------


def test_a_lost_run_does_not_turn_strata_into_replicates() -> None:
    seeds = {0: 0.2, 1: 0.9, 2: 0.45}  # what the datasets of a seed share
    cells = pairs({f"d{i}": {seed: luck + 0.02 * i for seed, luck in seeds.items()} for i in range(4)})
    whole = verdict(BETTER, frame(cells))
    assert (whole["verdict"], whole["n"], whole["n_planned"]) == ("inconclusive", 3, 3)
    cells["a", "d3", ""][1] = "failed"
    row = verdict(BETTER, frame(cells))
    assert (row["verdict"], row["n"], row["n_planned"]) == ("inconclusive", 2, 3)
    assert row["reason"] == "2 of 3 seeds are complete: 1 run failed (no luck)"


def test_strata_are_paired_by_seed_and_not_by_position() -> None:
    cells = pairs({"d1": {0: 9.0, 1: 1.0, 2: 2.0}, "d2": {1: 1.0, 2: 2.0, 3: -9.0}})
    row = verdict(BETTER, frame(cells))
    assert (row["n"], row["n_planned"], row["diff"]) == (2, 2, 1.5)


def test_a_claim_about_datasets_has_datasets_as_units() -> None:
    cells = pairs({f"d{i}": {0: 1.0 + i, 1: 1.2 + i} for i in range(5)})
    row = verdict({**BETTER, "unit": "dataset"}, frame(cells))
    assert (row["n"], row["n_planned"], row["diff"]) == (5, 5, pytest.approx(3.1))


# ---- failures --------------------------------------------------------------------------------------------------------


def test_failures_do_not_vanish_from_an_exact_claim() -> None:
    data = frame({("a", "d", ""): [1.0, *["diverged"] * 9]})
    row = verdict({"kind": "exact", "target": 1, "op": ">="}, data)
    assert (row["verdict"], row["n"], row["n_planned"]) == ("inconclusive", 1, 10)
    assert "9 runs diverged" in row["reason"]


def test_three_of_eighteen_tables_are_no_verdict_on_eighteen() -> None:
    names = [f"t{i}" for i in range(18)]
    cells = {("a", name, ""): [2.0, 2.1, 1.9] if i < 3 else ["failed"] * 3 for i, name in enumerate(names)} | {
        ("b", name, ""): [1.0, 1.0, 1.0] for name in names
    }
    row = verdict(
        {**BETTER, "a": {"method": "a", "dataset": names}, "b": {"method": "b", "dataset": names}}, frame(cells)
    )
    assert (row["verdict"], row["n"], row["n_planned"]) == ("inconclusive", 0, 3)
    assert "45 runs failed" in row["reason"]


def test_a_claim_may_say_how_many_runs_it_can_miss() -> None:
    cells = {("a", "d", ""): [*[5.0, 5.1, 5.2, 4.9], "failed"], ("b", "d", ""): [1.0, 1.1, 1.0, 1.2, 1.0]}
    assert verdict(BETTER, frame(cells))["verdict"] == "inconclusive"
    assert verdict({**BETTER, "complete": 0.8}, frame(cells))["verdict"] == "reproduced"


def test_divergence_counts_against_the_method_of_which_the_claim_speaks() -> None:
    good, bad = [5.0, 5.1, 5.2, 4.9, 5.0], [1.0, 1.1, 1.0, 1.2, 1.0]
    assert verdict(BETTER, frame({("a", "d", ""): good, ("b", "d", ""): bad}))["verdict"] == "reproduced"
    lost = verdict(BETTER, frame({("a", "d", ""): [*good[:3], "diverged", "diverged"], ("b", "d", ""): bad}))
    assert (lost["verdict"], lost["n"]) == ("inconclusive", 5)
    assert "2 runs of A diverged" in lost["note"]
    other = verdict(BETTER, frame({("a", "d", ""): good, ("b", "d", ""): [*bad[:3], "diverged", "diverged"]}))
    assert (other["verdict"], other["n"]) == ("inconclusive", 3)


def test_a_mistyped_member_of_a_selection_is_refused_when_planned() -> None:
    grid = [Block(method=["a", "b"], dataset=["d1", "d2"], setting={"k": [10, 15]})]
    spec = ExperimentSpec(title="t", metric="test/x", tiers={"smoke": TierBlock(grid=grid)})
    good = {**BETTER, "a": {"method": "a", "dataset": ["d1", "d2"], "setting": {"k": [10, 15.0]}}}
    check_claims([claim(**good)], {"e": spec}, __file__)  # type: ignore[arg-type]
    for change, words in (
        ({"dataset": ["d1", "d22"]}, ["a.dataset", "'d22'", "'d2'"]),
        ({"setting": {"k": [10, 51]}}, ["a.setting.k", "'51'", "10"]),
        ({"setting": {"kk": 10}}, ["a.setting.kk", "'k'"]),
        ({"method": {"first": ["c"]}}, ["a.method", "'c'"]),
    ):
        with pytest.raises(UserError) as error:
            check_claims([claim(**{**BETTER, "a": {"method": "a", **change}})], {"e": spec}, __file__)  # type: ignore[arg-type]
        assert all(word in str(error.value) for word in ["claim C", *words]), error.value


# ---- values ----------------------------------------------------------------------------------------------------------

VALUE = {"kind": "value", "select": {"method": "a"}, "target": 1.0, "margin": 0.05}


@pytest.mark.parametrize("measured", [[1.5, 1.49, 1.51], [0.5, 0.49, 0.51]])
def test_a_value_beyond_its_margin_is_contradicted_on_either_side(measured: list[float]) -> None:
    data = frame({("a", "d", ""): measured})
    assert verdict(VALUE, data)["verdict"] == "contradicted"
    declared = verdict({**VALUE, "higher_is_better": True}, data)["verdict"]
    assert declared == ("exceeded" if measured[0] > 1 else "contradicted")


def test_an_exact_claim_without_a_published_number_is_not_compared_with_nothing() -> None:
    row = verdict({"kind": "exact", "target": "published", "op": ">="}, frame({("a", "d", ""): [1.0, 2.0]}))
    assert row["verdict"] == "inconclusive"
    assert "published.csv has no number" in row["reason"]


# ---- no spread -------------------------------------------------------------------------------------------------------


def test_no_spread_is_no_proof() -> None:
    row = verdict(BETTER, frame({("a", "d", ""): [100.0, 100.0], ("b", "d", ""): [0.0, 0.0]}))
    assert (row["verdict"], row["p"]) == ("inconclusive", 0.25)
    assert row["seeds_needed"] == 6
    certain = verdict(
        {**BETTER, "deterministic": True}, frame({("a", "d", ""): [100.0, 100.0], ("b", "d", ""): [0.0, 0.0]})
    )
    assert (certain["verdict"], certain["p"], certain["test"]) == ("reproduced", None, "exact comparison")


def test_the_last_bits_are_no_difference() -> None:
    data = frame({("a", "d", ""): [0.1 + 0.2] * 3, ("b", "d", ""): [0.3] * 3})
    assert verdict(BETTER, data)["verdict"] == "inconclusive"
    assert verdict({**BETTER, "deterministic": True}, data)["verdict"] == "contradicted"


def test_what_is_declared_deterministic_must_be() -> None:
    row = verdict({**BETTER, "deterministic": True}, frame({("a", "d", ""): [5.0, 6.0], ("b", "d", ""): [1.0, 1.0]}))
    assert row["verdict"] == "inconclusive"
    assert "deterministic" in row["reason"]


# ---- few seeds, families ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [4, 5, 6, 12, 13])
def test_more_seeds_never_lose_three_perfect_claims(n: int) -> None:
    a = [10 + SPREAD["a"][i % 10] for i in range(n)]
    claims = [claim(**{**BETTER, "id": f"C{i}"}) for i in range(3)]
    rows = verdicts(claims, frame({("a", "d", ""): a, ("b", "d", ""): [1.0] * n}))
    assert {row["verdict"] for row in rows} == {"reproduced"}


def test_nineteen_of_twenty_seeds_decide_or_say_why_not() -> None:
    draw = np.random.default_rng(0)
    a = [*draw.normal(1.0, 0.2, 19), -6.0]
    row = verdict(BETTER, frame({("a", "d", ""): a, ("b", "d", ""): [0.0] * 20}))
    assert row["verdict"] == "inconclusive"
    assert row["p"] > 0.02  # the printed test is the one that decided
    assert row["seeds_needed"] > 20


def test_families_are_corrected_apart_and_trends_with_them() -> None:
    steps = {("a", "d", f"k={k}"): [k + s for s in (0.0, 0.9, -0.9)] for k in (1, 2, 3)}
    cells = {("a", "d", ""): [1.3, 1.5, 1.4], ("b", "d", ""): [1.0, 1.05, 1.12], **steps}
    head = claim(**{**BETTER, "id": "H", "headline": True, "a": {"method": "a", "setting": {}}, "b": {"method": "b"}})
    other = [claim(**{**BETTER, "id": f"C{i}"}) for i in range(6)]
    ours = claim(**{**BETTER, "id": "O", "origin": "ours", "headline": True})
    trend = claim(kind="trend", id="T", select={"method": "a", "setting": {"k": [1, 2, 3]}}, x="k", expect="increasing")
    rows = {row["claim_id"]: row for row in verdicts([head, *other, ours, trend], frame(cells))}
    assert [rows[name]["family"] for name in ("H", "C0", "O", "T")] == ["headline", "other", "ours", "other"]
    assert rows["H"]["p_adj"] == rows["H"]["p"] == rows["O"]["p_adj"]
    assert rows["C0"]["p_adj"] == pytest.approx(6 * rows["C0"]["p"], rel=0.2)
    assert rows["T"]["p_adj"] is not None


def test_a_claim_that_lost_its_runs_stays_in_its_family() -> None:
    cells = {("a", "d", ""): [1.3, 1.5, 1.4], ("b", "d", ""): [1.0, 1.05, 1.12], ("c", "d", ""): [1.0, 1.0, "failed"]}
    alone = [claim(**BETTER)]
    both = [*alone, claim(**{**BETTER, "id": "D", "b": {"method": "c"}})]
    one, two = verdicts(alone, frame(cells))[0], verdicts(both, frame(cells))[0]
    assert two["p_adj"] == pytest.approx(2 * one["p_adj"])


def test_a_claim_stopped_by_the_correction_says_so_and_how_many_seeds_it_needs() -> None:
    cells = {("a", "d", ""): [1.3, 1.5, 1.4], ("b", "d", ""): [1.0, 1.05, 1.12]}
    rows = verdicts([claim(**{**BETTER, "id": f"C{i}"}) for i in range(8)], frame(cells))
    assert {row["verdict"] for row in rows} == {"inconclusive"}
    assert "after Holm's correction over the other claims" in rows[0]["reason"]
    assert rows[0]["seeds_needed"] > 3


@pytest.mark.parametrize(
    ("content", "cells"),
    [
        ({"kind": "ratio", "factor": 2.0, "a": {"method": "a"}, "b": {"method": "b"}}, {"a": [2.2, 3.4, 1.9], "b": [1.0, 1.0, 1.1]}),
        ({"kind": "trend", "select": {"method": "a"}, "x": "k", "expect": "increasing"}, {"a": None}),
    ],
)  # fmt: skip
def test_ratios_and_trends_say_how_many_seeds_they_need(content: dict[str, Any], cells: dict[str, Any]) -> None:
    steps = {("a", "d", f"k={k}"): [k * 0.2 + s * k for s in (0.0, 0.9, -0.9)] for k in (1, 2, 3)}
    data = frame({(name, "d", ""): values for name, values in cells.items()} if cells["a"] else steps)
    row = verdict(content, data)
    assert row["verdict"] == "inconclusive"
    assert row["seeds_needed"] > 3


# ---- nothing was learned ---------------------------------------------------------------------------------------------


def test_no_worse_than_another_at_chance_is_no_finding() -> None:
    chance = {("a", "d", ""): [10.2, 9.9, 10.1, 10.0], ("b", "d", ""): [10.0, 10.1, 9.8, 10.2]}
    claim = {**BETTER, "margin": -2.0, "chance": 10.0}
    row = verdict(claim, frame(chance))
    assert row["verdict"] == "inconclusive"
    assert row["reason"] == "nothing was learned: both arms are at chance (10.00)"
    assert verdict({**claim, "chance": 5.0}, frame(chance))["verdict"] == "reproduced"
    half = {**chance, ("a", "d", ""): [60.0, 61.0, 59.0, 60.5]}
    row = verdict(claim, frame(half))
    assert (row["verdict"], row["reason"]) == ("inconclusive", "an arm is at chance (10.00)")
    other = {**chance, ("b", "d", ""): [60.0, 61.0, 59.0, 60.5]}
    assert verdict(claim, frame(other))["verdict"] == "contradicted"
    assert verdict({**claim, "margin": 2.0}, frame(half))["verdict"] == "reproduced"


def test_the_control_of_an_experiment_is_its_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    floor = {"metric": "test/x", "method": "c", "higher_is_better": True}
    monkeypatch.setitem(EXPERIMENTS, "e", {"scale": 1.0, "digits": 2, "floor": floor})
    cells = {(method, "d", ""): [10.0, 10.1, 9.9] for method in "abc"}
    assert "nothing was learned" in verdict({**BETTER, "margin": -2.0}, frame(cells))["reason"]
