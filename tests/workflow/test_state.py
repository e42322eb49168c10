"""Whatever happened to a folder before, a run of the workflow ends in the tables that a fresh folder would have."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.conftest import EXPERIMENTS, PAPER, PARTS, PaperFolder
from tests.workflow import warm
from tests.workflow.test_pipeline import ROOT, tables_of

#: sequences of steps; `make drill` takes 200
SEQUENCES = 200 if os.environ.get("CLAIMBENCH_DRILL") else 8


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with warm.programs(tmp_path_factory.mktemp("warm") / "bin") as folder:
        yield folder


class Clone:
    """A folder with a paper, a configuration and results of its own."""

    def __init__(self, programs: Path, root: Path) -> None:
        self.programs, self.paper, self.root = programs, PaperFolder(root), root
        self.hyper, self.quantile, self.fails, self.margin = 0.5, 0.5, False, 0.0
        self.seeds: int | None = None
        self.results = Path("results")

    def write(self) -> None:
        """The paper and the configuration as they are now."""
        paper = copy.deepcopy(PAPER)
        paper["hyper"]["shift"] = self.hyper
        parts = PARTS.replace("QUANTILE = 0.5", f"QUANTILE = {self.quantile}")
        code = EXPERIMENTS
        if self.fails:
            code = code.replace('return {"test/error"', 'assert run.seed, "no seed 0"\n    return {"test/error"')
        self.paper.write(paper, code, parts)
        claims = (self.paper.folder / "claims.yaml").read_text().replace("margin: 0.0", f"margin: {self.margin}")
        (self.paper.folder / "claims.yaml").write_text(claims)
        values: dict[str, Any] = {
            "tier": "smoke",
            "papers": ["toy-paper"],
            "papers_dir": "papers",
            "results_dir": str(self.results),
            "tracking": {"enabled": False},
        }
        if self.seeds is not None:
            values["seeds"] = self.seeds
        (self.root / "config.yaml").write_text(json.dumps(values))

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.programs / "snakemake", "-s", ROOT / "Snakefile", "--cores", "2", *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            env={**os.environ, "CI": "1"},
            timeout=300,
        )

    @property
    def state(self) -> tuple[Any, ...]:
        """What the tables depend on."""
        return self.hyper, self.quantile, self.fails, self.margin, self.seeds

    def tables(self) -> dict[str, Any]:
        return tables_of(self.root / self.results / "smoke")


class Folder(RuleBasedStateMachine):
    """A folder that is worked in. Every sequence ends with a run."""

    programs: Path
    fresh: dict[tuple[Any, ...], dict[str, Any]]

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="state-"))
        self.clone = Clone(self.programs, self.home / "a")
        self.flags: list[str] = []
        self.run()

    @rule(value=st.sampled_from([0.5, 0.7]))
    def edit_hyper_parameter(self, value: float) -> None:
        self.clone.hyper = value

    @rule(value=st.sampled_from([0.5, 0.4]))
    def edit_code(self, value: float) -> None:
        self.clone.quantile = value

    @rule(value=st.sampled_from([0.0, 0.2]))
    def edit_claims(self, value: float) -> None:
        self.clone.margin = value

    @rule(value=st.booleans())
    def break_or_mend(self, value: bool) -> None:
        self.clone.fails = value

    @rule(value=st.sampled_from([None, 3]))
    def other_seeds(self, value: int | None) -> None:
        self.clone.seeds = value

    @rule(flags=st.sampled_from([[], ["--rerun-triggers", "mtime"], ["--rerun-triggers", "input"]]))
    def other_triggers(self, flags: list[str]) -> None:
        self.flags = flags

    @rule()
    def forget(self) -> None:
        shutil.rmtree(self.clone.root / ".snakemake", ignore_errors=True)

    @rule(seed=st.integers(0, 1000), how=st.sampled_from(["remove", "empty", "old", "other"]))
    def lose_or_spoil_a_file(self, seed: int, how: str) -> None:
        files = sorted(
            path
            for path in (self.clone.root / self.clone.results).rglob("*")
            if path.is_file() and path.suffix not in (".lock", ".log", ".jsonl") and "plans" not in path.parts
        )
        path = random.Random(seed).choice(files)
        if how == "remove":
            path.unlink()
        elif how == "old":
            os.utime(path, (1, 1))
        elif "store" not in path.parts:
            content = random.Random(seed).choice(files).read_bytes() if how == "other" else b""
            path.write_bytes(content)

    @rule()
    def lose_the_store(self) -> None:
        shutil.rmtree(self.clone.root / self.clone.results / "store", ignore_errors=True)

    @rule(what=st.sampled_from(["-n", "--summary", "--list", "--lint"]))
    def look(self, what: str) -> None:
        before = _content(self.clone.root / self.clone.results)
        self.clone.write()
        self.clone.snakemake(what, "--config", "overrides={toy-paper: {location: {hyper: {shift: 9}}}}")
        assert _content(self.clone.root / self.clone.results) == before

    @rule()
    def move(self) -> None:
        """The folder goes elsewhere, and what was there before is gone."""
        target = self.home / f"moved-{len(list(self.home.iterdir()))}"
        self.clone.root.rename(target)
        self.clone.root = target
        self.clone.paper.root, self.clone.paper.folder = target, target / "papers" / "toy_paper"

    @rule()
    def run_of_another_clone(self) -> None:
        """With other code, on the same results."""
        other = Clone(self.programs, self.home / f"other-{len(list(self.home.iterdir()))}")
        other.hyper, other.results = 0.9, self.clone.root / self.clone.results
        other.write()
        assert other.snakemake().returncode == 0

    @rule()
    def run(self) -> None:
        self.clone.write()
        done = self.clone.snakemake(*self.flags)
        said = done.stdout + done.stderr
        assert done.returncode == int(self.clone.fails), said
        if done.returncode:
            assert "runs failed" in said or "no seed 0" in said, said
        state = self.clone.state
        if state not in self.fresh:
            fresh = Clone(self.programs, self.home / "fresh")
            fresh.hyper, fresh.quantile, fresh.fails, fresh.margin, fresh.seeds = state
            fresh.write()
            fresh.snakemake()
            self.fresh[state] = fresh.tables()
            shutil.rmtree(fresh.root)
        assert self.clone.tables() == self.fresh[state]

    def teardown(self) -> None:
        try:
            self.run()
        finally:
            shutil.rmtree(self.home)


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_any_sequence_ends_as_a_fresh_folder(programs: Path) -> None:
    Folder.programs, Folder.fresh = programs, {}
    run_state_machine_as_test(
        Folder,
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=6,
            deadline=None,
            derandomize=not os.environ.get("CLAIMBENCH_DRILL"),
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
