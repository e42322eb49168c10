"""A tier of three papers: which comes first, what is shown meanwhile, what a stop leaves, what the user reads."""

from __future__ import annotations

import copy
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import EXPERIMENTS, PAPER, PaperFolder
from tests.workflow.test_pipeline import ROOT, command, environment, tables_of

#: seconds that a run of each paper takes; the order below is not the order in which they must come
PACE = {"slow": 0.5, "quick": 0.15, "fair": 0.3}
FIRST, SECOND, LAST = sorted(PACE, key=PACE.__getitem__)


def world(root: Path, experiments: str = EXPERIMENTS) -> PaperFolder:
    """Three papers, each with an experiment that has the machine to itself."""
    papers = PaperFolder(root)
    for slug, pace in PACE.items():
        folder = papers.papers / slug
        shutil.copytree(papers.folder, folder)
        spec = copy.deepcopy(PAPER) | {"slug": slug}
        spec["experiments"]["student"]["tiers"]["laptop"] = spec["experiments"]["student"]["tiers"]["smoke"]
        spec["experiments"]["clock"] = copy.deepcopy(spec["experiments"]["location"]) | {"exclusive": True}
        spec["experiments"]["clock"]["tiers"]["laptop"]["seeds"] = 1
        for experiment in spec["experiments"].values():
            experiment["tiers"]["laptop"]["run_s"] = pace
        (folder / "paper.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
        text = experiments.replace("x = parts.sample(run)", f"__import__('time').sleep({pace}); x = parts.sample(run)")
        more = "\n\nfit_clock__mean, fit_clock__median = fit_location__mean, fit_location__median\nscore_clock = score_location\n"
        (folder / "experiments.py").write_text(text + more)
    shutil.rmtree(papers.folder)
    return papers


def line(papers: PaperFolder) -> list[str]:
    return command(papers, tier="laptop", papers=list(PACE), bundle="experiment", bundle_s=2)


def start(papers: PaperFolder) -> subprocess.Popen[str]:
    return subprocess.Popen(
        line(papers),
        cwd=papers.root,
        env=environment(),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def tier(papers: PaperFolder) -> Path:
    return papers.root / "results" / "laptop"


def page(papers: PaperFolder) -> str:
    path = tier(papers) / "report" / "index.html"
    return path.read_text() if path.is_file() else ""


def wait(for_what: Callable[[], Any], process: subprocess.Popen[str], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not for_what():
        assert time.monotonic() < end, "never came"
        assert process.poll() is None, "the workflow ended before"
        time.sleep(0.02)


def shown(text: str) -> dict[str, str]:
    """Paper -> what the page's scoreboard says of it: pending, or "" where there are verdicts."""
    board = text[text.index('id="scoreboard"') : text.index("</section>")]
    rows = re.findall(r'<a href="#([a-z-]+)">.*?</th>\s*<td([^>]*)>(.*?)</td>', board, re.DOTALL)
    return {slug: said if "colspan" in flags else "" for slug, flags, said in rows}


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[PaperFolder, str, list[dict[str, str]]]:
    """An undisturbed run: its folder, what it said, and the pages that stood there meanwhile."""
    papers = world(tmp_path_factory.mktemp("calm"))
    process, pages = start(papers), []
    while process.poll() is None:
        text = page(papers)
        if text and (now := shown(text)) not in pages:
            pages.append(now)
        time.sleep(0.05)
    said, _ = process.communicate()
    assert process.returncode == 0, said[-3000:]
    return papers, said, pages


def intervals(papers: PaperFolder) -> list[tuple[float, float, dict[str, Any]]]:
    """Start, end and record of every fit, in the order of their starts."""
    records = [json.loads(path.read_text()) for path in (papers.root / "results" / "store").rglob("fit.json")]
    starts = [(datetime.fromisoformat(record["started_utc"]).timestamp(), record) for record in records]
    return sorted(((at, at + record["wall_s"], record) for at, record in starts), key=lambda part: part[:2])


def test_paper_after_paper(calm: Any) -> None:
    fits = intervals(calm[0])
    assert len(fits) == 3 * (16 + 2 + 4)
    starts = {slug: [at for at, _, record in fits if record["paper"] == slug] for slug in PACE}
    for one, other in ((FIRST, SECOND), (SECOND, LAST)):
        assert sorted(starts[one])[len(starts[one]) // 2] < min(starts[other])
        assert max(starts[one]) < sorted(starts[other])[len(starts[other]) // 2]


def test_timings_have_the_machine_to_themselves_when_their_paper_comes(calm: Any) -> None:
    fits = intervals(calm[0])
    for at, end, record in fits:
        if record["experiment"] != "clock":
            continue
        beside = [
            r["experiment"]
            for a, e, r in fits
            if r["paper"] != record["paper"] or r["experiment"] != "clock"
            if a < end and at < e
        ]
        assert beside == []
        if record["paper"] == FIRST:
            assert end < min(a for a, _, r in fits if r["paper"] == LAST), "not put off to the end"


def test_the_page_grows_with_each_paper(calm: Any) -> None:
    papers, _, pages = calm
    assert len(pages) >= 3
    assert [slug for slug, said in pages[0].items() if not said] == [FIRST]
    assert re.fullmatch(r"pending, \d+ of 22 runs done", pages[0][LAST])
    assert not any(pages[-1].values())
    assert 'id="pending"' not in page(papers)
    assert "What a tier takes from the start" in page(papers)


def test_a_log_has_a_line_a_paper(calm: Any) -> None:
    said = calm[1].splitlines()
    ended = [text.split(":")[0] for text in said if text.endswith("(22/22 runs)")]
    assert ended == [FIRST, SECOND, LAST]
    assert len(said) <= 12, said
    assert "66 runs: 66 done" in said
    assert said[-1].startswith("report: /")


@pytest.mark.parametrize("after", ["", FIRST, SECOND])
def test_kill_nine_leaves_the_papers_that_were_through(calm: Any, tmp_path: Path, after: str) -> None:
    papers = world(tmp_path)
    process = start(papers)
    if after:
        wait(lambda: page(papers) and not shown(page(papers))[after], process)
    else:  # while the first paper trains
        wait(lambda: any((papers.root / "results" / "store").rglob("fit.json")), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    if after:
        through = shown(page(papers))
        assert not through[FIRST]
        assert through[LAST].startswith("pending")
        assert f'data-paper="{FIRST}"' in page(papers)
    else:
        assert not page(papers)
    again = start(papers)
    said, _ = again.communicate(timeout=200)
    assert again.returncode == 0, said[-3000:]
    untimed = {name: content for name, content in tables_of(tier(papers)).items() if "costs" not in name}
    assert untimed == {name: content for name, content in tables_of(tier(calm[0])).items() if "costs" not in name}


def test_a_terminal_has_a_line_a_paper(tmp_path: Path) -> None:
    """In a pseudo-terminal: the lines of all papers are there at once and change in place."""
    papers = world(tmp_path)
    ours, theirs = pty.openpty()
    variables = environment() | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    process = subprocess.Popen(line(papers), cwd=tmp_path, env=variables, stdout=theirs, stderr=theirs)
    os.close(theirs)
    text = b""
    while process.poll() is None or select.select([ours], [], [], 0.2)[0]:
        if select.select([ours], [], [], 0.5)[0]:
            try:
                text += os.read(ours, 1 << 16)
            except OSError:  # the other side is closed
                break
    os.close(ours)
    assert process.wait() == 0
    assert b"\x1b[1A" in text, "nothing was drawn in place"
    plain = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", text).decode().replace("\r", "")
    assert re.search(r"\d+/66 runs, 1/3 papers, about \d+ (s|min) left", plain)
    for slug in PACE:
        assert re.search(rf"{slug} +\S+ +\d+/22 runs", plain), plain
        assert re.search(rf"{slug} +\S+ +1 inconclusive  \(22/22 runs\)", plain), plain
    assert "rule " not in plain
    assert plain.rstrip().splitlines()[-1].startswith("report: /")


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_make_is_stopped_with_one_sentence(tmp_path: Path, which: signal.Signals) -> None:
    papers = world(tmp_path)
    rest = line(papers)[line(papers).index("--configfile") :]
    arguments = ["-s", str(ROOT / "Snakefile"), "--directory", str(tmp_path), *rest]
    process = subprocess.Popen(
        [
            "make",
            "--no-print-directory",
            "-o",
            ".venv/.ready-dev",
            "run",
            "TIER=laptop",
            "CORES=2",
            f"ARGS={' '.join(arguments)}",
        ],
        cwd=ROOT,
        env=environment(),
        start_new_session=True,
        # a shell that puts the tests into the background leaves interrupts ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait(lambda: list((papers.root / "results" / "store").rglob("fit.json")), process)
    if which == signal.SIGTERM:
        process.send_signal(which)
    else:
        os.killpg(process.pid, which)  # as a terminal does
    said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    sentence = "Will exit after finishing" if which == signal.SIGTERM else "Terminating processes"
    assert said.count(sentence) == 1, said
    assert "Error in rule" not in said
    assert len(said.splitlines()) <= 6, said
    end = time.monotonic() + 20
    while subprocess.run(["pgrep", "-g", str(process.pid)], capture_output=True).stdout:
        assert time.monotonic() < end, "something was left behind"
        time.sleep(0.1)


def test_snakemake_itself_takes_little(calm: Any) -> None:
    """Its timers are gone: starting up is nearly all that it takes, however long jobs wait."""
    used = json.loads((tier(calm[0]) / "timing.json").read_text())["snakemake_cpu_s"]
    assert used < 10.0
