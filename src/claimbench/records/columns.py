"""Names and column types of every table ClaimBench writes.

Tables are described as plain tuples here so that importing this module costs nothing; :func:`arrow_schema` turns one
into a pyarrow schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claimbench import files
from claimbench.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa


SCHEMA_VERSION = "1"
_CELL = (("paper", "s"), ("experiment", "s"), ("method", "s"), ("dataset", "s"), ("setting", "s"))
#: table name -> ((column, type), ...); types: s string, i int64, f float64, b bool
TABLES: dict[str, tuple[tuple[str, str], ...]] = {
    "runs": (
        ("run_key", "s"),
        *_CELL,
        ("seed", "i"),
        ("tier", "s"),
        ("status", "s"),
        ("reason", "s"),
        ("started_utc", "s"),
        ("wall_s", "f"),
        ("cpu_s", "f"),
        ("gpu_s", "f"),
        ("gpu_j", "f"),
        ("fit_wall_s", "f"),
        ("score_wall_s", "f"),
        ("import_s", "f"),
        ("peak_rss_mb", "f"),
        ("peak_gpu_mb", "f"),
        ("n_params", "i"),
        ("flops", "f"),
        ("steps", "i"),
        ("device", "s"),
        ("device_name", "s"),
        ("host", "s"),
        ("python", "s"),
        ("torch", "s"),
        ("cuda", "s"),
        ("git_commit", "s"),
        ("git_dirty", "b"),
        ("code_fp", "s"),
        ("data_fp", "s"),
        ("config_json", "s"),
    ),
    "metrics": (("run_key", "s"), ("split", "s"), ("metric", "s"), ("value", "f")),
    "curves": (("run_key", "s"), ("series", "s"), ("step", "f"), ("value", "f")),
    "published": (
        *_CELL,
        ("metric", "s"),
        ("value", "f"),
        ("spread", "f"),
        ("spread_kind", "s"),
        ("n", "i"),
        ("source", "s"),
        ("checked", "s"),
    ),
    "verdicts": (
        ("claim_id", "s"),
        ("paper", "s"),
        ("title", "s"),
        ("text", "s"),
        ("headline", "b"),
        ("family", "s"),
        ("kind", "s"),
        ("experiment", "s"),
        ("metric", "s"),
        ("cells", "s"),
        ("margin", "f"),
        ("margin_reason", "s"),
        ("published", "s"),
        ("measured", "s"),
        ("n", "i"),
        ("n_planned", "i"),
        ("effect", "s"),
        ("diff", "f"),
        ("ci_low", "f"),
        ("ci_high", "f"),
        ("p", "f"),
        ("p_adj", "f"),
        ("verdict", "s"),
        ("evidence", "s"),
        ("seeds_needed", "i"),
        ("survives", "i"),
        ("variations", "i"),
        ("falls", "s"),
        ("test", "s"),
        ("source", "s"),
        ("reason", "s"),
        ("note", "s"),
    ),
    "margins": (("claim_id", "s"), ("paper", "s"), ("multiplier", "f"), ("verdict", "s")),
    "costs": (
        ("tier", "s"),
        ("paper", "s"),
        ("experiment", "s"),
        ("runs", "i"),
        ("wall_s", "f"),
        ("cpu_s", "f"),
        ("gpu_s", "f"),
        ("peak_rss_mb", "f"),
        ("peak_gpu_mb", "f"),
        ("gpu_j", "f"),
        ("energy_source", "s"),
    ),
    "tables": (
        ("experiment", "s"),
        ("method", "s"),
        ("dataset", "s"),
        ("setting", "s"),
        ("metric", "s"),
        ("published", "f"),
        ("published_spread", "f"),
        ("checked", "s"),
        ("measured", "f"),
        ("sd", "f"),
        ("n", "i"),
        ("n_failed", "i"),
        ("status", "s"),
        ("verdict", "s"),
    ),
}
#: columns that differ between two runs of the same code on the same machine
TIMING_COLUMNS = (
    "started_utc",
    "wall_s",
    "cpu_s",
    "gpu_s",
    "gpu_j",
    "fit_wall_s",
    "score_wall_s",
    "import_s",
    "peak_rss_mb",
    "peak_gpu_mb",
)


def arrow_schema(table: str) -> pa.Schema:
    """The pyarrow schema of ``table``, with ``schema_version`` in its metadata."""
    import pyarrow as pa

    kinds = {"s": pa.string(), "i": pa.int64(), "f": pa.float64(), "b": pa.bool_()}
    fields = [pa.field(name, kinds[kind]) for name, kind in TABLES[table]]
    return pa.schema(fields, metadata={"schema_version": SCHEMA_VERSION, "table": table})


def read_arrow(path: Path, table: str) -> pa.Table:
    """A written table in the schema of today, which may have columns more than the file.

    Raises:
        UserError: the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:  # `pq.read_table` imports pandas, half a second of every process
            found = file.read()
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: {str(error).splitlines()[0]} Remove this file and run again.") from None
    schema = arrow_schema(table)
    return found if found.schema.equals(schema) else pa.Table.from_pylist(found.to_pylist(), schema=schema)


def read_rows(path: Path, table: str) -> list[dict[str, Any]]:
    """The rows of a written table, with all columns of today."""
    rows: list[dict[str, Any]] = read_arrow(path, table).to_pylist()
    return rows


def write_table(path: Path, table: str, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as Parquet in the fixed schema of ``table``; equal rows give equal bytes."""
    import pyarrow as pa

    write_arrow(path, pa.Table.from_pylist(list(rows), schema=arrow_schema(table)))


def write_arrow(path: Path, table: pa.Table) -> None:
    """Atomic Parquet write."""
    import pyarrow.parquet as pq

    with files.replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
