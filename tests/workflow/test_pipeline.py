"""The whole workflow on a small paper: what runs, what reruns, what survives."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from claimbench.records.columns import TIMING_COLUMNS
from tests.conftest import EXPERIMENTS, PAPER, PARTS, PaperFolder

ROOT = Path(__file__).parents[2]


def command(paper: PaperFolder, *arguments: str, cores: int = 2, **changes: Any) -> list[str]:
    changes = {"tracking": {"enabled": False}, **changes}
    return [
        sys.executable,
        "-m",
        "snakemake",
        "-s",
        str(ROOT / "Snakefile"),
        "--cores",
        str(cores),
        "--configfile",
        str(paper.config_file(**changes)),
        *arguments,
    ]


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "CI": "1"}


def snakemake(paper: PaperFolder, *arguments: str, **changes: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(paper, *arguments, **changes),
        cwd=paper.root,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=300,
    )


def fits(paper: PaperFolder) -> dict[str, int]:
    """Fit record -> time stamp."""
    return {str(p): p.stat().st_mtime_ns for p in (paper.root / "results" / "store").rglob("fit.json")}


def tables(paper: PaperFolder) -> dict[str, Any]:
    return tables_of(paper.root / "results" / "smoke")


def tables_of(folder: Path) -> dict[str, Any]:
    """Every Parquet file of a tier, byte for byte, timings apart."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*.parquet")):
        if path.name in ("runs.parquet", "costs.parquet"):
            frame = pd.read_parquet(path)
            found[str(path.relative_to(folder))] = frame[[c for c in frame if c not in TIMING_COLUMNS]].to_csv()
        else:
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def test_first_second_and_changed_runs(paper: PaperFolder) -> None:
    done = snakemake(paper)
    assert done.returncode == 0, done.stderr[-3000:]
    for name in ("verdicts.parquet", "report/index.html", "papers/toy-paper/tables/location.md", "complete"):
        assert (paper.root / "results" / "smoke" / name).exists(), name
    first = fits(paper)
    assert len(first) == 10

    again = snakemake(paper)
    assert again.returncode == 0
    assert "Nothing to be done" in again.stderr
    assert fits(paper) == first

    made = snakemake(paper, "--report", "snakemake.html")
    assert made.returncode == 0, made.stderr[-3000:]
    page = (paper.root / "snakemake.html").read_text()
    for word in ("Summary", "toy-paper", "A table of the paper, regenerated", "location"):
        assert word in page, word

    # a comment reruns nothing
    paper.write(parts=PARTS.replace("# the median", "# the middle value"))
    commented = snakemake(paper)
    assert fits(paper) == first
    assert "Nothing to be done" in commented.stderr

    # a constant reruns exactly the cells that see it
    paper.write(parts=PARTS.replace("QUANTILE = 0.5", "QUANTILE = 0.51"))
    assert snakemake(paper).returncode == 0
    second = fits(paper)
    new = [json.loads(Path(p).read_text(encoding="utf-8")) for p in set(second) - set(first)]
    assert {(r["experiment"], r["method"]) for r in new} == {("location", "median")}
    assert len(new) == 4
    assert {p: second[p] for p in first} == first

    # more seeds run only the new seeds
    assert snakemake(paper, seeds=3).returncode == 0
    third = fits(paper)
    assert {json.loads(Path(p).read_text(encoding="utf-8"))["seed"] for p in set(third) - set(second)} == {2}
    assert {p: third[p] for p in second} == second
    assert len(pd.read_parquet(paper.root / "results" / "smoke" / "runs.parquet")) == 15


def test_a_failed_run_is_a_row_and_an_exit_code(paper: PaperFolder) -> None:
    paper.write(
        experiments=EXPERIMENTS.replace(
            '    run.curve("estimate"',
            '    if run.seed == 1:\n        raise ValueError("no luck")\n    run.curve("estimate"',
        )
    )
    done = snakemake(paper)
    assert done.returncode == 1
    runs = pd.read_parquet(paper.root / "results" / "smoke" / "runs.parquet")
    assert sorted(runs[runs.status == "failed"].reason) == ["ValueError: no luck"] * 2
    assert len(runs) == 10
    assert (paper.root / "results" / "smoke" / "report" / "index.html").exists()
    assert "2 runs failed" in done.stdout + done.stderr
    assert not (paper.root / "results" / "smoke" / "complete").exists()

    # mended, only the failed runs and what changed are run
    paper.write()
    subprocess.run(
        [sys.executable, "-m", "claimbench", "--config", str(paper.config_file()), "retry"], check=True, cwd=paper.root
    )
    mended = snakemake(paper)
    assert mended.returncode == 0, mended.stderr[-2000:]


def test_every_bundling_gives_the_same_tables(paper: PaperFolder) -> None:
    results = []
    for bundle in ("paper", "run"):
        assert snakemake(paper, bundle=bundle, results_dir=str(paper.root / "results")).returncode == 0
        results.append(tables(paper))
        (paper.root / "results").rename(paper.root / f"results-{bundle}")
    assert results[0] == results[1]


def test_bad_configuration_stops_with_one_sentence(paper: PaperFolder) -> None:
    done = snakemake(paper, "-n", bundle="jobs")
    assert done.returncode != 0
    assert "bundle is 'jobs'" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_kill_nine_at_random_moments(paper: PaperFolder) -> None:
    """The process group is killed ten times; the tables end as if nothing had happened."""
    changed = copy.deepcopy(PAPER)
    changed["experiments"]["location"]["tiers"]["smoke"]["seeds"] = 10
    changed["experiments"]["student"]["tiers"]["smoke"]["seeds"] = 10
    slow = EXPERIMENTS.replace("x = parts.sample(run)", "x = parts.sample(run); __import__('time').sleep(0.25)")
    paper.write(changed, slow)
    calm = PaperFolder(paper.root / "calm")
    calm.write(changed, slow)
    assert snakemake(calm).returncode == 0

    draw = random.Random(7)
    kills = 0
    while kills < 10:
        process = subprocess.Popen(
            command(paper),
            cwd=paper.root,
            env=environment(),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(draw.uniform(1.0, 7.0))
            # Through before its moment came: everything after the records is to be made again, and killed there.
            shutil.rmtree(paper.root / "results" / "smoke")
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        time.sleep(0.05)
    last = snakemake(paper)
    assert last.returncode == 0, last.stderr[-3000:]
    assert tables(paper) == tables(calm)
