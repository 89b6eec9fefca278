"""The list of dead letters: filters, pages, and a command that means the same."""

import shlex
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import Result
from dicomcast_consumer.__main__ import app
from dicomcast_consumer.dlq import DeadLetter, LetterId
from dicomcast_consumer.dlq_done import DoneMark, KeptLetter
from dicomcast_consumer.web.letters_view import PAGE, Asked, by_code, page, replay_command, verdict_level
from typer.testing import CliRunner

BEGIN = datetime(2026, 5, 1, tzinfo=UTC)


def letter(
    offset: int, *, code: str = "map.patient_id_missing", study: str = "1.2.3", done: bool = False
) -> KeptLetter:
    id = LetterId("t", 0, offset)
    found = DeadLetter(
        partition=0,
        offset=offset,
        size=1,
        study_instance_uid=study,
        sop_instance_uid=None,
        feed=None,
        sequence=None,
        reason="map",
        code=code,
        text="a sentence",
        http_status=None,
        attempts=1,
        failed_at=BEGIN + timedelta(minutes=offset),
        id=id,
    )
    mark = DoneMark(id=id, letter=f"0:{offset}", failed_at=None, outcome="applied", done_at="x") if done else None
    return KeptLetter(letter=found, mark=mark, copies=1)


LETTERS = [letter(1), letter(2, code="fhir.refused", study="1.2.4"), letter(3, done=True), letter(4, study="1.2.4")]


def offsets(query: dict[str, str]) -> list[int]:
    return [each.letter.offset for each in page(Asked.of(query), LETTERS).rows]


def test_the_newest_pending_ones_come_first() -> None:
    assert offsets({}) == [4, 2, 1]
    assert offsets({"state": "done"}) == [3]
    assert offsets({"state": "all"}) == [4, 3, 2, 1]


def test_filters_are_those_of_the_command_line() -> None:
    assert offsets({"code": "map"}) == [4, 1]
    assert offsets({"code": "map.patient_id_missing", "study": " 1.2.4 "}) == [4]
    assert offsets({"since": "2026-05-01T00:02:00Z"}) == [4, 2]
    assert offsets({"until": "2026-05-01T00:02:00Z"}) == [1]


def test_a_filter_that_cannot_be_read_is_told_and_shows_nothing() -> None:
    found = page(Asked.of({"since": "lately"}), LETTERS)
    assert found.rows == ()
    assert found.fault is not None
    assert found.fault.startswith("since")


@pytest.mark.parametrize("number", ["0", "-1", "x", "99999999999999999999", "²", ""])
def test_a_page_number_without_sense_is_the_first(number: str) -> None:
    assert page(Asked.of({"page": number}), LETTERS).number == 1


def test_pages_have_every_letter_once() -> None:
    many = [letter(n) for n in range(2 * PAGE + 7)]
    pages = [page(Asked.of({"page": str(n)}), many) for n in (1, 2, 3)]
    assert [found.letter.offset for each in pages for found in each.rows] == list(range(2 * PAGE + 6, -1, -1))
    assert {each.pages for each in pages} == {3}
    assert page(Asked.of({"page": "77"}), many).number == 3
    assert page(Asked.of({}), []).pages == 1


def test_the_next_page_keeps_the_filter() -> None:
    assert Asked.of({"code": "map", "state": "all"}).query(2) == "code=map&state=all&page=2"


def test_codes_are_counted() -> None:
    assert by_code(LETTERS) == [("map.patient_id_missing", 3), ("fhir.refused", 1)]


def test_the_command_of_no_filter_replays_all() -> None:
    assert replay_command(Asked()) == "dicomcast-consumer dlq replay --all"


@pytest.mark.parametrize(
    "query",
    [
        {"code": "map", "study": "1.2.3"},
        {"since": "6h", "until": "2026-05-01T00:00:00Z"},
        {"code": "$(rm -rf /); `id`\n'\"", "study": "--all"},
        {"code": "--all"},
    ],
)
def test_the_command_means_the_filter_whatever_is_in_it(query: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell's words, given to the command line, come out as the same filters."""
    taken: list[object] = []
    monkeypatch.setattr(
        "dicomcast_consumer.dlq_replay_command.replay_letters", lambda wanted, config: taken.append(wanted)
    )
    words = shlex.split(replay_command(Asked.of(query)))
    assert words[:1] == ["dicomcast-consumer"]
    result: Result = CliRunner().invoke(app, words[1:])
    assert result.exit_code == 0, result.output
    (wanted,) = taken
    assert wanted.everything is False  # type: ignore[attr-defined]
    chosen = wanted.filters  # type: ignore[attr-defined]
    assert (chosen.code, chosen.study) == (query.get("code"), query.get("study"))
    assert (chosen.since is None, chosen.until is None) == ("since" not in query, "until" not in query)


@pytest.mark.parametrize(
    ("verdict", "level"),
    [
        ("mapped: upsert", "ok"),
        ("rejected again: map.x: y", "bad"),
        ("cannot be decoded: x", "bad"),
        ("not known: the feed 'x' is not configured", "warn"),
    ],
)
def test_what_a_verdict_means_for_a_replay(verdict: str, level: str) -> None:
    assert verdict_level(verdict) == level
