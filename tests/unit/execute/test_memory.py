"""What a process keeps of its freed memory, seen by its page faults."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from claimbench.execute import memory

CODE = """
import resource
import torch
from claimbench.execute import memory

if {keep}:
    memory.keep_freed()

def step():
    parts = [torch.zeros(2**20) for _ in range(8)]
    return [part + 1 for part in parts]

for _ in range(5):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(memory._glibc() is None, reason="not glibc")
def test_freed_memory_is_used_again() -> None:
    def faults(keep: bool) -> int:
        run = [sys.executable, "-c", CODE.format(keep=keep)]
        return int(subprocess.run(run, capture_output=True, text=True, check=True).stdout)

    assert 20 * faults(True) < faults(False)


@pytest.mark.skipif(memory._glibc() is None, reason="not glibc")
def test_what_is_free_is_released() -> None:
    memory.keep_freed()
    held = bytearray(b"x") * 2**27
    del held
    before = _resident_mb()
    memory.release()
    assert _resident_mb() < before - 100


def _resident_mb() -> float:
    with open("/proc/self/statm", encoding="utf-8") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20
