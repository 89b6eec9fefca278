"""How a process authenticates to an HTTP peer, and the one client it keeps per peer."""

import ssl
import time
from collections.abc import AsyncGenerator
from typing import Final, Literal

import httpx
from pydantic import Field, SecretStr, model_validator

from .errors import ConfigurationError
from .settings import Section

__all__ = ["AuthSettings", "OAuth2ClientCredentials", "PeerSettings", "TokenError", "peer_client"]

_EARLY_S: Final = 60.0
"""A token is renewed this long before it expires."""


class AuthSettings(Section):
    """Authentication to one peer; `kind` says which of the other settings are needed."""

    kind: Literal["none", "basic", "bearer", "oauth2"] = Field(default="none", description="How to authenticate.")
    username: str | None = Field(default=None, description="basic: user name.")
    password: SecretStr | None = Field(default=None, description="basic: password.")
    token: SecretStr | None = Field(default=None, description="bearer: the token, sent as it is.")
    token_url: str | None = Field(
        default=None, description="oauth2: token endpoint (client credentials, RFC 6749 4.4)."
    )
    client_id: str | None = Field(default=None, description="oauth2: client id.")
    client_secret: SecretStr | None = Field(default=None, description="oauth2: client secret.")
    scope: str | None = Field(default=None, description="oauth2: scope, independent of the peer's URL.")
    audience: str | None = Field(default=None, description="oauth2: audience parameter, where one is wanted.")
    resource: str | None = Field(
        default=None, description="oauth2: resource parameter (RFC 8707), where one is wanted."
    )

    @model_validator(mode="after")
    def _complete(self) -> "AuthSettings":
        needed = {
            "none": (),
            "basic": ("username", "password"),
            "bearer": ("token",),
            "oauth2": ("token_url", "client_id", "client_secret"),
        }[self.kind]
        missing = [name for name in needed if getattr(self, name) is None]
        if missing:
            raise ValueError(f"kind={self.kind} needs {', '.join(missing)}")
        return self


class PeerSettings(Section):
    """An HTTP peer: where it is and how to speak to it."""

    url: str = Field(description="Base URL.")
    auth: AuthSettings = Field(default=AuthSettings(), description="How to authenticate.")
    ca_file: str | None = Field(
        default=None, description="CA certificates (PEM) to check the peer by; else the system's."
    )
    client_cert_file: str | None = Field(default=None, description="Client certificate (PEM) for mutual TLS.")
    client_key_file: str | None = Field(default=None, description="Private key (PEM) of the client certificate.")
    timeout_s: float = Field(default=60.0, gt=0, description="Seconds to wait for an answer.")

    @model_validator(mode="after")
    def _check(self) -> "PeerSettings":
        try:
            url = httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise ValueError(f"url is not a URL: {error}") from None
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError("url must start with http:// or https:// and name a host")
        if url.userinfo:
            raise ValueError("url must not hold a password: use auth.kind=basic")
        return self


class TokenError(httpx.TransportError):
    """The token endpoint refused or could not be read; its answer is not shown, it may repeat the secret."""


class OAuth2ClientCredentials(httpx.Auth):
    """Bearer tokens by the client credentials grant: kept until they expire, fetched once more after a 401."""

    requires_response_body = False

    def __init__(self, settings: AuthSettings, *, token_client: httpx.AsyncClient) -> None:
        self._settings = settings
        self._client = token_client
        self._token: str | None = None
        self._expires_at = 0.0

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Adds the token; after a 401 a fresh one is tried once."""
        if self._token is None or time.monotonic() >= self._expires_at:
            await self._renew()
        used = self._token
        request.headers["Authorization"] = f"Bearer {used}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            if self._token == used:
                await self._renew()
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    async def _renew(self) -> None:
        settings = self._settings
        assert settings.token_url
        assert settings.client_id
        assert settings.client_secret  # AuthSettings._complete
        form = {"grant_type": "client_credentials"}
        form |= {n: v for n in ("scope", "audience", "resource") if (v := getattr(settings, n)) is not None}
        answer = await self._client.post(
            settings.token_url,
            data=form,
            auth=httpx.BasicAuth(settings.client_id, settings.client_secret.get_secret_value()),
        )
        if answer.status_code != httpx.codes.OK:
            raise TokenError(f"{settings.token_url} answered {answer.status_code} to the request for a token")
        try:
            body = answer.json()
            self._token = str(body["access_token"])
            lifetime_s = float(body.get("expires_in", 300))
        except (ValueError, KeyError, TypeError):
            raise TokenError(f"{settings.token_url} gave no access_token") from None
        self._expires_at = time.monotonic() + max(lifetime_s - _EARLY_S, lifetime_s / 2)


def peer_client(peer: PeerSettings, *, max_connections: int = 32) -> httpx.AsyncClient:
    """The client for one peer, with its base URL, authentication, TLS and bounds. Raises ConfigurationError.

    Redirects are not followed: no request goes to a host that a person did not name.
    """
    limits = httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)
    timeout = httpx.Timeout(peer.timeout_s, connect=min(peer.timeout_s, 10.0), pool=None)
    verify = _tls(peer)
    return httpx.AsyncClient(
        base_url=peer.url.rstrip("/") + "/",
        auth=_auth(peer, verify, timeout),
        verify=verify,
        timeout=timeout,
        limits=limits,
        follow_redirects=False,
    )


def _tls(peer: PeerSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=peer.ca_file)
        if peer.client_cert_file:
            context.load_cert_chain(peer.client_cert_file, peer.client_key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"TLS files for {peer.url} cannot be used: {error}") from None
    return context


def _auth(peer: PeerSettings, verify: ssl.SSLContext, timeout: httpx.Timeout) -> httpx.Auth | None:
    auth = peer.auth
    if auth.kind == "basic":
        assert auth.username is not None
        assert auth.password is not None
        return httpx.BasicAuth(auth.username, auth.password.get_secret_value())
    if auth.kind == "bearer":
        assert auth.token is not None
        return _Bearer(auth.token)
    if auth.kind == "oauth2":
        # Asked once in a token's life: no connection is kept, so nothing is left to close.
        limits = httpx.Limits(max_keepalive_connections=0)
        return OAuth2ClientCredentials(
            auth, token_client=httpx.AsyncClient(verify=verify, timeout=timeout, limits=limits)
        )
    return None


class _Bearer(httpx.Auth):
    def __init__(self, token: SecretStr) -> None:
        self._token = token

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        request.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        yield request
