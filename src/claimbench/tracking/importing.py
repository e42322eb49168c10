"""Import finished runs into MLflow. Jobs never talk to MLflow; this step catches up with whatever is missing."""

from __future__ import annotations

import json
import os
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claimbench.errors import UserError
from claimbench.files import digest
from claimbench.plan.plan import Plan
from claimbench.spec.config import Config
from claimbench.spec.reading import without_passwords
from claimbench.spec.words import VERDICTS
from claimbench.tracking.live import experiment_tags, metric_name, run_name

if TYPE_CHECKING:
    from mlflow import MlflowClient


#: MLflow takes at most 1,000 metrics, parameters and tags in one call, 100 of them parameters
_METRICS_A_CALL = 900
_PARAMS = 100
#: imported at a time: a server has several hands, a file has one
_WORKERS = 4
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
#: MLflow's own defaults try a dead server for minutes; what is set in the environment stays
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}


def default_uri(config: Config) -> str:
    """The configured server, or a sqlite file in the results folder."""
    return config.tracking.uri or f"sqlite:///{Path(config.results_dir).resolve() / 'mlflow.db'}"


def track(plan: Plan) -> str:
    """Import every finished run of the tier that the store lacks, replace those whose record changed, leave the rest.

    Returns:
        One sentence with the counts and the address.

    Raises:
        UserError: the tracking store cannot be reached; nothing is lost, the next call catches up.
    """
    import logging

    os.environ.update(QUIET)
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    import pyarrow.parquet as pq
    from mlflow import MlflowClient

    uri = default_uri(plan.config)
    read = {
        name: pq.read_table(plan.tier_dir / f"{name}.parquet").to_pylist()
        for name in ("runs", "metrics", "curves", "verdicts")
    }
    if not uri.startswith(("http", "sqlite", "postgresql", "mysql")):
        raise UserError(
            f"config.yaml: tracking.uri is {uri!r}; it must be an http address of a server or a database uri"
        )
    with _alone(Path(plan.config.results_dir) / ".tracking.lock"):
        try:
            client = MlflowClient(tracking_uri=uri)
            new, replaced, kept = _import(client, plan, read)
        except Exception as error:
            text = without_passwords(" ".join(str(error).split()))[:300]
            raise UserError(
                f"tracking store {uri} cannot be used now ({text}); the runs are safe, the next run imports them"
            ) from error
    return f"MLflow: {new} runs imported, {replaced} replaced, {kept} there already; `claimbench ui` shows them"


def _import(client: MlflowClient, plan: Plan, read: dict[str, list[dict[str, Any]]]) -> tuple[int, int, int]:
    values: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    for row in read["metrics"]:
        values[row["run_key"]].append((f"{row['split']}/{row['metric']}", 0.0, row["value"]))
    for row in read["curves"]:
        values[row["run_key"]].append((row["series"], row["step"], row["value"]))
    verdicts: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in read["verdicts"]:
        verdicts[row["paper"], row["experiment"]].append(f"{row['claim_id']}: {row['verdict']}")
    new = replaced = kept = 0
    for paper in plan.papers:
        experiment = _experiment(client, plan, paper)
        have = _known(client, experiment)
        todo: list[_Todo] = []
        for row in (row for row in read["runs"] if row["paper"] == paper):
            said = verdicts[paper, row["experiment"]]
            # a value that was not a number is null in the tables
            measured = sorted(value for value in values[row["run_key"]] if value[2] is not None)
            content = digest([row["run_key"], row["status"], row["reason"], row["started_utc"], measured, said])
            old = have.get(row["run_key"])
            if old is not None and old[1] == content:
                kept += 1
                continue
            new, replaced = (new + 1, replaced) if old is None else (new, replaced + 1)
            todo.append(_Todo(row, measured, said, content, old[0] if old else None))
        _log_all(client, experiment, todo)
        _paper_results(client, experiment, plan, paper, have, read["verdicts"])
        if todo and not client.tracking_uri.startswith("sqlite"):
            # A request whose answer was lost is sent again by MLflow's client: the second run goes here.
            _known(client, experiment)
    return new, replaced, kept


@dataclass(frozen=True)
class _Todo:
    """A run to be written, in place of ``old`` if that is there."""

    row: dict[str, Any]
    values: list[tuple[str, float, float]]
    verdicts: list[str]
    content: str
    old: str | None


def _log_all(client: MlflowClient, experiment: str, todo: list[_Todo]) -> None:
    if client.tracking_uri.startswith("sqlite"):
        for one in todo:
            _log(client, experiment, one)
        return
    with ThreadPoolExecutor(_WORKERS) as pool:
        pending = [pool.submit(_log, client, experiment, one) for one in todo]
        try:
            for future in as_completed(pending):
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _log(client: MlflowClient, experiment: str, todo: _Todo) -> None:
    """Write one run. Its key is there from the first call on and it is RUNNING until the last: a run whose import was
    cut off is recognised and replaced."""
    from mlflow.entities import Metric, Param

    row = todo.row
    if todo.old is not None:
        client.delete_run(todo.old)
    start = int(datetime.fromisoformat(row["started_utc"]).timestamp() * 1000) if row["started_utc"] else 0
    tags = {
        "run_key": row["run_key"],
        "content": todo.content,
        "paper": row["paper"],
        "experiment": row["experiment"],
        "tier": row["tier"],
        "status": row["status"],
        "reason": row["reason"],
        "verdicts": "; ".join(todo.verdicts),
        "git_commit": row["git_commit"] or "",
        "code_fp": row["code_fp"],
        "data_fp": row["data_fp"],
        "device": row["device_name"] or "",
    }
    name = run_name(row["experiment"], row["method"], row["dataset"], row["setting"], row["seed"])
    run = client.create_run(
        experiment, start_time=start, run_name=name, tags={key: str(value)[:5000] for key, value in tags.items()}
    )
    params = {
        "method": row["method"],
        "dataset": row["dataset"],
        "setting": row["setting"],
        "seed": row["seed"],
        **{f"hyper.{key}": value for key, value in json.loads(row["config_json"])["hyper"].items()},
    }
    metrics = [Metric(metric_name(n), v, start, int(s)) for n, s, v in todo.values]
    metrics += [Metric(n, row[n], start, 0) for n in ("wall_s", "cpu_s", "peak_rss_mb") if row[n] is not None]
    for first in range(0, max(len(metrics), 1), _METRICS_A_CALL):
        client.log_batch(
            run.info.run_id,
            metrics=metrics[first : first + _METRICS_A_CALL],
            params=[Param(k, str(v)[:5000]) for k, v in list(params.items())[:_PARAMS]] if first == 0 else (),
        )
    if row["dataset"] != "none":
        _dataset_input(client, run.info.run_id, row)
    end = start + int(1000 * (row["wall_s"] or 0))
    client.set_terminated(run.info.run_id, "FINISHED" if row["status"] == "done" else "FAILED", end)


def _paper_results(
    client: MlflowClient,
    experiment: str,
    plan: Plan,
    paper: str,
    have: dict[str, tuple[str, str]],
    verdicts: list[dict[str, Any]],
) -> None:
    """One run a paper and tier for what stands above the single runs: verdict counts, and as artifacts the regenerated
    tables, the figures and the verdicts."""
    from mlflow.entities import Metric, RunTag

    folder = plan.tier_dir / "papers" / paper
    own = [row for row in verdicts if row["paper"] == paper]
    files = {
        kind: sorted(path for path in (folder / kind).glob("*") if path.is_file()) for kind in ("tables", "figures")
    }
    files[""] = [path for path in (folder / "verdicts.parquet",) if path.is_file()]
    shown = [path for paths in files.values() for path in paths]
    key = f"results/{plan.config.tier}"
    content = digest([own, [(path.name, digest(path.read_bytes().hex())) for path in shown]])
    if key in have:
        run_id, known = have[key]
        if known == content:
            return
        client.delete_run(run_id)
    run = client.create_run(experiment, run_name=f"tables and verdicts, {plan.config.tier}")
    for place, paths in files.items():
        for path in paths:
            client.log_artifact(run.info.run_id, str(path), place or None)
    count = Counter(row["verdict"] for row in own)
    now = int(time.time() * 1000)
    tags = {"run_key": key, "content": content, "paper": paper, "tier": plan.config.tier}
    client.log_batch(
        run.info.run_id,
        metrics=[Metric(metric_name(f"verdicts/{word}"), count[word], now, 0) for word in VERDICTS],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )
    client.set_terminated(run.info.run_id)


def _experiment(client: MlflowClient, plan: Plan, paper: str) -> str:
    found = client.get_experiment_by_name(paper)
    if found is not None:
        return str(found.experiment_id)
    folder = Path(plan.config.results_dir).resolve() / "mlartifacts" / paper
    tags = experiment_tags(plan, paper)
    if plan.config.tracking.uri:
        return str(client.create_experiment(paper, tags=tags))
    return str(client.create_experiment(paper, artifact_location=folder.as_uri(), tags=tags))


def _known(client: MlflowClient, experiment: str) -> dict[str, tuple[str, str]]:
    """run key -> (MLflow's run id, content digest) of the runs that are there; of two with one key, one is deleted."""
    found: dict[str, tuple[str, str]] = {}
    twice: list[str] = []
    token = None
    while True:
        page = client.search_runs([experiment], max_results=1000, page_token=token)
        for run in page:
            if "run_key" not in run.data.tags:
                continue
            key = run.data.tags["run_key"]
            # a live run, and one that an earlier import did not finish, is imported again
            content = run.data.tags.get("content", "") if run.info.status in ("FINISHED", "FAILED") else ""
            one = (run.info.run_id, content)
            if key in found:
                one, other = (one, found[key]) if content else (found[key], one)
                twice.append(other[0])
            found[key] = one
        token = page.token
        if not token:
            break
    for run_id in twice:  # only now: a deletion would move the pages
        client.delete_run(run_id)
    return found


def _dataset_input(client: MlflowClient, run_id: str, row: dict[str, Any]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=row["dataset"],
        digest=row["data_fp"][:8],
        source_type="claimbench",
        source=json.dumps({"registry": row["dataset"]}),
    )
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


class _alone:
    """One importer at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        import fcntl

        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(self.path, "w")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.file.close()
