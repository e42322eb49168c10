"""What a log says of a tier: each thing once."""

from __future__ import annotations

import copy
import logging
import time
from types import SimpleNamespace
from typing import Any

import pytest

from claimbench.present.screen import Screen
from claimbench.records import plans
from claimbench.records.conclusions import write_conclusion
from claimbench.records.progress import Progress
from tests.conftest import PAPER, PaperFolder


def message(text: str, event: str = "", **more: Any) -> logging.LogRecord:
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, text, (), None)
    if event:
        record.event = SimpleNamespace(name=event)
    record.__dict__.update(more)
    return record


@pytest.fixture
def screen(paper: PaperFolder) -> Screen:
    plan = paper.plan()
    plans.write(plan.tier_dir, plans.content_of(plan))
    return Screen(plan)


def test_snakemake_is_heard_once(screen: Screen, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(300):
        assert not screen.takes(message("Will exit after finishing currently running jobs (scheduler)."))
        assert not screen.takes(message("Select jobs to execute..."))
        assert not screen.takes(message("Finished jobid: 3 (Rule: run)", "JOB_FINISHED"))
    assert capsys.readouterr().err == "Will exit after finishing currently running jobs (scheduler).\n"


def test_each_failure_and_each_skipped_dataset_is_said_once(
    screen: Screen, paper: PaperFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    progress, plan = Progress(paper.plan().tier_dir), paper.plan()
    screen.start(2)
    for run in plan.runs:
        if run.cell.experiment == "location":
            progress.finished(run, "failed", "ValueError: no luck", 0.1)
        else:
            progress.finished(run, "skipped", "needs a package that is not installed", 0.0)
    progress.note("figure x was not drawn")
    capsys.readouterr()  # the jobs' own lines
    screen.stop()
    said = capsys.readouterr().err
    assert said.count("ValueError: no luck") == 1
    assert said.count("not installed") == 1
    assert "figure x was not drawn" in said
    assert "10/10 runs, 0/1 papers" in said


def test_skipped_runs_of_a_dataset_are_counted(paper: PaperFolder, capsys: pytest.CaptureFixture[str]) -> None:
    changed = copy.deepcopy(PAPER)
    changed["experiments"] = {"location": changed["experiments"]["location"] | {"split": {"protocol": "random"}}}
    changed["experiments"]["location"]["tiers"]["smoke"]["grid"][0]["dataset"] = "cora"
    paper.write(changed)
    plan = paper.plan()
    screen = Screen(plan)
    screen.start(1)
    for run in plan.runs:
        Progress(plan.tier_dir).finished(run, "skipped", "no source has cora", 0.0)
    capsys.readouterr()
    screen.stop()
    said = capsys.readouterr().err
    assert said.count("cora: its 8 runs are skipped: no source has cora\n") == 1
    assert said.count("skipped") == 1


def test_a_failed_job_is_said_with_the_end_of_its_log(
    screen: Screen, paper: PaperFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    log = paper.root / "job.log"
    log.write_text("\n".join(f"line {i}" for i in range(100)) + "\nclaimbench: it is broken\n")
    screen.start(1)
    screen.takes(
        message(
            f"RuleException:\nCalledProcessError in file x:\nCommand 'a > {log}' returned non-zero exit status 137."
        )
    )
    screen.takes(message("Error in rule run, jobid: 1", "JOB_ERROR", rule_name="run", log=[str(log)]))
    screen.stop()
    said = capsys.readouterr().err
    assert "Error in rule run: the command returned non-zero exit status 137\n    line 93\n" in said
    assert "RuleException" not in said
    assert "    claimbench: it is broken\n" in said


def test_what_a_stop_ends_is_no_failure(screen: Screen, capsys: pytest.CaptureFixture[str]) -> None:
    screen.start(1)
    screen.takes(message("Error in rule run, jobid: 1", "JOB_ERROR", rule_name="run", log=[]))
    screen.takes(message("Terminating processes on user request, this might take some time."))
    screen.stop()
    assert "Error" not in capsys.readouterr().err


def test_a_paper_is_told_when_it_is_through(
    screen: Screen, paper: PaperFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    screen.start(1)
    words = ("reproduced", "contradicted", "reproduced")
    rows = [{"verdict": word, "family": "other"} for word in words] + [{"verdict": "contradicted", "family": "ours"}]
    write_conclusion(paper.plan(), "toy-paper", rows, [{"status": "done"}])
    end = time.monotonic() + 10
    while "toy-paper" not in (said := capsys.readouterr().err):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert said == "toy-paper: 2 reproduced, 1 contradicted (0/10 runs)\n"
    write_conclusion(paper.plan(seeds=1), "toy-paper", rows, [])  # of another plan
    screen.stop()
    assert "toy-paper:" not in capsys.readouterr().err
