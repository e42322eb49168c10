"""What guides do to accuracy and loss, how alike layers become, and the recurrent networks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from claimbench.figures import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from claimbench.figures import Tables

_TARGETS = {
    "deep-fcn": "deep fully connected",
    "wide-fcn": "wide fully connected",
    "deep-convnet": "deep convolutional",
}
_METHODS = {
    "base": "none",
    "untrained": "untrained",
    "trained": "trained",
    "untrained-start": "untrained,\nfirst steps",
    "trained-start": "trained,\nfirst steps",
    "twin": "random\ntwin",
    "trained-transformer": "trained\ntransformer",
    "distilled": "distilled",
}
_COLOUR = dict(zip(_METHODS, (*COLOURS, "0.5"), strict=True))


def image_table(tables: Tables) -> Figure:
    """Accuracy of every network by guide; published means and deviations on an axis of their own."""
    measured = tables.frame("images", "test/accuracy")
    published = tables.published_frame("images", "test/accuracy")
    figure, axes = plt.subplots(1, len(_TARGETS), figsize=(9.6, 3.4), width_ratios=(2, 1, 1))
    for axis, (target, title) in zip(axes, _TARGETS.items(), strict=True):
        own = measured[measured["target"] == target]
        printed = published[published["target"] == target]
        methods = [m for m in _METHODS if m in set(own["method"]) | set(printed["method"])]
        other = axis.twinx()
        other.grid(False)
        for place, method in enumerate(methods):
            values = 100 * own[own["method"] == method]["value"]
            shift = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else np.zeros(len(values))
            axis.plot(place - 0.18 + shift, values, "o", ms=3, mfc="none", color=COLOURS[0])
            if len(values):
                axis.plot(place - 0.18, values.mean(), "_", ms=14, mew=2, color=COLOURS[0])
            row = printed[printed["method"] == method]
            other.errorbar(
                np.full(len(row), place + 0.22), row["value"], row["spread"], fmt="s", ms=4, color=COLOURS[1]
            )
        axis.set_xticks(range(len(methods)), [_METHODS[m] for m in methods], fontsize=7)
        names = ", ".join(sorted(own["dataset"].unique()))
        axis.set(title=f"{title}\n({names or 'not measured'})")
        axis.title.set_fontsize(8)
        axis.tick_params(axis="y", colors=COLOURS[0], labelsize=7)
        other.tick_params(axis="y", colors=COLOURS[1], labelsize=7)
    axes[0].set_ylabel("measured accuracy (%)", color=COLOURS[0])
    other.set_ylabel("published, ImageNet top-1 (%)", color=COLOURS[1])
    return figure


def loss_curves(tables: Tables) -> Figure:
    """Validation loss of the deep network: thin lines are seeds, thick ones their means."""
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.4))
    runs = tables.runs[tables.runs["setting"] == "target=deep-fcn"]
    for axis, series, label in zip(
        axes, ("val/loss", "train/cka"), ("validation loss (nats)", "mean CKA with the guide"), strict=True
    ):
        chosen = tables.curves[tables.curves["series"] == series].merge(runs[["run_key", "method"]], on="run_key")
        for method in (m for m in _METHODS if m in set(chosen["method"])):
            part = chosen[chosen["method"] == method]
            for _, curve in part.groupby("run_key"):
                axis.plot(curve["step"], curve["value"], color=_COLOUR[method], lw=0.4, alpha=0.5)
            mean = part.groupby("step")["value"].mean()
            axis.plot(mean.index, mean, color=_COLOUR[method], lw=1.8, label=_METHODS[method].replace("\n", " "))
        axis.set(xlabel="step", ylabel=label)
    classes = 1000 if "imagenet" in set(runs["dataset"]) else 10
    axes[0].axhline(np.log(classes), color="0.4", lw=0.8, ls=":")
    axes[0].legend(fontsize=7, title="guide", title_fontsize=7)
    return figure


def sequences(tables: Tables) -> Figure:
    """The recurrent network's loss on copy-paste against its closed form, and perplexities of the language models."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.2))
    _copying(tables, left)
    measured = tables.frame("language-model", "test/perplexity")
    methods = ["rnn", "untrained-transformer-to-rnn", "transformer-to-rnn", "transformer"]
    for place, method in enumerate(methods):
        values = measured[measured["method"] == method]["value"]
        right.plot(np.full(len(values), place), values, "o", ms=4, mfc="none", color=COLOURS[place])
    labels = ["recurrent", "untrained\nguide", "trained\nguide", "transformer"]
    right.set_xticks(range(len(methods)), labels, fontsize=8)
    right.set(ylabel="perplexity")
    return figure


def closed_form(mean_length: float) -> tuple[float, float]:
    """Accuracy and cross-entropy of a network that knows the end token and nothing of the symbols.

    Of 0.9 L symbols that are not zero a ninth is right, and the end token always is:
    (0.1 L + 1) / (0.9 L + 1) and 0.9 L ln 9 / (0.9 L + 1).
    """
    scored = 0.9 * mean_length + 1
    return (0.1 * mean_length + 1) / scored, 0.9 * mean_length * math.log(9) / scored


def _copying(tables: Tables, axis: Axes) -> None:
    runs = tables.runs[tables.runs["experiment"] == "copy-paste"]
    chosen = tables.curves[tables.curves["series"] == "train/loss"].merge(runs[["run_key", "method"]], on="run_key")
    for place, (method, part) in enumerate(chosen.groupby("method")):
        label: str | None = str(method)
        for _, curve in part.groupby("run_key"):
            axis.plot(curve["step"], curve["value"], color=COLOURS[place], lw=0.9, label=label)
            label = None
    axis.axhline(closed_form(30)[1], color="0.3", lw=1, ls="--", label="closed form")
    axis.set(xlabel="step", ylabel="loss on copy-paste (nats)")
    axis.legend(fontsize=7)


FIGURES = {"image_table": image_table, "loss_curves": loss_curves, "sequences": sequences}
