"""The tiny paper from start to end in the environments of users; its tables and figures are the same in all of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from claimbench.commands.new_paper import new_paper
from claimbench.records.columns import TIMING_COLUMNS
from claimbench.tracking import local
from tests.environment.groups import NO_LOCKS, customized, group

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
#: what differs by the machine or the checkout, not by the user's settings
_OWN = {*TIMING_COLUMNS, "git_commit", "git_dirty"}
MATPLOTLIBRC = "backend: TkAgg\nfont.size: 23\naxes.facecolor: red\nsvg.fonttype: path\ntext.usetex: True\n"

pytestmark = pytest.mark.xdist_group("environment")


class World:
    """A folder with the tiny paper and an empty MLflow store.

    Args:
        root: the folder.
        store: an empty database of MLflow.
        results: where the results go.
    """

    def __init__(self, root: Path, store: Path, results: Path | None = None) -> None:
        self.root = root
        self.results = results or root / "results"
        self.results.mkdir(parents=True)
        shutil.copy(store, self.results / "mlflow.db")
        root.mkdir(exist_ok=True)
        (root / "papers").mkdir()
        new_paper("mini", root / "papers")

    def run(self, variables: dict[str, str | None], cores: str = "2", before: str = "") -> str:
        """One workflow from start to end.

        Args:
            variables: of the environment; None takes one away.
            cores: for Snakemake.
            before: shell commands that come first.

        Returns:
            What the user saw.
        """
        config = {
            "tier": "smoke",
            "papers": ["mini"],
            "papers_dir": str(self.root / "papers"),
            "results_dir": str(self.results),
            "data_dir": str(self.root / "data"),
            "bundle": "paper",
        }
        (self.root / "config.json").write_text(json.dumps(config), encoding="utf-8")
        environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "CI": "1", **variables}
        command = f'{before}\nexec "$0" -m snakemake -s "$1" --cores {cores} --configfile config.json'
        done = subprocess.run(
            [shutil.which("bash") or "bash", "-c", command, sys.executable, str(ROOT / "Snakefile")],
            cwd=self.root,
            env={name: value for name, value in environment.items() if value is not None},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
        )
        said = done.stdout.decode("utf-8", "replace")
        assert done.returncode == 0, said[-3000:]
        assert "4 runs: 4 done" in said
        return said

    @property
    def tier(self) -> Path:
        return self.results / "smoke"

    def found(self) -> dict[str, Any]:
        """Tables and figures byte for byte, of the runs all but what depends on the machine; what MLflow has."""
        found: dict[str, Any] = {}
        for path in sorted(self.tier.rglob("*")):
            name = str(path.relative_to(self.tier))
            if path.name == "runs.parquet":
                frame = pd.read_parquet(path)
                found[name] = frame[[column for column in frame if column not in _OWN]].to_csv()
            elif path.suffix in (".parquet", ".svg", ".png") and path.name != "costs.parquet":
                found[name] = path.read_bytes()
        page = (self.tier / "report" / "index.html").read_text(encoding="utf-8")
        found["letters of the page"] = sorted(set(page) - set(map(chr, range(128))))
        found["in MLflow"] = sorted(local.experiments(self.results))
        return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    local.ready(folder)
    return folder / "mlflow.db"


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, store: Path) -> dict[str, Any]:
    world = World(tmp_path_factory.mktemp("calm"), store)
    world.run({})
    found = world.found()
    assert {"papers/mini/figures/error.svg", "verdicts.parquet", "runs.parquet"} <= found.keys()
    assert found["letters of the page"]
    assert found["in MLflow"] == ["Default", "mini"]
    return found


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """A locale whose encoding is not UTF-8: Latin-1 where it can be made, else ASCII."""
    folder = tmp_path_factory.mktemp("locales")
    made = shutil.which("localedef") and subprocess.run(
        ["localedef", "-i", "en_US", "-f", "ISO-8859-1", folder / "en_US.ISO-8859-1"], capture_output=True
    )
    variables: dict[str, str | None] = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": None}
    if made and made.returncode == 0:
        return {**variables, "LOCPATH": str(folder), "LC_ALL": "en_US.ISO-8859-1"}
    return {**variables, "LC_ALL": "C"}


def test_a_foreign_locale_and_a_closed_umask(
    calm: dict[str, Any], store: Path, tmp_path: Path, foreign: dict[str, str | None]
) -> None:
    world = World(tmp_path / "world", store)
    said = world.run({**foreign, "PYTHONWARNDEFAULTENCODING": "1"}, before="umask 077")
    assert world.found() == calm
    said += "".join(path.read_text(encoding="latin-1") for path in world.tier.rglob("*.log"))
    ours = [line for line in said.splitlines() if "EncodingWarning" in line and "claimbench" in line]
    assert ours == []
    made = [path for path in world.tier.rglob("*") if path.stat().st_mode & 0o077]
    assert made == [], "open to others"


def test_quotes_in_a_path_on_another_file_system_and_settings_of_matplotlib(
    calm: dict[str, Any], store: Path, tmp_path: Path
) -> None:
    elsewhere = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else tmp_path
    (tmp_path / "matplotlibrc").write_text(MATPLOTLIBRC, encoding="utf-8")
    with tempfile.TemporaryDirectory(dir=elsewhere) as other:
        world = World(tmp_path / "a paper's (own) folder", store, Path(other) / 'it\'s (a) & b; c #1 "d" $HOME')
        notebook = "module://matplotlib_inline.backend_inline_that_is_not_here"
        world.run({"MPLBACKEND": notebook, "MATPLOTLIBRC": str(tmp_path)})
        assert world.found() == calm
        assert sorted(path.name for path in Path(other).iterdir()) == [world.results.name]
    assert sorted(path.name for path in world.root.iterdir()) == [".snakemake", "config.json", "papers"]


def test_no_home_no_git_and_data_that_cannot_be_written(calm: dict[str, Any], store: Path, tmp_path: Path) -> None:
    world = World(tmp_path / "world", store)
    (tmp_path / "bin").mkdir()
    for name in ("bash", "sh", "which"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    path = os.pathsep.join((str(BIN), str(tmp_path / "bin")))
    assert shutil.which("git", path=path) is None, "the environment's own folder has no git"
    world.run({"HOME": None, "PATH": path, "CLAIMBENCH_MIRROR": "/proc"})
    assert world.found() == calm
    assert pd.read_parquet(world.tier / "runs.parquet")["git_commit"].isna().all()


def test_a_home_that_cannot_be_written_settings_of_pip_no_locks_and_a_small_control_group(
    calm: dict[str, Any], store: Path, tmp_path: Path
) -> None:
    world = World(tmp_path / "world", store)
    group(tmp_path / "site", 700_000_000, "50000 100000")
    variables = customized(tmp_path / "site", NO_LOCKS)
    home = {"HOME": "/proc", "XDG_CACHE_HOME": None, "XDG_CONFIG_HOME": None}
    pip = {"PIP_NO_INDEX": "1", "PIP_REQUIRE_VIRTUALENV": "1", "PIP_CONFIG_FILE": "/nowhere/pip.conf"}
    said = world.run(
        {**variables, **home, **pip}, cores='$("$0" -c "from claimbench.execute.machine import cores; print(cores())")'
    )
    assert world.found() == calm
    said += "".join(path.read_text(encoding="utf-8") for path in world.tier.rglob("*.log"))
    assert "this file system has no locks (Function not implemented)" in said
    assert json.loads((world.tier / "timing.json").read_bytes())["cores"] == 1
