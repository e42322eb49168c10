"""The piecewise density: mass, tails, moments and quantiles by integration."""

from __future__ import annotations

import pytest
import torch

from claimbench.nn.riemann import Riemann, equal_mass_borders

BORDERS = torch.tensor([-3.0, -1.0, -0.5, 0.2, 1.0, 4.0], dtype=torch.float64)
LOGITS = torch.tensor([0.3, -1.0, 0.7, 0.1, -0.4], dtype=torch.float64)


def grid() -> tuple[torch.Tensor, torch.Tensor]:
    y = torch.linspace(-40, 60, 2_000_001, dtype=torch.float64)
    y = (y[1:] + y[:-1]) / 2
    return y, Riemann(BORDERS).log_density(LOGITS.expand(len(y), -1), y).exp()


def test_it_is_a_density_with_the_right_masses() -> None:
    y, density = grid()
    step = float(y[1] - y[0])
    assert float(density.sum() * step) == pytest.approx(1, abs=1e-5)
    p = LOGITS.softmax(0)
    for k, (low, high) in enumerate([(-40, -1), (-1, -0.5), (-0.5, 0.2), (0.2, 1), (1, 60)]):
        inside = (y > low) & (y <= high)
        assert float(density[inside].sum() * step) == pytest.approx(float(p[k]), abs=1e-4)
    for k, (low, high) in ((0, (-3, -1)), (4, (1, 4))):
        inside = (y > low) & (y <= high)
        assert float(density[inside].sum() * step) == pytest.approx(float(p[k]) / 2, abs=1e-4), "half within the bucket"


def test_mean_and_quantiles() -> None:
    y, density = grid()
    step = float(y[1] - y[0])
    dist = Riemann(BORDERS)
    assert float(dist.mean(LOGITS)) == pytest.approx(float((y * density).sum() * step), abs=1e-4)
    cumulative = density.cumsum(0) * step
    for level in (0.01, 0.2, 0.37, 0.5, 0.81, 0.99):
        expected = float(y[int((cumulative < level).sum())])
        assert float(dist.quantile(LOGITS, level)) == pytest.approx(expected, abs=1e-3)


def test_borders_hold_equal_shares() -> None:
    sample = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
    borders = equal_mass_borders(sample, 10)
    counts = torch.histc(torch.bucketize(sample, borders[1:-1]).float(), 10)
    assert counts.tolist() == [400] * 10
    assert float(borders[0]) == float(sample.min())
    assert len(equal_mass_borders(torch.tensor([1.0, 1, 1, 1, 2, 3]), 4)) < 5, "equal borders are one"
    with pytest.raises(ValueError, match="2 values cannot fill 4 buckets"):
        equal_mass_borders(torch.ones(2), 4)
    with pytest.raises(ValueError, match="increase strictly"):
        Riemann(torch.tensor([0.0, 0, 1, 2]))


def test_gradients_are_finite_far_out() -> None:
    logits = torch.zeros(3, 5, requires_grad=True)
    Riemann(BORDERS.float()).log_density(logits, torch.tensor([-100.0, 0.0, 100.0])).sum().backward()
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())
