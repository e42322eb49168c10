"""Archives that try to get out of their folder, and those that are too large."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from claimbench.data import archive
from claimbench.errors import UserError


def make_zip(path: Path, members: dict[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            zipped.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path


def make_tar(path: Path, members: list[tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/tmp/claimbench-out", "a\\..\\..\\out", "C:out"])
def test_no_member_leaves_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in" / "folder"
    for packed in (make_zip(tmp_path / "a.zip", {name: b"x"}), make_tar(tmp_path / "a.tgz", [member(name, size=1)])):
        with pytest.raises(UserError, match="would leave the folder"):
            archive.extract(packed, folder)
    assert not list(tmp_path.rglob("out"))
    assert not Path("/tmp/claimbench-out").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_no_links_and_no_devices(tmp_path: Path, kind: bytes) -> None:
    packed = make_tar(tmp_path / "a.tar", [member("link", kind, "/etc"), member("link/passwd", size=3)])
    with pytest.raises(UserError, match="link or device"):
        archive.extract(packed, tmp_path / "folder")
    zipped = make_zip(tmp_path / "a.zip", {"link": b"/etc"}, mode=0o120777)
    with pytest.raises(UserError, match="link or device"):
        archive.extract(zipped, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_only_wanted_members_are_written(tmp_path: Path) -> None:
    packed = make_zip(tmp_path / "a.zip", {"d/keep": b"1", "../evil": b"2", "other": b"3"})
    written = archive.extract(packed, tmp_path / "folder", ["d/keep"])
    assert [path.read_bytes() for path in written] == [b"1"]
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["a.zip", "keep"]
    with pytest.raises(UserError, match="has no member missing"):
        archive.extract(packed, tmp_path / "folder", ["missing"])


def test_limits(tmp_path: Path) -> None:
    bomb = make_zip(tmp_path / "bomb.zip", {"zeros": bytes(10_000_000)})
    assert bomb.stat().st_size < 20_000
    with pytest.raises(UserError, match="more bytes than allowed"):
        archive.extract(bomb, tmp_path / "folder", max_bytes=9_999_999)
    many = make_tar(tmp_path / "many.tar", [member(str(i)) for i in range(5)])
    assert len(archive.extract(many, tmp_path / "five", max_files=5)) == 5
    with pytest.raises(UserError, match="more than 4 files"):
        archive.extract(many, tmp_path / "four", max_files=4)
    twice = make_tar(tmp_path / "twice.tar", [member("a"), member("a")])
    with pytest.raises(UserError, match="occurs twice"):
        archive.extract(twice, tmp_path / "twice")


def test_gunzip(tmp_path: Path) -> None:
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(b"abc" * 1000))
    archive.gunzip(packed, tmp_path / "a", 3000)
    assert (tmp_path / "a").read_bytes() == b"abc" * 1000
    with pytest.raises(UserError, match="more bytes than allowed"):
        archive.gunzip(packed, tmp_path / "a", 2999)
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(UserError, match="not a readable gzip"):
        archive.gunzip(packed, tmp_path / "a")


def test_no_archive_at_all(tmp_path: Path) -> None:
    (tmp_path / "page.zip").write_bytes(b"<html>not found</html>")
    with pytest.raises(UserError, match="neither a zip nor a tar"):
        archive.extract(tmp_path / "page.zip", tmp_path / "folder")
