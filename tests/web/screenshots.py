"""The pictures of docs/web.md: `python -m tests.web.screenshots` (Kafka installed, or named in TEST_KAFKA).

Servers, events and dead letters are those of a stand-in stack at work. The hour before it was started is invented.
"""

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import uvicorn
from dicomcast_consumer.web.app import Parts, page_app
from dicomcast_consumer.web.history import WINDOW_S, Sample
from dicomcast_consumer.web.serve import listener, parts_of
from dicomcast_consumer.web.settings import WebSettings
from dicomcast_runtime.settings import load_settings
from playwright.sync_api import Browser

from tests.services.peers import KafkaBroker
from tests.web.browser import chromium
from tests.web.stack import Stack, stack

IMAGES = Path(__file__).parents[2] / "docs" / "images"
STUDY = "1.2.826.0.1.3680043.8.498"
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
    files = [line.file(f"{STUDY}.{study}") for study in range(1, 41) for _ in range(1 + study % 4)]
    rejected = [line.file(f"{STUDY}.{study}", PatientID=None) for study in range(41, 46)]
    rejected.append(line.file(f"{STUDY}.46", PatientID="P" * 70))
    line.store(*files, *rejected)
    line.applied(len(files) + len(rejected))
    uid = f"{STUDY}.7"
    line.store(line.file(uid))
    line.applied(len(files) + len(rejected) + 1)


def _letter(line: Stack) -> str:
    found = next(item for item in line.line.read(line.line.letters_topic))
    return f"{found.partition()}:{found.offset()}"


@contextmanager
def _page(line: Stack) -> Iterator[str]:
    """The page in this process, so that it can be told of an hour that nobody has watched."""
    member = line.member
    environ = {**line.line.env, "DICOMCAST_WEB__MEMBERS": f'["{member}"]', "DICOMCAST_WEB__SAMPLE_EVERY_S": "60"}
    settings = load_settings(WebSettings, environ=environ)
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
        ("web-study", f"/study?uid={STUDY}.7", "light"),
    ):
        page = browser.new_page(viewport=SIZE, color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(url + path)
        page.screenshot(path=IMAGES / f"{name}.png", full_page=True)
        page.close()


if __name__ == "__main__":
    main()
