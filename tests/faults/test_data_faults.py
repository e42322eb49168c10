"""What happens to datasets: they vanish, arrive cut off or changed, or are spoiled where they lie. Each fault ends in
a plain sentence and skipped cells, and the next run with the right files in the tables of an undisturbed one.
"""

from __future__ import annotations

import copy
import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import EXPERIMENTS, PAPER
from tests.faults.test_faults import World
from tests.workflow.test_pipeline import tables

MIRROR = Path(os.environ.get("CLAIMBENCH_MIRROR") or "/nowhere") / "planetoid"
pytestmark = pytest.mark.skipif(not MIRROR.is_dir(), reason="needs a mirror with Cora: CLAIMBENCH_MIRROR")

LABELS = """

def fit_labels(run, data):
    import numpy as np
    return {"most": int(np.bincount(data.arrays["y"][data.arrays["train_idx"]]).argmax())}


def score_labels(run, artifact, data):
    return {"test/error": float((data.arrays["test_y"] != artifact["most"]).mean())}
"""


class DataWorld(World):
    """The toy paper with an experiment on a small real graph that comes from a mirror."""

    def __init__(self, root: Path, draw: random.Random) -> None:
        super().__init__(root, draw)
        changed = copy.deepcopy(PAPER)
        changed["experiments"]["labels"] = {
            "title": "The most frequent label",
            "metric": "test/error",
            "split": {"protocol": "random"},
            "tiers": {"smoke": {"seeds": 2, "grid": [{"method": "majority", "dataset": "cora"}]}},
        }
        self.paper.write(changed, EXPERIMENTS + LABELS)
        self.mirror = root / "mirror" / "planetoid"
        self.mirror.mkdir(parents=True)
        for path in MIRROR.glob("ind.cora.*"):
            shutil.copy(path, self.mirror)
        self.variables = {"CLAIMBENCH_MIRROR": str(self.mirror.parent)}

    def any_file(self) -> Path:
        return self.draw.choice(sorted(self.mirror.iterdir()))

    def skipped(self) -> str:
        """The reasons of the skipped cells, which are exactly those of the dataset."""
        runs = pd.read_parquet(self.tier / "runs.parquet")
        gone = runs[runs["status"] == "skipped"]
        assert set(gone["experiment"]) == {"labels"}, runs[["experiment", "status", "reason"]]
        assert len(gone) == 2
        assert set(runs[runs["experiment"] != "labels"]["status"]) == {"done"}
        return "".join(gone["reason"])


@contextmanager
def put_aside(path: Path) -> Iterator[None]:
    kept = path.read_bytes()
    try:
        yield
    finally:
        path.write_bytes(kept)


def vanished(world: DataWorld) -> str:
    path = world.any_file()
    with put_aside(path):
        path.unlink()
        code, output = world.run()
        assert code == 0, output[-3000:]
        said = world.skipped()
        assert f"{path.name} does not exist" in said
    world.retry()
    return output + said


def truncated(world: DataWorld) -> str:
    path = world.any_file()
    with put_aside(path):
        path.write_bytes(path.read_bytes()[: world.draw.randrange(path.stat().st_size)])
        code, output = world.run()
        assert code == 0, output[-3000:]
        said = world.skipped()
    world.retry()
    return output + said


def changed_on_the_way(world: DataWorld) -> str:
    path = world.any_file()
    with put_aside(path):
        content = bytearray(path.read_bytes())
        content[world.draw.randrange(len(content))] ^= 1
        path.write_bytes(bytes(content))
        code, output = world.run()
        assert code == 0, output[-3000:]
        said = world.skipped()
    world.retry()
    return output + said


def cut_off_in_the_data_folder(world: DataWorld) -> str:
    """A file of the data folder is cut off after it was used, and what was prepared from it is gone."""
    code, output = world.run()
    assert code == 0, output[-3000:]
    raw = world.root / "data" / "cora" / "raw"
    path = world.draw.choice(sorted(raw.glob("ind.*")))
    path.write_bytes(path.read_bytes()[:100])
    for other in (world.root / "data" / "cora").iterdir():
        if other != raw:
            shutil.rmtree(other) if other.is_dir() else other.unlink()
    shutil.rmtree(world.root / "results")
    return world.run()[1]


def prepared_is_garbage(world: DataWorld) -> str:
    """The user is told which folder to remove."""
    code, output = world.run()
    assert code == 0, output[-3000:]
    folder = world.root / "data" / "cora" / "prepared"
    spoiled = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 0]
    assert spoiled
    for path in spoiled:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    shutil.rmtree(world.root / "results")
    code, output = world.run()
    assert code != 0
    shutil.rmtree(folder)
    if (world.tier / "runs.parquet").exists():
        output += "".join(reason for _, reason in world.reasons())
        world.retry()
    return output


def data_folder_lost(world: DataWorld) -> str:
    code, output = world.run()
    assert code == 0, output[-3000:]
    shutil.rmtree(world.root / "data")
    shutil.rmtree(world.root / "results")
    return world.run()[1]


FAULTS: dict[str, tuple[Callable[[DataWorld], str], str]] = {
    "dataset vanished": (vanished, r"mirror planetoid: .* does not exist"),
    "dataset truncated": (truncated, r"mirror planetoid: checksum: ind\.cora\.\S+ has \d+ bytes, expected \d+"),
    "dataset changed": (changed_on_the_way, r"mirror planetoid: checksum: ind\.cora\.\S+ has sha256"),
    "raw file cut off": (cut_off_in_the_data_folder, ""),
    "prepared data spoiled": (prepared_is_garbage, r"cannot be read.*remove its folder to prepare the dataset again"),
    "data folder lost": (data_folder_lost, ""),
}


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    world = DataWorld(tmp_path_factory.mktemp("calm"), random.Random(0))
    code, output = world.run()
    assert code == 0, output[-3000:]
    return tables(world.paper)


@pytest.mark.parametrize("turn", range(int(os.environ.get("CLAIMBENCH_DRILL", "1"))))
@pytest.mark.parametrize("name", FAULTS)
def test_data_fault(name: str, turn: int, tmp_path: Path, calm: dict[str, Any]) -> None:
    inject, seen = FAULTS[name]
    world = DataWorld(tmp_path, random.Random(f"{name} {turn}"))
    output = inject(world)
    assert re.search(seen, output), output[-3000:]
    assert "Traceback" not in output, output[-3000:]
    code, last = world.run()
    assert code == 0, last[-3000:]
    assert tables(world.paper) == calm
