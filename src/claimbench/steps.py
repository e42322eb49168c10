"""The steps between records and report, one function each; the workflow's rules call them through the command line."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

from claimbench import store
from claimbench.collect import write_table
from claimbench.plan import Job, Plan, forecast_s, read_costs
from claimbench.schema import FAILURES, VERDICTS


def judge(plan: Plan, paper: str) -> list[dict[str, Any]]:
    """Verdicts of a paper's claims, and what they would be at other margins."""
    import pandas as pd

    from claimbench import claims
    from claimbench.claim_schema import load_claims

    folder = plan.tier_dir / "papers" / paper
    runs = pd.read_parquet(folder / "runs.parquet")
    metrics = pd.read_parquet(folder / "metrics.parquet")
    columns = ["run_key", "paper", "experiment", "method", "dataset", "setting", "seed", "status", "reason"]
    frame = runs[columns].merge(metrics, on="run_key", how="left")
    spec = plan.papers[paper]
    given = {
        "claims": load_claims(plan.folders[paper] / "claims.yaml"),
        "frame": frame,
        "published": pd.read_parquet(folder / "published.parquet"),
        "tier": plan.config.tier,
        "tier_evidence": dict(spec.tier_evidence),
        "experiments": {
            name: e.model_dump(include={"scale", "unit", "digits"}) for name, e in spec.experiments.items()
        },
    }
    verdicts = claims.judge(**given)
    write_table(folder / "verdicts.parquet", "verdicts", [{**row, "paper": paper} for row in verdicts])
    margins = claims.judge_margins(**given)
    write_table(folder / "margins.parquet", "margins", [{**row, "paper": paper} for row in margins])
    return verdicts


def check(plan: Plan) -> int:
    """Print the scoreboard and what failed; 0 when no run failed, 1 otherwise."""
    import pyarrow.parquet as pq

    runs = pq.read_table(plan.tier_dir / "runs.parquet").to_pylist()
    verdicts = pq.read_table(plan.tier_dir / "verdicts.parquet").to_pylist()
    width = max((len(slug) for slug in plan.papers), default=5)
    for slug in plan.papers:
        count = Counter(row["verdict"] for row in verdicts if row["paper"] == slug)
        said = ", ".join(f"{count[word]} {word}" for word in VERDICTS if count[word])
        print(f"{slug:{width}}  {said or 'no claims'}")
    statuses = Counter(row["status"] for row in runs)
    failed = [row for row in runs if row["status"] in FAILURES]
    print(f"{len(runs)} runs: " + ", ".join(f"{n} {status}" for status, n in sorted(statuses.items())))
    for (what, reason), n in Counter(
        (f"{row['paper']} {row['experiment']} {row['method']} {row['dataset']}: {row['status']}", row["reason"])
        for row in runs
        if row["status"] != "done"
    ).most_common(12):
        print(f"  {n} x {what}: {reason}", file=sys.stderr)
    for row in store.read_json(plan.tier_dir / "qc.json") or []:
        side = "below its floor" if row["kind"] == "floor" else "beyond its ceiling"
        cell = " ".join(filter(None, (row["paper"], row["experiment"], row["method"], row["dataset"], row["setting"])))
        print(
            f"  {side}: {cell} {row['metric']} {row['value']:.4g}, {row['control']} {row['limit']:.4g}", file=sys.stderr
        )
    if failed:
        print(
            f"{len(failed)} runs failed; the tables show the holes. `claimbench retry` forgets them.", file=sys.stderr
        )
        return 1
    return 0


def retry(plan: Plan) -> int:
    """Make the next run try the runs again that failed or were skipped, and only those.

    Removes their jobs' manifests and what was made from them: Snakemake does not make a missing file again as long as
    everything that came from it is there.

    Returns:
        The number of manifests removed.
    """
    removed = 0
    papers = set()
    for job in plan.jobs.values():
        for phase in ("fit", "score"):
            path = plan.tier_dir / "jobs" / f"{job.id}.{phase}.json"
            manifest = store.read_json(path)
            if manifest and any(run["status"] != "done" for run in manifest["runs"].values()):
                path.unlink()
                removed += 1
                papers.add(job.paper)
    for path in (plan.tier_dir / "data").glob("*.json"):
        marker = store.read_json(path)
        if marker and marker["status"] != "ready":
            path.unlink()
    if papers:
        stale = [path for slug in papers for path in (plan.tier_dir / "papers" / slug).glob("*.parquet")]
        stale += [*plan.tier_dir.glob("*.parquet"), plan.tier_dir / "report" / "index.html"]
        for path in (*stale, plan.tier_dir / "tracked", plan.tier_dir / "complete"):
            path.unlink(missing_ok=True)
    return removed


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


def write_plan(plan: Plan) -> None:
    """``plan.json``: what the tier runs, for progress and report."""
    costs = read_costs(Path(plan.config.results_dir))
    known = [cost for run in plan.runs if (cost := forecast_s(run, costs)) is not None]
    total = sum(known) if len(known) == len(plan.runs) else None
    store.write_json_if_changed(plan.tier_dir / "plan.json", {**plan.to_json(), "forecast_s": total})


def fit_and_score(plan: Plan, paper: str, experiment: str) -> list[dict[str, Any]]:
    """Run one experiment in this process, for tests and debugging; the rows of ``runs`` with their metrics.

    Needs neither the workflow nor a cluster: data is prepared, then every job of the experiment is fitted and scored,
    after those that it needs.
    """
    from claimbench import runner

    for dataset in plan.datasets:
        runner.prepare(plan, dataset)
    executor = runner.Runner(plan)
    rows = []

    def fit(job: Job) -> None:
        for name in job.needs:
            fit(plan.jobs[name])
        executor.fit(job)

    for job in plan.jobs_of(paper):
        if any(run.cell.experiment == experiment for run in job.runs):
            fit(job)
            executor.score(job)
            for run in job.runs:
                fitted = executor.store.fit_record(paper, run.fit_key) or {}
                score = executor.store.score_record(paper, run.fit_key, run.cell.score_code) or {}
                rows.append(
                    {
                        "method": run.cell.method,
                        "dataset": run.cell.dataset,
                        "setting": run.cell.setting,
                        "seed": run.seed,
                        "status": score.get("status") or fitted.get("status"),
                        "reason": score.get("reason") or fitted.get("reason"),
                        "metrics": score.get("metrics", {}),
                    }
                )
    return rows
