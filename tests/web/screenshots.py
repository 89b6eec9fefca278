"""The pictures of docs/web.md: `python -m tests.web.screenshots` (Kafka installed, or named in TEST_KAFKA).

Servers, events and dead letters are those of a stand-in stack at work. The hour before it was started is invented.
"""

import io
import math
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import uvicorn
from dicomcast_consumer.web.app import Parts, page_app
from dicomcast_consumer.web.history import WINDOW_S, Sample
from dicomcast_consumer.web.sampler import ask_members
from dicomcast_consumer.web.serve import listener, parts_of
from dicomcast_consumer.web.settings import WebSettings
from dicomcast_runtime.settings import load_settings
from dicomcast_sandbox.fhir.faults import RequestSeen
from PIL import Image
from playwright.sync_api import Browser

from tests.fakes.processes import eventually
from tests.services.peers import KafkaBroker
from tests.web.browser import chromium
from tests.web.stack import Stack, stack

IMAGES = Path(__file__).parents[2] / "docs" / "images"
STUDY = "1.2.826.0.1.3680043.8.498"
SHOWN = f"{STUDY}.7"
"""The study that differs."""
SIZE = {"width": 1280, "height": 900}


def main() -> None:
    """Writes them all."""
    with ExitStack() as entered:
        bootstrap = os.environ.get("TEST_KAFKA") or entered.enter_context(KafkaBroker.started()).bootstrap
        suffix = os.urandom(2).hex()
        line = entered.enter_context(stack(bootstrap, topic=f"dicom.changes.{suffix}", group="radiology"))
        _fill(line)
        with _page(line) as url, chromium() as browser:
            _take_all(browser, url, _letter(line))


def _fill(line: Stack) -> None:
    """Studies that are applied, some that the mapping rejects, two that the FHIR server refuses."""
    files = [line.file(f"{STUDY}.{study}") for study in range(1, 41) for _ in range(1 + study % 4)]
    rejected = [line.file(f"{STUDY}.{study}", PatientID=None) for study in range(41, 46)]
    refused = [line.file(f"{STUDY}.{study}") for study in (46, 47)]
    uids = tuple(file.study.encode() for file in refused)
    line.fhir.faults.answer(422, times=None, when=lambda seen: _writes(seen, uids))
    line.store(*files, *rejected, *refused)
    line.applied(len(files) + len(rejected) + len(refused))
    line.take_out(SHOWN)


def _writes(seen: RequestSeen, uids: Sequence[bytes]) -> bool:
    return not seen.path.endswith("_search") and any(b"urn:oid:" + uid + b'"' in seen.body for uid in uids)


def _letter(line: Stack) -> str:
    found = next(item for item in line.line.read(line.line.letters_topic))
    return f"{found.partition()}:{found.offset()}"


@contextmanager
def _page(line: Stack) -> Iterator[str]:
    """The page in this process, so that it can be told of an hour that nobody has watched."""
    member = line.member
    environ = {**line.line.env, "DICOMCAST_WEB__MEMBERS": f'["{member}"]', "DICOMCAST_WEB__SAMPLE_EVERY_S": "60"}
    settings = load_settings(WebSettings, environ=environ)
    eventually(lambda: ask_members([member])[0].studies_in_flight == 0)
    with parts_of(settings) as parts, listener("127.0.0.1:0") as sock:
        _invent(parts)
        server = uvicorn.Server(uvicorn.Config(page_app(parts), log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def _invent(parts: Parts) -> None:
    """An hour of samples that ends in what was seen: a busy morning with an outage of FHIR in it."""
    while not parts.sampler.seen.samples or parts.sampler.seen.pending is None:
        time.sleep(0.05)
    seen = parts.sampler.seen
    last = seen.samples[-1]
    samples: list[Sample] = []
    backlog = dict.fromkeys(last.ends, 0.0)
    arrived = dict.fromkeys(last.ends, 0.0)
    for step in range(int(WINDOW_S // 10)):
        for p in last.ends:
            wave = 2.2 + 1.1 * math.sin(step / 29 + p) + 0.5 * math.sin(step / 5.3 + 2 * p)
            arrives = 10 * max(0.1, wave)
            applies = 0.0 if 150 <= step < 186 else min(backlog[p] + arrives, 10 * 6.5 + 5 * math.sin(step / 3 + p))
            backlog[p] += arrives - applies
            arrived[p] += arrives
        at_s = last.at_s - WINDOW_S + 10 * step
        samples.append(
            Sample(
                at_s=at_s,
                reads_on={p: int(arrived[p] - backlog[p]) for p in last.ends},
                ends={p: int(arrived[p]) for p in last.ends},
            )
        )
    shift = {p: last.ends[p] - samples[-1].ends[p] - 20 for p in last.ends}
    moved = [
        Sample(
            at_s=each.at_s,
            reads_on={p: n + shift[p] for p, n in each.reads_on.items()},
            ends={p: n + shift[p] for p, n in each.ends.items()},
        )
        for each in samples
    ]
    parts.sampler.seen = replace(seen, samples=(*moved, last))


def _take_all(browser: Browser, url: str, letter: str) -> None:
    IMAGES.mkdir(exist_ok=True)
    for name, path, scheme in (
        ("web-overview", "/", "light"),
        ("web-overview-dark", "/", "dark"),
        ("web-letters", "/letters", "light"),
        ("web-letter", f"/letters/{letter}", "light"),
        ("web-study", f"/study?uid={SHOWN}", "light"),
    ):
        page = browser.new_page(viewport=SIZE, color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(url + path)
        _save(page.screenshot(full_page=True), IMAGES / f"{name}.png")
        page.close()


def _save(png: bytes, path: Path) -> None:
    """With 128 colours, which are enough for it and a third of the size."""
    Image.open(io.BytesIO(png)).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
