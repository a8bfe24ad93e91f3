"""A consumer group member by librdkafka: reads a number of records, commits, prints them sorted.

    group.py SETTINGS GROUP TOPIC COUNT
"""
import json
import sys
import time

from confluent_kafka import Consumer

settings, group, topic, count = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
consumer = Consumer({
    **settings,
    "group.id": group,
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
})
consumer.subscribe([topic])
values, give_up = [], time.monotonic() + 60
while len(values) < count:
    if time.monotonic() > give_up:
        sys.exit(f"{len(values)} of {count} records after 60 s")
    message = consumer.poll(0.2)
    if message is None:
        continue
    if message.error():
        print(message.error(), file=sys.stderr)
        continue
    values.append(message.value().decode())
    consumer.commit(message, asynchronous=False)
consumer.close()
print("\n".join(sorted(values)))
