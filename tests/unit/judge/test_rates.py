"""How often verdicts are wrong at the boundary: benchmarks/verdicts.py, shortened."""

from __future__ import annotations

import pytest
from benchmarks import verdicts

TIMES = 300
#: 5 %, and two standard errors of so many simulations
MOST = 0.05 + 2 * (0.05 * 0.95 / TIMES) ** 0.5
FEW = 60
MOST_OF_FEW = 0.05 + 2 * (0.05 * 0.95 / FEW) ** 0.5


@pytest.mark.parametrize("shape", ["normal", "heavy tails (t, 3 degrees)", "skewness 1", "skewness -1"])
@pytest.mark.parametrize("n", [2, 3, 10])
def test_a_family_at_its_boundary(shape: str, n: int) -> None:
    found = verdicts.families(shape, n, TIMES, size=3)
    assert max(found["reproduced"], found["contradicted"]) <= MOST * TIMES


def test_fourteen_claims_are_corrected_in_both_directions() -> None:
    found = verdicts.families("normal", 10, TIMES, size=14)
    assert max(found["reproduced"], found["contradicted"]) <= MOST * TIMES


def test_equivalences_at_their_margin() -> None:
    found = verdicts.families("normal", 5, TIMES, size=3, two_sided=True)
    assert max(found["reproduced"], found["contradicted"]) <= MOST * TIMES


def test_runs_that_are_lost_at_random() -> None:
    found = verdicts.shared(5, FEW, lost=0.05, complete=0.5)
    assert max(found["reproduced"], found["contradicted"]) <= MOST_OF_FEW * FEW


def test_halves_of_one_table_need_the_correction() -> None:
    found, wrong = verdicts.halves(10, FEW), verdicts.halves(10, FEW, corrected=False)
    assert max(found["reproduced"], found["contradicted"]) <= MOST_OF_FEW * FEW
    assert wrong["reproduced"] > 0.15 * FEW


@pytest.mark.parametrize("n", [2, 5])
def test_ratios_at_the_factor(n: int) -> None:
    found = verdicts.ratios(n, FEW)
    assert max(found["reproduced"], found["contradicted"]) <= MOST_OF_FEW * FEW


def test_a_large_effect_is_found() -> None:
    found = verdicts.families("normal", 5, TIMES // 4, effect=4.0, size=1)
    assert found["decided"] >= 0.9 * TIMES / 4
