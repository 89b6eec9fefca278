"""dicomcast-producer, whose Kafka thread gets stuck at the first events. Run as a module; its arguments are `run`'s."""

import sys
import time
from collections.abc import Sequence

from dicomcast_producer import __main__ as command
from dicomcast_producer.cursor import Cursor
from dicomcast_producer.entry import FeedEntry
from dicomcast_producer.publisher import KafkaPublisher

FOR_EVER_S = 3_600


class StuckPublisher(KafkaPublisher):
    def publish(self, entries: Sequence[FeedEntry], cursor: Cursor) -> None:
        if entries:
            time.sleep(FOR_EVER_S)
        super().publish(entries, cursor)


vars(command).update(KafkaPublisher=StuckPublisher, _STUCK_S=6.0)
sys.argv = ["dicomcast-producer", "run", *sys.argv[1:]]
command.main()
