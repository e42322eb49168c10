"""A method that was still improving is not contradicted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from claimbench.judge.budget import improving
from claimbench.judge.verdicts import judge
from tests.unit.judge.tables import BETTER, EXPERIMENTS, NO_PUBLISHED, claim, frame

STEPS = np.arange(1, 21)
SHAPES = {"straight": 1 - STEPS / 20, "late": np.maximum(0.0, 1 - STEPS / 18), "flat": np.exp(-STEPS / 2)}


def curves(shape: str, keys: list[str]) -> pd.DataFrame:
    parts = [pd.DataFrame({"run_key": key, "series": "l", "step": STEPS, "value": SHAPES[shape]}) for key in keys]
    return pd.concat(parts)


@pytest.mark.parametrize(("shape", "share"), [("straight", "24 %"), ("late", "21 %"), ("flat", "")])
def test_the_share_of_the_last_fifth(shape: str, share: str) -> None:
    said = improving(pd.DataFrame({"run_key": ["a", "b"]}), curves(shape, ["a", "b", "c"]), "l")
    assert share in said
    assert bool(said) == bool(share)
    assert improving(pd.DataFrame({"run_key": ["a"]}), curves(shape, ["a"]), "another") == ""


@pytest.mark.parametrize(
    ("shape", "evidence", "want"),
    [("straight", "scaled", "inconclusive"), ("straight", "full", "contradicted"), ("flat", "scaled", "contradicted")],
)
def test_a_scaled_claim_is_not_contradicted_while_it_improves(shape: str, evidence: str, want: str) -> None:
    data = frame({("a", "d", ""): [1.0, 1.1, 1.2], ("b", "d", ""): [9.0, 9.1, 9.1]})
    data["run_key"] = [f"{method}{seed}" for method, seed in zip(data["method"], data["seed"], strict=True)]
    given = (data, NO_PUBLISHED, "laptop", {"laptop": evidence}, EXPERIMENTS, curves(shape, ["a0", "a1", "a2"]))
    (row,) = judge([claim(**{**BETTER, "curve": "l"})], *given)
    assert row["verdict"] == want
    assert ("still improving" in row["reason"]) == (want == "inconclusive")
