"""The demo's processes: started with a log, ended by pid, their failure shown."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from dicomcast_sandbox.demo.errors import PartError
from dicomcast_sandbox.demo.part import Part, run_command


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Part]:
    running = Part("server", ["http.server", "--bind", "127.0.0.1", "0"], None, run_dir=tmp_path)
    yield running
    running.kill()


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_part_is_ended_by_its_pid(part: Part) -> None:
    part.start()
    pid = part.pid
    assert pid is not None
    part.require_running()
    assert part.stop() == -signal.SIGTERM
    assert _is_gone(pid)
    assert (part.pid, part.stop()) == (None, None)


def test_a_part_can_be_started_again(part: Part) -> None:
    part.start()
    first = part.pid
    part.stop()
    part.start()
    assert part.pid not in (None, first)
    part.require_running()


def test_a_part_that_has_ended_by_itself_is_shown_with_the_end_of_its_log(tmp_path: Path) -> None:
    part = Part("consumer", ["no_such_module"], None, run_dir=tmp_path)
    part.start()
    pid = part.pid
    assert pid is not None
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(PartError, match="the consumer has ended with exit code 1") as failed:
        part.require_running()
    assert "no_such_module" in failed.value.log["consumer"][-1]
    part.kill()


def test_a_command_gives_its_output_or_the_end_of_its_errors() -> None:
    async def run(*command: str) -> str:
        return await run_command(command, os.environ)

    assert asyncio.run(run("calendar", "1999", "1")).startswith("    January 1999")
    with pytest.raises(PartError, match="`no-such-module x` ended with exit code 1") as failed:
        asyncio.run(run("no_such_module", "x"))
    assert "no_such_module" in failed.value.log["no-such-module x"][-1]


def test_a_command_is_killed_when_nobody_waits_for_it_any_more(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, time\npathlib.Path(__file__).with_name('pid').write_text(str(os.getpid()))\ntime.sleep(60)"
    )
    (tmp_path / "sleeper.py").write_text(script)
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}

    async def scene() -> int:
        task = asyncio.create_task(run_command(["sleeper"], env))
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return int((tmp_path / "pid").read_text())

    assert _is_gone(asyncio.run(scene()))


def test_no_child_is_left_a_zombie(part: Part) -> None:
    part.start()
    pid = part.pid
    part.kill()
    with pytest.raises(ChildProcessError):
        os.waitpid(pid or 0, os.WNOHANG)
    assert subprocess.run(["true"], check=False).returncode == 0
