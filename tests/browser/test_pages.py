"""The report and the MLflow UI as a reader sees them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from typing import Any

import pytest

from claimbench.tracking import importing
from tests.conftest import PaperFolder
from tests.unit.present.test_report import page
from tests.unit.tracking.test_importing import finish

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]


def wait(condition: Any, seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.25)
    raise AssertionError("nothing appeared in time")


def test_report_sorts_filters_and_slides(paper: PaperFolder, browser: Any) -> None:
    page(paper)
    browser.get((paper.plan().tier_dir / "report" / "index.html").as_uri())
    text = browser.execute_script("return document.body.innerText")
    assert "ClaimBench" in text
    assert "10 of 10 runs" in text

    browser.execute_script(
        "const s = document.getElementById('run-search'); s.value = 'median k=2'; s.dispatchEvent(new Event('input'))"
    )
    assert browser.execute_script("return document.getElementById('runs-shown').textContent") == "2 of 10 runs"

    browser.execute_script("document.querySelector('#toy-paper td a[data-runs*=\"/mean/none/k=1\"]').click()")
    assert browser.execute_script("return document.getElementById('runs-shown').textContent") == "2 of 10 runs"

    browser.execute_script(
        "const s = document.querySelector('[data-filter=verdict]'); s.value = 'not run'; s.dispatchEvent(new Event('change'))"
    )
    assert browser.execute_script("return document.getElementById('shown').textContent") == "0 of 1 claims"

    column = "return [...document.querySelectorAll('#run-table tbody tr')].map(r => r.cells[8].textContent).map(Number)"
    browser.execute_script("document.querySelectorAll('#run-table th')[8].click()")
    values = browser.execute_script(column)
    assert values == sorted(values)
    browser.execute_script("document.querySelectorAll('#run-table th')[8].click()")
    assert browser.execute_script(column) == sorted(values, reverse=True)

    browser.execute_script(
        "const s = document.getElementById('margin'); s.value = 0; s.dispatchEvent(new Event('input'))"
    )
    assert browser.execute_script("return document.getElementById('margin-value').textContent") == "0.25"
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []


def test_mlflow_ui_shows_what_was_logged(paper: PaperFolder, browser: Any) -> None:
    from mlflow import MlflowClient

    plan = finish(paper, experiments={"toy-paper": ["location"]})
    importing.track(plan)
    uri = importing.default_uri(plan.config)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("toy-paper").experiment_id
    run = client.search_runs([experiment], filter_string="params.method = 'median'")[0]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--backend-store-uri",
            uri,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "1",
        ],
        env=environment,
        cwd=paper.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    base = f"http://127.0.0.1:{port}"
    try:

        def up() -> bool:
            try:
                return urllib.request.urlopen(f"{base}/health", timeout=2).status == 200
            except OSError:
                return False

        wait(up, 90)

        def shows(*words: str) -> Any:
            return lambda: all(word in browser.execute_script("return document.body.innerText") for word in words)

        browser.get(f"{base}/#/experiments/{experiment}/runs?workflowType=machine_learning")
        wait(shows("toy-paper", "location median"))
        browser.get(f"{base}/#/experiments/{experiment}/runs/{run.info.run_id}")
        wait(shows("hyper.shift", "test/error"))
    finally:
        server.terminate()
        server.wait(30)
