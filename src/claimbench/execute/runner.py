"""Executes one job: the fits of its runs, or their scores. A failure is a record with a reason, not the job's end."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claimbench import files
from claimbench.errors import BudgetExceeded, ClaimBenchError, DataUnavailable, Diverged, Skipped, UserError
from claimbench.execute import gpus, memory, meters
from claimbench.execute.imports import warm_up
from claimbench.plan.cells import Cell, PlannedRun
from claimbench.plan.entries import Codes
from claimbench.plan.fingerprints import Code
from claimbench.plan.jobs import Job
from claimbench.plan.plan import Plan
from claimbench.records import store
from claimbench.records.freshness import manifest_path, marker_path
from claimbench.records.plans import Frozen
from claimbench.records.progress import Progress
from claimbench.run import Checkpoint, Run
from claimbench.spec.folders import make_importable
from claimbench.spec.published import read_published, visible
from claimbench.spec.settings import parse_setting

if TYPE_CHECKING:
    from claimbench.tracking.live import Sender


_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def limit_threads(threads: int) -> None:
    """Tell the numeric libraries how many threads to use; call before they are imported."""
    for variable in _THREAD_VARIABLES:
        os.environ[variable] = str(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)


def choose_device(wanted: str, gpus: int) -> str:
    """``cpu`` or ``cuda:N``: a GPU only for jobs that ask for one, unless the configuration names a device."""
    if wanted != "auto":
        if wanted.startswith("cuda"):
            import torch

            if not torch.cuda.is_available():
                raise UserError(f"config.yaml: device is {wanted!r}, but no GPU is visible; use cpu or auto")
            return wanted if ":" in wanted else "cuda:0"
        return wanted
    if gpus > 0:
        import torch

        if torch.cuda.is_available():
            return "cuda:0"
    return "cpu"


class Runner:
    """Runs the jobs of a plan in this process.

    Args:
        frozen: the file of the plan, where the workflow gave one.
    """

    def __init__(self, plan: Plan, frozen: Frozen | None = None) -> None:
        self.plan = plan
        self._frozen = frozen
        self.store = store.Store(Path(plan.config.results_dir) / "store")
        self.data_root = Path(plan.config.data_dir)
        self.progress = Progress(plan.tier_dir)
        self._live: Sender | None = None
        self._codes: dict[str, Codes] = {}
        make_importable(plan.config)
        memory.keep_freed()

    # ---- fit ---------------------------------------------------------------------------------------------------------

    def fit(self, job: Job) -> dict[str, Any]:
        """Fit what is missing and write the job's manifest: run keys and statuses."""
        limit_threads(job.resources.threads)
        statuses: dict[str, dict[str, Any]] = {}
        tracking = self.plan.config.tracking
        if tracking.enabled and tracking.live and not job.exclusive:  # a timing experiment has the machine to itself
            from claimbench.tracking.live import Sender

            self._live = Sender(self.plan)
        with gpus.reserved(job.resources.gpu) if self._wants_gpu(job) else nullcontext():
            self._fit_all(job, choose_device(self.plan.config.device, job.resources.gpu), statuses)
        if self._live:
            self._live.close()
            self._live = None
        return self._manifest(job, "fit", {run.fit_key: statuses[run.fit_key] for run in job.runs}, job.fit_digest)

    def _wants_gpu(self, job: Job) -> bool:
        """Whether the job takes a GPU of its own; a device named in the configuration is shared as its owner likes."""
        return self.plan.config.device == "auto" and job.resources.gpu > 0

    def _fit_all(self, job: Job, device: str, statuses: dict[str, dict[str, Any]]) -> None:
        if device != "cpu":
            gpus.deterministic()
        for group in self._groups(job):
            missing = []
            for run in group:
                record = self.store.fit_record(job.paper, run.fit_key)
                if record is not None and record["status"] == "done" and self.store.intact(job.paper, run.fit_key):
                    statuses[run.fit_key] = {"status": "done"}
                else:
                    missing.append(run)
            if missing:
                for run, record in self._fit_group(missing, device):
                    statuses[run.fit_key] = {"status": record["status"], "reason": record["reason"]}
                    self.progress.finished(run, record["status"], record["reason"], record["wall_s"])

    def _groups(self, job: Job) -> Iterator[list[PlannedRun]]:
        """Runs of one experiment, method and dataset together where the paper fits several at once, else single.

        A run whose needs are not met (yet) stands alone, so that it does not take the others with it.
        """
        for _, runs in itertools.groupby(
            job.runs, lambda run: (run.cell.experiment, run.cell.method, run.cell.dataset)
        ):
            group = list(runs)
            cell = group[0].cell
            if self._code_of(cell).find("fit_many", cell.experiment, cell.method) is None:
                yield from ([run] for run in group)
                continue
            met = [run for run in group if self._needs_met(run)]
            if met:
                yield met
            yield from ([run] for run in group if run not in met)

    def _needs_met(self, run: PlannedRun) -> bool:
        needed = run.cell.needed(run.seed).values()
        records = (self.store.fit_record(need.cell.paper, need.fit_key) for need in needed)
        return all(record is not None and record["status"] == "done" for record in records)

    def _fit_group(self, planned: list[PlannedRun], device: str) -> Iterator[tuple[PlannedRun, dict[str, Any]]]:
        cell = planned[0].cell
        runs: list[Run] = []
        encoded: list[dict[str, bytes]] = []
        status, reason, trace = "done", "", ""
        import_s = self._warm_up(cell, "fit", "fit_many")
        meter = meters.Meter(device)
        limit = cell.budget.wall_s * len(planned) if cell.budget.wall_s is not None else None
        try:
            inputs = [self._inputs(run) for run in planned]
            datas = [self._data(run, "load_fit") for run in planned]
            runs = [self._run(run, device, given, limit) for run, given in zip(planned, inputs, strict=True)]
            if self._live:
                self._live.watch(planned, runs)
            precision = gpus.arithmetic(device, cell.hyper["precision"])
            with self._sealed(), meters.budget(limit, cell.budget.mem_mb), precision:
                many, fit = self._entry(cell, "fit_many"), self._entry(cell, "fit")
                if many is not None and (len(runs) > 1 or fit is None):
                    artifacts = list(many(runs, datas))
                    if len(artifacts) != len(runs):
                        raise UserError(f"{many.__name__} returned {len(artifacts)} artifacts for {len(runs)} runs")
                else:
                    assert fit is not None
                    artifacts = [fit(run, data) for run, data in zip(runs, datas, strict=True)]
                for artifact in artifacts:
                    if not isinstance(artifact, dict):
                        raise UserError(
                            f"fit of {cell.experiment} returned {type(artifact).__name__}; it must return a dict"
                        )
                encoded = [store.encode(artifact) for artifact in artifacts]
        except BaseException as error:
            status, reason, trace = _failure(error)
        if self._live:
            self._live.ended(status)
        measured = meter.stop()
        for field in ("wall_s", "cpu_s", "gpu_s", "gpu_j"):
            if measured[field] is not None:
                measured[field] /= len(planned)
        for index, run in enumerate(planned):
            record = {
                **self._identity(run),
                **measured,
                "import_s": import_s if index == 0 else 0.0,
                **meters.machine(device),
                "plan": self._plan_digest,
                "status": status,
                "reason": reason,
                "trace": trace,
                "metrics": runs[index].metrics if runs else {},
                "curves": runs[index].curves if runs else {},
                "counts": runs[index].counts if runs else {},
            }
            self.store.write_fit(cell.paper, run.fit_key, record, encoded[index] if encoded else {})
            yield run, record

    # ---- score -------------------------------------------------------------------------------------------------------

    def score(self, job: Job) -> dict[str, Any]:
        """Score what is fitted and not yet scored, and write the job's manifest."""
        limit_threads(job.resources.threads)
        statuses: dict[str, dict[str, Any]] = {}
        for run in job.runs:
            fit = self.store.fit_record(job.paper, run.fit_key)
            if fit is None or fit["status"] != "done":
                status = fit["status"] if fit else "failed"
                statuses[run.run_key] = {
                    "status": status,
                    "reason": fit["reason"] if fit else "no fit was left; run it again",
                }
                continue
            record = self.store.score_record(job.paper, run.fit_key, run.cell.score_code)
            if record is None or record["status"] != "done":
                record = self._score(run)
                self.store.write_score(job.paper, run.fit_key, run.cell.score_code, record)
            statuses[run.run_key] = {"status": record["status"], "reason": record["reason"]}
        return self._manifest(job, "score", statuses, job.score_digest)

    def _score(self, planned: PlannedRun) -> dict[str, Any]:
        cell = planned.cell
        status, reason, trace = "done", "", ""
        metrics: dict[str, float] = {}
        run: Run | None = None
        import_s = self._warm_up(cell, "score")
        meter = meters.Meter("cpu")
        try:
            artifact = self.store.artifact(cell.paper, planned.fit_key)
            data = self._data(planned, "load_score")
            run = self._run(planned, "cpu", self._inputs(planned), None, resumable=False)
            run.printed = self._printed(cell)
            with meters.budget(cell.budget.wall_s, cell.budget.mem_mb):
                score = self._entry(cell, "score")
                assert score is not None
                metrics = {name: float(value) for name, value in score(run, artifact, data).items()}
            for name, value in metrics.items():
                if name.count("/") != 1:
                    raise UserError(
                        f"score of {cell.experiment} returned the metric {name!r}; write it as split/metric"
                    )
                run.finite(value, name)
        except BaseException as error:
            status, reason, trace = _failure(error)
            metrics = {}
        return {
            "status": status,
            "reason": reason,
            "trace": trace,
            "metrics": metrics,
            "curves": run.curves if run else {},
            **meter.stop(),
            "import_s": import_s,
        }

    # ---- parts -------------------------------------------------------------------------------------------------------

    def _entry(self, cell: Cell, kind: str) -> Callable[..., Any] | None:
        codes = self._code_of(cell)
        name = codes.find(kind, cell.experiment, cell.method)
        return None if name is None else getattr(importlib.import_module(codes.module), name)

    def _warm_up(self, cell: Cell, *kinds: str) -> float:
        """Import what a cell's code will use; the seconds that it took, next to none but for a process's first run."""
        return warm_up(self._code_of(cell).imports(cell.experiment, cell.method, *kinds))

    def _code_of(self, cell: Cell) -> Codes:
        if cell.paper not in self._codes:
            folders = [Path(self.plan.config.papers_dir)] if self.plan.config.papers_dir else []
            self._codes[cell.paper] = Codes(self.plan.papers[cell.paper], self.plan.folders[cell.paper], Code(folders))
        return self._codes[cell.paper]

    def _data(self, run: PlannedRun, loader: str) -> Any:
        if run.cell.dataset == "none":
            return None
        from claimbench import data

        marker = files.read_json(marker_path(self.plan, run.cell.dataset))
        if marker is not None and marker["status"] != "ready":
            raise DataUnavailable(run.cell.dataset, marker["tried"])
        return getattr(data, loader)(*self.plan.source(run.cell), run.seed, self.data_root)

    def _sealed(self) -> AbstractContextManager[Any]:
        """While a fit runs, nothing may open what only score may see."""
        from claimbench.data import guard

        guard.protect(self.data_root)
        if self.plan.config.mirror:
            guard.protect(Path(self.plan.config.mirror))
        return guard.sealed()

    def _inputs(self, run: PlannedRun) -> dict[str, dict[str, Any]]:
        inputs = {}
        for name, need in run.cell.needed(run.seed).items():
            cell, record = need.cell, self.store.fit_record(need.cell.paper, need.fit_key)
            if record is not None and record["status"] == "skipped":
                raise Skipped(record["reason"])
            if record is None or record["status"] != "done":
                why = f"{record['status']}: {record['reason']}" if record else "it has not run"
                raise UserError(f"needs {cell.experiment} {cell.id} seed {need.seed}, which has no artifact ({why})")
            inputs[name] = self.store.artifact(cell.paper, need.fit_key)
        return inputs

    def _run(
        self, planned: PlannedRun, device: str, inputs: dict[str, Any], limit: float | None, resumable: bool = True
    ) -> Run:
        cell = planned.cell
        folder = self.store.folder(cell.paper, planned.fit_key) if resumable else None
        return Run(
            cell.paper,
            cell.experiment,
            cell.method,
            cell.dataset,
            dict(cell.setting),
            planned.seed,
            cell.tier,
            json.loads(json.dumps(cell.hyper)),
            device,
            inputs,
            Checkpoint(folder),
            limit,
        )

    def _printed(self, cell: Cell) -> list[dict[str, Any]]:
        """The published numbers that a cell's score may read."""
        experiments = self.plan.papers[cell.paper].experiments[cell.experiment].published or [cell.experiment]
        rows = visible(read_published(self.plan.folders[cell.paper]), experiments)
        return [{**row, "setting": parse_setting(row["setting"])} for row in rows]

    def _identity(self, run: PlannedRun) -> dict[str, Any]:
        cell = run.cell
        return {
            "paper": cell.paper,
            "experiment": cell.experiment,
            "method": cell.method,
            "dataset": cell.dataset,
            "setting": cell.setting,
            "seed": run.seed,
            "tier": cell.tier,
            "hyper": cell.hyper,
            "split": cell.split,
            "code_fp": cell.fit_code,
            "data_fp": cell.data,
        }

    @property
    def _plan_digest(self) -> str | None:
        return self._frozen.digest if self._frozen else None

    def _manifest(self, job: Job, phase: str, statuses: dict[str, Any], digest: str) -> dict[str, Any]:
        manifest = {"job": job.id, "phase": phase, "digest": digest, "runs": statuses, "plan": self._plan_digest}
        if self._frozen:
            self._frozen.refuse_replaced()
        files.write_json(manifest_path(self.plan, job.id, phase), manifest)
        return manifest


def _failure(error: BaseException) -> tuple[str, str, str]:
    """Status, one-sentence reason and trace of an exception; interrupts are passed on."""
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        raise error
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, DataUnavailable | Skipped):
        return "skipped", text, ""
    if isinstance(error, BudgetExceeded):
        return error.status, text, ""
    if isinstance(error, Diverged | FloatingPointError):
        return "diverged", text, ""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "oom", text, ""
    trace = "".join(traceback.format_exception(error)).strip()
    if isinstance(error, ClaimBenchError):
        return "failed", text, trace
    return "failed", f"{type(error).__name__}: {text}", trace
