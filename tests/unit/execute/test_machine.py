"""Processors and memory under a control group of either version."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from claimbench.execute import machine


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine, "MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(machine, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return tmp_path


def write(groups: Path, membership: str, files: dict[str, str]) -> None:
    (groups / "membership").write_text(membership)
    for name, content in files.items():
        path = groups / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")


def whole() -> int:
    return int(0.9 * psutil.virtual_memory().total / 1e6)


def test_without_control_groups(groups: Path) -> None:
    assert machine.cores() == 8
    assert machine.memory_mb() == whole()


def test_version_two_and_the_groups_around(groups: Path) -> None:
    write(
        groups,
        "0::/user.slice/mine\n",
        {
            "cpu.max": "max 100000",
            "user.slice/cpu.max": "350000 100000",
            "user.slice/mine/cpu.max": "max 100000",
            "user.slice/memory.max": "1000000000",
            "user.slice/mine/memory.max": "max",
        },
    )
    assert machine.cores() == 3
    assert machine.memory_mb() == 900


def test_version_one_in_a_container_that_sees_its_own_group_as_the_root(groups: Path) -> None:
    write(
        groups,
        "9:name=systemd:/\n4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n0::/\n",
        {
            "memory/memory.limit_in_bytes": "2000000000",
            "cpu/cpu.cfs_quota_us": "50000",
            "cpu/cpu.cfs_period_us": "100000",
        },
    )
    assert machine.cores() == 1, "half a processor is one job at a time"
    assert machine.memory_mb() == 1800


def test_no_limit_is_the_machine(groups: Path) -> None:
    write(
        groups,
        "4:memory:/\n1:cpu:/\n",
        {
            "memory/memory.limit_in_bytes": "9223372036854771712",
            "cpu/cpu.cfs_quota_us": "-1",
            "cpu/cpu.cfs_period_us": "100000",
        },
    )
    assert machine.cores() == 8
    assert machine.memory_mb() == whole()
