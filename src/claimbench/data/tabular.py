"""Tables with classes: from raw files to ``x`` (N, F) float32, NaN where a value is missing, and ``y`` (N,) int64.

Where columns are categories, ``categorical`` holds their indices; their values are codes without an order.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from claimbench.data import unpickle

Arrays = dict[str, Any]


def labelled_csv(raw: Path, file: str) -> Arrays:
    """scikit-learn's csv files: a line of counts, then numbers between commas with the class at the end."""
    table = np.loadtxt(raw / file, delimiter=",", skiprows=1, dtype=np.float64)
    return {"x": table[:, :-1].astype(np.float32), "y": table[:, -1].astype(np.int64)}


def keel(raw: Path, file: str) -> Arrays:
    """KEEL's tables: values between commas, often with blanks, the class at the end.

    Classes and categories are numbered in alphabetical order; a column is categorical when a value is no number.
    """
    lines = (raw / file).read_text(encoding="ascii").splitlines()
    rows = [[value.strip() for value in line.split(",")] for line in lines if line.strip()]
    *columns, labels = zip(*rows, strict=True)
    x = np.empty((len(rows), len(columns)), np.float32)
    categorical = []
    for i, column in enumerate(columns):
        try:
            x[:, i] = [float(value) for value in column]
        except ValueError:
            x[:, i] = np.unique(column, return_inverse=True)[1]
            categorical.append(i)
    return _arrays(x, np.unique(labels, return_inverse=True)[1], categorical)


def tabpfn(raw: Path, file: str, table: str) -> Arrays:
    """One of the 30 test sets of TabPFN version 1, with its rows in the order of the authors' file."""
    return _arrays(*unpickle.load_tables(raw / file)[table])


def balance_scale(raw: Path) -> Arrays:
    """All 625 scales with weights and distances from 1 to 5 on both arms.

    Columns: left weight, left distance, right weight, right distance. Classes: 0 left arm down, 1 balanced, 2 right
    arm down (Siegler 1976; UCI Balance Scale). Nothing is read from ``raw``.
    """
    x = np.array(list(itertools.product(range(1, 6), repeat=4)), np.float32)
    return {"x": x, "y": (1 - np.sign(x[:, 0] * x[:, 1] - x[:, 2] * x[:, 3])).astype(np.int64)}


def _arrays(x: np.ndarray, y: np.ndarray, categorical: list[int]) -> Arrays:
    found = {"x": x, "y": y.astype(np.int64)}
    return found | {"categorical": np.array(categorical, np.int64)} if categorical else found
