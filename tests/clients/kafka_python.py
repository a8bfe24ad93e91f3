"""A round trip by kafka-python, a client that shares no code with librdkafka.

    kafka_python.py ADDRESS TOPIC COUNT
"""
import sys

from kafka import KafkaConsumer, KafkaProducer

address, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
producer = KafkaProducer(bootstrap_servers=address, acks="all", compression_type="gzip")
for number in range(count):
    producer.send(topic, f"record {number}".encode()).get(timeout=30)
producer.close()
consumer = KafkaConsumer(
    topic, bootstrap_servers=address, group_id="kafka-python", auto_offset_reset="earliest",
    consumer_timeout_ms=30000,
)
seen = []
for message in consumer:
    seen.append(message.value.decode())
    if len(seen) == count:
        break
consumer.close()
print(len(set(seen)))
