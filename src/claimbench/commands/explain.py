"""Lineage: the runs behind a number or a verdict, their configuration by layer, digests, logs and the command."""

from __future__ import annotations

import math
from pathlib import Path

from claimbench.errors import UserError, nearest
from claimbench.plan.cells import PlannedRun
from claimbench.plan.jobs import Job
from claimbench.plan.plan import Plan
from claimbench.records import store
from claimbench.records.columns import read_rows
from claimbench.spec.claims import Claim, Testable, Untested, load_claims

_SHOWN = 12


def explain(plan: Plan, what: str) -> str:
    """Text about a claim, about cells or about a run.

    Args:
        what: ``paper/claim``, ``paper/experiment/method/dataset/setting`` (any prefix), or a run key (any prefix).

    Raises:
        UserError: nothing of that name.
    """
    paper, _, rest = what.partition("/")
    if paper not in plan.papers:
        runs = [
            run for run in plan.runs if len(what) >= 6 and what in (run.run_key[: len(what)], run.fit_key[: len(what)])
        ]
        if not runs:
            raise UserError(
                f"explain {what}: neither a paper nor the key of a run of tier {plan.config.tier} "
                f"({nearest(paper, plan.papers)})"
            )
        return "\n".join(_run(plan, run) for run in runs)
    claims = {claim.id: claim for claim in load_claims(plan.folders[paper] / "claims.yaml")}
    if rest in claims:
        return _claim(plan, paper, claims[rest])
    experiment, *parts = rest.split("/") if rest else [""]
    if experiment not in plan.papers[paper].experiments:
        raise UserError(
            f"explain {what}: {paper} has no claim or experiment {rest or '(none given)'!r} "
            f"({nearest(rest, [*claims, *plan.papers[paper].experiments])})"
        )
    wanted = dict(zip(("method", "dataset", "setting_string"), parts, strict=False))
    runs = [
        run
        for run in plan.runs
        if run.cell.paper == paper
        and run.cell.experiment == experiment
        and all(getattr(run.cell, name) == value for name, value in wanted.items())
    ]
    if not runs:
        options = {getattr(r.cell, name) for r in plan.runs if r.cell.experiment == experiment for name in wanted}
        raise UserError(f"explain {what}: no such cell in tier {plan.config.tier} ({nearest(parts[-1], options)})")
    return _many(plan, runs)


def _claim(plan: Plan, paper: str, claim: Claim) -> str:
    lines = [f"{paper} {claim.id}: {claim.text}", f"  source {claim.source or 'not given'}; kind {claim.kind}"]
    path = plan.tier_dir / "papers" / paper / "verdicts.parquet"
    if path.is_file():
        for row in read_rows(path, "verdicts"):
            if row["claim_id"] == claim.id:
                lines.append(
                    f"  verdict {row['verdict']} ({row['evidence'] or 'no evidence'}); test {row['test'] or 'none'}"
                )
                for name in ("measured", "published", "effect", "margin", "margin_reason", "p_adj", "reason", "note"):
                    if row[name] not in (None, ""):
                        lines.append(f"  {name.replace('_', ' ')} {row[name]}")
    else:
        lines.append(f"  not judged yet in tier {plan.config.tier}")
    if not isinstance(claim, Untested):
        lines.append(_many(plan, _runs_of(plan, paper, claim)))
    return "\n".join(lines)


def _runs_of(plan: Plan, paper: str, claim: Testable) -> list[PlannedRun]:
    """The runs on which a claim's verdict rests; those that it selects, while there is no result."""
    import pandas as pd

    from claimbench.judge import selection
    from claimbench.judge.paper import results

    if claim.tiers is not None and plan.config.tier not in claim.tiers:
        return []
    planned = {
        (run.cell.experiment, run.cell.method, run.cell.dataset, run.cell.setting_string, run.seed): run
        for run in plan.runs
        if run.cell.paper == paper
    }
    columns = ["experiment", "method", "dataset", "setting", "seed"]
    frame = results(plan, paper)
    if frame is None:
        frame = pd.DataFrame(list(planned), columns=columns).assign(
            status="", reason="", split="", metric="", value=math.nan
        )
    chosen = selection.sides(claim, selection.parsed(frame))
    parts = chosen
    if not any(part.empty for part in chosen):
        complete = selection.basis(claim, chosen).rows
        parts = chosen if any(part.empty for part in complete) else complete
    wanted = {tuple(row) for part in parts for row in part[columns].itertuples(index=False)}
    return [run for key, run in planned.items() if key in wanted]


def _many(plan: Plan, runs: list[PlannedRun]) -> str:
    text = [f"  {len(runs)} runs of tier {plan.config.tier}"]
    text += [_run(plan, run) for run in runs[:_SHOWN]]
    if len(runs) > _SHOWN:
        text.append(f"  ... and {len(runs) - _SHOWN} more; name the method, dataset or setting to see fewer")
    return "\n".join(text)


def _run(plan: Plan, run: PlannedRun) -> str:
    cell = run.cell
    records = store.Store(Path(plan.config.results_dir) / "store")
    fit = records.fit_record(cell.paper, run.fit_key)
    score = records.score_record(cell.paper, run.fit_key, cell.score_code) if fit else None
    job = _job(plan, run)
    what = " ".join(filter(None, (cell.experiment, cell.method, cell.dataset, cell.setting_string)))
    lines = [f"run {run.run_key[:12]}  {what} seed {run.seed}"]
    if fit is None:
        lines.append("  not run yet")
    else:
        lines.append(
            f"  {fit['status']}{': ' + fit['reason'] if fit['reason'] else ''}; {fit['started_utc']}, "
            f"{fit['wall_s']:.2f} s on {fit['device_name']} ({fit['host']}), "
            f"commit {str(fit['git_commit'])[:12]}{' with changes' if fit['git_dirty'] else ''}"
        )
        for name, value in sorted({**fit["metrics"], **(score or {}).get("metrics", {})}.items()):
            lines.append(f"  {name} = {value:.6g}")
    lines.append(f"  record  {records.folder(cell.paper, run.fit_key)}")
    lines.append(f"  code    fit {cell.fit_code[:12]}, score {cell.score_code[:12]}; data {cell.data[:12]}")
    lines.append(
        "  hyper   "
        + "; ".join(
            f"{name}={value} ({cell.layers.get(name, 'inside a mapping')})"
            for name, value in sorted(cell.hyper.items())
        )
    )
    flags = f"--tier {cell.tier}"
    for name in ("bundle", "bundle_s"):  # a job's name means something only under the bundles that made it
        if (value := getattr(plan.config, name)) != type(plan.config).model_fields[name].default:
            flags += f" --set {name}={value}"
    lines.append(f"  log     {plan.tier_dir / 'logs' / (job.id + '.fit.log')}")
    lines.append(f"  command claimbench {flags} fit --job {job.id} && claimbench {flags} score --job {job.id}")
    return "\n".join(lines)


def _job(plan: Plan, run: PlannedRun) -> Job:
    return next(job for job in plan.jobs.values() if any(r.cell is run.cell and r.seed == run.seed for r in job.runs))
