"""The verdicts of one paper, from its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from claimbench.errors import UserError
from claimbench.plan.plan import Plan
from claimbench.records.columns import write_table
from claimbench.spec.claims import load_claims

if TYPE_CHECKING:
    import pandas as pd


def results(plan: Plan, paper: str) -> pd.DataFrame | None:
    """The values of a paper's runs, a row each with the run's identity and status; None before they were collected."""
    import pandas as pd

    folder = plan.tier_dir / "papers" / paper
    if not all((folder / f"{name}.parquet").is_file() for name in ("runs", "metrics")):
        return None
    runs = pd.read_parquet(folder / "runs.parquet")
    columns = ["run_key", "paper", "experiment", "method", "dataset", "setting", "seed", "status", "reason"]
    return runs[columns].merge(pd.read_parquet(folder / "metrics.parquet"), on="run_key", how="left")


def judge_paper(plan: Plan, paper: str) -> list[dict[str, Any]]:
    """Verdicts of a paper's claims, and what they would be at other margins.

    Raises:
        UserError: its runs were not collected.
    """
    import pandas as pd

    from claimbench.judge.robustness import robustness
    from claimbench.judge.verdicts import MULTIPLIERS, answered, asked

    folder = plan.tier_dir / "papers" / paper
    frame = results(plan, paper)
    if frame is None:
        raise UserError(f"{folder}: there are no tables of runs; run `claimbench collect --paper {paper}` first")
    spec = plan.papers[paper]
    given = {
        "claims": load_claims(plan.folders[paper] / "claims.yaml"),
        "frame": frame,
        "published": pd.read_parquet(folder / "published.parquet"),
        "curves": pd.read_parquet(folder / "curves.parquet"),
        "tier": plan.config.tier,
        "tier_evidence": dict(spec.tier_evidence),
        "experiments": {
            name: e.model_dump(include={"scale", "unit", "digits", "floor"}) for name, e in spec.experiments.items()
        },
    }
    rows, questions = asked(**given)
    at = answered(rows, questions, MULTIPLIERS)
    robust = robustness(questions)
    verdicts = [{**row, **robust.get(row["claim_id"], {})} for row in at[1.0]]
    write_table(folder / "verdicts.parquet", "verdicts", [{**row, "paper": paper} for row in verdicts])
    margins = [
        {"claim_id": row["claim_id"], "paper": paper, "multiplier": multiplier, "verdict": row["verdict"]}
        for multiplier, rows in at.items()
        for row in rows
    ]
    write_table(folder / "margins.parquet", "margins", margins)
    return verdicts
