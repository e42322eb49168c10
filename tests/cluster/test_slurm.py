"""``snakemake --profile slurm`` on a real controller."""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from claimbench.plan.plan import make_plan
from claimbench.spec.config import load_config
from tests.conftest import EXPERIMENTS, PAPER, PaperFolder
from tests.workflow.test_pipeline import environment, tables_of

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("cluster")]
ROOT = Path(__file__).parents[2]


def checkout(folder: Path) -> Path:
    """What a user has at the root of a clone, as far as a run reads it."""
    folder.mkdir(parents=True)
    for name in ("Snakefile", "config.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for name in ("workflow", "profiles", "envs"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "slurm").symlink_to("profiles/slurm")
    return folder


def snakemake(folder: Path, *arguments: str, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=seconds,
    )
    return done


#: noticed sooner than on a busy cluster
SOON = ("--slurm-init-seconds-before-status-checks", "3")


def toy(tmp_path: Path, **changes: Any) -> tuple[PaperFolder, list[str]]:
    """The toy paper in a checkout, and the arguments that point Snakemake at it."""
    paper = PaperFolder(checkout(tmp_path / "clone"))
    config = paper.config_file(tracking={"enabled": False}, **changes)
    return paper, ["--configfile", str(config)]


def untimed(papers: list[str]) -> str:
    """All experiments but those that measure times, as a setting: two runs of those never agree."""
    plan = make_plan(load_config(None, {"tier": "smoke", "papers": papers}))
    kept = {
        slug: [name for name, experiment in spec.experiments.items() if not experiment.exclusive]
        for slug, spec in plan.papers.items()
    }
    return f"experiments={json.dumps(kept)}"


def test_smoke_tier_gives_the_tables_of_a_local_run(tmp_path: Path) -> None:
    here, there = checkout(tmp_path / "local"), checkout(tmp_path / "cluster")
    papers = ["exact-permutations", "forward-gnn", "s-kan"]  # Slurm does not know one paper from another
    config = ("--config", "tier=smoke", "tracking={enabled: false}", f"papers={json.dumps(papers)}", untimed(papers))
    local = snakemake(here, "--cores", "2", *config)
    assert local.returncode == 0, local.stderr[-3000:]
    slurm = snakemake(there, "--profile", "slurm", *SOON, *config)
    assert slurm.returncode == 0, slurm.stderr[-3000:]
    assert "slurm" in slurm.stderr.lower()
    assert tables_of(there / "results" / "smoke") == tables_of(here / "results" / "smoke")
    hosts = pd.read_parquet(there / "results" / "smoke" / "runs.parquet")
    # without a mirror some datasets cannot be had, the same ones here and there
    assert set(hosts["status"]) <= ({"done"} if os.environ.get("CLAIMBENCH_MIRROR") else {"done", "skipped"})


def test_jobs_on_one_node_get_distinct_gpus(tmp_path: Path) -> None:
    seen = (
        'run.metric("train/gpu", float(__import__("os").environ["CUDA_VISIBLE_DEVICES"])); __import__("time").sleep(4)'
    )
    paper, arguments = toy(tmp_path, bundle="run", experiments={"toy-paper": ["location"]})
    changed = copy.deepcopy(PAPER)
    changed["resources"] = {"gpu": 1, "mem_mb": 1200}
    changed["experiments"]["location"]["tiers"]["smoke"]["grid"] = [
        {"method": ["mean", "median"], "setting": {"k": [1]}}
    ]
    paper.write(changed, EXPERIMENTS.replace("x = parts.sample(run)", f"x = parts.sample(run); {seen}"))
    done = snakemake(paper.root, "--profile", "slurm", *SOON, *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    metrics = pd.read_parquet(paper.root / "results" / "smoke" / "metrics.parquet")
    given = metrics[metrics["metric"] == "gpu"]["value"]
    assert len(given) == 4
    assert given.nunique() == 4, sorted(given)


def test_more_memory_after_a_kill_for_memory(tmp_path: Path) -> None:
    paper, arguments = toy(tmp_path, bundle="paper")
    hold = "_ = b'x' * 1_400_000_000; __import__('time').sleep(8)"
    changed = copy.deepcopy(PAPER)
    changed["resources"] = {"mem_mb": 1200}
    changed["experiments"]["location"]["tiers"]["smoke"]["seeds"] = 1
    changed["experiments"]["student"]["tiers"]["smoke"]["seeds"] = 1
    paper.write(changed, EXPERIMENTS.replace("x = parts.sample(run)", f"x = parts.sample(run); {hold}", 1))
    done = snakemake(paper.root, "--profile", "slurm", *SOON, *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Trying to restart" in done.stderr
    assert set(pd.read_parquet(paper.root / "results" / "smoke" / "runs.parquet")["status"]) == {"done"}


@pytest.mark.skipif(not os.environ.get("CLAIMBENCH_DRILL"), reason="takes five minutes; part of make drill")
def test_more_time_after_a_timeout(tmp_path: Path) -> None:
    """Two minutes are not enough for the first attempt; the second has more, and what was done is not run again."""
    paper, arguments = toy(tmp_path, experiments={"toy-paper": ["location"]})
    marker = tmp_path / "second"
    wait = f"m = __import__('pathlib').Path({str(marker)!r}); t = 0 if m.exists() else 600; m.touch(); __import__('time').sleep(t)"
    hang = f"if run.seed == 1:\n        {wait}\n    x = parts.sample(run)"
    changed = copy.deepcopy(PAPER)
    changed["resources"] = {"runtime_min": 1, "mem_mb": 1200}
    paper.write(changed, EXPERIMENTS.replace("x = parts.sample(run)", hang, 1))
    done = snakemake(paper.root, "--profile", "slurm", *SOON, *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Trying to restart" in done.stderr
    assert set(pd.read_parquet(paper.root / "results" / "smoke" / "runs.parquet")["status"]) == {"done"}


def the_job() -> str:
    """Slurm's number of the one job that runs."""
    told = subprocess.run(["squeue", "-h", "-t", "R", "-o", "%i"], capture_output=True, text=True, check=True)
    return told.stdout.split()[0]


def requeued(cluster: Path) -> None:
    """As preemption ends."""
    subprocess.run(["scontrol", "requeue", the_job()], check=True)


def cancelled(cluster: Path) -> None:
    subprocess.run(["scancel", the_job()], check=True)


def without_its_daemon(cluster: Path) -> None:
    """kill -9 of the node's daemon, which is started again; the job itself may live."""
    os.kill(int((cluster / "slurmd.pid").read_text()), signal.SIGKILL)
    time.sleep(2)
    with open(cluster / "start.log", "a", encoding="utf-8") as log:
        path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        subprocess.run(["slurmd"], check=True, stdout=log, stderr=log, env={**os.environ, "PATH": path})


@pytest.mark.parametrize("fault", [requeued, cancelled, without_its_daemon])
def test_a_disturbed_job_goes_on(tmp_path: Path, cluster: Path, fault: Callable[[Path], None]) -> None:
    """The job starts again, or goes on, and finds its finished runs in the store."""
    paper, arguments = toy(tmp_path, bundle="paper")
    slow = EXPERIMENTS.replace("x = parts.sample(run)", "x = parts.sample(run); __import__('time').sleep(1.5)")
    paper.write(PAPER, slow)
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--profile", "slurm", *SOON, *arguments],
        cwd=paper.root,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    store = paper.root / "results" / "store"

    def fits() -> list[Path]:
        return list(store.rglob("fit.json"))

    from tests.browser.test_pages import wait

    try:
        wait(lambda: len(fits()) >= 3, 90)
        before = {path: path.stat().st_mtime_ns for path in fits()}
        fault(cluster)
        _, errors = process.communicate(timeout=400)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode == 0, errors[-3000:]
    assert len(fits()) == 10
    assert {path: path.stat().st_mtime_ns for path in before} == before
    statuses = [json.loads(path.read_text())["status"] for path in fits()]
    assert set(statuses) == {"done"}


def test_what_goes_on_beside_queued_jobs_changes_nothing(tmp_path: Path) -> None:
    """A dry run with other settings, an edited config.yaml, a second Snakemake and a second clone."""
    many = copy.deepcopy(PAPER)
    many["resources"] = {"mem_mb": 600}
    many["experiments"]["location"]["tiers"]["smoke"]["seeds"] = 5
    local, settings = toy(tmp_path / "local")
    local.write(many)
    alone = snakemake(local.root, "--cores", "2", *settings)
    assert alone.returncode == 0, alone.stderr[-3000:]

    paper, settings = toy(tmp_path / "cluster", bundle="run")
    paper.write(many)
    config = Path(settings[1])
    run = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--profile", "slurm", *SOON, *settings],
        cwd=paper.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
    )
    try:
        deadline = time.time() + 120
        while len(queued()) < 10:
            assert time.time() < deadline
            assert run.poll() is None, run.communicate()[0][-3000:]
            time.sleep(0.2)
        other = "overrides={toy-paper: {location: {hyper: {shift: 9}}}}"
        assert snakemake(paper.root, "-n", *settings, "--config", other).returncode == 0
        assert snakemake(paper.root, "--cores", "1", *settings, "--config", other).returncode == 1
        clone, theirs = toy(tmp_path / "clone", results_dir=str(paper.root / "results"))
        changed = copy.deepcopy(many)
        changed["hyper"]["shift"] = 9
        clone.write(changed)
        refused = snakemake(clone.root, "--cores", "1", *theirs)
        assert refused.returncode == 1
        assert "another run works here" in refused.stderr
        written = json.loads(config.read_text(encoding="utf-8"))
        config.write_text(json.dumps({**written, "seeds": 1}), encoding="utf-8")
        said, _ = run.communicate(timeout=600)
        assert run.returncode == 0, said[-3000:]
    finally:
        if run.poll() is None:
            run.kill()
    assert tables_of(paper.root / "results" / "smoke") == tables_of(local.root / "results" / "smoke")


def queued() -> list[str]:
    """Slurm's numbers of what waits or runs."""
    told = subprocess.run(["squeue", "-h", "-o", "%i"], capture_output=True, text=True, check=True)
    return told.stdout.split()
