"""One process of the demo: started with a log of its own, ended by its pid."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from dicomcast_sandbox.demo.errors import PartError

__all__ = ["Part", "run_command"]

_STOP_S: Final = 30.0
_TAIL_LINES: Final = 15
_COMMAND_S: Final = 60.0


class Part:
    """A Python module of this environment, run as a process; may be started again after it was stopped."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str] | None, *, run_dir: Path) -> None:
        """`command`: module and arguments; `env` None: this process's. Output goes to `<name>.out`."""
        self.name = name
        self.log = run_dir / f"{name}.log"
        self._out = run_dir / f"{name}.out"
        self._command = _python(command)
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process; None while it is stopped."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Returns at once. Its own session: Ctrl-C reaches the demo alone, which ends its parts in order."""
        with self.log.open("ab") as log, self._out.open("ab") as out:
            self._process = subprocess.Popen(
                self._command, env=self._env, stdin=subprocess.DEVNULL, stdout=out, stderr=log, start_new_session=True
            )

    def first_line(self) -> str | None:
        """The first line of its standard output; None before it is written."""
        text = self._out.read_text(encoding="utf-8", errors="replace")
        line, end, _rest = text.partition("\n")
        return line.strip() if end else None

    def require_running(self) -> None:
        """Raises PartError when it has ended by itself."""
        if self._process is None:
            return
        code = self._process.poll()
        if code is not None:
            raise PartError(f"the {self.name} has ended with exit code {code}", log={self.name: self.tail()})

    def tail(self) -> list[str]:
        """The last lines of its log, or of its output where the log is empty."""
        for path in (self.log, self._out):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
            if lines:
                return lines[-_TAIL_LINES:]
        return []

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def stop(self) -> int | None:
        """SIGTERM, and SIGKILL when that does not end it in half a minute; returns its exit code."""
        process = self._process
        if process is None:
            return None
        self.ask_to_stop()
        deadline_s = time.monotonic() + _STOP_S
        while process.poll() is None:  # not wait(timeout), which would swallow a Ctrl-C for a while
            if time.monotonic() > deadline_s:
                self.kill()
            time.sleep(0.02)
        self._process = None
        return process.returncode

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


async def run_command(command: Sequence[str], env: Mapping[str, str]) -> str:
    """Runs a command to its end and returns its standard output; killed when the task is cancelled.

    Raises PartError when its exit code is not 0, or when it takes more than a minute.
    """
    name = " ".join((command[0].replace("_", "-"), *command[1:]))
    process = await asyncio.create_subprocess_exec(
        *_python(command), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), _COMMAND_S)
    except TimeoutError:
        raise PartError(f"`{name}` did not end in {_COMMAND_S:g} s", log={}) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        lines = (errors or output).decode(errors="replace").splitlines()
        raise PartError(f"`{name}` ended with exit code {process.returncode}", log={name: lines[-_TAIL_LINES:]})
    return output.decode(errors="replace")


def _python(command: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", *command]
