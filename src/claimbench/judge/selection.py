"""Which runs a claim is about: one selection, for its verdict and for whoever asks where a verdict comes from.

Frames have a row for each value of a run: experiment, method, dataset, setting, seed, status, split, metric, value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from claimbench.spec.claims import Better, Ratio, Selector, Testable, Trend
from claimbench.spec.claims import First as FirstOf
from claimbench.spec.settings import level_text, parse_setting, setting_string

if TYPE_CHECKING:
    import pandas as pd


def parsed(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the columns ``axes`` (the setting as a dict of levels) and ``name`` (split/metric)."""
    return with_axes(frame).assign(name=frame["split"].fillna("") + "/" + frame["metric"].fillna(""))


def with_axes(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the column ``axes``: its setting as a dict of levels."""
    return frame.assign(axes=[parse_setting(text) for text in frame["setting"]])


def sides(claim: Testable, frame: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of a claim's cells, whatever their status: those of A and of B, or those that it selects.

    Args:
        frame: as :func:`parsed` gives it.
    """
    of = frame[frame["experiment"] == claim.experiment]
    selectors = [claim.a, claim.b] if isinstance(claim, Better | Ratio) else [claim.select]
    return [choose(of, selector) for selector in selectors]


def measured(claim: Testable, chosen: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """The values of the claim's metric among the rows of its cells."""
    return [part[(part["name"] == claim.metric) & (part["status"] == "done")] for part in chosen]


def used(claim: Testable, found: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """The values on which the verdict rests: of a comparison the seeds and strata that both sides ran, of a trend the
    seeds that ran every level, else all that were measured."""
    if isinstance(claim, Better):
        return _paired(*found)
    if isinstance(claim, Trend):
        return [_complete(found[0], claim)]
    return list(found)


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
    if isinstance(wanted, dict) and "first" in wanted:
        wanted = FirstOf(first=wanted["first"])
    if isinstance(wanted, FirstOf):
        for option in wanted.first:
            found = frame[values == level_text(option)]
            if found["value"].notna().any():
                return found
        return frame[values == level_text(wanted.first[0])]
    options = [level_text(option) for option in (wanted if isinstance(wanted, list) else [wanted])]
    return frame[values.isin(options)]


def _paired(a: pd.DataFrame, b: pd.DataFrame) -> list[pd.DataFrame]:
    """Both sides with a column ``stratum`` (what both vary alike), without what the other side did not run."""

    def strata(part: pd.DataFrame, other: pd.DataFrame) -> list[str]:
        axes = [{**a, "dataset": d} for a, d in zip(part["axes"], part["dataset"], strict=True)]
        theirs = [{**a, "dataset": d} for a, d in zip(other["axes"], other["dataset"], strict=True)]
        keys = {k for k in set().union(*axes) if any(k in t for t in theirs)}
        shared = {k for k in keys if {a.get(k) for a in axes} & {t.get(k) for t in theirs}}
        return [setting_string({k: a[k] for k in shared if k in a}) for a in axes]

    given = [a.assign(stratum=strata(a, b)), b.assign(stratum=strata(b, a))]
    pairs = [set(zip(part["stratum"], part["seed"], strict=True)) for part in given]
    both = pairs[0] & pairs[1]
    return [part[[pair in both for pair in zip(part["stratum"], part["seed"], strict=True)]] for part in given]


def _complete(part: pd.DataFrame, claim: Trend) -> pd.DataFrame:
    """The rows of the seeds that ran every level of the axis, with a column ``x`` (the level as a number)."""
    part = part.assign(x=[float(axes[claim.axis]) for axes in part["axes"]])
    levels = part.groupby("seed")["x"].nunique()
    return part[part["seed"].isin(levels.index[levels == part["x"].nunique()])]
