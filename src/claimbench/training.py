"""Loops that can be killed at any step and go on bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from claimbench.run import Run

if TYPE_CHECKING:
    import torch

#: raised when what this module gives changes; it stands for the module in the keys of runs
SEMANTICS = 1


def in_stacks(
    runs: Sequence[Run],
    key: Callable[[Run], Any],
    fit: Callable[[list[int]], Sequence[dict[str, Any]]],
    most: Callable[[Run], int] | None = None,
) -> list[dict[str, Any]]:
    """Artifacts of ``runs`` that are fitted in stacks.

    Args:
        runs: what ``fit_many`` was given.
        key: what the runs of a stack have in common; runs with an equal ``repr`` of it form one, in the order given.
        fit: the indices of a stack's runs -> their artifacts, in that order.
        most: the largest stack for a run; without it a stack may have any size.

    Returns:
        One artifact a run, in the order of ``runs``.

    Raises:
        ValueError: ``fit`` gave another number of artifacts than it had indices.
    """
    groups: dict[str, list[int]] = {}
    for index, run in enumerate(runs):
        groups.setdefault(repr(key(run)), []).append(index)
    artifacts: list[dict[str, Any]] = [{} for _ in runs]
    for members in groups.values():
        size = most(runs[members[0]]) if most is not None else len(members)
        for start in range(0, len(members), size):
            part = members[start : start + size]
            for index, artifact in zip(part, fit(part), strict=True):
                artifacts[index] = artifact
    return artifacts


class Loop:
    """Steps ``0..total-1`` of a training phase, resumed from the run's checkpoint.

    ``for step in Loop(run, "layer-1", total, net=net, adam=optimizer, order=generator): ...`` yields the steps still to
    do, checks the budget before each, and saves everything given as keyword after a step when a checkpoint is due.
    Phases of one run have different names; a phase that had ended is restored to its end and yields nothing.

    Args:
        run: the run whose checkpoint and budget are used.
        phase: name of this phase, unique within the run.
        total: number of steps.
        parts: modules and optimisers (anything with ``state_dict``/``load_state_dict``), torch generators, and plain
            dicts of tensors and JSON values that the loop updates in place.
    """

    def __init__(self, run: Run, phase: str, total: int, **parts: Any) -> None:
        self.run, self.phase, self.total, self.parts = run, phase, total, parts
        self.next = 0
        self._stopped = False
        self._phases: dict[str, Any] = _phases(run)
        if phase in self._phases:
            saved = self._phases[phase]
            self.next = saved["next"]
            for name, part in parts.items():
                _restore(part, saved["parts"][name])
            run.curves.update({name: [tuple(p) for p in points] for name, points in saved["curves"].items()})
            run.metrics.update(saved["metrics"])

    def stop(self) -> None:
        """End the phase after the current step (early stopping)."""
        self._stopped = True

    def __iter__(self) -> Iterator[int]:
        if self.next >= self.total:
            return
        while self.next < self.total:
            self.run.alive()
            yield self.next
            self.next = self.total if self._stopped else self.next + 1
            if self.run.checkpoint.due(self.next):
                self._remember()
                tensors: dict[str, torch.Tensor] = {}
                self.run.checkpoint.save(tensors=tensors, meta=_flatten(self._phases, "", tensors))
        self._remember()

    def _remember(self) -> None:
        self._phases[self.phase] = {
            "next": self.next,
            "parts": {name: _state(part) for name, part in self.parts.items()},
            "curves": {name: [list(p) for p in points] for name, points in self.run.curves.items()},
            "metrics": dict(self.run.metrics),
        }


class StackLoop(Loop):
    """A :class:`Loop` of runs that are trained together: the checkpoint and the budget are the first one's; the curves
    and metrics of all of them are kept.

    Args:
        runs: the stack; a phase is resumed with the same runs in the same order.
        phase: as for :class:`Loop`.
        total: as for :class:`Loop`.
        parts: as for :class:`Loop`.
    """

    def __init__(self, runs: Sequence[Run], phase: str, total: int, **parts: Any) -> None:
        super().__init__(runs[0], phase, total, **parts)
        self.others = runs[1:]
        if phase in self._phases:
            for run, saved in zip(self.others, self._phases[phase]["others"], strict=True):
                run.curves.update({name: [tuple(p) for p in points] for name, points in saved["curves"].items()})
                run.metrics.update(saved["metrics"])

    def _remember(self) -> None:
        super()._remember()
        self._phases[self.phase]["others"] = [
            {
                "curves": {name: [list(p) for p in points] for name, points in run.curves.items()},
                "metrics": dict(run.metrics),
            }
            for run in self.others
        ]


def _phases(run: Run) -> dict[str, Any]:
    """The phases of this run so far, shared by its loops."""
    if not hasattr(run.checkpoint, "phases"):
        loaded = run.checkpoint.load()
        run.checkpoint.phases = {} if loaded is None else _unflatten(loaded[1], loaded[0])  # type: ignore[attr-defined]
    return run.checkpoint.phases  # type: ignore[attr-defined]


def _state(part: Any) -> Any:
    import torch

    if isinstance(part, torch.Generator):
        return part.get_state()
    if hasattr(part, "state_dict"):
        return _copy(part.state_dict())
    return _copy(part)


def _copy(value: Any) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(inner) for inner in value]
    return value


def _restore(part: Any, saved: Any) -> None:
    import torch

    if isinstance(part, torch.Generator):
        part.set_state(saved)
    elif hasattr(part, "load_state_dict"):
        part.load_state_dict(saved)
    elif isinstance(part, dict):
        part.clear()
        part.update(_copy(saved))
    else:
        raise TypeError(f"a loop cannot restore {type(part).__name__}")


def _flatten(value: Any, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    """Tensors into ``tensors`` by path, the rest as JSON; dicts keep keys that are not strings."""
    import torch

    if isinstance(value, torch.Tensor):
        tensors[path] = value
        return {"tensor": path}
    if isinstance(value, dict):
        return {"dict": [[key, _flatten(inner, f"{path}/{key}", tensors)] for key, inner in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_flatten(inner, f"{path}/{i}", tensors) for i, inner in enumerate(value)]}
    return {"value": value}


def _unflatten(value: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "dict" in value:
        return {key: _unflatten(inner, tensors) for key, inner in value["dict"]}
    if "list" in value:
        return [_unflatten(inner, tensors) for inner in value["list"]]
    return value["value"]
