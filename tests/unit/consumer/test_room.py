"""G6: how much of the partitions is in memory."""

from dicomcast_consumer.room import Bounds, Room, Rooms

BOUNDS = Bounds(max_records=100, max_bytes=80_000, min_bytes=1_000)


def rooms(partitions: int) -> tuple[Room, ...]:
    shared = Rooms(BOUNDS)
    return tuple(shared.open() for _ in range(partitions))


def test_one_partition_may_take_what_the_others_leave() -> None:
    busy, *_ = rooms(12)
    busy.take(records=10, size=79_999)
    assert not busy.closed
    busy.take(records=1, size=1)
    assert busy.closed


def test_when_all_is_taken_the_others_still_have_a_part() -> None:
    busy, other, *_ = rooms(10)
    busy.take(records=10, size=80_000)
    assert not other.closed
    other.take(records=1, size=2_000)
    assert other.closed


def test_a_member_with_many_partitions_holds_no_more() -> None:
    taken = 0
    for room in rooms(1_000):
        while not room.closed:
            room.take(records=1, size=500)
            taken += 500
    assert taken < BOUNDS.max_bytes + 1_000 * (BOUNDS.min_bytes + 500)


def test_full_it_is_opened_when_half_is_given_back() -> None:
    (room,) = rooms(1)
    room.take(records=100, size=100)
    assert room.closed
    room.give_back(records=49, size=49)
    assert room.closed
    room.give_back(records=1, size=1)
    assert not room.closed


def test_what_a_partition_took_is_the_others_when_it_leaves() -> None:
    busy, other = rooms(2)
    busy.take(records=10, size=80_000)
    other.take(records=10, size=30_000)
    assert other.closed
    busy.leave()
    assert not other.closed


def test_a_partition_on_hold_takes_nothing_whatever_room_there_is() -> None:
    (room,) = rooms(1)
    room.hold()
    assert room.closed
    room.resume()
    assert not room.closed
