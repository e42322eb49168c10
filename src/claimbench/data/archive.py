"""Reading archives that may be hostile: nothing is written outside the folder, no links, no devices, no bombs."""

from __future__ import annotations

import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from claimbench.errors import UserError

MAX_BYTES = 1 << 30
MAX_FILES = 10_000
_CHUNK = 1 << 20


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def extract(
    archive: Path,
    folder: Path,
    members: Iterable[str] | None = None,
    max_bytes: int = MAX_BYTES,
    max_files: int = MAX_FILES,
) -> list[Path]:
    """Unpack regular files of a zip (also ``.whl``) or tar archive into ``folder``.

    Args:
        archive: told apart by content, not by name.
        folder: made when it is not there.
        members: the names wanted; None takes all files. Only wanted members are looked at.
        max_bytes: most unpacked bytes, counted while writing (headers are not believed).
        max_files: most files.

    Returns:
        The files written, in the order of the archive.

    Raises:
        UserError: not an archive, a wanted member is missing, an unsafe name, a link or device, or a limit is passed.
    """
    wanted = None if members is None else set(members)
    written: list[Path] = []
    left = max_bytes
    try:
        for name, problem, opened in _members(archive):
            if wanted is not None and name not in wanted:
                continue
            if problem:
                raise UserError(f"{archive}: member {name!r} is {problem}; only regular files are unpacked")
            target = folder / _safe(archive, name)
            if target in written:
                raise UserError(f"{archive}: member {name!r} occurs twice")
            if len(written) == max_files:
                raise UserError(f"{archive}: more than {max_files} files")
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened() as source, open(target, "wb") as sink:
                left = _copy(archive, source, sink, left)
            written.append(target)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{archive}: not a readable archive ({error})") from error
    if wanted is not None and len(written) < len(wanted):
        missing = sorted(wanted - {path.relative_to(folder).as_posix() for path in written})
        raise UserError(f"{archive}: has no member {', '.join(missing)}")
    return written


def _members(archive: Path) -> Iterator[tuple[str, str, Callable[[], IO[bytes]]]]:
    """(name, what is wrong with it or "", opener) of every member that is not a folder."""
    link = "a link or device"
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                regular = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG)
                if not info.is_dir():
                    yield info.filename, "" if regular else link, partial(zipped.open, info)
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            for member in tar:
                if not member.isdir():
                    yield member.name, "" if member.isreg() else link, partial(_open_tar, tar, member)
    else:
        raise UserError(f"{archive}: neither a zip nor a tar archive")


def _open_tar(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    opened = tar.extractfile(member)
    assert opened is not None, "regular files have content"
    return opened


def _safe(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise UserError(f"{archive}: member {name!r} would leave the folder")
    return path


def _copy(archive: Path, source: _Readable, sink: IO[bytes], left: int) -> int:
    while chunk := source.read(min(_CHUNK, left + 1)):
        left -= len(chunk)
        if left < 0:
            raise UserError(f"{archive}: unpacks to more bytes than allowed")
        sink.write(chunk)
    return left


def gunzip(packed: Path, target: Path, max_bytes: int = MAX_BYTES) -> None:
    """Unpack one gzip file; raises UserError when it is damaged or larger than ``max_bytes``."""
    import gzip
    import zlib

    try:
        with gzip.open(packed) as source, open(target, "wb") as sink:
            _copy(packed, source, sink, max_bytes)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{packed}: not a readable gzip file ({error})") from error
