"""The line that the demo runs: stand-ins where no server was named, the real producer and consumer between them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dicomcast_runtime.errors import ConfigurationError

from dicomcast_sandbox.demo.errors import PartError
from dicomcast_sandbox.demo.part import Part, run_command
from dicomcast_sandbox.demo.wiring import DemoOptions, Wiring

__all__ = ["Line"]

_POLL_S: Final = 0.1
_STAND_IN: Final = "dicomcast_sandbox"
_START_S: Final = 30.0


class Line:
    """Starts the parts in order and ends them in the opposite one; tells when one has ended by itself."""

    def __init__(self, options: DemoOptions, *, run: str, run_dir: Path) -> None:
        self._options = options
        self._run = run
        self._run_dir = run_dir
        self._parts: list[Part] = []
        self._consumer: Part | None = None
        self._wiring: Wiring | None = None

    @property
    def wiring(self) -> Wiring:
        """Addresses and names, once the stand-ins run."""
        assert self._wiring is not None, "start_servers() comes first"
        return self._wiring

    async def start_servers(self) -> None:
        """The stand-ins that are wanted; returns when they answer."""
        options = self._options
        kafka = None if options.bootstrap_servers else self._start("kafka", [_STAND_IN, "kafka"])
        dicom = None if options.dicomweb_url else self._start("dicom", [_STAND_IN, "dicom", "--port", "0"])
        fhir = None if options.fhir_url else self._start("fhir", [_STAND_IN, "fhir", "--port", "0"])
        dicom_url = await self._address(dicom, "")
        dicomweb_url = options.dicomweb_url or f"{dicom_url}/v2"
        self._wiring = Wiring(
            run=self._run,
            options=options,
            bootstrap_servers=await self._address(kafka, options.bootstrap_servers),
            fhir_url=await self._address(fhir, options.fhir_url),
            dicomweb_url=dicomweb_url,
            change_feed_url=options.change_feed_url or dicom_url or _parent(dicomweb_url),
        )

    async def start_dicomcast(self) -> None:
        """Topics, producer, consumer; returns when the processes have been started."""
        wiring = self.wiring
        if not wiring.mock:
            await self.command("dicomcast_producer", "topics", "apply", "--group", wiring.group)
        self._start("producer", ["dicomcast_producer", "run"])
        self._consumer = self._start("consumer", ["dicomcast_consumer", "run"])

    async def stop_consumer(self) -> None:
        """It drains, commits and leaves the group. Raises PartError when its exit code is not 0."""
        assert self._consumer is not None, "start_dicomcast() comes first"
        code = await asyncio.to_thread(self._consumer.stop)
        if code != 0:
            raise PartError(
                f"the consumer ended with exit code {code} on SIGTERM", log={"consumer": self._consumer.tail()}
            )

    def start_consumer(self) -> None:
        """Again."""
        assert self._consumer is not None, "start_dicomcast() comes first"
        self._consumer.start()

    async def command(self, module: str, *arguments: str) -> str:
        """Runs one of the commands with the line's settings; what it wrote to standard output."""
        env = self.wiring.producer_env() if module == "dicomcast_producer" else self.wiring.consumer_env()
        return await run_command([module, *arguments], env)

    def require_running(self) -> None:
        """Raises PartError for a part that has ended by itself."""
        for part in self._parts:
            part.require_running()

    def tails(self, *names: str) -> dict[str, list[str]]:
        """The last log lines of these parts."""
        return {part.name: part.tail() for part in self._parts if part.name in names}

    def pids(self) -> dict[str, int]:
        """The processes that run now."""
        return {part.name: part.pid for part in self._parts if part.pid is not None}

    def stop(self) -> None:
        """Ends everything, the consumer first; a Ctrl-C while it does kills what is left."""
        parts = list(reversed(self._parts))
        for part in parts[:2]:  # consumer and producer need not wait for each other
            part.ask_to_stop()
        try:
            for part in parts:
                part.stop()
        except KeyboardInterrupt:
            for part in parts:
                part.kill()
            raise

    def _start(self, name: str, command: Sequence[str]) -> Part:
        env = None if self._wiring is None else self._env_of(name)
        part = Part(name, command, env, run_dir=self._run_dir)
        self._parts.append(part)
        part.start()
        return part

    def _env_of(self, name: str) -> dict[str, str]:
        return self.wiring.consumer_env() if name == "consumer" else self.wiring.producer_env()

    async def _address(self, part: Part | None, given: str | None) -> str:
        if part is None:
            return (given or "").rstrip("/")
        deadline_s = asyncio.get_running_loop().time() + _START_S
        while (line := part.first_line()) is None:
            part.require_running()
            if asyncio.get_running_loop().time() > deadline_s:
                raise PartError(f"the {part.name} stand-in did not start", log={part.name: part.tail()})
            await asyncio.sleep(_POLL_S)
        return line


def _parent(dicomweb_url: str) -> str:
    """Orthanc's root of `…/dicom-web`, the Microsoft server's of `…/v2`."""
    root, _, last = dicomweb_url.rstrip("/").rpartition("/")
    if "://" not in root or not last:
        raise ConfigurationError(
            f"--dicomweb-url {dicomweb_url}: the change feed's URL cannot be told: --change-feed-url"
        )
    return root
