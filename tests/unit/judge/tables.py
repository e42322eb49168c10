"""Small tables of runs and claims about them, as the judge gets them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from claimbench.judge.verdicts import judge
from claimbench.records.columns import TABLES
from claimbench.spec.claims import make_claim
from claimbench.spec.words import VERDICTS

EXPERIMENTS = {"e": {"scale": 1.0, "digits": 2}}
NO_PUBLISHED = pd.DataFrame(
    columns=["experiment", "method", "dataset", "setting", "metric", "value", "spread", "spread_kind", "n"]
)
BETTER = {"kind": "better", "a": {"method": "a"}, "b": {"method": "b"}, "margin": 0.0}


def frame(cells: dict[tuple[str, str, str], Any], status: str = "done") -> pd.DataFrame:
    """Runs of ``{(method, dataset, setting): values}``: a value a seed, or ``{seed: value}``; a word is the status of a
    run without a value."""
    rows = []
    for (method, dataset, setting), values in cells.items():
        for seed, value in values.items() if isinstance(values, dict) else enumerate(values):
            of = value if isinstance(value, str) else status
            rows.append(
                {
                    "paper": "p",
                    "experiment": "e",
                    "method": method,
                    "dataset": dataset,
                    "setting": setting,
                    "seed": seed,
                    "status": of,
                    "reason": "" if of == "done" else "no luck",
                    "split": "test" if of == "done" else None,
                    "metric": "x" if of == "done" else None,
                    "value": float(value) if of == "done" else np.nan,
                }
            )
    return pd.DataFrame(rows)


def claim(**content: Any) -> Any:
    stated = {"id": "C", "text": "t", "experiment": "e", "metric": "test/x", "margin_reason": "r", **content}
    if content["kind"] == "none":
        stated = {"id": "C", "text": "t", **content}
    return make_claim(stated, "claims.yaml: claim")


def verdicts(claims: list[Any], data: pd.DataFrame, evidence: str = "full") -> list[dict[str, Any]]:
    return judge(claims, data, NO_PUBLISHED, "laptop", {"laptop": evidence}, EXPERIMENTS)


def verdict(
    content: dict[str, Any],
    data: pd.DataFrame,
    published: pd.DataFrame = NO_PUBLISHED,
    evidence: str = "full",
    **given: Any,
) -> dict[str, Any]:
    (row,) = judge([claim(**content)], data, published, "laptop", {"laptop": evidence}, EXPERIMENTS, **given)
    assert {"paper", *row} == {name for name, _ in TABLES["verdicts"]}
    assert row["verdict"] in VERDICTS
    return row
