"""CPU time of Snakemake's own process on a plan of many papers whose jobs take no time of their own.

usage: python benchmarks/scheduling.py [papers] [jobs a paper] [seconds a job] [more for snakemake ...]

The workflow is the real one; only the commands of its rules are replaced by a wait and empty outputs.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.conftest import PAPER, PaperFolder

ROOT = Path(__file__).parents[1]
STUB = 'for f in {output}; do case $f in *tables|*figures) mkdir -p $f;; *) echo x > $f;; esac; done; sleep SECONDS"'


def write(root: Path, papers: int, jobs: int, seconds: str) -> Path:
    """A clone whose rules only wait, and its configuration."""
    for name in ("workflow", "profiles", "envs"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copy(ROOT / "Snakefile", root)
    (root / "config.yaml").write_text("tier: smoke\n")
    for path in (root / "workflow" / "rules").glob("*.smk"):
        text = re.sub(
            r'"claimbench (\w+) [^\n]*"',
            lambda m: '"' + STUB.replace("SECONDS", seconds if m[1] in ("run", "fit") else "0"),
            path.read_text(),
        )
        path.write_text(text)
    first = PaperFolder(root / "toy")
    slugs = []
    for i in range(papers):
        slug = f"toy-{i:02d}"
        folder = first.papers / slug.replace("-", "_")
        shutil.copytree(first.folder, folder)
        paper = copy.deepcopy(PAPER) | {"slug": slug}
        paper["experiments"] = {"location": paper["experiments"]["location"]}
        grid = [{"method": "mean", "setting": {"k": list(range(1, jobs + 1))}}]
        paper["experiments"]["location"]["tiers"] = {"smoke": {"seeds": 1, "grid": grid}}
        (folder / "paper.yaml").write_text(json.dumps(paper))
        slugs.append(slug)
    shutil.rmtree(first.folder)
    return first.config_file(papers=slugs, bundle="cell", tracking={"enabled": False})


def main() -> None:
    papers, jobs, seconds, *more = [*sys.argv[1:], *("20", "30", "1")[len(sys.argv) - 1 :]]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        config = write(root, int(papers), int(jobs), seconds)
        line = [sys.executable, "-c", CHILD, "--cores", "2", "--configfile", str(config), *more]
        done = subprocess.run(line, cwd=root, capture_output=True, text=True)
        print(done.stderr[-300:] if done.returncode else "", done.stdout[-200:])


CHILD = """
import atexit, resource, sys, time
from snakemake.cli import main
began = time.monotonic()
@atexit.register
def say():
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(f"snakemake itself: {used.ru_utime + used.ru_stime:.1f} CPU-s in {time.monotonic() - began:.0f} s")
main(sys.argv[1:])
"""

if __name__ == "__main__":
    main()
