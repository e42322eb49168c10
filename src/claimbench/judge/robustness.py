"""Would a verdict survive another reasonable choice: of margin, of test, of correction, of seeds, of datasets?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from claimbench.judge import decision
from claimbench.judge.decision import Evidence
from claimbench.judge.questions import Effects, Question

LEAST_FOR_RANKS = 6
LEAST_FOR_LEAVING_OUT = 3


def robustness(questions: Sequence[Question]) -> dict[str, dict[str, Any]]:
    """For each claim that is reproduced or contradicted: how many variations its verdict survives.

    Variations are margins halved and doubled, no correction for the family, Wilcoxon's test, each seed and each stratum
    left out; what does not apply to a claim is not counted. The other claims of the family stay as they are.

    Returns:
        Claim id -> ``survives``, ``variations`` and ``falls``, what turns it into what.
    """
    weighed = [decision.weigh(question) for question in questions]
    rulings = decision.rule(questions, weighed)
    found = {}
    for place, (question, ruling) in enumerate(zip(questions, rulings, strict=True)):
        if ruling.verdict == "inconclusive":
            continue
        said = {
            name: {_verdict(questions, weighed, place, *change) for change in changes}
            for name, changes in _variations(question)
        }
        falls = {name: verdicts - {ruling.verdict} for name, verdicts in said.items()}
        turned = [f"{name}: {' or '.join(sorted(verdicts))}" for name, verdicts in falls.items() if verdicts]
        found[question.claim.id] = {
            "survives": len(said) - len(turned),
            "variations": len(said),
            "falls": "; ".join(turned),
        }
    return found


Change = tuple[Evidence, float, bool]


def _verdict(
    questions: Sequence[Question],
    weighed: Sequence[Evidence],
    place: int,
    evidence: Evidence,
    by: float,
    corrected: bool,
) -> str:
    changed = [*weighed[:place], evidence, *weighed[place + 1 :]]
    if by == 1.0:
        return decision.rule(questions, changed, by, corrected)[place].verdict
    # only this claim's margin is multiplied: its p values are those of `evidence`, the others' do not depend on `by`
    one = replace(questions[place], region=lambda _: questions[place].region(by))
    settled = questions[place].settled
    if settled is not None:
        one = replace(one, settled=lambda _: settled(by))
    return decision.rule([*questions[:place], one, *questions[place + 1 :]], changed, 1.0, corrected)[place].verdict


def _variations(question: Question) -> Iterator[tuple[str, list[Change]]]:
    own = decision.weigh(question)
    if question.row["margin"] and (question.effects is None or question.region(2.0) != question.region(1.0)):
        yield "margin halved", [(decision.weigh(question, 0.5), 0.5, True)]
        yield "margin doubled", [(decision.weigh(question, 2.0), 2.0, True)]
    effects = question.effects
    if effects is None:
        return
    if not effects.certain:
        yield "no correction", [(own, 1.0, False)]
    units = effects.table.mean(axis=1).to_numpy()
    if not effects.certain and not effects.overlap and effects.other is None and len(units) >= LEAST_FOR_RANKS:
        yield "Wilcoxon's test", [(_ranks(question, units), 1.0, True)]
    if len(units) >= LEAST_FOR_LEAVING_OUT:
        rests = [effects.table.drop(index=unit) for unit in effects.table.index]
        yield f"without one {question.claim.unit}", [_without(question, effects, rest) for rest in rests]
    if effects.table.shape[1] > 1:
        rests = [effects.table.drop(columns=stratum) for stratum in effects.table.columns]
        yield "without one stratum", [_without(question, effects, rest) for rest in rests]


def _without(question: Question, effects: Effects, rest: Any) -> Change:
    return decision.weigh(question, estimate=replace(effects, table=rest).estimate()), 1.0, True


def _ranks(question: Question, units: Any) -> Evidence:
    from scipy import stats as st

    region, own = question.region(1.0), decision.weigh(question).estimate

    def p(bound: float, side: str) -> float:
        return float(st.wilcoxon(units - bound, alternative=side, zero_method="zsplit").pvalue)

    inside = [
        p(bound, side) for bound, side in ((region.low, "greater"), (region.high, "less")) if abs(bound) != float("inf")
    ]
    outside = [
        p(bound, side) for bound, side in ((region.low, "less"), (region.high, "greater")) if abs(bound) != float("inf")
    ]
    return Evidence(own, max(inside), min(1.0, len(outside) * min(outside)))
