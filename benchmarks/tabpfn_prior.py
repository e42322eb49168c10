"""Tables of the prior a second, against the generator of the released code of version 1, one thread each.

python benchmarks/tabpfn_prior.py PATH/TO/TabPFN

PATH is a checkout of version 1, or the unpacked wheel tabpfn==0.1.11. Both get the same draws of hyper-parameters: the
released generator one table after the other, ours all at once. What has the same distribution in both is compared
first: the share of the majority class, and the accuracy of a logistic regression that has half of a table.
"""

from __future__ import annotations

import sys
import time
import types
import warnings
from typing import Any, Optional

import numpy as np
import torch

from claimbench.papers.tabpfn import prior, training

ACTIVATIONS = (torch.nn.Tanh, torch.nn.LeakyReLU, torch.nn.ELU, torch.nn.Identity)


def released_tables(
    released: Any, networks: Any, h: dict[str, torch.Tensor], c: prior.Configuration
) -> tuple[torch.Tensor, torch.Tensor]:
    """(tables, rows, max_features) and (tables, rows)."""
    xs, ys = [], []
    for i in range(len(h["width"])):
        value = {name: part[i].item() for name, part in h.items()}
        hyper = {
            "num_features_used": value["features"], "num_classes": c.max_classes, "balanced": False,
            "multiclass_type": "rank", "output_multiclass_ordered_p": 0.0, "nan_prob_no_reason": 0.0,
            "nan_prob_a_reason": 0.0, "nan_prob_unknown_reason": 0.0, "categorical_feature_p": c.categorical,
            "normalize_to_ranking": False, "normalize_by_used_features": True, "check_is_compatible": True,
            "normalize_labels": True, "is_causal": value["scm"], "num_causes": value["causes"],
            "prior_mlp_hidden_dim": value["width"], "num_layers": value["layers"], "noise_std": value["noise"],
            "y_is_effect": value["last"], "pre_sample_weights": value["noises"], "init_std": value["weight"],
            "prior_mlp_dropout_prob": value["dropout"], "pre_sample_causes": value["shared"],
            "block_wise_dropout": value["blockwise"], "sort_features": value["sorted"], "in_clique": value["clique"],
            "sampling": "mixed" if value["mixed"] else "normal", "prior_mlp_scale_weights_sqrt": True,
            "prior_mlp_activations": lambda a=value["activation"]: ACTIVATIONS[a], "random_feature_rotation": True,
            "mix_activations": True, "new_mlp_per_example": True,
        }  # fmt: skip
        arguments = {
            "device": "cpu", "seq_len": c.rows, "num_features": c.max_features, "batch_size": 1,
            "single_eval_pos": c.rows // 2,
        }  # fmt: skip
        x, y, _ = released.FlexibleCategorical(networks.get_batch, hyper, arguments)(batch_size=1)
        xs.append(x[:, 0])
        ys.append(y[:, 0])
    return torch.stack(xs), torch.stack(ys).long()


def described(x: torch.Tensor, y: torch.Tensor) -> str:
    """Moments that both generators must share."""
    from sklearn.linear_model import LogisticRegression

    valid = y[:, 0] != training.IGNORED
    half, majority, accuracy = x.shape[1] // 2, [], []
    for table, classes in zip(x[valid].double().numpy(), y[valid].numpy(), strict=True):
        majority.append(np.bincount(classes).max() / len(classes))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = LogisticRegression(max_iter=50).fit(table[:half], classes[:half])
        accuracy.append(model.score(table[half:], classes[half:]))
    error = [float(np.std(values) / np.sqrt(len(values))) for values in (majority, accuracy)]
    return (
        f"valid {float(valid.float().mean()):.3f}, majority {np.mean(majority):.3f} +- {error[0]:.3f}, "
        f"logistic regression {np.mean(accuracy):.3f} +- {error[1]:.3f}"
    )


def main(path: str) -> None:
    for name in ("tabpfn", "tabpfn.priors"):  # without their __init__, which import what is not needed here
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [f"{path}/{name.replace('.', '/')}"]
    torch.nn.modules.transformer.Optional = Optional  # imported from there, which newer torch does not have
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tabpfn.priors import flexible_categorical as released
        from tabpfn.priors import mlp as networks

    torch.set_num_threads(1)
    for rows, features, classes, tables in ((128, 32, 5, 300), (1024, 100, 10, 40)):
        c = prior.Configuration(rows, features, classes)
        generator = torch.Generator().manual_seed(0)
        h = prior.hyperparameters(tables, c, prior.Draws(generator))
        original, prior.hyperparameters = prior.hyperparameters, lambda *_, h=h: h
        prior.sample(tables, rows // 2, c, generator)
        start = time.process_time()
        ours = prior.sample(tables, rows // 2, c, generator)
        ours_s = time.process_time() - start
        prior.hyperparameters = original
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = released_tables(released, networks, h, c)
        theirs_s = time.process_time() - start
        print(
            f"{rows} rows, {features} columns: released {tables / theirs_s:6.1f} tables/s, ours {tables / ours_s:6.1f}"
        )
        print(f"  released: {described(*theirs)}\n  ours:     {described(*ours)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
