"""Bugs of whose study it is, and of what a run of its events leaves."""

from tests.mutations.mutation import Mutation

__all__ = ["MAPPING_MUTATIONS"]

_MAPPING = "consumer/dicomcast_consumer/mapping"
_SETTLEMENT = "tests/unit/mapping/test_settlement.py"
_REJECTED = f"{_SETTLEMENT}::test_a_rejected_change_leaves_nothing_though_a_later_one_of_its_instance_belongs"

MAPPING_MUTATIONS = (
    Mutation(
        name="a study that runs empty within a run stays the former patient's",
        file=f"{_MAPPING}/settlement.py",
        old="if self._movable and self._places.is_empty:",
        new="if False:",
        tests=[
            f"{_SETTLEMENT}::test_a_study_that_runs_empty_on_the_way_is_whose_the_next_instance_is[options0]",
            f"{_SETTLEMENT}::test_a_study_that_could_not_be_deleted_is_whose_the_next_instance_is",
        ],
    ),
    Mutation(
        name="a study that runs empty within a run keeps the former one's accession number",
        file=f"{_MAPPING}/imaging_study.py",
        old="begins = settlement.begins",
        new="begins = None",
        tests=[
            f"{_SETTLEMENT}::test_it_has_nothing_of_what_was_but_id_and_version",
        ],
    ),
    Mutation(
        name="a rejected change of another patient gives the study its values",
        file=f"{_MAPPING}/settlement.py",
        old="runs=tuple(runs) if len(accepted) == len(changes) else fold(accepted),",
        new="runs=tuple(runs),",
        tests=[_REJECTED],
    ),
    Mutation(
        name="a rejected change of another patient gives the study its values when it comes again",
        file=f"{_MAPPING}/settlement.py",
        old="return False  # from before",
        new="return True  # from before",
        tests=[_REJECTED],
    ),
    Mutation(
        name="any identifier of a placeholder makes a Patient one, so that the study moves on",
        file=f"{_MAPPING}/settlement.py",
        old="return self._movable and is_bare and any(",
        new="return self._movable and any(",
        tests=[f"{_SETTLEMENT}::test_a_patient_is_no_placeholder_for_having_an_identifier_of_one[identifiers0]"],
    ),
    Mutation(
        name="a subject on another server is taken for one that is gone",
        file=f"{_MAPPING}/settlement.py",
        old='is_gone = self._movable and self._reference.startswith("Patient/")',
        new="is_gone = self._movable",
        tests=[f"{_SETTLEMENT}::test_a_subject_that_somebody_set_to_what_cannot_be_read_stays[subject0]"],
    ),
    Mutation(
        name="a run has the DICOM server of its first event alone",
        file="consumer/dicomcast_consumer/apply.py",
        old="(self._events.profile(feed), tuple(changes))",
        new="(self._events.profile(events.changes[0][1].mark.feed), tuple(changes))",
        tests=["tests/unit/consumer/test_waiting_studies.py::test_a_study_of_two_feeds_has_the_endpoints_of_both"],
    ),
)
