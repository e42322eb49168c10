"""What a paper's figures are drawn from: its tables as frames, and the colours of all papers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


#: Okabe and Ito's palette: distinguishable with every common colour vision
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


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
