"""Tests and intervals against references, and their error rates by simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from claimbench.judge import statistics

numbers = st.lists(st.floats(-5, 5).map(lambda x: round(x, 3)), min_size=2, max_size=9)


def test_mean_interval_is_students() -> None:
    x = np.random.default_rng(0).normal(1, 2, 7)
    result = statistics.mean_t(x)
    want = reference.t.interval(0.95, 6, x.mean(), reference.sem(x))
    assert (result.ci_low, result.ci_high) == pytest.approx(want)
    assert result.p == pytest.approx(reference.ttest_1samp(x, 0).pvalue)


def test_welch_tost_against_scipy() -> None:
    draw = np.random.default_rng(1)
    a, b = draw.normal(0.2, 1.0, 9), draw.normal(0.0, 2.0, 6)
    result = statistics.tost(a.mean(), a.std(ddof=1), 9, b.mean(), b.std(ddof=1), 6, 1.5)
    above = reference.ttest_ind(a + 1.5, b, equal_var=False, alternative="greater").pvalue
    below = reference.ttest_ind(a - 1.5, b, equal_var=False, alternative="less").pvalue
    assert result.p == pytest.approx(max(above, below))
    low, high = reference.ttest_ind(a, b, equal_var=False).confidence_interval(0.90)
    assert (result.ci_low, result.ci_high) == pytest.approx((low, high))


@pytest.mark.parametrize("n", [3, 5, 20])
def test_tost_rejects_at_the_margin_in_at_most_six_percent(n: int) -> None:
    draw = np.random.default_rng(n)
    x = draw.normal(1.0, 0.5, (4000, n))  # the true difference is the margin itself
    rejected = [statistics.tost(row.mean(), row.std(ddof=1), n, 0.0, None, None, 1.0).p <= 0.05 for row in x]
    assert np.mean(rejected) <= 0.06


def test_exact_sign_flip_by_brute_force() -> None:
    d = np.random.default_rng(2).normal(0.4, 1, 7)
    count = sum(
        sum(s * v for s, v in zip(signs, d, strict=True)) >= d.sum() - 1e-12
        for signs in itertools.product((1, -1), repeat=7)
    )
    assert statistics.sign_flip(d) == pytest.approx(count / 2**7)
    assert statistics.sign_flip(np.ones(5)) == pytest.approx(1 / 32)


@pytest.mark.parametrize("n", [3, 4, 8, 12, 20])
def test_paired_test_keeps_its_level(n: int) -> None:
    draw = np.random.default_rng(n)
    rejected = [statistics.paired([row]).p <= 0.05 for row in draw.normal(0, 1, (1500, n))]
    assert np.mean(rejected) <= 0.065


def test_pairs_of_a_seed_are_averaged_over_strata() -> None:
    strata = [np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])]
    result = statistics.paired(strata)
    assert (result.effect, result.n) == (2.0, 3)
    assert result.ci_low == result.ci_high == 2.0


def test_bootstrap_covers() -> None:
    draw = np.random.default_rng(3)
    hits = 0
    for _ in range(200):
        a, b = draw.lognormal(0.7, 0.2, 25), draw.lognormal(0.0, 0.2, 25)
        result = statistics.ratio_of_medians(a, b, 1.0)
        hits += result.ci_low <= np.exp(0.7) <= result.ci_high
    assert 0.88 <= hits / 200 <= 1.0


def test_bootstrap_is_deterministic() -> None:
    a, b = np.arange(1.0, 9.0), np.arange(2.0, 12.0)
    assert statistics.ratio_of_medians(a, b, 1.0) == statistics.ratio_of_medians(a, b, 1.0)


def test_slopes_and_kendall() -> None:
    x = np.array([1.0, 2.0, 4.0, 7.0])
    y = np.random.default_rng(4).normal(size=(3, 4))
    assert statistics.slopes(x, y) == pytest.approx([reference.linregress(x, row).slope for row in y])
    assert statistics.kendall(x, x**2) == pytest.approx(1.0)


def test_holm_against_its_definition() -> None:
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    adjusted = statistics.holm([0.01, float("nan"), 0.04])
    assert adjusted[0] == pytest.approx(0.02)
    assert np.isnan(adjusted[1])


@settings(max_examples=60, deadline=None)
@given(numbers, numbers)
def test_swapping_the_sides_flips_the_sign(a: list[float], b: list[float]) -> None:
    n = min(len(a), len(b))
    d = np.array(a[:n]) - np.array(b[:n])
    one, other = statistics.paired([d]), statistics.paired([-d])
    assert one.effect == pytest.approx(-other.effect)
    assert one.ci_low == pytest.approx(-other.ci_high)


@settings(max_examples=60, deadline=None)
@given(numbers)
def test_the_order_of_seeds_does_not_matter(d: list[float]) -> None:
    one, other = statistics.paired([d]), statistics.paired([d[::-1]])
    assert one.p == pytest.approx(other.p)
    assert one.ci_low == pytest.approx(other.ci_low)


@settings(max_examples=60, deadline=None)
@given(numbers, st.floats(0.01, 3))
def test_a_worse_sample_never_has_a_smaller_p(d: list[float], less: float) -> None:
    assert statistics.paired([np.array(d) - less]).p >= statistics.paired([d]).p - 1e-9
