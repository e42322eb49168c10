"""Errors against the number of features, accuracy against parameters, and regression by data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from claimbench.figures import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from claimbench.figures import Tables

_TARGETS = {"cos": "cosine", "sin": "sine", "gaussian": "Gaussian", "relu": "ReLU kernel"}
_PROJECTIONS = {"iid": "-", "orthogonal": "--", "unsigned": ":"}


def estimation(tables: Tables) -> Figure:
    """Relative error of a layer against the number of features; the slope of -1/2 for comparison."""
    figure, axis = plt.subplots(figsize=(6.4, 4.2))
    measured = tables.frame("estimation", "test/error")
    measured = measured[measured["spread"] == 0]
    for colour, (method, name) in zip(COLOURS, _TARGETS.items(), strict=False):
        for projection, line in _PROJECTIONS.items():
            part = measured[(measured["method"] == method) & (measured["projection"] == projection)]
            if part.empty:
                continue
            mean = part.groupby("m")["value"].mean()
            label = name if projection == "iid" else None
            axis.plot(mean.index, mean, line, color=colour, marker="o", ms=3, label=label)
    grid = np.array([16.0, 4096.0])
    axis.plot(grid, 2.4 * grid**-0.5, color="0.5", lw=0.8, label="slope -1/2")
    for projection, line in _PROJECTIONS.items():
        axis.plot([], [], line, color="0.2", label=f"{projection} projections")
    axis.set(xscale="log", yscale="log", xlabel="features m", ylabel="relative error")
    axis.legend(fontsize=7, ncols=2)
    return figure


def compression(tables: Tables) -> Figure:
    """Accuracy of every network against its trainable parameters."""
    figure, axis = plt.subplots(figsize=(6.4, 3.8))
    measured = tables.frame("compression", "test/accuracy")
    joined = measured.merge(tables.runs[["run_key", "n_params"]], on="run_key")
    for place, (method, part) in enumerate(joined.groupby("method")):
        colour = COLOURS[place % len(COLOURS)]
        axis.plot(part["n_params"], 100 * part["value"], "o", ms=3, mfc="none", alpha=0.6, color=colour)
        mean = part.groupby("n_params")["value"].mean()
        axis.plot(mean.index, 100 * mean, "_", ms=14, mew=2, color=colour, label=str(method))
    axis.set(xscale="log", xlabel="trainable parameters", ylabel="test accuracy (%)")
    axis.legend(fontsize=8)
    return figure


def regression(tables: Tables) -> Figure:
    """Test error by data set: ridge, the formula with one and two maps, Adam on the same, a trained network."""
    figure, axis = plt.subplots(figsize=(8.4, 3.6))
    measured = tables.frame("regression", "test/mse")
    arms = [("ridge", 0), ("closed", 1), ("closed", 2), ("adam", 2), ("mlp", 0)]
    names = ["ridge", "formula, one map", "formula, two maps", "Adam, two maps", "trained network"]
    datasets = sorted(measured["dataset"].unique(), key=lambda name: (name != "none", name))
    for place, ((method, depth), name) in enumerate(zip(arms, names, strict=True)):
        shift = 0.16 * (place - 2)
        label: str | None = name
        for x, dataset in enumerate(datasets):
            chosen = (measured["method"] == method) & (measured["depth"] == depth) & (measured["dataset"] == dataset)
            values = measured[chosen]["value"]
            axis.plot(np.full(len(values), x + shift), values, "o", ms=3, mfc="none", color=COLOURS[place])
            if len(values):
                axis.plot(x + shift, values.mean(), "_", ms=10, mew=2, color=COLOURS[place], label=label)
                label = None
    axis.set_xticks(range(len(datasets)), ["friedman" if d == "none" else d for d in datasets], fontsize=8)
    axis.set(ylabel="mean squared error / variance", yscale="log")
    axis.legend(fontsize=7, ncols=3)
    return figure


FIGURES = {"estimation": estimation, "compression": compression, "regression": regression}
