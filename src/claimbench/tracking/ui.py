"""The MLflow UI."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from claimbench import files
from claimbench.errors import UserError
from claimbench.spec.config import Config
from claimbench.tracking import local
from claimbench.tracking.importing import LOCK, QUIET, default_uri

#: what a server may take to end
_END_S = 10.0


def ui(config: Config, port: int) -> int:
    """Serve the MLflow UI on localhost until interrupted or ended.

    Raises:
        UserError: the port is taken, or nothing was imported yet.
    """
    uri = default_uri(config)
    if uri.startswith("http"):
        print(f"the runs are at {uri}")
        return 0
    _must_be_free(port)
    os.environ.update(QUIET)
    for name, number in _experiments(config, uri).items():
        if name != "Default":
            print(f"{name}: http://127.0.0.1:{port}/#/experiments/{number}/runs?workflowType=machine_learning")
    sys.stdout.flush()
    command = ["-m", "mlflow", "server", "--backend-store-uri", uri, "--host", "127.0.0.1", "--port", str(port)]
    # a session of its own, so that all of its processes are reached at once
    server = subprocess.Popen([sys.executable, *command, "--workers", "1"], start_new_session=True)
    with _ends_with_us(server):
        return server.wait()


def _experiments(config: Config, uri: str) -> dict[str, str]:
    if config.tracking.uri is not None:
        from mlflow import MlflowClient

        return {one.name: one.experiment_id for one in MlflowClient(tracking_uri=uri).search_experiments()}
    results = Path(config.results_dir).resolve()
    if not (results / local.FILE).is_file():
        raise UserError(f"{results / local.FILE} is not there yet; run snakemake first")
    with files.locked(results / LOCK):
        said = local.ready(results, server=True)
    if not (results / local.FILE).is_file():
        raise UserError(f"{said}; run snakemake first")
    if said:
        print(said)
    return local.experiments(results)


def _must_be_free(port: int) -> None:
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            probe.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"port {port} cannot be used ({why}); name another: claimbench ui --port N") from None


@contextlib.contextmanager
def _ends_with_us(server: subprocess.Popen[bytes]) -> Iterator[None]:
    """What ends this process ends the server's processes first."""

    def end(number: int, _: FrameType | None) -> None:
        _signal(server, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(_END_S)
        _signal(server, signal.SIGKILL)
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    try:
        yield
    finally:
        _signal(server, signal.SIGTERM)


def _signal(server: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(server.pid, number)
