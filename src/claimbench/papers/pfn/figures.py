"""Losses beside exact processes, a posterior, ranks and calibration on tables, Bayesian networks, few-shot accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from claimbench.figures import COLOURS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from claimbench.figures import Tables

_METHODS = {
    "pfn-bnn": "PFN, networks",
    "pfn-gp": "PFN, processes",
    "logreg": "logistic regression",
    "knn": "nearest neighbours",
    "gp": "Gaussian process",
    "bnn": "Bayesian network",
    "catboost": "CatBoost",
    "xgboost": "XGBoost",
}


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
    merged["datasets"] = merged["setting"].str.removeprefix("datasets=").astype(int)
    for place, ((method, count), part) in enumerate(merged.groupby(["method", "datasets"])):
        size = f"{count:,} datasets"
        label = size if method == "pfn" else f"{method}, {size}"
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
    """Loss of the network, of MLE-II, of NUTS and of the exact mixture."""
    figure, axis = plt.subplots()
    names = {"pfn": "network", "map": "MLE-II", "quadrature": "exact mixture", "nuts": "NUTS"}
    losses = _by_size(tables, "hyper-gp", "nll_")
    for place, (method, name) in enumerate(names.items()):
        part = losses[losses["method"] == method]
        if part.empty:
            continue
        mean = part.groupby("n")["value"].mean()
        axis.plot(part["n"], part["value"], "o", ms=3, mfc="none", color=COLOURS[place])
        axis.plot(mean.index, mean, color=COLOURS[place], label=name)
    axis.set(xlabel="labelled points", ylabel="negative log density (nats)", yscale="symlog")
    axis.legend()
    return figure


def posterior(tables: Tables) -> Figure:
    """One dataset with unknown hyper-parameters: mean and central 95 % of the network and of the exact mixture."""
    runs = tables.runs[(tables.runs["experiment"] == "hyper-gp") & tables.runs["method"].isin(["pfn", "quadrature"])]
    seeds = sorted(runs["seed"].unique())[:3]
    figure, axes = plt.subplots(1, len(seeds), figsize=(8.4, 3.0), squeeze=False)
    curves = tables.curves[tables.curves["series"].str.startswith("example/")].merge(runs, on="run_key")
    for axis, seed in zip(axes[0], seeds, strict=True):
        for method, name, colour in (("pfn", "network", COLOURS[0]), ("quadrature", "exact mixture", COLOURS[1])):
            own = curves[(curves["seed"] == seed) & (curves["method"] == method)]
            parts = {series: part.sort_values("step") for series, part in own.groupby("series")}
            if not parts:
                continue
            mean, low, high = (parts[f"example/{line}"] for line in ("mean", "low", "high"))
            axis.plot(mean["step"], mean["value"], color=colour, label=name)
            axis.fill_between(low["step"], low["value"], high["value"], color=colour, alpha=0.2, lw=0)
            points = parts["example/points"]
            axis.plot(points["step"], points["value"], "ko", ms=4)
        axis.set(xlabel="x", title=f"seed {seed}")
    axes[0][0].set_ylabel("y")
    axes[0][0].legend(fontsize=7)
    return figure


def table_ranks(tables: Tables) -> Figure:
    """Mean ranks on small tables: of each seed, their mean, and what the paper prints for its 21 tables."""
    measured, published = tables.frame("ranks", "test/mean_rank"), tables.published_frame("ranks", "test/mean_rank")
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    methods = [method for method in _METHODS if method in set(measured["method"])]
    for place, method in enumerate(methods):
        values = measured[measured["method"] == method]["value"]
        axis.plot(values, np.full(len(values), place), "o", ms=4, mfc="none", alpha=0.6, color=COLOURS[0])
        axis.plot(values.mean(), place, "|", ms=16, mew=2, color=COLOURS[0], label="measured" if place == 0 else None)
        printed = published[published["method"] == method]["value"]
        label = "published, 21 tables, 8 methods" if place == 0 else None
        axis.plot(printed, np.full(len(printed), place), "D", ms=5, color=COLOURS[1], label=label)
    axis.set_yticks(range(len(methods)), [_METHODS[m] for m in methods])
    axis.invert_yaxis()
    axis.set(xlabel="mean rank of the area under the curve (1 is the best)")
    axis.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=2)
    return figure


def table_accuracy(tables: Tables) -> Figure:
    """Area under the curve by table, measured (rings) and published (diamonds)."""
    metrics = tables.metrics[tables.metrics["metric"].str.startswith("auc_")]
    runs = tables.runs[tables.runs["experiment"] == "tables"][["run_key", "method", "seed"]]
    measured = runs.merge(metrics, on="run_key")
    measured["table"] = measured["metric"].str.removeprefix("auc_")
    published = tables.published_frame("tables", "test/auc")
    names = list(dict.fromkeys(measured["table"]))
    figure, axis = plt.subplots(figsize=(8.4, 3.6))
    methods = [method for method in _METHODS if method in set(measured["method"])]
    for place, method in enumerate(methods):
        shift = 0.11 * (place - (len(methods) - 1) / 2)
        own = measured[measured["method"] == method].groupby("table")["value"].mean()
        printed = published[published["method"] == method].groupby("dataset")["value"].mean()
        at = np.arange(len(names)) + shift
        axis.plot(at, own.reindex(names), "o", ms=4, mfc="none", color=COLOURS[place], label=_METHODS[method])
        axis.plot(at, printed.reindex(names), "D", ms=2.5, color=COLOURS[place])
    axis.set_xticks(range(len(names)), names, fontsize=8)
    axis.set(ylabel="area under the curve")
    axis.legend(fontsize=6, ncols=4, loc="lower left")
    return figure


def calibration(tables: Tables) -> Figure:
    """Frequency of class 1 against its probability on small tables, all answers of a seed together; below the error."""
    runs = tables.runs[tables.runs["experiment"] == "tables"][["run_key", "method", "seed"]]
    curves = tables.curves[tables.curves["series"] == "reliability"].merge(runs, on="run_key")
    errors = tables.frame("tables", "test/ece")
    published = tables.published_frame("tables", "test/ece")
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6))
    left.plot([0, 1], [0, 1], color="0.6", lw=0.8)
    methods = [method for method in _METHODS if method in set(runs["method"])]
    for place, method in enumerate(methods):
        part = curves[curves["method"] == method]
        bins = part.groupby(np.minimum((part["step"] * 10).astype(int), 9))[["step", "value"]].mean()
        left.plot(bins["step"], bins["value"], "o-", ms=3, lw=1, color=COLOURS[place])
        values = errors[errors["method"] == method]["value"]
        right.plot(values, np.full(len(values), place), "o", ms=4, mfc="none", alpha=0.6, color=COLOURS[place])
        right.plot(values.mean(), place, "|", ms=16, mew=2, color=COLOURS[place])
        printed = published[published["method"] == method]["value"]
        right.plot(
            printed, np.full(len(printed), place), "D", ms=5, color="k", label="published" if place == 0 else None
        )
    right.set_yticks(range(len(methods)), [_METHODS[m] for m in methods], fontsize=8)
    right.invert_yaxis()
    right.set(xlabel="expected calibration error")
    right.legend(fontsize=7)
    left.set(xlabel="probability of class 1", ylabel="frequency of class 1")
    return figure


def bayesian_networks(tables: Tables) -> Figure:
    """Loss against seconds a dataset."""
    figure, axis = plt.subplots(figsize=(5.2, 3.4))
    losses, seconds = tables.frame("bayesian-networks", "test/nll"), tables.frame("bayesian-networks", "test/seconds")
    merged = losses.merge(seconds[["run_key", "value"]], on="run_key", suffixes=("", "_seconds"))
    for place, (method, name) in enumerate({"pfn": "network", "svi": "Bayes-by-Backprop", "nuts": "NUTS"}.items()):
        part = merged[merged["method"] == method]
        axis.plot(part["value_seconds"], part["value"], "o", ms=4, mfc="none", color=COLOURS[place])
        axis.plot(part["value_seconds"].median(), part["value"].mean(), "D", color=COLOURS[place], label=name)
    axis.set(xscale="log", xlabel="seconds a dataset", ylabel="negative log likelihood (nats)")
    axis.legend()
    return figure


def few_shot(tables: Tables) -> Figure:
    """Accuracy with five shots of five characters."""
    figure, axis = plt.subplots(figsize=(5.2, 3.0))
    measured, published = tables.frame("few-shot", "test/accuracy"), tables.published_frame("few-shot", "test/accuracy")
    names = {"pfn": "PFN, strokes", "nearest": "nearest neighbour", "logreg": "logistic regression"}
    for place, method in enumerate(names):
        values = measured[measured["method"] == method]["value"]
        axis.plot(np.full(len(values), place), values, "o", ms=4, mfc="none", alpha=0.6, color=COLOURS[0])
        axis.plot(place, values.mean(), "_", ms=18, mew=2, color=COLOURS[0])
    printed = published[published["method"] == "pfn"]["value"]
    axis.plot(np.zeros(len(printed)), printed, "D", color=COLOURS[1], label="published, fine-tuned")
    axis.axhline(0.2, color="0.6", lw=0.8)
    axis.set_xticks(range(len(names)), names.values())
    axis.set(ylabel="accuracy")
    axis.legend(fontsize=7)
    return figure


FIGURES = {
    "fixed_process": fixed_process,
    "unknown_hyper_parameters": unknown_hyper_parameters,
    "posterior": posterior,
    "table_ranks": table_ranks,
    "table_accuracy": table_accuracy,
    "calibration": calibration,
    "bayesian_networks": bayesian_networks,
    "few_shot": few_shot,
}
