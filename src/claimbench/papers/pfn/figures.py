"""Loss against labelled points beside the exact process, its distance by datasets, unknown hyper-parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt

from claimbench.figures import COLOURS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from claimbench.figures import Tables


def _by_size(tables: Tables, experiment: str, prefix: str) -> pd.DataFrame:
    """Metrics of one name for each number of labelled points, tidy."""
    metrics = tables.metrics[tables.metrics["metric"].str.startswith(prefix)].copy()
    metrics["n"] = metrics["metric"].str.removeprefix(prefix)
    metrics = metrics[metrics["n"].str.isdigit()]
    metrics["n"] = metrics["n"].astype(int)
    runs = tables.runs[tables.runs["experiment"] == experiment][["run_key", "method", "setting", "seed"]]
    return runs.merge(metrics[["run_key", "n", "value"]], on="run_key")


def fixed_process(tables: Tables) -> Figure:
    """Left the loss, right its distance from the exact process."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.4))
    losses, gaps = _by_size(tables, "fixed-gp", "nll_"), _by_size(tables, "fixed-gp", "gap_")
    merged = losses.merge(gaps, on=["run_key", "n", "method", "setting", "seed"], suffixes=("", "_gap"))
    keys = merged.groupby(["method", "setting"])
    for place, ((method, setting), part) in enumerate(keys):
        count = f"{int(str(setting).split('=')[1]):,} datasets"
        label = count if method == "pfn" else f"{method}, {count}"
        mean = part.groupby("n")[["value", "value_gap"]].mean()
        colour = COLOURS[place % len(COLOURS)]
        left.plot(mean.index, mean["value"], "o-", ms=3, color=colour, label=label)
        right.plot(part["n"], part["value_gap"], "o", ms=3, mfc="none", alpha=0.6, color=colour)
        right.plot(mean.index, mean["value_gap"], color=colour)
    exact = (merged["value"] - merged["value_gap"]).groupby(merged["n"]).mean()
    left.plot(exact.index, exact, "k--", lw=1, label="exact process")
    right.axhline(0, color="0.5", lw=0.8)
    left.set(xlabel="labelled points", ylabel="negative log density (nats)")
    right.set(xlabel="labelled points", ylabel="above the exact process (nats)")
    left.legend(fontsize=7)
    return figure


def unknown_hyper_parameters(tables: Tables) -> Figure:
    """Loss of the network, of MLE-II and of the exact mixture."""
    figure, axis = plt.subplots()
    names = {"pfn": "network", "map": "MLE-II", "quadrature": "exact mixture"}
    losses = _by_size(tables, "hyper-gp", "nll_")
    for place, (method, name) in enumerate(names.items()):
        part = losses[losses["method"] == method]
        mean = part.groupby("n")["value"].mean()
        axis.plot(part["n"], part["value"], "o", ms=3, mfc="none", color=COLOURS[place])
        axis.plot(mean.index, mean, color=COLOURS[place], label=name)
    axis.set(xlabel="labelled points", ylabel="negative log density (nats)", yscale="symlog")
    axis.legend()
    return figure


FIGURES = {"fixed_process": fixed_process, "unknown_hyper_parameters": unknown_hyper_parameters}
