"""HTTP peers: the kinds of authentication, WADO-RS metadata, how long to wait."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest
from dicomcast_consumer.errors import UnreachableError
from dicomcast_consumer.fhir_client import FhirClient
from dicomcast_runtime.backoff import full_jitter, retry_after_s
from dicomcast_runtime.dicomweb_client import DicomWebError, InstanceGoneError, read_metadata
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.http_auth import OAuth2ClientCredentials, TokenError
from dicomcast_runtime.http_client import address_of, peer_client
from dicomcast_runtime.peer_settings import AuthSettings, PeerSettings
from pydantic import SecretStr

OAUTH2 = AuthSettings(
    kind="oauth2",
    token_url="https://login.example.org/token",
    client_id="id",
    client_secret=SecretStr("s3cret"),
    scope="fhir/.default",
    audience="https://audience.example.org",
)


class TokenEndpoint:
    """Gives t1, t2 …; the resource accepts what `valid` holds."""

    def __init__(self) -> None:
        self.forms: list[str] = []
        self.valid: set[str] = {"t1", "t2"}
        self.status = 200
        self.lifetime_s: int | None = 3600

    def token(self, request: httpx.Request) -> httpx.Response:
        self.forms.append(request.content.decode())
        return httpx.Response(self.status, json={"access_token": f"t{len(self.forms)}", "expires_in": self.lifetime_s})

    def resource(self, request: httpx.Request) -> httpx.Response:
        given = request.headers["Authorization"].removeprefix("Bearer ")
        return httpx.Response(200 if given in self.valid else 401)


def get(endpoint: TokenEndpoint, times: int = 1) -> list[int]:
    async def scenario() -> list[int]:
        tokens = httpx.AsyncClient(transport=httpx.MockTransport(endpoint.token))
        auth = OAuth2ClientCredentials(OAUTH2, token_client=tokens)
        async with tokens, httpx.AsyncClient(transport=httpx.MockTransport(endpoint.resource), auth=auth) as client:
            return [(await client.get("https://fhir.example.org/")).status_code for _ in range(times)]

    return asyncio.run(scenario())


def test_a_token_is_fetched_once_with_scope_and_audience() -> None:
    endpoint = TokenEndpoint()
    assert get(endpoint, 3) == [200, 200, 200]
    (form,) = endpoint.forms
    assert "grant_type=client_credentials" in form
    assert "scope=fhir%2F.default" in form
    assert "audience=https%3A%2F%2Faudience.example.org" in form
    assert "s3cret" not in form


def test_after_a_401_a_fresh_token_is_tried_once() -> None:
    endpoint = TokenEndpoint()
    endpoint.valid = {"t2"}
    assert get(endpoint) == [200]
    endpoint = TokenEndpoint()
    endpoint.valid = set()
    assert get(endpoint) == [401]
    assert len(endpoint.forms) == 2


def test_a_refusing_token_endpoint_is_an_error_without_the_secret() -> None:
    endpoint = TokenEndpoint()
    endpoint.status = 400
    with pytest.raises(TokenError) as raised:
        get(endpoint)
    assert "400" in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_requests_that_need_a_token_at_the_same_time_ask_for_one_together() -> None:
    asked = 0

    async def token(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        return httpx.Response(200, json={"access_token": f"t{asked}"})

    async def scenario() -> list[int]:
        tokens = httpx.AsyncClient(transport=httpx.MockTransport(token))
        auth = OAuth2ClientCredentials(OAUTH2, token_client=tokens)
        endpoint = TokenEndpoint()
        endpoint.valid = {"t2"}  # so that all of them find out together that t1 is not
        async with tokens, httpx.AsyncClient(transport=httpx.MockTransport(endpoint.resource), auth=auth) as client:
            found = await asyncio.gather(*(client.get("https://fhir.example.org/") for _ in range(8)))
            return [answer.status_code for answer in found]

    assert asyncio.run(scenario()) == [200] * 8
    assert asked == 2


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (httpx.Response(429, headers={"Retry-After": "120"}), "429"),
        (httpx.ConnectError("no route"), "ConnectError"),
    ],
)
def test_a_token_endpoint_that_is_away_is_named(answer: httpx.Response | Exception, text: str) -> None:
    def token(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def scenario() -> None:
        tokens = httpx.AsyncClient(transport=httpx.MockTransport(token))
        auth = OAuth2ClientCredentials(OAUTH2, token_client=tokens)
        transport = httpx.MockTransport(lambda _: httpx.Response(200))
        async with tokens, httpx.AsyncClient(base_url="http://x", transport=transport, auth=auth) as client:
            await FhirClient(client).capability()

    with pytest.raises(UnreachableError, match=rf"login\.example\.org.*{text}") as raised:
        asyncio.run(scenario())
    assert raised.value.retry_after_s == (120 if text == "429" else None)


def test_a_token_that_does_not_say_how_long_it_lives_is_taken() -> None:
    endpoint = TokenEndpoint()
    endpoint.lifetime_s = None
    assert get(endpoint, 2) == [200, 200]
    assert len(endpoint.forms) == 1


def test_tls_files_that_cannot_be_used_are_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match=r"fhir\.example\.org"):
        peer_client(PeerSettings(url="https://fhir.example.org", ca_file="/no/such/file.pem"))


def metadata(answer: Callable[[httpx.Request], httpx.Response], settings: str = "DICOMCAST_SOURCES__MAIN") -> str:
    async def scenario() -> str:
        transport = httpx.MockTransport(answer)
        async with httpx.AsyncClient(transport=transport, base_url="https://dicom.example.org/v2/") as client:
            return await read_metadata(
                client,
                study_instance_uid="1.1",
                series_instance_uid="1.2",
                sop_instance_uid="1.3",
                settings=settings,
            )

    return asyncio.run(scenario())


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    url = "https://user:s3cret@pacs.example:8443/v2/?token=s3cret"
    assert address_of(httpx.AsyncClient(base_url=url)) == "https://pacs.example:8443/v2"


def test_metadata_of_one_instance() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v2/studies/1.1/series/1.2/instances/1.3/metadata"
        assert request.headers["Accept"] == "application/dicom+json"
        return httpx.Response(200, json=[{"00080060": {"vr": "CS", "Value": ["CT"]}}])

    assert metadata(answer) == '{"00080060":{"vr":"CS","Value":["CT"]}}'


def root_answers(wado: int, search: int) -> Callable[[httpx.Request], httpx.Response]:
    """A server that answers WADO-RS with one status and a search with another."""
    return lambda request: httpx.Response(search if request.url.path == "/v2/studies" else wado)


@pytest.mark.parametrize(("wado", "search"), [(404, 200), (404, 204), (404, 501), (410, 410)])
def test_an_instance_that_is_gone(wado: int, search: int) -> None:
    with pytest.raises(InstanceGoneError):
        metadata(root_answers(wado, search))


def test_a_server_that_comes_back_between_has_lost_no_instance() -> None:
    answers = iter([httpx.Response(404), httpx.Response(204), httpx.Response(200, json=[{"00080060": {"vr": "CS"}}])])
    assert "00080060" in metadata(lambda _: next(answers))


@pytest.mark.parametrize("search", [301, 401, 403, 404, 503])
def test_a_server_that_is_not_there_has_lost_no_instance(search: int) -> None:
    """A proxy without its server and a wrong URL answer 404 to everything."""
    with pytest.raises(DicomWebError, match=str(search)) as raised:
        metadata(root_answers(404, search))
    assert not isinstance(raised.value, InstanceGoneError)


@pytest.mark.parametrize(("status", "said"), [(401, "X__AUTH__"), (403, "X__AUTH__"), (302, "X__DICOMWEB_URL")])
def test_a_refusal_names_the_setting(status: int, said: str) -> None:
    with pytest.raises(DicomWebError, match=said):
        metadata(lambda _: httpx.Response(status, headers={"Location": "/"}), settings="X")


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(503, headers={"Retry-After": "7"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json=[1]),
    ],
)
def test_anything_else_is_to_be_tried_again(response: httpx.Response) -> None:
    with pytest.raises(DicomWebError) as raised:
        metadata(lambda _: response)
    assert not isinstance(raised.value, InstanceGoneError)


def test_retry_after_is_seconds_or_a_date() -> None:
    now = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
    assert retry_after_s("7") == 7.0
    assert retry_after_s("Thu, 01 Jan 2026 12:00:30 GMT", now=now) == 30.0
    assert retry_after_s("Thu, 01 Jan 2026 11:00:00 GMT", now=now) == 0.0
    assert retry_after_s("soon") is None
    assert retry_after_s(None) is None


def test_full_jitter_grows_to_its_bound() -> None:
    highest = [full_jitter(n, least_s=0.5, most_s=60, uniform=lambda _, high: high) for n in range(10)]
    assert highest == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60, 60, 60, 60]
    assert full_jitter(1000, least_s=0.5, most_s=60, uniform=lambda low, _: low) == 0.5
