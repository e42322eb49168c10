"""One self-contained HTML page: scoreboard, regenerated tables, figures, claims, and the runs behind every number."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

from claimbench import files
from claimbench.plan.plan import Plan, make_plan
from claimbench.records.columns import read_rows
from claimbench.records.conclusions import runs_done
from claimbench.records.costs import forecast_s, ledger, read_costs
from claimbench.spec.words import TIERS, VERDICTS

_MOST_RUNS = 5000
_MOST_CELLS = 60
Row = dict[str, Any]


def build(
    plan: Plan, papers: Collection[str] | None = None, forecasts: bool = True, earlier: Collection[str] = ()
) -> Path:
    """Write ``report/index.html`` of the tier and return its path. Everything is inline: opening it fetches nothing.

    Args:
        plan: of which only the papers are read, so an outline will do.
        papers: those that are through, by default all; the others are shown as pending.
        earlier: those of them that were not part of the last run.
        forecasts: say what every tier would take. It costs as much as the rest of the page.
    """
    import jinja2

    tier = plan.tier_dir
    read = {name: read_rows(tier / f"{name}.parquet", name) for name in ("runs", "metrics", "verdicts", "margins")}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        extensions=["jinja2.ext.loopcontrols"],
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["g"] = lambda value: "" if value is None else f"{value:.4g}"
    shown = plan.papers if papers is None else papers
    done = runs_done(tier)
    pending = {slug: done.get(slug, (0, 0)) for slug in plan.papers if slug not in shown}
    inline = {
        name: jinja2.utils.markupsafe.Markup((Path(__file__).parent / name).read_text(encoding="utf-8"))
        for name in ("style.css", "script.js")
    }
    page = environment.get_template("page.html.j2").render(
        papers=[{**_paper(plan, slug, read, pending.get(slug)), "earlier": slug in earlier} for slug in plan.papers],
        pending=pending,
        tier=plan.config.tier,
        verdict_words=VERDICTS,
        style=inline["style.css"],
        script=inline["script.js"],
        verdicts=[_claim(row) for row in read["verdicts"]],
        margins=_margins(read["margins"]),
        runs=_runs(read),
        costs=_costs(plan, read["runs"]),
        forecasts=_forecasts(plan) if forecasts else [],
        environment=_environment(read["runs"]),
        qc=files.read_json(tier / "qc.json") or [],
        totals=Counter(row["verdict"] for row in read["verdicts"]),
    )
    path = tier / "report" / "index.html"
    files.write_bytes(path, page.encode())
    return path


def _paper(plan: Plan, slug: str, read: dict[str, list[Row]], pending: tuple[int, int] | None) -> Row:
    """What the page shows of a paper; ``pending`` are the done and all runs of one that is not through."""
    from markupsafe import Markup

    spec = plan.papers[slug]
    if pending:
        done, total = pending
        return {"spec": spec, "slug": slug, "count": Counter(), "pending": f"pending, {done} of {total} runs done"}
    folder = plan.tier_dir / "papers" / slug
    tables = [
        Markup((folder / "tables" / f"{name}.html").read_text(encoding="utf-8"))
        for name in spec.experiments
        if (folder / "tables" / f"{name}.html").is_file()
    ]
    figures = []
    for path in sorted((folder / "figures").glob("*.svg")):
        text = path.read_text(encoding="utf-8")
        figures.append((path.stem, Markup(_own_ids(text[text.index("<svg") :], path.stem))))
    count = Counter(row["verdict"] for row in read["verdicts"] if row["paper"] == slug and row["family"] != "ours")
    statuses = Counter(row["status"] for row in read["runs"] if row["paper"] == slug)
    return {
        "spec": spec,
        "slug": slug,
        "pending": "",
        "tables": tables,
        "figures": figures,
        "count": count,
        "statuses": statuses,
    }


def _own_ids(svg: str, prefix: str) -> str:
    """Give the ids of an inline SVG a prefix, so that two figures on one page do not share them."""
    import re

    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    return re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}-", svg)


def _claim(row: Row) -> Row:
    """A verdict with the geometry of its interval plot (0..100)."""
    points = [v for v in (row["ci_low"], row["ci_high"], row["diff"], 0.0) if v is not None]
    margin = row["margin"] if row["kind"] in ("value", "better") else None
    if margin is not None:
        points += [margin, -margin] if row["kind"] == "value" else [margin]
    low, high = min(points), max(points)
    span = (high - low) or 1.0

    def at(value: float | None) -> float | None:
        return None if value is None else round(4 + 92 * (value - low) / span, 2)

    edges = (
        [at(margin), at(-margin)]
        if margin is not None and row["kind"] == "value"
        else [at(margin)]
        if margin is not None
        else []
    )
    cells = json.loads(row["cells"])
    named = " ".join("=" + "/".join((row["paper"], row["experiment"], *cell)) for cell in cells)
    return {
        **row,
        "runs": named if 0 < len(cells) <= _MOST_CELLS else f"{row['paper']} {row['experiment']}",
        "plot": {
            "low": at(row["ci_low"]),
            "high": at(row["ci_high"]),
            "mid": at(row["diff"]),
            "zero": at(0.0),
            "edges": edges,
        },
    }


def _margins(rows: list[Row]) -> list[Row]:
    """Multiplier -> verdict counts, for the slider."""
    count: dict[float, Counter[str]] = defaultdict(Counter)
    for row in rows:
        count[row["multiplier"]][row["verdict"]] += 1
    return [{"multiplier": m, "count": {v: count[m][v] for v in VERDICTS}} for m in sorted(count)]


def _runs(read: dict[str, list[Row]]) -> list[Row]:
    if len(read["runs"]) > _MOST_RUNS:
        return []
    values: dict[str, list[str]] = defaultdict(list)
    for row in read["metrics"]:
        values[row["run_key"]].append(f"{row['split']}/{row['metric']} {row['value']:.5g}")
    return [{**row, "metrics": "; ".join(values[row["run_key"]])} for row in read["runs"]]


def _costs(plan: Plan, runs: list[Row]) -> list[Row]:
    """The ledger of this tier's ``runs`` and of every other tier that has one."""

    folder = plan.tier_dir.parent
    return ledger(runs) + [
        row
        for tier in (t for t in TIERS if t != plan.config.tier)
        if (path := folder / tier / "costs.parquet").is_file()
        for row in read_rows(path, "costs")
    ]


def _forecasts(plan: Plan) -> list[Row]:
    """What every tier would take from the start, by measured costs and else by what paper.yaml declares."""
    measured = read_costs(Path(plan.config.results_dir))
    rows = []
    for tier in TIERS:
        runs = make_plan(plan.config.model_copy(update={"tier": tier, "experiments": {}, "overrides": {}})).runs
        known = [cost for run in runs if (cost := forecast_s(run, measured)) is not None]
        rows.append({"tier": tier, "runs": len(runs), "hours": sum(known) / 3600, "unknown": len(runs) - len(known)})
    return rows


def _environment(runs: list[Row]) -> list[tuple[str, str]]:
    names = ("git_commit", "git_dirty", "host", "device_name", "python", "torch", "cuda")
    return [
        (name.replace("_", " "), ", ".join(sorted({str(r[name]) for r in runs if r[name] is not None})))
        for name in names
    ]
