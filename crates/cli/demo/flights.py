"""The flights of 2013 from New York, through Kafka and back.

Produces one event for each flight (key: the aircraft) with librdkafka's idempotent producer, reads them with two
independent consumer groups of two members each, and prints what it has seen as JSON lines on standard output:
`progress`, `half` (the moment at which the caller may kill the broker), and at the end `result`, with the sums of both
groups beside those computed directly from the file. It knows nothing of Penstock: certificates and addresses are
arguments.
"""

import argparse
import collections
import csv
import io
import json
import sys
import threading
import time
import zipfile

from confluent_kafka import Consumer, Producer

# Without a new record for so long, something is stuck: a killed broker is back within seconds.
GIVE_UP_AFTER_SECONDS = 120
# A new group waits three seconds for more members. Who is not there by then reads along a little later.
JOIN_WITHIN_SECONDS = 20
PROGRESS_EVERY = 50_000
MEMBERS_OF_EACH_GROUP = 2


def say(what, **fields):
    print(json.dumps({"event": what, **fields}), flush=True)


def read_flights(path, limit):
    """Yields (aircraft, event) for each flight of the file, in its order."""
    with zipfile.ZipFile(path) as archive:
        with archive.open(archive.namelist()[0]) as binary:
            rows = csv.DictReader(io.TextIOWrapper(binary, encoding="utf-8"))
            for number, row in enumerate(rows):
                if number == limit:
                    return
                delay = row["dep_delay"]
                departed = delay not in ("", "NA")
                yield row["tailnum"] or "unknown", {
                    "number": number,
                    "time": row["time_hour"],
                    "hour": int(float(row["hour"])),
                    "airline": row["carrier"],
                    "from": row["origin"],
                    "to": row["dest"],
                    "state": "departed" if departed else "cancelled",
                    "delay_minutes": int(float(delay)) if departed else None,
                }


class DelayPerAirline:
    """Of each airline: flights that departed, and the sum of their delays in minutes."""

    name = "delay-per-airline"

    def __init__(self):
        self.sums = collections.defaultdict(lambda: [0, 0])

    def add(self, event):
        if event["state"] == "departed":
            entry = self.sums[event["airline"]]
            entry[0] += 1
            entry[1] += event["delay_minutes"]

    def table(self):
        return {airline: list(entry) for airline, entry in sorted(self.sums.items())}


class DeparturesPerHour:
    """Of each hour of the day: flights that departed, and that were cancelled."""

    name = "departures-per-hour"

    def __init__(self):
        self.sums = collections.defaultdict(lambda: [0, 0])

    def add(self, event):
        self.sums[event["hour"]][0 if event["state"] == "departed" else 1] += 1

    def table(self):
        return {str(hour): list(entry) for hour, entry in sorted(self.sums.items())}


class Group(threading.Thread):
    """One consumer group. Its sums know up to which offset they reach, so that records which are read again after a
    rebalance (their offsets were not committed yet) count once."""

    def __init__(self, connection, topic, query, expected):
        super().__init__(daemon=True)
        self.connection, self.topic, self.query, self.expected = connection, topic, query, expected
        self.next_offset = collections.defaultdict(int)
        self.seen = self.again = 0
        self.error = None
        self.joined = threading.Event()

    def run(self):
        try:
            self.consume()
        except Exception as error:  # noqa: BLE001 - the main thread reports it
            self.error = f"{type(error).__name__}: {error}"

    def consume(self):
        settings = {
            "group.id": f"{self.query.name}-{self.topic}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
        members = [Consumer(self.connection | settings) for _ in range(MEMBERS_OF_EACH_GROUP)]
        for member in members:
            member.subscribe([self.topic], on_assign=lambda *_: self.joined.set())
        last = time.monotonic()
        while self.seen < self.expected:
            got = 0
            for member in members:
                records = [record for record in member.consume(2_000, timeout=0.05) if record.error() is None]
                for record in records:
                    self.count(record)
                if records:
                    got += len(records)
                    member.commit(asynchronous=True)
            now = time.monotonic()
            last = now if got else last
            if now - last > GIVE_UP_AFTER_SECONDS:
                raise TimeoutError(f"{self.seen} of {self.expected} events after {GIVE_UP_AFTER_SECONDS} s of silence")
        for member in members:
            member.close()

    def count(self, record):
        if record.offset() < self.next_offset[record.partition()]:
            self.again += 1
            return
        self.next_offset[record.partition()] = record.offset() + 1
        self.query.add(json.loads(record.value()))
        self.seen += 1


class Sending:
    """Produces, and measures how long the longest silence between two acknowledgements was."""

    def __init__(self, connection, topic):
        self.topic = topic
        self.acknowledged = self.failed = 0
        self.last = None
        self.longest_silence = 0.0
        self.producer = Producer(connection | {
            "enable.idempotence": True,
            "linger.ms": 20,
            "message.timeout.ms": GIVE_UP_AFTER_SECONDS * 1_000,
            "queue.buffering.max.messages": 100_000,
        })

    def acknowledge(self, error, _record):
        if error is not None:
            self.failed += 1
            return
        now = time.monotonic()
        if self.last is not None:
            self.longest_silence = max(self.longest_silence, now - self.last)
        self.last = now
        self.acknowledged += 1

    def send(self, key, event):
        value = json.dumps(event)
        while True:
            try:
                self.producer.produce(self.topic, key=key, value=value, on_delivery=self.acknowledge)
                self.producer.poll(0)
                return
            except BufferError:
                self.producer.poll(0.1)

    def finish(self):
        return self.producer.flush(GIVE_UP_AFTER_SECONDS)


def main():
    parser = argparse.ArgumentParser()
    for name in ("data", "bootstrap", "ca", "cert", "key", "topic"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--flights", type=int)
    arguments = parser.parse_args()
    connection = {
        "bootstrap.servers": arguments.bootstrap,
        "security.protocol": "ssl",
        "ssl.ca.location": arguments.ca,
        "ssl.certificate.location": arguments.cert,
        "ssl.key.location": arguments.key,
        # The broker comes back within a second; the default would wait up to ten between tries.
        "reconnect.backoff.max.ms": 500,
        # Lost connections are what this is about.
        "log_level": 0,
    }

    flights = list(read_flights(arguments.data, arguments.flights))
    direct = [DelayPerAirline(), DeparturesPerHour()]
    for _, event in flights:
        for query in direct:
            query.add(event)
    say("read", flights=len(flights))

    groups = [
        Group(connection, arguments.topic, query, len(flights)) for query in (DelayPerAirline(), DeparturesPerHour())
    ]
    for group in groups:
        group.start()
    for group in groups:
        group.joined.wait(JOIN_WITHIN_SECONDS)
    start = time.monotonic()
    sending = Sending(connection, arguments.topic)
    for number, (key, event) in enumerate(flights, start=1):
        sending.send(key, event)
        if number == len(flights) // 2:
            say("half", acknowledged=sending.acknowledged)
        if number % PROGRESS_EVERY == 0:
            say("progress", sent=number, acknowledged=sending.acknowledged, read=[group.seen for group in groups])
    unsent = sending.finish()
    produced_after = time.monotonic() - start
    for group in groups:
        group.join()

    say(
        "result",
        flights=len(flights),
        acknowledged=sending.acknowledged,
        lost=sending.failed + unsent,
        produce_seconds=round(produced_after, 2),
        seconds=round(time.monotonic() - start, 2),
        longest_silence_seconds=round(sending.longest_silence, 2),
        groups=[
            {
                "name": group.query.name,
                "read": group.seen,
                "read_again": group.again,
                "error": group.error,
                "equal": group.query.table() == expected.table(),
                "table": group.query.table(),
            }
            for group, expected in zip(groups, direct)
        ],
    )
    good = sending.acknowledged == len(flights) and all(
        group.error is None and group.query.table() == expected.table() for group, expected in zip(groups, direct)
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
