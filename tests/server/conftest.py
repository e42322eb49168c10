"""A private PostgreSQL and an MLflow server on it, started for the session."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

#: where Debian keeps what it does not put on the path
BINARIES = os.pathsep.join([os.environ["PATH"], *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"))[::-1])])


def missing() -> str:
    """Why no PostgreSQL can be started here, or nothing."""
    for program in ("initdb", "pg_ctl", "postgres"):
        if shutil.which(program, path=BINARIES) is None:
            return f"{program} is not installed (Debian: apt install postgresql)"
    if importlib.util.find_spec("psycopg2") is None:
        return "psycopg2 is not installed (make install)"
    return ""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The uri of an empty database; its superuser has no password and only this machine is answered."""
    why = missing()
    if why:
        if os.environ.get("CLAIMBENCH_REQUIRE_POSTGRES"):
            pytest.fail(f"CLAIMBENCH_REQUIRE_POSTGRES is set, but {why}")
        print(f"\nNO TRACKING SERVER TESTS: {why}", file=sys.stderr)
        pytest.skip(f"NO TRACKING SERVER TESTS: {why}")
    # PostgreSQL refuses to run as root; /tmp, as pytest's own folder is closed to others
    own = {}
    folder = tmp_path_factory.mktemp("postgres")
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        own = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        folder = Path(subprocess.check_output(["mktemp", "-d", "/tmp/claimbench-postgres.XXXXXX"], text=True).strip())
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    port, data, log = free_port(), folder / "data", folder / "log"

    def call(program: str, *arguments: str) -> None:
        path = shutil.which(program, path=BINARIES)
        # to a file: the server keeps what it inherits open, and a pipe would never end
        with open(folder / f"{program}.out", "w+", encoding="utf-8") as out:
            done = subprocess.run(
                [str(path), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=folder,
                timeout=120,
                check=False,
                **own,
            )
            out.seek(0)
            assert done.returncode == 0, (
                f"{program}: {out.read()[-2000:]}{log.read_text()[-2000:] if log.exists() else ''}"
            )

    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    try:
        call("initdb", "-D", str(data), "-U", "tracker", "-A", "trust", "-E", "UTF8", "--no-sync")
        call("pg_ctl", "start", "-w", "-D", str(data), "-l", str(log), "-o", settings)
        try:
            yield f"postgresql://tracker@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(data))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Server:
    """An MLflow server that can be killed and started again at the same address."""

    def __init__(self, store: str, folder: Path) -> None:
        self.store, self.folder, self.port = store, folder, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", self.store, "--host", "127.0.0.1"]
        command += [
            "--port",
            str(self.port),
            "--workers",
            "1",
            "--artifacts-destination",
            str(self.folder / "artifacts"),
        ]
        with open(self.folder / "server.log", "a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
            )
        wait(self._healthy, 120, f"an answer of the MLflow server ({self.folder / 'server.log'})")

    def _healthy(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
        try:
            return urllib.request.urlopen(f"{self.uri}/health", timeout=2).status == 200
        except OSError:
            return False

    def kill(self) -> None:
        """kill -9 of the server and its workers, as a power cut would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture(scope="session")
def running(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(postgres, tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server; what a test leaves in the toy paper's experiment is put away afterwards."""
    from mlflow import MlflowClient

    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    yield running
    if running._process is None:
        running.start()
    client = MlflowClient(tracking_uri=running.uri)
    experiment = client.get_experiment_by_name("toy-paper")
    if experiment is not None:
        # the name is free again for the next test
        client.rename_experiment(experiment.experiment_id, f"used-{experiment.experiment_id}")
