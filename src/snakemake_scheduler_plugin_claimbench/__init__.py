"""Snakemake's scheduler of a claimbench workflow, by priority alone: ``scheduler: claimbench`` in a profile.

The built-in schedulers fill every free core at once, so a job that wants the whole machine (an experiment that
measures times) waits until nothing else is left. Here such a job keeps its place: when its turn comes, no other starts
before it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from snakemake_interface_scheduler_plugins.base import SchedulerBase

_CORES = "_cores"


def _have_a_cache() -> None:
    """Where the home folder cannot be written, Snakemake ends before it reads a workflow: its cache lies there. It then
    gets one beside the temporary files. Plugins are the only code of a project that is loaded before that."""
    from platformdirs import user_cache_dir

    place = Path(user_cache_dir("snakemake", "snakemake"))
    try:
        place.mkdir(parents=True, exist_ok=True)
        if os.access(place, os.W_OK):
            return
    except OSError:
        pass
    other = Path(tempfile.gettempdir()) / f"claimbench-cache-{os.getuid()}"
    other.mkdir(mode=0o700, exist_ok=True)
    if other.stat().st_uid == os.getuid():
        os.environ["XDG_CACHE_HOME"] = str(other)


_have_a_cache()


class Scheduler(SchedulerBase):
    """Takes jobs in the order of their priority as long as they fit.

    A job that does not fit is passed over, unless it wants every core of the machine.
    """

    def __post_init__(self) -> None:
        self._machine: int | None = None

    def select_jobs(
        self,
        selectable_jobs: Sequence[Any],
        remaining_jobs: Sequence[Any],
        available_resources: Mapping[str, int | str],
        input_sizes: Any,
    ) -> Sequence[Any]:
        """The jobs to start now, of those that are ready."""
        left = {name: have for name, have in available_resources.items() if isinstance(have, int)}
        if self._machine is None:  # nothing runs when the first jobs are chosen
            self._machine = left.get(_CORES, 0)
        chosen = []
        for job in sorted(selectable_jobs, key=lambda job: job.priority, reverse=True):
            wanted = {name: value for name, value in job.scheduler_resources.items() if name in left}
            if all(value <= left[name] for name, value in wanted.items()):
                chosen.append(job)
                for name, value in wanted.items():
                    left[name] -= value
            elif wanted.get(_CORES, 0) >= self._machine:
                break
            if left.get(_CORES) == 0:
                break
        return chosen
