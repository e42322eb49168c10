"""Into MLflow's database as rows, many runs in a transaction.

MLflow's client takes 40 CPU-ms a run for its ten transactions, and 4 CPU-s to start; this takes 1 ms. The rows
are the same (a test compares them). The database must have exactly the columns named here, else the client is used.
"""

from __future__ import annotations

import math
import shutil
import time
import uuid
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

from claimbench.tracking.client import ClientWriter
from claimbench.tracking.entries import Entry, Known, once

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, TableClause

#: what a write to these tables must fill, of MLflow 3.5 and later
_COLUMNS = {
    "experiments": "experiment_id name artifact_location lifecycle_stage creation_time last_update_time",
    "experiment_tags": "key value experiment_id",
    "runs": "run_uuid name source_type source_name entry_point_name user_id status start_time end_time deleted_time "
    "source_version lifecycle_stage artifact_uri experiment_id",
    "tags": "key value run_uuid",
    "params": "key value run_uuid",
    "metrics": "key value timestamp step is_nan run_uuid",
    "latest_metrics": "key value timestamp step is_nan run_uuid",
    "datasets": "dataset_uuid experiment_id name digest dataset_source_type dataset_source dataset_schema "
    "dataset_profile",
    "inputs": "input_uuid source_type source_id destination_type destination_id step",
    "input_tags": "input_uuid name value",
}
#: later versions have it, with a default of its own
_NEWER = {("experiments", "workspace")}
_RUNS_A_TRANSACTION = 200
#: how long others may hold the file, and a database may take to answer
_PATIENCE_S = 60
_CONNECT_S = 10
_LARGEST = 1.7976931348623157e308


class RowWriter:
    """One transaction for hundreds of runs, each of which is there as a whole or not at all."""

    def __init__(self, uri: str, engine: Engine) -> None:
        import sqlalchemy as sa

        self._uri, self._engine = uri, engine
        self._tables: dict[str, TableClause] = {
            name: sa.table(name, *map(sa.column, columns.split())) for name, columns in _COLUMNS.items()
        }

    @classmethod
    def open(cls, uri: str) -> RowWriter | None:
        """Nothing where the database is not one that MLflow made in a version that is known here."""
        import sqlalchemy as sa

        kind = uri.partition(":")[0].partition("+")[0]
        if kind not in ("sqlite", "postgresql"):
            return None
        if kind == "sqlite" and not Path(sa.make_url(uri).database or "").is_file():
            return None
        patience = {"timeout": _PATIENCE_S} if kind == "sqlite" else {"connect_timeout": _CONNECT_S}
        engine = sa.create_engine(uri, poolclass=sa.NullPool, connect_args=patience)
        found = sa.inspect(engine).get_multi_columns(filter_names=list(_COLUMNS))
        have = {name: {column["name"] for column in columns} for (_, name), columns in found.items()}
        for name, columns in _COLUMNS.items():
            if {c for c in have.get(name, ()) if (name, c) not in _NEWER} != set(columns.split()):
                return None
        return cls(uri, engine)

    def experiment(self, name: str, tags: dict[str, str], folder: Path | None) -> str:
        experiments, now = self._tables["experiments"], _now_ms()
        own = experiments.c.name == name
        with self._engine.begin() as connection:
            found = connection.execute(experiments.select().where(own)).one_or_none()
            if found is None and folder is not None:
                row = {"name": name, "artifact_location": folder.as_uri(), "lifecycle_stage": "active"}
                connection.execute(experiments.insert(), {**row, "creation_time": now, "last_update_time": now})
                found = connection.execute(experiments.select().where(own)).one()
                rows = [{"key": k, "value": v, "experiment_id": found.experiment_id} for k, v in tags.items()]
                if rows:
                    connection.execute(self._tables["experiment_tags"].insert(), rows)
        if found is None:  # only MLflow knows where its artifacts go
            return ClientWriter(self._uri).experiment(name, tags, None)
        if found.lifecycle_stage != "active":  # deleted in the UI; its runs stay deleted and are imported anew
            again = {"lifecycle_stage": "active", "last_update_time": now}
            with self._engine.begin() as connection:
                connection.execute(experiments.update().where(own).values(again))
        return str(found.experiment_id)

    def known(self, experiment: str) -> Known:
        runs, tags = self._tables["runs"], self._tables["tags"]
        asked = (
            runs.join(tags, runs.c.run_uuid == tags.c.run_uuid)
            .select()
            .with_only_columns(runs.c.run_uuid, runs.c.status, tags.c.key, tags.c.value)
            .where(runs.c.experiment_id == int(experiment), runs.c.lifecycle_stage == "active")
            .where(tags.c.key.in_(["run_key", "content"]))
        )
        with self._engine.begin() as connection:
            found: dict[str, dict[str, str]] = defaultdict(dict)
            for run_id, status, key, value in connection.execute(asked):
                found[run_id].update({"status": status, key: value})
            rows = ((r["run_key"], i, r["status"], r.get("content", "")) for i, r in found.items() if "run_key" in r)
            known, twice = once(rows)
            self._delete(connection, twice)
        return known

    def write(self, experiment: str, entries: list[Entry]) -> None:
        experiments = self._tables["experiments"]
        asked = experiments.select().where(experiments.c.experiment_id == int(experiment))
        with self._engine.begin() as connection:
            location = str(connection.execute(asked).one().artifact_location)
        local = urlsplit(location).scheme in ("", "file")
        own = [entry for entry in entries if local or not entry.files]
        for first in range(0, len(own), _RUNS_A_TRANSACTION):
            self._write(int(experiment), location, own[first : first + _RUNS_A_TRANSACTION])
        if uploads := [entry for entry in entries if entry.files and not local]:
            ClientWriter(self._uri).write(experiment, uploads)

    def _write(self, experiment: int, location: str, entries: list[Entry]) -> None:
        datasets = self._tables["datasets"]
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in _COLUMNS}
        with self._engine.begin() as connection:
            self._delete(connection, [entry.old for entry in entries if entry.old is not None])
            there = connection.execute(datasets.select().where(datasets.c.experiment_id == experiment))
            known = {(row.name, row.digest): row.dataset_uuid for row in there}
            for entry in entries:
                run_id = uuid.uuid4().hex
                artifacts = _below(location, run_id)
                _copy(entry.files, artifacts)
                _run_rows(rows, experiment, run_id, artifacts, entry)
                if entry.dataset is not None:
                    _dataset_rows(rows, experiment, run_id, entry.dataset, known)
            for name, made in rows.items():  # a run before what points at it
                if made:
                    connection.execute(self._tables[name].insert(), made)

    def _delete(self, connection: Connection, run_ids: list[str]) -> None:
        """As MLflow deletes: they are marked, and ``mlflow gc`` removes them."""
        runs = self._tables["runs"]
        gone = {"lifecycle_stage": "deleted", "deleted_time": _now_ms()}
        if run_ids:
            connection.execute(runs.update().where(runs.c.run_uuid.in_(run_ids)).values(gone))


def _run_rows(rows: dict[str, list[dict[str, Any]]], experiment: int, run_id: str, artifacts: str, one: Entry) -> None:
    rows["runs"].append(
        {
            "run_uuid": run_id,
            "name": one.name,
            "source_type": "UNKNOWN",
            "source_name": "",
            "entry_point_name": "",
            "user_id": "unknown",
            "status": one.status,
            "start_time": one.start_ms,
            "end_time": one.end_ms,
            "deleted_time": None,
            "source_version": "",
            "lifecycle_stage": "active",
            "artifact_uri": artifacts,
            "experiment_id": experiment,
        }
    )
    tags = {**one.tags, "mlflow.runName": one.name}
    rows["tags"] += [{"key": key, "value": value, "run_uuid": run_id} for key, value in tags.items()]
    rows["params"] += [{"key": key, "value": value, "run_uuid": run_id} for key, value in one.params.items()]
    # MLflow has no word for infinity, and zero with a mark for what is no number
    points = dict.fromkeys(
        (name, 0.0 if math.isnan(value) else max(-_LARGEST, min(float(value), _LARGEST)), step, math.isnan(value))
        for name, value, step in one.metrics
    )
    latest: dict[str, tuple[str, float, int, bool]] = {}
    for point in points:
        name, value, step, _ = point
        if name not in latest or (step, value) > (latest[name][2], latest[name][1]):
            latest[name] = point
    for table, which in (("metrics", points), ("latest_metrics", latest.values())):
        rows[table] += [
            {"key": name, "value": value, "timestamp": one.start_ms, "step": step, "is_nan": is_nan, "run_uuid": run_id}
            for name, value, step, is_nan in which
        ]


def _dataset_rows(
    rows: dict[str, list[dict[str, Any]]],
    experiment: int,
    run_id: str,
    dataset: tuple[str, str, str],
    known: dict[tuple[str, str], str],
) -> None:
    name, digest, source = dataset
    if (name, digest) not in known:
        known[name, digest] = uuid.uuid4().hex
        rows["datasets"].append(
            {
                "dataset_uuid": known[name, digest],
                "experiment_id": experiment,
                "name": name,
                "digest": digest,
                "dataset_source_type": "claimbench",
                "dataset_source": source,
                "dataset_schema": None,
                "dataset_profile": None,
            }
        )
    edge = uuid.uuid4().hex
    rows["inputs"].append(
        {
            "input_uuid": edge,
            "source_type": "DATASET",
            "source_id": known[name, digest],
            "destination_type": "RUN",
            "destination_id": run_id,
            "step": 0,
        }
    )
    rows["input_tags"].append({"input_uuid": edge, "name": "mlflow.data.context", "value": "training"})


def _below(location: str, run_id: str) -> str:
    """Where MLflow keeps a run's artifacts."""
    parts = urlsplit(location)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{run_id}/artifacts"))


def _copy(files: dict[str, list[Path]], artifacts: str) -> None:
    for folder, paths in files.items():
        for path in paths:
            target = Path(url2pathname(urlsplit(artifacts).path)) / folder
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)


def _now_ms() -> int:
    return int(time.time() * 1000)
