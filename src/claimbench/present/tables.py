"""The paper's tables again: published beside measured beside verdict, one table an experiment, in five formats."""

from __future__ import annotations

import csv
import html
import io
import json
import math
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from claimbench import files
from claimbench.records.columns import read_rows, write_table
from claimbench.spec.paper import ExperimentSpec, PaperSpec
from claimbench.spec.words import VERDICTS

Row = dict[str, Any]
Block = list[list[Any]]  # text, a row of the long table, or None where there is no such cell


def build(paper: PaperSpec, tier_dir: Path) -> list[Path]:
    """Write ``papers/<slug>/tables/<experiment>.{parquet,csv,md,tex,html}`` for every experiment.

    Returns:
        The Parquet files.
    """
    folder = tier_dir / "papers" / paper.slug
    read = {name: read_rows(folder / f"{name}.parquet", name) for name in ("runs", "metrics", "published", "verdicts")}
    written = []
    for name, experiment in paper.experiments.items():
        rows = long_rows(name, experiment, read)
        if not rows:
            continue
        base = folder / "tables" / name
        write_table(base.with_suffix(".parquet"), "tables", rows)
        blocks = layout(experiment, rows)
        for suffix, text in (
            (".csv", _csv(blocks, experiment.digits)),
            (".md", _markdown(experiment, blocks)),
            (".tex", _latex(experiment, blocks)),
            (".html", _html(paper.slug, experiment, blocks)),
        ):
            files.write_bytes(base.with_suffix(suffix), text.encode())
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
    _mark(name, cells, read["verdicts"])
    return [cells[key] for key in sorted(cells)]


def _mark(name: str, cells: dict[tuple[str, str, str, str], Row], verdicts: list[Row]) -> None:
    """Give every cell the verdicts of the claims that rest on it: ``reproduced: C1 C2; contradicted: C3``."""
    resting: dict[tuple[str, str, str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in verdicts:
        if row["experiment"] == name:
            for cell in json.loads(row["cells"] or "[]"):
                resting[row["metric"], *cell][row["verdict"]].append(row["claim_id"])
    for key, groups in resting.items():
        if key in cells:
            said = [f"{word}: {' '.join(groups[word])}" for word in VERDICTS if word in groups]
            cells[key]["verdict"] = "; ".join(said)


def layout(experiment: ExperimentSpec, rows: list[Row]) -> list[Block]:
    """Rows and columns as paper.yaml lays them out, one block a metric: a heading row, then a label and cells a row.

    First stand columns with measured and published numbers, then those with measured ones, then the rest.
    """
    parts = ("method", "dataset", "setting")
    down = [p for p in experiment.rows if p in parts] or ["method"]
    across = [p for p in parts if p not in down]
    blocks: list[Block] = []
    for metric in sorted({row["metric"] for row in rows}, key=lambda m: (m != experiment.metric, m)):
        block = [row for row in rows if row["metric"] == metric]
        columns = list(dict.fromkeys(tuple(row[p] for p in across) for row in block))
        ran = {tuple(row[p] for p in across) for row in block if row["status"] != "not run"}
        given = {tuple(row[p] for p in across) for row in block if row["published"] is not None}
        columns.sort(key=lambda column: (column not in ran, column not in given))
        found = {(tuple(row[p] for p in down), tuple(row[p] for p in across)): row for row in block}
        unit = f" ({experiment.unit})" if experiment.unit and metric == experiment.metric else ""
        lines = [[f"{metric}{unit}", *(_label(column) or "value" for column in columns)]]
        for key in dict.fromkeys(tuple(row[p] for p in down) for row in block):
            lines.append([_label(key), *(found.get((key, column)) for column in columns)])
        blocks.append(lines)
    return blocks


def _label(levels: tuple[str, ...]) -> str:
    return " ".join(level for level in levels if level and level != "none")


def cell_text(row: Row | str | None, digits: int) -> str:
    """``published | measured ± sd (n) | verdicts of the claims that rest on it``."""
    if row is None or isinstance(row, str):
        return row or ""
    text = f"{_published(row, digits)} | {_measured(row, digits)}"
    return f"{text} | {row['verdict']}" if row["verdict"] else text


def _published(row: Row, digits: int) -> str:
    if row["published"] is None:
        return "–"
    text = _number(row["published"], digits)
    if row["published_spread"] is not None:
        text += f" ± {_number(row['published_spread'], digits)}"
    return text + (" (unverified)" if row["checked"] == "memory" else "")


def _measured(row: Row, digits: int) -> str:
    if row["measured"] is None:
        return "–" if row["status"] == "not run" else str(row["status"])
    text = _number(row["measured"], digits)
    if row["sd"] is not None:
        text += f" ± {_number(row['sd'], digits)}"
    return f"{text} ({row['n']})"


def _number(value: float, digits: int) -> str:
    if value != 0 and abs(value) < 10.0**-digits:
        return f"{value:.2g}"
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def _csv(blocks: list[Block], digits: int) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(
        [cell_text(cell, digits) for cell in line] for block in blocks for line in block
    )
    return out.getvalue()


def _markdown(experiment: ExperimentSpec, blocks: list[Block]) -> str:
    lines = [f"**{experiment.title}** — each cell: published | measured ± sd (runs) | claims", ""]
    for block in blocks:
        safe = [[cell_text(cell, experiment.digits).replace("|", "\\|") for cell in line] for line in block]
        lines += ["| " + " | ".join(safe[0]) + " |", "|" + " --- |" * len(safe[0])]
        lines += ["| " + " | ".join(line) + " |" for line in safe[1:]] + [""]
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


def _latex(experiment: ExperimentSpec, blocks: list[Block]) -> str:
    def safe(cell: Row | str | None) -> str:
        return "".join(_TEX.get(c, c) for c in cell_text(cell, experiment.digits))

    lines = []
    for block in blocks:
        lines += [
            r"\begin{tabular}{l" + "r" * (len(block[0]) - 1) + "}",
            r"\hline",
            " & ".join(map(safe, block[0])) + r" \\ \hline",
        ]
        lines += [" & ".join(map(safe, line)) + r" \\" for line in block[1:]] + [r"\hline", r"\end{tabular}", ""]
    return f"% {experiment.title}\n" + "\n".join(lines)


def _html(paper: str, experiment: ExperimentSpec, blocks: list[Block]) -> str:
    """Tables whose measured numbers link to their runs (by ``data-runs``) and whose verdicts link to their claims."""
    parts = [f"<h3>{html.escape(experiment.title)}</h3>"]
    for block in blocks:
        head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in block[0])
        body = "".join(
            "<tr>" + "".join(f"<td>{_html_cell(paper, cell, experiment.digits)}</td>" for cell in line) + "</tr>"
            for line in block[1:]
        )
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    return "\n".join(parts) + "\n"


def _html_cell(paper: str, cell: Row | str | None, digits: int) -> str:
    if cell is None or isinstance(cell, str):
        return html.escape(cell or "")
    measured = html.escape(_measured(cell, digits))
    if cell["n"] or cell["n_failed"]:
        name = html.escape(cell_name(paper, cell))
        measured = f'<a href="#runs" data-runs="={name}">{measured}</a>'
    text = f"{html.escape(_published(cell, digits))} | {measured}"
    for group in filter(None, (cell["verdict"] or "").split("; ")):
        verdict, ids = group.rsplit(": ", 1)
        links = " ".join(f'<a href="#claim-{paper}-{html.escape(i)}">{html.escape(i)}</a>' for i in ids.split(" "))
        text += f' | <span class="v-{verdict.replace(" ", "-")} chip">{verdict}</span> {links}'
    return text


def cell_name(paper: str, row: Row) -> str:
    """``paper/experiment/method/dataset/setting``, as ``claimbench explain`` takes it."""
    return "/".join((paper, row["experiment"], row["method"], row["dataset"], row["setting"]))
