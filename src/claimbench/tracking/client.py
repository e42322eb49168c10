"""Into MLflow by its own client: for servers, and for databases whose tables are not those that we know."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from claimbench.tracking.entries import Entry, Known, once

#: MLflow takes at most 1,000 metrics, parameters and tags in one call, 100 of them parameters
_METRICS_A_CALL = 900
_PARAMS_A_CALL = 100
#: imported at a time: a server has several hands, a file has one
_WORKERS = 4


class ClientWriter:
    """Several calls a run.

    Args:
        uri: of a server or a database, whose tables are made where it is empty.
    """

    def __init__(self, uri: str) -> None:
        import logging

        logging.getLogger("alembic").setLevel(logging.WARNING)
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=uri)
        self._file = uri.startswith("sqlite")

    def experiment(self, name: str, tags: dict[str, str], folder: Path | None) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            if found.lifecycle_stage != "active":
                self._client.restore_experiment(found.experiment_id)
            return str(found.experiment_id)
        location = folder.as_uri() if folder else None
        return str(self._client.create_experiment(name, artifact_location=location, tags=tags))

    def known(self, experiment: str) -> Known:
        found: list[tuple[str, str, str, str]] = []
        token = None
        while True:
            page = self._client.search_runs([experiment], max_results=1000, page_token=token)
            found += [
                (run.data.tags["run_key"], run.info.run_id, run.info.status, run.data.tags.get("content", ""))
                for run in page
                if "run_key" in run.data.tags
            ]
            token = page.token
            if not token:
                break
        known, twice = once(found)
        for run_id in twice:  # only now: a deletion would move the pages
            self._client.delete_run(run_id)
        return known

    def write(self, experiment: str, entries: list[Entry]) -> None:
        if self._file:
            for entry in entries:
                self._write(experiment, entry)
            return
        with ThreadPoolExecutor(_WORKERS) as pool:
            pending = [pool.submit(self._write, experiment, entry) for entry in entries]
            try:
                for future in as_completed(pending):
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        # A request whose answer was lost is sent again by MLflow's client: the second run goes here.
        self.known(experiment)

    def _write(self, experiment: str, entry: Entry) -> None:
        """Its key is there from the first call on and it is RUNNING until the last: a run whose import was cut off is
        recognised and replaced."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

        client = self._client
        if entry.old is not None:
            client.delete_run(entry.old)
        run = client.create_run(experiment, start_time=entry.start_ms, run_name=entry.name, tags=entry.tags)
        run_id = run.info.run_id
        metrics = [Metric(name, value, entry.start_ms, step) for name, value, step in entry.metrics]
        params = [Param(name, value) for name, value in entry.params.items()]
        while metrics or params:
            client.log_batch(run_id, metrics[:_METRICS_A_CALL], params[:_PARAMS_A_CALL])
            metrics, params = metrics[_METRICS_A_CALL:], params[_PARAMS_A_CALL:]
        if entry.dataset is not None:
            name, digest, source = entry.dataset
            dataset = Dataset(name=name, digest=digest, source_type="claimbench", source=source)
            client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
        for folder, files in entry.files.items():
            for file in files:
                client.log_artifact(run_id, str(file), folder or None)
        client.set_terminated(run_id, entry.status, entry.end_ms)
