"""Networks that come with the package: trained once by the paper tier's experiment ``prior-fitting``, pinned by their
checksum, with the configuration, seed, device, cost and first losses of that training in the file itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from claimbench.errors import UserError, nearest
from claimbench.nn import state
from claimbench.papers.tabpfn.training import build

if TYPE_CHECKING:
    from claimbench.nn.prior_fitted import PriorFittedTransformer

FOLDER = Path(__file__).parent / "checkpoints"
#: name -> sha256 of its file
PINNED: dict[str, str] = {
    "mini": "c570dd6ca54a78fca66063234b2a3c4d8cf36acdd3c0bb0097de6d81dc115c2b",
    "small-bnn": "4b964cb5e0005621e642306bc5afbb40847ba9f324293b7a76dd3d03e2925725",
    "small-mixture": "c77e8e2f3360bb3da3e26196459945a15e3c61a24e0caeb95c4f7a193ea0628e",
    "small-scm": "1a503fe80fb9b09bff84f07060112a24ef455d92f7436a7987909d9d3e9795d9",
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
    return _network(artifact, artifact["configuration"]), limits(artifact["configuration"])


def limits(configuration: dict[str, Any]) -> dict[str, Any]:
    """A configuration with ``max_rows``, the most labelled rows that training has shown."""
    longest = max(configuration["rows"])
    return configuration | {"max_rows": longest - int(longest * configuration["least_queries"])}


def _read(name: str) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    from safetensors import safe_open

    if name not in PINNED:
        raise UserError(f"checkpoint {name!r} does not come with the package ({nearest(name, PINNED)})")
    path = FOLDER / f"{name}.safetensors"
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"
    if found != PINNED[name]:
        raise UserError(f"{path}: its sha256 is {found}, but {PINNED[name]} is pinned; install the package again")
    with safe_open(str(path), framework="np") as file:
        record = json.loads(file.metadata()["record"])
        return record, {key: file.get_tensor(key).astype(np.float32) for key in file.keys()}  # noqa: SIM118  (not a dict)


def _network(weights: Mapping[str, Any], configuration: dict[str, Any]) -> PriorFittedTransformer:
    return state.unpack(build(configuration), weights, "net/").eval().requires_grad_(False)
