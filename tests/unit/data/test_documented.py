"""docs/data.md against the protocols: their parameters, and what is in ``data.arrays``."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from claimbench import data
from claimbench.data.entries import Arrays, Entry, Graph
from claimbench.data.sets.graphs import block_model
from claimbench.data.splits import PROTOCOLS

DOCS = (Path(__file__).parents[3] / "docs" / "data.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    text = DOCS.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def samples(raw: Path) -> Arrays:
    return {
        "x": np.zeros((200, 3)),
        "y": np.arange(200) % 2,
        "public_train": np.arange(150),
        "public_test": np.arange(150, 200),
    }


def nodes(raw: Path) -> Arrays:
    arrays = block_model(raw, 240, 2, 8, 0.1, 0.05, 3)
    return {**arrays, "public_train": np.arange(200), "public_test": np.arange(200, 240)}


def entry(kind: str) -> Entry:
    given = {"name": kind, "title": "", "licence": "", "citation": "", "url": "", "expect": {}}
    return Graph(loader=nodes, **given) if kind == "graph" else Entry(loader=samples, kind="made", **given)


def test_parameters_and_defaults() -> None:
    table = {words(name)[0]: words(parameters) for name, parameters, _ in rows("Splits")}
    assert list(table) == list(PROTOCOLS)
    queries = []
    for name, protocol in PROTOCOLS.items():
        documented = yaml.safe_load("{" + ", ".join(table[name]) + "}")
        defaults = {field.name: field.default for field in dataclasses.fields(protocol)}
        if "queries" in defaults:
            assert defaults.pop("queries") == "hidden"
            queries.append(name)
        assert documented == {
            key: list(value) if isinstance(value, tuple) else value for key, value in defaults.items()
        }
    sentence = next(line for line in DOCS.splitlines() if "also take `queries: hidden`" in line)
    assert words(sentence)[:-2] == queries


@pytest.mark.parametrize("row", rows("What is in `data.arrays`"), ids=lambda row: f"{row[0]} {row[1]}")
def test_names_of_arrays(row: list[str], tmp_path: Path) -> None:
    kind, protocols, fit, score = row
    for protocol in words(protocols):
        split: dict[str, Any] = {"protocol": protocol, **({"val": 20} if protocol == "public" else {})}
        data.prepare(entry(kind), [(split, 0)], tmp_path)
        known = data.load_fit(entry(kind), split, 0, tmp_path).arrays
        assert set(known) == set(words(fit)), protocol
        everything = data.load_score(entry(kind), split, 0, tmp_path).arrays
        assert set(everything) - set(known) == set(words(score)), protocol
        if PROTOCOLS[protocol]().refuses(entry("graph" if kind == "samples" else "samples")) == "":
            assert sum(protocol in words(other[1]) for other in rows("What is in `data.arrays`")) == 2
    named = {name for other in rows("What is in `data.arrays`") for name in words(other[1])}
    assert named == set(PROTOCOLS)


def test_the_example_is_read(tmp_path: Path) -> None:
    code = DOCS.split("```python\n")[1].split("```")[0]
    found: dict[str, Any] = {"__name__": "claimbench.papers.example.datasets"}
    exec(compile(code, "datasets.py", "exec", dont_inherit=True), found)
    (tmp_path / "pines.csv").write_text("height,volume\n" + "".join(f"{i},{i * i}\n" for i in range(40)))
    example = dataclasses.replace(found["DATASETS"][0], home=tmp_path)
    split = found["PROTOCOLS"][0](last=5)
    data.prepare(example, [(split, 0)], tmp_path / "data")
    assert data.load_score(example, split, 0, tmp_path / "data").arrays["test_y"].tolist() == [
        35**2,
        36**2,
        37**2,
        38**2,
        39**2,
    ]
