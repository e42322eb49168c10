"""Import into a real MLflow store."""

from __future__ import annotations

import socket
import time

import pytest

from claimbench.errors import UserError
from claimbench.execute import local
from claimbench.judge.paper import judge_paper
from claimbench.present import scoreboard, tables
from claimbench.records import untracked
from claimbench.records.collect import collect, merge
from claimbench.tracking import importing
from tests.conftest import PARTS, PaperFolder

pytestmark = pytest.mark.filterwarnings("ignore")


def finish(paper: PaperFolder, **changes: object) -> object:
    plan = paper.plan(**changes)
    local.fit_and_score(plan, "toy-paper", "location")
    collect(plan, "toy-paper")
    judge_paper(plan, "toy-paper")
    tables.build(plan.papers["toy-paper"], plan.tier_dir)
    merge(plan)
    return plan


def test_import_is_idempotent_and_follows_changes(paper: PaperFolder) -> None:
    from mlflow import MlflowClient

    plan = finish(paper, experiments={"toy-paper": ["location"]})
    assert "8 runs imported, 0 replaced, 0 there already" in importing.track(plan)
    assert "0 runs imported, 0 replaced, 8 there already" in importing.track(plan)
    client = MlflowClient(tracking_uri=importing.default_uri(plan.config))
    experiment = client.get_experiment_by_name("toy-paper")
    runs = client.search_runs([experiment.experiment_id])
    (results,) = [run for run in runs if run.data.tags["run_key"] == "results/smoke"]
    assert sum(value for name, value in results.data.metrics.items() if name.startswith("verdicts/")) == 1
    logged = client.list_artifacts(results.info.run_id, "tables") + client.list_artifacts(results.info.run_id)
    assert {"tables/location.html", "tables/location.parquet", "verdicts.parquet"} <= {file.path for file in logged}
    runs = [run for run in runs if run is not results]
    assert len(runs) == 8
    run = next(r for r in runs if r.data.params["method"] == "median" and r.data.params["seed"] == "1")
    assert run.data.tags["status"] == "done"
    assert "C1: " in run.data.tags["verdicts"]
    assert run.data.params["hyper.shift"] == "0.5"
    assert set(run.data.metrics) >= {"test/error", "estimate", "wall_s"}
    assert run.info.end_time >= run.info.start_time > 0

    paper.write(parts=PARTS.replace("QUANTILE = 0.5", "QUANTILE = 0.52"))
    import sys

    for name in [name for name in sys.modules if name.startswith("claimbench.papers.toy_paper")]:
        del sys.modules[name]
    changed = finish(paper, experiments={"toy-paper": ["location"]})
    assert "4 runs imported" in importing.track(changed)


def test_a_dead_server_is_one_sentence(paper: PaperFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    plan = finish(paper, experiments={"toy-paper": ["location"]}, tracking={"uri": "http://127.0.0.1:9"})
    with pytest.raises(UserError, match="the runs are safe"):
        importing.track(plan)


def test_a_silent_server_keeps_no_core_waiting(paper: PaperFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "ANSWER_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        plan = finish(paper, experiments={"toy-paper": ["location"]}, tracking={"uri": uri})
        started = time.monotonic()
        with pytest.raises(UserError, match=r"cannot be used now \(timed out\)"):
            importing.track(plan)
    assert time.monotonic() - started < 5


def test_a_failure_is_noted_and_told_once_and_the_next_workflow_tries_again(
    paper: PaperFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = finish(paper, experiments={"toy-paper": ["location"]}, tracking={"uri": "http://127.0.0.1:9"})
    said = importing.step(plan)
    assert "the runs are safe" in said
    capsys.readouterr()
    assert scoreboard.check(plan) == 1
    printed = capsys.readouterr()
    assert "8 runs: 8 done" in printed.out
    assert printed.err.splitlines() == [said]
    marker = plan.tier_dir / "papers" / "toy-paper" / "tracked.json"
    assert marker.exists()
    assert not untracked.in_order(plan, "toy-paper")

    plan = finish(paper, experiments={"toy-paper": ["location"]})
    assert "8 runs imported" in importing.step(plan)
    assert scoreboard.check(plan) == 0
    assert untracked.in_order(plan, "toy-paper")


def test_a_wrong_uri_is_one_sentence(paper: PaperFolder) -> None:
    plan = finish(paper, experiments={"toy-paper": ["location"]}, tracking={"uri": "ftp://x"})
    with pytest.raises(UserError, match=r"tracking.uri is 'ftp://x'"):
        importing.track(plan)
