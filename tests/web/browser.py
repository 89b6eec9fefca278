"""The machine's own Chromium, headless, driven by Playwright; nothing is downloaded."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

__all__ = ["MISSING", "chromium", "chromium_path"]

MISSING = "no Chromium: apt-get install --no-install-recommends chromium, or name one in TEST_CHROMIUM"


def chromium_path() -> str | None:
    """Where it is; None without one."""
    named = os.environ.get("TEST_CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Runs it for the block. As root in a container it has no sandbox of its own, and little shared memory."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium_path(), args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        try:
            yield browser
        finally:
            browser.close()
