"""Tables of measured architectures, in which a search looks up what it would have trained.

A loader gives ``x`` (N, choices) int8, an architecture each row, and measurements of all of them; what only the final
judgement may use is the answer ``y``.
"""

from __future__ import annotations

import json
from pathlib import Path

from claimbench.data.entries import Arrays, Entry, File, Source

NAS_BENCH_MACRO = "https://github.com/xiusu/NAS-Bench-Macro/raw/61a2bfc2ca0d/data/"


def nas_bench_macro(raw: Path, file: str) -> Arrays:
    """Every architecture of 8 layers with 3 choices each.

    ``x`` (6561, 8) int8: 0 identity, 1 inverted bottleneck of kernel 3 and expansion 3, 2 of kernel 5 and expansion 6;
    ``params`` and ``flops`` (N,) float64; ``trial`` (N,) float64, test accuracy in % of the first training, what a
    search is told; ``y`` (N,) float64, the mean of all three. Rows are in the order of the architectures as numbers.
    """
    import numpy as np

    table = json.loads((raw / file).read_text(encoding="utf-8"))
    names = sorted(table)
    return {
        "x": np.array([[int(choice) for choice in name] for name in names], np.int8),
        "params": np.array([table[name]["params"] for name in names], np.float64),
        "flops": np.array([table[name]["flops"] for name in names], np.float64),
        "trial": np.array([table[name]["test_acc"][0] for name in names], np.float64),
        "y": np.array([table[name]["mean_acc"] for name in names], np.float64),
    }


_MACRO = File(
    "nas-bench-macro_cifar10.json", 1_178_821, "686dee8363cc21cca8c1f321ad5749454f2d9b9ca5972682e137e539bc522297"
)

DATASETS: tuple[Entry, ...] = (
    Entry(
        name="nas-bench-macro",
        title="NAS-Bench-Macro, 6,561 architectures trained three times on CIFAR-10",
        kind="search",
        loader=nas_bench_macro,
        options={"file": _MACRO.name},
        samples=(),
        whole=("x", "params", "flops"),
        licence="Apache-2.0",
        citation="Su et al.: Prioritized Architecture Sampling with Monto-Carlo Tree Search, CVPR 2021",
        url="https://github.com/xiusu/NAS-Bench-Macro",
        expect={"n_samples": 6561, "n_features": 8},
        files=(_MACRO,),
        sources=(
            Source("mirror", "nas_bench_macro", {_MACRO.name: _MACRO.name}),
            Source("url", NAS_BENCH_MACRO, {_MACRO.name: _MACRO.name}),
        ),
    ),
)
