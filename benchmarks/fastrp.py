"""FastRP against the released code: equal embeddings first, then CPU time in turns.

python benchmarks/fastrp.py --official DIR [--mirror DIR]       # DIR: a clone of github GTmac/FastRP
"""

from __future__ import annotations

import argparse
import sys
import time
import types
from pathlib import Path

import numpy as np
import scipy.io
import scipy.sparse as sp

from claimbench.papers.fastrp import projection


def released(folder: Path) -> types.ModuleType:
    """The released module; what only its notebooks need is left out."""
    for name in ("matplotlib", "gensim", "tqdm"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["tqdm"].tqdm_notebook = None
    sys.path.insert(0, str(folder))
    import fastrp
    from sklearn.preprocessing import normalize, scale

    # written for older libraries: sparse products keep their format, and scikit-learn takes numpy's matrices
    fastrp.spdiags = lambda *what: sp.spdiags(*what, format="csc")
    fastrp.normalize = lambda U, **how: normalize(np.asarray(U), **how)
    fastrp.scale = lambda U: scale(np.asarray(U))
    return fastrp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    theirs = released(options.official)
    A = scipy.io.loadmat(options.official / "example_graphs" / "blogcatalog.mat")["network"].tocsr()
    ours_A = sp.csr_matrix(A, dtype=np.float32)
    weights, beta = [0.0, 0.0, 1.0, 6.67], -0.64
    for dimension in (128, 512):
        conf = {
            "projection_method": "sparse", "input_matrix": "trans", "weights": weights, "normalization": True,
            "dim": dimension, "alpha": beta,
        }  # fmt: skip
        from sklearn.random_projection import SparseRandomProjection

        # the released code always draws this matrix
        R = SparseRandomProjection(dimension, random_state=42).fit(A).components_
        R = np.asarray(R.T.todense() if sp.issparse(R) else R.T, np.float32)
        reference = np.asarray(theirs.fastrp_wrapper(sp.csc_matrix(A), conf))
        embedding = projection.fastrp(ours_A, R, weights, beta)
        difference = np.abs(embedding - reference).max()
        seconds: dict[str, list[float]] = {"released": [], "ours": [], "ours, other projection each time": []}
        generator = np.random.default_rng(0)
        for _ in range(options.rounds):
            start = time.process_time()
            theirs.fastrp_wrapper(sp.csc_matrix(A), conf)
            seconds["released"].append(time.process_time() - start)
            start = time.process_time()
            projection.fastrp(ours_A, R, weights, beta)
            seconds["ours"].append(time.process_time() - start)
            start = time.process_time()
            projection.fastrp(ours_A, projection.very_sparse(A.shape[0], dimension, generator), weights, beta)
            seconds["ours, other projection each time"].append(time.process_time() - start)
        print(f"dimension {dimension}: largest difference {difference:.1e} of standardised columns")
        base = float(np.median(seconds["released"]))
        for name, values in seconds.items():
            print(f"  {name:34s} {np.median(values):.3f} CPU-s   {base / np.median(values):.1f}x")


if __name__ == "__main__":
    main()
