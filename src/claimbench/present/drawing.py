"""Redraw a paper's figures from its tables; one look for all papers, equal input gives equal bytes."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from claimbench import files
from claimbench.figures import COLOURS, Tables
from claimbench.spec.paper import PaperSpec

STYLE: dict[str, Any] = {
    "figure.figsize": (6.4, 3.8),
    "figure.constrained_layout.use": True,
    "figure.dpi": 150,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "svg.hashsalt": "claimbench",
    "svg.fonttype": "none",
}


def draw(paper: PaperSpec, package_folder: Path, tier_dir: Path) -> list[str]:
    """Draw every figure of ``figures.FIGURES`` as SVG.

    Returns:
        One sentence for each figure that could not be drawn.
    """
    os.environ["MPLBACKEND"] = "Agg"  # a notebook's is not installed here, and matplotlib would fail to start
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
            look = {**STYLE, "axes.prop_cycle": plt.cycler(color=COLOURS)}
            with plt.style.context(look, after_reset=True):  # the user's matplotlibrc and styles change nothing
                figure = function(tables)
                # Agg lays it out, whose text is measured faster than SVG's; with an engine each would draw twice
                figure.draw_without_rendering()
                plt.rcParams["figure.constrained_layout.use"] = False
                figure.set_layout_engine(None)
                with files.replacing(into / f"{name}.svg") as temporary:
                    figure.savefig(temporary, format="svg", metadata={"Date": None})
                plt.close(figure)
        except Exception as error:  # a figure must not stop the tables and the other figures
            faults.append(
                f"figure {name} of {paper.slug} was not drawn ({type(error).__name__}: {' '.join(str(error).split())})"
            )
    return faults
