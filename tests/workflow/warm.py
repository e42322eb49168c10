"""Snakemake and claimbench without the seconds that Python needs to start: forked from a process that has the imports.

The programs are the real ones and each call is a process of its own. Jobs call a `claimbench` that hands its arguments,
folder, environment and files to the server; which forks.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

_IMPORTS = (
    *("matplotlib.figure", "pandas", "pyarrow.parquet", "snakemake.cli", "snakemake.workflow"),
    *(f"claimbench.{name}" for name in ("commands.conclude", "execute.runner", "judge.verdicts", "workflow")),
)
_CLIENT = """\
#!{python} -IS
import json, os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect({address!r})
what = json.dumps([os.path.basename(sys.argv[0]), sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(s, [len(what).to_bytes(8, "big")], [1, 2])
s.sendall(what)
sys.exit(int.from_bytes(s.recv(1), "big"))
"""


@contextlib.contextmanager
def programs(folder: Path) -> Iterator[Path]:
    """A folder with `snakemake` and `claimbench`, as long as the server lives."""
    folder.mkdir(parents=True)
    address = str(folder / "server")
    for name in ("snakemake", "claimbench"):
        path = folder / name
        path.write_text(textwrap.dedent(_CLIENT.format(python=sys.executable, address=address)), encoding="utf-8")
        path.chmod(0o755)
    (folder / "python").symlink_to(sys.executable)
    ready, tell = os.pipe()
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.workflow.warm", address, str(tell)],
        pass_fds=[tell],
        cwd=Path(__file__).parents[2],
    )
    os.close(tell)
    try:
        if os.read(ready, 1) != b"r":
            raise RuntimeError("the server did not start")
        yield folder
    finally:
        os.close(ready)
        server.terminate()
        server.wait()


def _serve(address: str, tell: int) -> None:
    for module in _IMPORTS:
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    os.write(tell, b"r")
    os.close(tell)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _answer(connection, Path(address).parent)
        connection.close()


def _answer(connection: socket.socket, folder: Path) -> None:
    """In a child: what was asked, with the caller's folder, environment and files."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, fds, _, _ = socket.recv_fds(connection, 8, 2)
    raw = b""
    while len(raw) < int.from_bytes(size, "big"):
        raw += connection.recv(1 << 16)
    name, arguments, cwd, environment = json.loads(raw)
    code = 1
    try:
        for target, fd in zip((1, 2), fds, strict=True):
            os.dup2(fd, target)
            os.close(fd)
        sys.stdout, sys.stderr = (open(fd, "w", encoding="utf-8", closefd=False) for fd in (1, 2))  # noqa: SIM115
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environment)
        sys.executable = str(folder / "python")
        sys.argv = [name, *arguments]
        code = _main(name, arguments)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        with contextlib.suppress(OSError):
            connection.sendall(bytes([code & 0xFF]))
        os._exit(code)


def _main(name: str, arguments: list[str]) -> int:
    if name == "claimbench":
        from claimbench.commands.main import main

        return main(arguments)
    import snakemake.cli

    snakemake.cli.main(arguments)
    return 0


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
