"""The FHIR server as a member needs it: what it says it can do, and the searches of `run`. Nothing is written to it."""

import contextlib
from collections.abc import Awaitable
from typing import Final, TypeVar

from dicomcast_runtime.clocks import HttpClock, clock_finding
from dicomcast_runtime.doctor import Check, Finding, doubtful
from dicomcast_runtime.errors import ConfigurationError, DependencyError
from dicomcast_runtime.http_client import peer_client

from ..capability import Capability, require_r4, require_transaction, require_types, search_doubts, write_doubts
from ..config import ConsumerSettings
from ..errors import ConflictError, RejectedError, RetryableError, SystemicError
from ..fhir_client import FhirClient
from ..fhir_reader import FhirReader
from ..mapping import BASE_URI, token
from ..parts import read_capability
from ..plan import StudyWork

__all__ = ["FhirChecks"]

T = TypeVar("T")

_NO_STUDY: Final = "2.25.0"
_NO_PATIENT: Final = token(f"{BASE_URI}/doctor", "nobody")
_ONLY_READS: Final = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [{"request": {"method": "GET", "url": "Patient?_summary=count&identifier=nobody"}}],
}


class FhirChecks:
    """The checks, with what the earlier ones found. `stack` closes the client."""

    def __init__(self, settings: ConsumerSettings, stack: contextlib.AsyncExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._clock_seen = HttpClock()
        self._opened: FhirClient | None = None
        self._said: Capability | None = None

    def checks(self) -> tuple[Check, ...]:
        """In their order."""
        return (
            Check(name="fhir", look=self._answers, needs=("settings",)),
            Check(name="fhir.version", look=self._version, needs=("fhir",)),
            Check(name="fhir.transaction", look=self._transaction, needs=("fhir",)),
            Check(name="fhir.resources", look=self._resources, needs=("fhir",)),
            Check(name="fhir.search", look=self._search, needs=("fhir",)),
            Check(name="fhir.clock", look=self._clock, needs=("fhir",)),
        )

    async def _client(self) -> FhirClient:
        if self._opened is None:
            http = await self._stack.enter_async_context(peer_client(self._settings.fhir))
            self._clock_seen.watch(http)
            self._opened = FhirClient(http)
        return self._opened

    @property
    def _capability(self) -> Capability:
        assert self._said is not None, "the check `fhir` comes first"
        return self._said

    async def _answers(self) -> Finding:
        self._said = await self._stopping(read_capability(await self._client()))
        return Finding(f"{self._settings.fhir.url} answers")

    async def _version(self) -> Finding:
        require_r4(self._capability)
        return Finding(f"FHIR {self._capability.fhir_version}")

    async def _transaction(self) -> Finding:
        require_transaction(self._capability)
        try:
            await (await self._client()).transaction(_ONLY_READS)
        except SystemicError as error:
            raise ConfigurationError(str(error)) from None
        except (RejectedError, RetryableError, ConflictError) as error:  # `run` never sends one that only reads
            return doubtful(f"one that only reads is refused ({error}); whether ours are shows when the first is sent")
        return Finding("transactions are taken; the right to write shows with the first event")

    async def _resources(self) -> Finding:
        require_types(self._capability, self._settings.mapping)
        doubts = write_doubts(self._capability, self._settings.mapping)
        return Finding("conditional creates, versions (If-Match) and every interaction that is used", doubts)

    async def _search(self) -> Finding:
        """As `run` does it, for what nobody has."""
        client, options = await self._client(), self._settings.mapping
        profiles = [source.profile(name) for name, source in self._settings.sources.items()]
        works = [StudyWork(study_instance_uid=_NO_STUDY, profile=profile, changes=()) for profile in profiles]
        try:
            await self._stopping(FhirReader(client, options).read(works))
            found = await self._stopping(client.search("Patient", [("identifier", _NO_PATIENT)], most=10))
        except RejectedError as error:
            raise ConfigurationError(f"a search by identifier is refused ({error.detail}): enable it there") from None
        if found:
            raise ConfigurationError(
                "the server answers a search for an identifier that nobody has with resources: it does not know the "
                "search parameter `identifier`; enable it there, or every patient is taken for every other"
            )
        return Finding("searches by identifier work", search_doubts(self._capability, options))

    async def _clock(self) -> Finding:
        return clock_finding(
            "the FHIR server",
            self._clock_seen.ahead,
            suffers="tokens may count as expired, and meta.lastUpdated is off",
        )

    async def _stopping(self, asked: Awaitable[T]) -> T:
        """The answer. Raises ConfigurationError and DependencyError with the way out; RejectedError as it is."""
        try:
            return await asked
        except RetryableError as error:
            raise DependencyError(
                f"{self._settings.fhir.url} does not answer as it should ({error}): start it, look into its log, or "
                "correct DICOMCAST_FHIR__URL"
            ) from None
        except SystemicError as error:
            raise ConfigurationError(str(error)) from None
        except ConflictError as error:
            raise ConfigurationError(f"{error}: check DICOMCAST_FHIR__URL") from None
