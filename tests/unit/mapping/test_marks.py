"""The as-of marks, and how queued changes fold."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from dicomcast_consumer.mapping import AS_OF_URL, Kind, Mark, fold, without_marks
from dicomcast_consumer.mapping.marks import Marks
from dicomcast_schemas import Action, State

from tests.unit.mapping.scene import Scene, change, event


def _mark(sequence: int, feed: str = "pacs", second: int = 0) -> Mark:
    return Mark(feed=feed, sequence=sequence, timestamp=datetime(2024, 5, 1, 0, 0, second, tzinfo=UTC))


@pytest.mark.parametrize(
    ("one", "other", "older"),
    [
        (_mark(1, second=9), _mark(2, second=1), True),
        (_mark(2, second=1), _mark(1, second=9), False),
        (_mark(1), _mark(1), False),
        (_mark(9, second=1), _mark(1, "other", second=9), True),
        (_mark(1, second=9), _mark(9, "other", second=1), False),
        (_mark(1), _mark(2, "other"), True),
    ],
)
def test_within_a_feed_the_sequence_decides_between_feeds_the_time(one: Mark, other: Mark, older: bool) -> None:
    assert one.older_than(other) is older


def test_marks_are_read_as_they_were_written() -> None:
    marks = Marks({})
    marks.take("started", _mark(3))
    marks.take("description", _mark(3))
    marks.take("subject", _mark(2, "other", second=7))
    resource: dict[str, Any] = {"meta": {"id": "x", "extension": [{"url": "urn:x", "valueCode": "y"}], "source": "s"}}
    marks.write(resource)
    assert [e["url"] for e in resource["meta"]["extension"]] == ["urn:x", AS_OF_URL, AS_OF_URL]
    assert list(resource["meta"]) == ["id", "extension", "source"]
    again = Marks(resource)
    assert again.get("started") == again.get("description") == _mark(3)
    assert again.get("subject") == _mark(2, "other", second=7)
    assert again.get("else") is None
    assert without_marks(resource)["meta"]["extension"] == [{"url": "urn:x", "valueCode": "y"}]
    assert without_marks({"meta": {"extension": resource["meta"]["extension"][1:]}}) == {}


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"feed": "pacs", "sequence": "x", "timestamp": "2024-05-01T00:00:00Z"},
        {"feed": "pacs", "sequence": "1", "timestamp": "yesterday"},
        {"feed": "pacs", "sequence": "1", "timestamp": "2024-05-01T00:00:00"},
    ],
)
def test_a_mark_that_is_none_of_ours_counts_as_none(parts: dict[str, str]) -> None:
    inner = [{"url": url, "valueString": value} for url, value in {**parts, "values": "started"}.items()]
    assert Marks({"meta": {"extension": [{"url": AS_OF_URL, "extension": inner}]}}).get("started") is None


def test_a_newer_mark_is_not_lowered() -> None:
    marks = Marks({})
    marks.take("started", _mark(3))
    marks.take("started", _mark(2))
    assert marks.get("started") == _mark(3)
    assert marks.is_older(_mark(2), "started")
    assert not marks.is_older(_mark(3), "started")


OTHER = {"series": "1.2.3.2", "instance": "1.2.3.2.1"}
GONE = {"action": Action.DELETE, "state": State.DELETED, **OTHER}


def test_marks_of_a_series_that_is_gone_go_with_it() -> None:
    scene = Scene()
    scene.send(event(1), event(2, **OTHER))
    assert _mark_of(scene, "series/1.2.3.2") == 2
    scene.send(event(3, **GONE))
    assert _mark_of(scene, "series/1.2.3.2") is None
    assert _mark_of(scene, "series/1.2.3.1") == 1


@pytest.mark.parametrize("batched", [True, False])
def test_a_series_that_is_made_again_has_only_the_marks_of_what_made_it(batched: bool) -> None:
    scene = Scene()
    scene.send(event(1), event(9, **OTHER))
    replayed = (event(2, **OTHER, SeriesNumber=1), event(3, **GONE), event(4, **OTHER, SeriesDescription="Thorax"))
    for sent in [replayed] if batched else [[one] for one in replayed]:
        scene.send(*sent)
    assert _mark_of(scene, "series/1.2.3.2") == 4


def test_a_series_that_somebody_took_out_is_made_again_without_its_marks() -> None:
    scene = Scene()
    scene.send(event(1), event(9, **OTHER))
    assert scene.study is not None
    scene.study["series"] = [series for series in scene.study["series"] if series["uid"] != "1.2.3.2"]
    scene.send(event(2, **OTHER))
    assert _mark_of(scene, "series/1.2.3.2") == 2


def test_an_element_that_somebody_took_out_comes_back_with_the_mark_of_what_filled_it() -> None:
    scene = Scene()
    scene.send(event(1), event(9, **OTHER, SeriesNumber=1))
    assert scene.study is not None
    scene.study["series"] = [{k: v for k, v in series.items() if k != "number"} for series in scene.study["series"]]
    scene.send(event(2, **OTHER, SeriesNumber=2))
    assert _mark_of(scene, "series/1.2.3.2/number") == 2
    assert _mark_of(scene, "series/1.2.3.2/modality") == 9


class _NotWalked(dict[str, Mark]):
    """Marks that may be looked up, not gone through."""

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("all marks of the study are gone through for one series")


def test_the_marks_of_one_series_cost_the_same_however_many_series_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    marks = Marks({})
    for name in ("series/1.2.3.2", "series/1.2.3.20/number", "series/1.2.3.2/number", "series/1.2.3.2/performer"):
        marks.take(name, _mark(1))
    monkeypatch.setattr(marks, "_marks", _NotWalked(marks._marks))
    marks.spread_series("1.2.3.2", ["number", "modality"])
    marks.gather_series("1.2.3.2", ["number", "modality"])
    assert (marks.get("series/1.2.3.2"), marks.get("series/1.2.3.2/performer")) == (_mark(1), None)
    marks.drop_series("1.2.3.2")
    assert (marks.get("series/1.2.3.2"), marks.get("series/1.2.3.20/number")) == (None, _mark(1))


def _mark_of(scene: Scene, name: str) -> int | None:
    assert scene.study is not None
    mark = Marks(scene.study).get(name)
    return mark.sequence if mark is not None else None


def test_folding_keeps_the_last_of_each_instance_and_what_came_before_it() -> None:
    gone, other = "1.2.3.1.9", "1.2.3.1.2"
    runs = fold(
        [
            change(4, instance=gone, action=Action.DELETE, state=State.DELETED),
            change(2),
            change(1, instance=gone),
            change(3, instance=other),
            change(3, instance=other),
            change(5, action=Action.UPDATE),
            change(6, instance=other, action=Action.DELETE, state=State.REPLACED),
        ]
    )
    assert [[c.mark.sequence for c in run.changes] for run in runs] == [[3], [1, 4], [2, 5]]
    assert [run.last.kind for run in runs] == [Kind.UPSERT, Kind.REMOVE, Kind.UPSERT]


def test_of_two_feeds_the_later_change_of_an_instance_is_its_last() -> None:
    (run,) = fold([change(9, feed="a"), change(2, feed="b"), change(3, feed="a")])
    assert [(c.mark.feed, c.mark.sequence) for c in run.changes] == [("b", 2), ("a", 3), ("a", 9)]
