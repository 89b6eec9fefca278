"""What no answer of the page goes without: headers, the Host check, GET alone, no traceback.

A page on 127.0.0.1 is still asked by every site that the person's browser has open. So the Host must be one that DNS
cannot be bent to (an IP address, localhost, or a name from the settings), other sites can neither frame nor embed it,
and what they load from it in the background is refused.
"""

import ipaddress
from collections.abc import Collection, Mapping
from typing import Final

import structlog
from dicomcast_runtime.logs import raised_at
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HEADERS", "Guard", "host_allowed", "refusal"]

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_METHODS: Final = ("GET", "HEAD")

_log = structlog.get_logger()


def host_allowed(host: str, names: Collection[str]) -> bool:
    """Whether a Host header is an IP address, localhost or one of the names, with or without a port."""
    name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    name = name.lower().rstrip(".")
    if name == "localhost" or name in {each.lower() for each in names}:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def refusal(method: str, headers: Mapping[str, str], names: Collection[str]) -> tuple[int, str] | None:
    """Status and text for a request that is not answered; None for one that is."""
    if method not in _METHODS:
        return 405, "this page can only be read (GET)\n"
    if not host_allowed(headers.get("host", ""), names):
        return 421, "this host name is not known here: add it to DICOMCAST_WEB__HOSTS\n"
    elsewhere = headers.get("sec-fetch-site") in ("cross-site", "same-site")
    if elsewhere and headers.get("sec-fetch-mode") != "navigate":
        return 403, "another site may link to this page, not load from it\n"
    return None


class Guard:
    """ASGI middleware, the outermost."""

    def __init__(self, app: ASGIApp, *, names: Collection[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or refuses to."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        refused = refusal(scope["method"], Headers(scope=scope), self._names)
        if refused is not None:
            await _text(*refused)(scope, receive, answer)
            return
        try:
            await self._app(scope, receive, answer)
        except Exception as error:  # the text of an unknown error may hold patient data
            where = f"{type(error).__name__} at {raised_at(error)}"
            _log.error("web.defect", reason=where)
            if not answer.begun:
                await _text(500, f"{where}: this is a bug, please report it\n")(scope, receive, answer)


class _Answer:
    """Sends an answer on, with the headers."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


def _text(status: int, text: str) -> Response:
    return PlainTextResponse(text, status_code=status, headers={"Allow": "GET, HEAD"} if status == 405 else None)
