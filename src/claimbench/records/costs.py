"""What runs cost: measured, declared, forecast."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from claimbench import files
from claimbench.plan.cells import PlannedRun
from claimbench.plan.plan import Plan
from claimbench.records import store
from claimbench.records.columns import read_rows, write_table


def read_costs(results_dir: Path) -> dict[str, float]:
    """Median wall seconds of a run by ``tier/paper/experiment/method/dataset``, from earlier runs."""
    try:
        return json.loads((results_dir / "costs.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def forecast_s(run: PlannedRun, costs: dict[str, float]) -> float | None:
    """Seconds a run will take: measured before, else declared (``run_s``), else None."""
    cell = run.cell
    measured = costs.get(f"{cell.tier}/{cell.paper}/{cell.experiment}/{cell.method}/{cell.dataset}")
    return measured if measured is not None else cell.run_s


def ledger(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the runs of every experiment took: sums of seconds and joules, peaks of memory.

    Energy is the whole GPU's while a run had it, and only where every run that used a GPU has a reading.
    """
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in runs:
        groups.setdefault((row["tier"], row["paper"], row["experiment"]), []).append(row)
    rows = []
    for (tier, paper, experiment), group in groups.items():
        on_gpu = [row for row in group if row["gpu_s"] is not None]
        counted = bool(on_gpu) and all(row["gpu_j"] is not None for row in on_gpu)
        rows.append(
            {
                "tier": tier,
                "paper": paper,
                "experiment": experiment,
                "runs": len(group),
                **{name: sum(row[name] or 0.0 for row in group) for name in ("wall_s", "cpu_s")},
                "gpu_s": sum(row["gpu_s"] for row in on_gpu) if on_gpu else None,
                **{
                    name: max((row[name] for row in group if row[name] is not None), default=None)
                    for name in ("peak_rss_mb", "peak_gpu_mb")
                },
                "gpu_j": sum(row["gpu_j"] for row in on_gpu) if counted else None,
                "energy_source": "NVML, whole GPU" if counted else "none",
            }
        )
    return rows


def write_ledger(plan: Plan) -> None:
    """``costs.parquet`` of a tier that is through."""
    rows = read_rows(plan.tier_dir / "runs.parquet", "runs")
    write_table(plan.tier_dir / "costs.parquet", "costs", ledger(rows))


def write_measured(plan: Plan) -> None:
    """``costs.json``: what the runs in the tier's tables took."""
    import statistics

    walls: dict[str, list[float]] = {}
    for row in read_rows(plan.tier_dir / "runs.parquet", "runs"):
        if row["status"] == "done" and row["wall_s"] is not None:
            key = "/".join(row[part] for part in ("tier", "paper", "experiment", "method", "dataset"))
            walls.setdefault(key, []).append(row["wall_s"])
    path = Path(plan.config.results_dir) / "costs.json"
    known = files.read_json(path) or {}
    files.write_json(path, {**known, **{key: statistics.median(values) for key, values in walls.items()}})


def forecast(plan: Plan) -> dict[str, tuple[float, int]]:
    """Job -> (forecast seconds, runs without a forecast); runs whose record exists cost nothing."""
    costs = read_costs(Path(plan.config.results_dir))
    records = store.Store(Path(plan.config.results_dir) / "store")
    have_store = records.root.is_dir()
    found = {}
    for job in plan.jobs.values():
        seconds, unknown = 0.0, 0
        for run in job.runs:
            if have_store and (records.folder(job.paper, run.fit_key) / "fit.json").is_file():
                continue
            cost = forecast_s(run, costs)
            seconds += cost or 0.0
            unknown += cost is None
        found[job.id] = (seconds, unknown)
    return found
