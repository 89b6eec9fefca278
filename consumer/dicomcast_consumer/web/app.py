"""The routes of the page. Every answer is made here, on the server, from values of the pure modules."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from dicomcast_runtime.errors import StopError
from dicomcast_runtime.http_client import PeerClient, peer_client
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ..dlq import parse_position
from ..dlq_shown import letter_document
from ..fhir_client import FhirClient
from . import charts, letters_view, overview, wording
from .guard import Guard
from .sampler import Sampler
from .settings import WebSettings
from .shelf import Shelf
from .study_io import StudyTopic, compare_study, held_studies
from .study_view import StudySeen, conclusion, read_uid

__all__ = ["Parts", "page_app"]

T = TypeVar("T")

_AT_ONCE: Final = 2
_DEPTHS: Final[Mapping[str, int | None]] = {"near": 20_000, "far": 200_000, "all": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the page is made of."""

    settings: WebSettings
    sampler: Sampler
    shelf: Shelf
    topic: StudyTopic


def page_app(parts: Parts) -> Starlette:
    """The ASGI application; its lifespan opens the clients of FHIR and DICOM servers."""
    pages = _Pages(parts)
    routes = [
        Route("/", pages.overview),
        Route("/partitions/{number:int}", pages.partition),
        Route("/letters", pages.letters),
        Route("/letters/{position}", pages.letter),
        Route("/study", pages.study),
        Mount("/static", StaticFiles(packages=[("dicomcast_consumer.web", "static")])),
    ]
    return Starlette(
        routes=routes,
        lifespan=pages.clients,
        middleware=[Middleware(Guard, names=parts.settings.web.hosts)],
        exception_handlers={404: pages.missing},
    )


class _Pages:
    """The pages, and what they share."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._templates = _templates()
        self._reads = asyncio.Semaphore(_AT_ONCE)
        self._fhir: FhirClient | None = None
        self._sources: dict[str, tuple[PeerClient, str]] = {}

    @contextlib.asynccontextmanager
    async def clients(self, _: Starlette) -> AsyncIterator[None]:
        """Opens what speaks to the other servers."""
        settings = self._parts.settings
        async with contextlib.AsyncExitStack() as stack:
            self._fhir = FhirClient(await stack.enter_async_context(peer_client(settings.fhir)))
            for feed, section in settings.sources.items():
                client = await stack.enter_async_context(peer_client(section.peer()))
                self._sources[feed] = client, section.profile(feed).dicomweb_url
            yield

    async def overview(self, request: Request) -> Response:
        """How the group is."""
        seen, now = self._parts.sampler.seen, datetime.now(UTC)
        return self._page(
            "overview.html",
            at="overview",
            seen=seen,
            now=now,
            notices=overview.notices(seen, now),
            rates=overview.rates(seen.samples),
            oldest_s=overview.oldest_s(seen, now),
            breaker=overview.breaker_text(seen.members),
            in_flight=overview.in_flight(seen.members),
            charts=charts.of_group(seen.samples, now.timestamp()),
            rows=charts.rows(seen, now),
        )

    async def partition(self, request: Request) -> Response:
        """One partition over the last hour."""
        seen, now, number = self._parts.sampler.seen, datetime.now(UTC), request.path_params["number"]
        found = [each for each in (seen.status.partitions if seen.status else ()) if each.partition == number]
        if not found:
            return self._missing(f"The topic has no partition {number}, or Kafka has not answered yet.")
        return self._page(
            "partition.html",
            at="overview",
            seen=seen,
            now=now,
            each=found[0],
            rates=overview.rates(seen.samples, number),
            charts=charts.of_group(seen.samples, now.timestamp(), partition=number),
        )

    async def letters(self, request: Request) -> Response:
        """The dead letters."""
        asked = letters_view.Asked.of(request.query_params)
        kept, fault = await self._blocking(self._parts.shelf.kept)
        return self._page(
            "letters.html",
            at="letters",
            asked=asked,
            topic=self._parts.shelf.topic,
            fault=fault,
            page=letters_view.page(asked, kept or ()),
            codes=letters_view.by_code(each for each in kept or () if each.pending),
            command=letters_view.replay_command(asked),
        )

    async def letter(self, request: Request) -> Response:
        """One dead letter."""
        position = request.path_params["position"]
        try:
            place = parse_position(position)
        except ValueError:
            return self._missing("A letter is asked for by PARTITION:OFFSET, as the list of dead letters has it.")
        found, fault = await self._blocking(lambda: self._letter(*place))
        if fault is None and found is None:
            return self._missing(f"There is no dead letter at {position}. Its topic may have let go of it by age.")
        level = letters_view.verdict_level(str(found["mapping_now"])) if found else "warn"
        return self._page("letter.html", at="letters", position=position, document=found, fault=fault, level=level)

    def _letter(self, partition: int, offset: int) -> dict[str, Any] | None:
        record = self._parts.shelf.record(partition, offset)
        if record is None:
            return None
        return letter_document(self._parts.settings, self._parts.shelf.kept(), record)

    async def study(self, request: Request) -> Response:
        """One study, or the form that asks for one."""
        said, depth = request.query_params.get("uid", "").strip(), request.query_params.get("depth", "near")
        depth = depth if depth in _DEPTHS else "near"
        uid = read_uid(said)
        seen = None if uid is None else await self._study(uid, _DEPTHS[depth])
        return self._page(
            "study.html",
            at="study",
            said=said,
            wrong=bool(said) and uid is None,
            seen=seen,
            conclusion=None if seen is None else conclusion(seen),
            depth=depth,
        )

    async def _study(self, uid: str, depth: int | None) -> StudySeen:
        assert self._fhir is not None
        (trace, trace_fault), (kept, letters_fault), (found, held_fault) = await asyncio.gather(
            self._blocking(lambda: self._parts.topic.trace(uid, depth=depth)),
            self._blocking(self._parts.shelf.kept),
            held_studies(self._fhir, uid),
        )
        feeds = {each.feed for each in trace.events} & set(self._sources) if trace else set()
        return StudySeen(
            uid=uid,
            trace=trace,
            trace_fault=trace_fault,
            letters=[each for each in kept or () if each.letter.study_instance_uid == uid],
            letters_fault=letters_fault,
            held=found,
            held_fault=held_fault,
            comparisons=await compare_study(self._fhir, self._sources, uid, sorted(feeds or self._sources)),
        )

    async def _blocking(self, call: Callable[[], T]) -> tuple[T | None, str | None]:
        """The outcome of a call that waits for Kafka, or why there is none."""
        async with self._reads:
            try:
                return await asyncio.to_thread(call), None
            except StopError as error:
                return None, str(error)

    async def missing(self, request: Request, error: Exception) -> Response:
        """There is no such page."""
        return self._missing("There is no page at this address.")

    def _missing(self, text: str) -> Response:
        return self._page("missing.html", status=404, at="", text=text)

    def _page(self, name: str, *, status: int = 200, **values: Any) -> Response:
        settings, seen = self._parts.settings, self._parts.sampler.seen
        shared = {"topic_name": settings.topic.name, "group": settings.consumer.group, "pending": seen.pending}
        text = self._templates.get_template(name).render(**shared, **values)
        return HTMLResponse(text, status_code=status)


def _templates() -> Environment:
    found = Environment(
        loader=PackageLoader("dicomcast_consumer.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update({name: getattr(wording, name) for name in wording.__all__})
    return found
