"""Tracking on a real MLflow server with PostgreSQL: imports that are cut off, and points of runs that still train."""

from __future__ import annotations

import base64
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from claimbench.errors import UserError
from claimbench.execute import runner
from claimbench.records.store import Store
from claimbench.tracking import importing, live
from claimbench.tracking.client import ClientWriter
from claimbench.tracking.rows import RowWriter
from tests.conftest import EXPERIMENTS, PaperFolder
from tests.server.conftest import Server, wait
from tests.server.synthetic import finished
from tests.unit.tracking import test_rows
from tests.unit.tracking.test_importing import finish
from tests.workflow.test_pipeline import command, environment, snakemake

pytestmark = [
    pytest.mark.xdist_group("server"),
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]

#: a fit that logs points until the test lets it end, at the latest after 20 seconds
SLOW = EXPERIMENTS.replace(
    "    x = parts.sample(run)\n    run.curve(",
    """    import os, time
    for step in range(2000):
        run.curve("progress", step, 0.5 * step)
        run.curve("odd name!", step, float("nan"))
        if os.path.exists(os.environ.get("TOY_END", "/")):
            break
        time.sleep(0.01)
    x = parts.sample(run)
    run.curve(""",
)


def client_of(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def stored(uri: str) -> list[Any]:
    """All runs of the toy paper in MLflow."""
    client = client_of(uri)
    experiment = client.get_experiment_by_name("toy-paper")
    runs: list[Any] = []
    token = None
    while experiment is not None:
        page = client.search_runs([experiment.experiment_id], max_results=500, page_token=token)
        runs += page
        token = page.token
        if not token:
            break
    return runs


def test_a_thousand_runs_and_a_server_killed_on_the_way(
    paper: PaperFolder, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    plan = finished(paper, 1000, 5, tracking={"uri": server.uri})
    failure: list[BaseException] = []

    def first() -> None:
        try:
            importing.track(plan)
        except BaseException as error:
            failure.append(error)

    first_import = threading.Thread(target=first)
    first_import.start()
    wait(lambda: len(stored(server.uri)) >= 200, 120, "the import of 200 runs")
    server.kill()
    first_import.join(60)
    assert not first_import.is_alive()
    (error,) = failure
    assert isinstance(error, UserError)
    assert f"tracking store {server.uri} cannot be used now" in str(error)
    assert "the runs are safe, the next run imports them" in str(error)
    assert "\n" not in str(error)

    server.start()
    before = {run.info.run_id for run in stored(server.uri) if run.info.status == "FINISHED"}
    assert 100 < len(before) < 1000
    said = importing.track(plan)
    runs = stored(server.uri)
    results = [run for run in runs if run.data.tags["run_key"] == "results/smoke"]
    assert len(results) == 1
    assert {run.info.status for run in runs} == {"FINISHED"}
    single = {run.data.tags["run_key"]: run for run in runs if run not in results}
    assert len(runs) - 1 == len(single) == 1000
    assert set(single) == {run.run_key for run in plan.runs}
    assert before <= {run.info.run_id for run in runs}, "what was finished is kept"
    assert f"{len(before)} there already" in said
    for run in plan.runs:
        logged = single[run.run_key].data
        k = run.cell.setting["k"]
        assert logged.metrics["test/error"] == 1.0 / (run.seed + k)
        assert [logged.metrics[f"test/m{i}"] for i in range(4)] == [run.seed + k + i for i in range(4)]
        assert logged.metrics["loss"] == 1 / 3
        assert logged.params["method"] == run.cell.method
        assert (logged.params["setting"], logged.params["seed"]) == (f"k={k}", str(run.seed))
    history = client_of(server.uri).get_metric_history(next(iter(single.values())).info.run_id, "loss")
    assert sorted((point.step, point.value) for point in history) == [(1, 1.0), (2, 1 / 2), (3, 1 / 3)]
    assert "0 runs imported, 0 replaced, 1000 there already" in importing.track(plan)


def test_a_run_that_is_there_twice_is_left_once(paper: PaperFolder, server: Server) -> None:
    """As when an answer of the server was lost and MLflow's client asked again."""
    plan = finish(paper, experiments={"toy-paper": ["location"]}, tracking={"uri": server.uri})
    importing.track(plan)
    client = client_of(server.uri)
    one = next(run for run in stored(server.uri) if run.data.params.get("method") == "mean")
    client.create_run(one.info.experiment_id, tags={"run_key": one.data.tags["run_key"]})
    assert len(stored(server.uri)) == 8 + 2
    assert "0 runs imported, 0 replaced, 8 there already" in importing.track(plan)
    assert len(stored(server.uri)) == 8 + 1
    assert one.info.run_id in {run.info.run_id for run in stored(server.uri)}


def test_an_experiment_that_was_deleted_there_is_back_for_imports_and_for_live_runs(
    paper: PaperFolder, server: Server
) -> None:
    plan = finished(paper, 4, 1, tracking={"uri": server.uri, "live": True})
    importing.track(plan)
    client = client_of(server.uri)
    number = client.get_experiment_by_name("toy-paper").experiment_id
    client.delete_experiment(number)
    assert live.Sender(plan)._experiment("toy-paper") == number
    assert client.get_experiment(number).lifecycle_stage == "active"
    client.delete_experiment(number)
    importing.track(plan)
    keys = [run.data.tags["run_key"] for run in stored(server.uri)]
    assert sorted(keys) == sorted([*(run.run_key for run in plan.runs), "results/smoke"])


def test_long_curves(paper: PaperFolder, server: Server) -> None:
    paper.write(
        experiments=EXPERIMENTS.replace(
            'run.curve("estimate", 1,', '[run.curve("long", i, i) for i in range(2500)]; run.curve("estimate", 1,'
        )
    )
    plan = finish(paper, experiments={"toy-paper": ["location"]}, tracking={"uri": server.uri})
    importing.track(plan)
    run = next(run for run in stored(server.uri) if run.data.params.get("method") == "median")
    assert len(client_of(server.uri).get_metric_history(run.info.run_id, "long")) == 2500


@pytest.fixture
def databases(postgres: str) -> list[str]:
    """The uris of two empty databases."""
    import psycopg2

    names = [f"own_{time.time_ns()}", f"other_{time.time_ns()}"]
    connection = psycopg2.connect(postgres)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"CREATE DATABASE {name}")
    connection.close()
    return [postgres.rpartition("/")[0] + f"/{name}" for name in names]


def test_rows_in_postgresql_are_the_clients(databases: list[str], tmp_path: Path) -> None:
    made, said = test_rows.entries(tmp_path / "made"), []
    for uri, own in zip(databases, (True, False), strict=True):
        writer: Any = ClientWriter(uri)
        if own:
            writer = RowWriter.open(uri)
            assert writer is not None
        test_rows.write(writer, tmp_path / "artifacts", made)
        said.append(test_rows.content(uri))
    assert said[0].keys() == said[1].keys()
    for table in said[0]:
        assert said[0][table] == said[1][table], table
    assert said[0]["metrics"]


def test_a_database_without_a_server(
    paper: PaperFolder, databases: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # MLflow puts the artifacts there
    plan = finish(paper, experiments={"toy-paper": ["location"]}, tracking={"uri": databases[0]})
    assert "8 runs imported" in importing.track(plan)
    assert "0 runs imported, 0 replaced, 8 there already" in importing.track(plan)
    (results,) = [run for run in stored(databases[0]) if run.data.tags["run_key"] == "results/smoke"]
    logged = client_of(databases[0]).list_artifacts(results.info.run_id, "tables")
    assert "tables/location.html" in {file.path for file in logged}
    assert len(stored(databases[0])) == 8 + 1


def test_a_dead_server_hides_no_scoreboard_and_the_next_run_catches_up(paper: PaperFolder, server: Server) -> None:
    config = {"experiments": {"toy-paper": ["location"]}, "tracking": {"uri": server.uri}}
    server.kill()
    failed = snakemake(paper, **config)
    assert failed.returncode == 1
    said = failed.stdout + failed.stderr
    assert "8 runs: 8 done" in said
    assert said.count(f"tracking store {server.uri} cannot be used now") == 1
    assert "Error in rule track" not in said
    assert (paper.root / "results" / "smoke" / "report" / "index.html").exists()

    server.start()
    again = snakemake(paper, **config)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "rule fit" not in again.stderr
    assert len(stored(server.uri)) == 8 + 1


# ---- live ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run counts as long."""
    for name, value in (("LONG_S", 0.0), ("EVERY_S", 0.1), ("TIMEOUT_S", 2.0), ("PAUSE_S", 1.0)):
        monkeypatch.setattr(live, name, value)


def fit_in_background(plan: Any) -> threading.Thread:
    job = next(job for job in plan.jobs.values() if any(run.cell.method == "median" for run in job.runs))
    thread = threading.Thread(target=lambda: runner.Runner(plan).fit(job))
    thread.start()
    return thread


def slow_plan(paper: PaperFolder, monkeypatch: pytest.MonkeyPatch, uri: str, **changes: Any) -> Any:
    monkeypatch.setenv("TOY_END", str(paper.root / "end"))
    paper.write(experiments=SLOW)
    return paper.plan(
        experiments={"toy-paper": ["location"]}, seeds=1, bundle="run", tracking={"uri": uri, "live": True}, **changes
    )


def records(plan: Any) -> list[dict[str, Any]]:
    found = Store(Path(plan.config.results_dir) / "store")
    return [r for run in plan.runs if (r := found.fit_record("toy-paper", run.fit_key)) is not None]


@pytest.mark.usefixtures("quick")
def test_points_are_there_while_the_run_trains(
    paper: PaperFolder, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = slow_plan(paper, monkeypatch, server.uri)
    thread = fit_in_background(plan)
    try:
        wait(lambda: any(run.data.metrics.get("progress", 0) > 20 for run in stored(server.uri)), 15, "live points")
        (run,) = stored(server.uri)
        assert run.info.status == "RUNNING"
        assert run.data.tags["run_key"] in {planned.run_key for planned in plan.runs}
        assert run.data.params["method"] == "median"
        assert "odd name_" in run.data.metrics
    finally:
        (paper.root / "end").touch()
        thread.join(30)
    (run,) = stored(server.uri)
    assert run.info.status == "FINISHED"
    (record,) = records(plan)
    history = client_of(server.uri).get_metric_history(run.info.run_id, "progress")
    assert sorted((p.step, p.value) for p in history) == [tuple(point) for point in record["curves"]["progress"]]

    # the import replaces it and leaves nothing twice
    plan = finish(paper, experiments={"toy-paper": ["location"]}, seeds=1, tracking={"uri": server.uri})
    assert ", 1 replaced, " in importing.track(plan)
    keys = [run.data.tags["run_key"] for run in stored(server.uri)]
    assert sorted(keys) == sorted([*(run.run_key for run in plan.runs), "results/smoke"])
    assert not [run for run in stored(server.uri) if "live" in run.data.tags]


@pytest.mark.usefixtures("quick")
def test_an_interrupted_run_goes_on_in_its_live_run(
    paper: PaperFolder, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = slow_plan(paper, monkeypatch, server.uri)
    job = next(job for job in plan.jobs.values() if any(run.cell.method == "median" for run in job.runs))
    arguments = ["--config", str(paper.config_file(**plan.config.model_dump())), "fit", "--job", job.id]
    code = f"from claimbench.commands import main\nfrom claimbench.tracking import live\nlive.LONG_S = live.EVERY_S = 0.1\nmain.main({arguments!r})"
    first = subprocess.Popen([sys.executable, "-c", code], env=os.environ, cwd=paper.root)
    try:
        wait(lambda: any(run.data.metrics.get("progress", 0) > 5 for run in stored(server.uri)), 30, "live points")
    finally:
        first.kill()
        first.wait()
    (before,) = stored(server.uri)
    assert before.info.status == "RUNNING"
    further = before.data.metrics["progress"] + 10
    thread = fit_in_background(plan)
    try:
        wait(lambda: stored(server.uri)[0].data.metrics["progress"] > further, 15, "more points")
    finally:
        (paper.root / "end").touch()
        thread.join(30)
    (after,) = stored(server.uri)
    assert after.info.run_id == before.info.run_id
    assert after.info.status == "FINISHED"


@contextmanager
def silent() -> Iterator[str]:
    """The address of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def dead() -> Iterator[str]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("server_at", [dead, silent])
def test_no_server_costs_the_run_nothing(
    paper: PaperFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], server_at: Any
) -> None:
    # a fixed amount of work without a sleep, so that waiting would show
    paper.write(
        experiments=EXPERIMENTS.replace(
            "    x = parts.sample(run)\n    run.curve(",
            "    import time\n    end = time.monotonic() + 3\n    step = 0\n    longest = 0.0\n"
            "    while time.monotonic() < end:\n        before = time.monotonic()\n        run.curve('progress', step, step)\n"
            "        longest = max(longest, time.monotonic() - before)\n        step += 1\n        time.sleep(0.001)\n"
            "    run.metric('train/longest', longest)\n    x = parts.sample(run)\n    run.curve(",
        )
    )
    with server_at() as uri:
        plan = paper.plan(
            experiments={"toy-paper": ["location"]}, seeds=1, bundle="run", tracking={"uri": uri, "live": True}
        )
        started = time.monotonic()
        job = next(job for job in plan.jobs.values() if any(run.cell.method == "median" for run in job.runs))
        runner.Runner(plan).fit(job)
        taken = time.monotonic() - started
    (record,) = records(plan)
    assert record["status"] == "done"
    assert record["wall_s"] < 3.5
    assert taken < record["wall_s"] + 0.5, "the end does not wait for the server"
    assert record["metrics"]["train/longest"] < 0.25, "no point waits for the server"
    assert len(record["curves"]["progress"]) > 500
    said = capsys.readouterr().err
    assert said.count("takes no points now") == 1
    assert "Traceback" not in said


@pytest.mark.usefixtures("quick")
def test_a_server_that_dies_on_the_way_costs_the_run_nothing(
    paper: PaperFolder, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = slow_plan(paper, monkeypatch, server.uri)
    thread = fit_in_background(plan)
    try:
        wait(lambda: stored(server.uri), 15, "the live run")
        server.kill()
        time.sleep(1)
    finally:
        (paper.root / "end").touch()
        started = time.monotonic()
        thread.join(30)
    assert time.monotonic() - started < 2
    assert [record["status"] for record in records(plan)] == ["done"]


# ---- secrets ---------------------------------------------------------------------------------------------------------

SECRET = "s3cr3t-marker-zebra"


class _Gate(http.server.BaseHTTPRequestHandler):
    """Lets only requests through to the MLflow server that carry the right name and password."""

    target = ""
    refused = 0
    passed: set[str] = set()  # noqa: RUF012

    def _pass(self) -> None:
        kind = type(self)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        wanted = "Basic " + base64.b64encode(f"ann:{SECRET}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            kind.refused += 1
            self._answer(401, b"You are not authenticated.")  # in words, as MLflow's own
            return
        kind.passed.add(self.headers.get("User-Agent", "").partition("/")[0])
        headers = {"Content-Type": self.headers.get("Content-Type") or "application/json"}
        request = urllib.request.Request(kind.target + self.path, body or None, headers, method=self.command)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                self._answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            self._answer(error.code, error.read())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def gate(server: Server) -> Iterator[str]:
    _Gate.target, _Gate.refused, _Gate.passed = server.uri, 0, set()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Gate) as gate:
        threading.Thread(target=gate.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{gate.server_address[1]}"
        gate.shutdown()


def places_of(secret: str, folder: Path) -> list[Path]:
    """The files below ``folder`` that hold the secret, as it is or as it is sent."""
    words = [secret.encode(), base64.b64encode(f"ann:{secret}".encode())]
    found = []
    for path in (path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":  # compressed
            content += str(pq.read_table(path).to_pylist()).encode()
        if any(word in content for word in words):
            found.append(path)
    return found


def test_the_scan_finds_a_secret(tmp_path: Path) -> None:
    import pyarrow as pa

    (tmp_path / "a.log").write_text(f"x {SECRET}")
    pq.write_table(pa.table({"reason": [f"x {SECRET}"]}), tmp_path / "b.parquet", compression="zstd")
    (tmp_path / "c.log").write_text("nothing")
    assert {path.name for path in places_of(SECRET, tmp_path)} == {"a.log", "b.parquet"}


def test_name_and_password_from_the_environment_are_used_and_written_nowhere(
    paper: PaperFolder, gate: str, server: Server
) -> None:
    experiments = "from claimbench.tracking import live\nlive.LONG_S, live.EVERY_S = 0.0, 0.1\n" + EXPERIMENTS.replace(
        "    x = parts.sample(run)\n    run.curve(",
        "    import time\n    for step in range(20):\n        run.curve('progress', step, step)\n        time.sleep(0.05)\n"
        "    x = parts.sample(run)\n    run.curve(",
    )
    paper.write(experiments=experiments)
    config = {"experiments": {"toy-paper": ["location"]}, "tracking": {"uri": gate, "live": True}}
    secrets = {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": SECRET, "PGPASSWORD": SECRET}
    token = {"MLFLOW_TRACKING_TOKEN": f"{SECRET}-token"}
    done = subprocess.run(
        command(paper, **config),
        cwd=paper.root,
        env={**environment(), **secrets, **token},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert SECRET not in done.stdout + done.stderr
    assert places_of(SECRET, paper.root) == []
    assert _Gate.refused == 0
    assert {"mlflow-python-client", "Python-urllib"} <= _Gate.passed, "both the import and the live points came through"
    assert len(stored(server.uri)) == 8 + 1


def test_a_wrong_password_is_one_sentence_without_it(
    paper: PaperFolder, gate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", f"{SECRET}-no")
    plan = finish(paper, experiments={"toy-paper": ["location"]}, tracking={"uri": gate})
    with pytest.raises(UserError, match="are imported once this is mended") as error:
        importing.track(plan)
    assert SECRET not in str(error.value)
    assert "401" in str(error.value)


@pytest.mark.parametrize(
    "uri",
    [
        f"postgresql://user:{SECRET}@127.0.0.1/db",
        f"postgresql://u@127.0.0.1/db?password={SECRET}",
        f"http://{SECRET}@127.0.0.1",
    ],
)
def test_a_password_in_the_uri_is_refused_and_shown_nowhere(paper: PaperFolder, uri: str) -> None:
    done = subprocess.run(
        command(paper, tracking={"uri": uri}),
        cwd=paper.root,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode != 0
    assert "tracking.uri is '" in done.stderr
    assert "MLFLOW_TRACKING_PASSWORD" in done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert not (paper.root / "results").exists() or places_of(SECRET, paper.root / "results") == []
