"""Independent random streams."""

from __future__ import annotations

import numpy as np

from claimbench import seeding


def test_streams_are_reproducible_and_differ_by_name_and_seed() -> None:
    draws = {(s, n): seeding.rng(s, n).normal(size=4).tolist() for s in (0, 1) for n in ("init", "order")}
    assert draws[0, "init"] == seeding.rng(0, "init").normal(size=4).tolist()
    assert len({tuple(value) for value in draws.values()}) == 4


def test_streams_are_uncorrelated() -> None:
    draws = np.array([seeding.rng(seed, "x").normal(size=2000) for seed in range(30)])
    correlation = np.corrcoef(draws)[np.triu_indices(30, 1)]
    assert abs(correlation).max() < 4.5 / np.sqrt(2000)


def test_torch_streams() -> None:
    import torch

    a = torch.randn(3, generator=seeding.torch_generator(3, "init"))
    assert torch.equal(a, torch.randn(3, generator=seeding.torch_generator(3, "init")))
    assert seeding.stream_seed(2**31 - 1, "x") < 2**63
