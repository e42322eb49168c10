"""GPU slots, number formats, and what a GPU's driver counts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from claimbench.errors import UserError
from claimbench.execute import gpus
from tests.conftest import PaperFolder

HOLD = """
import sys
from pathlib import Path
from claimbench.execute import gpus
with gpus.reserved(1, Path(sys.argv[1]), ["0", "1"]) as mine:
    print(mine[0], flush=True)
    sys.stdin.read()
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("no_scheduler")
def test_processes_get_distinct_gpus_and_a_killed_one_gives_its_back(tmp_path: Path) -> None:
    first, second = hold(tmp_path), hold(tmp_path)
    assert first.stdout is not None
    assert second.stdout is not None
    names = {first.stdout.readline().strip(), second.stdout.readline().strip()}
    assert names == {"0", "1"}
    third = hold(tmp_path)
    assert third.stdout is not None
    with pytest.raises(subprocess.TimeoutExpired):
        third.wait(1.0)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    freed = third.stdout.readline().strip()
    assert freed in names
    for process in (second, third):
        process.communicate("")
        assert process.returncode == 0


@pytest.mark.usefixtures("no_scheduler")
def test_what_is_reserved_is_what_cuda_sees(tmp_path: Path) -> None:
    with gpus.reserved(2, tmp_path, ["GPU-a", "GPU-b", "GPU-c"]) as mine:
        assert mine == ["GPU-a", "GPU-b"]
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-a,GPU-b"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    with gpus.reserved(5, tmp_path, ["0"]) as mine:
        assert mine == ["0"]
    with gpus.reserved(1, tmp_path, []) as mine:
        assert mine == []


def test_under_slurm_the_scheduler_has_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    with gpus.reserved(1, tmp_path, ["3", "5"]) as mine:
        assert mine == ["3"]
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,5"
    assert list(tmp_path.iterdir()) == []


def test_precision_changes_the_numbers_and_the_key(paper: PaperFolder) -> None:
    a = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    with gpus.arithmetic("cpu", "bfloat16"):
        low = a @ a
    with gpus.arithmetic("cpu", "float32"):
        high = a @ a
    assert low.dtype == torch.bfloat16
    assert high.dtype == torch.float32
    keys = [
        {run.run_key for run in paper.plan(overrides={"toy-paper": {"hyper": {"precision": name}}}).runs}
        for name in ("float32", "bfloat16")
    ]
    assert keys[0] == {run.run_key for run in paper.plan().runs}
    assert not keys[0] & keys[1]


def test_an_unknown_precision_is_one_sentence(paper: PaperFolder) -> None:
    with pytest.raises(UserError, match=r"config\.yaml: overrides: hyper\.precision is 'half'; allowed: float32, tf32"):
        paper.plan(overrides={"toy-paper": {"hyper": {"precision": "half"}}})
