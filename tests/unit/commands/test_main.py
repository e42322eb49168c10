"""The command line as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from claimbench.commands.main import main
from claimbench.execute import local
from claimbench.records import costs
from tests.conftest import PaperFolder


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
