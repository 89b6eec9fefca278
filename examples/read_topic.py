"""usage: read_topic.py BOOTSTRAP TOPIC GROUP COUNT  Needs the contract (`pip install dicomcast`) and a Kafka client.

No automatic commits: with them, librdkafka 2.16 commits at close() records of a transaction it has not returned yet.
"""

import sys

from confluent_kafka import Consumer
from dicomcast_schemas import decode

bootstrap, topic, group, count = sys.argv[1:]
kafka = {"bootstrap.servers": bootstrap, "isolation.level": "read_committed", "enable.auto.commit": False}
consumer = Consumer({**kafka, "group.id": group, "auto.offset.reset": "earliest"})
consumer.subscribe([topic])
for _ in range(int(count)):
    record = consumer.poll(60)
    if record is None or record.error():
        sys.exit(f"no event: {record and record.error()}")
    event = decode(record.value())  # with a Schema Registry: schema_by_id=, a function from the id to the schema's JSON
    print(f"{event.feed}:{event.sequence}", event.action, event.study_instance_uid, event.sop_instance_uid)
consumer.commit(asynchronous=False)
consumer.close()
