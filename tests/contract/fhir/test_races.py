"""Clients that write at once, on the sandbox and on HAPI: losers are told, nothing is doubled or lost."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.contract.fhir.resources import condition, created, entry, path, patient, transaction

CLIENTS = 8


def at_once(write: Callable[[int], httpx.Response]) -> list[int]:
    """The statuses that the clients got, sorted."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        return sorted(response.status_code for response in pool.map(write, range(CLIENTS)))


class TestRaces:
    def test_conditional_creates_of_one_identifier_make_one_resource(self, fhir: httpx.Client) -> None:
        person = patient()
        create = entry("POST", "Patient", person, ifNoneExist=condition(person))
        statuses = at_once(lambda _: transaction(fhir, create))
        assert set(statuses) <= {200, 409}
        assert statuses[0] == 200
        assert fhir.get(f"Patient?{condition(person)}").json()["total"] == 1

    def test_of_updates_of_one_version_one_wins(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient())

        def update(number: int) -> httpx.Response:
            changed = first | {"name": [{"family": str(number)}]}
            return fhir.put(path(first), json=changed, headers={"if-match": 'W/"1"'})

        assert at_once(update) == [200] + [409] * (CLIENTS - 1)
        assert fhir.get(path(first)).json()["meta"]["versionId"] == "2"
