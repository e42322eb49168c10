"""GPUs of this machine: who may use which, in what precision, and how much energy they took."""

from __future__ import annotations

import ctypes
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO, Any

from claimbench import files


def visible() -> list[str]:
    """GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them. Starts no CUDA context."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [name.strip() for name in named.split(",")] if named else [str(i) for i in range(count)]
    return names[:count]


@contextmanager
def reserved(count: int, folder: Path | None = None, names: list[str] | None = None) -> Iterator[list[str]]:
    """Hold ``count`` GPUs (fewer where the machine has fewer) that no other job on this machine holds.

    Sets ``CUDA_VISIBLE_DEVICES`` inside, so this must come before CUDA is first used. Waits while all are taken. The
    hold is a lock of the operating system and ends with the process, however that ends. Under Slurm the scheduler has
    handed out the GPUs already and the first ``count`` of them are taken without locks.

    Args:
        folder: where the locks lie; by default one folder a user, shared by everything that runs on this machine.
        names: the GPUs to choose from, by default the visible ones.
    """
    names = visible() if names is None else names
    count = min(count, len(names))
    if count == 0:
        yield []
        return
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    with ExitStack() as held:
        if "SLURM_JOB_ID" in os.environ:
            mine = names[:count]
        else:
            folder = folder or Path(tempfile.gettempdir()) / f"claimbench-gpus-{os.getuid()}"
            folder.mkdir(mode=0o700, exist_ok=True)
            mine = _take(names, count, folder, held)
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
        try:
            yield mine
        finally:
            os.environ.pop("CUDA_VISIBLE_DEVICES")
            if before is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = before


def _take(names: list[str], count: int, folder: Path, held: ExitStack) -> list[str]:
    """Lock ``count`` of ``names``; one job at a time chooses, so two cannot wait for each other's second GPU."""
    with files.locked(folder / "choosing.lock"):
        mine: list[str] = []
        while len(mine) < count:
            for name in names:
                if name not in mine and len(mine) < count and (lock := _try(folder / f"{_safe(name)}.lock")):
                    held.enter_context(lock)
                    mine.append(name)
            if len(mine) < count:
                time.sleep(0.2)
    return mine


def _try(path: Path) -> IO[str] | None:
    lock = open(path, "w", encoding="utf-8")  # noqa: SIM115  (held by the caller)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    except OSError as error:
        files.without_locks(path.parent, error)
    return lock


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)


def deterministic() -> None:
    """Choose deterministic GPU kernels where torch has them; the others only warn (see docs/determinism.md)."""
    import torch

    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False


def arithmetic(device: str, precision: str) -> AbstractContextManager[Any]:
    """The number format of a fit.

    Args:
        precision: ``float32`` (IEEE, no TF32), ``tf32`` (tensor cores round the factors of float32 products to 10 bits
            of mantissa) or ``bfloat16`` (autocast; parameters stay float32).
    """
    if device == "cpu" and precision != "bfloat16":
        return nullcontext()
    import torch

    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    if precision == "bfloat16":
        return torch.autocast(device.partition(":")[0], dtype=torch.bfloat16)
    return nullcontext()


def energy_reader(device: str) -> Callable[[], float] | None:
    """Joules that the GPU has used since its driver started, as its driver counts them (NVML); None without such a
    counter."""
    import torch

    with suppress(OSError, AttributeError, RuntimeError):
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
        library = ctypes.CDLL("libnvidia-ml.so.1")
        handle = ctypes.c_void_p()
        millijoules = ctypes.c_ulonglong()
        if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByUUID(uuid, ctypes.byref(handle)):
            return None

        def read() -> float:
            if library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules)):
                return float("nan")
            return millijoules.value / 1000

        return read if read() == read() else None
    return None
