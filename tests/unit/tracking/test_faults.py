"""Faults that pass are told from those that stay; tracking never hides the scoreboard; nothing is cut silently."""

from __future__ import annotations

import ast
import copy
import http.server
import os
import re
import shlex
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from claimbench.errors import UserError
from claimbench.present import scoreboard
from claimbench.records import untracked
from claimbench.tracking import importing, local
from claimbench.tracking.client import ClientWriter
from claimbench.tracking.entries import Entry
from tests.conftest import PAPER, PaperFolder
from tests.unit.tracking.test_importing import finish

pytestmark = pytest.mark.filterwarnings("ignore")
ROOT = Path(__file__).resolve().parents[3]
ONE = {"experiments": {"toy-paper": ["location"]}}


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server that is alive and answers everything with one status."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("status", "passing"), [(401, False), (403, False), (404, False), (429, True), (503, True)])
def test_what_a_server_says_tells_whether_it_passes(
    paper: PaperFolder, monkeypatch: pytest.MonkeyPatch, status: int, passing: bool
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with answering(status) as uri:
        plan = finish(paper, **ONE, tracking={"uri": uri})
        with pytest.raises(UserError) as caught:
            importing.track(plan)
    said = str(caught.value)
    assert ("the next run imports them" in said) == passing
    assert ("are imported once this is mended" in said) == (not passing)


def test_a_database_that_cannot_be_opened_stays_so(paper: PaperFolder) -> None:
    plan = finish(paper, **ONE, tracking={"uri": "sqlite:////proc/nowhere/mlflow.db"})
    with pytest.raises(UserError, match="are imported once this is mended"):
        importing.track(plan)


def test_whatever_goes_wrong_the_scoreboard_is_shown(paper: PaperFolder, capsys: pytest.CaptureFixture[str]) -> None:
    plan = finish(paper, **ONE)
    (plan.tier_dir / "papers" / "toy-paper" / "curves.parquet").write_bytes(b"PAR1")
    said = importing.step(plan)
    assert "curves.parquet: Parquet file size is 4 bytes" in said
    capsys.readouterr()
    assert scoreboard.check(plan) == 1
    printed = capsys.readouterr()
    assert "8 runs: 8 done" in printed.out
    assert printed.err.splitlines() == [said]


def test_a_killed_import_leaves_its_word_for_the_scoreboard(
    paper: PaperFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shell command of the rule, with an import that is killed."""
    rules = (ROOT / "workflow" / "rules" / "results.smk").read_text(encoding="utf-8")
    (lines,) = re.findall(r"rule track:.*?shell:\n(.*?)\n\n", rules, re.DOTALL)
    command = ast.literal_eval(f"({lines})")
    plan = finish(paper, **ONE)
    done = plan.tier_dir / "papers" / "toy-paper" / "tracked.json"
    values = {"{resources.plan:q}": "x", "{wildcards.paper:q}": "toy-paper", "{output.done:q}": shlex.quote(str(done))}
    for name, value in {**values, "{log:q}": "/dev/null", "{{": "{", "}}": "}"}.items():
        command = command.replace(name, value)
    assert "{W" not in command
    stub = paper.root / "bin" / "claimbench"
    stub.parent.mkdir()
    stub.write_text("#!/bin/sh\nkill -9 $$\n", encoding="utf-8")
    stub.chmod(0o755)
    path = f"{stub.parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["bash", "-euo", "pipefail", "-c", command], env={**os.environ, "PATH": path}, check=True)
    capsys.readouterr()
    assert scoreboard.check(plan) == 1
    printed = capsys.readouterr()
    assert "8 runs: 8 done" in printed.out
    assert printed.err.splitlines() == ["an import into MLflow was cut off; the next run does it again"]
    assert not untracked.in_order(plan, "toy-paper")


def test_every_parameter_is_there_and_what_is_cut_is_said(paper: PaperFolder) -> None:
    from mlflow import MlflowClient

    spec = copy.deepcopy(PAPER)
    spec["hyper"] |= {f"p{i}": i for i in range(150)} | {"long": "x" * 7000}
    paper.write(spec)
    plan = finish(paper, **ONE)
    importing.track(plan)
    client = MlflowClient(tracking_uri=local.uri_of(Path(plan.config.results_dir)))
    experiment = client.get_experiment_by_name("toy-paper")
    runs = [run for run in client.search_runs([experiment.experiment_id]) if run.data.params]
    assert len(runs) == 8
    for run in runs:
        assert [run.data.params[f"hyper.p{i}"] for i in range(150)] == [str(i) for i in range(150)]
        assert run.data.params["hyper.long"] == "x" * 5000
        assert run.data.tags["cut"] == "hyper.long: 7000 characters, 5000 are kept"


def test_the_client_sends_more_than_a_hundred_parameters_and_restores_what_was_deleted(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    writer = ClientWriter(uri)
    experiment = writer.experiment("toy-paper", {}, tmp_path / "artifacts")
    params = {f"p{i}": str(i) for i in range(250)}
    metrics = [("loss", 0.5, step) for step in range(2000)]
    writer.write(experiment, [Entry("one", "FINISHED", 1, 2, {"run_key": "a", "content": "1"}, metrics, params)])
    client = writer._client
    (run,) = client.search_runs([experiment])
    assert run.data.params == params
    assert len(client.get_metric_history(run.info.run_id, "loss")) == 2000
    client.delete_experiment(experiment)
    assert writer.experiment("toy-paper", {}, None) == experiment
    assert set(writer.known(experiment)) == {"a"}
