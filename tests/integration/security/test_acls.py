"""The ACLs of docs/security.md: enough for the whole line, not more than that, and each missing one is named."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from dicomcast_consumer.__main__ import app as consumer_app
from dicomcast_schemas.topic import DEFAULT_TOPIC, DeadLetterHeader, cursor_topic, dead_letter_topic, done_topic
from pydicom.uid import generate_uid
from typer.testing import CliRunner

from tests.fakes.dicom_server import DicomServer, dicom_server
from tests.fakes.fhir_server import fhir_server
from tests.fakes.processes import Line, eventually
from tests.integration.instances import store_instances
from tests.integration.security.conftest import Secured
from tests.integration.security.document import acl_commands
from tests.integration.security.roles import Ended, Role
from tests.services.kafka_tools import kafka_acls
from tests.services.secure_kafka import exactly

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

    def repeat_a_letter(self) -> None:
        """The first dead letter once more, as if its event had been rejected after a group replay: it is pending."""
        letter = next(one for one in self.line.read(LETTERS) if one.headers())
        headers: list[tuple[str, Any]] = [
            (name, datetime.now(UTC).isoformat().encode() if name == DeadLetterHeader.FAILED_AT else value)
            for name, value in letter.headers() or []
        ]
        producer = Producer({"log_level": 0, "bootstrap.servers": self.secured.kafka.inner})
        producer.produce(LETTERS, letter.value(), letter.key(), partition=letter.partition() or 0, headers=headers)
        assert producer.flush(30) == 0

    def without(self, rule: AclBinding) -> None:
        """Takes one ACL away; returns when the broker acts by it."""
        (removed,) = self.admin.delete_acls([exactly(rule)]).values()
        assert removed.result(30) == [rule]
        eventually(lambda: rule not in self.rules())

    def give_back(self, rule: AclBinding) -> None:
        (made,) = self.admin.create_acls([rule]).values()
        made.result(30)
        eventually(lambda: rule in self.rules())


@pytest.fixture(scope="module")
def allowed(secured: Secured, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ruled]:
    """Users, ACLs and topics; nothing has been done yet."""
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
        line.create_topics()
        line.committed()  # from now on the group has a coordinator
        yield found


@pytest.fixture(scope="module")
def ruled(allowed: Ruled) -> Ruled:
    """Every role has done its work once: the topics have events, a cursor and a dead letter."""
    _whole_line(allowed)
    return allowed


def _whole_line(ruled: Ruled) -> None:
    """Every role does its work once."""
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
        ("consumer", "dlq", "replay", "--all", "--dry-run"),
        ("page",),
    )


def replay_letters(ruled: Ruled) -> Ended:
    """A letter is rejected again and goes back; then it is applied and marked."""
    ruled.repeat_a_letter()
    role = ruled.role("dicomcast-replayer")
    again = role.ended("dlq", "replay", "--all")
    if again.code != 65:
        return again
    return role.ended("dlq", "replay", "--all", DICOMCAST_MAPPING__MISSING_PATIENT_ID="placeholder")


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
    "dicomcast-replayer": replay_letters,
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


def test_no_role_does_what_is_not_its_own(allowed: Ruled) -> None:
    done = done_topic(DEFAULT_TOPIC, GROUP)
    topics = (DEFAULT_TOPIC, cursor_topic(DEFAULT_TOPIC), LETTERS, done)
    may_write = {
        "dicomcast-producer": {DEFAULT_TOPIC, cursor_topic(DEFAULT_TOPIC)},
        "dicomcast-consumer": {LETTERS},
        "dicomcast-viewer": set(),
        "dicomcast-replayer": {LETTERS, done},
        "dicomcast-operator": set(),
        "dicomcast-topics": set(),
        "dashboard": set(),
    }
    may_read = {
        "dicomcast-producer": {cursor_topic(DEFAULT_TOPIC)},
        "dicomcast-consumer": {DEFAULT_TOPIC},
        "dicomcast-viewer": {DEFAULT_TOPIC, LETTERS, done},
        "dicomcast-replayer": {DEFAULT_TOPIC, LETTERS, done},
        "dicomcast-operator": {DEFAULT_TOPIC, LETTERS, done},
        "dicomcast-topics": set(),
        "dashboard": {DEFAULT_TOPIC},
    }

    def tried(user: str) -> tuple[set[str], set[str], str | None]:
        """Topics that are written though they are not its own, those that it may read, what the producer's id gets."""
        role = allowed.role(user)
        return (
            {topic for topic in set(topics) - may_write[user] if role.write(topic) != "TOPIC_AUTHORIZATION_FAILED"},
            {topic for topic in topics if role.may_read(topic)},
            None if user == "dicomcast-producer" else role.fence(f"dicomcast.{DEFAULT_TOPIC}"),
        )

    # Before anything is done: what a role may not do leaves nothing behind. Side by side: each client signs in anew.
    with ThreadPoolExecutor(len(may_write)) as threads:
        found = dict(zip(may_write, threads.map(tried, may_write), strict=True))
    for user, (written, readable, fenced) in found.items():
        assert written == set(), user
        assert readable == may_read[user], user
        assert fenced == (None if user == "dicomcast-producer" else "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"), user
    # Another's group: its offsets are not for a reader to move.
    assert allowed.role("dashboard").read(DEFAULT_TOPIC, GROUP) == ["GROUP_AUTHORIZATION_FAILED"]
    assert allowed.role("dicomcast-viewer").consumer("replay", "apply", "--to", "earliest", "--yes").code == 64


def test_verify_takes_no_right_and_no_setting_of_kafka(allowed: Ruled) -> None:
    line = allowed.line
    env = {name: value for name, value in line.env.items() if "KAFKA" not in name}
    result = CliRunner().invoke(consumer_app, ["verify", "--all", "--again-after-s", "0"], env=env)
    assert result.exit_code in (0, 1), result.output


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


def _all(role: Role, *commands: tuple[str, ...]) -> Ended:
    """The commands, up to the first that fails."""
    ended = Ended(0, "")
    acts = {"producer": role.producer, "consumer": role.consumer, "page": role.page}
    for package, *args in commands:
        ended = acts[package](*args)
        if ended.code:
            break
    return ended
