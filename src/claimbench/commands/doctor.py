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
from claimbench.plan.jobs import runs_alone
from claimbench.plan.plan import Plan
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
    print(f"cores     {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()}")
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
    import pyarrow.parquet as pq

    timing = files.read_json(plan.tier_dir / "timing.json")
    path = plan.tier_dir / "runs.parquet"
    if timing is None or not path.is_file():
        raise UserError(f"{plan.tier_dir}: no complete run of this tier from start to end yet")
    shared = alone = 0.0
    for row in pq.read_table(path).to_pylist():
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
