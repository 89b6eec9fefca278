"""What the HTTP status of a harmless request says about a peer's settings."""

from collections.abc import Awaitable
from typing import Final

import httpx

from .errors import ConfigurationError, DependencyError
from .http_client import peer_refusal

__all__ = ["require_answer"]

_LATER: Final = frozenset({408, 425, 429})


async def require_answer(status: Awaitable[int], *, url: str, prefix: str, way_out: str) -> None:
    """Returns when the status is below 300; the request is not made before.

    Raises ConfigurationError when a person must mend a setting, DependencyError when the peer is away or ill. `prefix`
    is the peer's settings, such as DICOMCAST_FHIR; `way_out` what to check when the address is wrong.
    """
    try:
        code = await status
    except (httpx.TransportError, httpx.DecodingError) as error:
        reason = peer_refusal(error, prefix)
        if reason is not None:
            raise ConfigurationError(f"{url} cannot be read: {reason}") from None
        raise DependencyError(
            f"{url} does not answer ({str(error) or type(error).__name__}): start it, or {way_out}"
        ) from None
    if code < 300:
        return
    if code == httpx.codes.UNAUTHORIZED:
        raise ConfigurationError(f"{url} answered 401: it does not know us: check {prefix}__AUTH__*")
    if code == httpx.codes.FORBIDDEN:
        raise ConfigurationError(f"{url} answered 403: give the account of {prefix}__AUTH__* the right to read")
    if code >= 500 or code in _LATER:
        raise DependencyError(f"{url} answered {code}: look into the server's log, or try again later")
    raise ConfigurationError(f"{url} answered {code}: {way_out}")
