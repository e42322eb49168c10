"""The template of a paper: it runs from end to end, its verdicts come out, and its sabotage turns the headline claim."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from claimbench.commands.new_paper import new_paper
from claimbench.errors import UserError
from claimbench.execute import local
from claimbench.judge.paper import judge_paper
from claimbench.plan.plan import Plan, make_plan
from claimbench.present import drawing, tables
from claimbench.records.collect import collect
from claimbench.spec.config import load_config

Verdicts = dict[str, dict[str, Any]]


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[Callable[..., tuple[Plan, Verdicts]]]:
    new_paper("my-paper", tmp_path)

    def judge(**overrides: Any) -> tuple[Plan, Verdicts]:
        hyper = {"estimation": {"hyper": overrides}} if overrides else {}
        given = {"tier": "laptop", "papers": ["my-paper"], "overrides": {"my-paper": hyper}}
        folders = {"papers_dir": str(tmp_path), "results_dir": str(tmp_path / "results")}
        plan = make_plan(load_config(None, {**given, **folders}))
        rows = local.fit_and_score(plan, "my-paper", "estimation")
        assert {row["status"] for row in rows} == {"done"}
        collect(plan, "my-paper")
        return plan, {row["claim_id"]: row for row in judge_paper(plan, "my-paper")}

    yield judge
    for name in [name for name in sys.modules if name.startswith("claimbench.papers.my_paper")]:
        del sys.modules[name]


def test_claims_of_the_template(judged: Callable[..., tuple[Plan, Verdicts]]) -> None:
    plan, verdicts = judged()
    assert {claim: row["verdict"] for claim, row in verdicts.items()} == {
        "C1": "reproduced",
        "C2": "reproduced",
        "C3": "not testable",
    }
    tables.build(plan.papers["my-paper"], plan.tier_dir)
    assert drawing.draw(plan.papers["my-paper"], plan.folders["my-paper"], plan.tier_dir) == []
    folder = plan.tier_dir / "papers" / "my-paper"
    assert "206.4" in (folder / "tables" / "estimation.md").read_text()
    assert (folder / "figures" / "error.svg").stat().st_size > 1000


def test_sabotage_turns_the_headline_claim(judged: Callable[..., tuple[Plan, Verdicts]]) -> None:
    _, verdicts = judged(sabotage="shuffled-responses")
    assert verdicts["C1"]["verdict"] == "contradicted"
    assert verdicts["C2"]["verdict"] == "reproduced"


@pytest.mark.parametrize("slug", ["My-Paper", "my_paper", "-paper", "paper-", "../paper", "a--b", ""])
def test_a_bad_slug_is_one_sentence(slug: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a slug is"):
        new_paper(slug, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_kept(tmp_path: Path) -> None:
    folder = new_paper("my-paper", tmp_path)
    (folder / "README.md").write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        new_paper("my-paper", tmp_path)
    assert (folder / "README.md").read_text() == "mine"
