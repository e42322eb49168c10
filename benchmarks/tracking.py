"""How long the import of finished runs into MLflow takes, and how large the store gets.

python benchmarks/tracking.py [RUNS [METRICS [URI]]]      # 10,000 runs with 20 metrics into a sqlite file
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.conftest import PaperFolder
from tests.server.synthetic import finished

from claimbench.tracking import importing


def main(runs: int = 10_000, metrics: int = 20, uri: str | None = None, keep: str | None = None) -> None:
    folder = Path(keep or tempfile.mkdtemp())
    plan = finished(PaperFolder(folder), runs, metrics, tracking={"uri": uri})
    for _ in range(2):
        wall, cpu = time.perf_counter(), time.process_time()
        print(importing.track(plan))
        print(f"  {time.perf_counter() - wall:.1f} s, {time.process_time() - cpu:.1f} CPU s")
    database = Path(plan.config.results_dir) / "mlflow.db"
    if database.is_file():
        print(f"{database}: {database.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(*(int(text) for text in arguments[:2]), *arguments[2:])
