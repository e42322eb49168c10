"""Four-point vertices against depth, residual networks with both recursions, the NTK's change and the stable rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from claimbench.figures import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from claimbench.figures import Tables

_ORDER = ("linear", "relu", "leaky", "abs", "tanh", "sin")
_COLOUR = dict(zip(_ORDER, COLOURS, strict=False))


def slopes(tables: Tables) -> Figure:
    """Slope of V / (n K^2) over depth: sampled and extrapolated, against the recursion."""
    figure, axis = plt.subplots(figsize=(5.2, 3.4))
    measured, theory = (tables.frame("four-point", f"test/{name}") for name in ("slope", "slope_theory"))
    methods = [m for m in _ORDER if m in set(measured["method"])]
    for place, method in enumerate(methods):
        axis.plot(
            [place - 0.3, place + 0.3], [theory[theory["method"] == method]["value"].mean()] * 2, color="0.2", lw=1.5,
            label="recursion" if place == 0 else None,
        )  # fmt: skip
        values = measured[measured["method"] == method]["value"]
        axis.plot(
            place + np.linspace(-0.1, 0.1, len(values)), values, "o", mfc="white", color=_COLOUR[method],
            label="sampled, extrapolated to infinite width" if place == 0 else None,
        )  # fmt: skip
    axis.set_xticks(range(len(methods)), methods)
    axis.set(ylabel=r"slope of $V / K^2$ over depth")
    axis.set_ylim(bottom=0)
    axis.legend(fontsize=8)
    return figure


def residual(tables: Tables) -> Figure:
    """Vertex of residual networks at the last layer: sampled, printed recursion, extended recursion."""
    frames = {name: tables.frame("residual", f"test/{name}") for name in ("last", "last_printed", "last_extended")}
    measured = frames["last"]
    gammas = sorted(measured["gamma"].unique()) if len(measured) else []
    figure, axes = plt.subplots(1, max(1, len(gammas)), figsize=(7.4, 3.2), squeeze=False)
    for axis, gamma in zip(axes[0], gammas, strict=False):
        methods = [m for m in _ORDER if m in set(measured["method"])]
        for place, method in enumerate(methods):
            for name, style, label in (
                ("last_printed", {"color": "0.2", "lw": 1.5}, "printed recursion"),
                ("last_extended", {"color": COLOURS[1], "lw": 1.5, "ls": "--"}, "with odd correlators"),
            ):
                rows = frames[name]
                rows = rows[(rows["method"] == method) & (rows["gamma"] == gamma)]
                if len(rows):
                    axis.plot(
                        [place - 0.3, place + 0.3], [rows["value"].mean()] * 2, **style,
                        label=label if place == 0 else None,
                    )  # fmt: skip
            values = measured[(measured["method"] == method) & (measured["gamma"] == gamma)]["value"]
            axis.plot(
                np.full(len(values), place),
                values,
                "o",
                mfc="white",
                color=COLOURS[0],
                label="sampled" if place == 0 else None,
            )
        axis.set_xticks(range(len(methods)), methods)
        axis.set(title=rf"$\gamma$ = {gamma:g}")
        axis.set_ylim(bottom=0)
    axes[0][0].set_ylabel(r"$V / K^2$ at the last layer")
    axes[0][0].legend(fontsize=7)
    return figure


def training(tables: Tables) -> Figure:
    """Largest stable rate against depth, and the NTK's change against width, both with lines of slope -1."""
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.2))
    panels = (
        ("learning-rate", "test/rate", "L", "depth L", "largest stable rate"),
        ("kernel-change", "test/change", "n", "width n", "relative change of the NTK's trace"),
    )
    for axis, (experiment, metric, key, xlabel, ylabel) in zip(axes, panels, strict=True):
        frame = tables.frame(experiment, metric)
        if len(frame):
            axis.plot(frame[key], frame["value"], "o", mfc="white", color=COLOURS[0])
            means = frame.groupby(key)["value"].mean()
            x = means.index.to_numpy(float)
            axis.plot(x, means.iloc[0] * x[0] / x, color="0.4", lw=1, label="slope -1")
            axis.set_xticks(x, [f"{v:g}" for v in x])
        axis.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
        axis.minorticks_off()
        axis.set_xticks(*(([],) if not len(frame) else (x, [f"{v:g}" for v in x])))
        axis.legend(fontsize=8)
    return figure


FIGURES = {"slopes": slopes, "residual": residual, "training": training}
