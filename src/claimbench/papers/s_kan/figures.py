"""Errors by task, what nodes chose, and accuracy against parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from claimbench.figures import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from claimbench.figures import Tables

_METHODS = ("s-kan", "bspline", "fourier", "chebyshev", "rbf", "wavelet", "best-mlp")
_COLOUR = dict(zip(_METHODS, ("#000000", *COLOURS[:6]), strict=True))


def functions(tables: Tables) -> Figure:
    """Error of every network on the seven tasks; means of the logarithms as bars."""
    figure, axis = plt.subplots(figsize=(8.8, 3.8))
    measured = tables.frame("ranking", "test/log10_rmse")
    tasks = sorted(measured["task"].unique())
    for place, method in enumerate(_METHODS):
        shift = 0.11 * (place - 3)
        for x, task in enumerate(tasks):
            values = measured[(measured["method"] == method) & (measured["task"] == task)]["value"]
            axis.plot(np.full(len(values), x + shift), 10**values, "o", ms=3, mfc="none", color=_COLOUR[method])
            if len(values):
                axis.plot(x + shift, 10 ** values.mean(), "_", ms=9, mew=2, color=_COLOUR[method])
        axis.plot([], [], "_", ms=9, mew=2, color=_COLOUR[method], label=method)
    axis.set_xticks(range(len(tasks)), tasks, fontsize=8)
    axis.set(yscale="log", ylabel="test RMSE")
    axis.legend(ncols=4, fontsize=7)
    return figure


def regret(tables: Tables) -> Figure:
    """How far each network is from the best fixed family of a task: mean over tasks, and the worst task."""
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    measured = tables.frame("ranking", "test/regret")
    by_task = measured.groupby(["method", "task"])["value"].mean().unstack("task")
    for place, method in enumerate(_METHODS[:-1]):
        if method not in by_task.index:
            continue
        values = by_task.loc[method]
        axis.plot(np.full(len(values), place), values, "o", ms=3, mfc="none", color=_COLOUR[method])
        axis.plot(place, values.mean(), "_", ms=18, mew=2.5, color=_COLOUR[method])
    axis.axhline(0, color="0.6", lw=0.8)
    axis.set_xticks(range(len(_METHODS) - 1), _METHODS[:-1], fontsize=8)
    axis.set(ylabel="log10 RMSE above the best family")
    return figure


def images(tables: Tables) -> Figure:
    """Accuracy of the small convolutional networks, with their parameters, one panel a data set."""
    measured = tables.frame("images", "test/accuracy").merge(tables.runs[["run_key", "n_params"]], on="run_key")
    panels = list(measured.groupby("dataset"))
    figure, axes = plt.subplots(1, len(panels), figsize=(1.2 + 4.6 * len(panels), 3.4), squeeze=False)
    for axis, (dataset, shown) in zip(axes[0], panels, strict=True):
        names = []
        for place, (method, part) in enumerate(shown.groupby("method")):
            colour = COLOURS[place % len(COLOURS)]
            axis.plot(np.full(len(part), place), 100 * part["value"], "o", ms=4, mfc="none", color=colour)
            axis.plot(place, 100 * part["value"].mean(), "_", ms=18, mew=2, color=colour)
            names.append(f"{method}\n{int(part['n_params'].median()):,}")
        axis.set_xticks(range(len(names)), names, fontsize=7)
        axis.set(title=str(dataset), ylabel="test accuracy (%)", xlabel="method and parameters")
    return figure


FIGURES = {"functions": functions, "regret": regret, "images": images}
