"""What the import of finished runs into MLflow costs, by rows and by MLflow's client, and how large the store gets.

python benchmarks/tracking.py [RUNS [METRICS [URI]]]      # 4,800 runs with 20 metrics into a sqlite file
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.conftest import PaperFolder
from tests.server.synthetic import finished

from claimbench.tracking import importing
from claimbench.tracking.client import ClientWriter
from claimbench.tracking.rows import RowWriter


@contextmanager
def told(what: str, runs: int = 0) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what}: {wall:.1f} s, {cpu:.2f} CPU-s" + (f", {1000 * cpu / runs:.2f} CPU-ms a run" if runs else ""))


def main(runs: int = 4800, metrics: int = 20, uri: str | None = None) -> None:
    by_rows = finished(PaperFolder(Path(tempfile.mkdtemp())), runs, metrics, tracking={"uri": uri})
    uri = importing.default_uri(by_rows.config)
    if uri.startswith("http"):
        with told("MLflow imported"):
            import mlflow  # noqa: F401
    else:
        with told("the database opened by its tables (nothing there)"):
            RowWriter.open(uri)
        with told("MLflow imported, the tables made"):
            ClientWriter(uri)
    with told("first import", runs):
        print(importing.track(by_rows))
    with told("again", runs):
        print(importing.track(by_rows))
    if uri.startswith("sqlite"):
        print(f"{Path(uri.removeprefix('sqlite:///')).stat().st_size / 1e6:.1f} MB")
        some = min(runs, 200)
        by_client = finished(PaperFolder(Path(tempfile.mkdtemp())), some, metrics)
        ClientWriter(importing.default_uri(by_client.config))
        RowWriter.open = classmethod(lambda cls, uri: None)  # type: ignore[method-assign, assignment]
        with told("first import by MLflow's client", some):
            print(importing.track(by_client))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(*(int(text) for text in arguments[:2]), *arguments[2:])
