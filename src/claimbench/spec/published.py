"""The numbers that a paper prints: ``published.csv``."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

from claimbench.errors import UserError, nearest
from claimbench.files import digest
from claimbench.spec.settings import parse_setting, setting_string
from claimbench.spec.words import CHECKED, SPREADS

COLUMNS = (
    "experiment",
    "method",
    "dataset",
    "setting",
    "metric",
    "value",
    "spread",
    "spread_kind",
    "n",
    "source",
    "checked",
)
Row = dict[str, Any]


def read_published(folder: Path) -> list[Row]:
    """The rows of a paper's ``published.csv``: numbers as numbers, empty ones as None, axes in alphabetical order.

    Raises:
        UserError: a wrong column, number, setting or word, with file and line.
    """
    path = folder / "published.csv"
    if not path.is_file():
        return []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            _check_columns(path, list(reader.fieldnames or []))
            return [_row(row, f"{path}, line {line}") for line, row in enumerate(reader, start=2)]
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a table in UTF-8 ({error})") from None


def visible(rows: list[Row], experiments: Collection[str]) -> list[Row]:
    """The rows that the scores of an experiment may read."""
    return [row for row in rows if row["experiment"] in experiments]


def published_digest(rows: list[Row]) -> str:
    """Digest of what the rows say, whatever their order."""
    return digest(sorted([str(row[name]) for name in COLUMNS] for row in rows))


def _check_columns(path: Path, given: list[str]) -> None:
    for name in given:
        if name not in COLUMNS:
            raise UserError(f"{path}: unknown column {name!r} ({nearest(name, COLUMNS)})")
    if missing := [name for name in COLUMNS if name not in given]:
        raise UserError(f"{path}: column {missing[0]!r} is missing; it has {', '.join(COLUMNS)}")


def _row(row: dict[str | Any, Any], where: str) -> Row:
    if None in row or None in row.values():
        raise UserError(f"{where}: it must have {len(COLUMNS)} fields; quote a setting of several axes")
    for column, allowed in (("checked", CHECKED), ("spread_kind", SPREADS)):
        if row[column] not in allowed:
            raise UserError(f"{where}: {column} is {row[column]!r}; allowed: {', '.join(filter(None, allowed))}")
    try:
        setting = setting_string(parse_setting(row["setting"]))
    except ValueError as error:
        raise UserError(f"{where}: setting is {row['setting']!r}; {error}") from None
    return {
        **row,
        "value": _number(row["value"], where, "value"),
        "spread": _number(row["spread"], where, "spread") if row["spread"] else None,
        "n": int(_number(row["n"], where, "n")) if row["n"] else None,
        "setting": setting,
    }


def _number(text: str, where: str, column: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{where}: {column} is {text!r}; it must be a number")
    return number
