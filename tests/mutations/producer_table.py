"""Bugs of the producer to put back: see `table`."""

from tests.mutations.mutation import Mutation

__all__ = ["PRODUCER_MUTATIONS"]

_BRIDGE = "tests/unit/producer/test_bridge.py"
_BY_TIME = "producer/dicomcast_producer/by_time.py"
_CLOCKS = "tests/unit/producer/test_by_time_clocks.py"
_LEFT_OPEN = "tests/integration/producer/test_left_open.py"
_KAFKA_THREAD = "tests/unit/producer/test_kafka_thread.py"
_PUBLISHER = "tests/unit/producer/test_publisher.py"
_TAKEOVER = "tests/unit/producer/test_takeover.py"
_PRODUCER = "producer/dicomcast_producer"
_UNREADABLE = "tests/unit/producer/test_by_time_unreadable.py"

PRODUCER_MUTATIONS = (
    Mutation(
        name="a producer whose Kafka thread is stuck stays",
        file="producer/dicomcast_producer/bridge.py",
        old="return time.monotonic() if called_at_s is None else max(called_at_s, self._publisher.beat_at_s)",
        new="return time.monotonic()",
        tests=["tests/unit/producer/test_bridge.py::test_the_watchdog_sees_a_call_to_kafka_that_does_not_look_round"],
    ),
    Mutation(
        name="the watchdog loses sight of a call when the one before it ends",
        file=f"{_PRODUCER}/bridge.py",
        old="return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: self._watched(call))\n",
        new=(
            "self._called_at_s = time.monotonic()\n"
            "        try:\n"
            "            return await asyncio.get_running_loop().run_in_executor(self._thread, call)\n"
            "        finally:\n"
            "            self._called_at_s = None\n"
        ),
        tests=[f"{_KAFKA_THREAD}::test_the_watchdog_sees_a_call_that_was_asked_for_while_another_was_under_way"],
    ),
    Mutation(
        name="a cursor that stays unreadable after an outage is waited for without end",
        file=f"{_PRODUCER}/bridge.py",
        old="        limit_s = self._settings.transaction_timeout_s + _ENDED_S\n",
        new="        limit_s = math.inf\n",
        tests=[f"{_KAFKA_THREAD}::test_a_cursor_that_stays_unreadable_after_a_transaction_timed_out_ends_the_process"],
    ),
    Mutation(
        name="a producer whose id has another owner goes on with a new one",
        file=f"{_PRODUCER}/publisher.py",
        old="        KafkaError.INVALID_PRODUCER_ID_MAPPING,\n    }",
        new="    }",
        tests=[f"{_PUBLISHER}::test_an_id_that_expired_or_that_another_has_is_for_the_cursor_to_tell"],
    ),
    Mutation(
        name="a topic that keeps the last event of each study alone is taken",
        file=f"{_PRODUCER}/topic_check.py",
        old='        if "compact" in policy:\n',
        new="        if not policy:\n",
        tests=["tests/unit/producer/test_topic_check.py::test_an_events_topic_that_is_compacted_is_refused[compact]"],
    ),
    Mutation(
        name="an outage that begins inside of a transaction is invisible",
        file=f"{_PRODUCER}/bridge.py",
        old='        inside = self._publisher.waiting if peer == "kafka" else None\n',
        new="        inside = None\n",
        tests=[f"{_KAFKA_THREAD}::test_a_wait_inside_of_a_transaction_is_told_too"],
    ),
    Mutation(
        name="an empty page is taken for the end of the feed",
        file=f"{_PRODUCER}/by_sequence.py",
        old="return taken, reached if taken else max(after, min(after + limit, latest, settled))",
        new="return taken, reached",
        tests=["tests/unit/producer/test_by_sequence.py::test_an_empty_page_is_a_gap_and_not_the_end"],
    ),
    Mutation(
        name="a cursor that cannot be read is 0",
        file=f"{_PRODUCER}/bridge.py",
        old="        cursor = await self._ask_kafka(self._cursors.read)  # 2\n",
        new=(
            "        try:\n"
            "            cursor = self._cursors.read()\n"
            "        except RetryableError:\n"
            "            cursor = None\n"
        ),
        tests=[f"{_BRIDGE}::test_a_cursor_that_cannot_be_read_is_not_zero"],
    ),
    Mutation(
        name="the cursor moves without the events",
        file=f"{_PRODUCER}/bridge.py",
        old="                await self._publish(entries, cursor)  # 5\n",
        new="                await self._publish((), cursor)\n                await self._publish(entries, cursor)\n",
        tests=[f"{_BRIDGE}::test_the_cursor_never_moves_without_the_events"],
    ),
    Mutation(
        name="the feed's time is the record's timestamp",
        file=f"{_PRODUCER}/publisher.py",
        old="                on_delivery=self._delivered,\n            ),\n        )\n\n    def _enqueue",
        new=(
            "                on_delivery=self._delivered,\n"
            '                timestamp=int(__import__("datetime").datetime.fromisoformat(\n'
            '                    dict(record.headers)["ce_time"]).timestamp() * 1000),\n'
            "            ),\n        )\n\n    def _enqueue"
        ),
        tests=["tests/integration/producer/test_records.py::test_the_records_time_is_its_arrival_not_the_feeds"],
        needs_kafka=True,
    ),
    Mutation(
        name="a commit is believed at once",
        file=f"{_PRODUCER}/publisher.py",
        old="        open_places = self._open_places()\n        if open_places:\n            names",
        new="        open_places: dict[Place, int] = {}\n        if open_places:\n            names",
        tests=[f"{_LEFT_OPEN}::test_what_was_committed_and_not_seen_is_repeated_and_seen"],
        needs_kafka=True,
    ),
    Mutation(
        name="a process aborts by itself what it does not know to be committed, though the cursor counts it",
        file=f"{_PRODUCER}/publisher.py",
        old="        if not (self._was_committed and cursor in self._ended):\n",
        new="        if not self._ended:\n",
        tests=[f"{_TAKEOVER}::test_events_that_the_cursor_counts_are_committed_by_whoever_comes_next[same process]"],
    ),
    Mutation(
        name="a new client aborts what the process knows to be committed",
        file=f"{_PRODUCER}/publisher.py",
        old="        if not (self._was_committed and cursor in self._ended):\n",
        new="        if True:\n",
        tests=[f"{_TAKEOVER}::test_what_is_known_to_be_committed_is_committed_by_the_next_client_of_the_process"],
    ),
    Mutation(
        name="what an older instance left open among the events is left to whoever comes next",
        file=f"{_PRODUCER}/publisher.py",
        old="        records = {place: record for place, record in last.items() if record is not None}\n",
        new="        records: dict[Place, Record] = {}\n",
        tests=[f"{_LEFT_OPEN}::test_the_next_instance_repeats_what_it_finds_open_among_the_events"],
        needs_kafka=True,
    ),
    Mutation(
        name="what an older instance left open is committed though the cursor does not count it",
        file=f"{_PRODUCER}/publisher.py",
        old="    return cursor is not None and identity.isdigit() and int(identity) > cursor.position.sequence\n",
        new="    return False\n",
        tests=[f"{_LEFT_OPEN}::test_what_the_cursor_does_not_count_is_aborted_for_it_comes_again"],
        needs_kafka=True,
    ),
    Mutation(
        name="v2: an entry without a time is remembered where its window begins",
        file=_BY_TIME,
        old="if (at := known or window.end) >= oldest",
        new="if (at := known or window.start or NO_TIME) >= oldest",
        tests=[f"{_UNREADABLE}::test_an_unreadable_entry_is_published_once"],
    ),
    Mutation(
        name="v2: a newest entry without a time is one of 1970",
        file=_BY_TIME,
        old="(_time(newest) or last.timestamp) >= last.timestamp",
        new="newest.event.timestamp >= last.timestamp",
        tests=[f"{_UNREADABLE}::test_an_unreadable_newest_entry_ends_nothing"],
    ),
    Mutation(
        name="v2: the feed is read to where its clock is",
        file=_BY_TIME,
        old="read_to = _newest(self.position.read_to, *(e.event.timestamp for e in entries))",
        new="read_to = _newest(self.position.read_to, scan.window.end)",
        tests=[
            f"{_CLOCKS}::test_one_answer_with_a_clock_that_is_ahead_loses_nothing",
            f"{_CLOCKS}::test_an_empty_feed_whose_clock_is_ahead_loses_nothing",
        ],
    ),
    Mutation(
        name="v2: now is where the clock is",
        file=_BY_TIME,
        old="self._position_at(min(_time(latest.entry) or end, end), sequence=None)",
        new="self._position_at(end, sequence=None)",
        tests=[f"{_CLOCKS}::test_a_start_now_by_a_clock_that_is_ahead_loses_nothing_later"],
    ),
    Mutation(
        name="v2: an idle feed is looked at from its newest entry on at once",
        file=_BY_TIME,
        old="idle_s >= self._settings.overlap_s + self._settings.lag_s",
        new="idle_s >= 0",
        tests=[f"{_CLOCKS}::test_an_entry_that_appears_late_on_an_idle_feed_is_found"],
    ),
    Mutation(
        name="v2: a larger overlap reaches back to what is forgotten",
        file=_BY_TIME,
        old="return _newest(_back(read_to, self._overlap), self.position.sent_from)",
        new="return _back(read_to, self._overlap)",
        tests=["tests/unit/producer/test_by_time.py::test_a_larger_overlap_sends_nothing_again"],
    ),
    Mutation(
        name="v2: a page that is taken apart has a row twice",
        file=_BY_TIME,
        old="tuple({e.event.sequence: e for e in entries if e.event.sequence not in self._sent}.values())",
        new="tuple(e for e in entries if e.event.sequence not in self._sent)",
        tests=[f"{_UNREADABLE}::test_a_row_that_appears_while_a_page_is_taken_apart_doubles_none"],
    ),
)
