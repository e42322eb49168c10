"""Collections with judged queries and tables of architectures: what is known, what is asked, what is held back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from claimbench import data
from claimbench.data.preparation import load
from claimbench.data.registry import get
from claimbench.data.sets.retrieval import smart
from claimbench.data.sets.searches import nas_bench_macro
from claimbench.data.splits.given import AsGiven
from claimbench.errors import UserError


def test_records_of_the_smart_system(tmp_path: Path) -> None:
    (tmp_path / "docs").write_text(
        ".I 1\n.T\nwings\n.A\nsomebody\n.W\nwings\n in  a stream\n.I 2\n.T\nA title.\n.W\nAnother text\n.I 3\n.T\n.W\n"
    )
    (tmp_path / "queries").write_text(".I 001\n.W\nwhat is\na wing\n.I 007\n.W\nwhy\n")
    (tmp_path / "judged").write_text("1 2 1 \n2 1 4\n2 3 -1\n")
    graded = smart(tmp_path, "docs", "queries", "judged", True)
    assert graded["docs"].tolist() == [b"wings in a stream", b"A title. Another text", b""]
    assert graded["x"].tolist() == [b"what is a wing", b"why"], "the second query is number 2 of the judgements"
    assert graded["y"].tolist() == [[0, 4, 0], [1, 0, 0]]
    assert smart(tmp_path, "docs", "queries", "judged", False)["y"].tolist() == [[0, 1, 0], [1, 0, 1]]
    (tmp_path / "judged").write_text("0 2 1\n")
    with pytest.raises(ValueError, match="judges query 0"):
        smart(tmp_path, "docs", "queries", "judged", False)


@pytest.mark.parametrize("name, judged, pairs", [("cranfield", 225, 1612), ("cisi", 76, 3114)])
def test_collections_with_judgements(name: str, judged: int, pairs: int, mirror: Path, shared_root: Path) -> None:
    given = {"protocol": "as-given", "queries": "visible"}
    cut = {"protocol": "random", "train": 0.5, "val": 0.1, "test": 0.4}
    hidden = {"protocol": "as-given"}
    data.prepare(name, [(given, 0), (hidden, 0), (cut, 2)], shared_root, mirror)
    fit, score = data.load_fit(name, given, 5, shared_root), data.load_score(name, given, 5, shared_root)
    assert set(fit.arrays) == {"docs", "test_x"}
    assert set(score.arrays) == {"docs", "test_x", "test_y"}
    assert (score.arrays["test_y"].max(1) > 0).sum() == judged
    assert (score.arrays["test_y"] > 0).sum() == pairs
    assert set(data.load_fit(name, hidden, 0, shared_root).arrays) == {"docs"}, "queries come when they are asked"
    assert set(data.load_score(name, hidden, 0, shared_root).arrays) == {"docs", "test_x", "test_y"}
    fit, score = data.load_fit(name, cut, 2, shared_root), data.load_score(name, cut, 2, shared_root)
    assert set(fit.arrays) == {"docs", "x", "y", "train_idx", "val_idx"}
    assert fit.info["n_docs"] == fit.arrays["y"].shape[1] == len(fit.arrays["docs"])
    assert not set(score.arrays["test_x"]) & set(fit.arrays["x"])
    assert len(score.arrays["test_x"]) + len(fit.arrays["x"]) == fit.info["n_samples"]


def test_cranfields_first_query(mirror: Path) -> None:
    """``cranqrel``: 29 documents are judged for query 1, 184 with the code 2."""
    arrays = load(get("cranfield"), mirror / "cranfield")
    assert arrays["x"][0].startswith(b"what similarity laws must be obeyed")
    assert arrays["docs"][183].startswith(b"scale models for thermo-aeroelastic research")
    assert arrays["y"][0, 183] == 3
    assert (arrays["y"][0] > 0).sum() == 28


def test_a_table_of_architectures(mirror: Path, shared_root: Path) -> None:
    split = {"protocol": "as-given", "shown": ["trial"]}
    data.prepare("nas-bench-macro", [(split, 0)], shared_root, mirror)
    fit = data.load_fit("nas-bench-macro", split, 3, shared_root).arrays
    score = data.load_score("nas-bench-macro", split, 3, shared_root).arrays
    assert set(fit) == {"x", "params", "flops", "trial"}
    assert set(score) - set(fit) == {"test_y"}
    assert len(np.unique(fit["x"], axis=0)) == 3**8
    smallest, largest = (np.flatnonzero((fit["x"] == choice).all(1)).item() for choice in (0, 2))
    assert (fit["params"][smallest], fit["params"][largest]) == (387_882, 2_932_586)
    assert score["test_y"].min() == score["test_y"][smallest] == pytest.approx(45.3633, abs=1e-4)
    assert score["test_y"].max() == pytest.approx(93.13, abs=0.02), "the README's best"
    with pytest.raises(
        UserError, match="split as-given: there is no array 'latency'; allowed: flops, params, trial, y"
    ):
        data.prepare("nas-bench-macro", [({**split, "shown": ["latency"]}, 0)], shared_root, mirror)


def test_rows_of_the_table_are_in_order(tmp_path: Path) -> None:
    row = '{"test_acc": [1, 5, 3], "mean_acc": 3, "std": 0, "params": 7, "flops": 9}'
    (tmp_path / "t.json").write_text(f'{{"21": {row}, "02": {row.replace("7", "8")}}}')
    found = nas_bench_macro(tmp_path, "t.json")
    assert found["x"].tolist() == [[0, 2], [2, 1]]
    assert found["params"].tolist() == [8, 7]
    assert found["trial"].tolist() == [1, 1]


def test_all_may_be_shown() -> None:
    fit, score = AsGiven(shown=["y"], hidden=[]).cut({"y": np.arange(4)}, 0)
    assert fit["y"].tolist() == [0, 1, 2, 3]
    assert set(score) == {"rows"}
