"""The HTML report: self-contained, escaped, and every number leads to its runs."""

from __future__ import annotations

import copy
import re

from claimbench.execute import local
from claimbench.judge.paper import judge_paper
from claimbench.present import drawing, report, tables
from claimbench.records.collect import collect, merge
from tests.conftest import PAPER, PaperFolder


def page(paper: PaperFolder) -> str:
    plan = paper.plan()
    for experiment in ("location", "student"):
        local.fit_and_score(plan, "toy-paper", experiment)
    collect(plan, "toy-paper")
    judge_paper(plan, "toy-paper")
    tables.build(plan.papers["toy-paper"], plan.tier_dir)
    from claimbench.spec.folders import make_importable

    make_importable(plan.config)
    assert drawing.draw(plan.papers["toy-paper"], plan.folders["toy-paper"], plan.tier_dir) == []
    merge(plan)
    return report.build(plan).read_text()


FIGURES = """
import matplotlib.pyplot as plt


def errors(tables):
    figure, axis = plt.subplots()
    frame = tables.frame("location", "test/error")
    axis.plot(frame["k"], frame["value"], "o")
    return figure


FIGURES = {"errors": errors}
"""


def test_the_page_needs_nothing_from_outside(paper: PaperFolder) -> None:
    (paper.folder / "figures.py").write_text(FIGURES)
    text = page(paper)
    loads = re.findall(r'(?:src|href|xlink:href)="(?!#)([^"]*)"', text)
    assert loads == []
    assert "@import" not in text
    assert "<svg" in text
    assert 'id="errors-' in text


def test_links_to_runs_lead_somewhere(paper: PaperFolder) -> None:
    text = page(paper)
    anchors = set(re.findall(r'href="#([^"]+)"', text))
    ids = set(re.findall(r'\bid="([^"]+)"', text))
    assert anchors <= ids, anchors - ids
    assert len(re.findall(r'id="run-[0-9a-f]{12}"', text)) == 10
    assert 'data-runs="=toy-paper/location/mean/none/k=1' in text


def test_hostile_strings_are_escaped(paper: PaperFolder) -> None:
    changed = copy.deepcopy(PAPER)
    changed["title"] = "</script><script>alert('title')</script>"
    changed["summary"] = '"><img src=x onerror=alert(1)>'
    paper.write(changed)
    text = page(paper)
    assert "<script>alert" not in text
    assert "<img" not in text


def test_equal_figures_have_equal_bytes(paper: PaperFolder) -> None:
    (paper.folder / "figures.py").write_text(FIGURES)
    page(paper)
    path = paper.plan().tier_dir / "papers" / "toy-paper" / "figures" / "errors.svg"
    before = path.read_bytes()
    page(paper)
    assert path.read_bytes() == before


def test_a_figure_that_fails_is_a_sentence(paper: PaperFolder) -> None:
    (paper.folder / "figures.py").write_text(
        "def bad(tables):\n    raise KeyError('column')\n\n\nFIGURES = {'bad': bad}\n"
    )
    plan = paper.plan()
    local.fit_and_score(plan, "toy-paper", "location")
    collect(plan, "toy-paper")
    judge_paper(plan, "toy-paper")
    from claimbench.spec.folders import make_importable

    make_importable(plan.config)
    (fault,) = drawing.draw(plan.papers["toy-paper"], plan.folders["toy-paper"], plan.tier_dir)
    assert "figure bad of toy-paper was not drawn" in fault
