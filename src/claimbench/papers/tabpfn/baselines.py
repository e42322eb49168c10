"""The methods that TabPFN is compared with: library defaults, and a random search over the paper's spaces (Section 5.1,
appendix; official code). Every estimator uses one thread.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from claimbench.errors import Skipped, UserError, nearest

Sampler = Callable[[np.random.Generator], Any]


@dataclass(frozen=True)
class Baseline:
    """One method.

    Args:
        build: (parameters, seed, indices of categorical columns) -> a scikit-learn classifier; no parameters are the
            defaults.
        space: what a random search draws, by parameter.
    """

    build: Callable[[dict[str, Any], int, Sequence[int]], Any]
    space: dict[str, Sampler]

    def draw(self, random: np.random.Generator) -> dict[str, Any]:
        """One configuration, as plain Python values."""
        return {name: sampler(random) for name, sampler in self.space.items()}


def get(name: str) -> Baseline:
    """The baseline of a name.

    Raises:
        UserError: there is none.
    """
    if name not in BASELINES:
        raise UserError(f"method {name!r} is no baseline ({nearest(name, BASELINES)})")
    return BASELINES[name]


# ---- draws -----------------------------------------------------------------------------------------------------------


def _uniform(low: float, high: float) -> Sampler:
    return lambda random: float(random.uniform(low, high))


def _log_uniform(low: float, high: float) -> Sampler:
    """exp of a uniform number between ``low`` and ``high``, the exponents."""
    return lambda random: float(math.exp(random.uniform(low, high)))


def _integer(low: int, high: int) -> Sampler:
    """``low`` to ``high`` - 1."""
    return lambda random: int(random.integers(low, high))


def _choice(*options: Any) -> Sampler:
    return lambda random: options[int(random.integers(len(options)))]


# ---- columns ---------------------------------------------------------------------------------------------------------


def _scaled(estimator: Any, categorical: Sequence[int]) -> Any:
    """Missing values become means, categories one column each, all columns lie between 0 and 1."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, OneHotEncoder

    one_hot = make_pipeline(
        # Deviates: a missing category is the most frequent one; the official code takes the mean of the codes.
        SimpleImputer(strategy="most_frequent", keep_empty_features=True),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    columns = ColumnTransformer(
        [("categories", one_hot, list(categorical))],
        remainder=SimpleImputer(keep_empty_features=True),
    )
    return make_pipeline(columns, MinMaxScaler(), estimator)


def _imputed(estimator: Any) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    return make_pipeline(SimpleImputer(keep_empty_features=True), estimator)


# ---- scikit-learn ----------------------------------------------------------------------------------------------------


def _logistic(parameters: dict[str, Any], seed: int, categorical: Sequence[int]) -> Any:
    from sklearn.linear_model import LogisticRegression

    given = dict(parameters)
    penalty = given.pop("penalty", "l2")
    if penalty == "none":
        given["C"] = math.inf
    given["l1_ratio"] = 1.0 if penalty == "l1" else 0.0
    return _scaled(_quiet(LogisticRegression(solver="saga", random_state=seed, **given)), categorical)


def _quiet(estimator: Any) -> Any:
    """Without its warning that the iterations were used up: how many there are is part of the search."""
    from sklearn.exceptions import ConvergenceWarning

    return _silenced(estimator, ConvergenceWarning)


def _silenced(estimator: Any, category: type[Warning]) -> Any:
    import warnings

    fit = type(estimator).fit

    def silent(self: Any, X: Any, y: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category)
            return fit(self, X, y)

    return type(type(estimator).__name__, (type(estimator),), {"fit": silent})(**estimator.get_params(deep=False))


def _neighbours(parameters: dict[str, Any], seed: int, categorical: Sequence[int]) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return _scaled(KNeighborsClassifier(**parameters), categorical)


def _process(parameters: dict[str, Any], seed: int, categorical: Sequence[int]) -> Any:
    from sklearn.gaussian_process import GaussianProcessClassifier
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel

    kernel = None
    if parameters:
        kernel = ConstantKernel(parameters["scale"]) * RBF(parameters["length"])
    return _scaled(_quiet(GaussianProcessClassifier(kernel=kernel, random_state=seed)), categorical)


def _vectors(parameters: dict[str, Any], seed: int, categorical: Sequence[int]) -> Any:
    from sklearn.svm import SVC

    # Deviates: the signed distances are turned into probabilities by a softmax, which keeps the order; scikit-learn's
    # own probabilities come from an inner cross-validation and are on their way out of the library.
    class Probabilities(SVC):
        def predict_proba(self, X: Any) -> NDArray[np.float64]:
            distances = self.decision_function(X)
            if distances.ndim == 1:
                distances = np.stack([-distances, distances], 1) / 2
            grown = np.exp(distances - distances.max(1, keepdims=True))
            return np.asarray(grown / grown.sum(1, keepdims=True))

    return _scaled(Probabilities(random_state=seed, **parameters), categorical)


def _forest(parameters: dict[str, Any], seed: int, categorical: Sequence[int]) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return _imputed(RandomForestClassifier(n_jobs=1, random_state=seed, **parameters))


def _hist_boosting(parameters: dict[str, Any], seed: int, categorical: Sequence[int]) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        categorical_features=list(categorical) or None, random_state=seed, early_stopping=False, **parameters
    )


def _perceptron(parameters: dict[str, Any], seed: int, categorical: Sequence[int]) -> Any:
    from sklearn.neural_network import MLPClassifier

    return _scaled(_quiet(MLPClassifier(random_state=seed, **parameters)), categorical)


# ---- boosting libraries ----------------------------------------------------------------------------------------------


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Skipped(f"{name} is not installed; pip install 'claimbench[boosting]'") from None


def _xgboost(parameters: dict[str, Any], seed: int, categorical: Sequence[int]) -> Any:
    return _library("xgboost").XGBClassifier(n_jobs=1, random_state=seed, verbosity=0, **parameters)


def _lightgbm(parameters: dict[str, Any], seed: int, categorical: Sequence[int]) -> Any:
    given = dict(parameters)
    if "subsample" in given:
        given["subsample_freq"] = 1  # without it the library ignores the share

    base: Any = _library("lightgbm").LGBMClassifier

    class Categorical(base):
        """Told of the categories where the library listens, in ``fit``; the official code names them in vain."""

        def fit(self, X: Any, y: Any) -> Any:
            return super().fit(X, y, categorical_feature=list(categorical) or "auto")

    return Categorical(n_jobs=1, random_state=seed, verbose=-1, **given)


def _catboost(parameters: dict[str, Any], seed: int, categorical: Sequence[int]) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    estimator = _library("catboost").CatBoostClassifier(
        thread_count=1,
        random_seed=seed,
        logging_level="Silent",
        allow_writing_files=False,
        cat_features=list(categorical) or None,
        **parameters,
    )
    if not categorical:
        return estimator
    return make_pipeline(FunctionTransformer(_whole_numbers, kw_args={"columns": tuple(categorical)}), estimator)


def _whole_numbers(x: NDArray[np.float64], columns: tuple[int, ...]) -> NDArray[Any]:
    """Categories as whole numbers, which CatBoost asks for; -1 where one is missing."""
    table = x.astype(object)
    for column in columns:
        table[:, column] = np.nan_to_num(x[:, column], nan=-1).astype(int)
    return table


_ITERATIONS = _integer(100, 4000)

BASELINES: dict[str, Baseline] = {
    "logreg": Baseline(
        _logistic,
        {
            "penalty": _choice("l1", "l2", "none"),
            "max_iter": _integer(50, 500),
            "fit_intercept": _choice(True, False),
            "C": _log_uniform(-5, math.log(5)),
        },
    ),
    "knn": Baseline(_neighbours, {"n_neighbors": _integer(1, 16)}),
    "gp": Baseline(
        _process,
        {
            "scale": _log_uniform(math.log(0.05), math.log(5)),
            "length": _log_uniform(math.log(0.1), 0),
        },
    ),
    "svm": Baseline(
        _vectors,
        {
            "C": _choice(0.1, 1, 10, 100),
            "gamma": _choice("auto", "scale"),
            "kernel": _choice("rbf", "poly", "sigmoid"),
        },
    ),
    "random-forest": Baseline(
        _forest,
        {
            "n_estimators": _integer(20, 200),
            "max_depth": _integer(1, 45),
            "min_samples_split": _choice(5, 10),
        },
    ),
    # not in the paper: the space of XGBoost as far as scikit-learn has its parameters, with fewer trees
    "histgb": Baseline(
        _hist_boosting,
        {
            "learning_rate": _log_uniform(-4, 0),
            "max_depth": _integer(1, 10),
            "max_iter": _integer(10, 100),
            "max_features": _uniform(0.2, 1),
            "l2_regularization": _log_uniform(-16, 2),
            "min_samples_leaf": _integer(1, 30),
        },
    ),
    "mlp": Baseline(_perceptron, {"alpha": _log_uniform(-10, 0)}),
    "xgboost": Baseline(
        _xgboost,
        {
            "learning_rate": _log_uniform(-7, 0),
            "max_depth": _integer(1, 10),
            "subsample": _uniform(0.2, 1),
            "colsample_bytree": _uniform(0.2, 1),
            "colsample_bylevel": _uniform(0.2, 1),
            "min_child_weight": _log_uniform(-16, 5),
            "reg_alpha": _log_uniform(-16, 2),
            "reg_lambda": _log_uniform(-16, 2),
            "gamma": _log_uniform(-16, 2),
            "n_estimators": _ITERATIONS,
        },
    ),
    "lightgbm": Baseline(
        _lightgbm,
        {
            "num_leaves": _integer(5, 50),
            "max_depth": _integer(3, 20),
            "learning_rate": _log_uniform(-3, 0),
            "n_estimators": _integer(50, 2000),
            "min_child_weight": _choice(1e-5, 1e-3, 1e-2, 1e-1, 1, 1e1, 1e2, 1e3, 1e4),
            "subsample": _uniform(0.2, 0.8),
            "colsample_bytree": _uniform(0.2, 0.8),
            "reg_alpha": _choice(0, 1e-1, 1, 2, 5, 7, 10, 50, 100),
            "reg_lambda": _choice(0, 1e-1, 1, 5, 10, 20, 50, 100),
        },
    ),
    "catboost": Baseline(
        _catboost,
        {
            "learning_rate": _log_uniform(-5, 0),
            "random_strength": _integer(1, 20),
            "l2_leaf_reg": _log_uniform(0, math.log(10)),
            "bagging_temperature": _uniform(0, 1),
            "leaf_estimation_iterations": _integer(1, 20),
            "iterations": _ITERATIONS,
        },
    ),
}
