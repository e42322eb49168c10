"""What the Snakefile needs: the checked configuration, the plan, and file names."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import sys
from pathlib import Path
from typing import Any

from claimbench import files
from claimbench.errors import ClaimBenchError
from claimbench.files import canonical_json
from claimbench.plan.fingerprints import Code
from claimbench.plan.jobs import Job
from claimbench.plan.plan import Plan, make_plan
from claimbench.records import costs
from claimbench.records.costs import forecast_s, read_costs
from claimbench.records.untracked import forget_failures
from claimbench.spec.config import load_config


class Workflow:
    """The plan of a Snakemake configuration.

    Args:
        config: Snakemake's merged configuration (config.yaml and ``--config``).
        main: this is the process that the user started, not a job's.
    """

    def __init__(self, config: dict[str, Any], main: bool = False) -> None:
        if main:
            self._lock = _remove_stale_locks(Path(".snakemake"))
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        try:
            self.config = load_config(None, config)
            self.plan: Plan = make_plan(self.config)
            # The jobs' commands name a file below the tier's folder (--to) and find the configuration from there.
            files.write_json_if_changed(self.plan.tier_dir / "config.json", self.config.model_dump())
            costs.write_plan(self.plan)
        except ClaimBenchError as error:
            from snakemake.exceptions import WorkflowError

            raise WorkflowError(str(error)) from None
        self.tier = self.plan.tier_dir
        if main:
            _back_from_the_future(self.tier)
            forget_failures(self.plan)
        self._code = Code([Path(self.config.papers_dir)] if self.config.papers_dir else [])

    def finished(self, cores: int | None) -> None:
        """After a workflow in which something was computed: how long it took from the start of this process."""
        import time

        import psutil

        started = psutil.Process().create_time()
        log = self.tier / "progress.log"
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

    def job(self, wildcards: Any) -> Job:
        return self.plan.jobs[wildcards.job]

    def threads(self, wildcards: Any, cores: int | bool | None) -> int:
        """What a job's fit takes; an exclusive one (a timing experiment) takes every core and so runs alone.

        Args:
            cores: those of the machine on which jobs share cores; nothing where a cluster's scheduler hands them out.
        """
        job = self.job(wildcards)
        return max(cores or 1, job.resources.threads) if job.exclusive else job.resources.threads

    def seconds(self, wildcards: Any) -> int:
        """How long a job's fit will take, with the longest chain of fits that wait for it."""
        return int(self._seconds[wildcards.job])

    @functools.cached_property
    def _seconds(self) -> dict[str, float]:
        costs = read_costs(Path(self.config.results_dir))
        waiting: dict[str, list[str]] = {name: [] for name in self.plan.jobs}
        for name, job in self.plan.jobs.items():
            for needed in job.needs:
                waiting[needed].append(name)

        @functools.cache
        def total(name: str) -> float:
            own = sum(forecast_s(run, costs) or 1.0 for run in self.plan.jobs[name].runs)
            return own + max(map(total, waiting[name]), default=0.0)

        return {name: total(name) for name in self.plan.jobs}

    def fit_inputs(self, wildcards: Any) -> list[str]:
        """The datasets of a job and the fits that it reads."""
        job = self.job(wildcards)
        return [f"{self.tier}/data/{name}.json" for name in job.datasets] + [
            f"{self.tier}/jobs/{name}.fit.json" for name in job.needs
        ]

    def scores(self, wildcards: Any) -> list[str]:
        return [f"{self.tier}/jobs/{job.id}.score.json" for job in self.plan.jobs_of(wildcards.paper)]

    def papers(self, name: str) -> list[str]:
        return [f"{self.tier}/papers/{slug}/{name}" for slug in self.plan.papers]

    @property
    def everything(self) -> list[str]:
        """What a finished tier has. Each table is named, so that one that was lost is made again."""
        own = ("runs", "metrics", "curves", "published", "verdicts", "margins")
        tables = [f"{self.tier}/{name}.parquet" for name in own]
        return [*tables, *(path for name in own for path in self.papers(f"{name}.parquet")), f"{self.tier}/complete"]

    def paper_files(self, *names: str) -> Any:
        return lambda wildcards: [
            str(path) for name in names if (path := self.plan.folders[wildcards.paper] / name).is_file()
        ]

    def data_key(self, wildcards: Any) -> str:
        from claimbench.data import registry

        entry, splits = self.plan.datasets[wildcards.dataset]
        keys = [[registry.fingerprint(entry, split), index] for split, index in splits]
        return hashlib.sha256(canonical_json([keys, self.config.mirror]).encode()).hexdigest()

    def code_key(self, *modules: str) -> Any:
        """Fingerprint of whole modules of the package; ``{paper}`` stands for the paper's folder."""

        def key(wildcards: Any) -> str:
            paper = getattr(wildcards, "paper", None)
            names = [m.format(paper=self.plan.folders[paper].name) if paper else m for m in modules]
            return self._code.fingerprint((m, d) for m in names for d in self._code.definitions(m))

        return key


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
        hold = open(folder / "claimbench.lock", "w")  # noqa: SIM115  (held as long as the process lives)
        fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None  # another Snakemake is at work, or the file system has no locks
    for path in (folder / "locks").glob("*.lock"):
        path.unlink(missing_ok=True)
    return hold
