"""``claimbench data``: rows and exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from claimbench.data import commands, registry
from claimbench.errors import UserError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CLAIMBENCH_MIRROR", raising=False)
    return tmp_path / "data"


def run(action: str, names: list[str], root: Path) -> int:
    return commands.run(action, names, registry.DATASETS, root, None)


def test_list_names_every_dataset(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", [], root) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(registry.DATASETS)
    assert all(name in " ".join(line.split()[0] for line in lines) for name in registry.DATASETS)


def test_the_state_of_a_dataset(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = tmp_path / "mirror"
    assert commands.status(registry.get("sbm-120"), root, None)["state"] == "generated"
    assert commands.status(registry.get("cora-ml"), root, None)["state"] == "download"
    (mirror / "citation_full").mkdir(parents=True)
    (mirror / "citation_full" / "cora_ml.npz").write_bytes(b"")
    row = commands.status(registry.get("cora-ml"), root, mirror)
    assert (row["state"], row["source"]) == ("offline", "mirror citation_full")
    assert row["checksums"] == {"cora_ml.npz": registry.DATASETS["cora-ml"].files[0].checksum}
    assert commands.status(registry.get("digits"), root, None)["state"] == "offline"
    assert run("fetch", ["digits"], root) == 0
    row = commands.status(registry.get("digits"), root, None)
    assert (row["state"], row["source"]) == ("prepared", "bundled sklearn")


def test_fetch_and_verify(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", [], root) == 0
    assert run("verify", ["digits"], root) == 1, "asked for by name, and not there"
    assert run("fetch", ["digits", "sbm-120"], root) == 0
    assert run("verify", ["digits", "sbm-120"], root) == 0
    raw = root / "digits" / "raw" / "digits.csv"
    raw.write_bytes(raw.read_bytes()[:-1] + b"9")
    capsys.readouterr()
    assert run("verify", [], root) == 1
    assert "damaged" in capsys.readouterr().out


def test_a_dataset_that_no_source_has(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    entry = registry.DATASETS["cora-ml"]
    monkeypatch.setitem(registry.DATASETS, "cora-ml", dataclasses.replace(entry, sources=entry.sources[:1]))
    row = commands.fetch_one(registry.get("cora-ml"), root, None)
    assert row["state"] == "missing"
    assert "no mirror is set" in row["detail"]
    assert run("fetch", ["cora-ml"], root) == 1


def test_an_unknown_name(root: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'digits'"):
        run("fetch", ["digit"], root)
