"""confluent-kafka, that is a current librdkafka. Its consumer cannot be made without a group.id;
assigned partitions with explicit offsets work all the same while the coordinator is looked for in
vain."""

import base64
import time

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec

from harness import records, wire

ANSWER_SECONDS_MAX = 30


def produce_all(target, topic, values, partition=0, **options):
    """Sends values and returns the delivered messages; an undelivered one is an assertion."""
    delivered, refused = [], []
    sink = Producer(
        {
            "bootstrap.servers": target.bootstrap,
            "log_level": 0,
            **{k.replace("_", "."): v for k, v in options.items()},
        }
    )

    def report(error, message):
        (refused if error else delivered).append(error or message)

    for value in values:
        sink.produce(topic, value, partition=partition, on_delivery=report)
        sink.poll(0)
    assert sink.flush(ANSWER_SECONDS_MAX) == 0, "not delivered in time"
    if refused:
        raise KafkaException(refused[0])
    return delivered


def consumer(target, **options):
    return Consumer(
        {
            "bootstrap.servers": target.bootstrap,
            "log_level": 0,
            "group.id": "not-used",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            **{k.replace("_", "."): v for k, v in options.items()},
        }
    )


def read(target, topic, count, partition=0, offset=OFFSET_BEGINNING, **options):
    source = consumer(target, **options)
    try:
        source.assign([TopicPartition(topic, partition, offset)])
        found = []
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while len(found) < count and time.monotonic() < deadline:
            for message in source.consume(count, timeout=0.5):
                if message.error():
                    raise KafkaException(message.error())
                found.append(message)
        assert len(found) == count, f"{len(found)} records instead of {count}"
        return found
    finally:
        source.close()


def admin(target):
    return AdminClient({"bootstrap.servers": target.bootstrap, "log_level": 0})


def only(futures):
    return next(iter(futures.values())).result(ANSWER_SECONDS_MAX)


def refused_with(futures, code):
    try:
        only(futures)
    except KafkaException as error:
        assert error.args[0].code() == code, error
        return
    raise AssertionError("it was accepted")


def case_create_list_describe_delete(target):
    name = target.name("confluent-admin")
    client = admin(target)
    only(client.create_topics([NewTopic(name, 2, 1)]))
    deadline = time.monotonic() + ANSWER_SECONDS_MAX
    while name not in client.list_topics(timeout=10).topics:
        assert time.monotonic() < deadline
    refused_with(client.create_topics([NewTopic(name, 2, 1)]), KafkaError.TOPIC_ALREADY_EXISTS)
    described = only(client.describe_topics(TopicCollection([name])))
    assert [one.id for one in described.partitions] == [0, 1]
    assert str(described.topic_id) == str(wire_id(target, name)), described.topic_id
    only(client.delete_topics([name]))
    while name in client.list_topics(timeout=10).topics:
        assert time.monotonic() < deadline
    refused_with(client.delete_topics([name]), KafkaError.UNKNOWN_TOPIC_OR_PART)


def wire_id(target, name):
    """As librdkafka prints ids: plain base64, where Kafka's own tools print the form for URLs."""
    topic_id = wire.metadata(target.bootstrap, [name]).topics[0].topic_id
    return base64.b64encode(topic_id.bytes).decode().rstrip("=")


def case_refuse_bad_topics(target):
    client = admin(target)
    for name in ("a/b", "x" * 250):
        refused_with(client.create_topics([NewTopic(name, 1, 1)]), KafkaError.TOPIC_EXCEPTION)
    refused_with(
        client.create_topics([NewTopic(target.name("c-bad"), 1, 2)]),
        KafkaError.INVALID_REPLICATION_FACTOR,
    )


def case_describe_cluster_and_configs(target):
    client = admin(target)
    cluster = client.describe_cluster().result(ANSWER_SECONDS_MAX)
    assert [(node.host, node.port) for node in cluster.nodes] == [
        ("127.0.0.1", int(target.bootstrap.split(":")[1]))
    ]
    assert cluster.controller.id == cluster.nodes[0].id
    assert len(cluster.cluster_id) == 22
    topic = target.topic("confluent-configs", retention_ms=86400000)
    configs = only(client.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]))
    assert configs["retention.ms"].value == "86400000" and not configs["retention.ms"].is_default
    assert configs["segment.bytes"].value == "1073741824" and configs["segment.bytes"].is_default
    broker = only(
        client.describe_configs(
            [ConfigResource(ConfigResource.Type.BROKER, str(cluster.nodes[0].id))]
        )
    )
    assert broker["log.dirs"].value == str(target.log_dir)


def case_partition_and_offset(target):
    topic = target.topic("confluent-offset", partitions=2)
    sent = produce_all(target, topic, [b"%d" % i for i in range(20)], partition=1)
    assert [one.offset() for one in sent] == list(range(20))
    assert [one.value() for one in read(target, topic, 5, 1, 15)] == [
        b"%d" % i for i in range(15, 20)
    ]
    source = consumer(target)
    try:
        assert source.get_watermark_offsets(TopicPartition(topic, 1), timeout=10) == (0, 20)
        source.assign([TopicPartition(topic, 1, OFFSET_END)])
        assert source.poll(1) is None
    finally:
        source.close()


def case_thousands_in_order(target):
    topic = target.topic("confluent-many")
    values = [b"%d" % i for i in range(20000)]
    assert [one.offset() for one in produce_all(target, topic, values)] == list(range(20000))
    found = read(target, topic, 20000)
    assert [one.value() for one in found] == values
    assert [one.offset() for one in found] == list(range(20000))


def case_idempotent(target):
    topic = target.topic("confluent-idempotent")
    values = [b"%d" % i for i in range(5000)]
    produce_all(target, topic, values, enable_idempotence=True, batch_num_messages=100)
    assert [one.value() for one in read(target, topic, 5000)] == values
    batches = records.read_batches(wire.read_log(target.bootstrap, topic, 0))
    sequence = 0
    for batch in batches:
        assert batch.producer_id == batches[0].producer_id >= 0 and batch.base_sequence == sequence
        sequence += batch.count
    assert sequence == 5000


def case_two_idempotent_producers(target):
    topic = target.topic("confluent-two")
    sinks = [
        Producer(
            {
                "bootstrap.servers": target.bootstrap,
                "log_level": 0,
                "enable.idempotence": True,
                "linger.ms": 1,
            }
        )
        for _ in range(2)
    ]
    for i in range(3000):
        for who, sink in enumerate(sinks):
            sink.produce(topic, b"%d-%d" % (who, i), partition=0)
            sink.poll(0)
    assert [sink.flush(ANSWER_SECONDS_MAX) for sink in sinks] == [0, 0]
    found = [one.value() for one in read(target, topic, 6000)]
    for who in range(2):
        assert [one for one in found if one.startswith(b"%d-" % who)] == [
            b"%d-%d" % (who, i) for i in range(3000)
        ]


def case_acks(target):
    for acks in ("0", "1", "-1"):
        topic = target.topic("confluent-acks")
        produce_all(target, topic, [b"%d" % i for i in range(100)], acks=acks)
        assert [one.value() for one in read(target, topic, 100)] == [b"%d" % i for i in range(100)]


def check_codec(target, codec):
    topic = target.topic(f"confluent-{codec}")
    values = [b"%d " % i + b"the same words again " * 10 for i in range(300)]
    produce_all(target, topic, values, compression_type=codec, linger_ms=20)
    assert [one.value() for one in read(target, topic, 300, check_crcs=True)] == values
    assert records.codecs_of(wire.read_log(target.bootstrap, topic, 0)) == {codec}
    target.codecs_written[topic] = codec


def case_codec_none(target):
    check_codec(target, "none")


def case_codec_gzip(target):
    check_codec(target, "gzip")


def case_codec_snappy(target):
    check_codec(target, "snappy")


def case_codec_lz4(target):
    check_codec(target, "lz4")


def case_codec_zstd(target):
    check_codec(target, "zstd")


def case_headers_keys_and_empty_values(target):
    topic = target.topic("confluent-headers")
    sent = [
        (b"k", b"v", [("a", b"1"), ("a", b"2"), ("empty", b""), ("null", None)]),
        (b"", b"", None),
        (None, b"v", None),
        (b"k", None, [("h", b"\0\xff")]),
    ]
    sink = Producer({"bootstrap.servers": target.bootstrap, "log_level": 0})
    for key, value, headers in sent:
        sink.produce(topic, value, key, 0, headers=headers)
    assert sink.flush(ANSWER_SECONDS_MAX) == 0
    found = [(one.key(), one.value(), one.headers()) for one in read(target, topic, len(sent))]
    assert found == sent, found


def case_timestamps_and_list_offsets(target):
    topic = target.topic("confluent-times")
    start = int(time.time() * 1000) - 60000
    sink = Producer({"bootstrap.servers": target.bootstrap, "log_level": 0})
    for i in (0, 2, 1):
        sink.produce(topic, b"%d" % i, partition=0, timestamp=start + i * 1000)
        assert sink.flush(ANSWER_SECONDS_MAX) == 0
    assert [one.timestamp()[1] - start for one in read(target, topic, 3)] == [0, 2000, 1000]
    partition = TopicPartition(topic, 0)
    client = admin(target)
    for spec, offset in (
        (OffsetSpec.earliest(), 0),
        (OffsetSpec.latest(), 3),
        (OffsetSpec.max_timestamp(), 1),
        (OffsetSpec.for_timestamp(start + 1), 1),
        (OffsetSpec.for_timestamp(start + 2001), -1),
    ):
        for isolation in (IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED):
            found = only(client.list_offsets({partition: spec}, isolation_level=isolation))
            assert found.offset == offset, (spec, isolation, found.offset)
    source = consumer(target)
    try:
        answer = source.offsets_for_times([TopicPartition(topic, 0, start + 1)], timeout=10)
        assert answer[0].offset == 1
    finally:
        source.close()


def case_append_time(target):
    topic = target.topic("confluent-append-time", message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000)
    produce_all(target, topic, [b"v"])
    kind, stamp = read(target, topic, 1)[0].timestamp()
    assert kind == 2 and before <= stamp <= int(time.time() * 1000)


def case_big_records(target):
    topic = target.topic("confluent-big")
    big = bytes(range(251)) * 4100
    produce_all(target, topic, [big, b"small", big], message_max_bytes=3_000_000)
    assert [one.value() for one in read(target, topic, 3)] == [big, b"small", big]
    try:
        produce_all(target, topic, [b"x" * 1_100_000], message_max_bytes=3_000_000)
        raise AssertionError("a record above message.max.bytes was taken")
    except KafkaException as error:
        assert error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE, error


def case_topic_with_a_higher_limit(target):
    topic = target.topic("confluent-limit", max_message_bytes=4_000_000)
    big = b"b" * 3_500_000
    produce_all(target, topic, [big], message_max_bytes=5_000_000)
    assert read(target, topic, 1)[0].value() == big


def case_offset_past_the_end(target):
    topic = target.topic("confluent-past")
    produce_all(target, topic, [b"1"])
    try:
        read(target, topic, 1, offset=50)
        raise AssertionError("no error for an offset past the end")
    except KafkaException as error:
        assert error.args[0].code() in (
            KafkaError._AUTO_OFFSET_RESET,
            KafkaError.OFFSET_OUT_OF_RANGE,
        ), error


def case_unknown_topic(target):
    name = target.name("confluent-unknown")
    source = consumer(target, allow_auto_create_topics=False)
    try:
        assert (
            source.list_topics(name, timeout=10).topics[name].error.code()
            == KafkaError.UNKNOWN_TOPIC_OR_PART
        )
        try:
            source.get_watermark_offsets(TopicPartition(name, 0), timeout=10)
            raise AssertionError("a topic that is not there has offsets")
        except KafkaException as error:
            assert error.args[0].code() in (
                KafkaError.UNKNOWN_TOPIC_OR_PART,
                KafkaError._UNKNOWN_TOPIC,
                KafkaError._UNKNOWN_PARTITION,
            ), error
    finally:
        source.close()
    assert name not in admin(target).list_topics(timeout=10).topics


def case_auto_creation(target):
    name = target.name("confluent-auto")
    produce_all(target, name, [b"v"])
    assert read(target, name, 1)[0].value() == b"v"


def case_waiting_consumer_sees_a_record_at_once(target):
    topic = target.topic("confluent-wait")
    source = consumer(target, fetch_wait_max_ms=20000)
    try:
        source.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        assert source.poll(1.5) is None
        produce_all(target, topic, [b"now"])
        produced = time.monotonic()
        message = source.poll(15)
        assert message is not None and message.value() == b"now"
        assert time.monotonic() - produced < 5, "the Fetch waited for its time-out"
    finally:
        source.close()
