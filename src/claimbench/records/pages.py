"""Of what the tables and the page of a tier were made."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from claimbench import files
from claimbench.errors import ClaimBenchError
from claimbench.plan.plan import Plan, outline
from claimbench.records import conclusions
from claimbench.spec.folders import find_papers

#: tables that every paper has, and a tier of all its papers
TABLES = ("runs", "metrics", "curves", "published", "verdicts", "margins")
_REPORT = Path(__file__).parents[1] / "present" / "report"


def path_of(tier_dir: Path) -> Path:
    return tier_dir / "page.json"


def page_path(tier_dir: Path) -> Path:
    return tier_dir / "report" / "index.html"


def earlier(plan: Plan) -> list[str]:
    """Papers that are not of this plan and have whole tables in the tier, from earlier runs."""
    return [
        slug
        for slug in sorted(find_papers(plan.config))
        if slug not in plan.papers and conclusions.whole(plan.tier_dir, slug) and _readable(plan, slug)
    ]


def _readable(plan: Plan, slug: str) -> bool:
    """Whether its folder can still be read; if not, this run is not about it."""
    try:
        _outline(plan, [slug])
    except ClaimBenchError:
        return False
    return True


def with_earlier(plan: Plan) -> tuple[Plan, list[str]]:
    """An outline of the plan's papers and of those that earlier runs left, and the names of the latter."""
    found = earlier(plan)
    return _outline(plan, [*plan.papers, *found]), found


def _outline(plan: Plan, papers: list[str]) -> Plan:
    return outline(plan.config.model_copy(update={"papers": papers, "experiments": {}, "overrides": {}}))


def write(plan: Plan, papers: Iterable[str], last: bool) -> None:
    """Say that the tier's tables and page are now those of ``papers``; ``last``: none is left."""
    tier = plan.tier_dir
    made = [*(tier / f"{name}.parquet" for name in TABLES), tier / "costs.parquet", tier / "qc.json", page_path(tier)]
    files.write_json(
        path_of(tier), {**_made_of(plan, papers), "last": last, "files": conclusions.checksums(tier, made)}
    )


def in_order(plan: Plan) -> bool:
    """Whether the tier's tables and page are of what its papers are now, and as they were written."""
    found = files.read_json(path_of(plan.tier_dir))
    if not isinstance(found, dict) or not found.get("last"):
        return False
    expected = _made_of(plan, [*plan.papers, *earlier(plan)])
    return all(found.get(key) == value for key, value in expected.items()) and conclusions.unchanged(
        plan.tier_dir, found["files"]
    )


def _made_of(plan: Plan, papers: Iterable[str]) -> dict[str, Any]:
    return {
        "of_this_run": sorted(plan.papers),
        "conclusions": {
            slug: conclusions.checksum(conclusions.path_of(plan.tier_dir, slug)) for slug in sorted(papers)
        },
        "code": [
            plan.code.of_modules("claimbench.present.publish", "claimbench.present.report"),
            conclusions.checksums(
                _REPORT, (path for path in _REPORT.iterdir() if path.is_file() and path.suffix != ".py")
            ),
        ],
    }
