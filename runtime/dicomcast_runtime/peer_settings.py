"""How to speak to an HTTP peer: settings alone, so that a command that does not speak to it starts quickly."""

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from .settings import Section

__all__ = ["AuthSettings", "HttpUrl", "PeerHttpSettings", "PeerSettings"]

_NEEDED: Final = {
    "none": (),
    "basic": ("username", "password"),
    "bearer": ("token",),
    "oauth2": ("token_url", "client_id", "client_secret"),
}


def _http_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        well_formed = parts.port is None or parts.port >= 0
    except ValueError:
        well_formed = False
    if not well_formed or not url.isprintable() or " " in url:
        raise ValueError("is not a URL")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must start with http:// or https:// and name a host")
    if "@" in url:  # also behind a slash: a password may have one
        raise ValueError("must not hold a user or password: set them as settings of their own")
    return url


HttpUrl = Annotated[str, AfterValidator(_http_url)]
"""An http or https URL without credentials, as it was given."""


class AuthSettings(Section):
    """Authentication to one peer; `kind` says which of the other settings are needed."""

    kind: Literal["none", "basic", "bearer", "oauth2"] = Field(default="none", description="How to authenticate.")
    username: str | None = Field(default=None, description="basic: user name.")
    password: SecretStr | None = Field(default=None, description="basic: password.")
    token: SecretStr | None = Field(default=None, description="bearer: the token, sent as it is.")
    token_url: HttpUrl | None = Field(
        default=None, description="oauth2: token endpoint (client credentials, RFC 6749 4.4)."
    )
    client_id: str | None = Field(default=None, description="oauth2: client id.")
    client_secret: SecretStr | None = Field(default=None, description="oauth2: client secret.")
    client_auth: Literal["basic", "post"] = Field(
        default="basic",
        description="oauth2: where client id and secret stand in the request for a token, in the Authorization header "
        "or in the body (RFC 6749 2.3.1).",
    )
    scope: str | None = Field(default=None, description="oauth2: scope, independent of the peer's URL.")
    audience: str | None = Field(default=None, description="oauth2: audience parameter, where one is wanted.")
    resource: str | None = Field(
        default=None, description="oauth2: resource parameter (RFC 8707), where one is wanted."
    )

    @model_validator(mode="after")
    def _complete(self) -> "AuthSettings":
        missing = [name for name in _NEEDED[self.kind] if getattr(self, name) is None]
        if missing:
            raise ValueError(f"kind={self.kind} needs {', '.join(missing)}")
        return self


class PeerHttpSettings(Section):
    """How to speak to an HTTP peer."""

    auth: AuthSettings = Field(default=AuthSettings(), description="How to authenticate.")
    ca_file: str | None = Field(
        default=None,
        description="CA certificates (PEM) to check the peer by, in place of the system's; a token endpoint is checked "
        "by both.",
    )
    client_cert_file: str | None = Field(default=None, description="Client certificate (PEM) for mutual TLS.")
    client_key_file: str | None = Field(
        default=None, description="Private key (PEM) of the client certificate, where it is not in the same file."
    )
    client_key_password: SecretStr | None = Field(default=None, description="Password of that key, if it has one.")
    timeout_s: float = Field(default=60.0, gt=0, description="Seconds to wait for an answer.")
    max_answer_bytes: int = Field(
        default=128 * 1024 * 1024,
        ge=1_000_000,
        description="Largest answer that is read, decompressed; a larger one counts as a failed request.",
    )


class PeerSettings(PeerHttpSettings):
    """An HTTP peer: where it is and how to speak to it."""

    url: HttpUrl = Field(description="Base URL.")
