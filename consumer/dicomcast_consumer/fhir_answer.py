"""What an answer of the FHIR server means: a value, or one of the errors that the loop acts on. Pure.

RetryableError (the same again later), ConflictError (someone else wrote: read again), RejectedError (this content will
never be accepted), SystemicError (no content would be). Of a body nothing goes into an error but the OperationOutcome's
codes: its text may hold patient data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dicomcast_runtime.backoff import retry_after_s

from .errors import ConflictError, RejectedError, RetryableError, SystemicError

__all__ = ["EntryAnswer", "check_status", "entry_answers", "matches", "outcome_codes", "total", "version_of_tag"]

Resource = dict[str, Any]

_TRANSIENT: Final = frozenset({408, 425, 429})
_OF_THE_URL: Final = "check DICOMCAST_FHIR__URL (the base, as in https://fhir.example.org/fhir) and the permissions"
_WAY_OUT: Final = {
    401: "it does not know us: check DICOMCAST_FHIR__AUTH__*",
    403: "it knows us and does not allow it: give the account of DICOMCAST_FHIR__AUTH__* the right to read and write",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryAnswer:
    """One entry of a transaction's answer."""

    status: int
    version: str | None


def check_status(
    status: int, codes: Sequence[str], *, method: str, named: bool, retry_after: str | None = None, where: str = ""
) -> None:
    """Raises the error that a status is; none for 2xx.

    `codes`: those of the OperationOutcome. `named`: the request names a resource that may be gone.
    """
    if 200 <= status < 300:
        return
    text = f"FHIR answered {status}{where}" + (f" ({', '.join(codes)})" if codes else "")
    if status in _TRANSIENT or status >= 500:
        raise RetryableError(text, retry_after_s=retry_after_s(retry_after))
    if status == 412 and "multiple-matches" in codes:
        raise RejectedError("fhir", "fhir.multiple_matches", text, http_status=status)
    if status in (409, 412) or (status in (404, 410) and (named or codes)):
        raise ConflictError(text)
    if status in (400, 413, 422):
        raise RejectedError("fhir", f"fhir.{status}", text, http_status=status)
    raise SystemicError(f"{text} to {method}: {_WAY_OUT.get(status, _OF_THE_URL)}")


def entry_answers(answer: Resource, requests: Sequence[Mapping[str, str]]) -> list[EntryAnswer]:
    """The answers to a transaction's requests, in their order (R4 http.html#transaction-response).

    Raises the error of the first entry that failed: some servers run a transaction as a batch, and say 200 to it.
    """
    if answer.get("type") == "batch-response":
        raise SystemicError("the FHIR server ran a transaction as a batch: enable transactions there")
    entries = answer.get("entry")
    entries = entries if isinstance(entries, list) else []
    if len(entries) != len(requests):
        raise RetryableError(f"the transaction's answer has {len(entries)} entries for {len(requests)}")
    return [_entry_answer(entry, request) for entry, request in zip(entries, requests, strict=True)]


def _entry_answer(entry: object, request: Mapping[str, str]) -> EntryAnswer:
    response = entry.get("response") if isinstance(entry, dict) else None
    status = str(response.get("status"))[:3] if isinstance(response, dict) else ""
    if not isinstance(response, dict) or not status.isdigit():
        raise RetryableError("the transaction's answer has an entry without status")
    check_status(
        int(status),
        outcome_codes(response.get("outcome")),
        method=request["method"],
        named=request["method"] != "POST",
        where=" to an entry of a transaction that it took",
    )
    etag = response.get("etag")
    return EntryAnswer(status=int(status), version=version_of_tag(etag if isinstance(etag, str) else None))


def matches(page: Resource) -> list[Resource]:
    """The resources of a search's page. Raises RetryableError for one of another shape: the server is not itself."""
    if page.get("resourceType") != "Bundle":
        raise RetryableError("FHIR: the answer to a search is no Bundle")
    try:
        found = [
            entry["resource"]
            for entry in page.get("entry", [])
            if entry.get("search", {}).get("mode") != "outcome"
            and entry["resource"]["resourceType"] != "OperationOutcome"
        ]
    except (TypeError, KeyError, AttributeError):
        raise RetryableError("FHIR: the answer to a search is no Bundle of resources") from None
    if not all(isinstance(resource.get("id"), str) for resource in found):
        raise RetryableError("FHIR: the answer to a search has a resource without id")
    return found


def total(page: Resource) -> int:
    """How many the search has found, where the server says so (HAPI counts what it includes as well); else 0."""
    said = page.get("total")
    return said if isinstance(said, int) else 0


def version_of_tag(etag: str | None) -> str | None:
    """The version in an ETag; HAPI writes it bare in the entries of a transaction."""
    return None if etag is None else etag.removeprefix("W/").strip('"')


def outcome_codes(outcome: object) -> list[str]:
    """The codes of an OperationOutcome's errors; none for anything else."""
    try:
        issues = outcome.get("issue", [])  # type: ignore[attr-defined]
        return sorted({str(issue.get("code")) for issue in issues if issue.get("severity") in ("error", "fatal")})
    except (AttributeError, TypeError):
        return []
