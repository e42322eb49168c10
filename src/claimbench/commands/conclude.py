"""From a paper's records to its verdicts, tables, figures and place on the page, in one process."""

from __future__ import annotations

from claimbench.judge.paper import judge_paper
from claimbench.plan.plan import Plan, outline
from claimbench.present import drawing, tables
from claimbench.present.publish import publish
from claimbench.records.collect import collect
from claimbench.records.conclusions import write_conclusion
from claimbench.records.plans import Frozen
from claimbench.records.progress import Progress
from claimbench.spec.config import Config
from claimbench.spec.folders import make_importable


def conclude(config: Config, plan: Plan, paper: str, frozen: Frozen | None = None) -> None:
    """Collect, judge, tables, figures of a paper; then the tier's tables and page are written again.

    Args:
        config: of the tier.
        plan: of which only the runs of ``paper`` are read.
        frozen: the file of the plan, where the workflow gave one.
    """
    rows = collect(plan, paper)
    verdicts = judge_paper(plan, paper)
    tables.build(plan.papers[paper], plan.tier_dir)
    make_importable(config)
    progress = Progress(plan.tier_dir)
    for fault in drawing.draw(plan.papers[paper], plan.folders[paper], plan.tier_dir):
        progress.note(fault)
    if frozen:
        frozen.refuse_replaced()
    write_conclusion(plan, paper, verdicts, rows["runs"])
    publish(outline(config))
