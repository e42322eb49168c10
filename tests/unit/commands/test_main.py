"""The command line as a user meets it."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from claimbench.commands.main import main
from claimbench.execute import local
from claimbench.judge.paper import judge_paper
from claimbench.records import costs
from claimbench.records.collect import collect
from tests.conftest import CLAIMS, EXPERIMENTS, PAPER, PaperFolder


def call(paper: PaperFolder, *arguments: str, **changes: object) -> int:
    return main(["--config", str(paper.config_file(**changes)), *arguments])


def test_plan_lists_jobs_and_cost(paper: PaperFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(paper, "plan") == 0
    printed = capsys.readouterr().out
    assert "toy-paper.location       8" in printed
    assert "2 jobs, 10 runs" in printed
    assert "10 runs of unknown cost" in printed
    assert call(paper, "plan", "--json") == 0
    assert json.loads(capsys.readouterr().out)["n_runs"] == 10


def test_the_forecast_comes_from_earlier_runs(paper: PaperFolder) -> None:
    from claimbench.records.collect import collect, merge

    plan = paper.plan()
    for experiment in ("location", "student"):
        local.fit_and_score(plan, "toy-paper", experiment)
    assert all(cost == (0.0, 0) for cost in costs.forecast(plan).values()), "what is done costs nothing"
    collect(plan, "toy-paper")
    merge(plan)
    seconds, unknown = costs.forecast(paper.plan(seeds=5))["toy-paper.location"]
    assert unknown == 0
    assert seconds > 0


def test_explain_names_layers_digests_log_and_command(paper: PaperFolder, capsys: pytest.CaptureFixture[str]) -> None:
    plan = paper.plan(overrides={"toy-paper": {"hyper": {"n": 50}}})
    local.fit_and_score(plan, "toy-paper", "location")
    arguments = {"overrides": {"toy-paper": {"hyper": {"n": 50}}}}
    assert call(paper, "explain", "toy-paper/location/median/none/k=2", **arguments) == 0
    printed = capsys.readouterr().out
    assert "2 runs" in printed
    assert "n=50 (config.yaml: overrides)" in printed
    assert "shift=0.5 (toy-paper/paper.yaml)" in printed
    assert "fit --job toy-paper.location" in printed
    assert "test/error" in printed
    key = plan.runs[0].run_key
    assert call(paper, "explain", key[:10], **arguments) == 0
    assert key[:12] in capsys.readouterr().out


def test_explain_lists_the_runs_of_a_verdict(paper: PaperFolder, capsys: pytest.CaptureFixture[str]) -> None:
    claims = copy.deepcopy(CLAIMS)
    claims["claims"][0]["a"] = {"method": "median", "setting": {"k": 1}}
    claims["claims"][0]["b"] = {"method": "mean", "setting": {"k": 1}}
    claims["claims"].append({"id": "C2", "text": "t", "kind": "none", "reason": "by eye"})
    (paper.folder / "claims.yaml").write_text(yaml.safe_dump(claims))

    def listed(claim: str) -> list[str]:
        assert call(paper, "explain", f"toy-paper/{claim}", tier="laptop", seeds=3) == 0
        lines = capsys.readouterr().out.splitlines()
        return [" ".join(line.split()[2:]) for line in lines if line.startswith("run ")]

    runs = [f"location {method} none k=1 seed {seed}" for method in ("mean", "median") for seed in range(3)]
    assert listed("C1") == runs, "before there are results: those that it selects"
    assert listed("C2") == []
    source = EXPERIMENTS.replace("    run.curve(", "    assert (run.seed, run.setting['k']) != (1, 1)\n    run.curve(")
    paper.write(experiments=source)
    (paper.folder / "claims.yaml").write_text(yaml.safe_dump(claims))
    plan = paper.plan(tier="laptop", seeds=3)
    local.fit_and_score(plan, "toy-paper", "location")
    collect(plan, "toy-paper")
    (verdict, _) = judge_paper(plan, "toy-paper")
    assert verdict["n"] == 2
    assert listed("C1") == [name for name in runs if "seed 1" not in name], "a pair needs both of its runs"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explain", "toy-papers"], "'toy-paper'"),
        (["explain", "toy-paper/locaton"], "'location'"),
        (["explain", "toy-paper/location/men"], "'mean'"),
        (["fit", "--job", "toy-paper.locatio"], "toy-paper.location"),
        (["collect", "--paper", "other"], "other"),
        (["prepare", "--dataset", "moon"], "moon"),
    ],
)
def test_a_wrong_name_is_one_sentence(
    paper: PaperFolder, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert call(paper, *arguments) == 1
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert words in printed
    assert "Traceback" not in printed


def test_a_new_paper_runs_as_it_is(tmp_path: Path) -> None:
    assert main(["new-paper", "my-idea", "--into", str(tmp_path)]) == 0
    config = tmp_path / "c.json"
    config.write_text(
        json.dumps(
            {
                "tier": "smoke",
                "papers": ["my-idea"],
                "papers_dir": str(tmp_path),
                "results_dir": str(tmp_path / "r"),
                "data_dir": str(tmp_path / "d"),
            }
        )
    )
    code = (
        "import sys; from pathlib import Path; from claimbench.execute import local; from claimbench.plan.plan import make_plan; from claimbench.spec.config import load_config;"
        f"plan = make_plan(load_config(Path({str(config)!r})));"
        "rows = [r for e in plan.papers['my-idea'].experiments for r in local.fit_and_score(plan, 'my-idea', e)];"
        "assert rows and all(r['status'] == 'done' for r in rows), rows; print(len(rows))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 2


def test_new_paper_refuses_a_bad_slug_and_an_existing_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new-paper", "My_Idea", "--into", str(tmp_path)]) == 1
    assert "lower-case" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert main(["new-paper", "idea", "--into", str(tmp_path)]) == 0
    assert main(["new-paper", "idea", "--into", str(tmp_path)]) == 1


def test_import_is_cheap() -> None:
    code = "import claimbench, sys; print(len([m for m in sys.modules if m.split('.')[0] in ('numpy', 'torch', 'yaml', 'pydantic')]))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "0"
    )


@pytest.mark.parametrize("command", ["check", "report", "summary", "track", "judge", "tables", "figures"])
def test_before_any_run_one_sentence_says_what_to_do(
    paper: PaperFolder, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [] if command in ("check", "report", "summary") else ["--paper", "toy-paper"]
    assert call(paper, command, *arguments) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"claimbench: \S+ is not there yet; run snakemake first\n", said.err)
    assert not (paper.root / "results" / "smoke" / "report").exists()


def test_a_folder_inside_a_project_means_the_project(
    paper: PaperFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (paper.root / "config.yaml").write_text(
        yaml.safe_dump({"tier": "smoke", "papers": ["toy-paper"], "papers_dir": "papers"})
    )
    (paper.root / "Snakefile").write_text("")
    inner = paper.root / "papers" / "toy_paper"
    monkeypatch.chdir(inner)
    assert main(["plan"]) == 0
    assert "toy-paper.location" in capsys.readouterr().out
    assert not (inner / "results").exists()


def test_a_terminal_that_lacks_a_letter_gets_its_number(paper: PaperFolder) -> None:
    paper.write({**PAPER, "hyper": {**PAPER["hyper"], "tail": 3.0, "word": "\u03b4"}})
    arguments = ["--config", str(paper.config_file()), "explain", "toy-paper/location"]
    done = subprocess.run(
        [sys.executable, "-m", "claimbench", *arguments],
        env={**os.environ, "PYTHONIOENCODING": "latin-1:strict"},
        capture_output=True,
        encoding="latin-1",
    )
    assert done.returncode == 0, done.stderr
    assert "word=\\u03b4" in done.stdout
