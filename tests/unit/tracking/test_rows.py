"""Rows written straight into MLflow's database are those that its client writes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from claimbench.tracking import rows
from claimbench.tracking.client import ClientWriter
from claimbench.tracking.entries import Entry, Writer
from claimbench.tracking.rows import RowWriter

pytestmark = pytest.mark.filterwarnings("ignore")
#: what differs between two imports of the same: invented ids and the time of the import
_MOMENTS = {"creation_time", "last_update_time", "deleted_time"}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as MLflow makes it."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    ClientWriter(f"sqlite:///{path}")
    return path


def entries(folder: Path) -> list[Entry]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.html").write_text("<p>")
    (folder / "verdicts.parquet").write_bytes(b"PAR1")
    inf, nan = float("inf"), float("nan")
    curve = [("loss", 1 / step, step) for step in range(1, 1200)]
    odd = [("x", nan, 0), ("x", nan, 0), ("y", inf, 0), ("y", -inf, 1), ("z", 2, 0), ("z", 3, 0), ("z", 1.5, 0)]
    odd += [
        ("twice", 0.5, 3),
        ("twice", 0.5, 3),
        ("back", 1.0, 5),
        ("back", 2.0, 4),
        ("later", nan, 1),
        ("later", 1.0, 0),
    ]
    data = ("iris", "12345678", '{"registry": "iris"}')
    return [
        Entry("one s0", "FINISHED", 1000, 2500, {"run_key": "a", "content": "1"}, curve, {"seed": "0", "k": ""}, data),
        Entry("one s1", "FAILED", 1100, 1100, {"run_key": "b", "content": "2"}, [], {"seed": "1"}, data),
        Entry("zwei ä", "FINISHED", 1200, 1201, {"run_key": "c", "content": "3", "reason": ""}, odd),
        Entry(
            name="results",
            status="FINISHED",
            start_ms=1300,
            end_ms=1300,
            tags={"run_key": "results/smoke", "content": "4"},
            metrics=[("verdicts/reproduced", 2, 0)],
            files={"tables": [folder / "a.html"], "figures": [], "": [folder / "verdicts.parquet"]},
        ),
    ]


def write(writer: Writer, folder: Path | None, made: list[Entry]) -> None:
    """All, then the first again with another dataset in place of the old one."""
    experiment = writer.experiment("toy-paper", {"title": "A toy", "mlflow.note.content": "long"}, folder)
    assert writer.experiment("toy-paper", {}, folder) == experiment
    assert writer.known(experiment) == {}
    writer.write(experiment, made)
    known = writer.known(experiment)
    assert {key: content for key, (_, content) in known.items()} == {e.tags["run_key"]: e.tags["content"] for e in made}
    again = {**vars(made[0]), "old": known["a"][0], "dataset": ("wine", "87654321", "{}")}
    writer.write(experiment, [Entry(**again)])
    assert writer.known(experiment)["a"][0] != known["a"][0]


def content(uri: str) -> dict[str, list[str]]:
    """Every row of every table, with ids numbered by what they stand for."""
    import sqlalchemy as sa

    engine = sa.create_engine(uri, poolclass=sa.NullPool)
    found: dict[str, list[dict[str, Any]]] = {}
    with engine.connect() as connection:
        for name in sa.inspect(engine).get_table_names():
            found[name] = [dict(row._mapping) for row in connection.execute(sa.text(f'SELECT * FROM "{name}"'))]
    names = {run["run_uuid"]: f"{run['name']} {run['lifecycle_stage']}" for run in found["runs"]}
    names |= {data["dataset_uuid"]: data["name"] for data in found["datasets"]}
    names |= {
        edge["input_uuid"]: f"{names[edge['source_id']]} in {names[edge['destination_id']]}" for edge in found["inputs"]
    }

    def shown(column: str, value: Any) -> str:
        if column in _MOMENTS:
            return str(value is not None and value > 1_700_000_000_000)
        text = str(value)
        for one, name in names.items():
            text = text.replace(one, name)
        return text

    return {
        table: sorted(str({column: shown(column, value) for column, value in row.items()}) for row in made)
        for table, made in found.items()
    }


def files_below(folder: Path, uri: str) -> dict[str, bytes]:
    import sqlalchemy as sa

    with sa.create_engine(uri, poolclass=sa.NullPool).connect() as connection:
        names = dict(connection.execute(sa.text("SELECT run_uuid, name FROM runs")).all())
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            run_id, *rest = path.relative_to(folder).parts
            found["/".join([names[run_id], *rest])] = path.read_bytes()
    return found


def test_every_row_of_every_table_is_the_clients(empty: Path, tmp_path: Path) -> None:
    made, artifacts, said = entries(tmp_path / "made"), tmp_path / "artifacts", {}
    for way in ("client", "rows"):
        uri = f"sqlite:///{shutil.copy(empty, tmp_path / f'{way}.db')}"
        writer = ClientWriter(uri) if way == "client" else RowWriter.open(uri)
        assert writer is not None, "the installed MLflow is one that is known"
        write(writer, artifacts, made)
        said[way] = (content(uri), files_below(artifacts, uri))
        shutil.rmtree(artifacts)
    (by_client, client_files), (by_rows, row_files) = said["client"], said["rows"]
    assert by_rows.keys() == by_client.keys()
    for table in by_client:
        assert by_rows[table] == by_client[table], table
    assert len(by_client["metrics"]) > 2 * 1199
    assert by_client["datasets"]
    assert row_files == client_files
    assert set(row_files) == {"results/artifacts/tables/a.html", "results/artifacts/verdicts.parquet"}


def test_a_cut_off_run_of_the_client_is_replaced_and_a_double_one_deleted(empty: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{shutil.copy(empty, tmp_path / 'mlflow.db')}"
    writer = RowWriter.open(uri)
    assert writer is not None
    made = entries(tmp_path / "made")[:2]
    experiment = writer.experiment("toy-paper", {}, tmp_path / "artifacts")
    client = MlflowClient(tracking_uri=uri)
    cut_off = client.create_run(experiment, tags=made[0].tags).info.run_id
    assert writer.known(experiment) == {"a": (cut_off, "")}
    writer.write(experiment, made)
    known = writer.known(experiment)
    assert {key: content for key, (_, content) in known.items()} == {"a": "1", "b": "2"}
    left = {run.info.run_id for run in client.search_runs([experiment])}
    assert left == {run_id for run_id, _ in known.values()}
    assert cut_off not in left


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE runs ADD COLUMN surprise INTEGER",
        "ALTER TABLE datasets RENAME COLUMN dataset_profile TO profile",
        "DROP TABLE input_tags",
    ],
)
def test_unknown_tables_are_left_to_the_client(empty: Path, tmp_path: Path, change: str) -> None:
    import sqlalchemy as sa

    uri = f"sqlite:///{shutil.copy(empty, tmp_path / 'mlflow.db')}"
    assert RowWriter.open(uri) is not None
    with sa.create_engine(uri).begin() as connection:
        connection.execute(sa.text(change))
    assert RowWriter.open(uri) is None


def test_no_database_yet_is_left_to_the_client(tmp_path: Path) -> None:
    assert RowWriter.open(f"sqlite:///{tmp_path / 'deep' / 'mlflow.db'}") is None
    assert not (tmp_path / "deep").exists()
    assert RowWriter.open("mysql://localhost/x") is None


def test_a_kill_leaves_whole_transactions(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between two transactions and before a commit: what is there is whole, and the next import adds the rest."""
    uri = f"sqlite:///{shutil.copy(empty, tmp_path / 'mlflow.db')}"
    code = f"""
import os, signal
from pathlib import Path
from claimbench.tracking import rows
from tests.unit.tracking.test_rows import entries
rows._RUNS_A_TRANSACTION = 2
writer = rows.RowWriter.open({uri!r})
whole = rows._run_rows
def cut(made, experiment, run_id, artifacts, one):
    whole(made, experiment, run_id, artifacts, one)
    if one.name == "results":
        os.kill(os.getpid(), signal.SIGKILL)
rows._run_rows = cut
folder = Path({str(tmp_path)!r})
writer.write(writer.experiment("toy-paper", {{}}, folder / "artifacts"), entries(folder / "made"))
"""
    killed = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False)
    assert killed.returncode == -9
    writer = RowWriter.open(uri)
    assert writer is not None
    experiment = writer.experiment("toy-paper", {}, None)
    assert set(writer.known(experiment)) == {"a", "b"}
    rest = [entry for entry in entries(tmp_path / "made") if entry.tags["run_key"] not in writer.known(experiment)]
    monkeypatch.setattr(rows, "_RUNS_A_TRANSACTION", 1)
    writer.write(experiment, rest)
    assert set(writer.known(experiment)) == {"a", "b", "c", "results/smoke"}


def test_the_import_of_mlflow_is_not_needed(empty: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{shutil.copy(empty, tmp_path / 'mlflow.db')}"
    code = f"""
import sys
from pathlib import Path
from claimbench.tracking import importing
from tests.unit.tracking.test_rows import entries
writer = importing._writer({uri!r})
experiment = writer.experiment("toy-paper", {{}}, Path({str(tmp_path / "artifacts")!r}))
writer.write(experiment, entries(Path({str(tmp_path / "made")!r})))
assert len(writer.known(experiment)) == 4
assert "mlflow" not in sys.modules, "3 CPU-seconds a paper"
"""
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=True)
