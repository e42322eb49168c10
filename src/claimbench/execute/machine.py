"""Processors and memory that this process may use: the machine's, or what its control group (a container) leaves.

``python -m claimbench.execute.machine`` prints the processors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

#: which control groups this process is in, and where they are shown
MEMBERSHIP = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")
#: of the memory, left to Snakemake and to everything else
_OWN = 0.9


def cores() -> int:
    """Processors, at least one: those that this process may run on, or the quota of its control group."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    shares = [f"{quota} {period}" for quota, period in _limits("cpu", "cpu.cfs_quota_us", "cpu.cfs_period_us")]
    for share in [*shares, *(one for (one,) in _limits("", "cpu.max"))]:
        quota, period = share.split()
        if quota not in ("max", "-1"):
            own = min(own, int(quota) // int(period))
    return max(own, 1)


def memory_mb() -> int:
    """Memory for jobs that run side by side: nine tenths of the machine's or of the control group's limit."""
    import psutil

    limits = [*_limits("memory", "memory.limit_in_bytes"), *_limits("", "memory.max")]
    known = [int(limit) for (limit,) in limits if limit != "max"]
    return int(_OWN * min([psutil.virtual_memory().total, *known]) / 1e6)


def _limits(controller: str, *names: str) -> Iterator[list[str]]:
    """The content of files of this process's control group and of those around it.

    Args:
        controller: of version 1; "" for version 2.
        names: files of a group; a group that lacks one is passed over.
    """
    try:
        groups = [line.split(":", 2) for line in MEMBERSHIP.read_text(encoding="utf-8").splitlines()]
    except OSError:  # not Linux
        return
    for _, controllers, path in groups:
        if controller not in controllers.split(","):
            continue
        base = GROUPS / controller
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts), -1, -1):
            try:
                folder = base.joinpath(*parts[:depth])
                yield [(folder / name).read_text(encoding="utf-8").strip() for name in names]
            except OSError:
                continue


if __name__ == "__main__":
    print(cores())
