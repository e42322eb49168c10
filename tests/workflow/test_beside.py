"""What goes on beside a run changes nothing of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import EXPERIMENTS
from tests.workflow import warm
from tests.workflow.test_pipeline import ROOT
from tests.workflow.test_state import Clone, _content

OTHER = "overrides={toy-paper: {location: {hyper: {shift: 9}}}}"
LOOKS = (
    ["-n"],
    ["--summary"],
    ["--detailed-summary"],
    ["--list"],
    ["--lint"],
    ["--dag"],
    ["--rulegraph"],
    ["--filegraph"],
    ["--list-input-changes"],
    ["--list-params-changes"],
    ["--containerize"],
    ["--d3dag"],
    ["--cleanup-metadata", "nothing"],
    ["--touch", "-n"],
)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with warm.programs(tmp_path_factory.mktemp("warm") / "bin") as folder:
        yield folder


@pytest.fixture(scope="module")
def expected(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    clone = Clone(programs, tmp_path_factory.mktemp("expected"))
    clone.write()
    assert clone.snakemake().returncode == 0
    return clone.tables()


class Slow:
    """A run that stands in the middle of its first job until :meth:`end`."""

    def __init__(self, clone: Clone) -> None:
        self.clone, self.gate = clone, clone.root / "gate"
        code = EXPERIMENTS.replace(
            "    x = parts.sample(run)\n    return",
            f"    import pathlib, time\n    pathlib.Path({str(self.gate)!r}).with_suffix('.reached').touch()\n"
            f"    while not pathlib.Path({str(self.gate)!r}).exists(): time.sleep(0.02)\n"
            "    x = parts.sample(run)\n    return",
        )
        clone.write()
        (clone.paper.folder / "experiments.py").write_text(code)
        self.process = subprocess.Popen(
            [clone.programs / "snakemake", "-s", ROOT / "Snakefile", "--cores", "2"],
            cwd=clone.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "CI": "1"},
        )
        deadline = time.time() + 60
        while not self.gate.with_suffix(".reached").exists():
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.time() < deadline
            time.sleep(0.02)

    def end(self) -> str:
        self.gate.touch()
        said, _ = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, said
        return said


def _same(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Equal verdicts; the run keys know of the gate."""
    name = "papers/toy-paper/verdicts.parquet"
    return bool(found[name] == expected[name])


def test_looking_changes_nothing(programs: Path, tmp_path: Path, expected: dict[str, Any]) -> None:
    slow = Slow(Clone(programs, tmp_path / "a"))
    before = _content(tmp_path / "a" / "results")
    for arguments in LOOKS:
        slow.clone.snakemake(*arguments, "--config", OTHER)
    assert _content(tmp_path / "a" / "results") == before
    slow.end()
    assert _same(slow.clone.tables(), expected)


def test_a_second_snakemake_is_refused(programs: Path, tmp_path: Path, expected: dict[str, Any]) -> None:
    slow = Slow(Clone(programs, tmp_path / "a"))
    before = _content(tmp_path / "a" / "results")
    second = slow.clone.snakemake("--config", OTHER)
    assert second.returncode == 1
    assert "lock" in (second.stdout + second.stderr).lower()
    assert _content(tmp_path / "a" / "results") == before
    slow.end()
    assert _same(slow.clone.tables(), expected)


def test_a_second_clone_on_the_same_results_is_refused(
    programs: Path, tmp_path: Path, expected: dict[str, Any]
) -> None:
    slow = Slow(Clone(programs, tmp_path / "a"))
    other = Clone(programs, tmp_path / "b")
    other.hyper, other.results = 9, tmp_path / "a" / "results"
    other.write()
    before = _content(other.results)
    second = other.snakemake()
    assert second.returncode == 1
    assert "another run works here (process" in second.stdout + second.stderr
    assert _content(other.results) == before
    slow.end()
    assert _same(slow.clone.tables(), expected)


def test_two_tiers_at_once(programs: Path, tmp_path: Path, expected: dict[str, Any]) -> None:
    slow = Slow(Clone(programs, tmp_path / "a"))
    other = Clone(programs, tmp_path / "b")
    other.results = tmp_path / "a" / "results"
    other.write()
    values = json.loads((other.root / "config.yaml").read_text())
    (other.root / "config.yaml").write_text(json.dumps({**values, "tier": "laptop"}))
    done = other.snakemake()
    assert done.returncode == 0, done.stderr
    slow.end()
    assert _same(slow.clone.tables(), expected)


def test_a_job_refuses_what_was_not_planned(programs: Path, tmp_path: Path) -> None:
    slow = Slow(Clone(programs, tmp_path / "a"))
    slow.clone.hyper = 0.9
    slow.clone.write()
    slow.gate.touch()
    said, _ = slow.process.communicate(timeout=120)
    assert slow.process.returncode == 1
    assert "is no longer what was planned" in said
    assert slow.clone.snakemake().returncode == 0


def test_an_edited_configuration_waits_for_the_next_run(
    programs: Path, tmp_path: Path, expected: dict[str, Any]
) -> None:
    slow = Slow(Clone(programs, tmp_path / "a"))
    values = json.loads((slow.clone.root / "config.yaml").read_text())
    (slow.clone.root / "config.yaml").write_text(json.dumps({**values, "seeds": 5}))
    slow.end()
    assert _same(slow.clone.tables(), expected)


def test_a_run_that_was_killed_and_replaced_writes_no_manifest(programs: Path, tmp_path: Path) -> None:
    """Its job goes on (as on a cluster), while another plan is the tier's."""
    clone = Clone(programs, tmp_path / "a")
    clone.write()
    assert clone.snakemake().returncode == 0
    old = next((clone.root / "results" / "smoke" / "plans").glob("*.json"))
    clone.seeds = 3
    clone.write()
    assert clone.snakemake().returncode == 0
    before = _content(clone.root / "results" / "smoke" / "jobs")
    job = next(iter(json.loads(old.read_text())["jobs"]))
    late = subprocess.run(
        [programs / "claimbench", "run", "--plan", old.relative_to(clone.root), "--job", job],
        cwd=clone.root,
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    assert late.returncode == 1
    assert "another run of the workflow works here" in late.stderr
    assert _content(clone.root / "results" / "smoke" / "jobs") == before


def test_commands_answer_for_the_run_that_made_the_results(programs: Path, tmp_path: Path) -> None:
    clone = Clone(programs, tmp_path / "a")
    clone.write()
    assert clone.snakemake("--config", OTHER).returncode == 0
    runs = json.loads(next((clone.root / "results" / "store").rglob("fit.json")).read_text())
    assert runs["hyper"]["shift"] == 9
    assert runs["plan"]
    import pandas as pd

    key = pd.read_parquet(clone.root / "results" / "smoke" / "runs.parquet")["run_key"][0]
    said = subprocess.run(
        [programs / "claimbench", "explain", key], cwd=clone.root, capture_output=True, text=True, env=dict(os.environ)
    )
    assert said.returncode == 0, said.stderr
    assert "shift" in said.stdout


def test_a_run_of_one_paper_keeps_the_others(programs: Path, tmp_path: Path) -> None:
    clone = Clone(programs, tmp_path / "a")
    clone.write()
    shutil.copytree(clone.paper.folder, clone.paper.papers / "second_paper")
    spec = clone.paper.papers / "second_paper" / "paper.yaml"
    spec.write_text(spec.read_text().replace("slug: toy-paper", "slug: second-paper"))
    values = json.loads((clone.root / "config.yaml").read_text())
    both = {**values, "papers": ["toy-paper", "second-paper"]}
    (clone.root / "config.yaml").write_text(json.dumps(both))
    assert clone.snakemake().returncode == 0
    import pandas as pd

    runs = clone.root / "results" / "smoke" / "runs.parquet"
    assert set(pd.read_parquet(runs)["paper"]) == {"toy-paper", "second-paper"}
    (clone.root / "config.yaml").write_text(json.dumps(values))
    done = clone.snakemake()
    assert done.returncode == 0
    assert "not part of this one: second-paper" in done.stdout + done.stderr
    assert set(pd.read_parquet(runs)["paper"]) == {"toy-paper", "second-paper"}
    page = (clone.root / "results" / "smoke" / "report" / "index.html").read_text()
    assert page.count("From an earlier run") == 1
    assert "Nothing to be done" in clone.snakemake().stderr

    spec.write_text(spec.read_text(encoding="utf-8") + "unheard_of: 1\n", encoding="utf-8")
    assert clone.snakemake().returncode == 0
    assert set(pd.read_parquet(runs)["paper"]) == {"toy-paper"}
    assert "Nothing to be done" in clone.snakemake().stderr
