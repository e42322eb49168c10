"""Jobs that run side by side fit into the memory of the control group."""

from __future__ import annotations

import copy
import json
import subprocess
from datetime import datetime

import pytest

from tests.conftest import EXPERIMENTS, PAPER, PaperFolder
from tests.environment.groups import group
from tests.workflow.test_pipeline import command, environment


@pytest.mark.parametrize(("arguments", "beside"), [((), False), (("--resources", "mem_mb=2000"), True)])
def test_jobs_wait_for_each_others_memory(paper: PaperFolder, arguments: tuple[str, ...], beside: bool) -> None:
    spec = copy.deepcopy(PAPER) | {"resources": {"mem_mb": 600}}
    spec["experiments"]["location"]["tiers"]["smoke"] = {"seeds": 1, "grid": [{"method": ["mean", "median"]}]}
    spec["experiments"]["location"]["hyper"] = {"n": 100}
    spec["experiments"].pop("student")
    code = EXPERIMENTS.replace(
        "x = parts.sample(run)", "__import__('time').sleep(3); x = 0.5 + run.rng('x').normal(size=9)"
    )
    paper.write(spec, code)
    line = command(paper, bundle="run", cores=2)
    jobs = [
        str(paper.root / "results" / "smoke" / "jobs" / f"{name}.score.json") for name in paper.plan(bundle="run").jobs
    ]
    assert len(jobs) == 2
    variables = group(paper.root / "group", 1_000_000_000)
    done = subprocess.run(
        [*line, *arguments, "--", *jobs],
        cwd=paper.root,
        env={**environment(), **variables},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    fits = [json.loads(path.read_bytes()) for path in (paper.root / "results" / "store").rglob("fit.json")]
    starts = [datetime.fromisoformat(fit["started_utc"]).timestamp() for fit in fits]
    (first, end), (second, _) = sorted((at, at + fit["wall_s"]) for at, fit in zip(starts, fits, strict=True))
    assert first <= second
    assert (second < end) == beside
