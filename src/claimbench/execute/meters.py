"""Wall, CPU, memory and GPU meters of one run, and the facts about the machine it ran on."""

from __future__ import annotations

import os
import platform
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from claimbench.errors import BudgetExceeded
from claimbench.execute import memory


class Meter:
    """Measures the block between ``start`` and ``stop``."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.started_utc = datetime.now(UTC).isoformat(timespec="milliseconds")
        memory.release()
        _reset_peak_rss()
        if device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(device)
            self._events = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            self._events[0].record()
            from claimbench.execute.gpus import energy_reader

            self._energy = energy_reader(device)
            self._joules = self._energy() if self._energy else 0.0
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def stop(self) -> dict[str, Any]:
        """wall_s, cpu_s (this process, all threads), gpu_s, gpu_j (the whole GPU's energy by NVML), peak_rss_mb,
        peak_gpu_mb, started_utc."""
        gpu_s: float | None = None
        gpu_j: float | None = None
        peak_gpu_mb: float | None = None
        if self.device.startswith("cuda"):
            import torch

            self._events[1].record()
            torch.cuda.synchronize(self.device)
            gpu_s = self._events[0].elapsed_time(self._events[1]) / 1000
            peak_gpu_mb = torch.cuda.max_memory_allocated(self.device) / 1e6
            if self._energy and (joules := self._energy() - self._joules) >= 0:  # not a number when the driver fails
                gpu_j = joules
        return {
            "started_utc": self.started_utc,
            "wall_s": time.perf_counter() - self._wall,
            "cpu_s": time.process_time() - self._cpu,
            "gpu_s": gpu_s,
            "gpu_j": gpu_j,
            "peak_rss_mb": _peak_rss_mb(),
            "peak_gpu_mb": peak_gpu_mb,
        }


def _reset_peak_rss() -> None:
    # Not Linux, or not allowed: the peak is then that of the process.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def _status_mb(field: str) -> float | None:
    try:
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024 / 1e6
    except (OSError, ValueError, IndexError):
        return None
    return None


def _peak_rss_mb() -> float:
    peak = _status_mb("VmHWM:")
    if peak is not None:
        return peak
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


@contextmanager
def budget(wall_s: float | None, mem_mb: float | None) -> Iterator[None]:
    """Raise :class:`BudgetExceeded` in the main thread when the block takes longer or holds more resident memory.

    Works also while native code that releases Python regularly is running; a single native call is only interrupted
    when it returns.
    """
    if (wall_s is None and mem_mb is None) or threading.current_thread() is not threading.main_thread():
        yield
        return
    reason: list[tuple[str, str]] = []
    done = threading.Event()
    start = time.monotonic()
    main = threading.main_thread().ident
    assert main is not None

    def watch() -> None:
        while not done.wait(0.1):
            if wall_s is not None and time.monotonic() - start > wall_s:
                reason.append(("timeout", f"more than {wall_s:g} s of wall time"))
            elif mem_mb is not None and (rss := _status_mb("VmRSS:")) is not None and rss > mem_mb:
                reason.append(("oom", f"{rss:.0f} MB of resident memory, more than the budget of {mem_mb:g} MB"))
            if reason:
                if not done.is_set():
                    signal.pthread_kill(main, signal.SIGUSR2)
                return

    def interrupt(*_: object) -> None:
        if reason and not done.is_set():
            raise BudgetExceeded(*reason[0])

    previous = signal.signal(signal.SIGUSR2, interrupt)
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        signal.signal(signal.SIGUSR2, previous)


def machine(device: str) -> dict[str, Any]:
    """What a reader needs to know about where a run ran; torch is asked only if the run imported it."""
    torch = sys.modules.get("torch")
    name = _cpu_name()
    if device.startswith("cuda") and torch is not None:
        name = torch.cuda.get_device_name(device)
    return {
        "device": device,
        "device_name": name,
        "host": platform.node(),
        "python": platform.python_version(),
        "torch": getattr(torch, "__version__", None),
        "cuda": getattr(getattr(torch, "version", None), "cuda", None),
        **git_state(),
    }


@lru_cache(maxsize=1)
def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@lru_cache(maxsize=1)
def git_state() -> dict[str, Any]:
    """Commit of the package's checkout and whether its ``src`` differs from it; None outside a checkout."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments],
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=10,
                check=True,
                env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--", str(folder)) if commit else None
    return {"git_commit": commit, "git_dirty": bool(changed) if commit else None}
