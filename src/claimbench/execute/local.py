"""One experiment in this process, without the workflow."""

from __future__ import annotations

from typing import Any

from claimbench.plan.jobs import Job
from claimbench.plan.plan import Plan


def fit_and_score(plan: Plan, paper: str, experiment: str) -> list[dict[str, Any]]:
    """Run one experiment in this process, for tests and debugging; the rows of ``runs`` with their metrics.

    Needs neither the workflow nor a cluster: data is prepared, then every job of the experiment is fitted and scored,
    after those that it needs.
    """
    from claimbench.execute import preparation, runner

    executor = runner.Runner(plan)
    rows = []

    def fit(job: Job) -> None:
        for name in job.needs:
            fit(plan.jobs[name])
        for dataset in job.datasets:
            preparation.prepare(plan, dataset)
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
