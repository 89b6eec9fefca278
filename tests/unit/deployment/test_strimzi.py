"""deploy/strimzi: the topics of `topics apply`, users with the rights of docs/security.md, an overlay that builds."""

import functools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from dicomcast_producer.topics import WantedTopic, wanted_topics
from dicomcast_runtime.kafka_settings import TopicSettings

from tests.integration.security.document import acl_commands
from tests.services.fixtures import installed
from tests.services.server import NOT_INSTALLED, SCRIPTS, NotInstalledError

ROOT = Path(__file__).parents[3] / "deploy" / "strimzi"
TOPICS: list[dict[str, Any]] = list(yaml.safe_load_all((ROOT / "kafka" / "topics.yaml").read_text()))
USERS: list[dict[str, Any]] = list(yaml.safe_load_all((ROOT / "kafka" / "users.yaml").read_text()))
OBJECTS = {f"{found['kind']}/{found['metadata']['name']}": found for found in (*TOPICS, *USERS)}
GROUP = "dicomcast-consumer"
BY_THE_TOPIC_OPERATOR = "dicomcast-topics"
RESOURCES = {"--topic": "topic", "--group": "group", "--transactional-id": "transactionalId"}

Rule = tuple[str, str, str, str]
"""Resource type, its name, pattern type, operation."""


def test_the_topics_are_those_of_topics_apply() -> None:
    settings = TopicSettings()
    found = tuple(
        WantedTopic(
            name=topic["metadata"]["name"], partitions=topic["spec"]["partitions"], config=topic["spec"]["config"]
        )
        for topic in TOPICS
    )
    assert found == wanted_topics(settings, groups=[GROUP], letter_partitions=settings.partitions)
    assert settings.replication_factor == -1
    assert [topic for topic in TOPICS if "replicas" in topic["spec"]] == []


def test_each_user_has_the_rights_of_the_document_and_no_others() -> None:
    documented = _documented()
    assert documented.pop(BY_THE_TOPIC_OPERATOR)
    assert {user["metadata"]["name"]: _granted(user) for user in USERS} == documented


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_every_object_is_what_strimzi_takes(name: str) -> None:
    definition = _definition(OBJECTS[name]["kind"])
    (version,) = definition["spec"]["versions"]
    assert OBJECTS[name]["apiVersion"] == f"{definition['spec']['group']}/{version['name']}"
    jsonschema.validate(OBJECTS[name], _strict(version["schema"]["openAPIV3Schema"]))


def test_the_definitions_refuse_what_they_do_not_know() -> None:
    strict = _strict(_definition("KafkaUser")["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    user: dict[str, Any] = {"spec": {"authorization": {"type": "simple", "acls": [{"resource": {"type": "topic"}}]}}}
    with pytest.raises(jsonschema.ValidationError, match="operations"):
        jsonschema.validate(user, strict)
    user["spec"] = {"authorisation": {}}
    with pytest.raises(jsonschema.ValidationError, match="authorisation"):
        jsonschema.validate(user, strict)


def test_the_overlay_is_the_base_with_topics_users_and_certificates_of_strimzi() -> None:
    found = {f"{each['kind']}/{each['metadata']['name']}": each for each in _built(ROOT)}
    assert OBJECTS.keys() <= found.keys()
    assert "Job/dicomcast-topics" not in found
    for name, each in found.items():
        if name in OBJECTS:
            assert each["metadata"]["labels"]["strimzi.io/cluster"] == "my-cluster"
        else:
            kubernetes_validate.validate(each, "1.31", strict=True)
    for process in ("producer", "consumer"):
        (volume,) = (
            each
            for each in found[f"Deployment/dicomcast-{process}"]["spec"]["template"]["spec"]["volumes"]
            if each["name"] == "kafka"
        )
        assert {
            item["path"]: (source["secret"]["name"], item["key"])
            for source in volume["projected"]["sources"]
            for item in source["secret"]["items"]
        } == {
            "user.crt": (f"dicomcast-{process}", "user.crt"),
            "user.key": (f"dicomcast-{process}", "user.key"),
            "ca.crt": ("my-cluster-cluster-ca-cert", "ca.crt"),
        }
        assert f"KafkaUser/dicomcast-{process}" in found


def test_topics_and_users_can_be_applied_alone() -> None:
    assert {f"{each['kind']}/{each['metadata']['name']}" for each in _built(ROOT / "kafka")} == OBJECTS.keys()


def _documented() -> dict[str, set[Rule]]:
    """User → what the kafka-acls commands of docs/security.md allow."""
    users: dict[str, set[Rule]] = {}
    for arguments in acl_commands():
        words = iter(word for word in arguments if word != "--add")
        options = list(zip(words, words, strict=True))
        chosen = dict(options)
        pattern = {"prefixed": "prefix"}.get(chosen.get("--resource-pattern-type", "literal"), "literal")
        users.setdefault(chosen["--allow-principal"].removeprefix("User:"), set()).update(
            (RESOURCES[option], name, pattern, operation)
            for option, name in options
            if option in RESOURCES
            for other, operation in options
            if other == "--operation"
        )
    return users


def _granted(user: dict[str, Any]) -> set[Rule]:
    rules = user["spec"]["authorization"]["acls"]
    assert [rule for rule in rules if rule.keys() != {"resource", "operations"}] == []  # allow, from any host
    return {
        (rule["resource"]["type"], rule["resource"]["name"], rule["resource"].get("patternType", "literal"), operation)
        for rule in rules
        for operation in rule["operations"]
    }


@functools.cache
def _definition(kind: str) -> dict[str, Any]:
    """Strimzi's own definition of a kind; skips the test, or fails it where CI=true, when it has not been fetched."""
    with installed():
        done = subprocess.run(["bash", str(SCRIPTS / "strimzi-crds.sh")], capture_output=True, text=True, check=False)
        if done.returncode == NOT_INSTALLED:
            raise NotInstalledError(done.stderr.strip())
        assert done.returncode == 0, done.stderr
        return dict(yaml.safe_load((Path(done.stdout.strip()) / f"{kind}.yaml").read_text()))


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, which refuses fields that the API server would drop without a word."""
    strict = {name: _strict(value) if isinstance(value, dict) else value for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        strict["additionalProperties"] = False
    return strict


def _built(folder: Path) -> list[dict[str, Any]]:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed (not needed to work on dicomcast)")
    built = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(built.stdout))
