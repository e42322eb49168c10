"""What the claims of a plan can find with its seeds."""

from __future__ import annotations

import copy

import pytest
import yaml
from statsmodels.stats.power import TTestPower

from claimbench.judge.power import powers
from tests.conftest import CLAIMS, PaperFolder


def test_powers_of_a_plan(paper: PaperFolder) -> None:
    claims = copy.deepcopy(CLAIMS)
    (first,) = claims["claims"]
    claims["claims"] += [{**first, "id": "C2"}, {**first, "id": "C3", "headline": False}]
    (paper.folder / "claims.yaml").write_text(yaml.safe_dump(claims))
    rows = {row.claim: row for row in powers(paper.plan(tier="laptop", seeds=5), "toy-paper")}
    assert [(row.family, row.units, row.level) for row in rows.values()] == [
        ("headline", 5, 0.01),
        ("headline", 5, 0.01),
        ("other", 5, 0.02),
    ]
    effect = rows["C1"].effect
    assert effect is not None
    assert TTestPower().power(effect, 5, 0.01, alternative="larger") == pytest.approx(0.8)
    alone = powers(paper.plan(tier="laptop", seeds=1), "toy-paper")[0]
    assert (alone.effect, alone.never) == (None, "a single seed has no spread")
