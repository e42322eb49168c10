"""The protocol of datasets that say themselves what is held back: nothing is cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from claimbench.data.splits.base import Arrays, Parts, Split, parameter, word
from claimbench.errors import UserError

if TYPE_CHECKING:
    from claimbench.data.entries import Entry


def names(default: tuple[str, ...]) -> Any:
    return parameter(
        default,
        lambda value: isinstance(value, tuple) and all(isinstance(name, str) for name in value),
        "a list of names of arrays",
    )


@dataclass(frozen=True, kw_only=True)
class AsGiven(Split):
    """Every sample tests and nothing is cut: fit gets the inputs and the answers ``shown``, score those ``hidden``.

    For what is judged on all that there is: a search in a table of measured architectures, rankings for judged queries,
    the fit of one picture.

    Fit gets what is known whole and the arrays named by ``shown``; with ``queries: visible`` also ``test_x``, the
    inputs of all samples. Score also gets ``test_x`` and, as ``test_<name>``, the arrays named by ``hidden``.
    """

    name = "as-given"
    one_for_all_seeds = True

    queries: str = word("hidden", "hidden", "visible")
    shown: tuple[str, ...] = names(())
    hidden: tuple[str, ...] = names(("y",))

    def __post_init__(self) -> None:
        super().__post_init__()
        if both := set(self.shown) & set(self.hidden):
            raise UserError(f"shown and hidden both name {', '.join(sorted(both))}; allowed: one of them")

    def refuses(self, entry: Entry) -> str:
        if entry.in_place:
            return "has no training files; allowed: public"
        if self.queries == "visible" and not entry.samples:
            return "has queries visible, which is for independent samples (these inputs are all visible)"
        return ""

    def cut(self, arrays: Arrays, index: int) -> Parts:
        import numpy as np

        for name in (*self.shown, *self.hidden):
            if name not in arrays:
                raise UserError(f"there is no array {name!r}; allowed: {', '.join(sorted(arrays))}")
        answers = (*self.hidden, *self.shown)
        rows = np.arange(len(arrays[answers[0]]) if answers else 0)
        fit = {name: arrays[name] for name in self.shown}
        if self.queries == "visible":
            fit["test_rows"] = rows
        return fit, {"rows": rows, **{f"test_{name}": arrays[name] for name in self.hidden}}
