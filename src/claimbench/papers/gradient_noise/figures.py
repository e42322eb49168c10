"""When deep networks leave their bad start, what memory networks gain, and the walk of weights under noise alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from claimbench.figures import COLOURS
from claimbench.papers.gradient_noise.schedule import walk_deviation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from claimbench.figures import Tables

_COLOUR = {"none": COLOURS[0], "noise": COLOURS[1], "dropout": COLOURS[2]}
_NAME = {"none": "no noise", "noise": "gradient noise", "dropout": "dropout"}


def escape(tables: Tables) -> Figure:
    """Training accuracy against steps, one line for each seed: simple initialisation, and all zeros."""
    panels = (("init=simple", "simple, 20 layers"), ("init=zero", "zeros, 20 layers"))
    figure, axes = plt.subplots(1, len(panels), figsize=(7.4, 3.2), sharey=True)
    curves = tables.curves[tables.curves["series"].str.startswith("train/accuracy lr 0.1")]
    runs = tables.runs[tables.runs["experiment"] == "deep-mlp"]
    for axis, (init, title) in zip(axes, panels, strict=True):
        chosen = runs[runs["setting"].str.contains(init) & runs["setting"].str.contains("depth=20")]
        for method, part in chosen.groupby("method"):
            label: str | None = _NAME[str(method)]
            for key in part["run_key"]:
                curve = curves[curves["run_key"] == key].sort_values("step")
                axis.plot(
                    curve["step"], 100 * curve["value"], color=_COLOUR[str(method)], lw=0.8, alpha=0.8, label=label
                )
                label = None
        axis.set(title=title, xlabel="step", ylim=(0, 102))
        handles, _ = axis.get_legend_handles_labels()
        if handles:
            axis.legend(loc="upper left")
    axes[0].set_ylabel("training accuracy (%)")
    return figure


def table_1(tables: Tables) -> Figure:
    """Accuracy of the six experiments: published averages, and every measured network."""
    figure, axis = plt.subplots(figsize=(7.4, 3.4))
    measured = tables.frame("deep-mlp", "test/accuracy")
    published = tables.published_frame("deep-mlp", "test/accuracy")
    settings = sorted({*measured["setting"], *published["setting"]}, key=lambda s: (("init=simple" not in s), s))
    for method, shift in (("none", -0.18), ("noise", 0.18), ("dropout", 0.36)):
        for position, setting in enumerate(settings):
            values = measured[(measured["method"] == method) & (measured["setting"] == setting)]["value"]
            spread = np.linspace(-0.08, 0.08, len(values)) if len(values) > 1 else np.zeros(len(values))
            axis.plot(position + shift + spread, 100 * values, "o", ms=3.5, mfc="none", color=_COLOUR[method])
            printed = published[(published["method"] == method) & (published["setting"] == setting)]["value"]
            axis.plot(np.full(len(printed), position + shift), printed, "_", ms=14, mew=2, color=_COLOUR[method])
    for method, name in _NAME.items():
        axis.plot([], [], "o", mfc="none", color=_COLOUR[method], label=name)
    axis.plot([], [], "_", ms=14, mew=2, color="0.3", label="published average (MNIST)")
    axis.set_xticks(range(len(settings)), [s.replace(",", "\n") for s in settings], fontsize=7)
    axis.set(ylabel="test accuracy (%)", ylim=(0, 102))
    axis.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.16), fontsize=8)
    return figure


def memory_networks(tables: Tables) -> Figure:
    """Validation error of every restart, by task and training."""
    figure, axis = plt.subplots()
    measured = tables.frame("memory-network", "val/error")
    labels: list[str] = []
    for dataset in sorted(measured["dataset"].unique(), key=lambda name: int(str(name).rsplit("-", 1)[-1])):
        for start in ("softmax", "linear"):
            part = measured[(measured["dataset"] == dataset) & (measured["start"] == start)]
            for method, shift in (("none", -0.15), ("noise", 0.15)):
                values = part[part["method"] == method]["value"]
                place = len(labels) + shift
                axis.plot(np.full(len(values), place), 100 * values, "o", ms=4, mfc="none", color=_COLOUR[method])
                if len(values):
                    axis.plot(place, 100 * values.mean(), "_", ms=14, mew=2, color=_COLOUR[method])
            labels.append(f"{dataset}\n{'one stage' if start == 'softmax' else 'two stages'}")
    for method in ("none", "noise"):
        axis.plot([], [], "o", mfc="none", color=_COLOUR[method], label=_NAME[method])
    axis.set_xticks(range(len(labels)), labels, fontsize=7)
    axis.set(ylabel="validation error (%)")
    axis.set_ylim(bottom=0)
    axis.legend()
    return figure


def noise_walk(tables: Tables) -> Figure:
    """Deviation of weights under noise alone against the closed form."""
    figure, axis = plt.subplots()
    metrics = tables.metrics[tables.metrics["metric"].str.startswith("deviation_")]
    joined = tables.runs[tables.runs["experiment"] == "noise-walk"].merge(metrics, on="run_key")
    steps = joined["metric"].str.removeprefix("deviation_").astype(int)
    most = int(steps.max()) if len(steps) else 1000
    grid = np.unique(np.geomspace(1, most, 60).astype(int))
    axis.plot(grid, [walk_deviation(int(t), 0.1, 0.01) for t in grid], color=COLOURS[0], label="closed form")
    axis.plot(steps, joined["value"], "o", mfc="none", color=COLOURS[1], label="measured")
    axis.set(xscale="log", yscale="log", xlabel="step", ylabel="standard deviation of a weight")
    axis.legend()
    return figure


FIGURES = {"escape": escape, "table_1": table_1, "memory_networks": memory_networks, "noise_walk": noise_walk}
