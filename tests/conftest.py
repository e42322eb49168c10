"""A small real paper, written into a temporary folder, on which the core is tested."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import shapes

shapes.install()

PAPER: dict[str, Any] = {
    "slug": "toy-paper",
    "title": "Estimators of location",
    "authors": ["A. Author"],
    "year": 2020,
    "hyper": {"n": 100, "shift": 0.5, "tail": 3.0},
    "experiments": {
        "location": {
            "title": "Error of two estimators of location",
            "metric": "test/error",
            "tiers": {
                "smoke": {"seeds": 2, "grid": [{"method": ["mean", "median"], "setting": {"k": [1, 2]}}]},
                "laptop": {"seeds": 4, "grid": [{"method": ["mean", "median"], "setting": {"k": [1, 2]}}]},
            },
        },
        "student": {
            "title": "An estimator that reads another's artifact",
            "metric": "test/error",
            "hyper": {"weight": 0.5},
            "tiers": {
                "smoke": {
                    "seeds": 2,
                    "grid": [
                        {
                            "method": "shrunk",
                            "setting": {"k": [1]},
                            "needs": [{"as": "teacher", "experiment": "location", "method": "mean"}],
                        }
                    ],
                }
            },
        },
    },
}

EXPERIMENTS = '''
"""Entries of the toy paper."""
from . import parts


def fit_location__mean(run, data):
    x = parts.sample(run)
    return {"x": x, "estimate": float(x.mean())}


def fit_location__median(run, data):
    x = parts.sample(run)
    run.curve("estimate", 1, parts.middle(x))
    return {"x": x, "estimate": parts.middle(x)}


def score_location(run, artifact, data):
    return {"test/error": abs(artifact["estimate"] - run.h.shift)}


def fit_student(run, data):
    return {"estimate": run.h.weight * run.inputs["teacher"]["estimate"]}


score_student = score_location
'''

PARTS = '''
"""Pieces of the toy paper."""
import numpy as np

QUANTILE = 0.5


def sample(run):
    """A sample."""
    return run.h.shift + run.rng("x").standard_t(run.h.tail, size=run.h.n * run.setting["k"])


def middle(x):
    # the median
    return float(np.quantile(x, QUANTILE))
'''

CLAIMS: dict[str, Any] = {
    "claims": [
        {
            "id": "C1",
            "title": "median",
            "text": "The median has the smaller error on heavy tails.",
            "headline": True,
            "kind": "better",
            "experiment": "location",
            "metric": "test/error",
            "higher_is_better": False,
            "a": {"method": "median"},
            "b": {"method": "mean"},
            "margin": 0.0,
            "margin_reason": "any advantage counts",
        }
    ]
}


class PaperFolder:
    """The toy paper in ``root`` and the configuration to run it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.papers = root / "papers"
        self.folder = self.papers / "toy_paper"
        self.folder.mkdir(parents=True)
        self.write()

    def write(self, paper: dict[str, Any] = PAPER, experiments: str = EXPERIMENTS, parts: str = PARTS) -> None:
        (self.folder / "__init__.py").write_text("")
        (self.folder / "paper.yaml").write_text(yaml.safe_dump(paper, sort_keys=False))
        (self.folder / "claims.yaml").write_text(yaml.safe_dump(CLAIMS, sort_keys=False))
        (self.folder / "experiments.py").write_text(experiments)
        (self.folder / "parts.py").write_text(parts)
        (self.folder / "published.csv").write_text(
            "experiment,method,dataset,setting,metric,value,spread,spread_kind,n,source,checked\n"
            "location,mean,none,k=1,test/error,0.1,0.01,sd,5,Table 1,read\n"
        )
        (self.folder / "figures.py").write_text("FIGURES = {}\n")

    def values(self, **changes: Any) -> dict[str, Any]:
        return {
            "tier": "smoke",
            "papers": ["toy-paper"],
            "papers_dir": str(self.papers),
            "results_dir": str(self.root / "results"),
            "data_dir": str(self.root / "data"),
            **changes,
        }

    def plan(self, **changes: Any) -> Any:
        from claimbench.plan.plan import make_plan
        from claimbench.spec.config import load_config

        return make_plan(load_config(None, self.values(**changes)))

    def config_file(self, **changes: Any) -> Path:
        path = self.root / "config.json"
        path.write_text(json.dumps(self.values(**changes)))
        return path


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PaperFolder:
    """A fresh toy paper; its modules are forgotten afterwards."""
    import sys

    import claimbench.papers

    monkeypatch.setattr(claimbench.papers, "__path__", list(claimbench.papers.__path__))
    monkeypatch.delenv("CLAIMBENCH_MIRROR", raising=False)
    for name in [name for name in sys.modules if name.startswith("claimbench.papers.toy_paper")]:
        monkeypatch.delitem(sys.modules, name)
    yield PaperFolder(tmp_path)
    for name in [name for name in sys.modules if name.startswith("claimbench.papers.toy_paper")]:
        del sys.modules[name]
