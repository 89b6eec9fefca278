"""Bugs of what becomes a dead letter, and of what is done with it, to put back: see `table`."""

from tests.mutations.mutation import Mutation

__all__ = ["LETTER_MUTATIONS"]

_GATE = "tests/unit/consumer/test_gate.py"
_MEMBER = "tests/unit/consumer/test_member.py"
_REFUSED = "tests/unit/consumer/test_refused_studies.py"
_REPLAY = "tests/unit/consumer/test_dlq_replay.py"
_CONSUMER = "consumer/dicomcast_consumer"

LETTER_MUTATIONS = (
    Mutation(
        name="a later event without effect supersedes a dead letter",
        file=f"{_CONSUMER}/dlq_replay.py",
        old="self._later.pass_over(chunk.partition, offset)",
        new="pass",
        tests=[
            f"{_REPLAY}::test_a_later_event_that_has_no_effect_supersedes_nothing[another data partition]",
            f"{_REPLAY}::test_a_later_event_that_has_no_effect_supersedes_nothing[filtered out]",
        ],
    ),
    Mutation(
        name="the guard: of a bundle that was accepted one study counts",
        file=f"{_CONSUMER}/gate.py",
        old="for lane in lanes:",
        new="for lane in lanes[:1]:",
        tests=[f"{_GATE}::test_each_study_of_a_bundle_that_was_accepted_counts"],
    ),
    Mutation(
        name="the guard: what was refused already is tried before what was not",
        file=f"{_CONSUMER}/gate.py",
        old="None if self._waiting else",
        new="",
        tests=[f"{_GATE}::test_who_was_refused_lets_the_others_go_first"],
    ),
    Mutation(
        name="the guard: a held study is waited for before the others of its group are tried",
        file=f"{_CONSUMER}/apply.py",
        old="held.append((work, error))",
        new="rejections += await self._apply_held(group, deque([(work, error)]))",
        tests=[f"{_REFUSED}::test_what_is_refused_holds_nothing_up_that_is_accepted[two in front of each bundle]"],
    ),
    Mutation(
        name="the guard: a held study keeps its place among those in flight",
        file=f"{_CONSUMER}/worker.py",
        old="if not group.stuck and not group.held",
        new="if not group.stuck",
        tests=[f"{_REFUSED}::test_what_is_refused_holds_nothing_up_that_is_accepted[all before the good ones]"],
    ),
    Mutation(
        name="the guard: a server that refuses every study flushes the topic into dead letters",
        file=f"{_CONSUMER}/rejection_guard.py",
        old="return accepted * self._least > refused",
        new="return True",
        tests=[
            f"{_GATE}::test_who_is_refused_again_is_to_blame_once_others_went_through",
            f"{_REFUSED}::test_a_server_that_refuses_what_it_refused_before_fills_no_dead_letter_topic",
        ],
    ),
    Mutation(
        name="a dead letter believes what others wrote into the headers of its record",
        file=f"{_CONSUMER}/dead_letter.py",
        old="h.ATTEMPTS: str(attempts),",
        new='h.ATTEMPTS: str(int(dict(record.headers).get(h.ATTEMPTS) or b"0") + 1),',
        tests=[f"{_MEMBER}::test_a_letters_headers_that_others_wrote_are_not_believed"],
    ),
)
