"""The paper's tables again: published beside measured beside verdict, one table an experiment, in five formats."""

from __future__ import annotations

import csv
import html
import io
import math
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from claimbench import store
from claimbench.collect import write_table
from claimbench.spec import ExperimentSpec, PaperSpec

Row = dict[str, Any]


def build(paper: PaperSpec, tier_dir: Path) -> list[Path]:
    """Write ``papers/<slug>/tables/<experiment>.{parquet,csv,md,tex,html}`` for every experiment.

    Returns:
        The Parquet files.
    """
    import pyarrow.parquet as pq

    folder = tier_dir / "papers" / paper.slug
    read = {
        name: pq.read_table(folder / f"{name}.parquet").to_pylist()
        for name in ("runs", "metrics", "published", "verdicts")
    }
    written = []
    for name, experiment in paper.experiments.items():
        rows = long_rows(name, experiment, read)
        if not rows:
            continue
        base = folder / "tables" / name
        write_table(base.with_suffix(".parquet"), "tables", rows)
        grid = layout(experiment, rows)
        for suffix, text in (
            (".csv", _csv(grid)),
            (".md", _markdown(experiment, grid)),
            (".tex", _latex(experiment, grid)),
            (".html", _html(experiment, grid)),
        ):
            store.write_bytes(base.with_suffix(suffix), text.encode())
        written.append(base.with_suffix(".parquet"))
    return written


def long_rows(name: str, experiment: ExperimentSpec, read: dict[str, list[Row]]) -> list[Row]:
    """One row a cell and metric: published and measured numbers in displayed units.

    Metrics are the headline metric and all that have a published number.
    """
    cells: dict[tuple[str, str, str, str], Row] = {}

    def at(method: str, dataset: str, setting: str, metric: str) -> Row:
        empty = {
            "experiment": name,
            "method": method,
            "dataset": dataset,
            "setting": setting,
            "metric": metric,
            "published": None,
            "published_spread": None,
            "checked": None,
            "measured": None,
            "sd": None,
            "n": 0,
            "n_failed": 0,
            "status": "not run",
            "verdict": None,
        }
        return cells.setdefault((metric, method, dataset, setting), empty)

    published_metrics = set()
    for row in read["published"]:
        if row["experiment"] == name:
            published_metrics.add(row["metric"])
            cell = at(row["method"], row["dataset"], row["setting"], row["metric"])
            cell |= {"published": row["value"], "published_spread": row["spread"], "checked": row["checked"]}
    shown = published_metrics | {experiment.metric}
    values: dict[str, dict[str, float]] = defaultdict(dict)
    for row in read["metrics"]:
        values[row["run_key"]][f"{row['split']}/{row['metric']}"] = row["value"]
    grouped: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in read["runs"]:
        if row["experiment"] == name:
            grouped[row["method"], row["dataset"], row["setting"]].append(row)
    for (method, dataset, setting), runs in grouped.items():
        for metric in shown:
            numbers = [values[r["run_key"]][metric] * experiment.scale for r in runs if metric in values[r["run_key"]]]
            failed = [r for r in runs if r["status"] != "done"]
            if not numbers and not failed:
                continue
            cell = at(method, dataset, setting, metric)
            cell |= {"n": len(numbers), "n_failed": len(failed), "status": "done" if numbers else failed[0]["status"]}
            if numbers:
                cell |= {"measured": mean(numbers), "sd": stdev(numbers) if len(numbers) > 1 else None}
    return [cells[key] for key in sorted(cells)]


def layout(experiment: ExperimentSpec, rows: list[Row]) -> list[list[str]]:
    """The table as text cells: rows and columns as paper.yaml lays them out, one block a metric."""
    parts = ("method", "dataset", "setting")
    down = [p for p in experiment.rows if p in parts] or ["method"]
    across = [p for p in parts if p not in down]
    grid: list[list[str]] = []
    for metric in sorted({row["metric"] for row in rows}, key=lambda m: (m != experiment.metric, m)):
        block = [row for row in rows if row["metric"] == metric]
        columns = list(dict.fromkeys(tuple(row[p] for p in across) for row in block))
        found = {(tuple(row[p] for p in down), tuple(row[p] for p in across)): row for row in block}
        unit = f" ({experiment.unit})" if experiment.unit and metric == experiment.metric else ""
        grid.append([f"{metric}{unit}", *(" ".join(v for v in c if v and v != "none") or "value" for c in columns)])
        for key in dict.fromkeys(tuple(row[p] for p in down) for row in block):
            label = " ".join(v for v in key if v and v != "none")
            grid.append([label, *(cell_text(found.get((key, c)), experiment.digits) for c in columns)])
    return grid


def cell_text(row: Row | None, digits: int) -> str:
    """``published | measured ± sd (n)``; ``?`` marks a published number that nobody could verify."""
    if row is None:
        return ""
    left = "–"
    if row["published"] is not None:
        left = _number(row["published"], digits)
        if row["published_spread"] is not None:
            left += f" ± {_number(row['published_spread'], digits)}"
        if row["checked"] == "memory":
            left += " (unverified)"
    right = "–" if row["status"] == "not run" else row["status"]
    if row["measured"] is not None:
        right = _number(row["measured"], digits)
        if row["sd"] is not None:
            right += f" ± {_number(row['sd'], digits)}"
        right += f" ({row['n']})"
    return f"{left} | {right}"


def _number(value: float, digits: int) -> str:
    if value != 0 and abs(value) < 10.0**-digits:
        return f"{value:.2g}"
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def _csv(grid: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(grid)
    return out.getvalue()


def _blocks(grid: list[list[str]]) -> list[list[list[str]]]:
    blocks: list[list[list[str]]] = []
    for row in grid:
        if (
            "/" in row[0].split(" (")[0]
            and (not blocks or len(row) >= 1)
            and row[0].split(" (")[0].count("/") == 1
            and "|" not in "".join(row[1:])
        ):
            blocks.append([])
        blocks[-1].append(row)
    return blocks


def _markdown(experiment: ExperimentSpec, grid: list[list[str]]) -> str:
    lines = [f"**{experiment.title}** — each cell: published | measured ± sd (runs)", ""]
    for block in _blocks(grid):
        safe = [[cell.replace("|", "\\|") for cell in row] for row in block]
        lines += ["| " + " | ".join(safe[0]) + " |", "|" + " --- |" * len(safe[0])]
        lines += ["| " + " | ".join(row) + " |" for row in safe[1:]] + [""]
    return "\n".join(lines)


_TEX = {
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "±": r"$\pm$",
    "–": "--",
    "|": r"\textbar{}",
}


def _latex(experiment: ExperimentSpec, grid: list[list[str]]) -> str:
    def safe(text: str) -> str:
        return "".join(_TEX.get(c, c) for c in text)

    lines = []
    for block in _blocks(grid):
        lines += [
            r"\begin{tabular}{l" + "r" * (len(block[0]) - 1) + "}",
            r"\hline",
            " & ".join(map(safe, block[0])) + r" \\ \hline",
        ]
        lines += [" & ".join(map(safe, row)) + r" \\" for row in block[1:]] + [r"\hline", r"\end{tabular}", ""]
    return f"% {experiment.title}\n" + "\n".join(lines)


def _html(experiment: ExperimentSpec, grid: list[list[str]]) -> str:
    parts = [f"<h3>{html.escape(experiment.title)}</h3>"]
    for block in _blocks(grid):
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in block[0])
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in block[1:])
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    return "\n".join(parts) + "\n"
