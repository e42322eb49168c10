"""``claimbench data``: rows and exit codes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from claimbench.data import commands, registry
from claimbench.errors import UserError


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.delenv("CLAIMBENCH_MIRROR", raising=False)
    return SimpleNamespace(data_dir=str(tmp_path / "data"), mirror=None)


def test_list_names_every_dataset(config: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run("list", [], config) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(registry.DATASETS)
    assert all(name in " ".join(line.split()[0] for line in lines) for name in registry.DATASETS)


def test_the_state_of_a_dataset(config: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, mirror = Path(config.data_dir), tmp_path / "mirror"
    assert commands.status("sbm-120", root, None)["state"] == "generated"
    assert commands.status("cora-ml", root, None)["state"] == "download"
    (mirror / "citation_full").mkdir(parents=True)
    (mirror / "citation_full" / "cora_ml.npz").write_bytes(b"")
    row = commands.status("cora-ml", root, mirror)
    assert (row["state"], row["source"]) == ("offline", "mirror citation_full")
    assert row["checksums"] == {"cora_ml.npz": registry.DATASETS["cora-ml"].files[0].checksum}
    assert commands.status("digits", root, None)["state"] == "offline"
    assert commands.run("fetch", ["digits"], config) == 0
    row = commands.status("digits", root, None)
    assert (row["state"], row["source"]) == ("prepared", "bundled sklearn")


def test_fetch_and_verify(config: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run("verify", [], config) == 0
    assert commands.run("verify", ["digits"], config) == 1, "asked for by name, and not there"
    assert commands.run("fetch", ["digits", "sbm-120"], config) == 0
    assert commands.run("verify", ["digits", "sbm-120"], config) == 0
    raw = Path(config.data_dir) / "digits" / "raw" / "digits.csv"
    raw.write_bytes(raw.read_bytes()[:-1] + b"9")
    capsys.readouterr()
    assert commands.run("verify", [], config) == 1
    assert "damaged" in capsys.readouterr().out


def test_a_dataset_that_no_source_has(config: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    entry = registry.DATASETS["cora-ml"]
    monkeypatch.setitem(registry.DATASETS, "cora-ml", dataclasses.replace(entry, sources=entry.sources[:1]))
    row = commands.fetch_one("cora-ml", Path(config.data_dir), None)
    assert row["state"] == "missing"
    assert "no mirror is set" in row["detail"]
    assert commands.run("fetch", ["cora-ml"], config) == 1


def test_an_unknown_name(config: SimpleNamespace) -> None:
    with pytest.raises(UserError, match="did you mean 'digits'"):
        commands.run("fetch", ["digit"], config)
