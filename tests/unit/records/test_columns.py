"""Tables on disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from claimbench.errors import UserError
from claimbench.records.columns import read_arrow, read_rows, write_arrow, write_table

ROWS = [{"run_key": "a", "split": "test", "metric": "x", "value": 1.5}]


def test_tables_are_read_without_pandas(tmp_path: Path) -> None:
    """Half a second of every process otherwise."""
    write_table(tmp_path / "metrics.parquet", "metrics", ROWS)
    code = (
        "import sys; from pathlib import Path; from claimbench.records.columns import read_rows; "
        f"print(read_rows(Path({str(tmp_path / 'metrics.parquet')!r}), 'metrics'), 'pandas' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == f"{ROWS} False"


def test_an_older_table_has_the_columns_of_today(tmp_path: Path) -> None:
    path = tmp_path / "metrics.parquet"
    write_arrow(path, pa.table({"run_key": ["a"], "value": [1.5], "gone": [0]}))
    assert read_rows(path, "metrics") == [{"run_key": "a", "split": None, "metric": None, "value": 1.5}]
    assert read_arrow(path, "metrics").schema.names == ["run_key", "split", "metric", "value"]


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.parquet"
    path.write_bytes(b"no table")
    with pytest.raises(UserError, match=r"metrics\.parquet: .*Remove this file and run again"):
        read_rows(path, "metrics")
