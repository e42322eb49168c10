"""Metrics against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from claimbench import metrics


@pytest.mark.parametrize("seed", range(5))
def test_roc_auc_with_and_without_ties(seed: int) -> None:
    draw = np.random.default_rng(seed)
    labels = np.r_[0, 1, draw.integers(0, 2, 60)]
    for scores in (draw.normal(size=62), draw.integers(0, 5, 62), np.zeros(62)):
        assert metrics.roc_auc(labels, scores) == pytest.approx(reference.roc_auc_score(labels, scores))


def test_accuracy() -> None:
    assert metrics.accuracy([0, 1, 2], [0, 1, 1]) == pytest.approx(2 / 3)
