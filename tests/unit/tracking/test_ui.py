"""`claimbench ui`: a server of its own, or one sentence."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.conftest import PaperFolder

pytestmark = pytest.mark.filterwarnings("ignore")


def command(paper: PaperFolder, port: int) -> list[str]:
    return [sys.executable, "-m", "claimbench", "--config", str(paper.config_file()), "ui", "--port", str(port)]


def call(paper: PaperFolder, port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(paper, port), capture_output=True, encoding="utf-8", cwd=paper.root)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture
def database(paper: PaperFolder) -> Path:
    from claimbench.tracking import local

    local.ready(paper.root / "results")
    return paper.root / "results" / "mlflow.db"


def test_a_taken_port_is_refused(paper: PaperFolder, database: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = call(paper, port)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"claimbench: port {port} cannot be used (Address already in use); name another: claimbench ui --port N"
    ]


def test_without_a_store_one_sentence(paper: PaperFolder) -> None:
    done = call(paper, free_port())
    assert done.returncode == 1
    assert done.stderr.endswith("results/mlflow.db is not there yet; run snakemake first\n")
    assert not (paper.root / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_ends_it_ends_its_server(paper: PaperFolder, database: Path, number: signal.Signals) -> None:
    port = free_port()
    process = subprocess.Popen(
        command(paper, port), cwd=paper.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 120
    while True:
        assert time.monotonic() < end
        assert process.poll() is None
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(number)
    assert process.wait(30) == 128 + number
    _, alive = psutil.wait_procs(children, 10)
    assert not alive
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 5)
