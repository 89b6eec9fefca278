"""What no answer of the page goes without."""

import asyncio
from typing import Any

import httpx
import pytest
from dicomcast_consumer.web.guard import HEADERS, Guard, host_allowed, refusal
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from structlog.testing import capture_logs


@pytest.mark.parametrize(
    "host", ["127.0.0.1:9590", "localhost:9590", "LOCALHOST", "[::1]:9590", "10.1.2.3", "page.example:443"]
)
def test_hosts_that_dns_cannot_be_bent_to_are_allowed(host: str) -> None:
    assert host_allowed(host, ["page.example"])


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:9590", "", "[::1", "page.example.evil"]
)
def test_other_hosts_are_not(host: str) -> None:
    assert not host_allowed(host, ["page.example"])


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {}, 405),
        ("GET", {"host": "evil.example"}, 421),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ("GET", {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, 403),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, None),
        ("GET", {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, None),
        ("HEAD", {}, None),
    ],
)
def test_what_is_refused(method: str, headers: dict[str, str], status: int | None) -> None:
    found = refusal(method, {"host": "localhost", **headers}, [])
    assert (found[0] if found else None) == status


def answer(method: str, path: str, host: str = "localhost") -> httpx.Response:
    """Of an application that is well at / and broken at /broken."""

    async def well(_: Request) -> PlainTextResponse:
        return PlainTextResponse("well")

    async def broken(_: Request) -> PlainTextResponse:
        raise KeyError("Doe^Jane")

    routes = [Route("/", well), Route("/broken", broken)]
    app: Any = Starlette(routes=routes, middleware=[Middleware(Guard, names=[])])

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await client.request(method, path)

    return asyncio.run(ask())


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/nowhere"), ("POST", "/"), ("GET", "/broken")])
def test_every_answer_has_the_headers(method: str, path: str) -> None:
    found = answer(method, path).headers
    assert {name: found[name] for name in HEADERS} == dict(HEADERS)
    assert found["cache-control"] == "no-store"


def test_no_script_or_style_of_the_page_itself_may_run() -> None:
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in HEADERS["Content-Security-Policy"]


def test_a_bug_is_one_line_that_says_nothing_of_a_patient() -> None:
    with capture_logs() as logged:
        found = answer("GET", "/broken")
    assert found.status_code == 500
    assert found.text.startswith("KeyError at test_guard.py:")
    assert "Doe" not in found.text
    assert [line["event"] for line in logged] == ["web.defect"]
    assert "Doe" not in str(logged)
