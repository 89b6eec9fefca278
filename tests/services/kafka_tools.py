"""Kafka's own command-line tools, as its users have them, without the shell scripts around them."""

import subprocess
from pathlib import Path

__all__ = ["kafka_acls", "kafka_consumer_groups"]

SERVICES = Path(__file__).parent


def kafka_consumer_groups(bootstrap: str, group: str, *args: str) -> str:
    """kafka-consumer-groups.sh; what it prints. Fails when it reports an error."""
    where = ("--bootstrap-server", bootstrap, "--group", group)
    return _run("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", *where, *args)


def kafka_acls(*args: str) -> str:
    """kafka-acls.sh; what it prints. Fails when it reports an error."""
    return _run("org.apache.kafka.tools.AclCommand", *args)


def _run(tool: str, *args: str) -> str:
    script = '. "$0/common.sh"; exec "$(find_java 17)" -XX:TieredStopAtLevel=1 -cp "$KAFKA/libs/*" "$@"'
    result = subprocess.run(
        ["bash", "-c", script, str(SERVICES), tool, *args], capture_output=True, text=True, timeout=180, check=False
    )
    assert result.returncode == 0, result.stderr + result.stdout
    assert "Error" not in result.stdout, result.stdout
    return result.stdout
