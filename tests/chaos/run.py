"""One chaos run: the whole line as processes, trouble for a bounded time, then quiet, then the oracle."""

import contextlib
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
from confluent_kafka import Consumer, KafkaException, TopicPartition
from dicomcast_schemas import decode
from dicomcast_schemas.topic import DeadLetterHeader, text_headers

from tests.chaos.evidence import Evidence, FeedRow, Letter, Sample, TopicRecord, Transaction, Written
from tests.chaos.history import history
from tests.chaos.oracle import judge
from tests.chaos.peer import dicom_store, lines
from tests.chaos.repeats import ends_lost
from tests.chaos.slots import Slot
from tests.chaos.story import Story
from tests.chaos.troubles import Cast, Trouble, next_trouble
from tests.fakes.processes import Line, eventually
from tests.services.peers import FhirServer, KafkaBroker
from tests.services.server import free_ports

__all__ = ["Outcome", "Plan", "chaos"]

MEMBERS = 3
_SESSION_S = 6
_KAFKA = {
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "2000",
    "group.consumer.min.session.timeout.ms": f"{_SESSION_S}000",
    "group.consumer.session.timeout.ms": f"{_SESSION_S}000",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for."""

    seed: int
    seconds: float
    folder: Path
    """Where logs and the servers' files go; the caller's to remove."""
    protocol: str = "classic"
    """group.protocol: classic or consumer."""
    hapi: bool = False
    """A real HAPI behind a proxy, which has the faults, in place of the sandbox's FHIR server."""
    pace_s: float = 0.35
    """Seconds between two happenings at the DICOM server, on average."""
    calm_s: float = 1.5
    """Seconds between two troubles, on average."""
    at_once: int = 3
    """Troubles at one time; on a slow machine each takes longer, and so there are fewer."""
    drain_s: float = 600.0
    """How long everything may take to come to rest."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of it."""

    violations: list[str]
    figures: Counter[str]


def chaos(plan: Plan) -> Outcome:
    """Runs it to its end. Every process it started has ended when it returns or raises."""
    with contextlib.ExitStack() as servers:
        kafka = servers.enter_context(KafkaBroker.started(_KAFKA))
        hapi = servers.enter_context(FhirServer.started()) if plan.hapi else None
        stage = _Stage(plan, kafka, hapi)
        try:
            stage.open()
            stage.suffer()
            stage.come_to_rest()
            first = stage.evidence()
            stage.replay()
            return stage.outcome(first)
        finally:
            stage.close()


class _Stage:
    """All the processes of a run, and what is noted while it goes on."""

    def __init__(self, plan: Plan, kafka: KafkaBroker, hapi: FhirServer | None) -> None:
        self._plan, self._hapi = plan, hapi
        fhir, dicom = free_ports(2)
        self._dicom_url, self._fhir_url = f"http://127.0.0.1:{dicom}", f"http://127.0.0.1:{fhir}"
        self._line = _line(plan, kafka.bootstrap, fhir=self._fhir_url, dicom=self._dicom_url)
        self._kafka = kafka.server
        self._fhir_file, self._dicom_file = plan.folder / "fhir.ndjson", plan.folder / "dicom.ndjson"
        self._cast = Cast(
            members=tuple(self._slot(f"member-{n}", "dicomcast_consumer", "run") for n in range(1, MEMBERS + 1)),
            guest=self._slot("guest", "dicomcast_consumer", "run"),
            producer=self._slot("producer", "dicomcast_producer", "run"),
            rival=self._slot("rival", "dicomcast_producer", "run"),
            fhir=self._fhir(fhir),
            fhir_url=self._fhir_url,
            dicom=self._peer("dicom", dicom, str(self._dicom_file), self._dicom_url),
            dicom_url=self._dicom_url,
            kafka=kafka.server,
            kafka_lock=threading.Lock(),
        )
        self._ending = threading.Event()
        self._room = threading.Semaphore(plan.at_once)
        self._samples: list[Sample] = []
        self._errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._figures: Counter[str] = Counter()

    def _slot(self, name: str, *command: str) -> Slot:
        return Slot(name=name, line=self._line, folder=self._plan.folder, command=command)

    def _fhir(self, port: int) -> Slot:
        url = f"{self._fhir_url}/fhir/metadata"
        if self._hapi is None:
            return self._peer("fhir", port, str(self._fhir_file), url)
        return self._peer("proxy", port, self._hapi.url.removesuffix("/fhir"), url)

    def _peer(self, name: str, port: int, place: str, url: str) -> Slot:
        command = ("tests.chaos.peer", name, str(port), place)
        return Slot(name=name, line=self._line, folder=self._plan.folder, command=command, url=url)

    @property
    def _slots(self) -> tuple[Slot, ...]:
        cast = self._cast
        return (*cast.members, cast.guest, cast.producer, cast.rival, cast.fhir, cast.dicom)

    @property
    def _steady(self) -> tuple[Slot, ...]:
        return (*self._cast.members, self._cast.producer)

    def open(self) -> None:
        """Starts everything."""
        self._line.create_topics()
        for slot in (self._cast.fhir, self._cast.dicom):
            slot.start_ready()
        for slot in self._steady:
            slot.start()
        for slot in self._steady:
            slot.wait_ready()
        self._in_background(self._tell_story)
        self._in_background(self._sample_offsets)

    def suffer(self) -> None:
        """Trouble after trouble, several at once."""
        chance = random.Random(f"trouble {self._plan.seed}")
        until_s = time.monotonic() + self._plan.seconds
        while (left_s := until_s - time.monotonic()) > 0 and not self._errors:
            if self._room.acquire(blocking=False):
                self._in_background(partial(self._trouble, next_trouble(self._cast, chance)))
            self._revive()
            self._ending.wait(min(left_s, chance.expovariate(1 / self._plan.calm_s)))
        self._ending.set()
        for thread in self._threads:
            thread.join(180)
        if self._errors:
            raise self._errors[0]

    def _trouble(self, trouble: Trouble) -> None:
        begun = datetime.now(UTC)
        try:
            if trouble.run(self._ending):
                self._figures[trouble.name] += 1
                self._note(f"{begun:%H:%M:%S.%f} to {datetime.now(UTC):%H:%M:%S.%f}: {trouble.name}")
        finally:
            self._room.release()

    def _note(self, text: str) -> None:
        with (self._plan.folder / "troubles.log").open("a") as sink:
            sink.write(f"{text}\n")

    def _revive(self) -> None:
        for slot in (*self._steady, self._cast.fhir, self._cast.dicom):
            if slot.lock.acquire(blocking=False):
                try:
                    slot.revive()
                finally:
                    slot.lock.release()

    def come_to_rest(self) -> None:
        """No more trouble: waits until the feed is on the topic and the topic is done."""
        begun_s = time.monotonic()
        store, _ = dicom_store(self._dicom_file)
        latest = store.latest(by_time=False)
        sequence = latest.row.sequence if latest else 0

        def is_done() -> bool:
            self._revive()
            return self._line.cursor() >= sequence and self._line.caught_up()

        def explain() -> str:
            offsets = f"{self._line.committed()} of {self._line.end_offsets()}"
            return f"it does not come to rest: cursor {self._line.cursor()} of {sequence}, offsets {offsets}"

        eventually(is_done, explain, within_s=self._plan.drain_s)
        self._figures["seconds_to_come_to_rest"] = round(time.monotonic() - begun_s)
        self._samples.append(Sample(at_s=time.time(), offsets=self._line.committed()))

    def replay(self) -> None:
        """All events once more, over what is there."""
        for slot in self._cast.members:
            slot.terminate()
        self._rewind()
        self._samples.append(Sample(at_s=time.time(), offsets={}, is_replay=True))
        for slot in self._cast.members:
            slot.start()
        eventually(self._line.caught_up, lambda: "the replay does not end", within_s=self._plan.drain_s)

    def _rewind(self) -> None:
        """To the earliest offsets: refused for as long as a member that was killed counts as live."""
        until = time.monotonic() + _SESSION_S * 3
        while True:
            with self._line.started("dicomcast_consumer", "replay", "apply", "--to", "earliest", "--yes") as running:
                if running.process.wait(90) == 0:
                    return
                if "has live members" not in running.text or time.monotonic() > until:
                    raise AssertionError(running.text)
            time.sleep(1)

    def close(self) -> None:
        """Ends every process of the run."""
        self._ending.set()
        for thread in self._threads:
            thread.join(60)
        self._kafka.thaw()
        for slot in self._slots:
            with contextlib.suppress(ProcessLookupError):
                slot.kill()

    # --- beside the trouble ---

    def _in_background(self, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:
                self._errors.append(error)

        thread = threading.Thread(target=guarded, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _tell_story(self) -> None:
        story, chance = Story(self._plan.seed), random.Random(f"pace {self._plan.seed}")
        while not self._ending.wait(chance.expovariate(1 / self._plan.pace_s)):
            operations = story.next()
            while True:  # a server that was killed has what it wrote down; the rest is asked for again
                try:
                    httpx.post(f"{self._dicom_url}/chaos/operations", json=operations, timeout=30).raise_for_status()
                    break
                except httpx.TransportError:
                    time.sleep(0.2)

    def _sample_offsets(self) -> None:
        consumer = Consumer(
            {"log_level": 0, "bootstrap.servers": self._line.bootstrap, "group.id": self._line.group}
            | {"enable.auto.commit": False}
        )
        places = [TopicPartition(self._line.topic, p) for p in range(self._line.partitions)]
        try:
            while not self._ending.wait(0.3):
                with contextlib.suppress(KafkaException):
                    found = consumer.committed(places, timeout=5)
                    offsets = {one.partition: one.offset for one in found if one.offset >= 0 and one.error is None}
                    self._samples.append(Sample(at_s=time.time(), offsets=offsets))
        finally:
            consumer.close()

    # --- afterwards ---

    def evidence(self) -> Evidence:
        """What there is to judge by now."""
        store, _ = dicom_store(self._dicom_file)
        return Evidence(
            rows=[
                FeedRow(
                    sequence=entry.row.sequence,
                    action=entry.row.action,
                    study=entry.row.key.study_instance_uid,
                    series=entry.row.key.series_instance_uid,
                    sop=entry.row.key.sop_instance_uid,
                )
                for entry in store.window(0, 1 << 40)
            ],
            live={
                one.sop_instance_uid: int(one.data_set["00200013"]["Value"][0])  # type: ignore[index]
                for one in store.instances()
            },
            records=[
                TopicRecord(
                    partition=item.partition() or 0,
                    offset=item.offset() or 0,
                    key=(item.key() or b"").decode(),
                    event=decode(item.value()),
                )
                for item in self._line.read()
            ],
            letters=[_letter(text_headers(item.headers())) for item in self._line.read(self._line.letters_topic)],
            transactions=self._transactions(),
            samples=list(self._samples),
            ends_lost=ends_lost(self._cast.producer.text + self._cast.rival.text, self._line.topic),
        )

    def _transactions(self) -> list[Transaction]:
        if self._hapi is None:
            return [_transaction(line) for line in lines(self._fhir_file)]
        return history(self._hapi.url)

    def outcome(self, first: Evidence) -> Outcome:
        """The verdict before the replay and the one after it, and the run's figures."""
        verdict, again = judge(first), judge(self.evidence())
        violations = verdict.violations + [f"after a replay: {text}" for text in again.violations]
        for slot in self._slots:
            violations += slot.faults
            if "Traceback" in slot.text:
                violations.append(f"{slot.name} has a traceback in {slot.log}")
        figures = verdict.figures
        figures["transactions_of_the_replay"] = again.figures["transactions"] - figures["transactions"]
        figures.update(self._figures)
        for slot in self._slots:
            figures.update({f"exit {name}": count for name, count in slot.exits.items()})
        text = "".join(slot.text for slot in self._slots)
        for name in ("assigned", "revoked", "lost"):
            figures[f"partitions_{name}"] = len(re.findall(rf"event=\S*{name}", text))
        return Outcome(violations=violations, figures=figures)


def _line(plan: Plan, bootstrap: str, *, fhir: str, dicom: str) -> Line:
    env = {
        "DICOMCAST_FEED__NAME": "main",
        "DICOMCAST_FEED__URL": dicom,
        "DICOMCAST_FEED__POLL_INTERVAL_S": "0.3",
        "DICOMCAST_FEED__GAP_SETTLE_S": "1",
        "DICOMCAST_FEED__TIMEOUT_S": "4",
        "DICOMCAST_PRODUCER__IDENTITY_CHECK_S": "10",
        "DICOMCAST_PRODUCER__TRANSACTION_TIMEOUT_S": "15",
        "DICOMCAST_FHIR__URL": f"{fhir}/fhir",
        "DICOMCAST_FHIR__TIMEOUT_S": "4",
        "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": f"{dicom}/v2",
        "DICOMCAST_SOURCES__MAIN__TIMEOUT_S": "4",
        "DICOMCAST_CONSUMER__DRAIN_S": "5",
        "DICOMCAST_KAFKA__GROUP_PROTOCOL": plan.protocol,
    }
    line = Line(bootstrap=bootstrap, env=env, partitions=6)
    if plan.protocol == "consumer":
        del line.env["DICOMCAST_KAFKA__SESSION_TIMEOUT_MS"]  # KIP-848: the broker's setting
    return line


def _letter(headers: Mapping[str, str]) -> Letter:
    return Letter(
        partition=int(headers[DeadLetterHeader.SOURCE_PARTITION]),
        offset=int(headers[DeadLetterHeader.SOURCE_OFFSET]),
        code=headers[DeadLetterHeader.ERROR_CODE],
    )


def _transaction(line: Mapping[str, object]) -> Transaction:
    versions = line["versions"]
    assert isinstance(versions, list)
    return Transaction(
        at_s=float(str(line["at_s"])),
        versions=tuple(
            Written(type=one["type"], id=one["id"], number=one["number"], resource=one["resource"]) for one in versions
        ),
    )
