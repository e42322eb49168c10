"""The folders of papers: where they lie, which are selected, how they are read and imported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from claimbench.errors import UserError, nearest
from claimbench.spec.config import Config
from claimbench.spec.paper import PaperSpec
from claimbench.spec.reading import parse, read_yaml

PAPERS_DIR = Path(__file__).parents[1] / "papers"


def papers_dirs(config: Config) -> list[Path]:
    """The folders that are searched for papers: the package's, then ``papers_dir`` of the configuration."""
    return [PAPERS_DIR] + ([Path(config.papers_dir)] if config.papers_dir else [])


def make_importable(config: Config) -> None:
    """Let papers of ``papers_dir`` be imported as ``claimbench.papers.<folder>``, like the package's own."""
    import claimbench.papers

    if config.papers_dir and config.papers_dir not in claimbench.papers.__path__:
        claimbench.papers.__path__.append(config.papers_dir)


def find_papers(config: Config) -> dict[str, Path]:
    """Slug -> folder of every paper found, in alphabetical order."""
    found: dict[str, Path] = {}
    for folder in papers_dirs(config):
        if not folder.is_dir():
            raise UserError(f"papers_dir is {str(folder)!r}; it must be an existing folder of paper folders")
        for path in folder.iterdir():
            if (path / "paper.yaml").is_file():
                found[path.name.replace("_", "-")] = path
    return dict(sorted(found.items()))


def load_paper(folder: Path) -> PaperSpec:
    """The paper in ``folder``."""
    path = folder / "paper.yaml"
    spec = parse(PaperSpec, read_yaml(path), path)
    expected = folder.name.replace("_", "-")
    if spec.slug != expected:
        raise UserError(f"{path}: slug is {spec.slug!r}; it must be the folder's name, {expected!r}")
    return spec


def selected_papers(config: Config) -> Iterator[tuple[PaperSpec, Path]]:
    """The papers that the configuration asks for.

    Raises:
        UserError: a name in ``papers``, ``experiments`` or ``overrides`` that does not exist.
    """
    found = find_papers(config)
    wanted = list(found) if config.papers == "all" else list(dict.fromkeys(config.papers))
    for key, names in (("papers", wanted), ("experiments", config.experiments), ("overrides", config.overrides)):
        for name in names:
            if name not in found:
                raise UserError(f"config.yaml: {key} names {name!r}, which is no paper ({nearest(name, found)})")
    for slug in wanted:
        yield load_paper(found[slug]), found[slug]


def identifier(name: str) -> str:
    """``Top-To-Input`` -> ``top_to_input``: how experiments and methods appear in function names."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
