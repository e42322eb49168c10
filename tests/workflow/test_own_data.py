"""A paper outside the package that brings its dataset and its split protocol: nothing else is edited."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from tests.conftest import PaperFolder
from tests.workflow.test_pipeline import environment, snakemake

PAPER: dict[str, Any] = {
    "slug": "toy-paper",
    "title": "The growth of ponderosa pines",
    "authors": ["A. Author"],
    "year": 2020,
    "hyper": {"powers": 2},
    "experiments": {
        "location": {
            "title": "Error on the tallest trees",
            "metric": "test/error",
            "split": {"protocol": "tallest", "share": 0.2},
            "tiers": {
                "smoke": {
                    "seeds": 2,
                    "grid": [{"method": ["mean", "median"], "dataset": "pines", "setting": {"k": [1]}}],
                }
            },
        }
    },
}
DATASETS = '''
"""Heights and volumes of trees, and a split that asks for the tallest."""

from __future__ import annotations

from dataclasses import dataclass

from claimbench.data.entries import Entry, File, Source
from claimbench.data.splits import SampleSplit, fraction


def trees(raw, file):
    """``x`` (n, 1) float32 heights, ``y`` (n,) float64 volumes."""
    import numpy as np

    table = np.loadtxt(raw / file, delimiter=",", skiprows=1)
    order = np.argsort(table[:, 0])
    return {"x": table[order, :1].astype(np.float32), "y": table[order, 1]}


@dataclass(frozen=True, kw_only=True)
class Tallest(SampleSplit):
    """The last ``share`` of the rows tests; a tenth of the others, drawn anew for each seed, validates."""

    name = "tallest"
    share: float = fraction(0.25)

    def choose(self, arrays, index):
        import numpy as np

        from claimbench.seeding import rng

        n = len(arrays["y"])
        known = n - round(self.share * n)
        drawn = rng(index, "tallest").permutation(known)
        val = known // 10
        return {"train": np.sort(drawn[val:]), "val": np.sort(drawn[:val]), "test": np.arange(known, n)}


DATASETS = (
    Entry(
        name="pines",
        title="Forty trees, height and volume",
        kind="table",
        loader=trees,
        options={"file": "pines.csv"},
        licence="CC0",
        citation="made up",
        url="",
        expect={"n_samples": 40, "n_features": 1},
        files=(File("pines.csv"),),
        sources=(Source("paper", "", {"pines.csv": "pines.csv"}),),
    ),
)
PROTOCOLS = (Tallest,)
'''
EXPERIMENTS = '''
"""Entries of the toy paper."""
import numpy as np


def fit_location(run, data):
    assert set(data.arrays) == {"x", "y", "train_idx", "val_idx"}, sorted(data.arrays)
    assert len(data.arrays["y"]) == 32
    centre = np.mean if run.method == "mean" else np.median
    return {"estimate": float(centre(data.arrays["y"][data.arrays["train_idx"]]))}


def score_location(run, artifact, data):
    return {"test/error": float(np.abs(data.arrays["test_y"] - artifact["estimate"]).mean())}
'''


def trees(factor: float = 1.0) -> str:
    return "height,volume\n" + "".join(f"{i / 2},{factor * i**2}\n" for i in range(1, 41))


def fits(paper: PaperFolder) -> set[Path]:
    return set((paper.root / "results" / "store").rglob("fit.json"))


def test_a_paper_with_its_own_dataset_and_split(paper: PaperFolder) -> None:
    paper.write(paper=PAPER, experiments=EXPERIMENTS)
    (paper.folder / "datasets.py").write_text(DATASETS)
    (paper.folder / "pines.csv").write_text(trees())
    done = snakemake(paper)
    assert done.returncode == 0, done.stderr[-3000:]
    smoke = paper.root / "results" / "smoke"
    runs = pd.read_parquet(smoke / "runs.parquet")
    assert set(runs["status"]) == {"done"}
    assert len(runs) == 4
    metrics = pd.read_parquet(smoke / "metrics.parquet")
    train = [i**2 for i in range(1, 33)]
    test = [i**2 for i in range(33, 41)]
    errors = metrics.merge(runs, on="run_key").query("metric == 'error' and method == 'mean'")["value"]
    assert errors.between(0.8 * (sum(test) / 8 - sum(train) / 32), 1.2 * (sum(test) / 8 - sum(train) / 32)).all()
    assert json.loads((smoke / "data" / "pines.json").read_text())["status"] == "ready"
    assert (smoke / "report" / "index.html").is_file()

    first = fits(paper)
    (paper.folder / "pines.csv").write_text(trees(2.0))
    again = snakemake(paper)
    assert again.returncode == 0, again.stderr[-3000:]
    assert len(fits(paper) - first) == 4, "other data are other runs"

    listed = subprocess.run(
        [sys.executable, "-m", "claimbench", "--config", str(paper.config_file()), "data", "list", "pines", "digits"],
        capture_output=True, text=True, env=environment(), cwd=paper.root, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert [line.split()[:2] for line in listed[1:]] == [["pines", "prepared"], ["digits", "offline"]]
