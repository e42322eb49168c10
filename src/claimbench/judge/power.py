"""What each claim of a plan can find, before there are results: its units, its level, the smallest effect."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from claimbench.judge import decision, selection
from claimbench.judge.statistics import ALPHA, detectable
from claimbench.plan.plan import Plan
from claimbench.spec.claims import Exact, Testable, Untested, Value, load_claims

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Power:
    """A claim at a tier. ``effect`` is what is found with a power of 0.8 at the level of the first step of Holm, in
    standard deviations of a unit; None where nothing is tested."""

    paper: str
    claim: str
    kind: str
    family: str
    units: int
    level: float | None
    effect: float | None
    #: why it can never be decided
    never: str = ""


def powers(plan: Plan, paper: str) -> list[Power]:
    """The claims of a paper that the plan's tier judges."""
    frame = _planned(plan, paper)
    judged = [
        (claim, selection.basis(claim, chosen).planned)
        for claim in load_claims(plan.folders[paper] / "claims.yaml")
        if not isinstance(claim, Untested) and _is_judged(claim, plan, paper)
        for chosen in [selection.sides(claim, frame)]
        if all(len(part) for part in chosen)
    ]
    tested = Counter(decision.family(claim) for claim, _ in judged if _is_tested(claim))
    return [_power(paper, claim, n, tested[decision.family(claim)]) for claim, n in judged]


def _is_tested(claim: Testable) -> bool:
    return not isinstance(claim, Exact) and not claim.deterministic


def _power(paper: str, claim: Testable, n: int, size: int) -> Power:
    never = "no seed is planned in all of its cells" if not n else ""
    if not _is_tested(claim):
        return Power(paper, claim.id, claim.kind, decision.family(claim), n, None, None, never)
    if n == 1:
        never = f"a single {claim.unit} has no spread"
    level = ALPHA / max(size, 1)
    effect = None if never else detectable(n, level, claim.resplits or 0.0)
    return Power(paper, claim.id, claim.kind, decision.family(claim), n, level, effect, never)


def _is_judged(claim: Testable, plan: Plan, paper: str) -> bool:
    tier = plan.config.tier
    if claim.tiers is not None and tier not in claim.tiers:
        return False
    evidence = claim.evidence.get(tier, plan.papers[paper].tier_evidence.get(tier))
    return not isinstance(claim, Value) or evidence == "full"


def _planned(plan: Plan, paper: str) -> pd.DataFrame:
    """The planned runs as a frame of results: of ``{first: [...]}`` the first member that is planned is taken."""
    import pandas as pd

    rows = [
        (run.cell.experiment, run.cell.method, run.cell.dataset, run.cell.setting_string, run.seed)
        for run in plan.runs
        if run.cell.paper == paper
    ]
    frame = pd.DataFrame(rows, columns=["experiment", *selection.RUN])
    return selection.parsed(frame.assign(status="planned", reason="", split="", metric="", value=0.0))
