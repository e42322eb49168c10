"""Array annotations are held against what is passed, while tests run and only then."""

from __future__ import annotations

from typing import Any

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

#: packages and modules whose annotations are checked, with all below them
CHECKED = (
    "claimbench.nn",
    "claimbench.papers.forward_gnn",
    "claimbench.papers.s_kan",
    "claimbench.papers.fastrp",
    *(
        f"claimbench.papers.{paper}.{module}"
        for paper, modules in {
            "exact_permutations": ("networks",),
            "snnk": ("digits", "features", "layers", "regression", "trained"),
            "guidance": ("convolutional", "recurrence", "sequence_models"),
            "deep_learning_theory": ("activations", "gradient_descent", "information", "recursions", "sampling"),
            "pfn": ("strokes", "tabular_priors"),
            "tabpfn": ("ensemble", "power", "preprocessing"),
            "gradient_noise": ("deep_mlp", "memory_network", "neural_gpu", "neural_programmer", "neural_ram", "noise"),
        }.items()
        for module in modules
    ),
)


def typechecker(function: Any) -> Any:
    """beartype, for which a whole number is a number."""
    return beartype(conf=BeartypeConf(is_pep484_tower=True))(function)


def install() -> None:
    """Check the annotations of everything imported from now on."""
    install_import_hook(CHECKED, f"{__name__}.typechecker")
