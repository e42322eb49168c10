"""The published figures again: F1 by method, the parameter study, scaling; and the two confounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np

from claimbench.figures import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from claimbench.figures import Tables

_COLOUR = {
    "fastrp": COLOURS[0],
    "randne": COLOURS[1],
    "deepwalk": COLOURS[2],
    "node2vec": COLOURS[3],
    "line": COLOURS[4],
}
_NAME = {"fastrp": "FastRP", "randne": "RandNE", "deepwalk": "DeepWalk", "node2vec": "node2vec", "line": "LINE"}


def _spread(axis: Any, x: Any, values: Any, colour: str, label: str | None, marker: str = "o") -> None:
    axis.errorbar(
        x, values.mean(), yerr=values.std() if len(values) > 1 else 0, fmt=marker, ms=5, color=colour, mfc="white",
        capsize=2.5, label=label,
    )  # fmt: skip


def macro_f1(tables: Tables) -> Figure:
    """BlogCatalog: macro-F1 against the share of labels; published lines, measured points by C."""
    figure, axis = plt.subplots()
    published = tables.published_frame("classification", "test/macro_f1")
    published = published[published["dataset"] == "blogcatalog"]
    for method, part in published.groupby("method"):
        part = part.sort_values("percent")
        axis.plot(
            part["percent"], part["value"], color=_COLOUR[str(method)], lw=1.2, label=f"{_NAME[str(method)]}, published"
        )
    measured = tables.frame("classification", "test/macro_f1")
    measured = measured[measured["dataset"] == "blogcatalog"]
    if len(measured):
        for (method, C), part in measured.groupby(["method", "C"]):
            label: str | None = f"{_NAME[str(method)]}, measured, C = {C:g}"
            for percent, group in part.groupby("percent"):
                _spread(axis, percent, 100 * group["value"], _COLOUR[str(method)], label, "o" if C < 1 else "s")
                label = None
    axis.set(xlabel="labelled nodes that train (%)", ylabel="macro-F1 (%)", title="BlogCatalog")
    axis.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def parameters(tables: Tables) -> Figure:
    """Dimension, weight of the fourth power, and beta with the dimension fixed and varied."""
    figure, axes = plt.subplots(1, 3, figsize=(9.2, 3.0), sharey=True)
    measured = tables.frame("parameters", "test/macro_f1")
    published = tables.published_frame("parameters", "test/macro_f1")
    published = published.assign(dim=published["dim"].astype(str))
    weighted = measured[measured["alpha4"].astype(float) == 4]
    panels = (
        ("dim", {"alpha4": 4.836, "beta": -0.6}, "dimension"),
        ("alpha4", {"beta": -0.6, "dim": weighted["dim"].max() if len(weighted) else 128}, r"$\alpha_4$"),
        ("beta", {"alpha4": 4.836, "dim": 128}, r"$\beta$"),
    )
    for axis, (sweep, fixed, label) in zip(axes, panels, strict=True):
        chosen = measured
        for name, value in fixed.items():
            chosen = chosen[np.isclose(chosen[name].astype(float), value)]
        first: str | None = "measured"
        for x, group in chosen.groupby(sweep):
            _spread(axis, float(x), 100 * group["value"], COLOURS[0], first)
            first = None
        axis.set(xlabel=label, xscale="linear" if sweep == "beta" else "log")
    fixed_weight = np.isclose(published["alpha4"], 4.836)
    study = {
        0: fixed_weight & np.isclose(published["beta"], -0.6) & (published["dim"] != "varied"),
        1: ~fixed_weight,
    }
    for index, rows in study.items():
        part = published[rows]
        axes[index].plot(part[panels[index][0]].astype(float), part["value"], "x", color="0.35", label="published")
    for rows, style, label in (
        (fixed_weight & (published["dim"] == "128"), "x", "published, dimension 128"),
        (published["dim"] == "varied", "+", "published, dimension 128 to 512"),
    ):
        part = published[rows].sort_values("beta")
        axes[2].plot(part["beta"], part["value"], style + ":", lw=0.8, color="0.35", label=label)
    axes[0].set_ylabel("macro-F1 (%)")
    axes[0].legend(fontsize=7)
    axes[2].legend(fontsize=6.5)
    return figure


def scaling(tables: Tables) -> Figure:
    """CPU seconds against nodes and edges of random graphs."""
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.0))
    curves = tables.curves[tables.curves["series"].str.startswith("cpu_s by")]
    for axis, what in zip(axes, ("nodes", "edges"), strict=True):
        part = curves[curves["series"] == f"cpu_s by {what}"].sort_values("step")
        x, y = part["step"].to_numpy(float), part["value"].to_numpy(float)
        axis.plot(x, y, "o", mfc="white", color=COLOURS[0])
        if len(x) > 1:
            slope, start = np.polyfit(x, y, 1)
            grid = np.array([0, x.max()])
            axis.plot(grid, start + slope * grid, color=COLOURS[0], lw=1)
        axis.set(xlabel=what, ylabel="CPU seconds", xlim=(0, None), ylim=(0, None))
    return figure


def reductions(tables: Tables) -> Figure:
    """Macro-F1 of three reductions of one similarity matrix, and of one hop."""
    figure, axis = plt.subplots(figsize=(4.8, 3.2))
    measured = tables.frame("reduction", "test/macro_f1")
    order = [m for m in ("one-hop", "sparse", "gaussian", "svd") if m in set(measured["method"])]
    for position, method in enumerate(order):
        values = 100 * measured[measured["method"] == method]["value"]
        axis.bar(position, values.mean(), color=COLOURS[0] if method != "one-hop" else "0.6", width=0.6)
        axis.plot(np.full(len(values), position), values, "k.", ms=4)
    axis.set_xticks(range(len(order)), [m.replace("sparse", "very sparse").replace("svd", "SVD") for m in order])
    axis.set(ylabel="macro-F1 (%)")
    return figure


FIGURES = {"macro-f1": macro_f1, "parameters": parameters, "scaling": scaling, "reductions": reductions}
