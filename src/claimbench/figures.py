"""Redraw a paper's figures from its tables; one look for all papers, equal input gives equal bytes."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claimbench import store
from claimbench.spec import PaperSpec

if TYPE_CHECKING:
    import pandas as pd

#: Okabe and Ito's palette: distinguishable with every common colour vision
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE: dict[str, Any] = {
    "figure.figsize": (6.4, 3.8),
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "svg.hashsalt": "claimbench",
    "svg.fonttype": "none",
}


@dataclass
class Tables:
    """The tables of one paper as pandas frames."""

    runs: pd.DataFrame
    metrics: pd.DataFrame
    curves: pd.DataFrame
    published: pd.DataFrame
    verdicts: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> Tables:
        import pandas as pd

        return cls(
            *(
                pd.read_parquet(folder / f"{name}.parquet")
                for name in ("runs", "metrics", "curves", "published", "verdicts")
            )
        )

    def frame(self, experiment: str, metric: str) -> pd.DataFrame:
        """Measured values, tidy: method, dataset, seed, value, one column per setting axis (numbers where possible)."""
        split, _, name = metric.partition("/")
        values = self.metrics[(self.metrics["split"] == split) & (self.metrics["metric"] == name)]
        joined = self.runs[self.runs["experiment"] == experiment].merge(values, on="run_key")
        return _with_axes(joined[["run_key", "method", "dataset", "setting", "seed", "value"]])

    def published_frame(self, experiment: str, metric: str) -> pd.DataFrame:
        """Published numbers of an experiment in displayed units, with one column per setting axis."""
        found = self.published[(self.published["experiment"] == experiment) & (self.published["metric"] == metric)]
        return _with_axes(found[["method", "dataset", "setting", "value", "spread", "n", "checked"]])


def _with_axes(frame: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    axes = [dict(part.split("=", 1) for part in s.split(",")) if s else {} for s in frame["setting"]]
    frame = frame.reset_index(drop=True)
    for axis in sorted(set().union(*axes) if axes else ()):
        column = pd.Series([a.get(axis) for a in axes])
        numbers = pd.to_numeric(column, errors="coerce")
        frame[axis] = numbers if numbers.notna().eq(column.notna()).all() else column
    return frame


def draw(paper: PaperSpec, package_folder: Path, tier_dir: Path) -> list[str]:
    """Draw every figure of ``figures.FIGURES`` as SVG and PNG.

    Returns:
        One sentence for each figure that could not be drawn.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    folder = tier_dir / "papers" / paper.slug
    into = folder / "figures"
    into.mkdir(parents=True, exist_ok=True)
    if not (package_folder / "figures.py").is_file():
        return []
    figures = importlib.import_module(f"claimbench.papers.{package_folder.name}.figures").FIGURES
    tables = Tables.read(folder)
    faults = []
    for name, function in figures.items():
        try:
            with plt.rc_context({**STYLE, "axes.prop_cycle": plt.cycler(color=COLOURS)}):
                figure = function(tables)
                for suffix, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 150})):
                    with store.replacing(into / f"{name}.{suffix}") as temporary:
                        figure.savefig(temporary, format=suffix, **options)
                plt.close(figure)
        except Exception as error:  # a figure must not stop the tables and the other figures
            faults.append(
                f"figure {name} of {paper.slug} was not drawn ({type(error).__name__}: {' '.join(str(error).split())})"
            )
    return faults
