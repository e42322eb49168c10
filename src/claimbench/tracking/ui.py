"""The MLflow UI."""

from __future__ import annotations

import os
import subprocess
import sys

from claimbench.spec.config import Config
from claimbench.tracking.importing import QUIET, default_uri


def ui(config: Config, port: int) -> int:
    """Serve the MLflow UI on localhost until interrupted."""
    from mlflow import MlflowClient

    uri = default_uri(config)
    if uri.startswith("http"):
        print(f"the runs are at {uri}")
        return 0
    os.environ.update(QUIET)
    for experiment in MlflowClient(tracking_uri=uri).search_experiments():
        if experiment.name != "Default":
            print(
                f"{experiment.name}: http://127.0.0.1:{port}/#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning"
            )
    command = [
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
    ]
    return subprocess.call(command)
