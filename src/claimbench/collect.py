"""Records -> Parquet tables. Reads by key, never by glob, so stale results cannot get in."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claimbench import store
from claimbench.errors import UserError, nearest
from claimbench.plan import Plan, PlannedRun
from claimbench.schema import CHECKED, TABLES, arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa

PUBLISHED_COLUMNS = tuple(name for name, _ in TABLES["published"] if name != "paper")


def write_table(path: Path, table: str, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as Parquet in the fixed schema of ``table``; equal rows give equal bytes."""
    import pyarrow as pa

    write_arrow(path, pa.Table.from_pylist(list(rows), schema=arrow_schema(table)))


def write_arrow(path: Path, table: pa.Table) -> None:
    """Atomic Parquet write."""
    import pyarrow.parquet as pq

    with store.replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_published(folder: Path, paper: str) -> list[dict[str, Any]]:
    """The rows of a paper's ``published.csv``.

    Raises:
        UserError: a wrong column, number or word, with file and line.
    """
    path = folder / "published.csv"
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        for name in reader.fieldnames or []:
            if name not in PUBLISHED_COLUMNS:
                raise UserError(f"{path}: unknown column {name!r} ({nearest(name, PUBLISHED_COLUMNS)})")
        if missing := [name for name in PUBLISHED_COLUMNS if name not in (reader.fieldnames or [])]:
            raise UserError(f"{path}: column {missing[0]!r} is missing")
        rows = []
        for line, row in enumerate(reader, start=2):
            where = f"{path}, line {line}"
            if row["checked"] not in CHECKED:
                raise UserError(f"{where}: checked is {row['checked']!r}; allowed: {', '.join(CHECKED)}")
            rows.append(
                {
                    **row,
                    "paper": paper,
                    "value": _number(row["value"], where, "value"),
                    "spread": _number(row["spread"], where, "spread") if row["spread"] else None,
                    "n": int(_number(row["n"], where, "n")) if row["n"] else None,
                    "setting": ",".join(sorted(filter(None, (row["setting"] or "").split(",")))),
                }
            )
    return rows


def _number(text: str, where: str, column: str) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        raise UserError(f"{where}: {column} is {text!r}; it must be a number") from None


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
    tables["published"] = read_published(plan.folders[paper], paper)
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


def merge(plan: Plan) -> None:
    """The tables of all papers of the tier, one file each, and the costs from which the next plan is forecast."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name in ("runs", "metrics", "curves", "published", "verdicts", "margins"):
        parts = [
            pq.read_table(path, schema=arrow_schema(name))
            for slug in plan.papers
            if (path := plan.tier_dir / "papers" / slug / f"{name}.parquet").is_file()
        ]
        schema = arrow_schema(name)
        write_arrow(plan.tier_dir / f"{name}.parquet", pa.concat_tables(parts) if parts else schema.empty_table())
    _write_costs(plan)
    write_table(
        plan.tier_dir / "costs.parquet", "costs", ledger(pq.read_table(plan.tier_dir / "runs.parquet").to_pylist())
    )
    _write_qc(plan)


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


def _write_qc(plan: Plan) -> None:
    """``qc.json``: cells on the wrong side of a floor or ceiling."""
    import pyarrow.parquet as pq

    from claimbench import qc

    found = []
    for slug, spec in plan.papers.items():
        folder = plan.tier_dir / "papers" / slug
        runs, metrics = (pq.read_table(folder / f"{name}.parquet").to_pylist() for name in ("runs", "metrics"))
        found += [{"paper": slug, **row} for row in qc.faults(spec.experiments, runs, metrics)]
    store.write_json(plan.tier_dir / "qc.json", found)


def _write_costs(plan: Plan) -> None:
    import statistics

    import pyarrow.parquet as pq

    walls: dict[str, list[float]] = {}
    for row in pq.read_table(plan.tier_dir / "runs.parquet").to_pylist():
        if row["status"] == "done" and row["wall_s"] is not None:
            key = "/".join(row[part] for part in ("tier", "paper", "experiment", "method", "dataset"))
            walls.setdefault(key, []).append(row["wall_s"])
    path = Path(plan.config.results_dir) / "costs.json"
    known = store.read_json(path) or {}
    store.write_json(path, {**known, **{key: statistics.median(values) for key, values in walls.items()}})
