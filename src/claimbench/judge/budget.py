"""Whether a method was still improving when its budget ended: then what it did not reach is no finding against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

#: a curve has flattened when its last fifth brings less than this share of what the whole of it brought
FLAT = 0.05


def improving(runs: pd.DataFrame, curves: pd.DataFrame, series: str) -> str:
    """Why it is not through with its budget, in words; empty when its curve has flattened or there is none.

    The fifths of the budget are compared by their mean values: what lies between the last two, as a share of what lies
    between the first and the last, the median over the runs. A straight line has a quarter.

    Args:
        runs: rows with ``run_key``.
        curves: run_key, series, step, value.
    """
    of = curves[(curves["series"] == series) & curves["run_key"].isin(runs["run_key"])]
    shares = []
    for _, curve in of.groupby("run_key"):
        at = curve["step"].to_numpy(float) / float(curve["step"].max())
        values = curve["value"].to_numpy(float)
        fifths = [values[(at > low) & (at <= low + 0.2)] for low in (-0.01, 0.6, 0.8)]
        if any(not fifth.size for fifth in fifths):
            continue
        first, before, last = (float(fifth.mean()) for fifth in fifths)
        if first != last:
            shares.append((before - last) / (first - last))
    share = float(np.median(shares)) if shares else 0.0
    if share < FLAT:
        return ""
    return f"still improving at this budget: its last fifth brought {100 * share:.0f} % of the change of {series}"
