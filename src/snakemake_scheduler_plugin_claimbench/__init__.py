"""Snakemake's scheduler of a claimbench workflow, by priority alone: ``scheduler: claimbench`` in a profile.

The built-in schedulers fill every free core at once, so a job that wants the whole machine (an experiment that
measures times) waits until nothing else is left. Here such a job keeps its place: when its turn comes, no other starts
before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from snakemake_interface_scheduler_plugins.base import SchedulerBase

_CORES = "_cores"


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
