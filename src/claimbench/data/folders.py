"""Datasets that stay where they are: folders of image files, ``train/<class>/...`` and ``val/<class>/...``.

They are too large to copy and their licences forbid it, so the user names the folder that holds them (the mirror).
Prepared is only the list of files; a fit may open files under ``train`` alone, and score those under ``val``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from claimbench.data import guard
from claimbench.data.entries import Entry
from claimbench.errors import DataUnavailable

PARTS = ("train", "val")
SUFFIXES = (".jpeg", ".jpg", ".png")


def find(entry: Entry, mirror: Path | None) -> Path:
    """The folder of a dataset.

    Raises:
        DataUnavailable: there is no mirror, or it lacks ``train`` or ``val``.
    """
    name = entry.options["folder"]
    if mirror is None:
        raise DataUnavailable(entry.name, [f"mirror {name}: no mirror is configured"])
    folder = mirror / name
    for part in PARTS:
        try:
            os.scandir(folder / part).close()
        except OSError as error:
            why = f"{folder / part} cannot be read ({error.strerror})"
            raise DataUnavailable(entry.name, [f"mirror {name}: {why}"]) from error
    return folder.resolve()


def permit(info: dict[str, Any]) -> None:
    """Let a fit open the training files of a prepared dataset."""
    guard.permit(Path(info["folder"]) / PARTS[0])


def index(folder: Path) -> dict[str, Any]:
    """Paths relative to ``folder`` as bytes, classes numbered in the order of their names, and the official parts.

    The training files are shuffled once, so that the last of them hold every class.

    Raises:
        ValueError: a class of ``val`` is none of ``train``.
    """
    import numpy as np

    classes = sorted(entry.name for entry in os.scandir(folder / "train") if entry.is_dir())
    number = {name: i for i, name in enumerate(classes)}
    paths: dict[str, list[str]] = {part: [] for part in PARTS}
    for part in PARTS:
        for entry in sorted(os.scandir(folder / part), key=lambda entry: entry.name):
            if not entry.is_dir():
                continue
            if entry.name not in number:
                raise ValueError(f"{folder / part} has the class {entry.name}, which {folder / 'train'} has not")
            files = sorted(os.listdir(entry.path))
            paths[part] += [f"{part}/{entry.name}/{file}" for file in files if file.lower().endswith(SUFFIXES)]
    order = np.random.default_rng(0).permutation(len(paths["train"]))
    every = [*(paths["train"][i] for i in order), *paths["val"]]
    return {
        "x": np.array([os.fsencode(path) for path in every]),
        "y": np.array([number[path.split("/")[1]] for path in every], np.int64),
        "public_train": np.arange(len(order)),
        "public_test": np.arange(len(order), len(every)),
    }
