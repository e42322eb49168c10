"""The experiments: `fit_<experiment>` trains, `score_<experiment>` measures. Read the recipe from top to bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .ridge import EIGENVALUES, design, estimate

if TYPE_CHECKING:
    from claimbench.data import Data
    from claimbench.run import Run


def fit_estimation(run: Run, data: Data | None) -> dict[str, Any]:
    """Estimate the coefficients once for every noise draw.

    ``data`` is None because the experiment's dataset is ``none``; with a dataset it holds what training may see.
    """
    x = design(run.h.n)
    signal = x @ np.full(EIGENVALUES.size, run.h.coefficient)
    noise = run.h.noise_sd * run.rng("noise").standard_normal((run.h.n, run.h.repeats))
    y = signal[:, None] + noise
    penalty = 0.0 if run.method == "least-squares" else run.h.penalty
    if run.h.sabotage == "shuffled-responses" and run.method == "ridge":
        # The control that must turn the headline claim: ridge learns from responses out of order.
        y = run.rng("sabotage").permuted(y, axis=0)
    return {"coefficients": estimate(x, y, penalty)}


def score_estimation(run: Run, artifact: dict[str, Any], data: Data | None) -> dict[str, float]:
    """Squared distance to the true coefficients, averaged over the noise draws (their L1 squared, Section 1)."""
    errors = np.sum((artifact["coefficients"] - run.h.coefficient) ** 2, axis=1)
    return {"test/squared_error": float(errors.mean())}
