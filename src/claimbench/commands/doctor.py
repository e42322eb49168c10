"""What this machine has, and what the pipeline costs beside the runs themselves."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from datetime import datetime
from pathlib import Path

from claimbench import files
from claimbench.errors import UserError
from claimbench.execute.machine import cores, memory_mb
from claimbench.plan.jobs import runs_alone
from claimbench.plan.plan import Plan
from claimbench.records.columns import read_rows
from claimbench.spec.config import Config


def machine(config: Config) -> int:
    """Print versions, processors, GPUs, disk and the data mirror; 1 when something that is needed is missing."""
    print(f"python    {platform.python_version()} ({sys.executable})")
    missing = 0
    for name in ("snakemake", "torch", "torch-geometric", "mlflow", "pandas", "pyarrow", "matplotlib"):
        try:
            print(f"{name:9} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            print(f"{name:9} missing")
            missing += 1
    try:
        import torch

        n = torch.cuda.device_count()
        print("gpus      " + (", ".join(torch.cuda.get_device_name(i) for i in range(n)) if n else "none visible"))
    except ImportError:
        pass
    print(f"cores     {cores()}")
    print(f"memory    {memory_mb()} MB for jobs side by side")
    place = Path(config.results_dir)
    while not place.exists():
        place = place.parent if place != place.parent else Path(".")
    print(f"disk      {shutil.disk_usage(place).free / 1e9:.0f} GB free at {place.resolve()}")
    writable = os.access(place, os.W_OK)
    if not writable:
        print(f"{place.resolve()} cannot be written to", file=sys.stderr)
    print(f"mirror    {config.mirror or 'none (set mirror in config.yaml or CLAIMBENCH_MIRROR)'}")
    return 1 if missing or not writable else 0


def overhead(plan: Plan) -> int:
    """Print the wall time of the last complete run of the tier against the pure compute of its runs.

    Pure compute is the sum of the runs' fit and score wall times divided by the cores they could use; exclusive runs
    count undivided.
    """
    timing = files.read_json(plan.tier_dir / "timing.json")
    path = plan.tier_dir / "runs.parquet"
    if timing is None or not path.is_file():
        raise UserError(f"{plan.tier_dir}: no complete run of this tier from start to end yet")
    shared = alone = 0.0
    for row in read_rows(path, "runs"):
        exclusive = runs_alone(plan.papers[row["paper"]], row["experiment"], plan.config.tier)
        if row["started_utc"] and datetime.fromisoformat(row["started_utc"]).timestamp() >= timing["started"]:
            alone += (row["wall_s"] or 0.0) if exclusive else 0.0
            shared += 0.0 if exclusive else row["wall_s"] or 0.0
    pure = shared / timing["cores"] + alone
    print(
        f"wall {timing['wall_s']:.1f} s on {timing['cores']} cores; the runs themselves {shared + alone:.1f} s, "
        f"{pure:.1f} s when spread over the cores"
    )
    if pure > 0:
        print(f"overhead {timing['wall_s'] / pure:.3f}")
    return 0


def budget(plan: Plan) -> int:
    """Print what each paper of the tier took in its last run, by experiment; 1 when one is over the laptop budget."""
    from claimbench.records import processes

    timing, path = processes.last_run(plan.tier_dir), plan.tier_dir / "runs.parquet"
    spent = processes.by_paper(plan.tier_dir)
    if not timing or not path.is_file():
        raise UserError(f"{plan.tier_dir}: no complete run of this tier from start to end yet")
    runs: dict[tuple[str, str], float] = {}
    for row in read_rows(path, "runs"):
        if row["started_utc"] and datetime.fromisoformat(row["started_utc"]).timestamp() >= timing["started"]:
            cell = (row["paper"], row["experiment"])
            runs[cell] = runs.get(cell, 0.0) + (row["cpu_s"] or 0.0)
    over = []
    print("CPU-seconds of the last run, by paper and experiment")
    for paper in plan.papers:
        total = sum(spent.get(paper, {}).values())
        if not total:
            print(f"{paper:40} {'not run':>8}")
            continue
        beyond = plan.config.tier == "laptop" and total > processes.BUDGET_CPU_S
        print(f"{paper:40} {total:8.1f}" + (f"  over the {processes.BUDGET_CPU_S:g} of a paper" if beyond else ""))
        over += [paper] if beyond else []
        own = {experiment: seconds for (slug, experiment), seconds in runs.items() if slug == paper}
        for experiment, seconds in sorted(own.items(), key=lambda item: -item[1]):
            print(f"    {experiment:36} {seconds:8.1f}")
        print(f"    {'imports, data, tables, figures':36} {total - sum(own.values()):8.1f}")
    everything = sum(sum(steps.values()) for steps in spent.values()) + timing["snakemake_cpu_s"]
    for step, seconds in sorted(spent.get("", {}).items()):
        print(f"{step:40} {seconds:8.1f}")
    share = 100 * timing["snakemake_cpu_s"] / everything
    print(f"{'snakemake itself':40} {timing['snakemake_cpu_s']:8.1f}  {share:.1f} % of {everything:.1f}")
    return 1 if over else 0
