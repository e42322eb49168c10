"""The documents: relative links, anchors, commands and make targets exist."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from claimbench.records.processes import BUDGET_CPU_S

ROOT = Path(__file__).resolve().parents[2]


def load_links():
    spec = importlib.util.spec_from_file_location("links", ROOT / "tools" / "links.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


links = load_links()


@pytest.mark.parametrize("path", links.documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_document_has_no_dead_reference(path: Path) -> None:
    assert list(links.faults(path)) == []


def test_faults_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Real heading\n[ok](page.md#real-heading) [web](https://example.org)\n[gone](gone.md) [anchor](#no-such)\n"
        "`make nonsense`, `claimbench nonsense`, `make test`, `claimbench --tier smoke plan`\n"
    )
    assert list(links.faults(page)) == [
        "link to gone.md, which does not exist",
        "link to #no-such: page.md has no such heading",
        "names `make nonsense`, which does not exist",
        "names `claimbench nonsense`, which does not exist",
    ]


def test_the_reference_is_what_the_models_say() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "reference.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_budget_in_the_documents_is_the_one_that_is_kept() -> None:
    budget = f"{BUDGET_CPU_S:.0f} CPU-seconds"
    assert f"| {budget} a paper |" in (ROOT / "docs" / "tiers.md").read_text(encoding="utf-8")
    assert budget in " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
