"""A short chaos run. `make chaos SECONDS=900 SEED=7` is a long one."""

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.chaos.__main__ import again, report
from tests.chaos.run import Plan, chaos
from tests.services.fixtures import installed

pytestmark = pytest.mark.slow


def test_nothing_is_lost_doubled_or_out_of_order_whatever_is_killed() -> None:
    """G1 to G5, with three members and a producer as processes on a Kafka of their own."""
    folder = Path(tempfile.mkdtemp(prefix="dicomcast-chaos-"))
    plan = Plan(seed=1, seconds=45, folder=folder)
    with installed():
        outcome = chaos(plan)
    print(report(outcome.figures))
    assert outcome.violations == [], f"again with: {again(plan)}; logs in {folder}"
    assert outcome.figures["events"] > 0
    shutil.rmtree(folder)
