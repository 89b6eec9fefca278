"""dicomcast-consumer, of which one thread gets stuck at the first records. Run as a module: WHERE (kafka | loop)."""

import sys
import time

from dicomcast_consumer import run, source, worker
from dicomcast_consumer.__main__ import main
from dicomcast_consumer.group import ApplyGroup

WHERE = sys.argv[1]
FOR_EVER_S = 3_600


class StuckSource(source.Source):
    def _hand_over_positions(self, by_partition):  # type: ignore[no-untyped-def]
        if WHERE == "kafka" and by_partition:
            time.sleep(FOR_EVER_S)
        super()._hand_over_positions(by_partition)


class StuckWorker(worker.Worker):
    def _dispatch(self, apply: ApplyGroup) -> None:
        if WHERE == "loop" and not self._owned.idle:
            time.sleep(FOR_EVER_S)
        super()._dispatch(apply)


vars(run).update(Source=StuckSource, Worker=StuckWorker)
sys.argv = ["dicomcast-consumer", "run"]
main()
