"""What computers do to a run: each fault is injected into the real workflow, seen by the user in plain words, and
followed by a run that ends in the tables of an undisturbed one.

``CLAIMBENCH_DRILL=N`` injects every fault N times, at other moments.
"""

from __future__ import annotations

import copy
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from tests.conftest import EXPERIMENTS, PAPER, PaperFolder
from tests.workflow.test_pipeline import command, environment, tables

TROUBLE = '''
import os, time


def trouble(run):
    """What TOY_FAULT names, in the runs of one seed."""
    what = os.environ.get("TOY_FAULT", "") if run.seed == 1 else ""
    if what == "raise":
        raise ValueError("no luck")
    if what == "nan":
        run.finite(float("nan"))
    if what == "memory":
        held = b"x" * 1_200_000_000
        time.sleep(5)
    if what == "hang":
        time.sleep(60)
    if what == "killed":
        os.kill(os.getpid(), 9)
    time.sleep(0.1)


'''


class World:
    """The toy paper in a folder, and ways to run it."""

    #: beside the environment of the tests
    variables: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, root: Path, draw: random.Random) -> None:
        changed = copy.deepcopy(PAPER)
        changed["experiments"]["location"]["budget"] = {"wall_s": 3, "mem_mb": 800}
        self.paper = PaperFolder(root)
        self.paper.write(
            changed,
            EXPERIMENTS.replace("from . import parts", f"from . import parts\n{TROUBLE}").replace(
                "x = parts.sample(run)", "trouble(run); x = parts.sample(run)"
            ),
        )
        self.root, self.tier, self.draw = root, root / "results" / "smoke", draw

    def start(self, fault: str = "") -> subprocess.Popen[str]:
        return subprocess.Popen(
            command(self.paper),
            cwd=self.root,
            env={**environment(), **self.variables, "TOY_FAULT": fault},
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, fault: str = "") -> tuple[int, str]:
        process = self.start(fault)
        output, _ = process.communicate(timeout=200)
        return process.returncode, output

    def worker(self, process: subprocess.Popen[str]) -> psutil.Process:
        """The process that fits, once there is one."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for child in psutil.Process(process.pid).children(recursive=True):
                try:
                    line = child.cmdline()
                except psutil.Error:
                    continue
                if "--job" in line and line[0].endswith(Path(sys.executable).name):
                    return child
            time.sleep(0.02)
        raise AssertionError("no fit was seen")

    def retry(self) -> None:
        line = [sys.executable, "-m", "claimbench", "--config", str(self.paper.config_file()), "retry"]
        subprocess.run(line, cwd=self.root, check=True, capture_output=True)

    def reasons(self) -> set[tuple[str, str]]:
        runs = pd.read_parquet(self.tier / "runs.parquet")
        bad = runs[runs["status"] != "done"]
        return set(zip(bad["status"], bad["reason"], strict=True))


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[None]:
    """A file system of its own at ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


# --- processes ------------------------------------------------------------------------------------------------------


def killed_worker(world: World) -> str:
    process = world.start()
    worker = world.worker(process)
    time.sleep(world.draw.uniform(0, 0.5))
    if worker.is_running():
        worker.send_signal(signal.SIGKILL)
    return process.communicate(timeout=100)[0]


def killed_by_the_kernel(world: World) -> str:
    status, output = world.run("killed")
    assert status != 0
    return output


def signalled(which: signal.Signals, group: bool) -> Callable[[World], str]:
    def inject(world: World) -> str:
        process = world.start()
        world.worker(process)
        time.sleep(world.draw.uniform(0, 1.0))
        if group:
            os.killpg(process.pid, which)
        else:
            process.send_signal(which)
        output = process.communicate(timeout=100)[0]
        deadline = time.monotonic() + 20  # what was left behind ends by itself
        while (
            time.monotonic() < deadline
            and subprocess.run(["pgrep", "-g", str(process.pid)], capture_output=True).stdout
        ):
            time.sleep(0.1)
        return output

    return inject


def two_at_once(world: World) -> str:
    first = world.start()
    world.worker(first)
    _, output = world.run()
    assert first.wait(100) == 0, first.stdout and first.stdout.read()
    first.communicate()
    return output


def stale_lock(world: World) -> str:
    locks = world.root / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").write_text("results/smoke/complete\n")
    (locks / "0.output.lock").write_text("results/smoke/complete\n")
    return world.run()[1]


# --- methods --------------------------------------------------------------------------------------------------------


def misbehaving(fault: str, status: str) -> Callable[[World], str]:
    def inject(world: World) -> str:
        code, output = world.run(fault)
        assert code == 1
        reasons = world.reasons()
        # a run that needs the artifact of a failed one fails too
        assert {found for found, why in reasons if not why.startswith("needs ")} == {status}
        world.retry()
        return output + "".join(why for _, why in reasons)

    return inject


# --- files ----------------------------------------------------------------------------------------------------------


def finished(world: World) -> None:
    code, output = world.run()
    assert code == 0, output[-3000:]


def truncated_records(world: World) -> str:
    finished(world)
    for path in (world.root / "results" / "store").rglob("fit.json"):
        path.write_bytes(path.read_bytes()[: world.draw.randrange(1, 50)])
    shutil.rmtree(world.tier)
    return ""


def spoiled_artifacts(world: World) -> str:
    finished(world)
    for path in (world.root / "results" / "store").rglob("*.safetensors"):
        path.write_bytes(bytes(world.draw.randrange(256) for _ in path.read_bytes()))
    for path in (world.root / "results" / "store").rglob("score-*.json"):
        path.unlink()
    shutil.rmtree(world.tier)
    return ""


def truncated_manifests(world: World) -> str:
    finished(world)
    for path in (world.tier / "jobs").glob("*.json"):
        path.write_text('{"job": ')
    return world.run()[1]


def truncated_table(name: str) -> Callable[[World], str]:
    def inject(world: World) -> str:
        finished(world)
        path = world.tier / "papers" / "toy-paper" / name
        path.write_bytes(path.read_bytes()[:100])
        code, output = world.run()
        assert code == 0, output
        return output

    return inject


def spoiled_side_files(world: World) -> str:
    finished(world)
    for path in (world.root / "results" / "costs.json", *(world.tier / f"{n}.json" for n in ("plan", "timing", "qc"))):
        path.write_bytes(b"\x00garbage")
    (world.tier / "complete").unlink()
    return ""


def clock(days: float) -> Callable[[World], str]:
    def inject(world: World) -> str:
        finished(world)
        when = time.time() + days * 86400
        for path in world.tier.rglob("*"):
            if world.draw.random() < 0.5:
                os.utime(path, (when, when))
        return ""

    return inject


def lost(pattern: str) -> Callable[[World], str]:
    def inject(world: World) -> str:
        finished(world)
        for path in sorted(world.tier.glob(pattern)):
            path.unlink()
        return ""

    return inject


def full_disk(world: World) -> str:
    with small_disk(world.root / "results", "size=64k"):
        code, output = world.run()
        assert code != 0
    return output


def read_only_results(world: World) -> str:
    with small_disk(world.root / "results", "size=20m"):
        subprocess.run(["mount", "-o", "remount,ro", str(world.root / "results")], check=True)
        code, output = world.run()
        assert code != 0
    return output


#: name -> (inject, what the user reads)
FAULTS: dict[str, tuple[Callable[[World], str], str]] = {
    "killed worker": (killed_worker, r"Error in rule run|report: "),
    "worker killed by the kernel": (killed_by_the_kernel, r"Error in rule run"),
    "kill -9 of snakemake": (signalled(signal.SIGKILL, False), ""),
    "kill -9 of everything": (signalled(signal.SIGKILL, True), ""),
    "interrupt": (signalled(signal.SIGINT, True), ""),
    "terminate": (signalled(signal.SIGTERM, False), ""),
    "two at once": (
        two_at_once,
        r"LockException|cannot be locked|Directory cannot be locked|incomplete|Nothing to be done",
    ),
    "stale lock": (stale_lock, r"report: "),
    "method raises": (misbehaving("raise", "failed"), r"ValueError: no luck"),
    "not a number": (misbehaving("nan", "diverged"), r"loss became nan"),
    "too much memory": (misbehaving("memory", "oom"), r"resident memory, more than the budget of 800 MB"),
    "hanging method": (misbehaving("hang", "timeout"), r"more than 3 s of wall time"),
    "truncated records": (truncated_records, ""),
    "spoiled artifacts": (spoiled_artifacts, ""),
    "truncated manifests": (truncated_manifests, ""),
    "truncated runs table": (truncated_table("runs.parquet"), ""),
    "truncated verdicts table": (truncated_table("verdicts.parquet"), ""),
    "spoiled side files": (spoiled_side_files, ""),
    "clock in the future": (clock(+2), ""),
    "clock in the past": (clock(-400), ""),
    "lost manifests": (lost("jobs/*.json"), ""),
    "lost tables": (lost("papers/*/*.parquet"), ""),
    "full disk": (full_disk, r"[Nn]o space left"),
    "read-only results": (read_only_results, r"[Rr]ead-only"),
}


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    world = World(tmp_path_factory.mktemp("calm"), random.Random(0))
    finished(world)
    return tables(world.paper)


@pytest.mark.parametrize("turn", range(int(os.environ.get("CLAIMBENCH_DRILL", "1"))))
@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, turn: int, tmp_path: Path, calm: dict[str, Any]) -> None:
    inject, seen = FAULTS[name]
    if name in ("full disk", "read-only results") and os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    world = World(tmp_path, random.Random(f"{name} {turn}"))
    output = inject(world)
    assert re.search(seen, output), output[-3000:]
    assert "Traceback" not in output, output[-3000:]
    code, last = world.run()
    assert code == 0, last[-3000:]
    assert tables(world.paper) == calm
