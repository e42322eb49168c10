"""Networks that come with the package: trained once by the paper tier's experiment ``prior-fitting``, pinned by their
checksum, with the configuration, seed, device, cost and first losses of that training in the file itself."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from claimbench.errors import UserError, nearest
from claimbench.papers.tabpfn.training import build

if TYPE_CHECKING:
    from claimbench.nn.prior_fitted import PriorFittedTransformer

FOLDER = Path(__file__).parent / "checkpoints"
#: name -> sha256 of its file
PINNED: dict[str, str] = {
    "mini": "8a76d35e15429ae098e7551998070c0701657121407542f5dd87c4f22a9982e4",
    "small-scm": "108de04979c4f4dde74da3f3436f15243309fa4f0156bd333357dc5db3406b75",
}


def write_checkpoint(path: Path, artifact: dict[str, Any], record: dict[str, Any]) -> str:
    """A trained network as a safetensors file in half precision; returns its sha256.

    Args:
        path: the file.
        artifact: what ``fit`` of ``prior-fitting`` returned.
        record: ``configuration`` (hyper-parameters of the training), ``seed``, ``device``, ``cpu_s`` and ``losses``.
    """
    from safetensors.numpy import save

    weights = {name: np.asarray(value, np.float16) for name, value in artifact.items() if name.startswith("net/")}
    content = save(weights, metadata={"record": json.dumps(record, sort_keys=True)})
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def load_checkpoint(name: str) -> tuple[PriorFittedTransformer, dict[str, Any]]:
    """A network that comes with the package, and its configuration.

    Raises:
        UserError: no such network, or its file is not the pinned one.
    """
    record, weights = _read(name)
    return _network(weights, record["configuration"]), limits(record["configuration"])


def training_record(name: str) -> dict[str, Any]:
    """``configuration``, ``seed``, ``device``, ``cpu_s`` and ``losses`` of the training of :func:`load_checkpoint`."""
    return _read(name)[0]


def trained(artifact: dict[str, Any]) -> tuple[PriorFittedTransformer, dict[str, Any]]:
    """The same of an artifact of ``prior-fitting``."""
    weights = {key: torch.from_numpy(np.array(value)) for key, value in artifact.items() if key.startswith("net/")}
    return _network(weights, artifact["configuration"]), limits(artifact["configuration"])


def limits(configuration: dict[str, Any]) -> dict[str, Any]:
    """A configuration with ``max_rows``, the most labelled rows that training has shown."""
    longest = max(configuration["rows"])
    return configuration | {"max_rows": longest - int(longest * configuration["least_queries"])}


def _read(name: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    from safetensors import safe_open

    if name not in PINNED:
        raise UserError(f"checkpoint {name!r} does not come with the package ({nearest(name, PINNED)})")
    path = FOLDER / f"{name}.safetensors"
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"
    if found != PINNED[name]:
        raise UserError(f"{path}: its sha256 is {found}, but {PINNED[name]} is pinned; install the package again")
    with safe_open(str(path), framework="pt") as file:
        record = json.loads(file.metadata()["record"])
        return record, {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118  (not a dict)


def _network(weights: dict[str, torch.Tensor], configuration: dict[str, Any]) -> PriorFittedTransformer:
    net = build(configuration)
    net.load_state_dict({key.removeprefix("net/"): value for key, value in weights.items()})
    return net.eval().requires_grad_(False)
