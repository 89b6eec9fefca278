"""The guard against a deployment that would flush the topic into dead letters."""

from dicomcast_consumer.rejection_guard import RejectionGuard


def lanes(*numbers: int) -> list[bytes]:
    return [b"%d" % n for n in numbers]


def test_a_few_refused_studies_are_their_own_fault() -> None:
    guard = RejectionGuard(studies=20, least=5)
    for lane in lanes(1, 2, 3, 4):
        guard.refused(lane)
    assert not guard.suspicious


def test_one_study_counts_once() -> None:
    guard = RejectionGuard(studies=20, least=5)
    for _ in range(50):
        guard.refused(b"1")
    assert not guard.suspicious


def test_most_of_the_recent_studies_refused_is_suspicious_until_one_goes_through() -> None:
    guard = RejectionGuard(studies=20, least=5)
    guard.accepted(b"0")
    for lane in lanes(1, 2, 3, 4, 5):
        guard.refused(lane)
    assert guard.suspicious
    guard.accepted(b"6")
    assert not guard.suspicious


def test_a_held_study_is_to_blame_once_enough_others_went_through_after_it() -> None:
    guard = RejectionGuard(studies=20, least=5)
    for lane in lanes(1, 2, 3, 4, 5):
        guard.refused(lane)
    since = guard.verdicts
    for lane in lanes(6, 7, 8, 9, 10):
        guard.refused(lane)
        guard.refused(lane)
    assert not guard.blames(since)
    guard.accepted(b"11")
    guard.accepted(b"11")
    assert not guard.blames(since)  # five were refused with it
    guard.accepted(b"12")
    assert guard.blames(since)


def test_refused_studies_among_many_good_ones_are_not() -> None:
    guard = RejectionGuard(studies=20, least=5)
    for n in range(100):
        guard.accepted(b"good %d" % n)
        guard.accepted(b"good too %d" % n)
        guard.refused(b"bad %d" % n)
        assert not guard.suspicious
