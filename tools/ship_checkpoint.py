"""Write a network of the paper tier's prior-fitting as a file of the package, and print its checksum to be pinned.

python tools/ship_checkpoint.py METHOD SIZE NAME        for example: mixture mini mini
"""

from __future__ import annotations

import sys
from pathlib import Path

from claimbench.papers.tabpfn import checkpoints
from claimbench.plan.plan import make_plan
from claimbench.records.store import Store
from claimbench.spec.config import load_config


def main(method: str, size: str, name: str) -> None:
    plan = make_plan(load_config(Path("config.yaml"), {"tier": "paper", "papers": ["tabpfn"]}))
    (run,) = [
        run
        for run in plan.runs
        if run.cell.experiment == "prior-fitting"
        and (run.cell.method, run.cell.setting["size"], run.seed) == (method, size, 0)
    ]
    store = Store(Path(plan.config.results_dir) / "store")
    record = store.fit_record("tabpfn", run.fit_key)
    if record is None or record["status"] != "done":
        sys.exit(f"{method} {size} is not trained; run: snakemake --cores 2 --config tier=paper 'papers=[tabpfn]'")
    kept = {
        "configuration": run.cell.hyper,
        "seed": run.seed,
        "device": record["device_name"],
        "cpu_s": round(record["cpu_s"]),
        "torch": record["torch"],
        "losses": record["curves"]["train/loss"],
    }
    path = checkpoints.FOLDER / f"{name}.safetensors"
    print(f'"{name}": "{checkpoints.write_checkpoint(path, store.artifact("tabpfn", run.fit_key), kept)}",')


if __name__ == "__main__":
    main(*sys.argv[1:])
