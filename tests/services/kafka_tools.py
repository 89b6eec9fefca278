"""Kafka's own command-line tools, as its users have them."""

import subprocess
from pathlib import Path

__all__ = ["kafka_consumer_groups"]

SERVICES = Path(__file__).parent


def kafka_consumer_groups(bootstrap: str, group: str, *args: str) -> str:
    """kafka-consumer-groups.sh without the shell script around it; what it prints. Fails when it reports an error."""
    script = '. "$0/common.sh"; exec "$(find_java 17)" -cp "$KAFKA/libs/*" "$@"'
    tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
    where = ("--bootstrap-server", bootstrap, "--group", group)
    result = subprocess.run(
        ["bash", "-c", script, str(SERVICES), tool, *where, *args],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "Error" not in result.stdout, result.stdout
    return result.stdout
