"""How long planning takes for very many runs: `claimbench plan` and `snakemake -n`, as processes of their own.

python benchmarks/planning.py            # 20,000 runs in bundles, and 2,500 runs with a job each (5,000 rule jobs)
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import copy

from tests.conftest import EXPERIMENTS, PAPER, PaperFolder

ROOT = Path(__file__).parents[1]


def synthetic(root: Path, experiments: int, levels: int, seeds: int) -> PaperFolder:
    """A paper with ``experiments`` x 2 methods x ``levels`` settings x ``seeds`` runs."""
    paper = PaperFolder(root)
    content = copy.deepcopy(PAPER)
    base = content["experiments"]["location"]
    block = {"seeds": seeds, "grid": [{"method": ["mean", "median"], "setting": {"k": list(range(1, levels + 1))}}]}
    content["experiments"] = {f"location{i}": {**base, "tiers": {"smoke": block}} for i in range(experiments)}
    aliases = "\n".join(
        f"fit_location{i}__mean = fit_location__mean\nfit_location{i}__median = fit_location__median\n"
        f"score_location{i} = score_location"
        for i in range(experiments)
    )
    paper.write(content, f"{EXPERIMENTS}\n\n{aliases}\n")
    return paper


def cpu_s(command: list[str], folder: Path) -> tuple[float, float]:
    """CPU and wall seconds of a process and its children."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - start


def main() -> None:
    for label, shape, bundle in (
        ("20,000 runs, bundle experiment", (20, 50, 10), "experiment"),
        ("5,000 jobs, bundle run", (10, 25, 5), "run"),
    ):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            config = synthetic(root, *shape).config_file(bundle=bundle, tracking={"enabled": False})
            plan = cpu_s([sys.executable, "-m", "claimbench", "--config", str(config), "plan"], root)
            dry = cpu_s(
                [
                    sys.executable,
                    "-m",
                    "snakemake",
                    "-s",
                    str(ROOT / "Snakefile"),
                    "-n",
                    "--quiet",
                    "all",
                    "--configfile",
                    str(config),
                ],
                root,
            )
            print(
                f"{label}: plan {plan[0]:.1f} CPU-s ({plan[1]:.1f} s wall), "
                f"snakemake -n {dry[0]:.1f} CPU-s ({dry[1]:.1f} s wall)"
            )


if __name__ == "__main__":
    main()
