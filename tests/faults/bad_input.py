"""What no good client sends: Kafka's error code or a closed connection, one line in the log that
names cause and remedy, nothing changed, and the other connections go on.

tests/clients/cases/wire.py asserts the codes of Kafka and of ours alike; here it is about the
node."""

import random
import struct
import time

from harness import heartbeat, records, wire
from harness.target import make_topic

CLOSE_SECONDS_MAX = 10
LINES_MAX = 10  # in 10 s, of a shard: src/rpc/client_log.h
# FindCoordinator is not among them: it makes __consumer_offsets.
APIS_THAT_CHANGE_NOTHING = (1, 2, 3, 9, 12, 14, 15, 16, 18, 23, 32, 60, 75)
CONSUMER_GROUP_HEARTBEAT, CONSUMER_GROUP_DESCRIBE = 68, 69


def header(api_key, version, correlation_id=7, client_id=b"bad"):
    return struct.pack(">hhih", api_key, version, correlation_id, len(client_id)) + client_id


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


def lines_of(server):
    return [line for line in server.output().splitlines() if not line.startswith("ready:")]


class Watched:
    """A node of its own, with a record in it and a connection that must go on working."""

    def __init__(self, target, *settings):
        self.server = target.new_server(settings=["ottla.shards=1", *settings])
        self.server.start()
        self.bootstrap = self.server.bootstrap
        make_topic(self.bootstrap, "log")
        assert wire.produce(self.bootstrap, "log", 0, records.batch([b"first"])).error_code == 0
        self.before = self.state()
        self.other = wire.Connection(self.bootstrap)
        self.check_other()

    def state(self):
        everything = wire.metadata(self.bootstrap)
        topics = sorted(topic.name for topic in everything.topics)
        return topics, wire.read_log(self.bootstrap, "log", 0)

    def check_other(self):
        assert wire.metadata(self.other, []).brokers, "the other connection does not work any more"

    def check_unchanged(self, *words, lines=1):
        """One line in the log that has these words, no trace of the bad input otherwise."""
        self.check_other()
        deadline = time.monotonic() + 5
        while len(lines_of(self.server)) < lines and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.state() == self.before, "something has changed"
        said = lines_of(self.server)
        assert len(said) == lines, f"{len(said)} lines instead of {lines}: {said}"
        for word in words:
            assert word in said[0], f"no word of {word!r} in: {said[0]}"
        self.server.stop()


def check_closed(target, data, *words):
    watched = Watched(target)
    with wire.Connection(watched.bootstrap) as connection:
        connection.send_bytes(data)
        assert connection.is_closed_by_peer(CLOSE_SECONDS_MAX), "the connection stays open"
    watched.check_unchanged("closing the connection of 127.0.0.1:", *words)


def case_garbage(target):
    check_closed(target, b"\xde\xad\xbe\xef" * 64, "look at what connects here")


def case_huge_length(target):
    check_closed(target, struct.pack(">i", 0x7FFFFFFF) + b"abc", "2147483647", "request.max.bytes")


def case_negative_length(target):
    check_closed(target, struct.pack(">i", -1) + b"abc", "look at what connects here")


def case_tls_hello(target):
    hello = bytes.fromhex("1603010200010001fc0303") + bytes(509)
    check_closed(target, hello, "looks like TLS", "security.protocol=PLAINTEXT")


def case_http(target):
    check_closed(target, b"GET / HTTP/1.1\r\n\r\n", "looks like HTTP", "correct")


def case_unknown_api(target):
    check_closed(target, frame(header(999, 0)), "API key 999", "ApiVersions")


def case_unknown_version(target):
    check_closed(target, frame(header(3, 99) + bytes(30)), "version 99", "ApiVersions")


def case_header_that_lies(target):
    data = frame(struct.pack(">hhih", 3, 1, 7, 30000) + b"abc")
    check_closed(target, data, "header can't be read", "library")


def case_body_that_ends_early(target):
    check_closed(target, frame(header(3, 1) + struct.pack(">i", 5)), "can't be read", "library")


def case_line_breaks_of_a_client_stay_out_of_the_log(target):
    watched = Watched(target)
    topic = b"a\n2026-01-01 error all is lost"
    body = struct.pack(">ih", 1, len(topic)) + topic
    with wire.Connection(watched.bootstrap) as connection:
        connection.send_frame(header(3, 1, client_id=b"x\ny\x1b[31m") + body)
        connection.read_frame()
    watched.check_unchanged(r"x\ny", r"a\n2026")


def case_request_that_is_cut_off(target):
    for length in (100, 1_000_000):
        watched = Watched(target)
        with wire.Connection(watched.bootstrap) as connection:
            connection.send_bytes(struct.pack(">i", length) + b"\0\x12\0\0")
            time.sleep(0.2)
        watched.check_unchanged("ended after 8 bytes of a request", "cuts connections")


def case_bodies_cut_and_garbled(target):
    """Every API, with a good body that was cut or garbled at random: an answer or a closed
    connection, and the node lives. Of a flipped bit that makes another good request one can't say
    more, so those that change something are only cut."""
    watched = Watched(target, "auto.create.topics.enable=false")
    draw = random.Random(20261121)
    closed = answered = 0
    for key, (first, last) in served(watched.bootstrap).items():
        asked = 0
        for version in range(first, last + 1):
            body = good_request(key, version)
            if body is None:
                continue
            asked += 1
            for _ in range(12):
                bad = body[: draw.randrange(8, len(body))]
                if key in APIS_THAT_CHANGE_NOTHING and draw.random() < 0.5:
                    bad = bytearray(body)
                    for _ in range(draw.randrange(1, 4)):
                        bad[draw.randrange(8, len(bad))] ^= 1 << draw.randrange(8)
                if sends_an_answer(watched.bootstrap, bytes(bad)):
                    answered += 1
                else:
                    closed += 1
        assert asked, f"no version of API {key} could be written"
    assert closed > 100 and answered > 20, (closed, answered)
    watched.check_other()
    assert watched.state() == watched.before, "something has changed"
    said = lines_of(watched.server)
    assert 1 <= len(said) <= 3 * (LINES_MAX + 1), f"{len(said)} lines"
    watched.server.stop()


def served(bootstrap):
    answer = wire.ask(bootstrap, wire.ApiVersionsRequest(), 0)
    return {one.api_key: (one.min_version, one.max_version) for one in answer.api_keys}


def good_request(key, version):
    """Its frame without the length, or none if kafka-python can't write it in this version."""
    offsets = wire.ListOffsetsRequest.ListOffsetsTopic
    epochs = wire.OffsetForLeaderEpochRequest.OffsetForLeaderTopic
    configs = wire.DescribeConfigsRequest.DescribeConfigsResource
    log_dirs = wire.DescribeLogDirsRequest.DescribableLogDirTopic
    growth = wire.CreatePartitionsRequest.CreatePartitionsTopic
    producers = wire.DescribeProducersRequest.TopicRequest
    alter = wire.AlterConfigsRequest.AlterConfigsResource
    incremental = wire.IncrementalAlterConfigsRequest.AlterConfigsResource
    deleted = wire.OffsetDeleteRequest.OffsetDeleteRequestTopic
    one_part = {"partition": 0, "current_leader_epoch": 0, "leader_epoch": 0}
    requests = {
        0: wire.produce_request("nowhere", 0, records.batch([b"one"])),
        1: wire.fetch_request("log", 0, 0, max_wait_ms=1),
        2: wire.ListOffsetsRequest(
            replica_id=-1,
            isolation_level=0,
            topics=[
                offsets(
                    name="log",
                    partitions=[
                        offsets.ListOffsetsPartition(
                            partition_index=0, current_leader_epoch=0, timestamp=wire.LATEST
                        )
                    ],
                )
            ],
        ),
        3: wire.MetadataRequest(
            topics=[wire.MetadataRequest.MetadataRequestTopic(name="log")],
            allow_auto_topic_creation=False,
        ),
        8: wire.OffsetCommitRequest(
            group_id="group",
            generation_id_or_member_epoch=-1,
            member_id="",
            group_instance_id=None,
            retention_time_ms=-1,
            topics=[],
        ),
        9: wire.OffsetFetchRequest(
            group_id="group", topics=None if version >= 2 else [], groups=[], require_stable=False
        ),
        10: wire.FindCoordinatorRequest(key="group", key_type=0, coordinator_keys=["group"]),
        11: wire.JoinGroupRequest(
            group_id="group",
            session_timeout_ms=6000,
            rebalance_timeout_ms=6000,
            member_id="nobody",
            group_instance_id=None,
            protocol_type="consumer",
            protocols=[],
        ),
        12: wire.HeartbeatRequest(
            group_id="group", generation_id=1, member_id="nobody", group_instance_id=None
        ),
        13: wire.LeaveGroupRequest(group_id="group", member_id="nobody", members=[]),
        14: wire.SyncGroupRequest(
            group_id="group",
            generation_id=1,
            member_id="nobody",
            group_instance_id=None,
            protocol_type="consumer",
            protocol_name="range",
            assignments=[],
        ),
        15: wire.DescribeGroupsRequest(groups=["group"], include_authorized_operations=False),
        16: wire.ListGroupsRequest(states_filter=[], types_filter=[]),
        18: wire.ApiVersionsRequest(client_software_name="bad", client_software_version="1"),
        19: wire.CreateTopicsRequest(topics=[], timeout_ms=100, validate_only=True),
        20: wire.DeleteTopicsRequest(topic_names=["nowhere"], timeout_ms=100),
        21: wire.DeleteRecordsRequest(
            topics=[
                wire.DeleteRecordsRequest.DeleteRecordsTopic(
                    name="nowhere",
                    partitions=[
                        wire.DeleteRecordsRequest.DeleteRecordsTopic.DeleteRecordsPartition(
                            partition_index=0, offset=1
                        )
                    ],
                )
            ],
            timeout_ms=100,
        ),
        22: wire.InitProducerIdRequest(
            transactional_id="x", transaction_timeout_ms=1, producer_id=-1, producer_epoch=-1
        ),
        23: wire.OffsetForLeaderEpochRequest(
            replica_id=-1,
            topics=[epochs(topic="log", partitions=[epochs.OffsetForLeaderPartition(**one_part)])],
        ),
        32: wire.DescribeConfigsRequest(
            resources=[configs(resource_type=2, resource_name="log", configuration_keys=None)],
            include_synonyms=True,
            include_documentation=True,
        ),
        33: wire.AlterConfigsRequest(
            resources=[
                alter(
                    resource_type=2,
                    resource_name="nowhere",
                    configs=[alter.AlterableConfig(name="retention.ms", value="1")],
                )
            ],
            validate_only=True,
        ),
        35: wire.DescribeLogDirsRequest(
            topics=[log_dirs(topic="log", partitions=[0])],
        ),
        37: wire.CreatePartitionsRequest(
            topics=[growth(name="nowhere", count=3, assignments=None)],
            timeout_ms=100,
            validate_only=True,
        ),
        42: wire.DeleteGroupsRequest(groups_names=["group"]),
        44: wire.IncrementalAlterConfigsRequest(
            resources=[
                incremental(
                    resource_type=2,
                    resource_name="nowhere",
                    configs=[
                        incremental.AlterableConfig(
                            name="retention.ms", config_operation=0, value="1"
                        )
                    ],
                )
            ],
            validate_only=True,
        ),
        47: wire.OffsetDeleteRequest(
            group_id="group",
            topics=[
                deleted(
                    name="log", partitions=[deleted.OffsetDeleteRequestPartition(partition_index=0)]
                )
            ],
        ),
        60: wire.DescribeClusterRequest(
            include_cluster_authorized_operations=False,
            endpoint_type=1,
            include_fenced_brokers=False,
        ),
        61: wire.DescribeProducersRequest(
            topics=[producers(name="log", partition_indexes=[0])],
        ),
        75: wire.DescribeTopicPartitionsRequest(
            topics=[wire.DescribeTopicPartitionsRequest.TopicRequest(name="log")],
            response_partition_limit=10,
            cursor=None,
        ),
    }
    if key == CONSUMER_GROUP_HEARTBEAT:
        fields = {"group": "group", "member": "nobody", "topics": ["log"], "owned": {}}
        return heartbeat.request(5, version, rebalance_timeout_ms=1000, **fields)
    if key == CONSUMER_GROUP_DESCRIBE:
        header = struct.pack(">hhih3sB", key, version, 5, 3, b"bad", 0)
        return header + heartbeat.array(["group"], heartbeat.text) + struct.pack(">BB", 0, 0)
    request = requests[key]
    request.API_VERSION = version
    try:
        request.with_header(correlation_id=5, client_id="bad")
        return bytes(request.encode(header=True))
    except Exception:
        return None


def sends_an_answer(bootstrap, payload):
    with wire.Connection(bootstrap, timeout_seconds=5) as connection:
        connection.send_frame(payload)
        try:
            connection.read_frame()
        except wire.Closed:
            return False
        return True


# Requests that are read, and refused with an error code


def check_refused(target, ask, error, *words):
    """`ask` gets the address and gives the error code of the answer."""
    watched = Watched(target)
    code = ask(watched.bootstrap)
    assert code == error, f"error {code} instead of {error}"
    watched.check_unchanged(*words)


def produce_code(batch, topic="log", partition=0):
    return lambda bootstrap: wire.produce(bootstrap, topic, partition, batch).error_code


def case_wrong_crc(target):
    batch = bytearray(records.batch([b"one"]))
    batch[-1] ^= 1
    code = wire.CORRUPT_MESSAGE
    check_refused(target, produce_code(bytes(batch)), code, "ottla-tests", "log-0", "damaged")


def case_oversized_record(target):
    ask = produce_code(records.batch([bytes(1_100_000)]))
    check_refused(target, ask, wire.MESSAGE_TOO_LARGE, "log-0", "max.message.bytes")


def case_unknown_topic(target):
    ask = produce_code(records.batch([b"one"]), topic="nowhere")
    check_refused(target, ask, wire.UNKNOWN_TOPIC_OR_PARTITION, "nowhere-0", "create the topic")


def case_unknown_partition(target):
    ask = produce_code(records.batch([b"one"]), partition=77)
    check_refused(target, ask, wire.UNKNOWN_TOPIC_OR_PARTITION, "log-77", "correct")


def case_offset_out_of_range(target):
    def ask(bootstrap):
        return wire.fetch(bootstrap, "log", 0, 1000).error_code

    check_refused(target, ask, wire.OFFSET_OUT_OF_RANGE, "log-0", "1000", "earliest")


def case_topic_names(target):
    for name in ("a/b", "x" * 250):
        for ask in (
            lambda bootstrap: wire.create_topic(bootstrap, name).error_code,
            lambda bootstrap: wire.metadata(bootstrap, [name], create=True).topics[0].error_code,
        ):
            check_refused(target, ask, wire.INVALID_TOPIC_EXCEPTION, name[:200], "249")


def case_many_bad_clients_fill_no_disk_with_their_lines(target):
    watched = Watched(target)
    for _ in range(200):
        with wire.Connection(watched.bootstrap) as connection:
            connection.send_bytes(b"\xde\xad\xbe\xef" * 4)
            assert connection.is_closed_by_peer(CLOSE_SECONDS_MAX)
    assert len(lines_of(watched.server)) == LINES_MAX
    time.sleep(10.5)
    with wire.Connection(watched.bootstrap) as connection:
        connection.send_bytes(b"\xde\xad\xbe\xef" * 4)
        assert connection.is_closed_by_peer(CLOSE_SECONDS_MAX)
    said = lines_of(watched.server)
    assert len(said) == LINES_MAX + 2 and "190 more lines" in said[LINES_MAX], said[LINES_MAX:]
    watched.check_unchanged(lines=LINES_MAX + 2)
