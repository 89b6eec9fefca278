"""The pages, of what a sampler and a shelf might hold: hostile letters, and faults in place of answers."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from dicomcast_consumer.dlq import read_letter
from dicomcast_consumer.dlq_done import KeptLetter, kept_letters
from dicomcast_consumer.record import Record
from dicomcast_consumer.web.app import Parts, page_app
from dicomcast_consumer.web.members import away
from dicomcast_consumer.web.overview import Snapshot
from dicomcast_consumer.web.settings import WebSettings
from dicomcast_runtime.errors import DependencyError, StopError
from dicomcast_runtime.settings import load_settings
from dicomcast_schemas.topic import DeadLetterHeader

from tests.fakes.events import create, record

EVIL = "<img src=x onerror=alert(1)>\"'"
SETTINGS = load_settings(
    WebSettings,
    environ={
        "DICOMCAST_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "DICOMCAST_KAFKA__SASL_PASSWORD": "s3cret",
        "DICOMCAST_FHIR__URL": "http://127.0.0.1:9/fhir",
        "DICOMCAST_FHIR__AUTH__KIND": "bearer",
        "DICOMCAST_FHIR__AUTH__TOKEN": "s3cret",
        "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": "http://127.0.0.1:9/dicomweb",
    },
)


@dataclass
class Sampled:
    """Stands in for the sampler."""

    seen: Snapshot = field(default_factory=Snapshot)


@dataclass
class Shelved:
    """Stands in for the shelf."""

    records: Sequence[Record] = ()
    fault: StopError | None = None
    topic: str = "t.g.dlq"

    def kept(self) -> list[KeptLetter]:
        if self.fault is not None:
            raise self.fault
        return kept_letters([read_letter(each) for each in self.records], {})

    def record(self, partition: int, offset: int) -> Record | None:
        self.kept()
        return next((r for r in self.records if (r.partition, r.offset) == (partition, offset)), None)


def letter(text: str = EVIL) -> Record:
    h = DeadLetterHeader
    said = {h.REASON: text, h.ERROR_CODE: text, h.ERROR_MESSAGE: text, h.SOURCE_TOPIC: text}
    said |= {h.SOURCE_PARTITION: "0", h.SOURCE_OFFSET: "7", text: text}
    found = record(create(1, "1.2.3", "1.2.3.1", description=EVIL), offset=3)
    return replace(found, key=text.encode(), headers=tuple((n, v.encode()) for n, v in said.items()))


def answer(path: str, shelf: Shelved | None = None, seen: Snapshot | None = None) -> httpx.Response:
    fakes: dict[str, Any] = {"sampler": Sampled(seen or Snapshot()), "shelf": shelf or Shelved(), "topic": None}
    app = page_app(Parts(settings=SETTINGS, **fakes))

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
            return await client.get(path)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "path", ["/letters", "/letters/0:3", f"/letters?code={EVIL}&study={EVIL}", f"/study?uid={EVIL}"]
)
def test_nothing_that_others_wrote_is_markup(path: str) -> None:
    found = answer(path, Shelved([letter()]))
    assert found.status_code == 200
    assert "<img src=x" not in found.text
    assert "&lt;img src=x" in found.text


@pytest.mark.parametrize("path", ["/", "/letters", "/letters/0:3", "/study"])
def test_no_secret_and_no_patient_is_on_any_page(path: str) -> None:
    found = answer(path, Shelved([letter("map.x")]))
    assert found.status_code == 200
    assert "s3cret" not in found.text
    assert "Doe" not in found.text


@pytest.mark.parametrize("path", ["/letters", "/letters/0:3"])
def test_a_key_that_is_no_uid_is_not_shown(path: str) -> None:
    foreign = replace(letter("map.x"), key=b"Meier^Hans", value=b"PID|Meier^Hans", headers=(("x", b"Meier^Hans"),))
    assert "Meier" not in answer(path, Shelved([foreign])).text
    known = answer(path, Shelved([replace(foreign, key=b"1.2.3")])).text
    assert '<a class="uid" href="/study?uid=1.2.3">1.2.3</a>' in known


@pytest.mark.parametrize("path", ["/letters", "/letters/0:3"])
def test_kafka_away_is_a_sentence_that_says_what_to_do(path: str) -> None:
    found = answer(path, Shelved(fault=DependencyError("reading t: is Kafka up?")))
    assert found.status_code == 200
    assert "is Kafka up?" in found.text


@pytest.mark.parametrize(
    "path", ["/letters/x", "/letters/9:9", "/letters/1:2:3", "/partitions/7", "/nowhere", "/study/x"]
)
def test_what_is_not_there_says_so(path: str) -> None:
    found = answer(path)
    assert found.status_code == 404
    assert "Back to the overview" in found.text


def test_the_overview_is_there_before_the_first_look() -> None:
    found = answer("/")
    assert "Kafka is being asked" in found.text
    assert "No member is known" in found.text


def test_a_member_that_is_away_is_named() -> None:
    seen = Snapshot(at=datetime(2026, 5, 1, tzinfo=UTC), members=(away("http://10.0.0.7:9580", "no answer (X)"),))
    assert "10.0.0.7:9580" in answer("/", seen=seen).text


@pytest.mark.parametrize("path", ["/static/style.css", "/static/page.js", "/static/icon.svg"])
def test_what_the_pages_need_is_in_the_package(path: str) -> None:
    assert answer(path).status_code == 200


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/", "/templates/base.html"])
def test_and_nothing_else_is(path: str) -> None:
    assert answer(path).status_code == 404
