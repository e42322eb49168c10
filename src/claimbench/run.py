"""What a paper's ``fit`` and ``score`` are given: the run, its random streams, meters and checkpoint."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from claimbench import seeding
from claimbench.errors import BudgetExceeded, Diverged
from claimbench.files import replacing

if TYPE_CHECKING:
    import numpy as np
    import torch

#: raised when what this module gives changes; it stands for the module in the keys of runs
SEMANTICS = 1


class Checkpoint:
    """The state of an unfinished fit, so that a killed run goes on where it was, bit for bit.

    Args:
        folder: the run's folder in the store; None keeps nothing.
        every_s: least seconds between two checkpoints.
    """

    def __init__(self, folder: Path | None, every_s: float = 30.0) -> None:
        self.folder, self.every_s = folder, every_s
        self._last = time.monotonic()

    def due(self, step: int = 0) -> bool:
        """Whether it is time for another checkpoint."""
        return self.folder is not None and time.monotonic() - self._last >= self.every_s

    def save(self, tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
        """Write tensors and JSON-able ``meta`` as one file, atomically."""
        if self.folder is None:
            return
        from safetensors.torch import save_file

        with replacing(self.folder / "checkpoint.safetensors") as temporary:
            plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
            save_file(plain, str(temporary), metadata={"meta": json.dumps(meta, sort_keys=True)})
        self._last = time.monotonic()

    def load(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """The last checkpoint, None when there is none (or it cannot be read)."""
        path = self.folder / "checkpoint.safetensors" if self.folder is not None else None
        if path is None or not path.is_file():
            return None
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
                return tensors, json.loads(file.metadata()["meta"])
        except (SafetensorError, KeyError, ValueError, OSError):
            path.unlink(missing_ok=True)
            return None


class Hyper(SimpleNamespace):
    """The hyper-parameters of a run as attributes, for reading only."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"run.h.{name} is read-only; keep a changed value in a variable of its own")


@dataclass
class Run:
    """One cell with one seed, as ``fit`` and ``score`` see it."""

    paper: str
    experiment: str
    method: str
    dataset: str
    setting: dict[str, Any]
    seed: int
    tier: str
    #: merged hyper-parameters; ``run.h.hidden`` is ``run.hyper["hidden"]``
    hyper: Mapping[str, Any]
    device: str = "cpu"
    #: artifacts of the cells named under ``needs``
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    checkpoint: Checkpoint = field(default_factory=lambda: Checkpoint(None))
    wall_limit_s: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    curves: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.hyper = MappingProxyType(dict(self.hyper))

    @cached_property
    def h(self) -> Hyper:
        """``run.hyper`` as attributes."""
        return Hyper(**self.hyper)

    def rng(self, name: str) -> np.random.Generator:
        """numpy generator of the stream ``name`` of this run's seed."""
        return seeding.rng(self.seed, name)

    def torch_generator(self, name: str, device: str | None = None) -> torch.Generator:
        """torch generator of the stream ``name`` of this run's seed, on the run's device.

        Args:
            device: another one: ``"cpu"`` for what is drawn there whatever the run trains on.
        """
        return seeding.torch_generator(self.seed, name, device or self.device)

    @contextlib.contextmanager
    def torch_stream(self, name: str) -> Iterator[None]:
        """Draw torch's global stream from this run's ``name``, for what knows no generator (initialisations of
        ``torch.nn``), and put it back afterwards."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeding.stream_seed(self.seed, name))
            yield

    def curve(self, series: str, step: float, value: float) -> None:
        """Log one point of a training curve."""
        self.curves.setdefault(series, []).append((float(step), float(value)))

    def metric(self, name: str, value: float) -> None:
        """Record a metric of training itself, as ``split/metric``."""
        self.metrics[name] = float(value)

    def count(self, **counts: float) -> None:
        """Record ``n_params``, ``flops`` or ``steps``."""
        self.counts.update(counts)

    def alive(self) -> None:
        """Raise when the run's wall time is used up; cheap enough for every epoch."""
        if self.wall_limit_s is not None and time.monotonic() - self._started > self.wall_limit_s:
            raise BudgetExceeded("timeout", f"more than {self.wall_limit_s:g} s of wall time")

    def finite(self, value: float, what: str = "loss") -> float:
        """``value``, or :class:`Diverged` when it is not finite."""
        value = float(value)
        if not math.isfinite(value):
            raise Diverged(f"{what} became {value}")
        return value
