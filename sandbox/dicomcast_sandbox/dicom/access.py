"""Who may ask: everyone, or HTTP Basic, a bearer token, or OAuth 2.0 client credentials (RFC 6749 4.4) with /token."""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from typing import Protocol
from urllib.parse import parse_qs, unquote_plus

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

TOKEN_PATH = "/token"  # noqa: S105  a path


class Access(Protocol):
    """Decides on one Authorization header."""

    challenge: str

    def allows(self, authorization: str) -> bool: ...


class Open:
    """Everyone may."""

    challenge = ""

    def allows(self, authorization: str) -> bool:
        return True


class Basic:
    """RFC 7617."""

    challenge = 'Basic realm="dicom"'

    def __init__(self, user: str, password: str) -> None:
        self._expected = f"{user}:{password}"

    def allows(self, authorization: str) -> bool:
        return secrets.compare_digest(_basic_pair(authorization).encode(), self._expected.encode())


class Bearer:
    """One fixed token (RFC 6750)."""

    challenge = "Bearer"

    def __init__(self, token: str) -> None:
        self._expected = f"bearer {token}"

    def allows(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        return secrets.compare_digest(f"{scheme.lower()} {token}".encode(), self._expected.encode())


class ClientCredentials:
    """Tokens of limited life for one client; `revoke_all` ends them before their time."""

    challenge = 'Bearer error="invalid_token"'

    def __init__(self, client_id: str, client_secret: str, *, lifetime_s: float = 3600.0) -> None:
        self._client = f"{client_id}:{client_secret}"
        self.lifetime_s = lifetime_s
        self._expiry: dict[str, float] = {}
        self.issued = 0

    def allows(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self._expiry.get(token, 0.0) > time.monotonic()

    def revoke_all(self) -> None:
        self._expiry.clear()

    async def token(self, request: Request) -> Response:
        """The token endpoint: the client authenticates in the form or by Basic (RFC 6749 2.3.1)."""
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode("latin-1")).items()}
        if form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        header = _basic_pair(request.headers.get("authorization", ""))
        client = unquote_plus(header) or f"{form.get('client_id', '')}:{form.get('client_secret', '')}"
        if not secrets.compare_digest(client.encode(), self._client.encode()):
            return JSONResponse({"error": "invalid_client"}, 401, headers={"WWW-Authenticate": "Basic"})
        token = secrets.token_urlsafe(16)
        self._expiry[token] = time.monotonic() + self.lifetime_s
        self.issued += 1
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": int(self.lifetime_s)}
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})


class AccessMiddleware:
    """401 for who may not; the page for people and the token endpoint are open."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in ("/", TOKEN_PATH):
            request = Request(scope)
            if not self._access.allows(request.headers.get("authorization", "")):
                refusal = PlainTextResponse("", 401, headers={"WWW-Authenticate": self._access.challenge})
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _basic_pair(authorization: str) -> str:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
