"""A control group, and a file system without locks, as every Python process of a test finds them."""

from __future__ import annotations

import os
from pathlib import Path

GROUP = """
from pathlib import Path
from claimbench.execute import machine

machine.MEMBERSHIP, machine.GROUPS = Path({folder!r}) / "membership", Path({folder!r})
"""
NO_LOCKS = """
import errno
import fcntl


def flock(*_):
    raise OSError(errno.ENOSYS, "Function not implemented")


fcntl.flock = flock
"""


def customized(folder: Path, code: str) -> dict[str, str]:
    """Variables with which every Python process runs ``code`` before anything else."""
    folder.mkdir(exist_ok=True)
    with open(folder / "sitecustomize.py", "a", encoding="utf-8") as file:
        file.write(code)
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))}


def group(folder: Path, memory: int, cpu: str = "max 100000") -> dict[str, str]:
    """Variables with which every Python process finds itself in a control group.

    Args:
        folder: for the group's files.
        memory: its limit in bytes.
        cpu: its quota, as ``cpu.max`` has it.
    """
    variables = customized(folder, GROUP.format(folder=str(folder)))
    for name, content in (("membership", "0::/"), ("memory.max", str(memory)), ("cpu.max", cpu)):
        (folder / name).write_text(f"{content}\n", encoding="utf-8")
    return variables
