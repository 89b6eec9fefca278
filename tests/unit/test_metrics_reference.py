"""docs/metrics.md names exactly the metrics there are, each with its type, labels and help text."""

from pathlib import Path

import pytest
from dicomcast_consumer.member_state import MemberState
from dicomcast_consumer.metrics import ConsumerMetrics
from dicomcast_producer.metrics import ProducerMetrics
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

DOCUMENT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")


def rows(registry: CollectorRegistry) -> list[str]:
    """The table that the document must hold."""
    found = []
    for collector in sorted(registry._collector_to_names, key=lambda c: sorted(registry._collector_to_names[c])[0]):
        assert isinstance(collector, MetricWrapperBase)
        (family,) = collector.describe()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = f"{{{','.join(collector._labelnames)}}}" if collector._labelnames else ""
        found.append(f"| `{name}{labels}` | {family.type} | {family.documentation} |")
    return found


def consumer_registry() -> CollectorRegistry:
    metrics = ConsumerMetrics()
    metrics.watch(MemberState, lambda: False)
    return metrics.registry


@pytest.mark.parametrize(
    ("heading", "registry"),
    [("dicomcast-producer", ProducerMetrics().registry), ("dicomcast-consumer", consumer_registry())],
)
def test_the_table_is_that_of_the_registry(heading: str, registry: CollectorRegistry) -> None:
    section = DOCUMENT.split(f"## Metrics of {heading}\n")[1].split("\n## ")[0]
    written = [line for line in section.splitlines() if line.startswith("| `")]
    assert sorted(written) == sorted(rows(registry))
