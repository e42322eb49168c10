"""Few-shot tasks of characters (Section 7): which drawings are shown with their classes, and which are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from claimbench.data.splits import Parts, Split, count
from claimbench.seeding import rng

if TYPE_CHECKING:
    import numpy as np

    from claimbench.data.entries import Entry


@dataclass(frozen=True, kw_only=True)
class CharacterTasks(Split):
    """Tasks of the characters of the test part, each from one alphabet; all else trains.

    The test part is the official one, else every second drawing. Inputs of the drawings that are asked for are known
    beside the labelled ones, as what is asked of a method that answers in context; their classes are not.

    Fit gets ``x`` and ``y`` of the training part; ``test_x``, the drawings of all tasks, ``places`` (tasks, points)
    int64 into them, the labelled ones first, and ``shown`` (tasks, labelled) int64, their classes. Score also gets
    ``test_y`` (tasks, asked) int64, the classes of the others.
    """

    name = "character-tasks"

    tasks: int = count(60, 1, "a number of tasks")
    classes: int = count(5, 2, "a number of classes")
    shots: int = count(5, 1, "a number of labelled drawings")
    asked: int = count(5, 1, "a number of drawings")

    def refuses(self, entry: Entry) -> str:
        return "" if entry.samples and not entry.in_place else "needs independent samples"

    def cut(self, arrays: dict[str, Any], index: int) -> Parts:
        import numpy as np

        y = arrays["y"]
        test = arrays.get("public_test", np.arange(1, len(y), 2))
        train = np.setdiff1d(np.arange(len(y)), test)
        rows, labels = drawn(y[test], self.tasks, self.classes, self.shots, self.asked, rng(index, "few-shot/test"))
        used, places = np.unique(rows, return_inverse=True)
        n = self.classes * self.shots
        fit = {
            "rows": train,
            "y": y[train],
            "test_rows": test[used],
            "places": places.reshape(rows.shape),
            "shown": labels[:, :n],
        }
        return fit, {"test_y": labels[:, n:]}


def drawn(
    y: np.ndarray[Any, Any], tasks: int, classes: int, shots: int, asked: int, random: np.random.Generator
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Rows (tasks, points) and classes (tasks, points) of tasks from the first characters of an alphabet, in any order:
    their first drawings are the shots, then come ``asked`` of the other drawings of each class.

    Args:
        y: (n,) character numbers, alphabets in hundreds.
    """
    import numpy as np

    rows, labels = [], []
    alphabets = np.unique(y // 100)
    known, others = np.tile(np.arange(classes), shots), np.tile(np.arange(classes), asked)
    for _ in range(tasks):
        own = np.unique(y[y // 100 == random.choice(alphabets)])[:classes]
        drawings = [np.flatnonzero(y == character) for character in random.permutation(own)]
        shown = np.stack([random.permutation(of[:shots]) for of in drawings])
        rest = np.stack([random.choice(of[shots:], asked, replace=False) for of in drawings])
        rows.append(np.concatenate([shown.T.ravel(), rest.T.ravel()]))
        labels.append(np.concatenate([known, others]))
    return np.stack(rows), np.stack(labels)


PROTOCOLS = (CharacterTasks,)
