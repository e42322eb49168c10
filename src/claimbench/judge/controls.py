"""Floors and ceilings: a method below its floor or above its ceiling points at a fault, not at a finding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from statistics import mean
from typing import Any

from claimbench import files
from claimbench.plan.plan import Plan
from claimbench.records.columns import read_rows
from claimbench.spec.paper import ExperimentSpec, Floor


def write_faults(plan: Plan, papers: Collection[str] | None = None) -> None:
    """``qc.json``: cells on the wrong side of a floor or ceiling, of all papers or of ``papers``."""
    found = []
    for slug, spec in plan.papers.items():
        if papers is not None and slug not in papers:
            continue
        folder = plan.tier_dir / "papers" / slug
        runs, metrics = (read_rows(folder / f"{name}.parquet", name) for name in ("runs", "metrics"))
        found += [{"paper": slug, **row} for row in faults(spec.experiments, runs, metrics)]
    files.write_json(plan.tier_dir / "qc.json", found)


Row = dict[str, Any]


def faults(experiments: dict[str, ExperimentSpec], runs: list[Row], metrics: list[Row]) -> list[Row]:
    """Cells whose mean lies on the wrong side of a control of their experiment on the same dataset.

    Args:
        experiments: the paper's experiments by name.
        runs: rows of the ``runs`` table of one paper.
        metrics: rows of its ``metrics`` table.

    Returns:
        One row a fault: experiment, method, dataset, setting, metric, value, control, limit, kind (``floor`` or
        ``ceiling``).
    """
    cell_of = {row["run_key"]: row for row in runs}
    values: dict[tuple[str, str, str, str, str], list[float]] = defaultdict(list)
    for row in metrics:
        cell = cell_of[row["run_key"]]
        key = (cell["experiment"], cell["method"], cell["dataset"], cell["setting"], f"{row['split']}/{row['metric']}")
        values[key].append(row["value"])
    found: list[Row] = []
    for name, experiment in experiments.items():
        for kind, control in (("floor", experiment.floor), ("ceiling", experiment.ceiling)):
            if control is not None:
                found += _against(name, kind, control, values)
    return found


def _against(
    name: str, kind: str, control: Floor, values: dict[tuple[str, str, str, str, str], list[float]]
) -> list[Row]:
    limits: dict[str, list[float]] = defaultdict(list)
    for (experiment, method, dataset, _, metric), numbers in values.items():
        if experiment == name and method == control.method and metric == control.metric:
            limits[dataset] += numbers
    sign = 1.0 if (kind == "floor") == control.higher_is_better else -1.0
    return [
        {
            "experiment": name,
            "method": method,
            "dataset": dataset,
            "setting": setting,
            "metric": metric,
            "value": mean(numbers),
            "control": control.method,
            "limit": mean(limits[dataset]),
            "kind": kind,
        }
        for (experiment, method, dataset, setting, metric), numbers in sorted(values.items())
        if experiment == name
        and metric == control.metric
        and method != control.method
        and dataset in limits
        and sign * (mean(numbers) - mean(limits[dataset])) < 0
    ]
