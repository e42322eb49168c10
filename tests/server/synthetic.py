"""A tier of finished runs of the toy paper without running it: real keys and tables, invented numbers."""

from __future__ import annotations

import copy
import json
from typing import Any

from claimbench.judge.paper import judge_paper
from claimbench.present.tables import build
from claimbench.records.collect import _run_row, merge
from claimbench.records.columns import write_table
from claimbench.records.published import read_published
from tests.conftest import PAPER, PaperFolder


def finished(paper: PaperFolder, runs: int, metrics: int, **changes: Any) -> Any:
    """The plan of a tier with ``runs`` (a multiple of 4) finished runs of ``metrics`` metrics and 3 curve points each.

    Seed s of method m in setting k has ``test/m0`` = s + k and a curve ``loss`` of 1/1, 1/2, 1/3.
    """
    content = copy.deepcopy(PAPER)
    content["experiments"] = {"location": content["experiments"]["location"]}
    content["experiments"]["location"]["tiers"] = {
        "smoke": {"seeds": runs // 4, "grid": [{"method": ["mean", "median"], "setting": {"k": [1, 2]}}]}
    }
    paper.write(content)
    plan = paper.plan(**changes)
    tables: dict[str, list[dict[str, Any]]] = {"runs": [], "metrics": [], "curves": []}
    for number, run in enumerate(plan.runs):
        started = f"2026-01-01T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000+00:00"
        fit = {
            "status": "done",
            "reason": "",
            "started_utc": started,
            "wall_s": 2.5,
            "cpu_s": 2.0,
            "peak_rss_mb": 200.0,
            "device": "cpu",
            "device_name": "a processor",
        }
        tables["runs"].append(_run_row(run, fit, {"status": "done", "reason": "", "wall_s": 0.5}))
        key, k = run.run_key, run.cell.setting["k"]
        tables["metrics"].append({"run_key": key, "split": "test", "metric": "error", "value": 1.0 / (run.seed + k)})
        tables["metrics"] += [
            {"run_key": key, "split": "test", "metric": f"m{i}", "value": float(run.seed + k + i)}
            for i in range(metrics - 1)
        ]
        tables["curves"] += [{"run_key": key, "series": "loss", "step": s, "value": 1 / s} for s in (1.0, 2.0, 3.0)]
    tables["published"] = read_published(plan.folders["toy-paper"], "toy-paper")
    for name, rows in tables.items():
        write_table(plan.tier_dir / "papers" / "toy-paper" / f"{name}.parquet", name, rows)
    judge_paper(plan, "toy-paper")
    build(plan.papers["toy-paper"], plan.tier_dir)
    merge(plan)
    assert len({json.dumps(row["run_key"]) for row in tables["runs"]}) == runs
    return plan
