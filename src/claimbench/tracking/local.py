"""The local store, ``results/mlflow.db`` with ``results/mlartifacts``: a view of the records that can be made again.

MLflow keeps absolute addresses of artifacts and refuses a database of another version. So before every use the
addresses are made those of this folder, an old database is migrated, and one that nothing can be done with is set
aside; what is missing after that, the next import writes anew.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from claimbench.errors import UserError
from claimbench.files import replacing
from claimbench.tracking.client import ClientWriter
from claimbench.tracking.entries import Writer
from claimbench.tracking.faults import passes
from claimbench.tracking.rows import RowWriter

FILE = "mlflow.db"
ARTIFACTS = "mlartifacts"
_PATIENCE_S = 60
#: where an empty store stays
_KEPT = Path(sys.prefix) / "var" / "claimbench"


def uri_of(results: Path) -> str:
    return f"sqlite:///{results / FILE}"


def opened(results: Path) -> tuple[Writer, str]:
    """The store, ready to be written.

    Args:
        results: absolute path of the results folder.

    Returns:
        The way into it, and a sentence where an old database was migrated or set aside, else "".
    """
    said = ready(results)
    return RowWriter.open(uri_of(results)) or ClientWriter(uri_of(results)), said


def ready(results: Path, server: bool = False) -> str:
    """Make the store fit for the installed MLflow and for this folder; return what had to be done, "" for nothing.

    Args:
        results: absolute path of the results folder.
        server: an MLflow server is to read it, which is stricter than an import.
    """
    path, said = results / FILE, ""
    if path.is_file():
        try:
            fits = RowWriter.open(uri_of(results)) is not None and (not server or _is_current(path))
        except Exception as error:
            if passes(error):
                raise
            fits = False
        if not fits:
            said = _upgrade(path)
    if not path.is_file() and not server:
        _make(path)
    if path.is_file():
        _settle(path)
    return said


def experiments(results: Path) -> dict[str, str]:
    """Name -> MLflow's id of what is there."""
    with closing(sqlite3.connect(results / FILE, timeout=_PATIENCE_S)) as database:
        rows = database.execute("SELECT name, experiment_id FROM experiments WHERE lifecycle_stage = 'active'")
        return {str(name): str(number) for name, number in rows}


def set_aside(path: Path, why: str) -> str:
    """Rename a database that cannot be used; the next import makes another."""
    place = _unused(path, "set-aside")
    os.replace(path, place)
    return f"{path} cannot be used ({why}); it is kept as {place.name} and made anew from the records"


def _make(path: Path) -> None:
    """An empty store; it appears as a whole. MLflow takes five CPU-seconds for its tables, so an empty one is kept in
    the environment, for the next folder of results."""
    kept = _KEPT / f"mlflow-{importlib.metadata.version('mlflow')}.db"
    if kept.is_file() and _is_empty(kept):
        with replacing(path) as temporary:
            shutil.copyfile(kept, temporary)
        return
    with replacing(path) as temporary:
        ClientWriter(f"sqlite:///{temporary}")
        with closing(sqlite3.connect(temporary)) as database, database:
            # MLflow's own experiment would lie in the folder in which this was called; now it is settled as ours are
            database.execute("UPDATE experiments SET artifact_location = ?", (f"file:///{ARTIFACTS}/Default",))
        with contextlib.suppress(UserError), replacing(kept) as copy:  # this environment may be read-only
            shutil.copyfile(temporary, copy)


def _is_empty(path: Path) -> bool:
    """Whether this is a database of tables that are known, whole, and without a run."""
    try:
        with closing(sqlite3.connect(path)) as database:
            whole = database.execute("PRAGMA quick_check").fetchone() == ("ok",)
            runs = database.execute("SELECT count(*) FROM runs").fetchone()[0]
    except sqlite3.DatabaseError:
        return False
    return whole and runs == 0 and RowWriter.open(f"sqlite:///{path}") is not None


def _settle(path: Path) -> None:
    """Have the artifacts of our experiments lie beside the database, wherever the folder was before."""
    base = (path.parent / ARTIFACTS).as_uri()
    with closing(sqlite3.connect(path, timeout=_PATIENCE_S)) as database, database:
        found = database.execute("SELECT experiment_id, artifact_location FROM experiments").fetchall()
        for number, location in found:
            elsewhere, _, name = str(location).rpartition(f"/{ARTIFACTS}/")
            own = f"{base}/{name}"
            if elsewhere and "/" not in name and location != own:
                database.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (own, number))
                database.execute(
                    "UPDATE runs SET artifact_uri = ? || run_uuid || '/artifacts' WHERE experiment_id = ?",
                    (f"{own}/", number),
                )


def _is_current(path: Path) -> bool:
    try:
        ClientWriter(f"sqlite:///{path}")
    except Exception as error:
        if passes(error):
            raise
        return False
    return True


def _upgrade(path: Path) -> str:
    """Migrate a database by MLflow's own means, its copy kept; where that fails, set it aside."""
    copy = _unused(path, "before-upgrade")
    shutil.copy2(path, copy)
    done = subprocess.run(
        [sys.executable, "-m", "mlflow", "db", "upgrade", f"sqlite:///{path}"],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode == 0 and _is_current(path):
        if path.read_bytes() == copy.read_bytes():
            copy.unlink()
            return ""
        return f"{path} was of an older MLflow and is migrated; it was as {copy.name} before"
    os.replace(copy, path)
    last = (done.stderr.strip().splitlines() or ["MLflow does not open it"])[-1]
    return set_aside(path, last[:200])


def _unused(path: Path, word: str) -> Path:
    names = (path.with_name(f"{path.stem}.{word}{number}{path.suffix}") for number in ("", *range(2, 1000)))
    for name in names:
        if not name.exists():
            return name
    raise UserError(f"{path.parent}: there are a thousand databases that were put aside; remove some")
