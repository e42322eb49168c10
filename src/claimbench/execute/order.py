"""In which order jobs start: paper after paper, so that the first verdicts come soon.

The paper with the least left to do comes first: no other order lets the papers end earlier on average. Within a paper
the longest chain of jobs comes first, and those that need the machine to themselves last and together, so that the
other cores are emptied once.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from claimbench.plan.plan import Plan
from claimbench.records import costs

#: what separates two papers; a job's seconds stay below a third of it
_PAPER = 1_000_000
_SHARING = 300_000
_SOON = 900_000


@dataclass(frozen=True)
class Order:
    """Priorities; what is larger starts first."""

    papers: dict[str, int]
    jobs: dict[str, int]
    datasets: dict[str, int]

    def soon(self, paper: str) -> int:
        """For what a paper's verdicts wait for, once its runs are there."""
        return self.papers[paper] + _SOON


def make_order(plan: Plan) -> Order:
    """The order of a plan's papers, jobs and datasets, by what earlier runs took, else by what paper.yaml declares."""
    own = {name: seconds + unknown for name, (seconds, unknown) in costs.forecast(plan).items()}
    waiting: dict[str, list[str]] = {name: [] for name in plan.jobs}
    for name, job in plan.jobs.items():
        for needed in job.needs:
            waiting[needed].append(name)

    @functools.cache
    def chain(name: str) -> float:
        return own[name] + max(map(chain, waiting[name]), default=0.0)

    left = {slug: sum(own[job.id] for job in plan.jobs_of(slug)) for slug in plan.papers}
    papers = {slug: _PAPER * (i + 1) for i, slug in enumerate(sorted(left, key=lambda slug: (-left[slug], slug)))}
    jobs = {
        name: papers[job.paper] + min(int(chain(name)), _SHARING - 1) + (0 if job.exclusive else _SHARING)
        for name, job in plan.jobs.items()
    }
    datasets: dict[str, int] = {}
    for job in plan.jobs.values():
        for dataset in job.datasets:
            datasets[dataset] = max(datasets.get(dataset, 0), papers[job.paper] + _SOON)
    return Order(papers, jobs, datasets)
