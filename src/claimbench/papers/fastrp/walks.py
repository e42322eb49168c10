"""DeepWalk and node2vec: random walks, all of a round at once, and gensim's skip-gram."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int, Int32


def uniform(
    A: sp.csr_matrix, starts: Int[np.ndarray, " walks"], length: int, generator: np.random.Generator
) -> Int32[np.ndarray, "walks {length}"]:
    """Walks (len(starts), length) int32 whose every step is a neighbour drawn uniformly; an isolated node stays."""
    degrees = np.diff(A.indptr)
    walks = np.empty((len(starts), length), np.int32)
    walks[:, 0] = at = starts
    for step in range(1, length):
        offset = (generator.random(len(at)) * degrees[at]).astype(np.int64)
        at = np.where(degrees[at] > 0, A.indices[np.minimum(A.indptr[at] + offset, len(A.indices) - 1)], at)
        walks[:, step] = at
    return walks


def biased(
    A: sp.csr_matrix,
    starts: Int[np.ndarray, " walks"],
    length: int,
    p: float,
    q: float,
    generator: np.random.Generator,
) -> Int32[np.ndarray, "walks {length}"]:
    """node2vec's walks (Grover and Leskovec 2016): from ``before`` through ``at`` to ``next`` with weight 1/p when next
    is before, 1 when next is a neighbour of before, else 1/q; by rejection, so that no alias tables are kept."""
    degrees = np.diff(A.indptr)
    walks = np.empty((len(starts), length), np.int32)
    walks[:, :2] = uniform(A, starts, 2, generator)
    largest = max(1.0, 1 / p, 1 / q)
    n = np.int64(A.shape[0])
    keys = np.repeat(np.arange(n), degrees) * n + A.indices  # sorted: rows in order, columns within
    for step in range(2, length):
        before, at = walks[:, step - 2].astype(np.int64), walks[:, step - 1].astype(np.int64)
        todo = np.arange(len(at))
        walks[:, step] = at
        todo = todo[degrees[at] > 0]
        while todo.size:
            offset = (generator.random(todo.size) * degrees[at[todo]]).astype(np.int64)
            candidate = A.indices[A.indptr[at[todo]] + offset].astype(np.int64)
            wanted = before[todo] * n + candidate
            place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            weight = np.where(candidate == before[todo], 1 / p, np.where(keys[place] == wanted, 1.0, 1 / q))
            taken = generator.random(todo.size) * largest < weight
            walks[todo[taken], step] = candidate[taken]
            todo = todo[~taken]
    return walks


def rounds(
    A: sp.csr_matrix, walks: int, length: int, p: float, q: float, generator: np.random.Generator
) -> Iterator[Int32[np.ndarray, "nodes length"]]:
    """``walks`` times a walk from every node, in random order (p = q = 1: DeepWalk)."""
    for _ in range(walks):
        starts = generator.permutation(A.shape[0])
        yield uniform(A, starts, length, generator) if p == q == 1 else biased(A, starts, length, p, q, generator)


def skip_gram(
    corpus: list[Int32[np.ndarray, "nodes length"]],
    n_nodes: int,
    dimension: int,
    window: int,
    hierarchical: bool,
    seed: int,
    workers: int,
) -> Float[np.ndarray, "{n_nodes} {dimension}"]:
    """Embedding (n_nodes, dimension) of walks by gensim's skip-gram, one epoch.

    Args:
        corpus: walks (rounds, each (n, length)).
        n_nodes: rows of the result; a node in no walk gets zeros.
        dimension: of the embedding.
        window: largest distance of two nodes in a walk that are paired.
        hierarchical: softmax as in DeepWalk's code, else five negative samples as in node2vec's.
        seed: of gensim; only one worker repeats exactly.
        workers: threads.
    """
    from gensim.models import Word2Vec

    sentences = [row for walks in corpus for row in walks.astype(str).tolist()]
    model = Word2Vec(
        sentences,
        vector_size=dimension,
        window=window,
        min_count=0,
        sg=1,
        hs=int(hierarchical),
        negative=0 if hierarchical else 5,
        workers=workers,
        seed=seed,
        epochs=1,
    )
    U = np.zeros((n_nodes, dimension), np.float32)
    U[np.array([int(word) for word in model.wv.index_to_key])] = model.wv.vectors
    return U
