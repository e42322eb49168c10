"""What a run of the workflow says: a line a paper that changes in place on a terminal, few lines in a log.

Snakemake tells of every job. Here its messages pass through :meth:`Screen.takes`, which keeps what a user can act on,
once; how far the tier is comes from the files that jobs leave (progress.log, conclusion.json).
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from claimbench import files
from claimbench.plan.plan import Plan
from claimbench.records import conclusions, costs, store
from claimbench.records.progress import FILE as PROGRESS
from claimbench.spec.words import FAILURES, VERDICTS

#: what Snakemake says in each run, or says where this module says it
_CHATTER = (
    "Assuming unrestricted",
    "Building DAG",
    "Complete log",
    "Conda environments: ignored",
    "Elapsed time",
    "Execute ",
    "Exiting because a job execution failed",
    "Finished jobid",
    "Job rate limit",
    "Provided ",
    "Removing output files of failed job",
    "Rules claiming",
    "Select jobs",
    "Shutting down",
    "Touching output",
    "Using shell",
    "Warning: the following output files of rule report were not present",
    "WorkflowError:\nAt least one job did not complete",
    "host: ",
)
_STOPPED = ("Will exit after", "Terminating processes")
_SECONDS = 1.0
_LOG_SECONDS = 60.0
_LAST_LINES = 8


@dataclass
class _Paper:
    digest: str
    total: int
    done: set[str] = field(default_factory=set)
    statuses: Counter[str] = field(default_factory=Counter)
    concluded: int = 0
    verdicts: str = ""

    def runs(self) -> str:
        bad = [f"{n} {status}" for status, n in sorted(self.statuses.items()) if status != "done" and n]
        return ", ".join([f"{len(self.done)}/{self.total} runs", *bad])


class Screen:
    """Stands between Snakemake and the user while a workflow runs.

    Args:
        plan: what runs.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._tier = plan.tier_dir
        self._said: set[str] = set()
        self._causes: list[str] = []
        self._errors: list[str] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._stopped = False
        self._live: Any = None
        self._thread: threading.Thread | None = None

    # ---- Snakemake's messages ----------------------------------------------------------------------------------------

    def takes(self, record: logging.LogRecord) -> bool:
        """A filter of a log handler: True for what the handler is to print itself."""
        event = getattr(getattr(record, "event", None), "name", "")
        if event == "JOB_ERROR":
            self._job_failed(record)
            return False
        text = record.getMessage()
        if event not in ("", "ERROR", "GROUP_ERROR") or not text or text == "None" or text.startswith(_CHATTER):
            return False
        if "CalledProcessError" in text:  # of a job whose failure is told apart
            self._causes.append(text)
            return False
        if text.startswith(_STOPPED):
            self._stopped = True
        self.say(text)
        if text.startswith("Nothing to be done"):
            self._say_where()
        return False

    def _job_failed(self, record: logging.LogRecord) -> None:
        rule, logs = getattr(record, "rule_name", ""), [Path(name) for name in getattr(record, "log", [])]
        if rule == "check":
            return  # fails when a run failed, and says so at the end
        text = f"Error in rule {rule}"
        for path in logs:
            try:
                lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            except OSError:
                continue
            for cause in self._causes:
                status = re.search(r"returned non-zero exit status \d+|died with .*", cause)
                if str(path) in cause and status:
                    text += f": the command {status[0].rstrip('.')}"
            if lines:
                text += "".join(f"\n    {line}" for line in lines[-_LAST_LINES:])
            text += f"\n    (log: {path})"
        if shutil.disk_usage(self._tier).free == 0:
            text += f"\n    {self._tier}: No space left on device"
        with self._lock:
            self._errors.append(text)  # said a little later: a stop by the user ends jobs, too

    def say(self, text: str) -> None:
        """Print a message that was not printed before."""
        with self._lock:
            if text in self._said:
                return
            self._said.add(text)
            self._print(text)

    def _print(self, text: str) -> None:
        if self._live:
            self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def _say_where(self) -> None:
        page = self._tier / "report" / "index.html"
        if page.is_file():
            self.say(f"report: {page.resolve()}   (make ui: the single runs)")

    # ---- how far it is -----------------------------------------------------------------------------------------------

    def start(self, cores: int) -> None:
        """Look on from now until :meth:`stop`."""
        self._cores, self._began = cores, time.time()
        self._minute, self._before = time.monotonic(), ""
        measured = costs.read_costs(Path(self._plan.config.results_dir))
        records = store.Store(Path(self._plan.config.results_dir) / "store")
        self._papers: dict[str, _Paper] = {}
        self._paper_of: dict[str, _Paper] = {}
        of: dict[str, list[str]] = {}
        self._left: dict[str, float] = {}
        self._per_dataset = Counter(run.cell.dataset for run in self._plan.runs)
        for slug in self._plan.papers:
            runs = [run for job in self._plan.jobs_of(slug) for run in job.runs]
            paper = _Paper(conclusions.paper_digest(self._plan, slug), len(runs))
            of[slug] = [run.fit_key for run in runs]
            for run, key in zip(runs, of[slug], strict=True):
                self._paper_of[key] = paper
                if (records.folder(slug, key) / "fit.json").is_file():
                    paper.done.add(key)
                else:
                    self._left[key] = costs.forecast_s(run, measured) or 1.0
            self._papers[slug] = paper
            self._conclusion(slug)
        # in the order in which they run
        left = {slug: sum(self._left.get(key, 0.0) for key in of[slug]) for slug in of}
        self._papers = dict(sorted(self._papers.items(), key=lambda item: (left[item[0]], item[0])))
        self._forecast = sum(self._left.values())
        self._log = self._tier / PROGRESS
        self._offset = self._log.stat().st_size if self._log.is_file() else 0
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
            live.start()
            with self._lock:
                self._live = live
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """The last word: what the check of the finished tier said, and where the page is."""
        if not self._thread:
            return
        self._over.set()
        self._thread.join()
        if self._live:
            self._live.stop()
            self._live = None
        check = self._tier / "logs" / "check.log"
        if check.is_file() and check.stat().st_mtime >= self._began and not self._stopped:
            self.say(check.read_text(encoding="utf-8").rstrip())
        else:
            self.say(self._state())
        self._say_where()

    def _watch(self) -> None:
        while not self._over.wait(_SECONDS):
            self._look()
        self._look()

    def _look(self) -> None:
        self._read()
        for slug in self._papers:
            if self._conclusion(slug) and not self._live:
                self.say(f"{slug}: {self._papers[slug].verdicts} ({self._papers[slug].runs()})")
        with self._lock:
            errors, self._errors = self._errors, []
        if not self._stopped:
            for text in errors:
                self.say(text)
        state = self._state()
        if self._live:
            if state != self._before:
                self._live.update(self._table(state), refresh=True)
                self._before = state
        elif time.monotonic() - self._minute >= _LOG_SECONDS:
            self._minute = time.monotonic()
            self.say(f"{time.strftime('%H:%M')} {state}")

    def _read(self) -> None:
        """The new lines of the jobs."""
        try:
            with open(self._log, "rb") as file:
                file.seek(self._offset)
                new = file.read()
        except OSError:
            return
        new = new[: new.rfind(b"\n") + 1]
        self._offset += len(new)
        for text in new.splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if "note" in line:
                self.say(line["note"])
            elif line.get("run") in self._paper_of:
                self._run_ended(line)

    def _run_ended(self, line: dict[str, Any]) -> None:
        paper, key, status = self._paper_of[line["run"]], line["run"], line["status"]
        paper.done.add(key)
        paper.statuses[status] += 1
        self._left.pop(key, None)
        if status in FAILURES:
            self._once((line["paper"], line["experiment"], status, line["reason"]), f"{line['what']}: {status}", line)
        elif status == "skipped" and line["dataset"] != "none":
            n = self._per_dataset[line["dataset"]]
            self._once((line["dataset"], status), f"{line['dataset']}: its {n} runs are skipped", line)
        elif status == "skipped":
            self._once((line["paper"], status, line["reason"]), f"{line['what']}: skipped", line)

    def _once(self, key: tuple[str, ...], text: str, line: dict[str, Any]) -> None:
        mark = "\0".join(key)
        with self._lock:
            if mark in self._said:
                return
            self._said.add(mark)
        self.say(f"{text}: {line['reason']}")

    def _conclusion(self, slug: str) -> bool:
        """Whether a paper's verdicts are new; they are kept in any case."""
        paper, path = self._papers[slug], conclusions.path_of(self._tier, slug)
        try:
            written = path.stat().st_mtime_ns
        except OSError:
            return False
        if written == paper.concluded or not conclusions.is_concluded(self._tier, slug, paper.digest):
            return False
        paper.concluded = written
        count = (files.read_json(path) or {}).get("verdicts", {})
        paper.verdicts = ", ".join(f"{count[word]} {word}" for word in VERDICTS if count.get(word)) or "no claims"
        return True

    def _state(self) -> str:
        done, total = sum(len(p.done) for p in self._papers.values()), len(self._paper_of)
        through = sum(bool(p.concluded) for p in self._papers.values())
        text = f"{done}/{total} runs, {through}/{len(self._papers)} papers"
        left = sum(self._left.values())
        if left:
            gone = self._forecast - left
            # forecasts are wrong by one factor more than by chance: once enough is done, the pace counts
            seconds = left * (time.time() - self._began) / gone if gone > 60 else left / self._cores
            text += f", about {_duration(seconds)} left"
        return text

    def _table(self, state: str) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 1))
        for slug, paper in self._papers.items():
            bar = ProgressBar(total=max(paper.total, 1), completed=len(paper.done), width=20)
            table.add_row(slug, bar, Text(f"{paper.verdicts}  ({paper.runs()})" if paper.verdicts else paper.runs()))
        return Group(Text(state), table)


def _duration(seconds: float) -> str:
    return f"{10 * max(1, round(seconds / 10))} s" if seconds < 90 else f"{seconds / 60:.0f} min"
