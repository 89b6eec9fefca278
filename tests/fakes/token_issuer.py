"""An OAuth2 token endpoint (client credentials, RFC 6749 4.4) that issues signed JWTs, as an identity provider does."""

import base64
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import parse_qs, unquote_plus

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.serving import ServerTls, served

__all__ = ["TokenIssuer"]


class TokenIssuer:
    """Its clients, its key, and what it was asked for."""

    def __init__(self, *, issuer: str, audience: str, clients: Mapping[str, str]) -> None:
        """`clients`: secret by client id; the subject of a token is its client."""
        self._issuer = issuer
        self._audience = audience
        self._clients = dict(clients)
        self._key = RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS256", "use": "sig"})
        self.forms: list[dict[str, str]] = []
        """The request bodies, without the credentials."""
        self.lifetime_s = 3600
        self.tokens: list[str] = []

    @property
    def keys(self) -> dict[str, object]:
        """The JWKS document."""
        return dict(KeySet([self._key]).as_dict(private=False))

    def token(self, subject: str) -> str:
        """A signed token of the subject."""
        now = int(time.time())
        claims = {"iss": self._issuer, "aud": self._audience, "sub": subject, "iat": now, "exp": now + self.lifetime_s}
        made = jwt.encode({"alg": "RS256", "kid": "k1"}, {**claims, "jti": secrets.token_hex(4)}, self._key)
        self.tokens.append(made)
        return made

    @contextmanager
    def served(self, tls: ServerTls | None = None) -> Iterator[str]:
        """Runs the endpoint for the block; its URL."""
        app = Starlette(routes=[Route("/token", self._answer, methods=["POST"])])
        with served(app, tls=tls) as url:
            yield f"{url}/token"

    async def _answer(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        client = self._client(request.headers.get("Authorization", ""), form)
        if client is None or form.get("grant_type") != "client_credentials":
            # As some do, it repeats what it was sent: nothing of it may be shown.
            return JSONResponse({"error": "invalid_client", "error_description": str(dict(request.headers))}, 401)
        self.forms.append(form)
        return JSONResponse({"access_token": self.token(client), "token_type": "Bearer", "expires_in": self.lifetime_s})

    def _client(self, authorization: str, form: dict[str, str]) -> str | None:
        """The client that authenticates, by Basic or in the body (RFC 6749 2.3.1), which is taken out of the form."""
        client, secret = form.pop("client_id", ""), form.pop("client_secret", "")
        if authorization:
            pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
            client, _, secret = (unquote_plus(part) for part in pair.partition(":"))
        return client if secret and self._clients.get(client) == secret else None
