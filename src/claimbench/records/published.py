"""The numbers that a paper prints: ``published.csv``."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claimbench.errors import UserError, nearest
from claimbench.records.columns import TABLES
from claimbench.spec.words import CHECKED

if TYPE_CHECKING:
    pass


PUBLISHED_COLUMNS = tuple(name for name, _ in TABLES["published"] if name != "paper")


def read_published(folder: Path, paper: str) -> list[dict[str, Any]]:
    """The rows of a paper's ``published.csv``.

    Raises:
        UserError: a wrong column, number or word, with file and line.
    """
    path = folder / "published.csv"
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        for name in reader.fieldnames or []:
            if name not in PUBLISHED_COLUMNS:
                raise UserError(f"{path}: unknown column {name!r} ({nearest(name, PUBLISHED_COLUMNS)})")
        if missing := [name for name in PUBLISHED_COLUMNS if name not in (reader.fieldnames or [])]:
            raise UserError(f"{path}: column {missing[0]!r} is missing")
        rows = []
        for line, row in enumerate(reader, start=2):
            where = f"{path}, line {line}"
            if row["checked"] not in CHECKED:
                raise UserError(f"{where}: checked is {row['checked']!r}; allowed: {', '.join(CHECKED)}")
            rows.append(
                {
                    **row,
                    "paper": paper,
                    "value": _number(row["value"], where, "value"),
                    "spread": _number(row["spread"], where, "spread") if row["spread"] else None,
                    "n": int(_number(row["n"], where, "n")) if row["n"] else None,
                    "setting": ",".join(sorted(filter(None, (row["setting"] or "").split(",")))),
                }
            )
    return rows


def _number(text: str, where: str, column: str) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        raise UserError(f"{where}: {column} is {text!r}; it must be a number") from None
