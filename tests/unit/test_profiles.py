"""The profiles: options that exist, and a default that leaves room for a cluster's."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
#: a default profile beats --profile key by key, so these would undo a cluster's profile
FORBIDDEN_BY_DEFAULT = {
    "cores",
    "default-resources",
    "executor",
    "jobs",
    "resources",
    "set-resources",
    "set-resource-scopes",
    "set-threads",
}


def profile(name: str) -> dict[str, object]:
    return yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())


@pytest.mark.parametrize("name", ["default", "slurm"])
def test_options_exist(name: str) -> None:
    from snakemake.cli import get_argument_parser

    known = {option for action in get_argument_parser()._actions for option in action.option_strings}
    plugin = {key for key in profile(name) if key.startswith("slurm-")}
    assert [key for key in profile(name).keys() - plugin if f"--{key}" not in known] == []


def test_options_of_the_slurm_plugin_exist() -> None:
    executor = pytest.importorskip("snakemake_executor_plugin_slurm", reason="make install EXTRAS=dev,slurm")
    from dataclasses import fields

    known = {f"slurm-{field.name.replace('_', '-')}" for field in fields(executor.ExecutorSettings)}
    assert {key for key in profile("slurm") if key.startswith("slurm-")} <= known


def test_default_profile_leaves_room_for_a_cluster() -> None:
    assert profile("default").keys() & FORBIDDEN_BY_DEFAULT == set()
    assert profile("default").keys() & profile("slurm").keys() == set()


def test_the_name_slurm_is_found_from_the_root() -> None:
    assert (ROOT / "slurm" / "config.yaml").resolve() == ROOT / "profiles" / "slurm" / "config.yaml"
