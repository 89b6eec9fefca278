"""Bugs of whose study it is, and of what a run of its events leaves."""

from tests.mutations.mutation import Mutation

__all__ = ["MAPPING_MUTATIONS"]

MAPPING_MUTATIONS = (
    Mutation(
        name="a run has the DICOM server of its first event alone",
        file="consumer/dicomcast_consumer/apply.py",
        old="(self._events.profile(feed), tuple(changes))",
        new="(self._events.profile(events.changes[0][1].mark.feed), tuple(changes))",
        tests=["tests/unit/consumer/test_waiting_studies.py::test_a_study_of_two_feeds_has_the_endpoints_of_both"],
    ),
)
