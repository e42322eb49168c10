"""Which runs a claim is about: one selection, for its verdict and for whoever asks where a verdict comes from.

Frames have a row for each value of a run: experiment, method, dataset, setting, seed, status, split, metric, value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from claimbench.spec.claims import Better, Exact, Ratio, Selector, Testable, Trend
from claimbench.spec.claims import First as FirstOf
from claimbench.spec.settings import level_text, parse_setting, setting_string

if TYPE_CHECKING:
    import pandas as pd

RUN = ["method", "dataset", "setting", "seed"]


@dataclass(frozen=True)
class Basis:
    """What a verdict rests on.

    ``rows`` has the measured values of the complete units, one frame a side, with the columns ``stratum`` (what both
    sides vary alike), ``unit`` and, of a trend, ``x``. A unit is a seed, a dataset where the claim says so, or a run of
    an exact claim; it is complete when each of its planned runs gave a value.
    """

    rows: list[pd.DataFrame]
    planned: int
    complete: int
    #: what became of the others, in words
    lost: str
    #: runs of A that diverged and count as the worst value of their stratum
    diverged: int = 0


def parsed(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the columns ``axes`` (the setting as a dict of levels) and ``name`` (split/metric)."""
    return with_axes(frame).assign(name=frame["split"].fillna("") + "/" + frame["metric"].fillna(""))


def with_axes(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the column ``axes``: its setting as a dict of levels."""
    axes = {text: parse_setting(text) for text in frame["setting"].unique()}
    return frame.assign(axes=[axes[text] for text in frame["setting"]])


def sides(claim: Testable, frame: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of a claim's cells, whatever their status: those of A and of B, or those that it selects.

    Args:
        frame: as :func:`parsed` gives it.
    """
    of = frame[frame["experiment"] == claim.experiment]
    selectors = [claim.a, claim.b] if isinstance(claim, Better | Ratio) else [claim.select]
    return [choose(of, selector) for selector in selectors]


def basis(claim: Testable, chosen: Sequence[pd.DataFrame]) -> Basis:
    """The complete units among the rows of a claim's cells, and how many were planned."""
    parts = _strata(*chosen) if isinstance(claim, Better | Ratio) else [chosen[0].assign(stratum="")]
    if isinstance(claim, Trend):
        parts = [part[[claim.axis in axes for axes in part["axes"]]] for part in parts]
        parts = [part.assign(x=[float(axes[claim.axis]) for axes in part["axes"]]) for part in parts]
    parts = [_reporting(claim, part.assign(unit=_units(claim, part))) for part in parts]
    runs = [part.drop_duplicates(RUN) for part in parts]
    values = [part[(part["name"] == claim.metric) & (part["status"] == "done")] for part in parts]
    diverged = 0
    if isinstance(claim, Better):
        worst = _diverged(claim, runs[0], values)
        diverged = len(worst)
        if diverged:
            values[0] = _concat([values[0], worst])
    planned = _planned(claim, runs)
    missing = _missing(runs, values, planned)
    complete = planned - set(missing["unit"])
    kept = [part[part["unit"].isin(complete)] for part in values]
    return Basis(kept, len(planned), len(complete), _words(missing), diverged)


def choose(frame: pd.DataFrame, selector: Selector) -> pd.DataFrame:
    """The rows that a selector covers."""
    for column, wanted in (("method", selector.method), ("dataset", selector.dataset)):
        if wanted is not None:
            frame = narrow(frame, frame[column], wanted)
    for axis, wanted in selector.setting.items():
        frame = narrow(frame, frame["axes"].map(lambda axes, axis=axis: axes.get(axis)), wanted)
    return frame


def narrow(frame: pd.DataFrame, values: pd.Series, wanted: Any) -> pd.DataFrame:
    """The rows whose value is the wanted one, one of a list, or the first of ``{first: [...]}`` that has results."""
    if isinstance(wanted, FirstOf):
        for option in wanted.first:
            found = frame[values == level_text(option)]
            if found["value"].notna().any():
                return found
        return frame[values == level_text(wanted.first[0])]
    options = [level_text(option) for option in (wanted if isinstance(wanted, list) else [wanted])]
    return frame[values.isin(options)]


def _concat(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(list(parts))


def _strata(a: pd.DataFrame, b: pd.DataFrame) -> list[pd.DataFrame]:
    """Both sides with the column ``stratum``, without the strata that only one of them has."""

    def axes_of(part: pd.DataFrame) -> list[dict[str, Any]]:
        return [{**axes, "dataset": data} for axes, data in zip(part["axes"], part["dataset"], strict=True)]

    ours, theirs = axes_of(a), axes_of(b)
    keys = {key for axes in ours for key in axes} & {key for axes in theirs for key in axes}
    shared = {key for key in keys if {axes.get(key) for axes in ours} & {axes.get(key) for axes in theirs}}
    parts = [
        part.assign(stratum=[setting_string({key: one[key] for key in shared if key in one}) for one in axes])
        for part, axes in ((a, ours), (b, theirs))
    ]
    both = set(parts[0]["stratum"]) & set(parts[1]["stratum"])
    return [part[part["stratum"].isin(both)] for part in parts]


def _reporting(claim: Testable, part: pd.DataFrame) -> pd.DataFrame:
    """Without the cells that are through and report the metric in no run: they are not what the claim is about."""
    cell = list(zip(*(part[column] for column in RUN[:-1]), strict=True))
    through = {key for key, status in zip(cell, part["status"], strict=True) if status == "done"}
    having = {key for key, name in zip(cell, part["name"], strict=True) if name == claim.metric}
    return part[[key not in through - having for key in cell]]


def _units(claim: Testable, part: pd.DataFrame) -> list[Any]:
    if isinstance(claim, Exact):
        return list(zip(*(part[column] for column in RUN), strict=True))
    return list(part["dataset"] if claim.unit == "dataset" else part["seed"])


def _planned(claim: Testable, runs: Sequence[pd.DataFrame]) -> set[Any]:
    """The units that are planned in every cell of the claim; where a unit is not a seed, all."""
    units = {unit for part in runs for unit in part["unit"]}
    if isinstance(claim, Exact):
        return units
    if claim.unit == "dataset":
        return {unit for unit in units if all((part["unit"] == unit).any() for part in runs)}
    for part in runs:
        for _, cell in part.groupby(RUN[:-1], sort=False):
            units &= set(cell["seed"])
    return units


def _missing(runs: Sequence[pd.DataFrame], values: Sequence[pd.DataFrame], planned: set[Any]) -> pd.DataFrame:
    """The planned runs that gave no value."""
    lost = []
    for part, found in zip(runs, values, strict=True):
        have = set(zip(*(found[column] for column in RUN), strict=True))
        keys = zip(*(part[column] for column in RUN), strict=True)
        lost.append(part[[key not in have for key in keys]])
    missing = _concat(lost)
    return missing[missing["unit"].isin(planned)]


def _diverged(claim: Better, runs: pd.DataFrame, values: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """A row for each run of A that diverged, with the worst value of its stratum over both sides."""
    lost = runs[runs["status"] == "diverged"]
    known = _concat(values).groupby("stratum")["value"]
    worst = known.min() if claim.higher_is_better else known.max()
    lost = lost[lost["stratum"].isin(worst.index)]
    return lost.assign(name=claim.metric, value=lost["stratum"].map(worst))


def _words(missing: pd.DataFrame) -> str:
    if missing.empty:
        return ""
    said = Counter("without this metric" if status == "done" else status for status in missing["status"])
    first = next((reason for reason in missing["reason"] if reason), "")
    counts = ", ".join(f"{n} {'run' if n == 1 else 'runs'} {status}" for status, n in sorted(said.items()))
    return counts + (f" ({first})" if first else "")
