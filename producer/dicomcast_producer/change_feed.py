"""The change feed of a DICOM server over HTTP: Microsoft's API, v1 and v2. One request per call; no retries here."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
from dicomcast_runtime.backoff import retry_after_s
from dicomcast_runtime.clocks import HttpClock
from dicomcast_runtime.dicomweb_client import read_metadata
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.http_client import AnswerTooLargeError, peer_client, peer_refusal
from dicomcast_schemas import DicomChangeEvent

from .config import FeedSettings
from .entry import FeedEntry, MalformedJsonError, parse_entry, parse_page
from .errors import PoisonedPageError, RetryableError
from .metrics import ProducerMetrics

__all__ = ["ChangeFeed", "Latest", "Window"]

_OK: Final = (httpx.codes.OK, httpx.codes.NO_CONTENT)
_POISONED: Final = (httpx.codes.BAD_REQUEST, httpx.codes.INTERNAL_SERVER_ERROR)
"""What the server answers for a whole page when the metadata of one instance is damaged (400) or missing (500)."""
_MISCONFIGURED: Final = {
    401: "it does not know us: check DICOMCAST_FEED__AUTH__*",
    403: "we may not read the change feed: give the account the right to read, or check DICOMCAST_FEED__AUTH__*",
    404: "no change feed is there: check DICOMCAST_FEED__URL (the base before /v1) and DICOMCAST_FEED__API_VERSION",
    405: "no change feed is there: check DICOMCAST_FEED__URL",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a page is asked for. v1: sequences in (offset, offset + limit]. v2: rows of start ≤ timestamp < end."""

    offset: int
    limit: int
    start: datetime | None = None
    end: datetime | None = None

    def halves(self) -> tuple["Window", "Window"]:
        """The same window in two; `limit` must be at least 2."""
        half = self.limit // 2
        return replace(self, limit=half), replace(self, offset=self.offset + half, limit=self.limit - half)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """The newest entry, None for an empty feed, and the server's clock."""

    entry: FeedEntry | None
    server_time: datetime

    @property
    def sequence(self) -> int:
        """Of the newest entry, 0 for an empty feed."""
        return self.entry.event.sequence if self.entry else 0


class ChangeFeed:
    """The feed of one server. Close it."""

    def __init__(self, settings: FeedSettings, metrics: ProducerMetrics) -> None:
        """Raises ConfigurationError when the TLS files cannot be used."""
        self._metrics = metrics
        self._feed = settings.name
        self._url = settings.url.rstrip("/")
        self._version = settings.api_version
        self._client = metrics.requests.watch(peer_client(settings))
        self._dicomweb_peer = settings.dicomweb
        self._dicomweb: httpx.AsyncClient | None = None
        self._greeted = False

    @property
    def name(self) -> str:
        return self._feed

    def watched_by(self, clock: HttpClock) -> None:
        """The clock looks at the change feed's answers from now on."""
        clock.watch(self._client)

    async def close(self) -> None:
        await self._client.aclose()
        if self._dicomweb is not None:
            await self._dicomweb.aclose()

    async def latest(self) -> Latest:
        """The newest entry without its metadata. Raises RetryableError or ConfigurationError."""
        try:
            response = await self._get("changefeed/latest", {"includeMetadata": "false"})
            entry = parse_entry(response.content, feed=self._feed)
        except (MalformedJsonError, PoisonedPageError) as error:
            raise RetryableError(f"the DICOM server gave no latest entry: {error}") from None
        self._metrics.note_latest(entry)
        return Latest(entry=entry, server_time=_date(response))

    async def page(self, window: Window, *, metadata: bool) -> tuple[FeedEntry, ...]:
        """The entries of a window, in its order.

        Raises PoisonedPageError when one entry may be the cause, else RetryableError or ConfigurationError.
        """
        query = {"offset": str(window.offset), "limit": str(window.limit)}
        query["includeMetadata"] = "true" if metadata else "false"
        query |= {n: _zulu(at) for n, at in (("startTime", window.start), ("endTime", window.end)) if at}
        response = await self._get("changefeed", query)
        if response.status_code == httpx.codes.NO_CONTENT:
            return ()
        try:
            return parse_page(response.content, feed=self._feed)
        except MalformedJsonError as error:
            raise PoisonedPageError(str(error), body=response.content) from None

    async def metadata(self, event: DicomChangeEvent) -> str:
        """The instance's metadata by WADO-RS. Raises DicomWebError, InstanceGoneError when it is not there."""
        if self._dicomweb is None:  # seldom needed
            self._dicomweb = self._metrics.requests.watch(peer_client(self._dicomweb_peer))
        return await read_metadata(
            self._dicomweb,
            study_instance_uid=event.study_instance_uid,
            series_instance_uid=event.series_instance_uid,
            sop_instance_uid=event.sop_instance_uid,
            settings="DICOMCAST_FEED",
        )

    async def _get(self, path: str, query: dict[str, str]) -> httpx.Response:
        try:
            response = await self._client.get(f"{self._version}/{path}", params=query)
        except AnswerTooLargeError as error:
            raise PoisonedPageError(f"{error}: DICOMCAST_FEED__MAX_ANSWER_BYTES") from None
        except httpx.HTTPError as error:
            raise self._failure(error) from None
        status = response.status_code
        if status in _OK:
            self._greeted = True
            return response
        if status in _POISONED:
            raise PoisonedPageError(f"it answered {status}")
        raise self._refusal(response)

    def _failure(self, error: httpx.HTTPError) -> Exception:
        reason = peer_refusal(error, "DICOMCAST_FEED")
        text = f"the DICOM server at {self._url} cannot be read: {reason or str(error) or type(error).__name__}"
        return ConfigurationError(text) if reason and not self._greeted else RetryableError(text)

    def _refusal(self, response: httpx.Response) -> Exception:
        status = response.status_code
        reason = _MISCONFIGURED.get(status)
        if response.is_redirect:
            reason = "redirects are not followed: check DICOMCAST_FEED__URL"
        text = f"the DICOM server at {self._url} answered {status}" + (f": {reason}" if reason else "")
        if reason and not self._greeted:
            return ConfigurationError(text)
        # Once it has worked it is the server or its gateway that is being changed: wait.
        return RetryableError(text, retry_after_s=retry_after_s(response.headers.get("Retry-After")))


def _zulu(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _date(response: httpx.Response) -> datetime:
    # RFC 9110 6.6.1 lets a server without a clock leave Date out; then ours has to do.
    try:
        return parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return datetime.now(UTC)
