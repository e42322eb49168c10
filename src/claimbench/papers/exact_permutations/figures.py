"""Figure 1 again, with the closed form's band, and what else the verdicts rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from claimbench.figures import COLOURS
from claimbench.papers.exact_permutations import ensemble

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from claimbench.figures import Tables

_KERNEL_COLOUR = {"readout": COLOURS[0], "ntk": COLOURS[1]}
_KERNEL_NAME = {"readout": "readout kernel", "ntk": "NTK"}


def figure_1_left(tables: Tables) -> Figure:
    """N90 against k: published, closed forms, measured."""
    figure, axis = plt.subplots()
    k = np.arange(5, 31)
    for kernel, colour in _KERNEL_COLOUR.items():
        axis.plot(
            k,
            [ensemble.size_for(kernel, int(v)) for v in k],
            color=colour,
            label=f"closed form, {_KERNEL_NAME[kernel]}",
        )
    published = tables.published_frame("ensemble", "test/N90")
    published = published[published["method"] == "official"]
    axis.plot(published["k"], published["value"], "kx", markersize=5, label="published (1 trial)")
    measured = tables.frame("ensemble", "test/N90")
    for method, colour in _KERNEL_COLOUR.items():
        part = measured[measured["method"] == method]
        if len(part):
            mean = part.groupby("k")["value"].agg(["mean", "min", "max"])
            spread = [mean["mean"] - mean["min"], mean["max"] - mean["mean"]]
            axis.errorbar(
                mean.index,
                mean["mean"],
                yerr=spread,
                fmt="o",
                ms=4.5,
                color=colour,
                mfc="white",
                capsize=2.5,
                label=f"measured, {_KERNEL_NAME[method]} training (range of {int(part['seed'].nunique())})",
            )
    bound = tables.published_frame("ensemble", "test/bound")
    axis.plot(bound["k"], bound["value"], "^", color="0.45", markersize=4, label="theorem's bound (read off)")
    axis.set(xlabel="length k", ylabel="networks for 90 % accuracy, N90", yscale="log", ylim=(0.8, 3e4), xlim=(1, 31))
    axis.legend(ncols=2, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, 1.2))
    return figure


def figure_1_right(tables: Tables) -> Figure:
    """Accuracy against ensemble size: published points, 95 % band of the joint simulation, measured curves."""
    runs = tables.runs[
        (tables.runs["experiment"] == "ensemble")
        & (tables.runs["method"] == "readout")
        & (tables.runs["status"] == "done")
    ]
    settings = sorted(runs["setting"].unique(), key=lambda s: int(s.split("=")[1]))
    figure, axes = plt.subplots(2, 3, figsize=(8.2, 4.6), sharey=True, squeeze=False)
    published = tables.published
    for axis, setting in zip(axes.flat, settings, strict=False):
        keys = list(runs[runs["setting"] == setting]["run_key"])
        curves = tables.curves[tables.curves["run_key"].isin(keys)]
        band = curves[(curves["run_key"] == keys[0]) & curves["series"].str.startswith("band")].pivot(
            index="step", columns="series", values="value"
        )
        axis.fill_between(
            band.index,
            band["band_low"],
            band["band_high"],
            color=COLOURS[0],
            alpha=0.2,
            lw=0,
            label="closed form, 95 %",
        )
        for i, key in enumerate(keys):
            own = curves[(curves["run_key"] == key) & (curves["series"] == "accuracy")]
            axis.plot(own["step"], own["value"], color=COLOURS[0], lw=0.9, label="measured" if i == 0 else None)
        points = published[(published["setting"] == setting) & published["metric"].str.startswith("test/accuracy_")]
        axis.plot(
            points["metric"].str.rsplit("_", n=1).str[1].astype(float), points["value"], "kx", ms=5, label="published"
        )
        axis.set_title(setting.replace("=", " = "), fontsize=9)
    for axis in axes.flat[len(settings) :]:
        axis.set_visible(False)
    figure.supxlabel("networks in the ensemble", fontsize=9)
    figure.supylabel("accuracy", fontsize=9)
    handles, labels = axes.flat[min(1, len(settings) - 1)].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3, fontsize=8)
    return figure


def finite_width(tables: Tables) -> Figure:
    """Mean at bits that are off against 1/width: trained networks and the limit."""
    frames = {name: tables.frame("finite-width", f"test/{name}") for name in ("mu_off_theory", "mu_off")}
    metrics = tables.metrics[tables.metrics["metric"].str.startswith("mu_off_width_")].merge(tables.runs, on="run_key")
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.2))
    for axis, method in zip(axes, ("readout", "ntk"), strict=True):
        rows = metrics[metrics["method"] == method]
        by_length = sorted(rows.groupby("setting"), key=lambda group: int(group[0].removeprefix("k=")))
        for colour, (setting, part) in zip(COLOURS, by_length, strict=False):
            width = part["metric"].str.rsplit("_", n=1).str[1].astype(float)
            axis.plot(1.0 / width, part["value"], "o", ms=3.5, color=colour, alpha=0.7)
            theory = frames["mu_off_theory"]
            limit = theory[(theory["method"] == method) & (theory["setting"] == setting)]["value"].iloc[0]
            axis.axhline(limit, color=colour, lw=1, label=setting.replace("=", " = "))
        axis.set(title=_KERNEL_NAME[method], xlabel="1 / width", ylabel="mean at bits that are off")
    axes[1].legend(title="line: closed form", fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def all_inputs(tables: Tables) -> Figure:
    """Ensemble size for all inputs against k, with the k^2 bound."""
    curves = tables.curves[tables.curves["series"] == "N_all"].merge(tables.runs, on="run_key")
    figure, axis = plt.subplots(figsize=(5.4, 3.6))
    for method, colour in _KERNEL_COLOUR.items():
        part = curves[(curves["method"] == method) & (curves["seed"] == curves["seed"].min())].sort_values("step")
        axis.loglog(
            part["step"], part["value"], "o-", ms=3.5, color=colour, label=f"all inputs, {_KERNEL_NAME[method]}"
        )
        lengths = part["step"].to_numpy()
        axis.loglog(
            lengths,
            [ensemble.size_for(method, int(v)) for v in lengths],
            ":",
            color=colour,
            label=f"one input, {_KERNEL_NAME[method]}",
        )
    if len(curves):
        k = np.array(sorted(curves["step"].unique()))
        axis.loglog(k, 8.1 * k**2, color="0.4", lw=1, label=r"$8.1\,k^2$")
    axis.set(xlabel="length k", ylabel="networks, 90 % probability")
    axis.legend(fontsize=8)
    return figure


FIGURES = {
    "figure-1-left": figure_1_left,
    "figure-1-right": figure_1_right,
    "finite-width": finite_width,
    "all-inputs": all_inputs,
}
