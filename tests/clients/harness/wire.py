"""Requests on a bare socket: what no well-behaved client would let a test send, and every version
of every API.

Encoding and decoding is kafka-python's (its own reading of the protocol, in all versions), so
that our broker's codec is never its own judge. Record batches come from records.py."""

import socket
import struct
import time

from kafka.protocol.admin import (
    AlterConfigsRequest,
    CreatePartitionsRequest,
    CreateTopicsRequest,
    DeleteGroupsRequest,
    DeleteRecordsRequest,
    DeleteTopicsRequest,
    DescribeClusterRequest,
    DescribeConfigsRequest,
    DescribeGroupsRequest,
    DescribeLogDirsRequest,
    DescribeProducersRequest,
    DescribeTopicPartitionsRequest,
    IncrementalAlterConfigsRequest,
    ListGroupsRequest,
)
from kafka.protocol.consumer import (
    FetchRequest,
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    ListOffsetsRequest,
    OffsetCommitRequest,
    OffsetDeleteRequest,
    OffsetFetchRequest,
    OffsetForLeaderEpochRequest,
    SyncGroupRequest,
)
from kafka.protocol.metadata import ApiVersionsRequest, FindCoordinatorRequest, MetadataRequest
from kafka.protocol.producer import InitProducerIdRequest, ProduceRequest

import kafka.protocol.admin
import kafka.protocol.consumer
import kafka.protocol.metadata
import kafka.protocol.producer

REQUESTS = {
    0: ProduceRequest,
    1: FetchRequest,
    2: ListOffsetsRequest,
    3: MetadataRequest,
    8: OffsetCommitRequest,
    9: OffsetFetchRequest,
    10: FindCoordinatorRequest,
    11: JoinGroupRequest,
    12: HeartbeatRequest,
    13: LeaveGroupRequest,
    14: SyncGroupRequest,
    15: DescribeGroupsRequest,
    16: ListGroupsRequest,
    18: ApiVersionsRequest,
    19: CreateTopicsRequest,
    20: DeleteTopicsRequest,
    21: DeleteRecordsRequest,
    22: InitProducerIdRequest,
    23: OffsetForLeaderEpochRequest,
    32: DescribeConfigsRequest,
    33: AlterConfigsRequest,
    35: DescribeLogDirsRequest,
    37: CreatePartitionsRequest,
    42: DeleteGroupsRequest,
    44: IncrementalAlterConfigsRequest,
    47: OffsetDeleteRequest,
    60: DescribeClusterRequest,
    61: DescribeProducersRequest,
    75: DescribeTopicPartitionsRequest,
}
MODULES = (
    kafka.protocol.admin,
    kafka.protocol.consumer,
    kafka.protocol.metadata,
    kafka.protocol.producer,
)

LATEST, EARLIEST, MAX_TIMESTAMP = -1, -2, -3

# The error codes that cases name.
NONE = 0
OFFSET_OUT_OF_RANGE = 1
CORRUPT_MESSAGE = 2
UNKNOWN_TOPIC_OR_PARTITION = 3
LEADER_NOT_AVAILABLE = 5
MESSAGE_TOO_LARGE = 10
COORDINATOR_LOAD_IN_PROGRESS = 14
COORDINATOR_NOT_AVAILABLE = 15
NOT_COORDINATOR = 16
INVALID_TOPIC_EXCEPTION = 17
INVALID_REQUIRED_ACKS = 21
INVALID_TIMESTAMP = 32
UNSUPPORTED_VERSION = 35
TOPIC_ALREADY_EXISTS = 36
INVALID_PARTITIONS = 37
INVALID_REPLICATION_FACTOR = 38
INVALID_REPLICA_ASSIGNMENT = 39
INVALID_CONFIG = 40
INVALID_REQUEST = 42
POLICY_VIOLATION = 44
OUT_OF_ORDER_SEQUENCE_NUMBER = 45
DUPLICATE_SEQUENCE_NUMBER = 46
INVALID_PRODUCER_EPOCH = 47
TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53
FETCH_SESSION_ID_NOT_FOUND = 70
INVALID_FETCH_SESSION_EPOCH = 71
UNKNOWN_LEADER_EPOCH = 75
INVALID_RECORD = 87
UNKNOWN_TOPIC_ID = 100


class Closed(Exception):
    """The server closed the connection instead of answering."""


def answer_class(request_class):
    name = request_class.__name__.replace("Request", "Response")
    for module in MODULES:
        if hasattr(module, name):
            return getattr(module, name)
    raise LookupError(name)


class Connection:
    def __init__(self, bootstrap, timeout_seconds=15):
        host, port = bootstrap.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=timeout_seconds)
        self.correlation_id = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send_frame(self, payload):
        self.send_bytes(struct.pack(">i", len(payload)) + payload)

    def read_exactly(self, count):
        data = b""
        while len(data) < count:
            try:
                piece = self.socket.recv(count - len(data))
            except ConnectionError as error:
                raise Closed(str(error)) from None
            if not piece:
                raise Closed(f"after {len(data)} of {count} bytes")
            data += piece
        return data

    def read_frame(self):
        (size,) = struct.unpack(">i", self.read_exactly(4))
        return self.read_exactly(size)

    def is_closed_by_peer(self, within_seconds):
        """True if the peer ends the connection without a byte; False if it stays open for that
        long."""
        self.socket.settimeout(within_seconds)
        try:
            data = self.socket.recv(1)
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        assert data == b"", f"the peer answered, first byte {data!r}"
        return True

    def encode(self, request, version):
        self.correlation_id += 1
        request.API_VERSION = version
        request.with_header(correlation_id=self.correlation_id, client_id="ottla-tests")
        return bytes(request.encode(header=True))

    def send(self, request, version):
        self.send_frame(self.encode(request, version))
        return self.correlation_id

    def read_answer(self, request_class, version):
        answer = answer_class(request_class)[version].decode(self.read_frame(), header=True)
        return answer

    def ask(self, request, version):
        wanted = self.send(request, version)
        answer = self.read_answer(type(request), version)
        assert answer.header.correlation_id == wanted, "the answer belongs to another request"
        return answer


def ask(bootstrap, request, version):
    """On a connection of its own, or on the one that is given in place of an address."""
    if isinstance(bootstrap, Connection):
        return bootstrap.ask(request, version)
    with Connection(bootstrap) as connection:
        return connection.ask(request, version)


def produce(bootstrap, topic, partition, batch, acks=-1, version=7):
    """The one partition's part of the answer."""
    answer = ask(bootstrap, produce_request(topic, partition, batch, acks), version)
    return answer.responses[0].partition_responses[0]


def produce_request(topic, partition, batch, acks=-1, topic_id=None):
    data = ProduceRequest.TopicProduceData
    names = {"topic_id": topic_id} if topic_id else {"name": topic}
    return ProduceRequest(
        transactional_id=None,
        acks=acks,
        timeout_ms=10000,
        topic_data=[
            data(
                partition_data=[data.PartitionProduceData(index=partition, records=batch)], **names
            )
        ],
    )


def fetch_request(
    topic,
    partition,
    offset,
    max_wait_ms=500,
    min_bytes=1,
    isolation=0,
    topic_id=None,
    max_bytes=50 << 20,
    leader_epoch=-1,
    partition_max_bytes=10 << 20,
):
    fetch_topic = FetchRequest.FetchTopic
    names = {"topic_id": topic_id} if topic_id else {"topic": topic}
    return FetchRequest(
        replica_id=-1,
        max_wait_ms=max_wait_ms,
        min_bytes=min_bytes,
        max_bytes=max_bytes,
        isolation_level=isolation,
        session_id=0,
        session_epoch=-1,
        topics=[
            fetch_topic(
                partitions=[
                    fetch_topic.FetchPartition(
                        partition=partition,
                        current_leader_epoch=leader_epoch,
                        fetch_offset=offset,
                        last_fetched_epoch=-1,
                        log_start_offset=-1,
                        partition_max_bytes=partition_max_bytes,
                    )
                ],
                **names,
            )
        ],
        forgotten_topics_data=[],
        rack_id="",
    )


def fetch(bootstrap, topic, partition, offset, version=11, **options):
    answer = ask(bootstrap, fetch_request(topic, partition, offset, **options), version)
    return answer.responses[0].partitions[0]


def list_offset(bootstrap, topic, partition, timestamp, isolation=0, version=7):
    offsets_topic = ListOffsetsRequest.ListOffsetsTopic
    answer = ask(
        bootstrap,
        ListOffsetsRequest(
            replica_id=-1,
            isolation_level=isolation,
            topics=[
                offsets_topic(
                    name=topic,
                    partitions=[
                        offsets_topic.ListOffsetsPartition(
                            partition_index=partition, current_leader_epoch=-1, timestamp=timestamp
                        )
                    ],
                )
            ],
        ),
        version,
    )
    return answer.topics[0].partitions[0]


def delete_records(bootstrap, topic, partition, offset, version=2):
    wanted = DeleteRecordsRequest.DeleteRecordsTopic
    part = wanted.DeleteRecordsPartition(partition_index=partition, offset=offset)
    request = DeleteRecordsRequest(
        topics=[wanted(name=topic, partitions=[part])], timeout_ms=15000
    )
    return ask(bootstrap, request, version).topics[0].partitions[0]


def metadata(bootstrap, topics=None, version=12, create=False):
    wanted = (
        None
        if topics is None
        else [MetadataRequest.MetadataRequestTopic(name=name) for name in topics]
    )
    return ask(
        bootstrap,
        MetadataRequest(
            topics=wanted,
            allow_auto_topic_creation=create,
            include_cluster_authorized_operations=False,
            include_topic_authorized_operations=False,
        ),
        version,
    )


def create_topic(
    bootstrap,
    name,
    partitions=1,
    configs=None,
    version=7,
    replication_factor=-1,
    validate_only=False,
):
    topic = CreateTopicsRequest.CreatableTopic
    answer = ask(
        bootstrap,
        CreateTopicsRequest(
            topics=[
                topic(
                    name=name,
                    num_partitions=partitions,
                    replication_factor=replication_factor,
                    assignments=[],
                    configs=[
                        topic.CreatableTopicConfig(name=key, value=value)
                        for key, value in (configs or {}).items()
                    ],
                )
            ],
            timeout_ms=20000,
            validate_only=validate_only,
        ),
        version,
    )
    return answer.topics[0]


def init_producer_id(bootstrap, version=4):
    """A new producer id. Kafka asks for a retry while it fetches its first block of ids."""
    for _ in range(100):
        answer = ask(
            bootstrap,
            InitProducerIdRequest(
                transactional_id=None,
                transaction_timeout_ms=60000,
                producer_id=-1,
                producer_epoch=-1,
            ),
            version,
        )
        if answer.error_code != COORDINATOR_LOAD_IN_PROGRESS:
            break
        time.sleep(0.05)
    assert (answer.error_code, answer.producer_epoch) == (NONE, 0), answer
    return answer.producer_id


def read_log(bootstrap, topic, partition, isolation=0):
    """All batches of a partition from its first to its last stable or high watermark offset, as
    bytes."""
    offset = list_offset(bootstrap, topic, partition, EARLIEST).offset
    end = list_offset(bootstrap, topic, partition, LATEST, isolation).offset
    pieces = []
    while offset < end:
        part = fetch(bootstrap, topic, partition, offset, isolation=isolation)
        assert (
            part.error_code == NONE
        ), f"fetch of {topic}-{partition} at {offset}: error {part.error_code}"
        data = bytes(part.records or b"")
        whole = whole_batches(data)
        assert whole, f"fetch of {topic}-{partition} at {offset} of {end} brought no whole batch"
        pieces.append(data[: whole[-1][1]])
        offset = whole[-1][2] + 1
    return b"".join(pieces)


def whole_batches(data):
    """(start, end, last offset) of each complete batch in data."""
    found, position = [], 0
    while position + 61 <= len(data):
        base, size = struct.unpack_from(">qi", data, position)
        if position + 12 + size > len(data):
            break
        (last_delta,) = struct.unpack_from(">i", data, position + 23)
        found.append((position, position + 12 + size, base + last_delta))
        position += 12 + size
    return found
