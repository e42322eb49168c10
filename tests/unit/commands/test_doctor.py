"""What the last run cost, by paper and experiment."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from claimbench.commands import doctor
from claimbench.errors import UserError
from claimbench.execute.local import fit_and_score
from claimbench.files import write_json
from claimbench.records import processes
from claimbench.records.collect import collect, merge
from tests.conftest import PaperFolder


def test_processes_are_summed_since_the_last_start(tmp_path: Path) -> None:
    processes.note(tmp_path, "fit", "one")
    first = json.loads((tmp_path / "processes.jsonl").read_text())
    assert first["cpu_s"] > 0
    with open(tmp_path / "processes.jsonl", "a", encoding="utf-8") as file:
        file.write('{"step": "fit"}\nhalf a li\n')
        for step, paper, cpu_s, ended in (
            ("fit", "one", 2.0, 50.0),
            ("fit", "one", 3.0, 99.0),
            ("judge", "", 1.0, 99.0),
        ):
            file.write(json.dumps({"step": step, "paper": paper, "cpu_s": cpu_s, "ended": ended}) + "\n")
    write_json(tmp_path / "timing.json", {"started": 60.0})
    assert processes.by_paper(tmp_path) == {"one": {"fit": 3.0 + first["cpu_s"]}, "": {"judge": 1.0}}


def test_a_paper_over_its_budget_is_told(paper: PaperFolder, capsys: pytest.CaptureFixture[str]) -> None:
    plan = paper.plan(tier="laptop")
    with pytest.raises(UserError, match="no complete run"):
        doctor.budget(plan)
    started = time.time() - 1
    fit_and_score(plan, "toy-paper", "location")
    collect(plan, "toy-paper")
    merge(plan)
    write_json(plan.tier_dir / "timing.json", {"started": started, "snakemake_cpu_s": 3.0, "wall_s": 9.0, "cores": 2})
    processes.note(plan.tier_dir, "fit", "toy-paper")
    spent = processes.by_paper(plan.tier_dir)["toy-paper"]["fit"]
    assert doctor.budget(plan) == int(spent > processes.BUDGET_CPU_S)
    said = capsys.readouterr().out
    assert f"toy-paper {spent:.1f}" in " ".join(said.split())
    assert "location" in said
    assert "snakemake itself" in said
    with open(plan.tier_dir / "processes.jsonl", "a", encoding="utf-8") as file:
        line = {"step": "score", "paper": "toy-paper", "cpu_s": processes.BUDGET_CPU_S, "ended": time.time()}
        file.write(json.dumps(line) + "\n")
    assert doctor.budget(plan) == 1
    assert "over the 180 of a paper" in capsys.readouterr().out
