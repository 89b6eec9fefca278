"""`doctor` on a broker that denies by default: the rights of a role are enough, and each that is missing is named."""

import json
import uuid
from dataclasses import dataclass, field

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
from dicomcast_schemas.topic import cursor_topic

from tests.fakes.dicom_server import DicomServer
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.processes import Line, eventually
from tests.integration.security.conftest import Secured
from tests.integration.security.roles import Role

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

READ, WRITE, DESCRIBE, CONFIGS = (
    *(AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE),
    AclOperation.DESCRIBE_CONFIGS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """A user, on a line of its own, that may do what was granted."""

    role: Role
    admin: AdminClient
    rules: list[AclBinding] = field(default_factory=list)

    def grant(self, kind: ResourceType, name: str, *operations: AclOperation) -> None:
        rules = [
            AclBinding(
                kind,
                name,
                ResourcePatternType.LITERAL,
                f"User:{self.role.user}",
                "*",
                operation,
                AclPermissionType.ALLOW,
            )
            for operation in operations
        ]
        for future in self.admin.create_acls(rules).values():
            future.result(30)
        self.rules.extend(rules)
        eventually(lambda: set(rules) <= set(self.admin.describe_acls(_of(self.role.user)).result(30)))

    def doctor(self, process: str, *, code: int) -> dict[str, str]:
        ended = getattr(self.role, process)("doctor", "--json")
        document = json.loads(ended.text)
        assert (ended.code, document["exit_code"]) == (code, code), ended.text
        return {check["name"]: f"{check['verdict']}: {check['text']}" for check in document["checks"]}


def _of(user: str) -> AclBindingFilter:
    return AclBindingFilter(
        ResourceType.ANY,
        None,
        ResourcePatternType.ANY,
        f"User:{user}",
        None,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )


@pytest.fixture
def allowed(secured: Secured, fhir: RunningFhirServer, dicom: DicomServer) -> Allowed:
    """Nothing yet."""
    line = Line(
        bootstrap=secured.kafka.inner,
        env={
            "DICOMCAST_FHIR__URL": fhir.base_url,
            "DICOMCAST_FEED__NAME": "main",
            "DICOMCAST_FEED__URL": dicom.base_url,
            "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": dicom.dicomweb_url,
        },
    )
    line.create_topics()
    user = f"u{uuid.uuid4().hex[:8]}"
    secured.kafka.add_user(user)
    return Allowed(role=Role(user=user, kafka=secured.kafka, line=line), admin=secured.kafka.admin())


def test_the_consumers_rights(allowed: Allowed) -> None:
    line = allowed.role.line
    checks = allowed.doctor("consumer", code=64)
    assert f"Read on topic {line.topic}" in checks["topic"], "hidden is not missing"
    assert f"Read on group {line.group}" in checks["group"]

    allowed.grant(ResourceType.TOPIC, line.topic, DESCRIBE)
    assert f"needs Read on topic {line.topic}" in allowed.doctor("consumer", code=64)["topic.read"]

    allowed.grant(ResourceType.TOPIC, line.topic, READ)
    allowed.grant(ResourceType.GROUP, line.group, DESCRIBE)
    allowed.grant(ResourceType.TOPIC, line.letters_topic, DESCRIBE)
    checks = allowed.doctor("consumer", code=64)
    assert f"needs Write on topic {line.letters_topic}" in checks["letters.write"]
    assert f"needs Read on group {line.group}" in checks["group"]

    allowed.grant(ResourceType.GROUP, line.group, READ)
    allowed.grant(ResourceType.TOPIC, line.letters_topic, WRITE)
    checks = allowed.doctor("consumer", code=0)
    assert "DescribeConfigs" in checks["letters.settings"]
    assert checks["letters.done"].startswith("warning")
    assert "hush" not in json.dumps(checks)


def test_the_producers_rights(allowed: Allowed) -> None:
    line = allowed.role.line
    cursor = cursor_topic(line.topic)
    assert f"topic {line.topic}" in allowed.doctor("producer", code=64)["topics"]

    allowed.grant(ResourceType.TOPIC, line.topic, DESCRIBE, CONFIGS)
    allowed.grant(ResourceType.TOPIC, cursor, READ, CONFIGS)
    assert f"needs Write on topic {line.topic}" in allowed.doctor("producer", code=64)["topics.rights"]

    allowed.grant(ResourceType.TOPIC, line.topic, WRITE)
    assert f"needs Write on topic {cursor}" in allowed.doctor("producer", code=64)["topics.rights"]

    allowed.grant(ResourceType.TOPIC, cursor, WRITE)
    assert allowed.doctor("producer", code=0)["transactions"].startswith("skipped")
