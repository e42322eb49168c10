"""What a verdict survives."""

from __future__ import annotations

from typing import Any

import pytest

from claimbench.judge.robustness import robustness
from claimbench.judge.verdicts import asked
from tests.unit.judge.tables import BETTER, EXPERIMENTS, NO_PUBLISHED, claim, frame


def of(content: dict[str, Any], cells: dict[tuple[str, str, str], Any], *others: Any) -> dict[str, Any]:
    claims = [claim(**content), *others]
    _, questions = asked(claims, frame(cells), NO_PUBLISHED, "laptop", {"laptop": "full"}, EXPERIMENTS)
    return robustness(questions)["C"]


def test_a_clear_verdict_survives_everything() -> None:
    cells = {("a", d, ""): [9.0, 9.1, 9.2, 8.9, 9.0, 9.1, 9.05, 8.95] for d in ("d1", "d2")}
    cells |= {("b", d, ""): [1.0, 1.3, 1.2, 0.9, 1.1, 1.0, 1.2, 1.05] for d in ("d1", "d2")}
    found = of({**BETTER, "margin": 2.0}, cells)
    assert found == {"survives": 6, "variations": 6, "falls": ""}


@pytest.mark.parametrize(
    ("margin", "a", "fall"),
    [
        (3.0, [5.0, 5.1, 4.9, 5.05], "margin doubled: contradicted"),
        (0.0, [2.0, 3.0, 2.5, 1.6], "without one seed: inconclusive"),
    ],
)
def test_what_turns_it_is_named(margin: float, a: list[float], fall: str) -> None:
    b = [1.0, 1.0, 1.0, 1.2 if margin else 1.0]
    found = of({**BETTER, "margin": margin}, {("a", "d", ""): a, ("b", "d", ""): b})
    assert fall in found["falls"]
    assert found["survives"] == found["variations"] - len(found["falls"].split("; "))


def test_one_dataset_may_carry_it() -> None:
    cells = {("a", "d1", ""): [30.0, 31.0, 29.5, 30.4], ("b", "d1", ""): [1.0, 1.0, 1.1, 1.2]}
    cells |= {("a", "d2", ""): [1.0, 0.9, 1.1, 1.2], ("b", "d2", ""): [2.0, 2.2, 1.9, 2.1]}
    assert "without one stratum: contradicted" in of(BETTER, cells)["falls"]


def test_an_exact_claim_has_its_margin_only() -> None:
    cells = {("a", "d", ""): [1.0, 1.3]}
    found = of({"kind": "exact", "target": 1.0, "margin": 0.5}, cells)
    assert found == {"survives": 1, "variations": 2, "falls": "margin halved: contradicted"}
