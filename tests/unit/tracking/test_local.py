"""The local store is a view: whatever happens to it, the next import has it right again."""

from __future__ import annotations

import importlib.metadata
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from claimbench.records import untracked
from claimbench.tracking import importing, local
from tests.conftest import PaperFolder
from tests.unit.tracking.test_importing import finish

pytestmark = pytest.mark.filterwarnings("ignore")
ONE = {"experiments": {"toy-paper": ["location"]}}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperFolder]:
    """A finished paper whose runs are in the local store."""
    import claimbench.papers

    places = list(claimbench.papers.__path__)
    paper = PaperFolder(tmp_path_factory.mktemp("imported"))
    assert "8 runs imported" in importing.track(finish(paper, **ONE))
    yield paper
    claimbench.papers.__path__ = places
    for name in [name for name in sys.modules if name.startswith("claimbench.papers.toy_paper")]:
        del sys.modules[name]


@pytest.fixture
def results(imported: PaperFolder, tmp_path: Path) -> Path:
    """A copy of its results folder."""
    return Path(shutil.copytree(imported.root / "results", tmp_path / "a copy" / "results"))


def plan_of(paper: PaperFolder, results: Path, **changes: Any) -> Any:
    return paper.plan(results_dir=str(results), **ONE, **changes)


def client_of(results: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=local.uri_of(results))


def stored(results: Path) -> dict[str, Any]:
    client = client_of(results)
    (experiment,) = [one for one in client.search_experiments() if one.name == "toy-paper"]
    runs = client.search_runs([experiment.experiment_id])
    found = {run.data.tags["run_key"]: run for run in runs}
    assert len(found) == len(runs) == 9
    for run in runs:
        assert run.info.artifact_uri.startswith((results / "mlartifacts" / "toy-paper").as_uri())
    logged = {file.path for file in client.list_artifacts(found["results/smoke"].info.run_id)}
    assert logged == {"tables", "verdicts.parquet"}
    return found


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_copied_folder_has_its_own_artifacts_and_leaves_the_original_alone(
    imported: PaperFolder, results: Path
) -> None:
    before = snapshot(imported.root / "results")
    plan = plan_of(imported, results)
    assert "0 runs imported, 0 replaced, 8 there already" in importing.track(plan)
    stored(results)
    (plan.tier_dir / "papers" / "toy-paper" / "tables" / "location.html").write_text("changed", encoding="utf-8")
    importing.track(plan)
    found = stored(results)
    artifacts = results / "mlartifacts" / "toy-paper" / found["results/smoke"].info.run_id / "artifacts"
    assert (artifacts / "tables" / "location.html").read_text(encoding="utf-8") == "changed"
    assert snapshot(imported.root / "results") == before


def test_a_database_without_its_artifacts_gets_them_again(imported: PaperFolder, results: Path) -> None:
    shutil.rmtree(results / "mlartifacts")
    importing.track(plan_of(imported, results))
    stored(results)


def test_a_moved_or_lost_store_is_imported_again(imported: PaperFolder, results: Path) -> None:
    plan = plan_of(imported, results)
    importing.step(plan)
    assert untracked.in_order(plan, "toy-paper")
    elsewhere = results.with_name("moved")
    results.rename(elsewhere)
    plan = plan_of(imported, elsewhere)
    assert not untracked.in_order(plan, "toy-paper")
    importing.step(plan)
    stored(elsewhere)
    (elsewhere / "mlflow.db").unlink()
    assert not untracked.in_order(plan, "toy-paper")
    assert "8 runs imported" in importing.step(plan)
    stored(elsewhere)


def test_an_experiment_that_was_deleted_in_the_ui_is_back(imported: PaperFolder, results: Path) -> None:
    client = client_of(results)
    client.delete_experiment(client.get_experiment_by_name("toy-paper").experiment_id)
    assert "8 runs imported" in importing.track(plan_of(imported, results))
    stored(results)


def old_database(path: Path, revision: str = "0584bdc529eb") -> None:
    """As an older MLflow left it (before it knew steps of inputs), with an experiment and a run of the user's own."""
    import sqlalchemy as sa
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base

    engine = sa.create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    config = _get_alembic_config(str(engine.url))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO experiments VALUES (7, 'mine', 'file:///mine', 'active', 1000000000000, 1000000000000)"
            )
        )
    engine.dispose()


def test_a_database_of_an_older_mlflow_is_migrated_and_its_copy_kept(imported: PaperFolder, results: Path) -> None:
    path = results / "mlflow.db"
    path.unlink()
    old_database(path)
    before = path.read_bytes()
    said = importing.track(plan_of(imported, results))
    assert "mlflow.db was of an older MLflow and is migrated; it was as mlflow.before-upgrade.db before" in said
    assert "8 runs imported" in said
    assert path.with_name("mlflow.before-upgrade.db").read_bytes() == before
    assert client_of(results).get_experiment_by_name("mine") is not None
    stored(results)
    assert "migrated" not in importing.track(plan_of(imported, results))


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        database.execute("ALTER TABLE runs ADD COLUMN surprise INTEGER")


def garbage(path: Path) -> None:
    path.write_bytes(b"what is this" * 1000)


def torn(path: Path) -> None:
    """Whole at its head, so that it opens."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 8] + b"\xff" * (len(content) * 7 // 8))


@pytest.mark.parametrize("harm", [newer, garbage, torn])
def test_a_database_that_cannot_be_used_is_set_aside_in_one_sentence(
    imported: PaperFolder, results: Path, harm: Any
) -> None:
    path = results / "mlflow.db"
    harm(path)
    before = path.read_bytes()
    first, last = importing.track(plan_of(imported, results)).splitlines()
    assert first.startswith(f"{path} cannot be used (")
    assert first.endswith("; it is kept as mlflow.set-aside.db and made anew from the records")
    assert "8 runs imported" in last
    assert path.with_name("mlflow.set-aside.db").read_bytes() == before
    stored(results)
    assert [name.name for name in results.glob("*mlflow*.db*")]
    assert not list(results.glob(".mlflow*"))


def test_a_store_that_was_made_anew_lacks_the_other_papers_and_the_next_run_knows(
    imported: PaperFolder, results: Path
) -> None:
    plan = plan_of(imported, results)
    importing.step(plan)
    garbage(results / "mlflow.db")
    assert not untracked.in_order(plan, "toy-paper")


@pytest.mark.parametrize("kept", ["", "garbage", "used"])
def test_an_empty_store_is_kept_for_the_next_folder(
    imported: PaperFolder, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    """The second folder's tables come without MLflow; what is no empty store of known tables is made anew."""
    monkeypatch.setattr(local, "_KEPT", tmp_path / "env")
    if kept:
        (tmp_path / "env").mkdir()
        version = importlib.metadata.version("mlflow")
        content = b"garbage" if kept == "garbage" else (results / local.FILE).read_bytes()
        (tmp_path / "env" / f"mlflow-{version}.db").write_bytes(content)
    local.ready(tmp_path / "one")
    (results / local.FILE).unlink()
    monkeypatch.setattr(local, "ClientWriter", None)
    importing.track(plan_of(imported, results))
    stored(results)
    for folder in (tmp_path / "one", results):
        default = client_of(folder).get_experiment("0")
        assert default.artifact_location == (folder / local.ARTIFACTS / "Default").as_uri()


def test_a_store_is_made_in_an_environment_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "env").write_text("a file where the folder would be", encoding="utf-8")
    monkeypatch.setattr(local, "_KEPT", tmp_path / "env")
    local.ready(tmp_path / "one")
    assert client_of(tmp_path / "one").get_experiment("0")
