"""Bringing raw files: the sources in order, every byte checked, two processes never in each other's way."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from claimbench.data import archive, guard
from claimbench.data.entries import Entry, File, Source, Wheel
from claimbench.errors import DataUnavailable, UserError
from claimbench.files import locked as files_locked
from claimbench.files import read_json, write_json

log = logging.getLogger("claimbench.data")

TIMEOUT_S = 5.0
"""For a connection and for each read: an offline machine fails fast, a slow one that still sends does not."""
PIP_TIMEOUT_S = 600.0
MAX_UNKNOWN_BYTES = 1 << 30
_CHUNK = 1 << 18
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


class SourceFailed(Exception):
    """One source could not deliver; the message says why."""


def raw_folder(entry: Entry, root: Path) -> Path:
    return root / (entry.shares or entry.name) / "raw"


def fetch(entry: Entry, root: Path, mirror: Path | None) -> dict[str, Any]:
    """Bring every raw file of a dataset into ``root/<name>/raw/``; files that are there and right are kept.

    Args:
        entry: of the registry.
        root: the data folder.
        mirror: a folder that already holds datasets, or None.

    Returns:
        ``{"source": labels of the sources used last, "sha256": {file: hex}}``, also kept as
        ``raw/provenance.json``.

    Raises:
        DataUnavailable: no source delivered; names each with its reason.
        LeakageError: during a fit.
    """
    guard.refuse("fetch")
    raw = raw_folder(entry, root)
    with locked(raw.parent / ".lock") as alone:
        raw.mkdir(parents=True, exist_ok=True)
        for left in raw.glob(".new-*") if alone else ():  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        known = read_json(raw / "provenance.json") or {"source": "", "sha256": {}}
        missing = [file for file in entry.files if not _kept(raw / file.name, file, known["sha256"])]
        tried: list[str] = []
        used: list[str] = []
        for position, source in enumerate(entry.sources):
            wanted = [file for file in missing if file.name in source.paths]
            if not wanted:
                continue
            try:
                _deliver(source, wanted, raw, root, mirror, known["sha256"], entry.home)
            except (SourceFailed, OSError) as error:
                if isinstance(error, OSError) and error.errno in _NO_ROOM:
                    raise UserError(f"{raw}: cannot be written ({error.strerror})") from error
                tried.append(f"{source.label}: {error}")
                following = entry.sources[position + 1].label if position + 1 < len(entry.sources) else "nothing else"
                log.warning("%s: %s failed (%s); next: %s", entry.name, source.label, error, following)
            else:
                used.append(source.label)
            missing = [file for file in missing if not (raw / file.name).is_file()]
        if missing:
            raise DataUnavailable(entry.name, tried)
        sums = {file.name: file_sha256(raw / file.name) for file in entry.files}
        found = {"source": ", ".join(used) or known["source"], "sha256": sums}
        if found != read_json(raw / "provenance.json"):
            write_json(raw / "provenance.json", found)
        return found


def locked(path: Path) -> AbstractContextManager[bool]:
    """Hold an exclusive lock on a file of the data folder; waits for another process."""
    return files_locked(path, advice="; set data_dir in config.yaml")


# ---- checksums -------------------------------------------------------------------------------------------------------


def file_sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def mismatch(path: Path, file: File, recorded: dict[str, str] | None = None) -> str:
    """Empty when ``path`` is the registered file, else what is wrong.

    Args:
        path: the file to check.
        file: what it should be.
        recorded: sha256 by name from the first download, for files without a published checksum.
    """
    size = path.stat().st_size
    if file.size_bytes and size != file.size_bytes:
        return f"{file.name} has {size} bytes, expected {file.size_bytes}"
    if file.git_blob:
        digest = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
        with open(path, "rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        if digest.hexdigest() != file.git_blob:
            return f"{file.name} has git blob id {digest.hexdigest()}, expected {file.git_blob}"
        return ""
    expected = file.sha256 or (recorded or {}).get(file.name, "")
    if expected and (found := file_sha256(path)) != expected:
        return f"{file.name} has sha256 {found}, expected {expected}"
    return ""


def _kept(path: Path, file: File, recorded: dict[str, str]) -> bool:
    if not path.is_file():
        return False
    if wrong := mismatch(path, file, recorded):
        log.warning("%s: %s; removed and fetched again", path, wrong)
        path.unlink()
        return False
    return True


# ---- sources ---------------------------------------------------------------------------------------------------------


def _deliver(
    source: Source,
    files: list[File],
    raw: Path,
    root: Path,
    mirror: Path | None,
    recorded: dict[str, str],
    home: Path | None,
) -> None:
    """Bring ``files`` from one source, or raise SourceFailed; what arrived and is right stays."""
    with tempfile.TemporaryDirectory(prefix=".new-", dir=raw) as scratch_name:
        scratch = Path(scratch_name)
        origin = _folder_of(source, files, scratch, root, mirror, home) if source.kind != "url" else None
        for file in files:
            path = source.paths[file.name]
            if origin is not None:
                steps = [origin / part for part in ([path] if isinstance(path, str) else path)]
                if absent := next((step for step in steps if not step.is_file()), None):
                    raise SourceFailed(f"{absent} does not exist")
                got = _unpacked(steps, file, scratch)
                wrong = mismatch(got, file, recorded)
            else:
                got, wrong = _download(source, file, raw, scratch, recorded)
            if wrong:
                raise SourceFailed(f"checksum: {wrong}")  # the scratch folder goes, and the wrong file with it
            os.replace(got, raw / file.name)


def _folder_of(
    source: Source, files: list[File], scratch: Path, root: Path, mirror: Path | None, home: Path | None
) -> Path:
    """The local folder that the paths of a source are relative to."""
    if source.kind == "paper":
        if home is None:
            raise SourceFailed("no paper brings this dataset")
        return home / source.where
    if source.kind == "mirror":
        if mirror is None:
            raise SourceFailed("no mirror is set (mirror in config.yaml, or CLAIMBENCH_MIRROR)")
        if not mirror.is_dir():
            raise SourceFailed(f"the mirror {mirror} is not a folder")
        return mirror / source.where
    if source.kind == "bundled":
        spec = importlib.util.find_spec(source.where)
        if spec is None or not spec.submodule_search_locations:
            raise SourceFailed(f"the package {source.where} is not installed")
        return Path(spec.submodule_search_locations[0])
    assert source.wheel is not None
    wheel = _wheel(source.where, source.wheel, root)
    paths = [path for file in files for path in [source.paths[file.name]] if isinstance(path, str)]
    try:
        archive.extract(wheel, scratch, paths)
    except UserError as error:
        raise SourceFailed(str(error)) from error
    return scratch


def _unpacked(steps: list[Path], file: File, scratch: Path) -> Path:
    """One file out of what a source has: as it is, gunzipped, or image strips stacked to an IDX file."""
    if len(steps) > 1:
        got = scratch / f"{file.name}.idx"
        _stack_strips(steps, got)
        return got
    (step,) = steps
    got = scratch / f"{file.name}.checked"
    if step.suffix == ".gz" and not file.name.endswith(".gz"):
        try:
            archive.gunzip(step, got, file.size_bytes or MAX_UNKNOWN_BYTES)
        except UserError as error:
            raise SourceFailed(str(error)) from error
    elif step.is_relative_to(scratch):
        return step
    else:
        shutil.copyfile(step, got)
    return got


def _stack_strips(strips: list[Path], target: Path) -> None:
    """Lossless strips, one 28 x 28 image a pixel row, in training order, as one IDX file of images."""
    import numpy as np
    from PIL import Image

    try:
        rows = []
        for strip in strips:
            with Image.open(strip) as image:
                pixels = np.asarray(image)
            rows.append(pixels if pixels.ndim == 2 else pixels[..., 0])
        images = np.concatenate(rows)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise SourceFailed(f"an image strip cannot be read ({error})") from error
    header = b"\0\0\x08\x03" + np.array([len(images), 28, 28], ">u4").tobytes()
    target.write_bytes(header + np.ascontiguousarray(images, np.uint8).tobytes())


# ---- package index ---------------------------------------------------------------------------------------------------


def _wheel(requirement: str, wheel: Wheel, root: Path) -> Path:
    """A wheel of the package index, checked and kept for the other datasets that it holds; it is never installed."""
    folder = root / ".wheels"
    kept = folder / f"{requirement.replace('==', '-')}-{wheel.sha256[:12]}.whl"
    with locked(folder / ".lock"):
        if kept.is_file() and file_sha256(kept) == wheel.sha256:
            return kept
        if importlib.util.find_spec("pip") is None:
            raise SourceFailed(f"{sys.executable} has no pip module (try: {sys.executable} -m ensurepip)")
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as scratch:
            command = [
                sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--only-binary",
                ":all:", "--no-input", "--disable-pip-version-check", "--retries", "1", "--timeout",
                str(int(TIMEOUT_S)), "--dest", scratch, *wheel.tags, requirement,
            ]  # fmt: skip
            try:
                done = subprocess.run(
                    command, capture_output=True, encoding="utf-8", errors="replace", timeout=PIP_TIMEOUT_S, check=False
                )
            except subprocess.TimeoutExpired as error:
                raise SourceFailed(f"pip download took longer than {PIP_TIMEOUT_S:g} s") from error
            got = next(Path(scratch).glob("*.whl"), None)
            if done.returncode or got is None:
                lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or done.stderr.splitlines()[-1:]
                raise SourceFailed(f"pip download failed ({lines[-1].strip() if lines else f'exit {done.returncode}'})")
            if (found := file_sha256(got)) != wheel.sha256:
                raise SourceFailed(f"checksum: the wheel has sha256 {found}, expected {wheel.sha256}")
            os.replace(got, kept)
    return kept


# ---- addresses -------------------------------------------------------------------------------------------------------


def _download(source: Source, file: File, raw: Path, scratch: Path, recorded: dict[str, str]) -> tuple[Path, str]:
    """Download one file (going on with a partial one) and unpack it; returns it and what is wrong with it."""
    path = source.paths[file.name]
    assert isinstance(path, str)
    url = source.where + path
    part = raw / f".{Path(path).name}.part"
    packed = path.endswith(".gz") and not file.name.endswith(".gz")
    limit = MAX_UNKNOWN_BYTES if packed or not file.size_bytes else file.size_bytes
    resumed = part.is_file()
    while True:
        download(url, part, limit)
        renamed = scratch / Path(path).name
        os.replace(part, renamed)
        try:
            got = _unpacked([renamed], file, scratch)
            wrong = mismatch(got, file, recorded)
        except SourceFailed as error:
            got, wrong = renamed, str(error)
        if not wrong or not resumed:
            return got, wrong
        renamed.unlink(missing_ok=True)  # the old half may have been of another version: once more from the start
        resumed = False


def download(url: str, part: Path, max_bytes: int, attempts: int = 5) -> None:
    """Download ``url`` to ``part``, going on where a partial file ends.

    Raises:
        SourceFailed: no connection, an HTTP error, more than ``max_bytes``, or an answer that keeps breaking off. What
            has arrived stays for the next time, except when it is too large.
    """
    name = url.rsplit("/", 1)[-1]
    for _ in range(attempts):
        before = part.stat().st_size if part.is_file() else 0
        try:
            if _download_once(url, part, before, max_bytes):
                return
            why = "the connection closed early"
        except urllib.error.HTTPError as error:
            if error.code == 416 and before:
                part.unlink()  # nothing beyond what we have: complete, or of another version; fetch it whole
                continue
            raise SourceFailed(f"{name}: HTTP {error.code} {error.reason}") from error
        except (OSError, urllib.error.URLError, ValueError) as error:
            if getattr(error, "errno", None) in _NO_ROOM:
                raise
            why = str(getattr(error, "reason", None) or error)
            if not part.is_file() or part.stat().st_size <= before:
                raise SourceFailed(f"{name}: {why}") from error
        if part.stat().st_size <= before:
            raise SourceFailed(f"{name}: {why}")
        time.sleep(0.05)
    raise SourceFailed(f"{name}: {why} {attempts} times")


def _download_once(url: str, part: Path, start: int, max_bytes: int) -> bool:
    """One request; whether the whole answer arrived."""
    import http.client

    request = urllib.request.Request(url, headers={"User-Agent": "claimbench", "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    if request.type not in ("http", "https"):
        raise ValueError(f"{request.type} addresses are not fetched")
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        resumes = answer.status == 206 and str(answer.headers.get("Content-Range", "")).startswith(f"bytes {start}-")
        size = start if resumes else 0
        expected = answer.headers.get("Content-Length")
        expected = None if expected is None else size + int(expected)
        with open(part, "ab" if resumes else "wb") as sink:
            while True:
                try:
                    chunk = answer.read(_CHUNK)
                except http.client.IncompleteRead as error:
                    sink.write(error.partial)
                    return False
                if not chunk:
                    break
                size += len(chunk)
                if size > max_bytes:
                    sink.close()
                    part.unlink()
                    raise SourceFailed(f"the server sends more than the {max_bytes} bytes expected")
                sink.write(chunk)
    return expected is None or size >= expected


def forget_unchecked(entry: Entry, root: Path) -> None:
    """Remove the raw files that have no published checksum: what arrived turned out not to be the dataset."""
    raw = raw_folder(entry, root)
    for file in entry.files:
        if file.checksum == "unknown":
            (raw / file.name).unlink(missing_ok=True)
            (raw / "provenance.json").unlink(missing_ok=True)


def provenance(entry: Entry, root: Path) -> dict[str, Any]:
    """What :func:`fetch` returned last time; empty when it never ran."""
    try:
        return dict(json.loads((raw_folder(entry, root) / "provenance.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
