"""What the Snakefile needs: the checked configuration, the plan, and file names."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from claimbench import files
from claimbench.errors import ClaimBenchError, UserError
from claimbench.execute.machine import memory_mb
from claimbench.execute.order import Order, make_order
from claimbench.plan.jobs import Job
from claimbench.plan.plan import Plan, make_plan
from claimbench.present.screen import Screen
from claimbench.records import plans
from claimbench.records.freshness import stale
from claimbench.records.pages import TABLES
from claimbench.records.progress import FILE as PROGRESS
from claimbench.spec.config import load_config
from claimbench.spec.reading import merge, scalars

#: how a job on a cluster, which reads the workflow again, learns of the plan
_PLAN_KEY = "claimbench_plan"


class Workflow:
    """The plan of a Snakemake configuration.

    Args:
        config: Snakemake's merged configuration (config.yaml and ``--config``).
        workflow: Snakemake's own object of the workflow.
    """

    def __init__(self, config: dict[str, Any], workflow: Any) -> None:
        self._workflow = workflow
        self._main = workflow.is_main_process
        if self._main and not workflow.output_settings.dryrun:
            self._hold = _remove_stale_locks(Path(".snakemake"))
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        settings = workflow.config_settings
        with self._refusing():
            given = dict(config)
            frozen = given.pop(_PLAN_KEY, None) if not self._main else None
            if frozen is not None:  # a job on a cluster: whatever config.yaml says by now
                self.config = plans.read(Path(frozen)).config
            else:
                self.config = load_config(None, merge(given, scalars(settings.config if self._main else {})))
            self.plan: Plan = make_plan(self.config)
            self._content = plans.content_of(self.plan)
        self.tier = self.plan.tier_dir
        self.plan_file = Path(frozen) if frozen is not None else plans.path_of(self.tier, self._content)
        self._stale: list[Path] = []
        if self._main:
            settings.config_args = [*settings.config_args, f"{_PLAN_KEY}='{self.plan_file}'"]
            self._stale = stale(self.plan, self._content)
            self._limit_memory()
        self._screen = self._quiet_screen() if self._main else None

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """What the user must mend, in Snakemake's words."""
        try:
            yield
        except ClaimBenchError as error:
            from snakemake.exceptions import WorkflowError

            raise WorkflowError(str(error)) from None

    def _limit_memory(self) -> None:
        """Jobs of this machine fit into its memory side by side; on a cluster, or where the user says it, not ours."""
        settings = self._workflow.resource_settings
        if settings.nodes is None and not {"mem", "mem_mb", "mem_mib"} & set(settings.resources):
            self._workflow.register_resource("mem_mb", memory_mb())

    def _quiet_screen(self) -> Screen | None:
        """What the user sees in place of Snakemake's own lines; those stay where asked for, and in a dry run."""
        import logging

        from snakemake.logging import logger

        settings = self._workflow.output_settings
        mine = [h for h in logger.handlers if getattr(h, "stream", None) in (sys.stderr, sys.stdout)]
        if settings.dryrun or settings.verbose or "ALL" in {word.name for word in settings.quiet or ()} or not mine:
            return None
        screen = Screen(self.plan)
        for handler in mine:
            assert isinstance(handler, logging.Handler)
            handler.addFilter(screen.takes)
        return screen

    def started(self) -> None:
        """Before the first job: this process alone works on the tier from now on, by its plan."""
        with self._refusing():
            self._lock_tier()
            if stale(self.plan, self._content) != self._stale:
                raise UserError(f"{self.tier}: another run ended here while this one was planned; start it again")
            plans.write(self.tier, self._content)
        _back_from_the_future(self.tier)
        if self._workflow.local_exec:
            # Each finished job would leave a timer that looks at all waiting jobs once a second until the end.
            self._workflow.scheduler.job_rate_limiter = None
        if self._screen:
            self._screen.start(self._workflow.resource_settings.cores or 1)

    def _lock_tier(self) -> None:
        """Hold the tier's folder as long as this process lives.

        Raises:
            UserError: another process holds it.
        """
        import fcntl

        path = self.tier / ".run.lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            hold = open(path, "a+", encoding="utf-8")  # noqa: SIM115  (held as long as the process lives)
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None
        try:
            fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hold.seek(0)
            raise UserError(
                f"{self.tier}: another run works here ({hold.read().strip() or 'unknown'}); wait for its end, or "
                "choose another results_dir"
            ) from None
        except OSError as error:
            from snakemake.logging import logger

            logger.warning(
                f"{path}: this file system has no locks ({error.strerror or error}); start no second run on it",
            )
        hold.truncate(0)
        hold.write(f"process {os.getpid()} on {socket.gethostname()}")
        hold.flush()
        self._tier_hold = hold

    def remake(self) -> None:
        """Have Snakemake make again what is not of this plan, whatever it remembers and however old the files are."""
        if self._stale and self._workflow._dag is not None:
            self._workflow.dag.forcefiles.update(str(path) for path in self._stale)

    def finished(self) -> None:
        """After a workflow in which something was computed: how long it took from the start of this process."""
        import time

        import psutil

        if self._screen:
            self._screen.stop()
        cores = self._workflow.resource_settings.cores
        started = psutil.Process().create_time()
        log = self.tier / PROGRESS
        if log.is_file() and log.stat().st_mtime > started:
            own = os.times()
            files.write_json(
                self.tier / "timing.json",
                {
                    "started": started,
                    "wall_s": time.time() - started,
                    "cores": cores or 1,
                    "snakemake_cpu_s": own.user + own.system,
                },
            )

    def plan_name(self, wildcards: Any) -> str:
        """The plan's file. As a resource: another plan does not make a job run again, as a parameter would."""
        return str(self.plan_file)

    def job(self, wildcards: Any) -> Job:
        return self.plan.jobs[wildcards.job]

    def threads(self, wildcards: Any) -> int:
        """What a job takes; an exclusive one (a timing experiment) takes every core and so runs alone.

        On a cluster its scheduler hands the cores out, and the job asks for its own only.
        """
        job = self.job(wildcards)
        cores = self._workflow.resource_settings.cores if self._workflow.is_main_process else None
        return max(cores or 1, job.resources.threads) if job.exclusive else job.resources.threads

    @functools.cached_property
    def order(self) -> Order:
        return make_order(self.plan)

    def job_inputs(self, wildcards: Any) -> list[str]:
        """The datasets of a job and the fits that it reads."""
        self.remake()
        job = self.job(wildcards)
        return [f"{self.tier}/data/{name}.json" for name in job.datasets] + [
            f"{self.tier}/jobs/{name}.score.json" for name in job.needs
        ]

    def no_inputs(self, wildcards: Any) -> list[str]:
        """Of a dataset, which is made from nothing."""
        self.remake()
        return []

    def scores(self, wildcards: Any) -> list[str]:
        self.remake()
        return [f"{self.tier}/jobs/{job.id}.score.json" for job in self.plan.jobs_of(wildcards.paper)]

    def papers(self, name: str) -> list[str]:
        return [f"{self.tier}/papers/{slug}/{name}" for slug in self.plan.papers]

    @property
    def everything(self) -> list[str]:
        """What a finished tier has. Each table is named, so that one that was lost is made again."""
        tables = [f"{self.tier}/{name}.parquet" for name in self.tables]
        return [
            *tables,
            *(path for name in self.tables for path in self.papers(f"{name}.parquet")),
            f"{self.tier}/complete",
        ]

    tables = TABLES

    def paper_digest(self, wildcards: Any) -> str:
        return self._content["papers"][wildcards.paper]["digest"]

    def paper_files(self, *names: str) -> Any:
        return lambda wildcards: [
            str(path) for name in names if (path := self.plan.folders[wildcards.paper] / name).is_file()
        ]

    def data_key(self, wildcards: Any) -> str:
        return self._content["datasets"][wildcards.dataset]


def _back_from_the_future(folder: Path) -> None:
    """Give what is dated in the future the present time: after the clock was put back, Snakemake takes every output
    that is older than its input for a fault and removes it."""
    import time

    now = time.time()
    for name, _, inner in os.walk(folder):
        for path in (name, *(os.path.join(name, file) for file in inner)):
            with contextlib.suppress(OSError):
                if os.stat(path).st_mtime > now + 1:
                    os.utime(path, (now, now))


def _remove_stale_locks(folder: Path) -> Any:
    """Remove what a killed Snakemake left locked, and return this process's own hold on the folder.

    Snakemake's lock files outlive a kill -9. A lock of the operating system does not: whoever gets it knows that no
    other Snakemake of this project works here, so that any lock file is stale. (Snakemake itself refuses a second
    process beside a living one.)
    """
    import fcntl

    try:
        folder.mkdir(exist_ok=True)
        hold = open(folder / "claimbench.lock", "w", encoding="utf-8")  # noqa: SIM115  (held as long as the process lives)
        fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None  # another Snakemake is at work, or the file system has no locks
    for path in (folder / "locks").glob("*.lock"):
        path.unlink(missing_ok=True)
    return hold
