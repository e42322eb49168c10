"""What Slurm costs: seconds from submission to start, seconds of a job, and how long very many tiny runs take.

python benchmarks/slurm.py               # 2,000 runs in bundles, then 40 runs with a job each; needs root and Slurm

Starts the one-node cluster of tests/cluster (eight processors, whatever the machine has) and stops it again. The
profile is the one that users get; nothing is sped up.
"""

from __future__ import annotations

import datetime
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import pandas as pd
from benchmarks.planning import synthetic

ROOT = Path(__file__).parents[1]
CLUSTER = ROOT / "tests" / "cluster"


def checkout(folder: Path) -> None:
    """What Snakemake reads of a clone."""
    for name in ("Snakefile", "config.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for name in ("workflow", "profiles", "envs"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "slurm").symlink_to("profiles/slurm")


def submissions(since: datetime.datetime) -> list[tuple[float, float]]:
    """Seconds in the queue and seconds of work of every job submitted since then, as the controller knows them."""
    told = subprocess.run(["scontrol", "-o", "show", "jobs"], check=True, capture_output=True, text=True).stdout
    found = []
    for line in told.splitlines():
        stamp = {
            name: datetime.datetime.fromisoformat(value)
            for name, value in re.findall(r"\b(Submit|Start|End)Time=(\d\S+)", line)
        }
        if stamp["Submit"] >= since:
            assert "JobState=COMPLETED" in line, line
            found.append(
                ((stamp["Start"] - stamp["Submit"]).total_seconds(), (stamp["End"] - stamp["Start"]).total_seconds())
            )
    return found


def measure(label: str, shape: tuple[int, int, int], bundle: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkout(folder)
        config = synthetic(folder, *shape).config_file(bundle=bundle, tracking={"enabled": False})
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        since, start = datetime.datetime.now().replace(microsecond=0), time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--profile", "slurm", "--configfile", str(config)],
            cwd=folder, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        wall_s = time.perf_counter() - start
        if done.returncode:
            sys.exit(f"{label}: {done.stderr[-3000:]}")
        records = pd.read_parquet(folder / "results" / "smoke" / "runs.parquet")
        assert set(records["status"]) == {"done"}, records["status"].value_counts()
        runs = len(records)
        queued, worked = zip(*submissions(since), strict=True)
        print(
            f"{label}: {runs} runs in {len(queued)} submissions, {wall_s:.0f} s; "
            f"queued median {statistics.median(queued):.0f} s, at most {max(queued):.0f} s; "
            f"a job median {statistics.median(worked):.0f} s, at most {max(worked):.0f} s; "
            f"{sum(worked) / runs:.2f} job-s a run",
            flush=True,
        )


def main() -> None:
    scratch = Path(tempfile.mkdtemp())
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    try:
        with open(scratch / "start.log", "w", encoding="utf-8") as log:  # not a pipe: the daemons keep it open
            subprocess.run([CLUSTER / "start.sh", scratch], check=True, stdout=log, stderr=log)
        measure("two runs", (1, 1, 1), "experiment")
        measure("bundle experiment", (10, 20, 5), "experiment")
        measure("bundle run", (2, 2, 5), "run")
    finally:
        subprocess.run([CLUSTER / "stop.sh", scratch], check=False)
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
