"""Paper after paper, the longest chain first, what needs the machine to itself last; and the scheduler that keeps it."""

from __future__ import annotations

import copy
import logging
import shutil
from dataclasses import dataclass, field

import yaml
from hypothesis import given
from hypothesis import strategies as st

from claimbench.execute import local
from claimbench.execute.order import make_order
from claimbench.plan.plan import Plan
from snakemake_scheduler_plugin_claimbench import Scheduler
from tests.conftest import EXPERIMENTS, PAPER, PaperFolder


def several(paper: PaperFolder, seconds: dict[str, float]) -> list[str]:
    """Copies of the toy paper whose runs are declared to take so long; their slugs, as given."""
    for slug, run_s in seconds.items():
        folder = paper.papers / slug.replace("-", "_")
        shutil.copytree(paper.folder, folder)
        spec = copy.deepcopy(PAPER) | {"slug": slug}
        for experiment in spec["experiments"].values():
            for tier in experiment["tiers"].values():
                tier["run_s"] = run_s
        (folder / "paper.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    return list(seconds)


def names(plan: Plan) -> list[str]:
    order = make_order(plan)
    return sorted(order.jobs, key=order.jobs.__getitem__, reverse=True)


def test_the_cheapest_paper_comes_first(paper: PaperFolder) -> None:
    slugs = several(paper, {"one": 3.0, "two": 1.0, "three": 2.0})
    plan = paper.plan(papers=slugs)
    assert [name.split(".")[0] for name in names(plan)][::2] == ["two", "three", "one"]
    order = make_order(plan)
    for slug in slugs:  # the verdicts of a paper come before any job of the next one, and after none of its own
        assert order.soon(slug) > max(value for name, value in order.jobs.items() if name.startswith(slug))
        assert all(order.soon(slug) < v for s, v in order.papers.items() if v > order.papers[slug])


def test_what_is_done_costs_nothing(paper: PaperFolder) -> None:
    slugs = several(paper, {"long": 9.0, "short": 1.0})
    plan = paper.plan(papers=slugs)
    assert names(plan)[0].startswith("short")
    local.fit_and_score(plan, "long", "location")
    local.fit_and_score(plan, "long", "student")
    assert names(plan)[0].startswith("long")


def test_the_longest_chain_comes_first_and_timings_last(paper: PaperFolder) -> None:
    changed = copy.deepcopy(PAPER)
    tiers = changed["experiments"]["location"]["tiers"]
    for name, run_s in (("quick", 0.1), ("slow", 50.0), ("clock", 99.0)):
        changed["experiments"][name] = {**PAPER["experiments"]["location"], "tiers": {"laptop": {**tiers["laptop"]}}}
        changed["experiments"][name]["tiers"]["laptop"]["run_s"] = run_s
    changed["experiments"]["clock"]["exclusive"] = True
    tiers["laptop"]["run_s"] = 1.0
    student = copy.deepcopy(PAPER["experiments"]["student"]["tiers"]["smoke"])
    changed["experiments"]["student"]["tiers"]["laptop"] = {**student, "run_s": 500.0}
    text = "".join(f"\nfit_{n} = fit_location__mean\nscore_{n} = score_location\n" for n in ("quick", "slow", "clock"))
    paper.write(changed, EXPERIMENTS + text)
    plan = paper.plan(tier="laptop", bundle_s=10000, experiments={})
    found = [name.removeprefix("toy-paper.") for name in names(plan)]
    assert found == ["location", "student", "slow", "quick", "clock"]


@dataclass(frozen=True)
class Work:
    """As much of a job as a scheduler sees."""

    priority: int
    scheduler_resources: dict[str, int] = field(hash=False)


def scheduler() -> Scheduler:
    return Scheduler(None, None, logging.getLogger("test"))


def select(planner: Scheduler, jobs: list[Work], **free: int) -> list[int]:
    have = {"_cores": 2, "_job_count": 1000} | free
    return [job.priority for job in planner.select_jobs(jobs, jobs, have, {})]


def test_what_wants_every_core_keeps_its_place() -> None:
    planner = scheduler()
    alone, plain = Work(5, {"_cores": 2}), [Work(p, {"_cores": 1}) for p in (1, 9, 3)]
    assert select(planner, [*plain, alone]) == [9]
    assert select(planner, [plain[0], alone], _cores=1) == [], "no later job starts before it"
    assert select(planner, [plain[0], alone], _cores=2) == [5]


def test_what_lacks_something_else_is_passed_over() -> None:
    jobs = [Work(5, {"_cores": 1, "gpu": 1}), Work(4, {"_cores": 1, "gpu": 1}), Work(1, {"_cores": 1})]
    assert select(scheduler(), jobs, gpu=1) == [5, 1]
    assert select(scheduler(), [Work(1, {"_cores": 1, "gpu": 7})]) == [1], "what nobody counts is not limited"


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4), st.integers(0, 2)), max_size=12), st.integers(0, 4))
def test_never_more_than_there_is(jobs: list[tuple[int, int, int]], free: int) -> None:
    planner = scheduler()
    planner.select_jobs([], [], {"_cores": 4}, {})
    work = [Work(p, {"_cores": cores, "gpu": gpu}) for p, cores, gpu in jobs]
    chosen = planner.select_jobs(work, work, {"_cores": free, "gpu": 2}, {})
    assert sum(job.scheduler_resources["_cores"] for job in chosen) <= free
    assert sum(job.scheduler_resources["gpu"] for job in chosen) <= 2
    if free == 4 and work:
        assert chosen, "an empty machine takes what is there"
