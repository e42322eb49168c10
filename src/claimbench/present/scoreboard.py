"""What a finished tier says on the terminal."""

from __future__ import annotations

import sys
from collections import Counter

from claimbench import files
from claimbench.plan.plan import Plan
from claimbench.records.columns import read_rows
from claimbench.records.untracked import failures
from claimbench.spec.words import FAILURES, VERDICTS


def check(plan: Plan) -> int:
    """Print the scoreboard and what failed; 0 when no run failed and all of them are tracked, 1 otherwise."""
    runs = read_rows(plan.tier_dir / "runs.parquet", "runs")
    others = sorted({row["paper"] for row in runs} - set(plan.papers))
    runs = [row for row in runs if row["paper"] in plan.papers]
    verdicts = read_rows(plan.tier_dir / "verdicts.parquet", "verdicts")
    width = max((len(slug) for slug in plan.papers), default=5)
    for slug in plan.papers:
        of = [row for row in verdicts if row["paper"] == slug]
        count = Counter(row["verdict"] for row in of if row["family"] != "ours")
        said = ", ".join(f"{count[word]} {word}" for word in VERDICTS if count[word])
        ours = sum(row["family"] == "ours" for row in of)
        print(f"{slug:{width}}  {said or 'no claims'}" + (f" (and {ours} findings of our own)" if ours else ""))
    if others:
        print(f"from earlier runs, not part of this one: {', '.join(others)}")
    statuses = Counter(row["status"] for row in runs)
    failed = [row for row in runs if row["status"] in FAILURES]
    print(f"{len(runs)} runs: " + ", ".join(f"{n} {status}" for status, n in sorted(statuses.items())))
    for (what, reason), n in Counter(
        (f"{row['paper']} {row['experiment']} {row['method']} {row['dataset']}: {row['status']}", row["reason"])
        for row in runs
        if row["status"] != "done"
    ).most_common(12):
        print(f"  {n} x {what}: {reason}", file=sys.stderr)
    for row in files.read_json(plan.tier_dir / "qc.json") or []:
        side = "below its floor" if row["kind"] == "floor" else "beyond its ceiling"
        cell = " ".join(filter(None, (row["paper"], row["experiment"], row["method"], row["dataset"], row["setting"])))
        print(
            f"  {side}: {cell} {row['metric']} {row['value']:.4g}, {row['control']} {row['limit']:.4g}", file=sys.stderr
        )
    if failed:
        print(
            f"{len(failed)} runs failed; the tables show the holes. `claimbench retry` forgets them.", file=sys.stderr
        )
    untracked = failures(plan)
    for reason in dict.fromkeys(untracked.values()):
        print(reason, file=sys.stderr)
    return 1 if failed or untracked else 0
