"""What a tier shows of its papers: their tables in one file each, and the page; new whenever a paper is through."""

from __future__ import annotations

from pathlib import Path

from claimbench import files
from claimbench.judge.controls import write_faults
from claimbench.plan.plan import Plan
from claimbench.present import report
from claimbench.records import collect, conclusions, costs, pages


def publish(plan: Plan, last: bool = False) -> Path:
    """Write the tier's tables and page of the papers that are through; the page shows the others as pending.

    Papers that are not of this plan and that earlier runs left stay in the tables and on the page, which says so. Two
    papers may end at once, so one process at a time does it.

    Args:
        plan: of which only the papers are read, so an outline will do.
        last: no paper is left: the ledger and the forecasts of all tiers belong to the page too.

    Returns:
        The page.
    """
    with files.locked(plan.tier_dir / ".page.lock"):
        through = conclusions.concluded(plan.tier_dir)
        everything, earlier = pages.with_earlier(plan)
        papers = [*(slug for slug in plan.papers if slug in through), *earlier]
        collect.merge(everything, papers)
        write_faults(everything, papers)
        if last:
            costs.write_ledger(everything)
        page = report.build(everything, papers, forecasts=last, earlier=earlier)
        pages.write(plan, papers, last)
        return page
