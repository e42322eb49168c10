"""Critical differences, AUC against time, by members, with useless columns, and by training rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from claimbench.figures import COLOURS
from claimbench.papers.tabpfn import ranking

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from claimbench.figures import Tables

NAMES = {
    "tabpfn": "TabPFN",
    "logreg": "logistic regression",
    "knn": "nearest neighbours",
    "gp": "Gaussian process",
    "svm": "SVM",
    "random-forest": "random forest",
    "histgb": "HistGradientBoosting",
    "mlp": "MLP",
    "xgboost": "XGBoost",
    "lightgbm": "LightGBM",
    "catboost": "CatBoost",
    "search": "search of boosting",
}


def _name(method: str) -> str:
    plain = method.removesuffix("-tuned")
    return NAMES.get(plain, plain) + (", tuned" if plain != method else "")


def _benchmark(tables: Tables, metric: str) -> pd.DataFrame:
    """Values of Table 1, one name a row: methods, and TabPFN by its members."""
    frame = tables.frame("benchmark", metric)
    frame["method"] = [
        f"TabPFN ({int(members)})" if method == "tabpfn" else _name(method)
        for method, members in zip(frame["method"], frame.get("members", frame["value"]), strict=True)
    ]
    return frame


def _comparable(frame: pd.DataFrame) -> pd.DataFrame:
    """Only methods that have as many tables as any, and only the splits that all of them have."""
    count = frame.groupby("method")["dataset"].nunique()
    kept = frame[frame["method"].isin(count.index[count == count.max()])]
    cells = kept.groupby(["method", "dataset"]).ngroups
    per_seed = kept.groupby("seed").size()
    return kept[kept["seed"].isin(per_seed.index[per_seed == cells])]


def critical_difference(tables: Tables) -> Figure:
    """Mean ranks of AUC over the tables; a bar joins methods without a significant difference (Wilcoxon, Holm)."""
    frame = _comparable(_benchmark(tables, "test/auc"))
    values = ranking.matrix(frame)
    array = values.to_numpy(float)
    ranks, p = ranking.ranks(array).mean(0), ranking.significance(array)
    order = np.argsort(ranks, kind="stable")
    figure, axis = plt.subplots(figsize=(7.0, 0.32 * len(order) + 1.3))
    for place, i in enumerate(order):
        own = values.columns[i].startswith("TabPFN")
        axis.plot(ranks[i], place, "s" if own else "o", color=COLOURS[1] if own else COLOURS[0])
        axis.annotate(values.columns[i], (ranks[i], place), (6, 0), textcoords="offset points", va="center", fontsize=8)
    # the bars hang left of the points, one column for each
    for depth, (first, last) in enumerate(ranking.cliques(ranks, p)):
        x = ranks.min() - 0.35 - 0.2 * depth
        axis.plot([x, x], [first - 0.2, last + 0.2], color="0.35", lw=3, solid_capstyle="butt")
    axis.set(xlabel="mean rank of ROC AUC (1 is best)", yticks=[], ylim=(len(order) - 0.4, -0.6))
    axis.set_xlim(right=ranks.max() + 0.3 * (ranks.max() - ranks.min()) + 0.5)
    axis.grid(axis="y", visible=False)
    title = f"{len(values)} tables, means of {frame['seed'].nunique()} splits; bars: no significant difference"
    pairs = len(order) * (len(order) - 1) / 2
    if pairs * 2.0 ** (1 - len(values)) > 0.05:  # the least p of Wilcoxon's test times the pairs
        title += f"\n({len(values)} tables are too few for any to be, after Holm's correction over all pairs)"
    axis.set_title(title, fontsize=8)
    return figure


def auc_against_time(tables: Tables) -> Figure:
    """Mean AUC against mean wall seconds of a run."""
    auc = _comparable(_benchmark(tables, "test/auc"))
    seconds = auc.merge(tables.runs[["run_key", "wall_s"]].rename(columns={"wall_s": "seconds"}), on="run_key")
    figure, axis = plt.subplots(figsize=(7.0, 4.0))
    times = seconds.groupby("method")["seconds"].mean()
    for name, y in auc.groupby("method")["value"].mean().items():
        x = times[name]
        own = str(name).startswith("TabPFN")
        axis.plot(x, y, "s" if own else "o", color=COLOURS[1] if own else COLOURS[0], ms=6)
        axis.annotate(name, (x, y), xytext=(5, 3), textcoords="offset points", fontsize=7)
    axis.set(
        xscale="log", xlabel="seconds of fit and prediction, search included, beside other jobs", ylabel="mean ROC AUC"
    )
    count, splits = auc["dataset"].nunique(), auc["seed"].nunique()
    axis.set_title(f"means over {count} tables and {splits} splits", fontsize=8)
    axis.margins(x=0.15, y=0.1)
    return figure


def _lines(axis: Axes, frame: pd.DataFrame, x: str, colours: dict[str, str]) -> None:
    """Mean over datasets by ``x`` for each method; a bar spans one standard error over seeds."""
    for method, colour in colours.items():
        part = frame[frame["method"] == method]
        if part.empty:
            continue
        by_seed = part.groupby([x, "seed"])["value"].mean().groupby(level=0)
        mean, error = by_seed.mean(), by_seed.sem().fillna(0)
        axis.errorbar(mean.index, mean, error, marker="o", ms=4, capsize=2, color=colour, label=_name(method))


def members(tables: Tables) -> Figure:
    """AUC by the number of members, as a difference from one member of the same split, for each table; the published
    means over 18 tables beside them."""
    figure, axis = plt.subplots()
    frame = tables.frame("ensembling", "test/auc")
    table = frame.pivot_table(index=["dataset", "seed"], columns="members", values="value")
    gain = table.sub(table[1], axis=0)
    for colour, (dataset, part) in zip(COLOURS, gain.groupby(level="dataset"), strict=False):
        axis.errorbar(
            part.columns,
            part.mean(),
            part.sem().fillna(0),
            marker="o",
            ms=4,
            capsize=2,
            color=colour,
            label=str(dataset),
        )
    published = tables.published_frame("ensembling", "test/auc").sort_values("members")
    base = published.loc[published["members"] == 1, "value"].iloc[0]
    axis.plot(
        published["members"],
        published["value"] - base,
        "k--",
        marker="s",
        ms=4,
        mfc="none",
        label="published, 18 tables",
    )
    axis.set_xscale("log", base=2)
    ticks = sorted({*table.columns, *published["members"]})
    axis.set_xticks(ticks, [str(int(tick)) for tick in ticks])
    axis.axhline(0, color="0.5", lw=0.8)
    axis.set(xlabel="members of the ensemble", ylabel="ROC AUC above that of one member")
    axis.legend(fontsize=7)
    return figure


def weaknesses(tables: Tables) -> Figure:
    """Left: AUC by the number of shuffled copies. Right: AUC lost under a rotation."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6), width_ratios=(3, 2))
    colours = dict(zip(("tabpfn", "lightgbm", "histgb", "mlp"), COLOURS, strict=False))
    _lines(left, tables.frame("robustness", "test/auc"), "copies", colours)
    left.set(xlabel="shuffled copies of all columns", ylabel="mean ROC AUC", xticks=[0, 1, 2, 4])
    left.legend(fontsize=7)
    lost = tables.frame("rotation", "test/loss")
    shown = [method for method in colours if (lost["method"] == method).any()]
    for place, method in enumerate(shown):
        values = lost[lost["method"] == method].groupby("seed")["value"].mean()
        right.bar(place, values.mean(), 0.6, color=colours[method], alpha=0.6)
        right.plot(np.full(len(values), place), values, "o", ms=3, color="0.2", mfc="none")
    right.set_xticks(range(len(shown)), [_name(method) for method in shown], rotation=20, ha="right", fontsize=7)
    right.axhline(0, color="0.5", lw=0.8)
    right.set(ylabel="ROC AUC lost by a rotation")
    return figure


def training_rows(tables: Tables) -> Figure:
    """AUC by the number of training rows, for each table."""
    frame = tables.frame("context", "test/auc")
    datasets = sorted(frame["dataset"].unique())
    figure, axes = plt.subplots(1, len(datasets), figsize=(4.0 * len(datasets) + 0.6, 3.4), squeeze=False)
    colours = dict(zip(("tabpfn", "lightgbm"), COLOURS, strict=False))
    for axis, dataset in zip(axes[0], datasets, strict=True):
        part = frame[frame["dataset"] == dataset]
        _lines(axis, part, "rows", colours)
        axis.set_xscale("log", base=2)
        ticks = sorted(part["rows"].unique())
        axis.set_xticks(ticks, [f"{int(tick):,}" for tick in ticks])
        axis.set(xlabel="training rows", ylabel="ROC AUC", title=dataset)
        axis.legend(fontsize=7)
    return figure


FIGURES = {
    "critical_difference": critical_difference,
    "auc_against_time": auc_against_time,
    "members": members,
    "weaknesses": weaknesses,
    "training_rows": training_rows,
}
