"""Protocols of independent samples, most of them also of a graph's nodes: which train, validate and test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from claimbench.data.splits.base import Arrays, Parts, Split, count, fraction, parameter, word
from claimbench.errors import UserError
from claimbench.seeding import rng

if TYPE_CHECKING:
    import numpy as np

    from claimbench.data.entries import Entry

    Indices = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class SampleSplit(Split):
    """What protocols of samples share: :meth:`choose` says which samples, here stands who sees what of them.

    Samples: fit gets inputs and labels of training and validation samples, with ``train_idx`` and ``val_idx`` into
    them; score ``test_x`` and ``test_y``. With ``queries: visible`` fit gets ``test_x`` too, for methods that may know
    what they will be asked (transductive prediction, answers in context); labels of the test part stay hidden.

    Nodes of a graph: all inputs are known to fit; labels outside of training and validation are -1.
    """

    queries: str = word("hidden", "hidden", "visible")

    def choose(self, arrays: Arrays, index: int) -> Indices:
        """``train``, ``val``, ``test``: sorted int64 indices of labelled samples, disjoint."""
        raise NotImplementedError

    def refuses(self, entry: Entry) -> str:
        if self.queries == "visible" and entry.is_graph:
            return "has queries visible, which is for independent samples (a graph's nodes are all visible)"
        if entry.in_place:
            return self.refuses_folder()
        return "" if entry.samples or entry.is_graph else "needs independent samples or nodes"

    def refuses_folder(self) -> str:
        return "cuts what has a fixed training folder; allowed: public"

    def cut(self, arrays: Arrays, index: int) -> Parts:
        import numpy as np

        found = {name: np.asarray(chosen, np.int64) for name, chosen in self.choose(arrays, index).items()}
        y, test = arrays["y"], found["test"]
        seen = np.sort(np.concatenate([found["train"], found["val"]]))
        if "edge_index" in arrays:
            masked = np.full_like(y, -1)
            masked[seen] = y[seen]
            return {"y": masked, **{f"{name}_idx": chosen for name, chosen in found.items()}}, {"test_y": y[test]}
        fit = {
            "rows": seen,
            "y": y[seen],
            "train_idx": np.searchsorted(seen, found["train"]),
            "val_idx": np.searchsorted(seen, found["val"]),
        }
        if self.queries == "visible":
            fit["test_rows"] = test
        return fit, {"rows": test, "test_y": y[test]}


def labelled(arrays: Arrays) -> np.ndarray:
    """Indices of the samples that have a label: all, but for classes of -1."""
    import numpy as np

    y = arrays["y"]
    return np.flatnonzero(y >= 0) if y.ndim == 1 and y.dtype.kind != "f" else np.arange(len(y))


def classes_of(arrays: Arrays) -> np.ndarray:
    """``y`` where it holds classes, else UserError."""
    y: np.ndarray = arrays["y"]
    if y.ndim != 1 or y.dtype.kind == "f":
        raise UserError("it has no classes; allowed: a dataset with classes")
    return y


@dataclass(frozen=True, kw_only=True)
class KFold(SampleSplit):
    """Fold ``index`` of a shuffled k-fold tests; the share ``val`` of the others validates.

    The protocol of ForwardGNN (ICLR 2024, official code; with the defaults these are its published index files):
    scikit-learn's ``KFold(5, shuffle=True, random_state=101)``, then run i, counted from 0,
    ``train_test_split(test_size=0.2, random_state=127 * i)``.
    Runs beyond the last fold go on with a fresh shuffle (random_state 102, 103, ...).
    """

    name = "kfold"

    folds: int = count(5, 2, "an integer of at least 2")
    val: float = fraction(0.2)

    def choose(self, arrays: Arrays, index: int) -> Indices:
        import numpy as np
        from sklearn.model_selection import KFold as Folds
        from sklearn.model_selection import train_test_split

        rows = labelled(arrays)
        folds = Folds(self.folds, shuffle=True, random_state=101 + index // self.folds).split(rows)
        train, test = list(folds)[index % self.folds]
        train, validation = train_test_split(train, test_size=self.val, random_state=127 * index, shuffle=True)
        return {name: rows[np.sort(part)] for name, part in (("train", train), ("val", validation), ("test", test))}


@dataclass(frozen=True, kw_only=True)
class Random(SampleSplit):
    """A random permutation cut into fractions; fractions that add up to 1 use every sample."""

    name = "random"

    train: float = fraction(0.6)
    val: float = fraction(0.2)
    test: float = fraction(0.2)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_most_one(train=self.train, val=self.val, test=self.test)

    def choose(self, arrays: Arrays, index: int) -> Indices:
        import numpy as np

        rows = labelled(arrays)
        n = rows.size
        order = rng(index, "split/random").permutation(n)
        n_test, n_val = round(self.test * n), round(self.val * n)
        whole = abs(self.train + self.val + self.test - 1) < 1e-9
        n_train = n - n_test - n_val if whole else int(self.train * n)
        test, val, train, _ = np.split(order, np.cumsum([n_test, n_val, n_train]))
        return {name: rows[np.sort(part)] for name, part in (("train", train), ("val", val), ("test", test))}


def at_most_one(**parts: float) -> None:
    if sum(parts.values()) > 1 + 1e-9:
        raise UserError(f"{', '.join(parts)} add up to {sum(parts.values()):g}; allowed: at most 1")


@dataclass(frozen=True, kw_only=True)
class Halves(SampleSplit):
    """A fresh permutation: its first half trains (at most ``most`` rows), the second tests.

    The protocol of TabPFN. Permutations are drawn until both parts hold every class (Hollmann et al., ICLR 2023,
    official evaluation). They come from the run's own stream, so the splits are of the published kind without being the
    published ones.
    """

    name = "halves"

    most: int = count(1000)

    def choose(self, arrays: Arrays, index: int) -> Indices:
        import numpy as np

        y = classes_of(arrays)
        random, classes = rng(index, "split/halves"), np.unique(y)
        for _ in range(1000):
            order = random.permutation(y.size)
            train, test = order[: y.size // 2][: self.most], order[y.size // 2 :]
            if all(np.array_equal(np.unique(y[part]), classes) for part in (train, test)):
                return {"train": np.sort(train), "val": order[:0], "test": np.sort(test)}
        raise UserError(f"no permutation has every class among {self.most} training rows and in the test half")


def even(default: int) -> Any:
    return parameter(
        default, lambda value: isinstance(value, int) and value >= 2 and value % 2 == 0, "an even number of samples"
    )


def small_task(y: np.ndarray, train: int, test: int, most: int, index: int) -> Indices:
    """A small balanced task of two classes, as in the tabular study of PFNs (Mueller et al., ICLR 2022, appendix).

    Of the first two classes the first ``most`` / 2 rows each are kept (fewer when one has fewer); subset ``index``
    draws half of ``train`` + ``test`` rows from each. The classes alternate, so both parts are balanced. The authors
    walk through the kept rows; here they are drawn.
    """
    import numpy as np

    first, second = (np.flatnonzero(y == label)[: most // 2] for label in (0, 1))
    kept, wanted = min(first.size, second.size), (train + test) // 2
    if kept < wanted:
        raise UserError(f"{train + test} rows are wanted, but it has {kept} rows of a class; allowed: {2 * kept}")
    random = rng(index, "split/binary-subset")
    rows = np.stack([random.choice(part[:kept], wanted, replace=False) for part in (first, second)], 1).ravel()
    return {"train": np.sort(rows[:train]), "val": rows[:0], "test": np.sort(rows[train:])}


def refuse_more_than_most(train: int, test: int, most: int) -> None:
    if train + test > most:
        raise UserError(f"train and test add up to {train + test}; allowed: at most most, {most}")


@dataclass(frozen=True, kw_only=True)
class BinarySubset(SampleSplit):
    """The first two classes, equal counts in both parts, drawn from the first ``most`` rows; see :func:`small_task`."""

    name = "binary-subset"

    train: int = even(30)
    test: int = even(70)
    most: int = even(400)

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_more_than_most(self.train, self.test, self.most)

    def choose(self, arrays: Arrays, index: int) -> Indices:
        return small_task(classes_of(arrays), self.train, self.test, self.most, index)


@dataclass(frozen=True, kw_only=True)
class BinarySubsets(Split):
    """Many small balanced tasks of two classes in one split, of one table or of each of a collection.

    Subset j of run i is that of ``binary-subset`` with the number ``i * subsets + j``. Inputs of test rows are known
    beside the labelled ones, as what is asked of a method that answers in context; their labels are not.

    Fit gets ``x`` (K, train + test, F), the labelled rows first, ``y`` (K, train) and ``table`` (K,), score also
    ``test_x`` and ``test_y`` (K, test, ...). K counts the subsets of all tables.
    """

    name = "binary-subsets"

    train: int = even(30)
    test: int = even(70)
    most: int = even(400)
    subsets: int = count(20, 1, "a number of subsets")

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_more_than_most(self.train, self.test, self.most)

    def refuses(self, entry: Entry) -> str:
        return "" if entry.samples and not entry.in_place else "needs independent samples"

    def cut(self, arrays: Arrays, index: int) -> Parts:
        import numpy as np

        y = classes_of(arrays)
        tables = arrays.get("table", np.zeros(len(y), np.int64))
        found: dict[str, list[Any]] = {"train": [], "test": [], "table": []}
        for table in np.unique(tables):
            place = np.flatnonzero(tables == table)
            for j in range(self.subsets):
                number = index * self.subsets + j
                chosen = small_task(y[place], self.train, self.test, self.most, number)
                found["train"].append(place[chosen["train"]])
                found["test"].append(place[chosen["test"]])
                found["table"].append(table)
        train, test = np.stack(found["train"]), np.stack(found["test"])
        fit = {"rows": np.concatenate([train, test], 1), "y": y[train], "table": np.array(found["table"], np.int64)}
        return fit, {"rows": test, "test_y": y[test]}


@dataclass(frozen=True, kw_only=True)
class Public(SampleSplit):
    """The official split, the same for all seeds.

    Planetoid: the first samples train, the next ``val`` (500) validate, the listed ones test. Others: the last ``val``
    (5,000) of the official training set validate.
    """

    name = "public"
    one_for_all_seeds = True

    val: int | None = count(None)

    def refuses_folder(self) -> str:
        return "has queries visible, but test files stay closed to fit" if self.queries == "visible" else ""

    def choose(self, arrays: Arrays, index: int) -> Indices:
        if "public_test" not in arrays:
            raise UserError("it has no public split; allowed: kfold, random")
        train, test, val = arrays["public_train"], arrays["public_test"], self.val
        if "public_val" in arrays:
            validation = arrays["public_val"][:val]
            if val is not None and validation.size < val:
                raise UserError(f"val is {val}; it has {validation.size} official validation nodes")
        else:
            val = 5000 if val is None else val
            if val >= train.size:
                raise UserError(f"val is {val}; allowed: less than its {train.size} training samples")
            train, validation = train[:-val], train[-val:]
        return {"train": train, "val": validation, "test": test}
