"""The verdicts of one paper, from its tables."""

from __future__ import annotations

from typing import Any

from claimbench.plan.plan import Plan
from claimbench.records.columns import write_table


def judge_paper(plan: Plan, paper: str) -> list[dict[str, Any]]:
    """Verdicts of a paper's claims, and what they would be at other margins."""
    import pandas as pd

    from claimbench.judge.verdicts import judge, judge_margins
    from claimbench.spec.claims import load_claims

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
    verdicts = judge(**given)
    write_table(folder / "verdicts.parquet", "verdicts", [{**row, "paper": paper} for row in verdicts])
    margins = judge_margins(**given)
    write_table(folder / "margins.parquet", "margins", [{**row, "paper": paper} for row in margins])
    return verdicts
