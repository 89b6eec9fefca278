"""The ACLs of docs/security.md: enough for the whole line, not more than that, and each missing one is named."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from dicomcast_schemas.topic import DEFAULT_TOPIC, cursor_topic, dead_letter_topic
from pydicom.uid import generate_uid

from tests.fakes.dicom_server import DicomServer, dicom_server
from tests.fakes.fhir_server import fhir_server
from tests.fakes.processes import Line, eventually
from tests.integration.instances import store_instances
from tests.integration.security.conftest import Secured
from tests.integration.security.document import acl_commands
from tests.integration.security.roles import Ended, Role
from tests.services.kafka_tools import kafka_acls

# A broker that denies is asked by many clients, each of which signs in anew: minutes on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

GROUP = "dicomcast-consumer"
LETTERS = dead_letter_topic(DEFAULT_TOPIC, GROUP)
ANY = AclBindingFilter(
    ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled:
    """The line between two servers, and its users with the document's ACLs."""

    dicom: DicomServer
    line: Line
    secured: Secured
    admin: AdminClient

    def role(self, user: str) -> Role:
        return Role(user=user, kafka=self.secured.kafka, line=self.line)

    def rules(self) -> list[AclBinding]:
        found: list[AclBinding] = self.admin.describe_acls(ANY).result(30)
        return found

    def without(self, rule: AclBinding) -> None:
        """Takes one ACL away; returns when the broker acts by it."""
        (removed,) = self.admin.delete_acls([_exactly(rule)]).values()
        assert removed.result(30) == [rule]
        eventually(lambda: rule not in self.rules())

    def give_back(self, rule: AclBinding) -> None:
        (made,) = self.admin.create_acls([rule]).values()
        made.result(30)
        eventually(lambda: rule in self.rules())


@pytest.fixture(scope="module")
def ruled(secured: Secured, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ruled]:
    kafka = secured.kafka
    nothing = tmp_path_factory.mktemp("acls") / "admin.properties"
    nothing.touch()
    for arguments in acl_commands():
        for name, value in (("--bootstrap-server", kafka.inner), ("--command-config", str(nothing))):
            arguments[arguments.index(name) + 1] = value
        kafka_acls(*arguments)
    admin = kafka.admin()
    with dicom_server() as dicom, fhir_server() as fhir:
        env = {
            "DICOMCAST_FEED__NAME": "main",
            "DICOMCAST_FEED__URL": dicom.base_url,
            "DICOMCAST_FEED__GAP_SETTLE_S": "0",
            "DICOMCAST_FHIR__URL": fhir.base_url,
            "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": dicom.dicomweb_url,
        }
        line = Line(bootstrap=kafka.inner, topic=DEFAULT_TOPIC, group=GROUP, env=env)
        found = Ruled(dicom=dicom, line=line, secured=secured, admin=admin)
        for user in {str(rule.principal).removeprefix("User:") for rule in found.rules()}:
            kafka.add_user(user)
        _whole_line(found)
        yield found


def _whole_line(ruled: Ruled) -> None:
    """Every role does its work once; the topics have events, a cursor and a dead letter afterwards."""
    for act in WORK.values():
        ended = act(ruled)
        assert ended.code == 0, ended.text


def topics(ruled: Ruled) -> Ended:
    """Creates a topic and alters others each time."""
    number = next(_numbers)
    group = (f"g{number}",) if number else (GROUP,)
    return ruled.role("dicomcast-topics").producer(
        *("topics", "apply"), *("--group", *group), DICOMCAST_TOPIC__RETENTION_DAYS=str(1000 + number)
    )


def publish(ruled: Ruled) -> Ended:
    """One instance without a PatientID, and one with."""
    for patient_id in ("", "P1"):
        store_instances(ruled.dicom.base_url, study=generate_uid(), count=1, patient_id=patient_id)
    return _all(
        ruled.role("dicomcast-producer"), ("producer", "run", "--exit-when-idle"), ("producer", "cursor", "show")
    )


def apply(ruled: Ruled) -> Ended:
    """What is on the topic is applied, and a dead letter written."""
    letters = sum(ruled.line.end_offsets(LETTERS).values())
    published = publish(ruled)
    assert published.code == 0, published.text
    ended = ruled.role(GROUP).apply_all()
    assert ended.code or sum(ruled.line.end_offsets(LETTERS).values()) > letters
    return ended


def look(ruled: Ruled) -> Ended:
    """What an operator looks at."""
    partition = next(p for p, end in ruled.line.end_offsets(LETTERS).items() if end)
    return _all(
        ruled.role("dicomcast-viewer"),
        ("consumer", "status"),
        ("consumer", "replay", "plan", "--to", "earliest"),
        ("consumer", "dlq", "list"),
        ("consumer", "dlq", "show", f"{partition}:0"),
    )


def act(ruled: Ruled) -> Ended:
    """What an operator does."""
    return _all(
        ruled.role("dicomcast-operator"),
        ("consumer", "dlq", "list"),
        ("consumer", "replay", "apply", "--to", "earliest", "--yes"),
    )


def read(ruled: Ruled) -> Ended:
    """Another team's reader."""
    (error,) = ruled.role("dashboard").read(DEFAULT_TOPIC, "dashboard") or ["nothing"]
    return Ended(64 if error else 0, f"{error}: Read on {DEFAULT_TOPIC} and dashboard")


WORK: dict[str, Callable[[Ruled], Ended]] = {
    "dicomcast-topics": topics,
    "dicomcast-producer": publish,
    "dicomcast-consumer": apply,
    "dicomcast-viewer": look,
    "dicomcast-operator": act,
    "dashboard": read,
}
_numbers = itertools.count()
NAMED = {
    AclOperation.READ: ("Read", "Describe"),
    AclOperation.WRITE: ("Write", "Describe"),
    AclOperation.ALTER_CONFIGS: ("AlterConfigs", "DescribeConfigs"),
    AclOperation.CREATE: ("Create",),
    AclOperation.DESCRIBE: ("Describe",),
    AclOperation.DESCRIBE_CONFIGS: ("DescribeConfigs",),
}
"""What an error may name for a missing right: itself, or what it includes and is asked for first."""


def test_each_missing_acl_breaks_its_role_with_an_error_that_names_it(ruled: Ruled) -> None:
    for rule in ruled.rules():
        user = str(rule.principal).removeprefix("User:")
        ruled.without(rule)
        try:
            ended = WORK[user](ruled)
        finally:
            ruled.give_back(rule)
        missing = f"without {rule.operation.name} on {rule.name} {user} ended with {ended}"
        assert ended.code == 64, missing
        assert any(f"{name} on" in ended.text for name in NAMED[rule.operation]), missing
        assert rule.name in ended.text, missing
        assert "Traceback" not in ended.text
    _whole_line(ruled)


def test_no_role_does_what_is_not_its_own(ruled: Ruled) -> None:
    topics = (DEFAULT_TOPIC, cursor_topic(DEFAULT_TOPIC), LETTERS)
    may_write = {
        "dicomcast-producer": {DEFAULT_TOPIC, cursor_topic(DEFAULT_TOPIC)},
        "dicomcast-consumer": {LETTERS},
        "dicomcast-viewer": set(),
        "dicomcast-operator": set(),
        "dicomcast-topics": set(),
        "dashboard": set(),
    }
    may_read = {
        "dicomcast-producer": {cursor_topic(DEFAULT_TOPIC)},
        "dicomcast-consumer": {DEFAULT_TOPIC},
        "dicomcast-viewer": {DEFAULT_TOPIC, LETTERS},
        "dicomcast-operator": {DEFAULT_TOPIC, LETTERS},
        "dicomcast-topics": set(),
        "dashboard": {DEFAULT_TOPIC},
    }
    for user, allowed in may_write.items():
        role = ruled.role(user)
        refused = {topic for topic in topics if topic not in allowed}
        assert {topic for topic in topics if role.write(topic) == "TOPIC_AUTHORIZATION_FAILED"} >= refused, user
        assert {topic for topic in topics if role.may_read(topic)} == may_read[user], user
        if user != "dicomcast-producer":
            assert role.fence(f"dicomcast.{DEFAULT_TOPIC}") == "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"
    # Another's group: its offsets are not for a reader to move.
    assert ruled.role("dashboard").read(DEFAULT_TOPIC, GROUP) == ["GROUP_AUTHORIZATION_FAILED"]
    assert ruled.role("dicomcast-viewer").consumer("replay", "apply", "--to", "earliest", "--yes").code == 64


def _all(role: Role, *commands: tuple[str, ...]) -> Ended:
    """The commands, up to the first that fails."""
    ended = Ended(0, "")
    for package, *args in commands:
        ended = (role.producer if package == "producer" else role.consumer)(*args)
        if ended.code:
            break
    return ended


def _exactly(rule: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        rule.restype,
        rule.name,
        rule.resource_pattern_type,
        rule.principal,
        rule.host,
        rule.operation,
        rule.permission_type,
    )
