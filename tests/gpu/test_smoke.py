"""The smoke tier of all papers on a GPU, with nothing but torch and the package: neither Snakemake nor MLflow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from claimbench.execute import gpus, meters
from claimbench.plan.plan import Plan, make_plan
from claimbench.spec.config import load_config

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is visible")
BARE = "import sys; sys.modules['snakemake'] = sys.modules['mlflow'] = None; from claimbench.commands.main import main; main()"


def claimbench(*arguments: str, cwd: Path) -> None:
    done = subprocess.run([sys.executable, "-c", BARE, *arguments], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def run_jobs(device: str, tmp_path: Path, most: int | None) -> tuple[Plan, list[dict[str, Any]]]:
    settings = {"tier": "smoke", "device": device, "results_dir": str(tmp_path / "results"), "data_dir": "data"}
    plan = make_plan(load_config(None, settings))
    flags = [f"--set={name}={value}" for name, value in settings.items()]
    jobs = [job for slug in plan.papers for job in list(plan.jobs_of(slug))[:most]]
    for dataset in {name for job in jobs for name in job.datasets}:
        claimbench(*flags, "prepare", "--dataset", dataset, cwd=tmp_path)
    for job in jobs:
        claimbench(*flags, "fit", "--job", job.id, cwd=tmp_path)
        claimbench(*flags, "score", "--job", job.id, cwd=tmp_path)
    records = [json.loads(path.read_text()) for path in (tmp_path / "results" / "store").rglob("fit.json")]
    assert {(record["status"], record["reason"]) for record in records} == {("done", "")}
    return plan, records


def test_jobs_need_neither_snakemake_nor_mlflow(tmp_path: Path) -> None:
    run_jobs("cpu", tmp_path, 1)


@pytest.mark.gpu
@needs_gpu
def test_smoke_tier_of_all_papers(tmp_path: Path) -> None:
    plan, records = run_jobs("cuda", tmp_path, None)
    assert len(records) == len({run.fit_key for run in plan.runs})
    assert {record["device"] for record in records} == {"cuda:0"}
    assert max(record["gpu_s"] for record in records) > 0
    assert max(record["peak_gpu_mb"] for record in records) > 1


@pytest.mark.gpu
@needs_gpu
def test_energy_is_counted() -> None:
    read = gpus.energy_reader("cuda:0")
    if read is None:
        pytest.skip("this GPU's driver counts no energy")
    meter = meters.Meter("cuda:0")
    a = torch.randn(4096, 4096, device="cuda:0")
    for _ in range(200):
        a = (a @ a) / 64
    measured = meter.stop()
    assert measured["gpu_j"] > 0


@pytest.mark.gpu
@needs_gpu
def test_tf32_rounds() -> None:
    a = torch.randn(512, 512, generator=torch.Generator().manual_seed(0)).cuda()
    exact = a.double() @ a.double()
    with gpus.arithmetic("cuda:0", "float32"):
        strict = float(((a @ a) - exact).abs().max())
    with gpus.arithmetic("cuda:0", "tf32"):
        rounded = float(((a @ a) - exact).abs().max())
    gpus.arithmetic("cuda:0", "float32")
    assert strict < 1e-3 < rounded or torch.cuda.get_device_capability()[0] < 8
