"""Instances for the sandbox's DICOM server, and the producer's settings to read it."""

from collections.abc import Iterable
from datetime import datetime

from dicomcast_producer.config import FeedSettings
from dicomcast_sandbox.dicom.instance import DataSet, Instance
from dicomcast_sandbox.dicom.store import TICKS_PER_S, Store

STUDY = "1.2.826.0.1.1"
SERIES = f"{STUDY}.1"


def instance(number: int, *, study: str = STUDY, data_set: DataSet | None = None) -> Instance:
    """Instance `number` of a study, with a small data set."""
    sop = f"{study}.1.{number}"
    own: DataSet = {
        "00080018": {"vr": "UI", "Value": [sop]},
        "0020000D": {"vr": "UI", "Value": [study]},
        "00200013": {"vr": "IS", "Value": [number]},
    }
    return Instance(
        study_instance_uid=study,
        series_instance_uid=f"{study}.1",
        sop_instance_uid=sop,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        data_set=own | (data_set or {}),
    )


def fill(store: Store, numbers: Iterable[int], *, study: str = STUDY) -> None:
    """Stores the instances, one Create row each."""
    for number in numbers:
        store.create(instance(number, study=study))


def ticks(at: datetime) -> int:
    """The store's clock."""
    return int(at.timestamp() * TICKS_PER_S)


def feed_settings(**settings: object) -> FeedSettings:
    """For a feed at `url`, polled quickly."""
    return FeedSettings.model_validate(
        {"name": "pacs", "poll_interval_s": 0.05, "gap_settle_s": 0.3, "timeout_s": 5.0, **settings}
    )
