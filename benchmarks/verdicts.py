"""How often verdicts are wrong at the boundary, and how often they decide: simulations through the judge.

python benchmarks/verdicts.py families 1000    # a table of docs/statistics.md, from so many families
python benchmarks/verdicts.py judged 100       # the others
python benchmarks/verdicts.py power 200
python benchmarks/verdicts.py tests 4000       # why Student's test at this level: other tests beside it
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats as st

from claimbench.judge import decision
from claimbench.judge.questions import Effects, Question
from claimbench.judge.regions import Region
from claimbench.judge.statistics import ALPHA, estimate
from claimbench.judge.verdicts import judge
from claimbench.spec.claims import make_claim

Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]
#: differences with mean 0 and variance 1
SHAPES: dict[str, Draw] = {
    "normal": lambda draw, size: draw.normal(size=size),
    "heavy tails (t, 3 degrees)": lambda draw, size: draw.standard_t(3, size) / np.sqrt(3),
    "skewness 1": lambda draw, size: (draw.gamma(4, size=size) - 4) / 2,
    "skewness -1": lambda draw, size: (4 - draw.gamma(4, size=size)) / 2,
    "skewness 2": lambda draw, size: draw.exponential(size=size) - 1,
    "skewness -2": lambda draw, size: 1 - draw.exponential(size=size),
}
SEEDS = (2, 3, 5, 10, 20)
FAMILY = 5


def _claim(**content: Any) -> Any:
    stated = {"text": "t", "experiment": "e", "metric": "test/x", "margin_reason": "r", "kind": "better"}
    return make_claim({"a": {"method": "a"}, "b": {"method": "b"}, **stated, **content}, "claims.yaml: claim")


def families(
    shape: str, n: int, times: int, effect: float = 0.0, two_sided: bool = False, size: int = FAMILY
) -> Counter[str]:
    """Families of ``size`` claims whose effect lies ``effect`` beyond the boundary: how many had any of a verdict.

    Args:
        two_sided: whether the claim is an equivalence, two standard deviations wide on either side.
    """
    draw = np.random.default_rng(n)
    claims = [_claim(id=f"C{i}") for i in range(size)]
    region = Region(-2.0, 2.0) if two_sided else Region(low=0.0, closed=False)
    shift = 2.0 - effect if two_sided else effect
    found: Counter[str] = Counter()
    questions = [Question(claim, {}, Effects(pd.DataFrame(), 1.0), lambda _: region) for claim in claims]
    for values in SHAPES[shape](draw, (times, size, n)) + shift:
        weighed = [
            decision.weigh(question, estimate=estimate(row, 1.0))
            for question, row in zip(questions, values, strict=True)
        ]
        rulings = decision.rule(questions, weighed)
        found.update({ruling.verdict for ruling in rulings})
        found["decided"] += sum(ruling.verdict == "reproduced" for ruling in rulings)
    return found


def frame(a: dict[str, NDArray[np.float64]], b: dict[str, NDArray[np.float64]]) -> pd.DataFrame:
    """Runs of A and B over datasets; a value that is not a number is a run that failed."""
    rows = [
        {"experiment": "e", "method": method, "dataset": dataset, "setting": "", "seed": seed, "value": value}
        for method, side in (("a", a), ("b", b))
        for dataset, values in side.items()
        for seed, value in enumerate(values)
    ]
    table = pd.DataFrame(rows).assign(reason="", split="test", metric="x", status="done")
    lost = table["value"].isna()
    table.loc[lost, ["status", "split", "metric"]] = ["failed", None, None]
    return table


def judged(claim: Any, a: Any, b: Any) -> str:
    """The verdict on one claim through the judge itself."""
    published = pd.DataFrame(columns=["experiment", "method", "dataset", "setting", "metric", "value", "spread", "n"])
    return str(judge([claim], frame(a, b), published, "laptop", {"laptop": "full"}, {})[0]["verdict"])


def shared(n: int, times: int, lost: float = 0.0, complete: float = 1.0) -> Counter[str]:
    """Four datasets that share the seed's luck, no difference; a share of the runs is lost."""
    draw = np.random.default_rng(n)
    claim = _claim(id="C", complete=complete)
    found: Counter[str] = Counter()
    for _ in range(times):
        luck = draw.normal(size=n)
        a = {f"d{i}": luck + 0.3 * draw.normal(size=n) for i in range(4)}
        b = {name: np.zeros(n) for name in a}
        if lost:
            for values in a.values():
                values[draw.random(n) < lost] = np.nan
        found[judged(claim, a, b)] += 1
    return found


def halves(n: int, times: int, corrected: bool = True, rows: int = 200) -> Counter[str]:
    """Random halves of one table on which two equally good methods are compared.

    Each method is right about a row with the same probability, and right or wrong about it in whatever half it tests:
    so the halves share what this table happens to favour.
    """
    draw = np.random.default_rng(n)
    claim = _claim(id="C", **({"resplits": 1} if corrected else {}))
    found: Counter[str] = Counter()
    for _ in range(times):
        right = draw.random((2, rows)) < 0.8
        tests = [draw.permutation(rows)[: rows // 2] for _ in range(n)]
        a, b = (np.array([side[test].mean() for test in tests]) for side in right)
        found[judged(claim, {"d": a}, {"d": b})] += 1
    return found


def ratios(n: int, times: int) -> Counter[str]:
    """Times of two methods whose ratio is the factor itself."""
    draw = np.random.default_rng(n)
    claim = _claim(id="C", kind="ratio", factor=3.0)
    found: Counter[str] = Counter()
    for _ in range(times):
        a, b = 3.0 * draw.lognormal(0, 0.2, n), draw.lognormal(0, 0.2, n)
        found[judged(claim, {"d": a}, {"d": b})] += 1
    return found


def _share(found: Counter[str], word: str, times: int) -> str:
    return f"{100 * found[word] / times:.1f}"


def _line(name: str, counts: list[Counter[str]], times: int) -> str:
    cells = [f"{_share(found, 'reproduced', times)} / {_share(found, 'contradicted', times)}" for found in counts]
    return f"| {name} | " + " | ".join(cells) + " |"


def _head(what: str) -> Iterator[str]:
    yield f"| {what} | " + " | ".join(f"n = {n}" for n in SEEDS) + " |"
    yield "| --- |" + " --- |" * len(SEEDS)


def at_the_boundary(times: int) -> Iterator[str]:
    """Families of claims whose effects all lie on the boundary."""
    yield from _head("any false `reproduced` / any false `contradicted`, % of families")
    for shape in SHAPES:
        yield _line(f"{FAMILY} claims, {shape}", [families(shape, n, times) for n in SEEDS], times)
    yield _line("14 claims, normal", [families("normal", n, times, size=14) for n in SEEDS], times)
    yield _line(f"{FAMILY} equivalences, normal", [families("normal", n, times, two_sided=True) for n in SEEDS], times)


def through_the_judge(times: int) -> Iterator[str]:
    """Single claims about tables of runs."""
    yield from _head("false `reproduced` / false `contradicted`, % of claims")
    yield _line("4 datasets that share the seed's luck", [shared(n, times) for n in SEEDS], times)
    yield _line("the same, 2 % of the runs lost, half may be", [shared(n, times, 0.02, 0.5) for n in SEEDS], times)
    yield _line("random halves of one table", [halves(n, times) for n in SEEDS], times)
    yield _line("the same without `resplits`", [halves(n, times, False) for n in SEEDS], times)
    yield _line("ratios at the factor", [ratios(n, times) for n in SEEDS], times)


def found(times: int) -> Iterator[str]:
    """Power, alone and in a family."""
    yield from _head("claims that are reproduced, %")
    for effect in (1.0, 2.0, 4.0):
        for size in (1, FAMILY):
            counts = [families("normal", n, times, effect, size=size) for n in SEEDS]
            cells = [f"{100 * count['decided'] / (size * times):.0f}" for count in counts]
            name = "one claim" if size == 1 else f"each of {size} claims"
            yield f"| {name}, {effect:g} sd beyond the boundary | " + " | ".join(cells) + " |"


def tests(times: int) -> Iterator[str]:
    """One-sided errors of tests that could be used in place of Student's, at the boundary, in per cent."""
    yield f"{'':28s}   n  t {ALPHA:g}  t 0.025  sign flips  Wilcoxon"
    for shape, make in SHAPES.items():
        for n in (3, 5, 6, 10, 20):
            values = make(np.random.default_rng(n), (times, n))
            p = st.ttest_1samp(values, 0, axis=1, alternative="greater").pvalue
            signs = np.random.default_rng(0).choice([-1.0, 1.0], (999, n))
            flips = [(1 + np.sum(signs @ row >= row.sum() - 1e-12)) / 1000 for row in values]
            ranks = st.wilcoxon(values, axis=1, alternative="greater").pvalue
            shares = [
                np.mean(p <= ALPHA),
                np.mean(p <= 0.025),
                *(np.mean(np.array(q) <= ALPHA) for q in (flips, ranks)),
            ]
            yield f"{shape:28s}  {n:2d}  " + "  ".join(f"{100 * share:7.1f}" for share in shares)


PARTS = {"families": at_the_boundary, "judged": through_the_judge, "power": found, "tests": tests}

if __name__ == "__main__":
    for text in PARTS[sys.argv[1]](int(sys.argv[2])):
        print(text, flush=True)
