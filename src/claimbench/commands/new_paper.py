"""Write the folder of a new paper from the template: a small real comparison that runs as it is."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from claimbench.errors import UserError

TEMPLATE = Path(__file__).parent / "templates" / "paper"


def new_paper(slug: str, into: Path) -> Path:
    """Create ``into/<slug with underscores>``.

    Raises:
        UserError: the slug is not lower-case words joined by hyphens, or the folder exists.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug):
        raise UserError(f"new-paper {slug}: a slug is lower-case letters and digits, words joined by single hyphens")
    folder = into / slug.replace("-", "_")
    if folder.exists():
        raise UserError(f"{folder}: exists already")
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        shutil.copytree(TEMPLATE, temporary, ignore=shutil.ignore_patterns("__pycache__"))
        for path in temporary.iterdir():
            if path.is_file():
                path.write_text(path.read_text(encoding="utf-8").replace("SLUG", slug), encoding="utf-8")
        temporary.rename(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise UserError(f"{folder}: cannot be written ({error.strerror or error})") from None
    return folder
