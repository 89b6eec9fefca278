"""How a process authenticates to an HTTP peer."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Final
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from .peer_settings import AuthSettings

__all__ = ["Bearer", "OAuth2ClientCredentials", "TokenError"]

_EARLY_S: Final = 60.0
"""A token is renewed this long before it expires."""
_LIFETIME_S: Final = 300.0
"""Of a token that does not say how long it lives."""


class TokenError(httpx.TransportError):
    """No token. `refused`: the endpoint answered that it will not give one; else it may, later, after `retry_after`.

    Its answer is not shown, it may repeat the secret.
    """

    def __init__(self, text: str, *, refused: bool = False, retry_after: str | None = None) -> None:
        super().__init__(text)
        self.refused = refused
        self.retry_after = retry_after


class Bearer(httpx.Auth):
    """A token that is sent as it is."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Adds the token."""
        request.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        yield request


class OAuth2ClientCredentials(httpx.Auth):
    """Bearer tokens by the client credentials grant: kept until they expire, fetched once more after a 401."""

    requires_response_body = False

    def __init__(self, settings: AuthSettings, *, token_client: httpx.AsyncClient) -> None:
        self._settings = settings
        self._client = token_client
        self._token: str | None = None
        self._expires_at = 0.0
        self._renewing = asyncio.Lock()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Adds the token; after a 401 a fresh one is tried once."""
        if self._is_stale():
            await self._renew(self._token)
        used = self._token
        request.headers["Authorization"] = f"Bearer {used}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            await self._renew(used)
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    def _is_stale(self) -> bool:
        return self._token is None or time.monotonic() >= self._expires_at

    async def _renew(self, old: str | None) -> None:
        """A token in the place of the old one: requests that need one at the same time ask for one together."""
        async with self._renewing:
            if self._token == old:
                await self._fetch()

    async def _fetch(self) -> None:
        url = self._settings.token_url
        assert url  # AuthSettings._complete
        try:
            answer = await self._ask(url)
        except httpx.TransportError as error:
            raise TokenError(f"{url} gives no token ({type(error).__name__})") from error
        if answer.status_code != httpx.codes.OK:
            refused = answer.is_redirect or answer.status_code in (400, 401, 403, 404, 405)
            text = f"{url} answered {answer.status_code} to the request for a token"
            raise TokenError(text, refused=refused, retry_after=answer.headers.get("Retry-After"))
        try:
            body = answer.json()
            token, lifetime_s = str(body["access_token"]), float(body.get("expires_in") or _LIFETIME_S)
            token.encode("ascii")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise TokenError(f"{url} gave no access_token") from None
        self._token, self._expires_at = token, time.monotonic() + max(lifetime_s - _EARLY_S, lifetime_s / 2)

    async def _ask(self, url: str) -> httpx.Response:
        settings = self._settings
        assert settings.client_id
        assert settings.client_secret  # AuthSettings._complete
        secret = settings.client_secret.get_secret_value()
        form = {"grant_type": "client_credentials"}
        form |= {n: v for n in ("scope", "audience", "resource") if (v := getattr(settings, n)) is not None}
        if settings.client_auth == "post":
            return await self._client.post(url, data={**form, "client_id": settings.client_id, "client_secret": secret})
        # RFC 6749 2.3.1: both are encoded as in a form before they become a user and a password.
        pair = httpx.BasicAuth(quote(settings.client_id, safe=""), quote(secret, safe=""))
        return await self._client.post(url, data=form, auth=pair)
