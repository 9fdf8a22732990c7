"""kafka-python: producer, consumer without a group, admin client."""

import contextlib
import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition, errors
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec

from harness import records, wire

ANSWER_SECONDS_MAX = 30


def producer(target, **options):
    return contextlib.closing(KafkaProducer(bootstrap_servers=target.bootstrap, **options))


def admin(target):
    return contextlib.closing(KafkaAdminClient(bootstrap_servers=target.bootstrap))


def consumer(target, topic, partition=0, offset=0, **options):
    made = KafkaConsumer(
        bootstrap_servers=target.bootstrap, group_id=None, consumer_timeout_ms=10000, **options
    )
    made.assign([TopicPartition(topic, partition)])
    made.seek(TopicPartition(topic, partition), offset)
    return contextlib.closing(made)


def read(target, topic, count, partition=0, offset=0, **options):
    """Exactly count records, and none after them."""
    with consumer(target, topic, partition, offset, **options) as source:
        found = []
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while len(found) < count and time.monotonic() < deadline:
            for batch in source.poll(timeout_ms=1000).values():
                found += batch
        assert len(found) == count, f"{len(found)} records instead of {count}"
        assert not source.poll(timeout_ms=100), "more records than were produced"
        return found


def send_all(target, topic, values, partition=0, **options):
    with producer(target, **options) as sink:
        futures = [sink.send(topic, value, partition=partition) for value in values]
        sink.flush(ANSWER_SECONDS_MAX)
        return [future.get(ANSWER_SECONDS_MAX) for future in futures]


def case_create_list_describe_delete(target):
    name = target.name("python-admin")
    with admin(target) as client:
        client.create_topics(
            {
                name: {
                    "num_partitions": 3,
                    "replication_factor": 1,
                    "configs": {"max.message.bytes": "2000000"},
                }
            },
            wait_for_metadata=True,
        )
        assert name in client.list_topics()
        described = client.describe_topics([name])[0]
        assert [one["partition_index"] for one in described["partitions"]] == [0, 1, 2]
        assert all(
            one["leader_id"] >= 0 and one["isr_nodes"] == [one["leader_id"]]
            for one in described["partitions"]
        )
        try:
            client.create_topics({name: {"num_partitions": 3, "replication_factor": 1}})
            raise AssertionError("the same topic was made twice")
        except errors.TopicAlreadyExistsError:
            pass
        client.delete_topics([name])
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while name in client.list_topics():
            assert time.monotonic() < deadline, "the deleted topic is still listed"
        try:
            client.delete_topics([name])
            raise AssertionError("a topic that is gone was deleted")
        except errors.UnknownTopicOrPartitionError:
            pass


def case_refuse_bad_topics(target):
    with admin(target) as client:
        for name in ("a/b", "x" * 250, ".", "..", "", "a b"):
            try:
                client.create_topics({name: {"num_partitions": 1, "replication_factor": 1}})
                raise AssertionError(f"a topic was made with the name {name[:10]!r}")
            except errors.InvalidTopicError:
                pass
        for options, error in (
            ({"num_partitions": 0}, errors.InvalidPartitionsError),
            ({"replication_factor": 3}, errors.InvalidReplicationFactorError),
            ({"configs": {"no.such.key": "1"}}, errors.InvalidConfigurationError),
            ({"configs": {"retention.ms": "soon"}}, errors.InvalidConfigurationError),
        ):
            try:
                client.create_topics({target.name("python-bad"): options})
                raise AssertionError(f"a topic was made with {options}")
            except error:
                pass


def case_longest_name(target):
    name = "n" * (249 - 8) + target.name("-")[-8:].rjust(8, "x")
    with admin(target) as client:
        client.create_topics(
            {name: {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True
        )
    send_all(target, name, [b"v"])
    assert read(target, name, 1)[0].value == b"v"


def case_validate_only(target):
    name = target.name("python-validate")
    with admin(target) as client:
        client.create_topics(
            {name: {"num_partitions": 1, "replication_factor": 1}}, validate_only=True
        )
        assert name not in client.list_topics()


def case_describe_cluster(target):
    with admin(target) as client:
        found = client.describe_cluster()
    port = int(target.bootstrap.split(":")[1])
    assert [(one["host"], one["port"]) for one in found["brokers"]] == [("127.0.0.1", port)], found
    assert found["controller_id"] == found["brokers"][0]["broker_id"]
    assert len(found["cluster_id"]) == 22, found


def case_describe_configs(target):
    topic = target.topic(
        "python-configs", **{"max_message_bytes": 123456, "cleanup_policy": "compact"}
    )
    with admin(target) as client:
        broker_id = client.describe_cluster()["brokers"][0]["broker_id"]
        found = client.describe_configs(
            [
                ConfigResource(ConfigResourceType.TOPIC, topic),
                ConfigResource(ConfigResourceType.BROKER, str(broker_id)),
            ],
            config_filter="all",
        )
    configs = found["topic"][topic]
    assert configs["max.message.bytes"]["value"] == "123456"
    assert configs["cleanup.policy"]["value"] == "compact"
    assert configs["retention.ms"]["value"] == "604800000"
    assert configs["message.timestamp.type"]["value"] == "CreateTime"
    broker = found["broker"][str(broker_id)]
    assert broker["log.dirs"]["value"] == str(target.log_dir)
    assert broker["message.max.bytes"]["value"] == "1048588"
    assert broker["num.partitions"]["value"] == "1"
    assert broker["auto.create.topics.enable"]["value"] == "true"


def case_describe_topic_partitions(target):
    topic = target.topic("python-pages", partitions=5)
    with admin(target) as client:
        whole = client.describe_topic_partitions([topic])
        assert [one["partition_index"] for one in whole["topics"][0]["partitions"]] == list(
            range(5)
        )
        assert whole["next_cursor"] is None
        page = client.describe_topic_partitions([topic], response_partition_limit=2)
        assert [one["partition_index"] for one in page["topics"][0]["partitions"]] == [0, 1]
        assert (page["next_cursor"]["topic_name"], page["next_cursor"]["partition_index"]) == (
            topic,
            2,
        )
        rest = client.describe_topic_partitions([topic], cursor=page["next_cursor"])
        assert [one["partition_index"] for one in rest["topics"][0]["partitions"]] == [2, 3, 4]


def case_auto_creation(target):
    name = target.name("python-auto")
    assert send_all(target, name, [b"1"])[0].offset == 0
    assert read(target, name, 1)[0].value == b"1"


def case_partition_and_offset(target):
    topic = target.topic("python-offset", partitions=2)
    sent = send_all(target, topic, [b"%d" % i for i in range(20)], partition=1)
    assert [one.offset for one in sent] == list(range(20))
    assert [one.value for one in read(target, topic, 7, partition=1, offset=13)] == [
        b"%d" % i for i in range(13, 20)
    ]
    with consumer(target, topic, 1) as source:
        ends = source.end_offsets([TopicPartition(topic, 0), TopicPartition(topic, 1)])
        assert list(ends.values()) == [0, 20]
        assert source.beginning_offsets([TopicPartition(topic, 1)]) == {TopicPartition(topic, 1): 0}


def case_thousands_in_order(target):
    topic = target.topic("python-many")
    sent = send_all(target, topic, [b"%d" % i for i in range(5000)])
    assert [one.offset for one in sent] == list(range(5000))
    found = read(target, topic, 5000)
    assert [one.value for one in found] == [b"%d" % i for i in range(5000)]
    assert [one.offset for one in found] == list(range(5000))


def case_not_idempotent_and_acks(target):
    for acks in (0, 1, "all"):
        topic = target.topic("python-acks")
        send_all(
            target, topic, [b"%d" % i for i in range(100)], acks=acks, enable_idempotence=False
        )
        assert [one.value for one in read(target, topic, 100)] == [b"%d" % i for i in range(100)]


def check_codec(target, codec):
    topic = target.topic(f"python-{codec}")
    values = [b"%d " % i + b"the same words again " * 10 for i in range(300)]
    send_all(
        target, topic, values, compression_type=None if codec == "none" else codec, linger_ms=20
    )
    assert [one.value for one in read(target, topic, 300)] == values
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
    topic = target.topic("python-headers")  # a null header value is more than this client can send
    sent = [
        (b"k", b"v", [("a", b"1"), ("a", b"2"), ("empty", b""), ("", b"no name")]),
        (b"", b"", []),
        (None, b"v", []),
        (b"k", None, [("h", b"\0\xff")]),
    ]
    with producer(target) as sink:
        for key, value, headers in sent:
            sink.send(topic, value, key=key, headers=headers, partition=0)
        sink.flush(ANSWER_SECONDS_MAX)
    found = read(target, topic, len(sent))
    assert [(one.key, one.value, list(one.headers)) for one in found] == sent, found


def case_create_time(target):
    topic = target.topic("python-create-time")
    start = int(time.time() * 1000) - 60000
    with producer(target) as sink:
        for i in (0, 2, 1):
            sink.send(topic, b"%d" % i, partition=0, timestamp_ms=start + i * 1000).get(
                ANSWER_SECONDS_MAX
            )
    found = read(target, topic, 3)
    assert [one.timestamp - start for one in found] == [0, 2000, 1000]
    assert all(one.timestamp_type == 0 for one in found)
    partition = TopicPartition(topic, 0)
    with consumer(target, topic) as source:

        def offset_for(timestamp):
            answer = source.offsets_for_times({partition: timestamp})[partition]
            return answer and (answer.offset, answer.timestamp - start)

        assert offset_for(start) == (0, 0)
        assert offset_for(start + 1) == (1, 2000)
        assert offset_for(start + 2001) is None
    with admin(target) as client:
        newest = client.list_partition_offsets({partition: OffsetSpec.MAX_TIMESTAMP})[partition]
        assert (newest.offset, newest.timestamp - start) == (1, 2000)
        assert client.list_partition_offsets({partition: OffsetSpec.LATEST})[partition].offset == 3
        assert (
            client.list_partition_offsets({partition: OffsetSpec.EARLIEST})[partition].offset == 0
        )


def case_append_time(target):
    topic = target.topic("python-append-time", message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000)
    with producer(target) as sink:
        sent = sink.send(topic, b"v", partition=0, timestamp_ms=before - 3600_000).get(
            ANSWER_SECONDS_MAX
        )
    after = int(time.time() * 1000)
    found = read(target, topic, 1)[0]
    assert found.timestamp_type == 1
    assert before <= found.timestamp <= after
    assert sent.timestamp == found.timestamp


def case_big_records(target):
    topic = target.topic("python-big")
    big = bytes(range(251)) * 4100  # 1,029,100 bytes
    send_all(target, topic, [big, b"small", big], max_request_size=3_000_000)
    assert [one.value for one in read(target, topic, 3)] == [big, b"small", big]
    try:
        send_all(target, topic, [b"x" * 1_100_000], max_request_size=3_000_000)
        raise AssertionError("a record above message.max.bytes was taken")
    except errors.MessageSizeTooLargeError:
        pass
    assert wire.list_offset(target.bootstrap, topic, 0, wire.LATEST).offset == 3


def case_record_larger_than_the_fetch(target):
    topic = target.topic("python-big-fetch")
    big = b"b" * 900_000
    send_all(target, topic, [big, big])
    found = read(target, topic, 2, max_partition_fetch_bytes=1000, fetch_max_bytes=1000)
    assert [one.value for one in found] == [
        big,
        big,
    ], "the first batch must come whole, however small the limit"


def case_offset_past_the_end(target):
    topic = target.topic("python-past")
    send_all(target, topic, [b"1", b"2"])
    with consumer(target, topic, 0, 50, auto_offset_reset="none") as source:
        try:
            deadline = time.monotonic() + ANSWER_SECONDS_MAX
            while time.monotonic() < deadline:
                assert not source.poll(timeout_ms=500)
            raise AssertionError("no error for an offset past the end")
        except errors.OffsetOutOfRangeError:
            pass
    assert [
        one.value for one in read(target, topic, 2, offset=50, auto_offset_reset="earliest")
    ] == [b"1", b"2"]


def case_waiting_consumer_sees_a_record_at_once(target):
    topic = target.topic("python-wait")
    seen = []
    with consumer(target, topic, fetch_max_wait_ms=20000) as source:

        def wait():
            deadline = time.monotonic() + ANSWER_SECONDS_MAX
            while not seen and time.monotonic() < deadline:
                if source.poll(timeout_ms=15000):
                    seen.append(time.monotonic())

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(1)
        with producer(target) as sink:
            sink.send(topic, b"now", partition=0).get(ANSWER_SECONDS_MAX)
            produced = time.monotonic()
        thread.join()
    assert seen and seen[0] - produced < 5, "the Fetch waited for its time-out"
