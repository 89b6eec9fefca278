"""The one client that a process keeps per HTTP peer: its base URL, authentication, TLS and bounds."""

import ssl
from typing import Any, Final

import httpx

from .errors import ConfigurationError
from .http_auth import Bearer, OAuth2ClientCredentials, TokenError
from .http_connections import Connections
from .peer_settings import PeerHttpSettings, PeerSettings

__all__ = ["NO_CONNECTION", "AnswerTooLargeError", "PeerClient", "address_of", "peer_client", "peer_refusal"]

_DECODED: Final = ("Content-Encoding", "Content-Length", "Transfer-Encoding")
_CONNECT_S: Final = 10.0
_TOKEN_ANSWER_BYTES: Final = 1_000_000
NO_CONNECTION: Final = (httpx.ConnectError, httpx.ConnectTimeout)
"""What httpx raises before a request is sent: the peer is away, or its address is wrong."""


class AnswerTooLargeError(httpx.TransportError):
    """An answer is larger than max_answer_bytes; nothing of it was kept."""


class PeerClient(httpx.AsyncClient):
    """A client that reads no answer beyond a bound, counted after decompression."""

    def __init__(self, *, max_answer_bytes: int, **options: Any) -> None:
        super().__init__(**options)
        self._max_answer_bytes = max_answer_bytes

    async def send(self, request: httpx.Request, *, stream: bool = False, **options: Any) -> httpx.Response:
        """The whole answer. Raises AnswerTooLargeError, or what httpx raises."""
        response = await super().send(request, stream=True, **options)
        parts, size = list[bytes](), 0
        try:
            async for part in response.aiter_bytes():
                parts.append(part)
                size += len(part)
                if size > self._max_answer_bytes:
                    raise AnswerTooLargeError(
                        f"the answer is larger than max_answer_bytes={self._max_answer_bytes}", request=request
                    )
        finally:
            await response.aclose()
        headers = [(name, value) for name, value in response.headers.multi_items() if name.title() not in _DECODED]
        return httpx.Response(response.status_code, headers=headers, content=b"".join(parts), request=request)


def peer_client(peer: PeerSettings, *, max_connections: int = 32) -> PeerClient:
    """The client for one peer. Raises ConfigurationError.

    Redirects are not followed: no request goes to a host that a person did not name.
    """
    verify = _tls(peer)
    limits = httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)
    client = PeerClient(
        max_answer_bytes=peer.max_answer_bytes,
        base_url=peer.url.rstrip("/") + "/",
        auth=_auth(peer),
        verify=verify,
        timeout=_timeout(peer),
        limits=limits,
        follow_redirects=False,
    )
    # Put in afterwards: a client that is given a transport does not look for the environment's proxies.
    one = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    client._transport = Connections(lambda: httpx.AsyncHTTPTransport(verify=verify, limits=one), max_connections)
    return client


def address_of(client: httpx.AsyncClient) -> str:
    """The client's base URL for a log or an error: without user, password and query."""
    url = client.base_url
    return f"{url.scheme}://{url.netloc.decode()}{url.path.rstrip('/')}"


def peer_refusal(error: BaseException, prefix: str) -> str | None:
    """What a person must mend when TLS or the token endpoint lets nothing through; None for a peer that is away.

    `prefix` is the peer's settings, such as DICOMCAST_FHIR.
    """
    if isinstance(error, TokenError) and error.refused:
        return f"{error}: check {prefix}__AUTH__*"
    cause = _ssl_error(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({cause.verify_message}): check {prefix}__CA_FILE and the host name"
    if cause is not None and "alert" in (cause.reason or "").lower():
        reason = (cause.reason or "").lower().replace("_", " ")
        return f"it refuses our certificate or has none from us ({reason}): check {prefix}__CLIENT_CERT_FILE"
    return None


def _ssl_error(error: BaseException | None) -> ssl.SSLError | None:
    """The TLS error that httpx's errors stem from."""
    for _ in range(8):
        if error is None or isinstance(error, ssl.SSLError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _timeout(peer: PeerHttpSettings) -> httpx.Timeout:
    return httpx.Timeout(peer.timeout_s, connect=min(peer.timeout_s, _CONNECT_S), pool=None)


def _tls(peer: PeerSettings, *, system_too: bool = False) -> ssl.SSLContext:
    password = peer.client_key_password.get_secret_value() if peer.client_key_password else ""
    try:
        context = ssl.create_default_context(cafile=peer.ca_file)
        if system_too:
            context.load_default_certs()
        if peer.client_cert_file:
            # A password in any case: without one OpenSSL would ask for it on the terminal.
            context.load_cert_chain(peer.client_cert_file, peer.client_key_file, lambda: password)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"TLS files for {peer.url} cannot be used: {error}: check ca_file, client_cert_file, client_key_file and "
            "client_key_password"
        ) from None
    return context


def _auth(peer: PeerSettings) -> httpx.Auth | None:
    auth = peer.auth
    if auth.kind == "basic":
        assert auth.username is not None
        assert auth.password is not None
        return httpx.BasicAuth(auth.username, auth.password.get_secret_value())
    if auth.kind == "bearer":
        assert auth.token is not None
        return Bearer(auth.token)
    if auth.kind == "oauth2":
        tokens = PeerClient(
            max_answer_bytes=_TOKEN_ANSWER_BYTES,
            verify=_tls(peer, system_too=True),
            timeout=_timeout(peer),
            # Asked once in a token's life: no connection is kept, so nothing is left to close.
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        return OAuth2ClientCredentials(auth, token_client=tokens)
    return None
