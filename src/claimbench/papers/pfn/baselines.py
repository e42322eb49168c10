"""What a network is compared with on small tables: five classifiers, each with its grid and 5-fold cross-validation."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from claimbench.errors import Skipped

Array = np.ndarray[Any, Any]
Grid = dict[str, list[Any]]

#: the paper's grids (Appendix)
FULL: dict[str, Grid] = {
    "logreg": {"penalty": ["l1", "l2", "none"], "C": [1e-5, 1e-3, 1e-2, 0.1, 1.0, 2.0]},
    "knn": {"n_neighbors": [1, 2, 3, 4, 5]},
    "gp": {"scale": [0.05, 0.1, 0.5, 1.0, 5.0, 10.0], "length": [0.1, 0.5, 1.0, 2.0]},
    "catboost": {
        "learning_rate": [0.1, 0.5, 1.0],
        "depth": [2, 4, 7],
        "l2_leaf_reg": [0.0, 0.5, 1.0],
        "iterations": [10, 40, 70],
    },
    "xgboost": {
        "min_child_weight": [0.5, 1.0],
        "learning_rate": [0.02, 0.2],
        "subsample": [0.5, 0.8],
        "max_depth": [1, 2],
    },
}
# Deviates: at the laptop tier four of the methods have a coarser grid.
COARSE: dict[str, Grid] = {
    "logreg": {"penalty": ["l2"], "C": [1e-3, 0.1, 1.0]},
    "knn": FULL["knn"],
    "gp": {"scale": [1.0], "length": [0.5, 2.0]},
    "catboost": {"learning_rate": [0.1, 0.5], "depth": [2], "l2_leaf_reg": [1.0], "iterations": [40]},
    "xgboost": {"min_child_weight": [0.5], "learning_rate": [0.2], "subsample": [0.8], "max_depth": [1, 2]},
}


def _logreg(options: dict[str, Any], seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    ratio = {"l1": 1.0, "l2": 0.0, "none": 0.0}[options["penalty"]]
    strength = np.inf if options["penalty"] == "none" else options["C"]
    return LogisticRegression(C=strength, l1_ratio=ratio, solver="saga", tol=1e-2, max_iter=500, random_state=seed)


def _knn(options: dict[str, Any], seed: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(**options)


def _gp(options: dict[str, Any], seed: int) -> Any:
    from sklearn.gaussian_process import GaussianProcessClassifier
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel

    kernel = ConstantKernel(options["scale"]) * RBF(options["length"])
    return GaussianProcessClassifier(kernel, optimizer=None, random_state=seed)


def _catboost(options: dict[str, Any], seed: int) -> Any:
    try:
        from catboost import CatBoostClassifier
    except ImportError:
        raise Skipped("catboost is not installed; pip install 'claimbench[boosting]'") from None
    return CatBoostClassifier(
        **options, random_seed=seed, thread_count=1, verbose=False, allow_writing_files=False, logging_level=None
    )


def _xgboost(options: dict[str, Any], seed: int) -> Any:
    try:
        from xgboost import XGBClassifier
    except ImportError:
        raise Skipped("xgboost is not installed; pip install 'claimbench[boosting]'") from None
    return XGBClassifier(**options, colsample_bytree=0.8, n_estimators=100, n_jobs=1, random_state=seed)


BUILDERS: dict[str, Callable[[dict[str, Any], int], Any]] = {
    "logreg": _logreg,
    "knn": _knn,
    "gp": _gp,
    "catboost": _catboost,
    "xgboost": _xgboost,
}


def settings(grid: Grid) -> list[dict[str, Any]]:
    """All combinations of a grid; without a penalty its strength does not matter."""
    found = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    return [s for s in found if s.get("penalty") != "none" or s["C"] == grid["C"][0]]


def answer(method: str, grid: Grid, x: Array, y: Array, query: Array, folds: int, seed: int) -> Array:
    """Probability of class 1 for each query: the setting with the largest cross-validated AUC, refitted.

    Args:
        x: (train, features), standardised.
        y: (train,) 0 or 1.
        query: (test, features).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import StratifiedKFold

    from claimbench.metrics import roc_auc

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        options = settings(grid)
        best = options[0]
        if len(options) > 1:
            parts = list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(x, y))
            scores = []
            for setting in options:
                values = []
                for train, val in parts:
                    fitted = BUILDERS[method](setting, seed).fit(x[train], y[train])
                    values.append(roc_auc(y[val], fitted.predict_proba(x[val])[:, 1]))
                scores.append(float(np.mean(values)))
            best = options[int(np.argmax(scores))]
        fitted = BUILDERS[method](best, seed).fit(x, y)
        return np.asarray(fitted.predict_proba(query)[:, 1], dtype=np.float64)
