"""Folders of the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from claimbench.errors import UserError
from claimbench.spec.config import load_config

FOLDERS = ("mirror", "data_dir", "results_dir", "papers_dir")


@pytest.mark.parametrize("key", FOLDERS)
def test_the_home_folder_is_expanded(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert getattr(load_config(None, {key: "~/x y"}), key) == "/somewhere/x y"
    assert getattr(load_config(None, {key: "./~"}), key) == "./~"
    with pytest.raises(UserError, match=rf"{key} is '~nobody-is-called-so/x'; this home folder is not known"):
        load_config(None, {key: "~nobody-is-called-so/x"})


def test_the_mirror_of_the_environment_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    monkeypatch.setenv("CLAIMBENCH_MIRROR", "~/data")
    assert load_config(None).mirror == "/somewhere/data"


@pytest.mark.parametrize("name", ["a{b", "a}b", "{paper}", "a\nb"])
def test_patterns_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"results_dir is .*without \{ and \}"):
        load_config(None, {"results_dir": name})


def test_every_placeholder_of_a_shell_command_is_quoted() -> None:
    import re

    rules = Path(__file__).resolve().parents[3] / "workflow" / "rules"
    commands = [
        line for path in rules.glob("*.smk") for line in path.read_text().splitlines() if '"claimbench ' in line
    ]
    assert len(commands) >= 6
    for line in commands:
        assert all(found.endswith(":q") for found in re.findall(r"\{(.*?)\}", line)), line
