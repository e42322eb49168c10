"""Curve points of long runs, sent to an MLflow server while they train.

A thread in the background reads the curves that a run keeps anyway and posts what is new, with the standard library
alone. Training never waits for it and hands it nothing, so a server that is slow or dead costs the run nothing: what
could not be sent is dropped when the run ends. The import after the runs (:mod:`claimbench.tracking`) replaces each
live run, found by its tag ``run_key``, with the complete record.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import ssl
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from claimbench.plan.cells import PlannedRun
from claimbench.plan.plan import Plan
from claimbench.run import Run
from claimbench.spec.reading import without_passwords

#: a run younger than this is not announced: it will be over before anyone looks
LONG_S = 10.0
EVERY_S = 2.0
#: seconds until a request is given up, and until another is tried after a failure
TIMEOUT_S = 5.0
PAUSE_S = 30.0
#: a job may end this much later for the last points of a run that the server knows
LAST_S = 1.0
_POINTS_A_REQUEST = 500


def run_name(experiment: str, method: str, dataset: str, setting: str, seed: int) -> str:
    """How a run is called in MLflow."""
    return " ".join(filter(None, (experiment, method, dataset, setting, f"s{seed}")))


def metric_name(name: str) -> str:
    """MLflow allows letters, digits and ``_-. :/``."""
    return "".join(c if c.isalnum() or c in "_-. :/" else "_" for c in name)


def experiment_tags(plan: Plan, paper: str) -> dict[str, str]:
    """What MLflow shows of a paper."""
    return {"title": plan.papers[paper].title, "mlflow.note.content": plan.papers[paper].summary}


@dataclass
class _Watched:
    planned: PlannedRun
    curves: dict[str, list[tuple[float, float]]]
    since: float = field(default_factory=time.monotonic)
    start_ms: int = field(default_factory=lambda: int(time.time() * 1000))
    #: MLflow's id, once the server has answered
    run_id: str | None = None
    sent: dict[str, int] = field(default_factory=dict)
    #: MLflow's word for how it ended
    ended: str | None = None


class Sender:
    """Sends the curves of one job's runs.

    Args:
        plan: names the server (``tracking.uri``) and the papers.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.base = (plan.config.tracking.uri or "").rstrip("/") + "/api/2.0/mlflow/"
        self._watched: list[_Watched] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._experiments: dict[str, str] = {}
        self._told = False

    def watch(self, planned: list[PlannedRun], runs: list[Run]) -> None:
        """From now on the points of ``runs`` are sent, once they have taken long enough."""
        self._watched += [_Watched(one, run.curves) for one, run in zip(planned, runs, strict=True)]
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="live tracking", daemon=True)
            with contextlib.suppress(RuntimeError):  # no more threads can be had: nothing is sent
                self._thread.start()

    def ended(self, status: str) -> None:
        """The watched runs are over; those that the server does not know need not be announced any more."""
        for watched in self._watched:
            watched.ended = watched.ended or ("FINISHED" if status == "done" else "FAILED")
        self._watched = [watched for watched in self._watched if watched.run_id is not None]

    def close(self) -> None:
        """Give the last points a moment."""
        self._stop.set()
        if self._thread is not None and self._thread.is_alive() and self._watched:
            self._thread.join(LAST_S)

    # ---- in the thread -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        resting = 0.0
        while True:
            last = self._stop.wait(EVERY_S)
            if time.monotonic() >= resting:
                try:
                    self._round()
                except Exception as error:  # whatever it is, the run goes on
                    resting = time.monotonic() + PAUSE_S
                    self._tell(error)
            if last:
                return

    def _round(self) -> None:
        for watched in list(self._watched):
            try:
                self._send(watched)
            except urllib.error.HTTPError as error:
                if error.code < 500:  # refused: asking again would end the same
                    self._forget(watched)
                raise

    def _send(self, watched: _Watched) -> None:
        if watched.run_id is None:
            if watched.ended or time.monotonic() - watched.since < LONG_S:
                return
            watched.run_id = self._announce(watched)
        ended = watched.ended  # asked before the last points are read
        for batch in _batches(watched):
            self._post("runs/log-batch", {"run_id": watched.run_id, "metrics": [point for _, point in batch]})
            for series, _ in batch:
                watched.sent[series] = watched.sent.get(series, 0) + 1
        if ended:
            now = int(time.time() * 1000)
            self._post("runs/update", {"run_id": watched.run_id, "status": ended, "end_time": now})
            self._forget(watched)

    def _forget(self, watched: _Watched) -> None:
        with contextlib.suppress(ValueError):  # the main thread may have been faster
            self._watched.remove(watched)

    def _announce(self, watched: _Watched) -> str:
        """The run at the server: the one that an interrupted process of the same run left, else a new one."""
        planned, cell = watched.planned, watched.planned.cell
        experiment = self._experiment(cell.paper)
        query = f"tags.run_key = '{planned.run_key}' and tags.live = 'true'"
        found = self._post("runs/search", {"experiment_ids": [experiment], "filter": query, "max_results": 1})
        for run in found.get("runs", []):
            run_id = str(run["info"]["run_id"])
            self._post("runs/update", {"run_id": run_id, "status": "RUNNING"})
            return run_id
        name = run_name(cell.experiment, cell.method, cell.dataset, cell.setting_string, planned.seed)
        tags = {
            "run_key": planned.run_key,
            "live": "true",
            "paper": cell.paper,
            "experiment": cell.experiment,
            "tier": cell.tier,
        }
        asked = {"experiment_id": experiment, "start_time": watched.start_ms, "run_name": name, "tags": _pairs(tags)}
        run_id = str(self._post("runs/create", asked)["run"]["info"]["run_id"])
        watched.run_id = run_id
        params = {
            "method": cell.method,
            "dataset": cell.dataset,
            "setting": cell.setting_string,
            "seed": str(planned.seed),
        }
        self._post("runs/log-batch", {"run_id": run_id, "params": _pairs(params)})
        return run_id

    def _experiment(self, paper: str) -> str:
        if paper not in self._experiments:
            query = "experiments/get-by-name?" + urllib.parse.urlencode({"experiment_name": paper})
            try:
                there = self._ask(query)["experiment"]
                found = there["experiment_id"]
                if there.get("lifecycle_stage") == "deleted":
                    self._post("experiments/restore", {"experiment_id": found})
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise
                tags = _pairs(experiment_tags(self.plan, paper))
                try:
                    found = self._post("experiments/create", {"name": paper, "tags": tags})["experiment_id"]
                except urllib.error.HTTPError:  # another job was faster
                    found = self._ask(query)["experiment"]["experiment_id"]
            self._experiments[paper] = str(found)
        return self._experiments[paper]

    def _post(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        return self._ask(path, json.dumps(content).encode())

    def _ask(self, path: str, content: bytes | None = None) -> dict[str, Any]:
        request = urllib.request.Request(self.base + path, content, {"Content-Type": "application/json"})
        with opened(request, TIMEOUT_S) as answer:
            return json.loads(answer.read() or b"{}")

    def _tell(self, error: Exception) -> None:
        if not self._told:
            self._told = True
            text = without_passwords(" ".join(str(error).split()) or type(error).__name__)[:200]
            print(
                f"tracking.live: {self.plan.config.tracking.uri} takes no points now ({text}); the runs go on, and the "
                "import after them brings everything",
                file=sys.stderr,
                flush=True,
            )


def _batches(watched: _Watched) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """What is new in the curves, a request's worth at a time. The time stamp is always that of the start, so that a
    point which is sent again after a lost answer is the same to MLflow."""
    new = (
        (series, {"key": metric_name(series), "value": _json(value), "step": int(step), "timestamp": watched.start_ms})
        for series, points in list(watched.curves.items())
        for step, value in points[watched.sent.get(series, 0) :]
    )
    while batch := list(itertools.islice(new, _POINTS_A_REQUEST)):
        yield batch


def _json(value: float) -> float | str:
    """MLflow's JSON has words for what is no number."""
    return value if abs(value) < float("inf") else {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]


def _pairs(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def opened(request: urllib.request.Request, timeout_s: float) -> Any:
    """The server's answer, asked with the name, password and certificates that MLflow's own client would use."""
    authorization = _authorization()
    if authorization:
        request.add_unredirected_header("Authorization", authorization)
    return urllib.request.urlopen(request, timeout=timeout_s, context=_tls(request.full_url))


def _authorization() -> str | None:
    """As MLflow's own client reads it from the environment."""
    user, password, token = (
        os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("USERNAME", "PASSWORD", "TOKEN")
    )
    if user and password:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return f"Bearer {token}" if token else None


def _tls(address: str) -> ssl.SSLContext | None:
    if not address.startswith("https"):
        return None
    context = ssl.create_default_context(cafile=os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or None)
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate := os.environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH"):
        context.load_cert_chain(certificate)
    return context
