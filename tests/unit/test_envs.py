"""One set of versions: constraints.txt, the conda environments and pyproject.toml agree."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
#: conda-forge's and bioconda's names of what pip calls otherwise
PIP_NAME = {
    "matplotlib-base": "matplotlib",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "pytorch-geometric": "torch-geometric",
    "snakemake-minimal": "snakemake",
}
NOT_OURS = {"python", "pip"}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert len({canonicalize_name(name) for name, _ in found}) == len(found), "a package is pinned twice"
    return {canonicalize_name(name): pin for name, pin in found}


def requirements(extra: str | None = None) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    return [found for found in map(Requirement, lines) if found.name != "claimbench"]  # an extra may name another


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_conda_environment_has_the_pins_of_constraints(name: str) -> None:
    environment = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text())
    pairs = [re.fullmatch(r"([a-z0-9_-]+)(?: =([\w.]+))?", line) for line in environment["dependencies"]]
    assert all(pairs), "write every dependency as `name =version`"
    found = {canonicalize_name(pair[1]): pair[2] for pair in pairs if pair and pair[1] not in NOT_OURS}
    found = {PIP_NAME.get(package, package): pin for package, pin in found.items()}
    wanted = pins()
    assert found == {canonicalize_name(r.name): wanted[canonicalize_name(r.name)] for r in requirements()}


def test_cpu_and_gpu_environments_differ_in_the_build_of_torch_alone() -> None:
    cpu, gpu = (
        set(yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text())["dependencies"]) for name in ("cpu", "gpu")
    )
    assert {line.split()[0] for line in cpu ^ gpu} == {"pytorch-cpu", "pytorch-gpu"}


@pytest.mark.parametrize("extra", [None, "bayes", "boosting", "dev", "slurm"])
def test_pins_satisfy_the_ranges(extra: str | None) -> None:
    wanted = pins()
    for requirement in requirements(extra):
        assert requirement.specifier.contains(wanted[canonicalize_name(requirement.name)]), requirement


def test_pins_carry_no_local_version() -> None:
    assert not [name for name, pin in pins().items() if "+" in pin]


def test_installed_versions_are_the_pinned_ones() -> None:
    wanted = pins()
    for requirement in requirements():
        installed = version(requirement.name).split("+")[0]
        assert installed == wanted[canonicalize_name(requirement.name)], requirement.name
