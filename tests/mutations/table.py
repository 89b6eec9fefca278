"""The known ways to get it wrong, as bugs to put back: where, what, and the tests that must turn red.

When a text is not found any more, the product has changed: find where the bug would be made now, and put that here.
"""

from tests.mutations.letters_table import LETTER_MUTATIONS
from tests.mutations.mapping_table import MAPPING_MUTATIONS
from tests.mutations.mutation import Mutation
from tests.mutations.producer_table import PRODUCER_MUTATIONS

__all__ = ["MUTATIONS"]

_DOSE = "tests/contract/test_dose.py"
_DOSE_RULES = "tests/unit/mapping/test_dose.py"
_MEMBER = "tests/unit/consumer/test_member.py"
_SOURCE = "tests/unit/consumer/test_metadata_source.py"
_PAGE = "tests/unit/web"
_CONSUMER = "consumer/dicomcast_consumer"

MUTATIONS = (
    *PRODUCER_MUTATIONS,
    *LETTER_MUTATIONS,
    *MAPPING_MUTATIONS,
    Mutation(
        name="the highest offset seen is committed instead of the lowest unfinished",
        file=f"{_CONSUMER}/offsets.py",
        old="candidate = self._unfinished[0] if self._unfinished else self._after_all()",
        new="candidate = self._after_all()",
        tests=["tests/unit/consumer/test_offsets.py::test_the_lowest_unfinished_offset_holds_the_commit_back"],
    ),
    Mutation(
        name="the page: what a letter's headers say is markup",
        file=f"{_CONSUMER}/web/app.py",
        old="autoescape=True",
        new="autoescape=False",
        tests=[f"{_PAGE}/test_app.py::test_nothing_that_others_wrote_is_markup[/letters/0:3]"],
    ),
    Mutation(
        name="the page: any name that DNS leads to 127.0.0.1 may ask it",
        file=f"{_CONSUMER}/web/guard.py",
        old='if name == "localhost" or name in',
        new="if name or name in",
        tests=[f"{_PAGE}/test_guard.py::test_other_hosts_are_not[evil.example]"],
    ),
    Mutation(
        name="a dead letter that the broker refused is taken for done",
        file=f"{_CONSUMER}/outbox.py",
        old="if refused is None:",
        new="if refused is None or attempt == 0:",
        tests=[f"{_MEMBER}::test_an_offset_waits_for_the_acknowledgement_of_its_letter"],
    ),
    Mutation(
        name="a late completion of a revoked partition counts in the next assignment",
        file=f"{_CONSUMER}/assignments.py",
        old="offsets = self._offsets.get(run.epoch)",
        new="offsets = self._offsets.get(self._lanes.epoch(run.partition) or run.epoch)",
        tests=[f"{_MEMBER}::test_a_late_completion_finishes_nothing_in_the_next_assignment"],
    ),
    Mutation(
        name="a run that met a foreign record takes the good events before it along",
        file=f"{_CONSUMER}/lanes.py",
        old="            if is_owned and not finished:\n",
        new="            if False:\n",
        tests=[
            f"{_MEMBER}::test_a_record_of_an_unknown_schema_stops_the_partition_and_the_way_past_it_loses_nothing[4]",
            "tests/unit/consumer/test_lanes.py::test_a_stopped_partition_gives_what_stands_before_that_and_no_more",
        ],
    ),
    Mutation(
        name="events behind the record that stopped their partition are applied",
        file=f"{_CONSUMER}/lanes.py",
        old="return self.waiting[lane][0].offset < self.stop_at",
        new="return True",
        tests=["tests/unit/consumer/test_lanes.py::test_in_strict_order_a_stopped_partition_gives_that_too"],
    ),
    Mutation(
        name="a study is in flight twice after revoke and re-assign",
        file=f"{_CONSUMER}/lanes.py",
        old="        self._partitions.pop(partition, None)\n",
        new=(
            "        self._partitions.pop(partition, None)\n"
            "        self._in_flight = {l: r for l, r in self._in_flight.items() if r.partition != partition}\n"
        ),
        tests=["tests/unit/consumer/test_lanes.py::test_an_orphan_blocks_its_study_until_it_ends"],
    ),
    Mutation(
        name="the poll thread sleeps",
        file=f"{_CONSUMER}/source.py",
        old="            owned.position = position\n",
        new="            owned.position = position\n            time.sleep(15 if records else 0)\n",
        tests=[
            "tests/integration/consumer/test_poll.py::test_an_outage_longer_than_max_poll_interval_costs_no_membership"
        ],
        needs_kafka=True,
    ),
    Mutation(
        name="an offset is finished before the FHIR server has answered",
        file=f"{_CONSUMER}/assignments.py",
        old="        self._lanes.receive(partition, records)\n",
        new=(
            "        self._lanes.receive(partition, records)\n"
            "        for record in records:\n"
            "            self._offsets[epoch].finish(record.offset)\n"
        ),
        tests=[f"{_MEMBER}::test_an_outage_is_waited_for_and_fills_no_dead_letter_topic"],
    ),
    Mutation(
        name="a rebalance waits longer for its drain than max.poll.interval.ms",
        file=f"{_CONSUMER}/source.py",
        old="while not answered.wait(_POLL_S) and time.monotonic() < deadline_s:",
        new="while not answered.wait(_POLL_S):",
        tests=["tests/integration/consumer/test_poll.py::test_a_write_that_hangs_does_not_hold_a_rebalance_up"],
        needs_kafka=True,
    ),
    Mutation(
        name="the result of an offset reset is not checked",
        file=f"{_CONSUMER}/replay.py",
        old="    elif refused:\n        raise _refused(group, refused)\n",
        new="",
        tests=[
            "tests/unit/consumer/test_replay.py::test_a_refused_partition_is_found_though_the_client_raises_nothing"
        ],
    ),
    Mutation(
        name="an offset reset is not read back",
        file=f"{_CONSUMER}/replay.py",
        old="    if different:\n",
        new="    if False:\n",
        tests=["tests/unit/consumer/test_replay.py::test_accepted_is_not_done"],
    ),
    Mutation(
        name="409 is sent to the dead letters",
        file=f"{_CONSUMER}/fhir_answer.py",
        old='if status == 412 and "multiple-matches" in codes:',
        new='if status == 409 or (status == 412 and "multiple-matches" in codes):',
        tests=[f"{_MEMBER}::test_a_conflict_is_read_again_and_never_a_letter"],
    ),
    Mutation(
        name="a server that cannot be reached is a lone study's misfortune",
        file=f"{_CONSUMER}/gate.py",
        old="failed = None if isinstance(error, UnreachableError) else lanes[0]",
        new="failed = lanes[0]",
        tests=["tests/unit/consumer/test_fhir_answers.py::test_no_connection_is_an_outage_when_a_single_study_waits"],
    ),
    Mutation(
        name="an unknown schema is decoded with a known one",
        file="schemas/dicomcast_schemas/codec.py",
        old='            raise UnknownSchemaError(f"fingerprint {value[2:10].hex()}")\n',
        new="            writer = _SCHEMA\n",
        tests=["tests/unit/test_contract.py::test_an_unknown_schema_is_never_decoded_with_a_known_one"],
    ),
    Mutation(
        name="position() is asked at commit time",
        file=f"{_CONSUMER}/source.py",
        old="            self._consumer.commit(offsets=owned, asynchronous=True)\n",
        new=(
            "            owned = [place for place in self._consumer.position(owned) if place.offset >= 0]\n"
            "            self._consumer.commit(offsets=owned, asynchronous=True)\n"
        ),
        tests=[
            "tests/integration/consumer/test_group.py::"
            "test_kill_9_between_the_write_and_the_commit_redoes_and_doubles_nothing"
        ],
        needs_kafka=True,
    ),
    Mutation(
        name="a verdict comes from a cache",
        file=f"{_CONSUMER}/fhir_reader.py",
        old='        identifiers = ",".join(study_token(uid) for uid in uids)\n        return await',
        new=(
            '        identifiers = ",".join(study_token(uid) for uid in uids)\n'
            '        cache = self.__dict__.setdefault("cache", {})\n'
            "        if identifiers in cache:\n"
            "            return cache[identifiers]\n"
            "        cache[identifiers] = await"
        ),
        tests=[f"{_MEMBER}::test_a_conflict_is_read_again_and_never_a_letter"],
    ),
    Mutation(
        name="an entry that failed in a transaction that was taken counts as written",
        file=f"{_CONSUMER}/fhir_answer.py",
        old="    check_status(\n        int(status),\n",
        new="    check_status(\n        200,\n",
        tests=["tests/unit/consumer/test_fhir_entries.py::test_an_entry_that_failed_is_judged_as_a_whole_answer_is"],
    ),
    Mutation(
        name="an answer to a search that is no Bundle finds nothing",
        file=f"{_CONSUMER}/fhir_answer.py",
        old='    if page.get("resourceType") != "Bundle":\n',
        new="    if False:\n",
        tests=[
            "tests/unit/consumer/test_fhir_entries.py::test_an_answer_to_a_search_that_is_no_bundle_finds_nothing_out"
        ],
    ),
    Mutation(
        name="a search's result that was cut off is taken for all that there is",
        file=f"{_CONSUMER}/fhir_client.py",
        old="            if len(found) < most and len(found) >= total(pages[0]):\n",
        new="            if True:\n",
        tests=[
            "tests/unit/consumer/test_fhir_client.py::"
            "test_where_more_is_found_than_was_expected_nothing_of_it_is_missed"
        ],
    ),
    Mutation(
        name="verify: a study at another patient passes",
        file=f"{_CONSUMER}/verify_values.py",
        old='return held.subject is not None and said.patient.names(held.subject.get("identifier") or ())',
        new="return True",
        tests=[
            "tests/unit/consumer/test_verify_values.py::"
            "test_the_subject_is_the_patient_of_the_data_set_or_it_is_doubtful"
        ],
    ),
    Mutation(
        name="a frozen owner writes after it was thawed",
        file=f"{_CONSUMER}/apply.py",
        old="                await self._prove(group.partition)\n",
        new="",
        tests=[f"{_MEMBER}::test_nothing_is_written_before_a_commit_proves_the_partition"],
    ),
    Mutation(
        name="a study that someone just wrote to is deleted",
        file=f"{_CONSUMER}/deletion.py",
        old="and int(made) > int(before) + 1:",
        new="and False:",
        tests=[
            "tests/unit/consumer/test_deletion.py::test_a_study_someone_wrote_to_meanwhile_is_put_back_and_read_again"
        ],
    ),
    Mutation(
        name="dose: a replayed report that is older undoes a newer one",
        file=f"{_CONSUMER}/mapping/merge_dose.py",
        old="        if change.kind is Kind.UPSERT and self._is_older(mark, uid):\n            return\n",
        new="",
        tests=[f"{_DOSE_RULES}::test_an_older_report_does_not_undo_a_newer_one"],
    ),
    Mutation(
        name="dose: an event goes with its report though another one names it",
        file=f"{_CONSUMER}/mapping/merge_dose.py",
        old="return [*reports, *sorted(touched - named)]",
        new="return [*reports, *sorted(touched)]",
        tests=[f"{_DOSE_RULES}::test_an_event_goes_with_the_last_summary_that_names_it"],
    ),
    Mutation(
        name="dose: deleting any instance deletes the doses of the study, as DICOM Cast does",
        file=f"{_CONSUMER}/mapping/merge_dose.py",
        old="reports = [uid for uid in self._touched if uid not in self._now and uid in self._known]",
        new="reports = [uid for uid in self._known if self._touched and not self._now]",
        tests=[f"{_DOSE}::test_a_deleted_report_takes_its_own_and_nothing_else[sandbox]"],
    ),
    Mutation(
        name="dose: an event that an update drops stays when the process died before its deletion",
        file=f"{_CONSUMER}/mapping/merge_dose.py",
        old="        marks.take(_carried(carrier), mark)\n",
        new="",
        tests=[
            f"{_DOSE_RULES}::test_an_event_of_an_update_that_was_cut_off_before_its_deletion_goes_with_the_next_attempt"
        ],
    ),
    Mutation(
        name="dose: the dose stays with the former patient",
        file=f"{_CONSUMER}/mapping/merge_dose.py",
        old='return self._subject is not None and observation.get("subject") != self._subject',
        new="return False",
        tests=[f"{_DOSE}::test_the_dose_moves_with_the_study_to_another_patient[sandbox]"],
    ),
    Mutation(
        name="dose: decimals are read as binary floats",
        file=f"{_CONSUMER}/mapping/header.py",
        old="msgspec.json.Decoder(float_hook=Decimal)",
        new="msgspec.json.Decoder()",
        tests=[f"{_DOSE_RULES}::test_a_number_keeps_its_digits_from_metadata_to_request[12.30-12.30]"],
    ),
    Mutation(
        name="dose: one event in two studies is looked for by its UID alone",
        file=f"{_CONSUMER}/mapping/dose_observation.py",
        old="return token(DICOM_UID_SYSTEM, urn_oid(uid)), dose_study_token(study_instance_uid)",
        new="return (token(DICOM_UID_SYSTEM, urn_oid(uid)),) * 2",
        tests=[f"{_DOSE}::test_one_event_reported_in_two_studies_is_an_observation_in_each[sandbox]"],
    ),
    Mutation(
        name="dose: a study that our own doses hold is not deleted",
        file=f"{_CONSUMER}/deletion.py",
        old="        if not ours:\n            raise\n",
        new="        raise\n",
        tests=[f"{_DOSE}::test_a_study_is_deleted_though_doses_of_ours_hold_it_and_the_option_is_off[sandbox]"],
    ),
    Mutation(
        name="dose: an Observation that others refer to holds the feed up",
        file=f"{_CONSUMER}/deletion.py",
        old="    except ConflictError:\n        pass  # one of them is referenced: it is looked for\n",
        new="    except ConflictError:\n        raise\n",
        tests=[f"{_DOSE}::test_an_observation_that_others_refer_to_stays_and_holds_nothing_up[sandbox]"],
    ),
    Mutation(
        name="the DICOM server: a 404 is believed whoever answers it",
        file="runtime/dicomcast_runtime/dicomweb_client.py",
        old="if response.status_code == httpx.codes.NOT_FOUND:",
        new="if False:",
        tests=[f"{_SOURCE}::test_a_proxy_without_its_server_has_lost_no_instance"],
    ),
    Mutation(
        name="the DICOM server: an outage of it makes dead letters",
        file=f"{_CONSUMER}/reader.py",
        old="raise NoMetadataError(str(error), retry_after_s=retry_after_s(error.retry_after)) from error",
        new='raise RejectedError("source", "source.gone", str(error)) from error',
        tests=[
            f"{_SOURCE}::test_an_answer_that_is_no_metadata_is_waited_for[503]",
            f"{_SOURCE}::test_a_server_that_is_down_is_waited_for",
            f"{_SOURCE}::test_a_server_that_hangs_is_asked_again",
        ],
    ),
    Mutation(
        name="the DICOM server: studies wait with the one that needs its metadata",
        file=f"{_CONSUMER}/worker.py",
        old="for group in Group.apart(runs):",
        new="for group in [Group(runs)]:",
        tests=[f"{_SOURCE}::test_what_needs_no_metadata_goes_on"],
    ),
    Mutation(
        name="the DICOM server: what waits for it counts as in flight",
        file=f"{_CONSUMER}/worker.py",
        old="(in_order or not group.at_source)",
        new="True",
        tests=[f"{_SOURCE}::test_what_needs_no_metadata_goes_on"],
    ),
    Mutation(
        name="the DICOM server: in strict order what waits for it is passed",
        file=f"{_CONSUMER}/worker.py",
        old="in_order = self._limits.max_in_flight == 1",
        new="in_order = False",
        tests=[f"{_SOURCE}::test_in_strict_order_everything_waits"],
    ),
    Mutation(
        name="the DICOM server: after its outage everything goes to FHIR at once",
        file=f"{_CONSUMER}/apply.py",
        old="async with self._on_the_way:",
        new="async with asyncio.Semaphore():",
        tests=[f"{_SOURCE}::test_after_an_outage_no_more_is_in_flight_than_allowed"],
    ),
    Mutation(
        name="the DICOM server: an instance that is never readable holds its study up for ever",
        file=f"{_CONSUMER}/apply.py",
        old="if alone == _ALONE:",
        new="if False:",
        tests=[f"{_SOURCE}::test_one_instance_that_is_never_readable_is_found_while_others_are"],
    ),
    Mutation(
        name="the DICOM server: a long outage of it is taken for bad instances",
        file=f"{_CONSUMER}/apply.py",
        old="if stuck and await self._events.is_alone(record) else 0",
        new="if stuck else 0",
        tests=[f"{_SOURCE}::test_an_outage_is_never_taken_for_one_bad_instance"],
    ),
    Mutation(
        name="a field of another type than the contract's is passed on",
        file="schemas/dicomcast_schemas/codec.py",
        old="if type(fields[name]) not in kinds:",
        new="if False:",
        tests=["tests/unit/test_hostile_avro.py::test_a_field_of_another_type_is_never_passed_on"],
    ),
    Mutation(
        name="a connection whose answer was cut off is used again",
        file="runtime/dicomcast_runtime/http_connections.py",
        old="self._is_closed, is_sound = True, False",
        new="self._is_closed, is_sound = True, True",
        tests=[
            "tests/unit/runtime/test_http_connections.py::"
            "test_a_connection_whose_answer_was_cut_off_while_it_was_closed_is_not_used_again"
        ],
    ),
    Mutation(
        name="whoever lets go of a Kafka client waits for its threads",
        file="runtime/dicomcast_runtime/kafka_clients.py",
        old="_thread.start_new_thread([self].clear, ())",
        new="[self].clear()",
        tests=[
            "tests/unit/runtime/test_kafka_clients.py::"
            "test_a_client_that_is_let_go_of_ends_on_a_thread_of_its_own[AdminClient]"
        ],
    ),
    Mutation(
        name="a question that Kafka's client forgets is waited for",
        file="runtime/dicomcast_runtime/kafka_answers.py",
        old="return future.result(_FORGOTTEN * within_s)",
        new="return future.result(30)",
        tests=["tests/unit/runtime/test_kafka_answers.py::test_an_answer_that_never_comes_is_not_waited_for"],
    ),
    Mutation(
        name="the number of an issuer that is not known is searched for without a system",
        file=f"{_CONSUMER}/mapping/read_patient.py",
        old='        raise RejectedError("map", "map.patient_issuer_unknown", _ISSUER_UNKNOWN)\n',
        new="        pass\n",
        tests=["tests/unit/mapping/test_patient.py::test_one_number_of_two_issuers_is_never_one_patient[True]"],
    ),
)
