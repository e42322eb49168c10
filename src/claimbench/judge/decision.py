"""The decision rule: from the p values of a paper's claims to verdicts, each family corrected in both directions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from claimbench.judge import statistics
from claimbench.judge.questions import Question
from claimbench.judge.statistics import ALPHA, Estimate
from claimbench.spec.claims import Stated, Value

#: the families in which p values are corrected, with what the page calls them
FAMILIES = {"headline": "headline claims", "other": "other claims", "ours": "own findings"}


@dataclass(frozen=True)
class Evidence:
    """The two p values of a claim: that it does not hold, and that it holds. Both 1 where the data cannot decide."""

    estimate: Estimate | None = None
    against_null: float = 1.0
    against_claim: float = 1.0


@dataclass(frozen=True)
class Ruling:
    """A verdict, with the p values of the direction to which the effect points, and the level that decided it."""

    verdict: str
    p: float | None = None
    p_adjusted: float | None = None
    reason: str = ""
    level: float = ALPHA


def family(claim: Stated) -> str:
    """The family of a claim."""
    return "ours" if claim.origin == "ours" else "headline" if claim.headline else "other"


def weigh(question: Question, by: float = 1.0, estimate: Estimate | None = None) -> Evidence:
    """The p values of a claim with its margins multiplied by ``by``, from its own estimate or another one."""
    if question.effects is None:
        return Evidence()
    found = question.effects.estimate() if estimate is None else estimate
    if question.blocked or found.certain:
        return Evidence(found)
    region = question.region(by)
    return Evidence(found, found.inside(region), found.outside(region))


def rule(
    questions: Sequence[Question], weighed: Sequence[Evidence], by: float = 1.0, corrected: bool = True
) -> list[Ruling]:
    """Verdicts of the claims of one paper.

    A claim is reproduced when "it does not hold" is rejected at ALPHA, and contradicted when "it holds" is; each of
    the two after Holm over the claims of its family. A claim whose runs are incomplete stays in its family, with p
    values of 1, so that the correction does not depend on what failed.
    """
    rulings: dict[int, Ruling] = {}
    for name in FAMILIES:
        tested = [
            i
            for i, question in enumerate(questions)
            if family(question.claim) == name and question.settled is None and not _certain(weighed[i])
        ]
        p_for, p_against = ([getattr(weighed[i], p) for i in tested] for p in ("against_null", "against_claim"))
        adjusted = [statistics.holm(p) if corrected else p for p in (p_for, p_against)]
        for place, i in enumerate(tested):
            levels = [ALPHA / max(1, sum(p > ALPHA for p in side)) if corrected else ALPHA for side in adjusted]
            rulings[i] = _one(questions[i], weighed[i], by, (adjusted[0][place], adjusted[1][place]), levels, name)
    return [rulings.get(i) or _settled(question, weighed[i], by) for i, question in enumerate(questions)]


def _certain(evidence: Evidence) -> bool:
    return evidence.estimate is not None and evidence.estimate.certain


def _settled(question: Question, evidence: Evidence, by: float) -> Ruling:
    """Of a claim whose values are compared and not tested."""
    if question.blocked:
        return Ruling("inconclusive", reason=question.blocked)
    if question.settled is not None:
        return _allowed(question, Ruling(question.settled(by)))
    found = evidence.estimate
    assert found is not None
    if found.sd > 0:
        return Ruling("inconclusive", reason="the claim is declared deterministic, but its seeds differ")
    holds = question.region(by).holds(found.effect, found.tolerance)
    return _allowed(question, Ruling("reproduced" if holds else _against(question, found)))


def _one(
    question: Question, evidence: Evidence, by: float, adjusted: tuple[float, float], levels: list[float], name: str
) -> Ruling:
    found = evidence.estimate
    if question.blocked or found is None:
        return Ruling("inconclusive", reason=question.blocked)
    inside = question.region(by).holds(found.effect, found.tolerance)
    raw, corrected, level = (
        (evidence.against_null, adjusted[0], levels[0]) if inside else (evidence.against_claim, adjusted[1], levels[1])
    )
    if adjusted[0] <= ALPHA:
        beyond = question.beyond(by) if question.beyond is not None else math.inf
        verdict = "exceeded" if found.interval(level)[0] > beyond else "reproduced"
    elif adjusted[1] <= ALPHA:
        verdict = _against(question, found)
    elif found.n < 2:
        return Ruling("inconclusive", reason="a single unit has no spread")
    else:
        alone = f"significant alone, not after Holm's correction over the {FAMILIES[name]}" if raw <= ALPHA else ""
        return Ruling("inconclusive", raw, corrected, alone, level)
    return _allowed(question, Ruling(verdict, raw, corrected, level=level))


def _allowed(question: Question, ruling: Ruling) -> Ruling:
    """Without the verdicts that chance or an unfinished budget forbids."""
    why = question.improving if ruling.verdict == "contradicted" else question.unproven
    return replace(ruling, verdict="inconclusive", reason=why) if why else ruling


def _against(question: Question, found: Estimate) -> str:
    """``contradicted``; ``exceeded`` where a value lies beyond the published one on the side declared as better."""
    claim = question.claim
    if isinstance(claim, Value) and claim.higher_is_better is not None:
        return "exceeded" if (found.effect > 0) == claim.higher_is_better else "contradicted"
    return "contradicted"
