"""Checks as values: their order, what is passed over, the exit code, one line and one object for each."""

import asyncio
from collections.abc import Callable

import pytest
from dicomcast_runtime.doctor import (
    Check,
    Finding,
    NotAskedError,
    Outcome,
    Verdict,
    document,
    doubtful,
    examine,
    exit_code_of,
    line,
)
from dicomcast_runtime.errors import BrokenContractError, ConfigurationError, DependencyError
from dicomcast_runtime.exit_codes import ExitCode
from dicomcast_runtime.kafka_look import require_rights


def check(name: str, look: Callable[[], Finding], *needs: str) -> Check:
    async def asked() -> Finding:
        return look()

    return Check(name=name, look=asked, needs=needs)


def fine() -> Finding:
    return Finding("all is well")


def fails(error: Exception) -> Callable[[], Finding]:
    def look() -> Finding:
        raise error

    return look


def outcomes(*checks: Check) -> list[Outcome]:
    async def scenario() -> list[Outcome]:
        return [outcome async for outcome in examine(checks)]

    return asyncio.run(scenario())


def test_checks_are_made_in_order_and_what_needs_a_failed_one_is_not_made() -> None:
    made: list[str] = []

    def noted(name: str) -> Callable[[], Finding]:
        return lambda: (made.append(name), fine())[1]

    found = outcomes(
        check("a", noted("a")),
        check("b", fails(DependencyError("b is away")), "a"),
        check("c", noted("c"), "a", "b"),
        check("d", noted("d"), "c"),
        check("e", noted("e"), "a"),
    )
    assert made == ["a", "e"]
    assert [str(one.verdict) for one in found] == ["ok", "FAILED", "skipped", "skipped", "ok"]
    assert line(found[2]) == "skipped: c: it needs b"
    assert line(found[3]) == "skipped: d: it needs c"


def test_a_warning_is_enough_for_what_needs_it_and_ends_with_0() -> None:
    found = outcomes(check("a", lambda: doubtful("mend it one day")), check("b", fine, "a"))
    assert [one.verdict for one in found] == [Verdict.WARNING, Verdict.OK]
    assert line(found[0]) == "warning: a: mend it one day"
    assert exit_code_of(found) is ExitCode.OK


def test_what_cannot_be_asked_is_skipped_and_no_failure() -> None:
    found = outcomes(check("a", fails(NotAskedError("it would write"))), check("b", fine))
    assert line(found[0]) == "skipped: a: it would write"
    assert exit_code_of(found) is ExitCode.OK


def test_the_exit_code_is_that_of_the_first_failure() -> None:
    found = outcomes(
        check("a", fine),
        check("b", fails(BrokenContractError("no topic"))),
        check("c", fails(ConfigurationError("no right"))),
    )
    assert exit_code_of(found) is ExitCode.CONTRACT
    assert document("doctor", found) == {
        "command": "doctor",
        "ok": False,
        "exit_code": 78,
        "checks": [
            {"name": "a", "verdict": "ok", "text": "all is well", "exit_code": 0},
            {"name": "b", "verdict": "FAILED", "text": "no topic", "exit_code": 78},
            {"name": "c", "verdict": "FAILED", "text": "no right", "exit_code": 64},
        ],
    }


def test_a_bug_is_told_without_its_text_and_the_rest_is_looked_at() -> None:
    found = outcomes(check("a", fails(KeyError("Doe^Jane"))), check("b", fine))
    assert found[0].text.startswith("KeyError at test_doctor.py:")
    assert "Doe" not in found[0].text
    assert (exit_code_of(found), found[1].verdict) == (ExitCode.WATCHDOG, Verdict.OK)


def test_a_list_of_problems_is_one_line() -> None:
    (found,) = outcomes(check("a", fails(ConfigurationError("not usable:\n  - one: is\nmissing\n  - two"))))
    assert line(found) == "FAILED:  a: not usable: one: is missing; two"


def test_a_missing_right_is_named_and_one_that_is_not_told_is_not_called_allowed() -> None:
    with pytest.raises(ConfigurationError, match=r"needs Write on topic t; docs/security\.md"):
        require_rights(frozenset({"Read", "Describe"}), ("Read", "Write"), on="topic t")
    assert require_rights(frozenset({"Read", "Write"}), ("Read", "Write"), on="topic t").text.endswith("is allowed")
    assert "do not tell" in require_rights(None, ("Read",), on="topic t").text
