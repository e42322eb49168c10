"""Inference against the released code of version 1: columns and probabilities first, then seconds.

python benchmarks/tabpfn.py PATH/TO/TabPFN [ROWS] [COLUMNS]

PATH is a checkout of version 1, or the unpacked wheel tabpfn==0.1.11. Both networks have the released architecture
(width 512, 12 layers) and the same random weights. The released code turns warnings into errors while it fits powers,
and leaves a column as it is when there is one; columns here are skewed but harmless. Seconds are CPU time.
"""

from __future__ import annotations

import math
import sys
import time
import types
import warnings
from collections.abc import Callable
from typing import Any, Optional

import numpy as np
import torch
from torch import nn

from claimbench.nn.prior_fitted import PriorFittedTransformer
from claimbench.papers.tabpfn import ensemble, preprocessing
from claimbench.papers.tabpfn.classifier import ClaimBenchTabPFNClassifier

FEATURES, CLASSES, WIDTH, LAYERS, HEADS, INNER = 100, 10, 512, 12, 4, 1024


def best(function: Callable[[], Any], repeats: int = 3) -> float:
    seconds = math.inf
    for _ in range(repeats):
        start = time.process_time()
        function()
        seconds = min(seconds, time.process_time() - start)
    return seconds


def networks(released: Any) -> tuple[nn.Module, nn.Module]:
    """Theirs and ours, with equal random weights."""
    torch.manual_seed(0)
    theirs = released.TransformerModel(
        nn.Linear(FEATURES, WIDTH), CLASSES, WIDTH, HEADS, INNER, LAYERS, y_encoder=nn.Linear(1, WIDTH)
    ).eval()
    ours = PriorFittedTransformer(FEATURES, CLASSES, WIDTH, LAYERS, HEADS, INNER, query_sees_itself=False).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=parameter.shape[1] ** -0.5)
        pairs = [(ours.encode_x, theirs.encoder), (ours.encode_y, theirs.y_encoder)]
        for block, layer in zip(ours.blocks, theirs.transformer_encoder.layers, strict=True):
            block.attention.qkv.weight.copy_(layer.self_attn.in_proj_weight)
            block.attention.qkv.bias.copy_(layer.self_attn.in_proj_bias)
            pairs += [
                (block.attention.out, layer.self_attn.out_proj),
                (block.feed_forward.up, layer.linear1),
                (block.feed_forward.down, layer.linear2),
                (block.norms[0], layer.norm1),
                (block.norms[1], layer.norm2),
            ]
        # The released head has the width of the feed-forward blocks, as ours.
        pairs += [(ours.head[0], theirs.decoder[0]), (ours.head[2], theirs.decoder[2])]
        for own, given in pairs:
            own.load_state_dict(given.state_dict())
    return theirs, ours


def table(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and as many to predict, columns of several shapes, three classes."""
    random = np.random.default_rng(0)
    x = random.normal(size=(2 * rows, columns))
    x[:, ::3] = np.exp(x[:, ::3])
    x[:, 1::5] = random.poisson(2, size=x[:, 1::5].shape)
    signal = x[:, :4].sum(1)
    return x, np.digitize(signal, np.quantile(signal, [0.4, 0.7]))


def main(path: str, rows: int = 500, columns: int = 20) -> None:
    sys.path.insert(0, path)
    sys.modules.setdefault("tabpfn.scripts.model_builder", types.ModuleType("tabpfn.scripts.model_builder"))
    sys.modules["tabpfn.scripts.model_builder"].load_model = None
    sys.modules["tabpfn.scripts.model_builder"].load_model_only_inference = None
    torch.nn.modules.transformer.Optional = Optional  # imported from there, which newer torch does not have
    package = types.ModuleType("tabpfn")
    package.__path__ = [f"{path}/tabpfn"]
    sys.modules["tabpfn"] = package  # without its __init__, which imports what only training needs
    from tabpfn import transformer
    from tabpfn.scripts import transformer_prediction_interface as released

    torch.set_num_threads(1)
    warnings.showwarning = lambda *_: None  # the released code switches warnings on
    theirs, ours = networks(transformer)
    x, y = table(rows, columns)
    configuration = {"max_features": FEATURES, "max_classes": CLASSES, "max_rows": rows}
    xs = torch.tensor(x).float()[:, None]
    ys = torch.cat([torch.tensor(y[:rows]), torch.zeros(rows)]).float()[:, None]

    def official(members: int, transform: str = "mix", **options: Any) -> np.ndarray:
        found = released.transformer_predict(
            theirs, xs, ys, rows, inference_mode=True, preprocess_transform=transform, max_features=FEATURES,
            N_ensemble_configurations=members, feature_shift_decoder=members > 1,
            multiclass_decoder="permutation" if members > 1 else "", seed=0, **options,
        )  # fmt: skip
        return found.squeeze(0).numpy()

    def own(of: list[ensemble.Member]) -> np.ndarray:
        classifier = ClaimBenchTabPFNClassifier((ours, configuration), members=1, batch=8).fit(x[:rows], y[:rows])
        classifier.members_ = of
        return classifier.predict_proba(x[rows:])

    spread = np.ptp(own([ensemble.Member(0, 0, False)]), axis=0).max()
    print(f"probabilities of a class spread over {spread:.2f}")
    print(f"{rows} training rows, {rows} test rows, {columns} columns; one thread")
    for transform, raised in (("none", False), ("power_all", True)):
        difference = np.abs(official(1, transform) - own([ensemble.Member(0, 0, raised)])).max()
        which = "with" if raised else "without"
        print(f"one member, {which} the power transform: largest difference {difference:.1e} of a probability")
    # their order of members, from their own generators
    torch.manual_seed(0)
    rotations, shifts = torch.randperm(columns).tolist(), torch.randperm(3).tolist()
    pairs = [(shift, rotation) for shift in shifts for rotation in rotations]
    import random

    random.Random(0).shuffle(pairs)
    members = [ensemble.Member(*pair, raised) for pair in pairs for raised in (False, True)][:8]
    print(f"eight members: largest difference {np.abs(official(8) - own(members)).max():.1e}")
    for count in (1, 8):
        slow = best(lambda count=count: official(count))
        fast = best(lambda count=count: own(members[:count]))
        print(f"{count} member(s): released {slow:.2f} s, ours {fast:.2f} s, ratio {slow / fast:.1f}")
    z = preprocessing.standardise(x, rows)

    def columns_one_by_one() -> None:
        from sklearn.preprocessing import PowerTransformer

        for i in range(z.shape[1]):
            PowerTransformer().fit(z[:rows, i : i + 1]).transform(z[:, i : i + 1])

    slow, fast = best(columns_one_by_one), best(lambda: preprocessing.raise_to_normal(z, rows))
    print(
        f"power transform: column by column {1e3 * slow:.0f} ms, together {1e3 * fast:.1f} ms, ratio {slow / fast:.0f}"
    )


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
