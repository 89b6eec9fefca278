"""One line with its page and one browser for all tests of this folder."""

import os
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.fakes.processes import eventually
from tests.web.browser import MISSING, chromium, chromium_path
from tests.web.stack import Stack, stack

AGREES, LACKS, REJECTED, LATER = (f"1.2.826.0.1.3680043.8.498.{n}" for n in (1, 2, 3, 4))
"""Studies: in FHIR as on the DICOM server; with an instance taken out of FHIR; rejected; not stored at the begin."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Skips the test without a Chromium, and fails it where CI=true.

    Not for the whole session: Playwright has an event loop in this thread, beside which no other test could run one.
    """
    if chromium_path() is None:
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING, pytrace=False)
        pytest.skip(MISSING)
    expect.set_options(timeout=60_000)
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def line(kafka: str) -> Iterator[Stack]:
    """Three studies through the line; what is taken out of FHIR stays out, for nothing comes after it."""
    with stack(kafka) as found:
        found.store(found.file(AGREES), found.file(AGREES), found.file(LACKS), found.file(LACKS))
        found.store(found.file(REJECTED, PatientID=None))
        found.applied(5)
        found.take_out(LACKS)
        eventually(lambda: "1 pending" in httpx.get(found.url).text, lambda: httpx.get(found.url).text)
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A window whose every error, of a script or of the Content-Security-Policy, fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    opened, errors = context.new_page(), []
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert [text for text in errors if "404" not in text] == []
