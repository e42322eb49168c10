"""An installation takes what pip is told."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytest.importorskip("uv", reason="pip install uv")


@pytest.fixture
def index() -> Iterator[tuple[str, list[str]]]:
    """Address of a package index that has nothing, and what it was asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/simple", asked
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that sees pip and uv, but has no package of its own."""
    folder = tmp_path_factory.mktemp("install") / "an environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    site = subprocess.run(
        [folder / "bin" / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        encoding="utf-8",
    ).stdout.strip()
    (Path(site) / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


def told(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "NO_PROXY": "127.0.0.1", **variables}


def install(venv: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "tools" / "install.sh", venv, "dev"],
        cwd=ROOT,
        env=told(**variables),
        capture_output=True,
        encoding="utf-8",
    )


def test_no_index_asks_nobody(venv: Path, index: tuple[str, list[str]], tmp_path: Path) -> None:
    address, asked = index
    done = install(venv, PIP_NO_INDEX="1", PIP_INDEX_URL=address, PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode != 0, "there is nothing to install from"
    assert not list(venv.glob(".ready-*"))
    assert asked == []


def test_the_index_of_a_file_is_asked_and_no_other(venv: Path, index: tuple[str, list[str]], tmp_path: Path) -> None:
    address, asked = index
    (tmp_path / "pip.conf").write_text(f"[install]\nindex-url = {address}\nno-index = false\n", encoding="utf-8")
    done = install(venv, PIP_CONFIG_FILE=str(tmp_path / "pip.conf"))
    assert done.returncode != 0
    assert any("/simple/" in path for path in asked)
    assert "pypi.org" not in done.stderr


def test_what_uv_has_no_word_for_is_left_to_pip(venv: Path) -> None:
    command = [venv / "bin" / "python", ROOT / "tools" / "uv_install.py", "--dry-run", "uv"]
    done = subprocess.run(command, env=told(PIP_ONLY_BINARY=":all:"), capture_output=True, encoding="utf-8")
    assert done.returncode == 3
    assert "only-binary" in done.stderr


def test_constraints_of_the_user_hold_too(venv: Path, tmp_path: Path) -> None:
    (tmp_path / "constraints.txt").write_text("snakemake==1.2.3\n", encoding="utf-8")
    command = [venv / "bin" / "python", ROOT / "tools" / "uv_install.py", "--dry-run", "snakemake==9.9.9"]
    variables = {"PIP_CONSTRAINT": str(tmp_path / "constraints.txt"), "PIP_NO_INDEX": "1"}
    done = subprocess.run(command, env=told(**variables), capture_output=True, encoding="utf-8")
    assert done.returncode not in (0, 3)
    assert "snakemake==1.2.3" in done.stderr
