"""One real server: started by its script, ended by pid.

The scripts beside this file do the work and wait until the server answers; here is what the tests need on top:
free ports, a run directory of its own, and the faults a server can have.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

__all__ = ["NotInstalledError", "Server", "free_ports", "run_dir"]

SCRIPTS = Path(__file__).parent
NOT_INSTALLED = 3
START_TIMEOUT_S = 400.0
STOP_TIMEOUT_S = 30.0


class NotInstalledError(Exception):
    """The server cannot be started because it, or the Java it needs, is not on this machine. Says how to get it."""


class Server:
    """A server that can be stopped, killed, frozen and started again on the same ports and the same run directory.

    It also ends when this process has ended, however that happened.
    """

    def __init__(self, script: str, args: Sequence[object], run: Path, env: Mapping[str, str] | None = None) -> None:
        self._command = [str(SCRIPTS / script), *map(str, args)]
        self._env = {**os.environ, **(env or {}), "RUN_DIR": str(run), "OWNER_PID": str(os.getpid())}
        self._run = run

    @property
    def log(self) -> Path:
        """What the server wrote, over all of its starts."""
        return self._run / "log"

    @property
    def pid(self) -> int | None:
        """Its process, None when it does not run."""
        try:
            pid = int((self._run / "pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if _runs(pid) else None

    def start(self) -> None:
        """Returns when it answers. Raises NotInstalledError, or RuntimeError with the end of its log."""
        result = subprocess.run(
            ["bash", *self._command],
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )
        if result.returncode == NOT_INSTALLED:
            raise NotInstalledError(result.stderr.strip())
        if result.returncode != 0:
            raise RuntimeError(f"{Path(self._command[0]).name} failed: {result.stderr}")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that does not end it in half a minute; a frozen server is thawed first."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop, then start with the same ports and run directory."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: its connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _end(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is None:
            return
        self._signal(number)
        self.thaw()
        until = time.monotonic() + STOP_TIMEOUT_S
        while _runs(pid):
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)


def _runs(pid: int) -> bool:
    """Whether the process holds anything. A zombie does not, unless its threads are still on their way out."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        threads = len(os.listdir(f"/proc/{pid}/task"))
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z" or threads > 1


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing has bound at this moment, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


@contextlib.contextmanager
def run_dir(name: str) -> Iterator[Path]:
    """A new directory for one server, removed at the end."""
    path = Path(tempfile.mkdtemp(prefix=f"dicomcast-{name}-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
