"""The story of a seed is one story, and has what a chaos run is to meet."""

from collections import Counter
from itertools import islice

from tests.chaos.story import Operation, Story


def told(seed: int, happenings: int) -> list[Operation]:
    story = Story(seed)
    return [operation for _ in range(happenings) for operation in story.next()]


def test_a_seed_is_one_story() -> None:
    assert told(1, 300) == told(1, 300)
    assert told(1, 300) != told(2, 300)


def test_it_has_everything() -> None:
    operations = told(1, 3000)
    kinds = Counter(operation["op"] for operation in operations)
    assert set(kinds) == {"create", "update", "delete", "poison", "gap"}
    stored = [operation["data_set"] for operation in operations if operation["op"] == "create"]
    for spoilt in ("00100020", "00080016"):
        assert any(spoilt not in data_set for data_set in stored)
    numbers = [data_set["00200013"]["Value"][0] for data_set in islice(stored, 500)]
    assert len(set(numbers)) == len(numbers)
