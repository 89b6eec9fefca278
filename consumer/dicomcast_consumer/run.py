"""`dicomcast-consumer run`: the parts of a member, put together, and its life from start to drain."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable
from typing import Any, Final

import structlog
from dicomcast_runtime.collector import settle
from dicomcast_runtime.health import LoopBeat
from dicomcast_runtime.http_client import peer_client
from dicomcast_runtime.http_port import HttpPort, routes_of
from dicomcast_runtime.kafka_clients import bound_fetching
from dicomcast_runtime.kafka_look import KafkaLook
from dicomcast_runtime.registry import SchemaRegistry
from dicomcast_runtime.watchdog import Watchdog
from dicomcast_schemas.topic import dead_letter_topic

from .apply import StudyApplier
from .breaker import Breaker
from .config import ConsumerSettings
from .dead_letter import DeadLetterProducer
from .fhir_client import FhirClient
from .fhir_reader import FhirReader
from .gate import Gate
from .handover import HandedOver
from .member_health import MemberHealth
from .metrics import ConsumerMetrics
from .outbox import Outbox
from .parts import bare_patient_ids, feed_source, letter_producer_config, wait_for_fhir
from .reader import EventReader, FeedSource
from .rejection_guard import RejectionGuard
from .room import Bounds
from .source import Source
from .topics import check_topics
from .worker import Limits, Worker

__all__ = ["run_consumer", "warn_of_bare_patient_ids"]

log = structlog.get_logger("dicomcast.consumer")

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_CLOSE_S: Final = 15.0
_KAFKA_S: Final = 5.0
"""How long a look at the topics waits for an answer before it is made again."""
_DEFAULT_MAX_POLL_S: Final = 300.0


async def run_consumer(settings: ConsumerSettings) -> None:
    """Runs until SIGTERM or SIGINT, then drains. Raises a StopError for everything else that ends it."""
    running = asyncio.ensure_future(_run(settings))
    stopped = asyncio.Event()

    def stop() -> None:  # nothing to drain yet; once there is a member, it takes the signals over
        stopped.set()
        running.cancel()

    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        await running
    except asyncio.CancelledError:
        if not stopped.is_set():
            raise
        log.info("consumer.stopped")


async def _run(settings: ConsumerSettings) -> None:
    topic, group = settings.topic.name, settings.consumer.group
    if settings.consumer.check_topics:
        look = KafkaLook(settings.kafka, timeout_s=_KAFKA_S)
        await _in_thread(lambda: check_topics(look, topic=topic, group=group))
    warn_of_bare_patient_ids(settings)
    metrics = ConsumerMetrics()
    async with contextlib.AsyncExitStack() as stack:
        health = MemberHealth(await stack.enter_async_context(LoopBeat()), beat_limit_s=_beat_limit_s(settings))
        stack.enter_context(HttpPort(settings.http, routes_of(health.checks(), metrics.registry)))
        fhir_http = metrics.fhir.watch(
            await stack.enter_async_context(peer_client(settings.fhir, max_connections=_connections(settings)))
        )
        fhir = FhirClient(fhir_http)
        feeds = {name: feed_source(settings, name) for name in settings.sources}
        for feed in feeds.values():
            metrics.source.watch(await stack.enter_async_context(feed.dicomweb))
        await wait_for_fhir(fhir, settings.mapping)
        settle()
        await _run_member(settings, fhir=fhir, feeds=feeds, metrics=metrics, health=health)


def _connections(settings: ConsumerSettings) -> int:
    """Each group in flight reads by three searches at once, with doses by four."""
    return 4 * settings.consumer.max_in_flight


def warn_of_bare_patient_ids(settings: ConsumerSettings) -> None:
    """Says once which feeds' PatientIDs have no system."""
    bare = bare_patient_ids(settings)
    if bare:
        log.warning("patient_system.missing", feeds=bare)


async def _run_member(
    settings: ConsumerSettings,
    *,
    fhir: FhirClient,
    feeds: dict[str, FeedSource],
    metrics: ConsumerMetrics,
    health: MemberHealth,
) -> None:
    consumer, loop = settings.consumer, asyncio.get_running_loop()

    def hand_over(item: HandedOver) -> None:  # called from `source.start()` on, when the worker is there
        loop.call_soon_threadsafe(worker.hand_over, item)

    source = Source(
        topic=settings.topic.name,
        config=_consumer_config(settings),
        letters=DeadLetterProducer(
            topic=dead_letter_topic(settings.topic.name, consumer.group), config=letter_producer_config(settings)
        ),
        bounds=Bounds(max_records=consumer.max_waiting_records, max_bytes=consumer.max_waiting_bytes),
        drain_s=consumer.drain_s,
        hand_over=hand_over,
        note_stats=metrics.note_kafka,
        start=consumer.start,
    )
    worker = Worker(source=source, limits=_limits(settings), metrics=metrics)
    gate = Gate(Breaker(), RejectionGuard())
    health.watch(source=source, worker=worker, gate=gate)
    metrics.watch(lambda: worker.state, lambda: gate.closed_by is not None)
    registry = SchemaRegistry(settings.registry) if settings.registry.url else None
    applier = StudyApplier(
        events=EventReader(
            feeds=feeds, options=settings.mapping, schema_by_id=registry.schema_by_id if registry else None
        ),
        fhir=FhirReader(fhir, settings.mapping),
        letters=Outbox(sink=source, answer=worker.letter_answer, group=consumer.group),
        gate=gate,
        prove=worker.commits.prove,
        options=settings.mapping,
        metrics=metrics,
        max_in_flight=consumer.max_in_flight,
        stuck_after_s=consumer.stuck_after_s,
    )
    watchdog = Watchdog(
        {"kafka thread": lambda: source.polled_at_s, "event loop": lambda: worker.beat_at_s},
        limit_s=_beat_limit_s(settings),
    )
    for number in _SIGNALS:
        loop.add_signal_handler(number, worker.stop)
    source.start()
    watchdog.start()
    log.info("consumer.started", topic=settings.topic.name, group=consumer.group, fhir=settings.fhir.url)
    try:
        await worker.run(applier)
    finally:
        watchdog.end()
        if registry is not None:
            registry.close()
        await worker.leave(asyncio.ensure_future(asyncio.to_thread(source.close, _CLOSE_S)))
        log.info("consumer.stopped", **dict(sorted(worker.fates.items())))


async def _in_thread(call: Callable[[], object]) -> None:
    """In a daemon thread: while it waits for Kafka, it must not keep a process that is to end."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def settle(error: Exception | None) -> None:
        if ended.done():
            return
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error)

    def run() -> None:
        failure: Exception | None = None
        try:
            call()
        except Exception as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, failure)

    threading.Thread(target=run, name="topics", daemon=True).start()
    await ended


def _limits(settings: ConsumerSettings) -> Limits:
    consumer = settings.consumer
    return Limits(
        max_in_flight=consumer.max_in_flight,
        max_runs=consumer.max_studies_per_bundle,
        max_records=consumer.max_instances_per_bundle,
        max_span=consumer.max_span,
        drain_s=consumer.drain_s,
    )


def _beat_limit_s(settings: ConsumerSettings) -> float:
    """How long a loop may be silent: less than what Kafka allows (max.poll.interval.ms)."""
    return float(settings.kafka.root.get("max.poll.interval.ms", _DEFAULT_MAX_POLL_S * 1000)) / 1000 * 0.8


def _consumer_config(settings: ConsumerSettings) -> dict[str, Any]:
    config = settings.kafka.client(
        group_id=settings.consumer.group,
        enable_auto_commit=False,
        enable_auto_offset_store=False,
        auto_offset_reset="error",
        isolation_level="read_committed",
    )
    config.setdefault("client.id", "dicomcast-consumer")
    config.setdefault("statistics.interval.ms", 5_000)
    # librdkafka's own queue comes on top of what the loop holds (G6), and so does one answer to a fetch, unpacked: ten
    # times its bytes where they are metadata.
    bound_fetching(config, kbytes=8_192)
    config.setdefault("fetch.message.max.bytes", 1024 * 1024)
    config.setdefault("fetch.max.bytes", 1024 * 1024)
    if config.setdefault("group.protocol", "classic") == "classic":
        config.setdefault("partition.assignment.strategy", "cooperative-sticky")
    return config
