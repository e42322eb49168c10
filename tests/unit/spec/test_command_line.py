"""Configuration from the command line has the types of YAML, whichever command it is given to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.cli import parse_config

from claimbench.spec.config import load_config
from claimbench.spec.reading import merge, scalars


@pytest.mark.parametrize(
    "text",
    [
        "{forward-gnn: {node-classification: {hyper: {hidden: 64}}}}",
        "{a: {b: [16, 32]}}",
        "{a: {rate: 0.5, yes_: true, no_: false, none: null, word: relu, text: 'a b', small: 1.0e-3, odd: 1e-3}}",
        "{a: {b: [[1, 2.5], [x, -3]]}}",
        "[1, 2]",
        "null",
        "7",
        "word",
    ],
)
def test_nested_values_have_the_types_of_yaml(text: str) -> None:
    assert scalars(parse_config([f"overrides={text}"]))["overrides"] == yaml.safe_load(text)


def test_what_only_looks_like_something_else_stays_a_word() -> None:
    assert scalars({"a": "2020-01-01", "b": "x: y", "c": "[", "d": ""}) == {
        "a": "2020-01-01",
        "b": "x: y",
        "c": "[",
        "d": None,
    }


def test_mappings_are_merged_key_by_key() -> None:
    below: dict[str, Any] = {"tracking": {"uri": "sqlite:///x.db", "enabled": False}, "papers": ["a", "b"]}
    assert merge(below, {"tracking": {"enabled": True}, "papers": ["c"]}) == {
        "tracking": {"uri": "sqlite:///x.db", "enabled": True},
        "papers": ["c"],
    }
    assert below["tracking"]["enabled"] is False


def test_one_key_of_tracking_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("tracking: {uri: 'sqlite:///x.db', enabled: false}\n", encoding="utf-8")
    tracking = load_config(path, {"tracking": {"enabled": True}}).tracking
    assert tracking.enabled
    assert tracking.uri == "sqlite:///x.db"
