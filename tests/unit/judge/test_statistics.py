"""Estimates and tests against scipy and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_ind

from claimbench.judge import statistics
from claimbench.judge.regions import Region
from claimbench.judge.statistics import ALPHA, estimate

numbers = st.lists(st.floats(-5, 5).map(lambda x: round(x, 3)), min_size=2, max_size=9)


def test_one_sample_is_students() -> None:
    x = np.random.default_rng(0).normal(1, 2, 7)
    found = estimate(x, 5)
    assert found.above(0.3) == pytest.approx(reference.ttest_1samp(x, 0.3, alternative="greater").pvalue)
    assert found.below(0.3) == pytest.approx(reference.ttest_1samp(x, 0.3, alternative="less").pvalue)
    want = reference.ttest_1samp(x, 0).confidence_interval(1 - 2 * ALPHA)
    assert found.interval() == pytest.approx((want.low, want.high))


def test_equivalence_is_statsmodels() -> None:
    draw = np.random.default_rng(1)
    a, b = draw.normal(0.2, 1.0, 9), draw.normal(0.0, 2.0, 6)
    found = estimate(a - b.mean(), 5, other=(b.std(ddof=1), 6))
    assert found.inside(Region(-1.5, 1.5)) == pytest.approx(ttost_ind(a, b, -1.5, 1.5, usevar="unequal")[0])


def test_outside_a_region_is_two_sided_for_a_point_and_one_sided_for_a_wide_one() -> None:
    x = np.random.default_rng(2).normal(1.0, 0.5, 8)
    found = estimate(x, 5)
    assert found.outside(Region(-1e-9, 1e-9)) == pytest.approx(reference.ttest_1samp(x, 0).pvalue, rel=1e-6)
    far = estimate(x + 10, 20)
    one_sided = reference.ttest_1samp(x + 10, 9, alternative="greater").pvalue
    assert far.outside(Region(-9, 9)) == pytest.approx(one_sided, rel=1e-3)
    assert far.outside(Region(high=9)) == pytest.approx(one_sided)


def test_overlapping_splits_have_the_variance_of_nadeau_and_bengio() -> None:
    x = np.random.default_rng(3).normal(1, 2, 10)
    found = estimate(x, 5, overlap=1.0)
    assert found.se == pytest.approx(x.std(ddof=1) * math.sqrt(1 / 10 + 1.0))
    assert found.above(0.0) == pytest.approx(reference.t.sf(x.mean() / found.se, 9))


@pytest.mark.parametrize("n", [2, 3, 10])
def test_no_spread_never_gives_a_p_of_nought(n: int) -> None:
    found = estimate([100.0] * n, 100)
    assert found.above(0.0) == found.inside(Region(low=0.0)) == 0.5**n
    assert found.below(200.0) == 0.5**n
    assert found.above(100.0) == 1.0


def test_the_last_bits_are_no_difference() -> None:
    found = estimate([0.1 + 0.2 - 0.3] * 3, 0.3)
    assert (found.effect, found.above(0.0), found.below(0.0)) == (0.0, 1.0, 1.0)


def test_power_is_that_of_statsmodels() -> None:
    found = estimate(np.array([-1.0, 0.0, 1.0]) + 0.8, 2)
    want = TTestPower().power(0.8, 12, ALPHA, alternative="larger")
    assert statistics.power(found, Region(low=0.0), 12) == pytest.approx(want)


def test_power_far_out() -> None:
    found = estimate(np.array([-1.0, 0.0, 1.0]) * 1e-3 + 0.8, 2)
    assert statistics.power(found, Region(low=0.0), 1000) == pytest.approx(1.0)
    assert statistics.power(found, Region(low=0.0), 3, 1e-4) == pytest.approx(1.0, abs=1e-3)
    assert statistics.units_needed(estimate(np.array([-1.0, 0.0, 1.0]) * 0.3 + 1.5, 2), Region(low=0.0), 0.001) == 5


def test_units_needed_are_those_of_the_decision_rule() -> None:
    """Three seeds with a gap of 0.8 and an sd of 1; no approximation by the normal distribution."""
    found = estimate(np.array([-1.0, 0.0, 1.0]) + 0.8, 2)
    want = TTestPower().solve_power(0.8, alpha=ALPHA, power=0.8, alternative="larger")
    assert statistics.units_needed(found, Region(low=0.0)) == math.ceil(want)
    assert statistics.units_needed(found, Region(low=0.0), 0.05) == 12  # 11 by the normal approximation
    assert statistics.units_needed(found, Region(low=0.8)) is None
    assert statistics.units_needed(estimate([5.0, 5.0], 5), Region(low=0.0)) == 6


@pytest.mark.parametrize("half", [1.0, 1.5])
def test_units_needed_for_an_equivalence_by_simulation(half: float) -> None:
    region = Region(-half, half)
    found = estimate([-1.0, 0.0, 1.0], 2)
    n = statistics.units_needed(found, region)
    assert n is not None
    draw = np.random.default_rng(4)
    power = np.mean([estimate(x, 2).inside(region) <= ALPHA for x in draw.normal(0, 1, (2000, n))])
    assert 0.78 <= power <= 0.9


def test_detectable_effects_have_that_power() -> None:
    assert TTestPower().power(statistics.detectable(6), 6, ALPHA, alternative="larger") == pytest.approx(0.8, abs=1e-6)


def test_slopes() -> None:
    x = np.array([1.0, 2.0, 4.0, 7.0])
    y = np.random.default_rng(4).normal(size=(3, 4))
    assert statistics.slopes(x, y) == pytest.approx([reference.linregress(x, row).slope for row in y])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_is_that_of_statsmodels(p: list[float]) -> None:
    assert statistics.holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_holm_against_its_definition() -> None:
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    adjusted = statistics.holm([0.01, float("nan"), 0.04])
    assert adjusted[0] == pytest.approx(0.02)
    assert np.isnan(adjusted[1])


@settings(max_examples=60, deadline=None)
@given(numbers)
def test_swapping_the_sides_flips_the_sign(d: list[float]) -> None:
    one, other = estimate(d, 5), estimate([-value for value in d], 5)
    assert one.effect == pytest.approx(-other.effect)
    assert one.interval()[0] == pytest.approx(-other.interval()[1])
    assert one.above(0.5) == pytest.approx(other.below(-0.5))


@settings(max_examples=60, deadline=None)
@given(numbers, st.floats(0.01, 3))
def test_a_worse_sample_never_has_a_smaller_p(d: list[float], less: float) -> None:
    assert estimate(np.array(d) - less, 5).above(0.0) >= estimate(d, 5).above(0.0) - 1e-9
