"""A Slurm of one node, started for the session."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def missing() -> str:
    """Why no cluster can be started here, or nothing."""
    for program in ("slurmctld", "slurmd", "munged", "sbatch", "squeue"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            return f"{program} is not installed (Debian: apt install slurm-wlm munge)"
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        return "the Slurm plugin is not installed (make install EXTRAS=dev,slurm)"
    if os.geteuid() != 0:
        return "the test cluster's daemons need root"
    return ""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cluster's scratch folder, while the cluster runs."""
    why = missing()
    if why:
        if os.environ.get("CLAIMBENCH_REQUIRE_SLURM"):
            pytest.fail(f"CLAIMBENCH_REQUIRE_SLURM is set, but {why}")
        print(f"\nNO SLURM TESTS: {why}", file=sys.stderr)
        pytest.skip(f"NO SLURM TESTS: {why}")
    folder = tmp_path_factory.mktemp("slurm")
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    try:
        # to files: the daemons keep what they inherit open, and a pipe would never end
        with open(folder / "start.log", "w", encoding="utf-8") as log:
            started = subprocess.run(
                [str(HERE / "start.sh"), str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                timeout=60,
                check=False,
            )
        if started.returncode:
            logs = "\n".join(path.read_text()[-2000:] for path in folder.glob("*.log"))
            pytest.fail(f"the cluster did not start:\n{logs}")
        yield folder
    finally:
        subprocess.run([str(HERE / "stop.sh"), str(folder)], env=environment, timeout=60, check=False)
