"""The figures, redrawn from the tables. Each function gets the tables of this paper and returns a matplotlib figure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from claimbench.figures import Tables


def error_by_method(tables: Tables) -> Figure:
    """One point a seed, with the expected error of least squares as a line."""
    from matplotlib.figure import Figure

    frame = tables.frame("estimation", "test/squared_error")
    figure = Figure(figsize=(4.5, 3), layout="constrained")
    axes = figure.subplots()
    names: list[str] = []
    for position, (method, rows) in enumerate(frame.groupby("method")):
        axes.plot([position] * len(rows), rows["value"], "o", alpha=0.6)
        names.append(str(method))
    expected = tables.published.loc[tables.published["method"] == "least-squares", "value"]
    if len(expected):
        axes.axhline(expected.iloc[0], color="0.4", linestyle="--", label="least squares, expected (Section 1)")
    axes.set(ylabel="squared error of the coefficients", xlim=(-0.5, len(names) - 0.5), ylim=(0, None))
    axes.set_xticks(range(len(names)), names)
    axes.legend()
    return figure


FIGURES: dict[str, Callable[[Tables], Figure]] = {"error": error_by_method}
