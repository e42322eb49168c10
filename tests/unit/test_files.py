"""Locks of a file system that has none, and files that every locale reads alike."""

from __future__ import annotations

import ast
import errno
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from claimbench import files
from claimbench.execute import gpus

SOURCES = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def flock(*_: Any) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    files._say.cache_clear()
    yield
    files._say.cache_clear()


@pytest.mark.usefixtures("no_locks")
def test_no_lock_is_said_once_and_done_without(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        with files.locked(tmp_path / ".lock") as held:
            assert not held
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"{tmp_path}: this file system has no locks (Function not implemented); going on without, one process at a "
        "time is safe"
    ]


def test_a_lock_is_held(tmp_path: Path) -> None:
    with files.locked(tmp_path / "deep" / ".lock") as held:
        assert held


@pytest.mark.usefixtures("no_locks")
def test_gpus_are_given_out_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with gpus.reserved(1, tmp_path, ["0", "1"]) as mine:
        assert mine == ["0"]


def test_every_text_is_read_and_written_with_an_encoding() -> None:
    """What ruff's PLW1514 cannot see: a path that another function made."""
    bare = []
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            text = name in ("read_text", "write_text") or "text" in given or "universal_newlines" in given
            if name == "open" and isinstance(node.func, ast.Name):
                mode = given.get("mode", node.args[1] if len(node.args) > 1 else ast.Constant("r"))
                text = not any("b" in str(getattr(part, "value", "")) for part in ast.walk(mode))
            if text and "encoding" not in given:
                bare.append(f"{path.relative_to(SOURCES)}:{node.lineno}")
    assert bare == []
