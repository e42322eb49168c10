"""The experiments of FastRP: what each cell embeds (fit) and how it is evaluated (score)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from claimbench import seeding
from claimbench.papers.fastrp import projection

if TYPE_CHECKING:
    import scipy.sparse as sp

    from claimbench.data import Data
    from claimbench.run import Run

Artifact = dict[str, Any]


def graph(data: Data) -> sp.csr_matrix:
    """Adjacency (nodes, nodes) of a graph's dataset."""
    return projection.adjacency(data.arrays["edge_index"], int(data.info["n_nodes"]))


def weights(run: Run) -> list[float]:
    """alpha_1 to alpha_4: the first two powers are left out, the third has weight 1 (Section 4)."""
    return [0.0, 0.0, 1.0, float(run.h.alpha4)]


# ---- embeddings ------------------------------------------------------------------------------------------------------


def score_embedding(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """How many dimensions the embedding uses: participation ratio of the covariance's eigenvalues.

    Times stand in the record of every run.
    """
    values = np.linalg.eigvalsh(np.cov(artifact["U"], rowvar=False))
    return {"test/effective_dimension": float(values.sum() ** 2 / (values**2).sum())}


def fit_embedding__fastrp(run: Run, data: Data) -> Artifact:
    """FastRP (Section 3, Algorithm 1)."""
    A = graph(data)
    R = projection.very_sparse(A.shape[0], run.setting["dim"], run.rng("projection"))
    return {"U": projection.fastrp(A, R, weights(run), run.h.beta)}


def fit_embedding__randne(run: Run, data: Data) -> Artifact:
    """RandNE on the transition matrix."""
    return {"U": projection.randne(graph(data), run.setting["dim"], run.h.randne_weights, run.rng("projection"))}


def _walked(run: Run, data: Data, p: float, q: float, hierarchical: bool) -> Artifact:
    from claimbench.papers.fastrp import walks

    A = graph(data)
    corpus = list(walks.rounds(A, run.h.walks, run.h.length, p, q, run.rng("walks")))
    U = walks.skip_gram(corpus, A.shape[0], run.setting["dim"], run.h.window, hierarchical, run.seed + 1, 1)
    return {"U": projection.columns_standardised(U) if run.h.standardise else U}


def fit_embedding__deepwalk(run: Run, data: Data) -> Artifact:
    """Uniform walks and hierarchical softmax."""
    return _walked(run, data, 1.0, 1.0, True)


def fit_embedding__node2vec(run: Run, data: Data) -> Artifact:
    """Walks biased by p and q, and negative samples."""
    return _walked(run, data, run.h.p, run.h.q, False)


# ---- classification --------------------------------------------------------------------------------------------------


def fit_classification(run: Run, data: Data) -> Artifact:
    """Scores of the test nodes by regressions on an embedding that saw no label."""
    U = run.inputs["embedding"]["U"]
    run.finite(float(np.abs(U).max()), "embedding")
    return _classified(run, data, U, run.setting["C"])


def score_classification(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """Micro and macro F1 on the nodes that the classifiers were not trained on, mean over shuffles."""
    return _f1(artifact, data)


def _classified(run: Run, data: Data, U: Any, C: float) -> Artifact:
    """Regressions on the training nodes of every shuffle.

    Returns:
        ``scores`` (shuffles, test nodes, classes) float32.
    """
    from claimbench.papers.fastrp import classification

    if run.h.sabotage == "shuffled-embedding":
        U = run.rng("sabotage").permutation(U)
    scores = [
        classification.scores(U, nodes[: len(labels)], labels, nodes[len(labels) :], C)
        for nodes, labels in zip(data.arrays["nodes"], data.arrays["train_labels"], strict=True)
    ]
    return {"scores": np.stack(scores)}


def _f1(artifact: Artifact, data: Data) -> dict[str, float]:
    from claimbench.papers.fastrp import classification

    found = []
    for nodes, scores in zip(data.arrays["nodes"], artifact["scores"], strict=True):
        truth = data.arrays["labels"][nodes[-len(scores) :]]
        found.append(classification.f1(truth, classification.top_k(scores, truth)))
    micro, macro = np.mean(found, axis=0)
    return {"test/micro_f1": float(micro), "test/macro_f1": float(macro)}


# ---- parameter study -------------------------------------------------------------------------------------------------


def fit_parameters(run: Run, data: Data) -> Artifact:
    """FastRP with the setting's dimension, weight and exponent, classified."""
    A, dimension = graph(data), run.setting["dim"]
    R = projection.very_sparse(A.shape[0], dimension, run.rng("projection"))
    U = projection.fastrp(A, R, [0.0, 0.0, 1.0, run.setting["alpha4"]], run.setting["beta"])
    return _classified(run, data, U, run.h.C)


def score_parameters(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """As for ``classification``."""
    return _f1(artifact, data)


# ---- construction against reduction ----------------------------------------------------------------------------------


def _similarity(run: Run, data: Data, powers: list[float]) -> projection.Similarity:
    return projection.Similarity(graph(data), powers, run.h.beta)


def _reduced(run: Run, data: Data, reduced: Any) -> Artifact:
    """One post-processing for every reduction: no normalisation of single powers."""
    return _classified(run, data, projection.rows_and_columns(reduced), run.h.C)


def fit_reduction__sparse(run: Run, data: Data) -> Artifact:
    """Very sparse projection of the similarity matrix."""
    similarity = _similarity(run, data, weights(run))
    return _reduced(run, data, similarity.times(projection.very_sparse(similarity.n, run.h.dim, run.rng("projection"))))


def fit_reduction__gaussian(run: Run, data: Data) -> Artifact:
    """Gaussian projection of the same matrix."""
    similarity = _similarity(run, data, weights(run))
    return _reduced(run, data, similarity.times(projection.gaussian(similarity.n, run.h.dim, run.rng("projection"))))


def fit_many_reduction__svd(runs: Sequence[Run], datas: Sequence[Data]) -> list[Artifact]:
    """Its truncated singular value decomposition, one for all seeds: nothing of it is random but rounding."""
    run = runs[0]
    reduced = _similarity(run, datas[0], weights(run)).svd(run.h.dim, seeding.rng(0, "svd"))
    return [_reduced(run, data, reduced) for run, data in zip(runs, datas, strict=True)]


def fit_reduction__one_hop(run: Run, data: Data) -> Artifact:
    """Very sparse projection of the first power alone."""
    similarity = _similarity(run, data, [1.0])
    return _reduced(run, data, similarity.times(projection.very_sparse(similarity.n, run.h.dim, run.rng("projection"))))


def score_reduction(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """As for ``classification``."""
    return _f1(artifact, data)


# ---- times -----------------------------------------------------------------------------------------------------------


def fit_speed(run: Run, data: Data) -> Artifact:
    """CPU seconds of FastRP and of DeepWalk in turns in one process.

    DeepWalk's are scaled from ``measured_walks`` to ``walks`` walks a node, its cost being linear in them.
    """
    import gensim.models  # noqa: F401 - a second that would be scaled with the walks

    from claimbench.papers.fastrp import walks

    A, generator = graph(data), run.rng("speed")
    ours, theirs = [], []
    for _ in range(run.h.repeats):
        start = time.process_time()
        R = projection.very_sparse(A.shape[0], run.h.dim, generator)
        projection.fastrp(A, R, weights(run), run.h.beta, normalise_rows=False)
        ours.append(time.process_time() - start)
        run.alive()
        start = time.process_time()
        corpus = list(walks.rounds(A, run.h.measured_walks, run.h.length, 1.0, 1.0, generator))
        walks.skip_gram(corpus, A.shape[0], 128, run.h.window, True, run.seed + 1, 1)
        theirs.append((time.process_time() - start) * run.h.walks / run.h.measured_walks)
    return {"fastrp": np.array(ours), "deepwalk": np.array(theirs)}


def score_speed(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """Median CPU seconds of both, and their ratio."""
    ours, theirs = float(np.median(artifact["fastrp"])), float(np.median(artifact["deepwalk"]))
    return {"time/fastrp_cpu_s": ours, "time/deepwalk_cpu_s": theirs, "time/ratio": theirs / ours}


def random_graph(n_nodes: int, n_edges: int, generator: np.random.Generator) -> sp.csr_matrix:
    """Erdos-Renyi graph of about ``n_edges`` undirected edges (repeated pairs and self-loops are dropped)."""
    import scipy.sparse as sp

    row, col = generator.integers(n_nodes, size=(2, n_edges), dtype=np.int32)
    keep = row != col
    both = (np.concatenate([row[keep], col[keep]]), np.concatenate([col[keep], row[keep]]))
    A = sp.csr_matrix((np.ones(len(both[0]), np.float32), both), shape=(n_nodes, n_nodes))
    A.data[:] = 1.0
    return A


def fit_scaling(run: Run, data: None) -> Artifact:
    """CPU seconds of FastRP on random graphs, smallest of ``repeats``, all sizes in turns."""
    sizes = [(n, run.h.edges) for n in run.h.nodes_swept] + [(run.h.nodes, m) for m in run.h.edges_swept]
    graphs = [random_graph(n, m, run.rng(f"graph {n} {m}")) for n, m in sizes]
    generator = run.rng("projection")
    seconds = np.full((run.h.repeats, len(sizes)), np.inf)
    for repeat in range(run.h.repeats):
        for i, A in enumerate(graphs):
            run.alive()
            start = time.process_time()
            R = projection.very_sparse(A.shape[0], run.h.dim, generator)
            projection.fastrp(A, R, [0.0, 0.0, 1.0, 4.836], -0.6, normalise_rows=False)
            seconds[repeat, i] = time.process_time() - start
    best = seconds.min(0)
    split = len(run.h.nodes_swept)
    for n, value in zip(run.h.nodes_swept, best[:split], strict=True):
        run.curve("cpu_s by nodes", n, value)
    for m, value in zip(run.h.edges_swept, best[split:], strict=True):
        run.curve("cpu_s by edges", m, value)
    return {"nodes_s": best[:split], "edges_s": best[split:]}


def score_scaling(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """R^2 of straight lines through the times."""
    return {
        "time/r2_nodes": _r2(run.h.nodes_swept, artifact["nodes_s"]),
        "time/r2_edges": _r2(run.h.edges_swept, artifact["edges_s"]),
        "time/largest_cpu_s": float(max(artifact["nodes_s"].max(), artifact["edges_s"].max())),
    }


def _r2(x: list[float], y: Any) -> float:
    return float(np.corrcoef(x, y)[0, 1] ** 2)


# ---- closed form of the projection -----------------------------------------------------------------------------------


def fit_johnson_lindenstrauss(run: Run, data: None) -> Artifact:
    """Squared norms of one fixed vector under many very sparse projections."""
    x = run.rng("vector").standard_t(4, size=run.h.n).astype(np.float32)
    generator = run.rng("projection")
    norms = [
        float(np.square(x @ projection.very_sparse(run.h.n, run.h.dim, generator), dtype=np.float64).sum())
        for _ in range(run.h.draws)
    ]
    return {"x": x, "norms": np.array(norms)}


def score_johnson_lindenstrauss(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Distance of mean and variance from the closed form in standard errors."""
    x, norms = np.asarray(artifact["x"], np.float64), artifact["norms"]
    s = 1.0 if run.h.sabotage == "dense-variance" else np.sqrt(run.h.n)
    theory = projection.squared_norm_variance(x, run.h.dim, float(s))
    centred = norms - norms.mean()
    error = np.sqrt((np.mean(centred**4) - norms.var() ** 2) / len(norms))
    return {
        "test/z_mean": float(abs(norms.mean() - x @ x) / np.sqrt(theory / len(norms))),
        "test/z_variance": float(abs(norms.var(ddof=1) - theory) / error),
        "test/variance_ratio": float(norms.var(ddof=1) / theory),
    }
