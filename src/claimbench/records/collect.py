"""Records -> Parquet tables. Reads by key, never by glob, so stale results cannot get in."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from claimbench.plan.cells import PlannedRun
from claimbench.plan.plan import Plan
from claimbench.records import store
from claimbench.records.columns import arrow_schema, read_arrow, write_arrow, write_table
from claimbench.records.costs import write_measured
from claimbench.records.pages import TABLES
from claimbench.spec.published import read_published


def collect(plan: Plan, paper: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of runs, metrics, curves and published of one paper, written to its folder of the tier."""
    records = store.Store(Path(plan.config.results_dir) / "store")
    tables: dict[str, list[dict[str, Any]]] = {"runs": [], "metrics": [], "curves": []}
    planned = [run for job in plan.jobs_of(paper) for run in job.runs]
    planned.sort(key=lambda r: (r.cell.experiment, r.cell.method, r.cell.dataset, r.cell.setting_string, r.seed))
    for run in planned:
        fit = records.fit_record(paper, run.fit_key)
        score = (
            records.score_record(paper, run.fit_key, run.cell.score_code) if fit and fit["status"] == "done" else None
        )
        tables["runs"].append(_run_row(run, fit, score))
        metrics = {**(fit or {}).get("metrics", {}), **(score or {}).get("metrics", {})}
        for name, value in sorted(metrics.items()):
            split, _, metric = name.rpartition("/")
            tables["metrics"].append(
                {"run_key": run.run_key, "split": split or "train", "metric": metric, "value": value}
            )
        curves = {**(fit or {}).get("curves", {}), **(score or {}).get("curves", {})}
        for series, points in sorted(curves.items()):
            tables["curves"] += [{"run_key": run.run_key, "series": series, "step": x, "value": y} for x, y in points]
    tables["published"] = [{**row, "paper": paper} for row in read_published(plan.folders[paper])]
    for name, rows in tables.items():
        write_table(plan.tier_dir / "papers" / paper / f"{name}.parquet", name, rows)
    return tables


def _run_row(run: PlannedRun, fit: dict[str, Any] | None, score: dict[str, Any] | None) -> dict[str, Any]:
    cell = run.cell
    if fit is None:
        status, reason = "failed", "no record was left; run the job again"
    elif fit["status"] != "done":
        status, reason = fit["status"], fit["reason"]
    elif score is None:
        status, reason = "failed", "not scored; run the job again"
    else:
        status, reason = score["status"], score["reason"]
    fit, score = fit or {}, score or {}
    counts = fit.get("counts", {})

    def total(name: str) -> float | None:
        values = [part[name] for part in (fit, score) if part.get(name) is not None]
        return sum(values) if values else None

    def most(name: str) -> float | None:
        return max((part[name] for part in (fit, score) if part.get(name) is not None), default=None)

    def whole(name: str) -> int | None:
        return int(counts[name]) if counts.get(name) is not None else None

    return {
        "run_key": run.run_key,
        "paper": cell.paper,
        "experiment": cell.experiment,
        "method": cell.method,
        "dataset": cell.dataset,
        "setting": cell.setting_string,
        "seed": run.seed,
        "tier": cell.tier,
        "status": status,
        "reason": reason,
        "started_utc": fit.get("started_utc"),
        "wall_s": total("wall_s"),
        "cpu_s": total("cpu_s"),
        "gpu_s": total("gpu_s"),
        "gpu_j": total("gpu_j"),
        "fit_wall_s": fit.get("wall_s"),
        "score_wall_s": score.get("wall_s"),
        "import_s": total("import_s"),
        "peak_rss_mb": most("peak_rss_mb"),
        "peak_gpu_mb": most("peak_gpu_mb"),
        "n_params": whole("n_params"),
        "flops": counts.get("flops"),
        "steps": whole("steps"),
        **{
            name: fit.get(name)
            for name in ("device", "device_name", "host", "python", "torch", "cuda", "git_commit", "git_dirty")
        },
        "code_fp": cell.fit_code,
        "data_fp": cell.data,
        "config_json": json.dumps({"hyper": cell.hyper, "split": cell.split, "layers": cell.layers}, sort_keys=True),
    }


def merge(plan: Plan, papers: Collection[str] | None = None) -> None:
    """The tables of the tier's papers (of ``papers``, where only they are through), one file each, and the costs from
    which the next plan is forecast."""
    import pyarrow as pa

    for name in TABLES:
        parts = [
            read_arrow(path, name)
            for slug in (plan.papers if papers is None else papers)
            if (path := plan.tier_dir / "papers" / slug / f"{name}.parquet").is_file()
        ]
        schema = arrow_schema(name)
        write_arrow(plan.tier_dir / f"{name}.parquet", pa.concat_tables(parts) if parts else schema.empty_table())
    write_measured(plan)
