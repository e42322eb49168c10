"""Accuracy, memory, time and link prediction against depth: measured beside published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

from claimbench.figures import COLOURS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from claimbench.figures import Tables

_METHODS = ("SF", "BP", "BP-rowL2", "BP-nowd", "BP-long", "BP-nowd-long", "T2I", "T2L", "FF-LA", "FF-VN", "CE", "FF")
_COLOUR = dict(zip(("SF", "BP", "BP-rowL2", "BP-nowd", "T2I", "T2L", "FF-LA"), COLOURS, strict=True)) | {
    "CE": COLOURS[0],
    "FF": COLOURS[2],
    "FF-VN": "#999933",
    "BP-long": "#AA7755",
    "BP-nowd-long": "#882255",
}


def _against_depth(axis: Axes, measured: pd.DataFrame, published: pd.DataFrame, scale: float) -> None:
    """Mean and sd over splits with solid lines, published values dashed with crosses."""
    for method in [m for m in _METHODS if m in set(measured["method"])]:
        colour = _COLOUR[method]
        own = measured[measured["method"] == method].groupby("L")["value"].agg(["mean", "std"]) * scale
        axis.errorbar(
            own.index, own["mean"], yerr=own["std"].fillna(0), fmt="o-", ms=4, capsize=2, color=colour, label=method
        )
        theirs = published[published["method"] == method].sort_values("L") if "L" in published else published
        if len(theirs):
            axis.plot(theirs["L"], theirs["value"], "x--", ms=5, lw=0.8, color=colour, alpha=0.8)
    axis.set_xlabel("layers")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def _panels(tables: Tables, experiment: str, metric: str, published_metric: str, scale: float, ylabel: str) -> Figure:
    measured = tables.frame(experiment, metric)
    measured = (
        measured[(measured["backbone"] == "GCN") & measured["method"].isin(_METHODS)]
        if "backbone" in measured
        else measured
    )
    datasets = sorted(measured["dataset"].unique())
    figure, axes = plt.subplots(1, max(1, len(datasets)), figsize=(4.2 * max(1, len(datasets)), 3.5), squeeze=False)
    published = tables.published_frame(experiment, published_metric)
    published = published[published["backbone"] == "GCN"] if "backbone" in published else published
    for axis, dataset in zip(axes[0], datasets, strict=False):
        part = published[published["dataset"] == dataset]
        _against_depth(axis, measured[measured["dataset"] == dataset], part, scale)
        axis.set_title(
            f"{dataset}, GCN" + (" (dashed: published)" if len(part) else " (no published numbers)"), fontsize=9
        )
    axes[0][0].set_ylabel(ylabel)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(8, max(1, len(labels))), fontsize=8)
    return figure


def accuracy(tables: Tables) -> Figure:
    """Node classification accuracy against depth, with the controls of the one-layer gap."""
    return _panels(tables, "node-classification", "test/accuracy", "test/accuracy", 100.0, "test accuracy (%)")


def link_prediction(tables: Tables) -> Figure:
    """Link prediction ROC-AUC against depth."""
    return _panels(tables, "link-prediction", "test/roc_auc", "test/roc_auc", 100.0, "ROC-AUC (%)")


def memory(tables: Tables) -> Figure:
    """Megabytes kept for backward against depth.

    Levels do not compare with the published GPU peaks, so none are drawn.
    """
    return _panels(tables, "memory", "train/saved_mb", "none", 1.0, "kept for backward (MB)")


def time(tables: Tables) -> Figure:
    """Milliseconds an update: BP, and the sum over layers of SF with and without the cached aggregation."""
    frames = {name: tables.frame("time", f"train/{name}") for name in ("bp_ms", "sf_ms", "sf_uncached_ms")}
    labels = {"bp_ms": "BP", "sf_ms": "SF, cached", "sf_uncached_ms": "SF, not cached"}
    datasets = sorted(frames["bp_ms"]["dataset"].unique())
    figure, axes = plt.subplots(1, max(1, len(datasets)), figsize=(4.2 * max(1, len(datasets)), 3.2), squeeze=False)
    for axis, dataset in zip(axes[0], datasets, strict=False):
        for offset, (name, frame) in enumerate(frames.items()):
            median = frame[frame["dataset"] == dataset].groupby("L")["value"].median()
            positions = [i + 0.27 * (offset - 1) for i in range(len(median))]
            axis.bar(positions, median, width=0.25, color=COLOURS[(1, 0, 5)[offset]], label=labels[name])
            axis.set_xticks(range(len(median)), [f"{int(v)}" for v in median.index])
        axis.set(title=f"{dataset}, GCN", xlabel="layers", ylabel="ms an update")
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=8)
    return figure


FIGURES = {"accuracy": accuracy, "link-prediction": link_prediction, "memory": memory, "time": time}
