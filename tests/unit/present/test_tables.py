"""The regenerated tables."""

from __future__ import annotations

import copy

import pandas as pd
import pytest
import yaml

from claimbench.execute import local
from claimbench.judge.paper import judge_paper
from claimbench.present import tables
from claimbench.records.collect import collect
from tests.conftest import CLAIMS, EXPERIMENTS, PAPER, PaperFolder


def build(paper: PaperFolder) -> tuple[str, pd.DataFrame]:
    plan = paper.plan()
    local.fit_and_score(plan, "toy-paper", "location")
    collect(plan, "toy-paper")
    judge_paper(plan, "toy-paper")
    tables.build(plan.papers["toy-paper"], plan.tier_dir)
    base = plan.tier_dir / "papers" / "toy-paper" / "tables" / "location"
    for suffix in (".csv", ".md", ".tex", ".html"):
        assert base.with_suffix(suffix).stat().st_size > 0
    return base.with_suffix(".md").read_text(), pd.read_parquet(base.with_suffix(".parquet"))


def test_published_stands_beside_measured(paper: PaperFolder) -> None:
    text, rows = build(paper)
    row = rows[(rows.method == "mean") & (rows.setting == "k=1")].iloc[0]
    assert (row.published, row.published_spread, row.checked, row.n) == (0.1, 0.01, "read", 2)
    assert f"0.10 ± 0.01 \\| {row.measured:.2f}" in text
    assert rows[(rows.method == "median")].published.isna().all()


def test_cells_carry_the_verdicts_that_rest_on_them(paper: PaperFolder) -> None:
    claims = copy.deepcopy(CLAIMS)
    shared = {
        key: value for key, value in claims["claims"][0].items() if key not in ("a", "b", "higher_is_better", "margin")
    }
    claims["claims"].append(
        {**shared, "id": "C2", "kind": "exact", "select": {"method": "mean"}, "op": "<", "target": -1.0}
    )
    (paper.folder / "claims.yaml").write_text(yaml.safe_dump(claims))
    text, rows = build(paper)
    verdicts = pd.read_parquet(paper.plan().tier_dir / "papers" / "toy-paper" / "verdicts.parquet").set_index(
        "claim_id"
    )
    first = verdicts.verdict["C1"]
    assert verdicts.verdict["C2"] == "contradicted"
    assert set(rows[rows.method == "median"].verdict) == {f"{first}: C1"}
    both = set(rows[rows.method == "mean"].verdict)
    assert len(both) == 1
    assert "contradicted: " in both.pop()
    assert f"\\| {first}: C1 |" in text


def test_columns_in_which_something_ran_come_first(paper: PaperFolder) -> None:
    csv = paper.folder / "published.csv"
    csv.write_text(csv.read_text() + "location,mean,none,k=0,test/error,0.3,,,,Table 1,read\n")
    text, _ = build(paper)
    heading = next(line for line in text.splitlines() if line.startswith("| test/error"))
    assert heading.index("k=1") < heading.index("k=2") < heading.index("k=0"), (
        "k=1 has both, k=0 only a published number"
    )


def test_unverified_numbers_and_failures_show(paper: PaperFolder) -> None:
    (paper.folder / "experiments.py").write_text(
        EXPERIMENTS.replace('return {"x": x, "estimate": float(x.mean())}', "raise ValueError('<b>no</b>')")
    )
    csv = paper.folder / "published.csv"
    csv.write_text(csv.read_text().replace(",read", ",memory"))
    text, rows = build(paper)
    assert "(unverified)" in text
    assert "failed" in text
    assert set(rows[rows.method == "mean"].status) == {"failed"}
    assert list(rows[rows.method == "mean"].n_failed) == [2, 2]


def test_equal_input_gives_equal_bytes(paper: PaperFolder) -> None:
    build(paper)
    folder = paper.plan().tier_dir / "papers" / "toy-paper" / "tables"
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    build(paper)
    assert before == {p.name: p.read_bytes() for p in folder.iterdir()}


def test_hostile_names_are_escaped(paper: PaperFolder) -> None:
    changed = copy.deepcopy(PAPER)
    changed["experiments"]["location"]["title"] = "<script>alert(1)</script> & 50 % of $x_1$"
    paper.write(changed)
    build(paper)
    folder = paper.plan().tier_dir / "papers" / "toy-paper" / "tables"
    assert "<script>" not in (folder / "location.html").read_text()
    assert "setting" not in (folder / "location.tex").read_text().split("tabular")[0].replace("%", "")


@pytest.mark.parametrize(("value", "digits", "text"), [(0.0012, 2, "0.0012"), (12.345, 1, "12.3"), (0.0, 2, "0.00")])
def test_numbers_keep_their_meaning(value: float, digits: int, text: str) -> None:
    cell = {
        "published": value,
        "published_spread": None,
        "checked": "read",
        "measured": None,
        "sd": None,
        "n": 0,
        "status": "not run",
        "verdict": None,
    }
    assert tables.cell_text(cell, digits) == f"{text} | –"
