"""`dicomcast-consumer doctor`: everything that `run` needs, looked at one by one, before it runs or while it does.

    command     the command line
    checks      all checks, in their order, of one set of settings
    kafka       brokers, topics, rights, the group's offsets
    fhir        the FHIR server: what it says it can do, and searches as `run` makes them
    sources     the DICOM servers behind the events
    group_state pure: what the group's offsets say

The checks are those of the start (`topics`, `letter_room`, `capability`, `fhir_reader`), asked one at a time. Nothing
is written: no record, no offset, no resource, no schema; no topic is made by asking for it.
"""
