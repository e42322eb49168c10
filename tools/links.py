"""Find dead references in the documents: relative links and their anchors, commands, make targets.

Nothing is fetched. Prints one line a fault and exits with 1 when there is one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
MAKE = re.compile(r"(?:^|[`(]|\s{4})make(?: [A-Z]+=\S+)* ([a-z]+)\b", re.MULTILINE)
COMMAND = re.compile(r"(?:^|[`(]|\s{4})claimbench(?: --(?:tier|config|set) \S+)* ([a-z][a-z-]*)\b", re.MULTILINE)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def documents() -> list[Path]:
    """The tracked (and not ignored) documents of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md", "*.rst"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).is_file()]


@cache
def make_targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@cache
def commands() -> frozenset[str]:
    """The commands of the command line, from its own help."""
    text = subprocess.run(
        [sys.executable, "-m", "claimbench", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    return frozenset(re.findall(r"^ {4}([a-z][a-z-]*)", text, re.MULTILINE))


@cache
def anchors(path: Path) -> frozenset[str]:
    """The anchors of a Markdown file, as GitHub forms them."""
    headings = re.findall(r"^#+\s+(.+?)\s*$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


def faults(path: Path) -> Iterator[str]:
    """What is wrong with the references of one document."""
    text = path.read_text(encoding="utf-8")
    for target in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        aim = (path.parent / name).resolve() if name else path
        if not aim.exists():
            yield f"link to {target}, which does not exist"
        elif anchor and aim.suffix == ".md" and anchor not in anchors(aim):
            yield f"link to {target}: {aim.name} has no such heading"
    for target in MAKE.findall(text):
        if target not in make_targets():
            yield f"names `make {target}`, which does not exist"
    for command in COMMAND.findall(text):
        if command not in commands():
            yield f"names `claimbench {command}`, which does not exist"


def main() -> int:
    """Check every document."""
    found = [f"{path.relative_to(ROOT)}: {fault}" for path in documents() for fault in faults(path)]
    print("\n".join(found) or f"{len(documents())} documents, no dead reference")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
