"""The servers of a chaos run keep what they hold over a kill."""

from pathlib import Path

import orjson
from dicomcast_sandbox.fhir.store import Key, Version

from tests.chaos.peer import KeptStore, dicom_store, lines
from tests.chaos.story import Story


def test_a_fhir_store_is_what_its_file_says_without_the_line_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "fhir"
    store = KeptStore(path)
    key, resource = Key("Patient", store.new_id()), {"resourceType": "Patient", "identifier": [{"value": "P1"}]}
    with store.all_or_nothing():
        store.append(Version(key=key, number=1, at="now", method="POST", resource=resource, targets=frozenset({key})))
    path.write_bytes(path.read_bytes() + path.read_bytes()[:-20])
    again = KeptStore(path)
    assert again.latest(key) == store.latest(key)
    assert again.with_identifier("Patient", "P1") == [store.latest(key)]
    assert again.new_id() == str(int(key.id) + 1)
    assert len(list(lines(path))) == 1


def test_what_a_transaction_takes_back_is_not_written(tmp_path: Path) -> None:
    store = KeptStore(tmp_path / "fhir")
    version = Version(key=Key("Patient", "1"), number=1, at="now", method="POST", resource={})
    try:
        with store.all_or_nothing():
            store.append(version)
            raise LookupError
    except LookupError:
        pass
    assert list(lines(tmp_path / "fhir")) == []


def test_a_dicom_store_is_what_its_operations_make(tmp_path: Path) -> None:
    story, path = Story(3), tmp_path / "dicom"
    operations = [operation | {"ticks": 7} for _ in range(200) for operation in story.next()]
    store, carry_out = dicom_store(path)
    for operation in operations:
        carry_out(operation)
    path.write_bytes(b"".join(orjson.dumps(operation) + b"\n" for operation in operations))
    again, _ = dicom_store(path)
    assert again.window(0, 1 << 40) == store.window(0, 1 << 40) != []
    assert again.instances() == store.instances()
