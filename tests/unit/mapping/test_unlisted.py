"""instances=none: what a list of instances is for holds without it."""

from dicomcast_consumer.mapping import MappingOptions
from dicomcast_consumer.mapping.unlisted import digests
from dicomcast_schemas import Action, DicomChangeEvent

from tests.unit.mapping.scene import OPTIONS, Scene, event

NONE = MappingOptions(instances="none")


def _events(count: int, series: str = "1.2.3.1") -> list[DicomChangeEvent]:
    return [event(n, series=series, instance=f"{series}.{n}", InstanceNumber=n) for n in range(1, count + 1)]


def _counts(scene: Scene) -> tuple[int, list[int]]:
    assert scene.study is not None
    return scene.study["numberOfInstances"], [series["numberOfInstances"] for series in scene.study["series"]]


def _delete(sequence: int, series: str, instance: str) -> DicomChangeEvent:
    return event(sequence, action=Action.DELETE, series=series, instance=instance)


def test_counts_second_stores_and_deletions_are_right_without_a_list() -> None:
    scene = Scene(options=NONE)
    scene.send(*_events(5))
    scene.send_each(*_events(3))
    assert _counts(scene) == (5, [5])
    assert "instance" not in scene.series()
    writes = scene.writes
    scene.send(*_events(5))
    assert scene.writes == writes
    scene.send(_delete(6, "1.2.3.1", "1.2.3.1.2"), _delete(7, "1.2.3.1", "1.2.3.1.4"))
    assert _counts(scene) == (3, [3])
    scene.send(_delete(8, "1.2.3.1", "1.2.3.1.2"))
    assert _counts(scene) == (3, [3])
    scene.send(*(_delete(n + 10, "1.2.3.1", f"1.2.3.1.{n}") for n in (1, 3, 5)))
    assert scene.study is None


def test_an_instance_that_moves_to_another_series_leaves_the_first() -> None:
    scene = Scene(options=NONE)
    scene.send(*_events(2))
    scene.send(event(3, action=Action.UPDATE, series="1.2.3.2", instance="1.2.3.1.1"))
    assert _counts(scene) == (2, [1, 1])
    scene.send(event(4, action=Action.UPDATE, series="1.2.3.2", instance="1.2.3.1.2"))
    assert _counts(scene) == (2, [2])


def test_a_listed_study_loses_its_list_at_the_next_change_and_gets_back_what_is_stored_again() -> None:
    scene = Scene()
    scene.send(*_events(4))
    scene.options = NONE
    scene.send(event(5, instance="1.2.3.1.5"))
    assert (_counts(scene), "instance" in scene.series()) == ((5, [5]), False)
    scene.options = OPTIONS
    scene.send(event(6, instance="1.2.3.1.1"), event(7, instance="1.2.3.1.6"))
    assert [instance["uid"] for instance in scene.series()["instance"]] == ["1.2.3.1.1", "1.2.3.1.6"]
    assert len(digests(scene.series())) == 4
    assert _counts(scene) == (6, [6])
    scene.send(*_events(5))
    assert digests(scene.series()) == []
    assert "extension" not in scene.series()


def test_a_second_store_that_names_another_patient_moves_the_study_as_with_a_list() -> None:
    scene = Scene(options=NONE)
    scene.send(*_events(2))
    scene.send(event(3, instance="1.2.3.1.1", PatientID="P2"))
    assert scene.report == ["patient_changed"]


def test_a_study_of_16000_instances_is_a_small_resource() -> None:
    scene = Scene(options=NONE)
    scene.send(*_events(16_000))
    assert _counts(scene) == (16_000, [16_000])
    assert len(scene.content()) < 250_000
