"""The sandbox's FHIR server behind HTTP Basic, a bearer token and OAuth 2.0 client credentials."""

from __future__ import annotations

import httpx
import pytest
from dicomcast_sandbox.dicom import Access, Basic, Bearer, ClientCredentials

from tests.fakes.fhir_server import fhir_server


@pytest.mark.parametrize(
    ("access", "authorization"),
    [(Basic("user", "secret"), "Basic dXNlcjpzZWNyZXQ="), (Bearer("t0ken"), "Bearer t0ken")],
)
def test_only_who_is_allowed_may_use_it(access: Access, authorization: str) -> None:
    with fhir_server(access=access) as server:
        url = f"{server.base_url}/metadata"
        for wrong in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic d3Jvbmc6d3Jvbmc="}):
            refused = httpx.get(url, headers=wrong)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"]
        assert httpx.get(url, headers={"authorization": authorization}).status_code == 200
        assert [one.status for one in server.journal.entries] == [401, 401, 401, 200]


def test_a_token_is_good_until_it_is_revoked() -> None:
    access = ClientCredentials("client", "secret")
    with fhir_server(access=access) as server:
        form = {"grant_type": "client_credentials", "client_id": "client", "client_secret": "secret"}
        token = httpx.post(server.base_url.removesuffix("fhir") + "token", data=form).json()["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        assert httpx.get(f"{server.base_url}/metadata", headers=headers).status_code == 200
        access.revoke_all()
        assert httpx.get(f"{server.base_url}/metadata", headers=headers).status_code == 401
