"""One demo from start to end: whatever happens, every process that it started is ended."""

import asyncio
import contextlib
import shutil
import signal
import tempfile
import uuid
from pathlib import Path
from typing import Final

from dicomcast_runtime.errors import StopError
from dicomcast_runtime.http_client import peer_client
from dicomcast_runtime.settings import load_settings

from dicomcast_sandbox.demo.conclusion import conclude, who_is_real
from dicomcast_sandbox.demo.dicom_peer import DicomPeer
from dicomcast_sandbox.demo.errors import PartError
from dicomcast_sandbox.demo.fhir_peer import FhirPeer
from dicomcast_sandbox.demo.files import demo_files
from dicomcast_sandbox.demo.line import Line
from dicomcast_sandbox.demo.offsets import GroupOffsets
from dicomcast_sandbox.demo.report import Report
from dicomcast_sandbox.demo.story import STEPS, Story
from dicomcast_sandbox.demo.wiring import DemoOptions, DemoPeers

__all__ = ["INTERRUPTED", "run_demo"]

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C before the end, as of a shell."""
_WATCH_S: Final = 0.5
_STOP: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_demo(options: DemoOptions) -> int:
    """Runs it and returns the exit code: 0, INTERRUPTED, or that of the StopError that ended it."""
    run = uuid.uuid4().hex[:8]
    run_dir = Path(tempfile.mkdtemp(prefix="dicomcast-demo-"))
    report = Report(steps=STEPS)
    try:
        asyncio.run(_run(options, run=run, run_dir=run_dir, report=report))
    except StopError as error:
        report.failure(str(error), error.log if isinstance(error, PartError) else {})
        report.line(f"logs: {run_dir}")
        return int(error.exit_code)
    except (KeyboardInterrupt, asyncio.CancelledError):
        report.line("interrupted; every process of the demo has been ended")
        code = INTERRUPTED
    else:
        code = 0
    shutil.rmtree(run_dir, ignore_errors=True)
    return code


async def _run(options: DemoOptions, *, run: str, run_dir: Path, report: Report) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):  # SIGINT cancels by asyncio.run itself
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    line = Line(options, run=run, run_dir=run_dir)
    try:
        report.title("dicomcast demo: DICOM files become FHIR resources, through Kafka")
        async with contextlib.AsyncExitStack() as stack:
            with report.step("Start") as step:
                step.doing("the stand-ins")
                await line.start_servers()
                wiring = line.wiring
                story = _story(line, report, options, stack, run)
                step.doing("topics, producer and consumer")
                await line.start_dicomcast()
                await story.wait_for_start(step)
                step.happened("producer and consumer run", seen="the cursor topic has a cursor, the group has offsets")
                report.table(who_is_real(wiring, line.pids()))
            snapshot = await story.run()
            conclude(report, story, snapshot, wiring, run_dir)
            if options.keep:
                await _keep(line, report)
    finally:
        line.stop()


def _story(line: Line, report: Report, options: DemoOptions, stack: contextlib.AsyncExitStack, run: str) -> Story:
    wiring = line.wiring
    peers = load_settings(DemoPeers, environ=wiring.producer_env())
    feed = peers.feed
    dicomweb = feed.model_copy(update={"url": wiring.dicomweb_url})
    clients = [peer_client(peer) for peer in (dicomweb, feed, peers.fhir)]
    for client in clients:
        stack.push_async_callback(client.aclose)
    offsets = GroupOffsets(peers.kafka.client(), topic=wiring.topic, group=wiring.group)
    stack.callback(offsets.close)
    return Story(
        line=line,
        dicom=DicomPeer(clients[0], clients[1]),
        fhir=FhirPeer(clients[2]),
        offsets=offsets,
        files=demo_files(run),
        report=report,
        timeout_s=options.timeout_s,
    )


async def _keep(line: Line, report: Report) -> None:
    """Returns on SIGINT or SIGTERM. Raises PartError when a part ends by itself."""
    stopped = asyncio.Event()
    for number in _STOP:
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    pids = ", ".join(f"{name} {pid}" for name, pid in line.pids().items())
    report.line(f"Everything keeps running until Ctrl-C (processes: {pids}).")
    while not stopped.is_set():
        line.require_running()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), _WATCH_S)
