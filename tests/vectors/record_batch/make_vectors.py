#!/usr/bin/env python3
"""Makes the files of this folder: batches as other programs write them, cut out of a real broker's segments.

  make_vectors.py BOOTSTRAP LOG_DIR KAFKA_LIBS

Needs a running Kafka 4.3.1 with empty LOG_DIR, num.partitions=1 and log.retention.ms=-1, Java 17, and the packages kafka-python, confluent-kafka, aiokafka,
lz4, zstandard, cramjam. The broker keeps a producer's bytes (compression.type=producer) but for base offset and leader epoch.
"""
import asyncio, glob, os, subprocess, sys, time

bootstrap, log_dir, libs = sys.argv[1:4]
here = os.path.dirname(os.path.abspath(__file__))
codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
first_ms = 1700000000000


def rows():
    for i in range(20):
        key = None if i % 5 == 4 else b"key-%d" % i
        value = None if i % 7 == 6 else b"" if i == 3 else b"value %d " % i + b"abc" * i
        headers = []
        if i % 3 == 0:
            headers.append(("h", b"header %d" % i))
        if i % 6 == 0:
            headers += [("null", None), ("", b"")]
        yield i, key, value, headers


def with_kafka_python(codec):
    from kafka import KafkaProducer
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=500, batch_size=1000000,
                             compression_type=None if codec == "none" else codec)
    topic = "kafka-python-" + codec
    producer.partitions_for(topic)
    for i, key, value, headers in rows():
        # it takes no null header values
        headers = [(k, v) for k, v in headers if v is not None]
        producer.send(topic, value, key, headers, 0, first_ms + i * 7)
    producer.flush()
    producer.close()


def with_librdkafka(codec):
    from confluent_kafka import Producer
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 500, "compression.type": codec})
    topic = "librdkafka-" + codec
    producer.list_topics(topic, 10)
    for i, key, value, headers in rows():
        producer.produce(topic, value, key, 0, timestamp=first_ms + i * 7, headers=headers)
    producer.flush()


async def with_aiokafka(codec):
    from aiokafka import AIOKafkaProducer
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=500, max_batch_size=1000000,
                                compression_type=None if codec == "none" else codec)
    await producer.start()
    topic = "aiokafka-" + codec
    await producer.partitions_for(topic)
    for i, key, value, headers in rows():
        await producer.send(topic, value, key, 0, first_ms + i * 7, headers)
    await producer.stop()


subprocess.run(["java", "-cp", libs + "/*", os.path.join(here, "MakeVectors.java"), bootstrap], check=True,
               stderr=subprocess.DEVNULL)
for c in codecs:
    for write in (with_kafka_python, with_librdkafka, lambda codec: asyncio.run(with_aiokafka(codec))):
        try:
            write(c)
        except Exception as e:
            print("left out:", c, repr(e))
time.sleep(1)
for folder in sorted(glob.glob(os.path.join(log_dir, "*-0"))):
    name = os.path.basename(folder)[:-2]
    if name.split("-")[0] not in ("java", "kafka", "librdkafka", "aiokafka"):
        continue
    # Old timestamps make the broker roll often: all segments, in order.
    data = b"".join(open(s, "rb").read() for s in sorted(glob.glob(os.path.join(folder, "*.log"))))
    with open(os.path.join(here, name + ".hex"), "w") as out:
        for at in range(0, len(data), 32):
            out.write(data[at:at + 32].hex() + "\n")
    print(name, len(data))
