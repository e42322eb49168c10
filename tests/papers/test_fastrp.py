"""Projections against dense algebra, regressions against liblinear, walks against their laws, and the verdicts' teeth."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from claimbench.data import Data
from claimbench.data.splits.graphs import LabelledNodes
from claimbench.execute import preparation, runner
from claimbench.judge.paper import judge_paper
from claimbench.papers.fastrp import classification, experiments, projection, walks
from claimbench.plan.plan import make_plan
from claimbench.run import Run
from claimbench.spec.config import load_config


def graph(n: int = 60, p: float = 0.15, seed: int = 0) -> sp.csr_matrix:
    upper = np.triu(np.random.default_rng(seed).random((n, n)) < p, 1)
    return sp.csr_matrix((upper | upper.T).astype(np.float32))


# ---- projections -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalise", [True, False])
def test_fastrp_is_the_dense_formula(normalise: bool) -> None:
    A = graph()
    D = A.toarray().astype(float)
    degrees = D.sum(1)
    T = D / degrees[:, None]
    R = projection.very_sparse(60, 8, np.random.default_rng(1))
    weights, beta = [0.5, 0.0, 1.0, 6.67], -0.64
    expected = np.zeros((60, 8))
    current = np.diag(degrees**beta) @ R
    for weight in weights:
        current = T @ current
        part = current / np.linalg.norm(current, axis=1, keepdims=True) if normalise else current
        expected += weight * part
    expected = (expected - expected.mean(0)) / expected.std(0)
    found = projection.fastrp(A, R, weights, beta, normalise_rows=normalise)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_an_isolated_node_gets_zeros_before_standardising() -> None:
    A = sp.csr_matrix(sp.block_diag([graph(20), sp.csr_matrix((1, 1), dtype=np.float32)]))
    R = projection.very_sparse(21, 4, np.random.default_rng(0))
    assert not projection.fastrp(A, R, [1.0, 1.0], -0.5, standardise=False)[20].any()


def test_very_sparse_has_its_density_and_scale() -> None:
    R = projection.very_sparse(2500, 64, np.random.default_rng(0))
    values, counts = np.unique(R, return_counts=True)
    np.testing.assert_allclose(values, [-np.sqrt(50 / 64), 0, np.sqrt(50 / 64)], rtol=1e-6)
    expected = 2500 * 64 / 50
    assert abs(counts[0] + counts[2] - expected) < 4 * np.sqrt(expected)
    assert abs(counts[0] - counts[2]) < 4 * np.sqrt(expected)


def test_variance_of_squared_norms_by_enumeration() -> None:
    """All 27 columns of a projection of three numbers, s = 4."""
    x, s = np.array([1.0, -2.0, 0.5]), 4.0
    outcomes = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), -1).reshape(-1, 3)
    chance = np.prod(np.where(outcomes == 0, 1 - 1 / s, 1 / (2 * s)), axis=1)
    squares = (outcomes @ x * np.sqrt(s)) ** 2
    mean = chance @ squares
    variance = chance @ squares**2 - mean**2
    assert mean == pytest.approx(x @ x)
    assert projection.squared_norm_variance(x, 1, s) == pytest.approx(variance)


def test_similarity_operator_and_its_svd_are_those_of_the_dense_matrix() -> None:
    A = graph()
    D = A.toarray().astype(float)
    degrees = D.sum(1)
    T = D / degrees[:, None]
    S = (0.3 * T + 1.0 * T @ T + 2.0 * T @ T @ T) @ np.diag(degrees**-0.4)
    operator = projection.Similarity(A, [0.3, 1.0, 2.0], -0.4)
    X = np.random.default_rng(0).standard_normal((60, 5)).astype(np.float32)
    np.testing.assert_allclose(operator.times(X), S @ X, atol=1e-4)
    np.testing.assert_allclose(operator.transposed_times(X), S.T @ X, atol=1e-4)
    U, values, _ = np.linalg.svd(S)
    found = operator.svd(6, np.random.default_rng(1))
    np.testing.assert_allclose(np.abs(found), np.abs(U[:, :6] * values[:6]), atol=2e-3)


def test_randne_is_its_formula() -> None:
    A = graph()
    T = A.toarray() / A.toarray().sum(1, keepdims=True)
    U0, _ = np.linalg.qr(projection.gaussian(60, 6, np.random.default_rng(3)))
    expected = T @ U0 + 100 * T @ T @ U0 + 1000 * T @ T @ T @ U0
    expected = (expected - expected.mean(0)) / expected.std(0)
    found = projection.randne(A, 6, [1.0, 100.0, 1000.0], np.random.default_rng(3))
    np.testing.assert_allclose(found, expected, atol=1e-3)


# ---- walks -----------------------------------------------------------------------------------------------------------


def test_walks_follow_edges_and_uniform_steps_are_uniform() -> None:
    A = graph()
    found = walks.uniform(A, np.zeros(20_000, int), 3, np.random.default_rng(0))
    for step in range(2):
        assert np.asarray(A[found[:, step], found[:, step + 1]]).all()
    neighbours = A[0].indices
    counts = np.bincount(found[:, 1], minlength=60)[neighbours]
    assert counts.sum() == 20_000
    assert (np.abs(counts - 20_000 / len(neighbours)) < 4.5 * np.sqrt(20_000 / len(neighbours))).all()


def test_biased_steps_have_node2vecs_probabilities() -> None:
    # 0-1, 1-2, 0-2, 1-3: from 0 over 1, back has 1/p, 2 (a neighbour of 0) has 1, 3 has 1/q
    pairs = np.array([[0, 1], [1, 2], [0, 2], [1, 3]])
    A = projection.adjacency(np.concatenate([pairs, pairs[:, ::-1]]).T, 4)
    A.sort_indices()
    p, q = 0.25, 2.0
    found = walks.biased(A, np.zeros(60_000, int), 3, p, q, np.random.default_rng(0))
    over = found[found[:, 1] == 1]
    weights = np.array([1 / p, 0, 1.0, 1 / q])
    share = np.bincount(over[:, 2], minlength=4) / len(over)
    np.testing.assert_allclose(share, weights / weights.sum(), atol=0.012)


def test_skip_gram_puts_neighbours_together() -> None:
    A = sp.csr_matrix(sp.block_diag([graph(20, 0.5), graph(20, 0.5, 1)]))
    A.sort_indices()
    corpus = list(walks.rounds(A, 20, 20, 1.0, 1.0, np.random.default_rng(0)))
    U = walks.skip_gram(corpus, 40, 16, 5, True, 1, 1)
    U = U / np.linalg.norm(U, axis=1, keepdims=True)
    similar = U @ U.T
    assert similar[:20, :20].mean() > similar[:20, 20:].mean() + 0.2


# ---- classification --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("C", [0.1, 1.0])
def test_regressions_are_those_of_liblinear(C: float) -> None:
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(0)
    X = draw.standard_normal((200, 12)).astype(np.float32)
    Y = (X[:, :5] + draw.standard_normal((200, 5)) > 0.3).astype(np.uint8)
    W = classification.one_vs_rest(X, Y, C, tolerance=1e-7)
    for k in range(5):
        reference = LogisticRegression(C=C, solver="liblinear", tol=1e-8, max_iter=1000).fit(X, Y[:, k])
        np.testing.assert_allclose(W[:-1, k], reference.coef_[0], atol=2e-4)
        assert W[-1, k] == pytest.approx(reference.intercept_[0], abs=2e-4)


def test_top_k_and_f1_are_scikit_learns() -> None:
    from sklearn.metrics import f1_score

    draw = np.random.default_rng(0)
    Y = (draw.random((50, 6)) < 0.3).astype(np.uint8)
    Y[:, 5] = 0
    scores = draw.random((50, 6))
    predicted = classification.top_k(scores, Y)
    assert (predicted.sum(1) == Y.sum(1)).all()
    for row, chosen, k in zip(scores, predicted, Y.sum(1), strict=True):
        assert set(np.flatnonzero(chosen)) == set(np.argsort(-row)[:k])
    micro, macro = classification.f1(Y, predicted)
    assert micro == pytest.approx(f1_score(Y, predicted, average="micro", zero_division=0))
    assert macro == pytest.approx(f1_score(Y, predicted, average="macro", zero_division=0))


def test_classifiers_are_trained_on_labels_of_training_nodes_alone() -> None:
    """What fit is given has no other labels; score finds the F1 that scikit-learn's regressions reach."""
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(0)
    U = draw.standard_normal((120, 6)).astype(np.float32)
    labels = (U[:, :4] + 0.5 * draw.standard_normal((120, 4)) > 0.4).astype(np.uint8)
    fitted, scored = LabelledNodes(percent=50, shuffles=2).cut({"labels": labels, "y": np.zeros(120, int)}, 0)
    run = Run("fastrp", "classification", "fastrp", "toy", {"percent": 50, "C": 1.0}, 0, "smoke", {"sabotage": "none"})
    run.inputs = {"embedding": {"U": U}}
    artifact = experiments.fit_classification(run, Data("toy", fitted))
    found = experiments.score_classification(run, artifact, Data("toy", fitted | scored))
    expected = []
    for nodes in fitted["nodes"]:
        train, test = np.split(nodes, [fitted["train_labels"].shape[1]])
        models = [LogisticRegression(solver="liblinear", tol=1e-8).fit(U[train], labels[train, k]) for k in range(4)]
        best = classification.top_k(np.stack([m.decision_function(U[test]) for m in models], 1), labels[test])
        expected.append(classification.f1(labels[test], best))
    assert (found["test/micro_f1"], found["test/macro_f1"]) == pytest.approx(np.mean(expected, 0), abs=0.01)


def test_a_run_gets_the_labels_of_its_own_percentage(tmp_path: Path) -> None:
    values = {"tier": "laptop", "papers": ["fastrp"], "results_dir": str(tmp_path)}
    plan = make_plan(load_config(None, values))
    cells = {run.cell for job in plan.jobs.values() for run in job.runs if run.cell.experiment == "classification"}
    assert {cell.setting["percent"] for cell in cells} == {10, 50}
    labels = np.eye(4, dtype=np.uint8)[np.arange(200) % 4]
    for cell in cells:
        fitted, _ = plan.source(cell)[1].cut({"labels": labels, "y": labels.argmax(1)}, 0)
        assert fitted["train_labels"].shape[1] == 2 * cell.setting["percent"]


# ---- the experiments -------------------------------------------------------------------------------------------------


def test_random_graph_is_simple() -> None:
    A = experiments.random_graph(500, 3000, np.random.default_rng(0))
    assert (A != A.T).nnz == 0
    assert A.diagonal().sum() == 0
    assert set(A.data) == {1.0}
    assert 5800 < A.nnz <= 6000


def test_the_paper_tier_runs_the_published_parameter_study(tmp_path: Path) -> None:
    values = {"tier": "paper", "papers": ["fastrp"], "experiments": {"fastrp": ["parameters"]}}
    plan = make_plan(load_config(None, values | {"results_dir": str(tmp_path)}))
    planned = {run.cell.setting_string for job in plan.jobs.values() for run in job.runs}
    with open(Path(experiments.__file__).with_name("published.csv"), encoding="utf-8", newline="") as file:
        published = {row["setting"] for row in csv.DictReader(file) if row["experiment"] == "parameters"}
    assert {setting for setting in published if "varied" not in setting} <= planned


def judged(
    tmp_path: Path, sabotage: str, experiment: str, keep: Any, needs: tuple[str, ...] = (), **hyper: Any
) -> dict[str, str]:
    from claimbench.records.collect import collect

    values = {
        "tier": "laptop",
        "bundle_s": 1e6,
        "papers": ["fastrp"],
        "experiments": {"fastrp": [*needs, experiment]},
        "results_dir": str(tmp_path / sabotage),
        "data_dir": str(tmp_path / "data"),
        "overrides": {"fastrp": {experiment: {"hyper": {"sabotage": sabotage, **hyper}}}},
    }
    plan = make_plan(load_config(None, values))
    executor = runner.Runner(plan)
    for whole in plan.jobs.values():
        job = dataclasses.replace(whole, runs=tuple(run for run in whole.runs if keep(run)))
        plan.jobs[job.id] = job
        for dataset in job.datasets:
            preparation.prepare(plan, dataset)
        executor.fit(job)
        executor.score(job)
    collect(plan, "fastrp")
    return {row["claim_id"]: row["verdict"] for row in judge_paper(plan, "fastrp")}


@pytest.mark.slow
def test_foreign_embeddings_turn_the_headline(tmp_path: Path) -> None:
    def keep(run: Any) -> bool:
        return run.cell.method in ("sparse", "one-hop")

    honest, sabotaged = (judged(tmp_path, name, "reduction", keep, dim=64) for name in ("none", "shuffled-embedding"))
    assert (honest["C8c"], sabotaged["C8c"]) == ("reproduced", "contradicted")


@pytest.mark.slow
def test_foreign_embeddings_turn_the_comparison_with_randne(tmp_path: Path) -> None:
    def keep(run: Any) -> bool:
        cell = run.cell
        if cell.dataset != "blogcatalog" or cell.method not in ("fastrp", "randne"):
            return False
        C = 0.1 if cell.method == "fastrp" else 1.0
        return cell.experiment == "embedding" or (cell.setting["percent"], cell.setting["C"]) == (10, C)

    honest, sabotaged = (
        judged(tmp_path, name, "classification", keep, ("embedding",)) for name in ("none", "shuffled-embedding")
    )
    assert honest["C3a"] == "reproduced"
    assert sabotaged["C3a"] in ("contradicted", "inconclusive")


def test_a_wrong_variance_turns_the_closed_form(tmp_path: Path) -> None:
    honest, sabotaged = (
        judged(tmp_path, name, "johnson-lindenstrauss", lambda run: True, draws=500)
        for name in ("none", "dense-variance")
    )
    assert (honest["C9b"], sabotaged["C9b"]) == ("reproduced", "contradicted")
