"""Random search with 5-fold cross-validation (Section 5.1): the defaults come first, the best mean AUC wins."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from claimbench.papers.tabpfn.baselines import Baseline
from claimbench.papers.tabpfn.evaluation import auc_ovo

FOLDS = 5


@dataclass(frozen=True)
class Found:
    """The end of a search: the winner's parameters (none are the defaults) and how many configurations were tried."""

    parameters: dict[str, Any]
    tried: int
    auc: float
    seconds: float


def search(
    baseline: Baseline,
    x: NDArray[np.float64],
    y: NDArray[np.int64],
    categorical: Sequence[int],
    random: np.random.Generator,
    configurations: int,
    budget_s: float | None = None,
) -> Found:
    """Try the defaults and then drawn configurations.

    Args:
        baseline: what is searched.
        x: (n, features) training rows.
        y: (n,) their class numbers from 0.
        categorical: indices of categorical columns.
        random: draws configurations.
        configurations: most of them, the defaults not counted.
        budget_s: no configuration is begun after so many seconds; None for no limit.

    Returns:
        The winner; with a time limit it depends on the machine.
    """
    started, seed = time.perf_counter(), int(random.integers(2**31))
    best, best_auc, tried = {}, -np.inf, 0
    for i in range(configurations + 1):
        if budget_s is not None and i and time.perf_counter() - started > budget_s:
            break
        parameters = baseline.draw(random) if i else {}
        auc = cross_validated(baseline, parameters, x, y, categorical, seed)
        tried += 1
        if auc > best_auc:  # a configuration that fails has the AUC nan and never wins
            best, best_auc = parameters, auc
    return Found(best, tried, float(best_auc), time.perf_counter() - started)


def cross_validated(
    baseline: Baseline,
    parameters: dict[str, Any],
    x: NDArray[np.float64],
    y: NDArray[np.int64],
    categorical: Sequence[int],
    seed: int,
) -> float:
    """Mean AUC over stratified folds; folds in which a class is missing are left out, NaN when none is left or when
    these parameters cannot be fitted."""
    from sklearn.model_selection import StratifiedKFold

    classes, found = np.unique(y), []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        folds = list(StratifiedKFold(FOLDS).split(x, y))
    for train, test in folds:
        if any(np.unique(y[part]).size < classes.size for part in (train, test)):
            continue
        estimator = baseline.build(parameters, seed, categorical)
        try:
            found.append(auc_ovo(y[test], fitted(estimator, x[train], y[train]).predict_proba(x[test])))
        except (ValueError, FloatingPointError):
            return float("nan")
    return float(np.mean(found)) if found else float("nan")


def fitted(estimator: Any, x: NDArray[np.float64], y: NDArray[np.int64]) -> Any:
    """The estimator after ``fit``; LightGBM's remark on arrays without names is not passed on."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        return estimator.fit(x, y)
