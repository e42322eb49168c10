"""Claims -> rows of verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from claimbench.judge import decision, selection, statistics
from claimbench.judge.decision import Evidence, Ruling
from claimbench.judge.questions import Context, Question, Row, ask
from claimbench.spec.claims import Claim, Ratio, Untested

if TYPE_CHECKING:
    import pandas as pd


MULTIPLIERS = tuple(float(2.0**e) for e in np.linspace(-2, 2, 9))


def judge(
    claims: Iterable[Claim],
    frame: pd.DataFrame,
    published: pd.DataFrame,
    tier: str,
    tier_evidence: dict[str, str],
    experiments: dict[str, Row],
    curves: pd.DataFrame | None = None,
    margin_multiplier: float = 1.0,
) -> list[Row]:
    """Verdicts, one row a claim (see ``records.columns.TABLES["verdicts"]``).

    Args:
        frame: the runs, a row a value: experiment, method, dataset, setting, seed, status, reason, split, metric,
            value; a run without results has one row without metric and value.
        published: rows of published.csv.
        experiments: per experiment ``scale`` (factor to display units), ``digits`` and ``floor``.
        curves: run_key, series, step, value; then ``frame`` has ``run_key``, too.
    """
    found = asked(claims, frame, published, tier, tier_evidence, experiments, curves)
    return answered(*found, (margin_multiplier,))[margin_multiplier]


def answered(rows: list[Row], questions: Sequence[Question], multipliers: Iterable[float]) -> dict[float, list[Row]]:
    """The verdicts on what was :func:`asked`, for each multiplier of the margins."""
    at: dict[float, list[Row]] = {}
    for by in multipliers:
        weighed = [decision.weigh(question, by) for question in questions]
        rulings = decision.rule(questions, weighed, by)
        said = {
            question.claim.id: _filled(question, evidence, ruling, by)
            for question, evidence, ruling in zip(questions, weighed, rulings, strict=True)
        }
        at[by] = [said.get(row["claim_id"], row) for row in rows]
    return at


def asked(
    claims: Iterable[Claim],
    frame: pd.DataFrame,
    published: pd.DataFrame,
    tier: str,
    tier_evidence: dict[str, str],
    experiments: dict[str, Row],
    curves: pd.DataFrame | None = None,
) -> tuple[list[Row], Sequence[Question]]:
    """A row for every claim, and what is asked of the runs by those that are judged; both share their rows."""
    frame, published = selection.parsed(frame), selection.with_axes(published)
    context = Context(frame, published, tier, tier_evidence, experiments, curves)
    rows, questions = [], []
    for claim in claims:
        row = _row(claim)
        rows.append(row)
        if isinstance(claim, Untested):
            row["verdict"] = claim.verdict
            continue
        row |= {"experiment": claim.experiment, "metric": claim.metric, "margin_reason": claim.margin_reason}
        question = ask(claim, row, context)
        if question is not None:
            questions.append(question)
    return rows, questions


def _row(claim: Claim) -> Row:
    return {
        "claim_id": claim.id,
        "title": claim.title or claim.id,
        "text": claim.text,
        "headline": claim.headline,
        "family": decision.family(claim),
        "kind": claim.kind,
        "experiment": "",
        "metric": "",
        "cells": "[]",
        "margin": None,
        "margin_reason": "",
        "published": claim.published_note,
        "measured": "",
        "n": None,
        "n_planned": None,
        "effect": "",
        "diff": None,
        "ci_low": None,
        "ci_high": None,
        "p": None,
        "p_adj": None,
        "verdict": "not run",
        "evidence": "",
        "seeds_needed": None,
        "survives": None,
        "variations": None,
        "falls": "",
        "test": "",
        "source": claim.source,
        "reason": claim.reason,
        "note": claim.note,
    }


def _filled(question: Question, evidence: Evidence, ruling: Ruling, by: float) -> Row:
    row, found = dict(question.row), evidence.estimate
    row["verdict"] = ruling.verdict
    if ruling.reason:
        row["reason"] = ruling.reason
    if isinstance(question.claim, Ratio) and question.effects is not None:
        row["margin"] = math.exp(question.region(by).low)
    elif row["margin"] is not None:
        row["margin"] *= by
    if found is not None:
        shown = [found.effect, *found.interval()]
        if isinstance(question.claim, Ratio):
            shown = [math.exp(value) for value in shown]
        row |= dict(zip(("diff", "ci_low", "ci_high"), shown, strict=True))
        row |= {"p": ruling.p, "p_adj": ruling.p_adjusted, "test": found.test, "n": found.n}
        if ruling.verdict == "inconclusive" and not question.blocked:
            row["seeds_needed"] = statistics.units_needed(found, question.region(by), ruling.level)
    for key, value in row.items():
        if isinstance(value, float) and not math.isfinite(value):
            row[key] = None
        elif isinstance(value, np.generic):
            row[key] = value.item()
    return row
