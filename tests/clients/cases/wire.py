"""What no client sends on purpose: bytes that are no protocol, frames that lie, batches that are
damaged.

Each gets Kafka's error code or a closed connection, changes nothing, and the node answers the
next client. Every expectation here was read off Apache Kafka 4.3.1, which the same cases run
against."""

import struct
import time
import uuid

from harness import records, wire
from harness.differences import expected

CLOSE_SECONDS_MAX = 10
ANSWER_IS_MISSING = "no answer"


def header(api_key, version, correlation_id=7, client_id=b"bad"):
    return struct.pack(">hhih", api_key, version, correlation_id, len(client_id)) + client_id


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


def check_closed(target, data):
    with wire.Connection(target.bootstrap) as connection:
        connection.send_bytes(data)
        assert connection.is_closed_by_peer(CLOSE_SECONDS_MAX), "the connection stays open"
    check_serves(target)


def check_serves(target):
    assert wire.metadata(target.bootstrap, []).brokers, "no broker in the metadata"


# Bytes and frames


def case_garbage_bytes(target):
    check_closed(target, b"\xde\xad\xbe\xef" * 64)


def case_http_request(target):
    check_closed(target, b"GET / HTTP/1.1\r\nHost: ottla\r\n\r\n")


def case_tls_hello_on_the_plain_port(target):
    check_closed(target, bytes.fromhex("1603010200010001fc0303") + bytes(509))


def case_negative_length(target):
    check_closed(target, struct.pack(">i", -1) + b"abc")


def case_zero_length(target):
    check_closed(target, struct.pack(">i", 0))


def case_huge_length(target):
    check_closed(target, struct.pack(">i", 0x7FFFFFFF) + b"abc")


def case_length_above_the_limit(target):
    check_closed(target, struct.pack(">i", 104857601) + b"abc")  # socket.request.max.bytes + 1


def case_frame_shorter_than_a_header(target):
    check_closed(target, frame(b"\0\x12\0"))


def case_client_id_longer_than_the_frame(target):
    check_closed(target, frame(struct.pack(">hhih", 3, 1, 7, 30000) + b"abc"))


def case_truncated_frame_and_then_silence(target):
    with wire.Connection(target.bootstrap) as connection:
        connection.send_bytes(struct.pack(">i", 100) + b"\0\x12\0\0")
        assert not connection.is_closed_by_peer(1), "a frame may arrive in pieces"
    check_serves(target)


def case_frame_in_single_bytes(target):
    with wire.Connection(target.bootstrap) as connection:
        for byte in frame(header(18, 0)):
            connection.send_bytes(bytes([byte]))
        assert connection.read_frame()[:6] == struct.pack(">ih", 7, 0)


def case_unknown_api_key(target):
    for key in (999, -5, 4, 32767):
        check_closed(target, frame(header(key, 0)))


def case_unknown_version(target):
    for key, version in ((3, 99), (3, -1), (0, 2), (1, 3), (19, 1), (1, 19)):
        check_closed(target, frame(header(key, version) + bytes(30)))


def case_unknown_version_of_api_versions(target):
    with wire.Connection(target.bootstrap) as connection:
        connection.send_bytes(frame(header(18, 99) + b"\0"))
        answer = connection.read_frame()
        correlation_id, error, count = struct.unpack_from(">ihi", answer)
        assert (correlation_id, error) == (7, wire.UNSUPPORTED_VERSION)
        keys = {struct.unpack_from(">hhh", answer, 10 + 6 * i) for i in range(count)}
        assert (18, 0, 4) in keys, keys
        connection.send_bytes(
            frame(header(18, 0))
        )  # and on the same connection the client may try again
        assert connection.read_frame()[:6] == struct.pack(">ih", 7, 0)


def case_body_that_ends_too_early(target):
    check_closed(target, frame(header(3, 1) + struct.pack(">i", 5)))


def case_array_longer_than_the_frame(target):
    check_closed(target, frame(header(3, 1) + struct.pack(">i", 0x7FFFFFF0)))
    check_closed(target, frame(header(3, 9) + b"\0" + b"\xff\xff\xff\xff\x07"))


def case_malformed_varint(target):
    check_closed(target, frame(header(3, 9) + b"\0" + b"\xff" * 12))


def case_body_longer_than_the_request(target):
    with wire.Connection(target.bootstrap) as connection:
        connection.send_bytes(frame(header(3, 1) + struct.pack(">i", 0) + b"junk"))
        assert connection.read_frame()[:4] == struct.pack(">i", 7)


def case_pipelined_requests_are_answered_in_order(target):
    with wire.Connection(target.bootstrap) as connection:
        sent = [
            connection.encode(wire.MetadataRequest(topics=[], allow_auto_topic_creation=False), 5)
            for _ in range(200)
        ]
        connection.send_bytes(b"".join(frame(one) for one in sent))
        for number in range(1, 201):
            assert struct.unpack(">i", connection.read_frame()[:4])[0] == number


def case_answers_before_a_bad_frame_arrive(target):
    with wire.Connection(target.bootstrap) as connection:
        connection.send_bytes(frame(header(18, 0)))
        connection.read_frame()
        connection.send_bytes(frame(header(999, 0)))
        assert connection.is_closed_by_peer(CLOSE_SECONDS_MAX)


def case_half_closed_connection_gets_its_answer(target):
    import socket

    with wire.Connection(target.bootstrap) as connection:
        connection.send_bytes(frame(header(18, 0)))
        answer = connection.read_frame()
        connection.socket.shutdown(socket.SHUT_WR)
        assert answer and connection.is_closed_by_peer(CLOSE_SECONDS_MAX)


def case_bad_input_leaves_a_line_in_the_log(target):
    """tests/faults has what our line says. After the cases before this one there may be no more
    lines for some seconds."""
    before = len(target.server.output())
    deadline = time.monotonic() + 20
    while len(target.server.output()) == before:
        assert time.monotonic() < deadline, "the log says nothing"
        check_closed(target, b"\xde\xad\xbe\xef" * 64)
        time.sleep(0.5)


# Produce


def check_refused(target, batch, error, difference=None, **options):
    """The batch gets this error and nothing of it is stored, and a good batch is stored right
    after it."""
    topic = options.pop("topic", None) or target.topic("wire-refused")
    code = wire.produce(target.bootstrap, topic, 0, batch, **options).error_code
    wanted = expected(target, error, difference)
    assert code == wanted, f"error {code} instead of {wanted}"
    assert (
        wire.list_offset(target.bootstrap, topic, 0, wire.LATEST).offset == 0
    ), "it was stored all the same"
    assert wire.produce(target.bootstrap, topic, 0, records.batch([b"good"])).base_offset == 0


def good_batch():
    return bytearray(records.batch([b"one", b"two"]))


def patched(position, data):
    """A good batch with other bytes at a place that its checksum does not cover."""
    batch = good_batch()
    batch[position : position + len(data)] = data
    return bytes(batch)


def case_wrong_crc(target):
    for version in (3, 7, 9, 12):
        batch = good_batch()
        batch[-1] ^= 1
        check_refused(target, bytes(batch), wire.CORRUPT_MESSAGE, version=version)


def case_every_flipped_bit_is_noticed(target):
    topic = target.topic("wire-bits")
    good = bytes(good_batch())
    with wire.Connection(target.bootstrap) as connection:
        for bit in range(
            16 * 8, len(good) * 8, 5
        ):  # all that stands behind the fields that the broker sets itself
            batch = bytearray(good)
            batch[bit // 8] ^= 1 << bit % 8
            answer = connection.ask(wire.produce_request(topic, 0, bytes(batch)), 7)
            code = answer.responses[0].partition_responses[0].error_code
            assert code in (wire.CORRUPT_MESSAGE, wire.INVALID_RECORD), f"bit {bit}: error {code}"
    assert wire.list_offset(target.bootstrap, topic, 0, wire.LATEST).offset == 0


def case_magic_of_another_format(target):
    check_refused(target, patched(16, b"\1"), wire.INVALID_RECORD)
    check_refused(target, patched(16, b"\3"), wire.CORRUPT_MESSAGE)


def case_batch_cut_short(target):
    good = bytes(good_batch())
    for length in (len(good) - 3, 61, 30, 0):
        check_refused(target, good[:length], wire.INVALID_RECORD)


def case_batch_length_that_lies(target):
    check_refused(target, patched(8, struct.pack(">i", -5)), wire.CORRUPT_MESSAGE)
    check_refused(target, patched(8, struct.pack(">i", 10)), wire.CORRUPT_MESSAGE)


def case_batch_length_beyond_all_limits(target):
    check_refused(target, patched(8, struct.pack(">i", 0x7FFFFFFF)), -1, "batch-length-overflow")


def case_two_batches_in_one_request(target):
    check_refused(target, bytes(good_batch()) * 2, wire.INVALID_RECORD)


def case_record_count_that_lies(target):
    for count in (5, 1, -1):
        check_refused(target, records.batch([b"one", b"two"], count=count), wire.INVALID_RECORD)
    check_refused(target, records.batch([], body=b"", count=0), wire.INVALID_RECORD)


def case_unknown_codec(target):
    for codec in (5, 7):
        check_refused(target, records.batch([b"one"], attributes=codec), -1, "unknown-codec")


def case_compressed_garbage(target):
    for codec in (1, 2, 3, 4):
        check_refused(
            target, records.batch([b"one"], attributes=codec), -1, "unreadable-compression"
        )


def case_control_batch_of_a_client(target):
    check_refused(target, records.batch([b"one"], attributes=0x20), wire.INVALID_RECORD)


def case_transactional_batch_without_a_transaction(target):
    for producer in ((-1, -1, -1), (77, 0, 0)):
        check_refused(
            target,
            records.batch([b"one"], attributes=0x10, producer=producer),
            wire.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            "transactional-batch",
        )


def case_time_type_set_by_the_client(target):
    batch = records.batch([b"one"], attributes=records.LOG_APPEND_TIME)
    topic = target.topic("wire-time-type")
    assert wire.produce(target.bootstrap, topic, 0, batch).error_code == wire.NONE
    assert (
        records.read_batches(wire.read_log(target.bootstrap, topic, 0))[0].attributes == 0
    ), "the topic's type counts"
    topic = target.topic("wire-append-time", message_timestamp_type="LogAppendTime")
    assert wire.produce(target.bootstrap, topic, 0, batch).error_code == wire.INVALID_TIMESTAMP


def case_piece_of_a_batch_behind_a_batch(target):
    topic = target.topic("wire-piece")
    for i, rest in enumerate((b"junk", bytes(good_batch())[:40])):
        answer = wire.produce(target.bootstrap, topic, 0, bytes(good_batch()) + rest)
        assert (answer.error_code, answer.base_offset) == (wire.NONE, 2 * i), "the piece is dropped"
    assert len(records.read_batches(wire.read_log(target.bootstrap, topic, 0))) == 2


def case_time_too_far_ahead(target):
    later = int(time.time() * 1000) + 2 * 3600_000
    check_refused(target, records.batch([b"one"], base_timestamp=later), wire.INVALID_TIMESTAMP)


def case_oversized_record(target):
    check_refused(target, records.batch([b"x" * 1_100_000]), wire.MESSAGE_TOO_LARGE)
    limit = 1048588 - len(records.batch([b""])) - 4  # the lengths inside take two bytes more each
    topic = target.topic("wire-limit")
    fits = records.batch([b"x" * limit])
    assert len(fits) <= 1048588
    assert wire.produce(target.bootstrap, topic, 0, fits).error_code == wire.NONE
    assert (
        wire.produce(target.bootstrap, topic, 0, records.batch([b"x" * (limit + 8)])).error_code
        == wire.MESSAGE_TOO_LARGE
    )


def case_unknown_topic_and_partition(target):
    topic = target.topic("wire-known")
    batch = bytes(good_batch())
    for name, partition in (
        ("wire-not-there", 0),
        (topic, 9),
        (topic, -1),
        ("a/b", 0),
        ("x" * 250, 0),
        ("", 0),
    ):
        code = wire.produce(target.bootstrap, name, partition, batch).error_code
        assert code == wire.UNKNOWN_TOPIC_OR_PARTITION, (name[:20], partition, code)
    request = wire.produce_request(None, 0, batch, topic_id=uuid.uuid4())
    code = wire.ask(target.bootstrap, request, 13).responses[0].partition_responses[0].error_code
    assert code == wire.UNKNOWN_TOPIC_ID, code


def case_acks_that_do_not_exist(target):
    for acks in (2, -2):
        check_refused(target, bytes(good_batch()), wire.INVALID_REQUIRED_ACKS, acks=acks)


def case_acks_0_gets_no_answer_and_an_error_closes(target):
    topic = target.topic("wire-acks-0")
    with wire.Connection(target.bootstrap) as connection:
        connection.send(wire.produce_request(topic, 0, bytes(good_batch()), acks=0), 7)
        answer = connection.ask(wire.MetadataRequest(topics=[], allow_auto_topic_creation=False), 5)
        assert answer.brokers, "the next answer on the connection is that of the next request"
        connection.send(wire.produce_request("wire-not-there", 0, bytes(good_batch()), acks=0), 7)
        assert connection.is_closed_by_peer(
            CLOSE_SECONDS_MAX
        ), "the only sign of an error that acks=0 leaves"
    assert wire.list_offset(target.bootstrap, topic, 0, wire.LATEST).offset == 2


def case_sequences_of_an_idempotent_producer(target):
    topic = target.topic("wire-sequences")
    identity = wire.init_producer_id(target.bootstrap)

    def send(epoch, sequence, count=1):
        batch = records.batch([b"x"] * count, producer=(identity, epoch, sequence))
        answer = wire.produce(target.bootstrap, topic, 0, batch)
        return answer.error_code, answer.base_offset

    assert send(0, 0, 2) == (wire.NONE, 0)
    assert send(0, 2) == (wire.NONE, 2)
    assert send(0, 0, 2) == (wire.NONE, 0), "a duplicate gets its first answer again"
    assert send(0, 4) == (wire.OUT_OF_ORDER_SEQUENCE_NUMBER, -1)
    for i in range(3, 8):
        assert send(0, i) == (wire.NONE, i)
    assert send(0, 3) == (wire.NONE, 3), "five batches are remembered"
    assert (
        send(0, 2)[0] == wire.DUPLICATE_SEQUENCE_NUMBER
        or send(0, 2)[0] == wire.OUT_OF_ORDER_SEQUENCE_NUMBER
    )
    # Kafka's answer depends on whether it knows the producer; ours does not (docs/differences.md)
    assert send(-1, 8) in ((wire.INVALID_PRODUCER_EPOCH, -1), (wire.INVALID_RECORD, -1))
    assert send(1, 3) == (wire.OUT_OF_ORDER_SEQUENCE_NUMBER, -1), "a new epoch starts at 0"
    assert send(1, 0) == (wire.NONE, 8)
    assert send(0, 8) == (wire.INVALID_PRODUCER_EPOCH, -1)
    assert wire.list_offset(target.bootstrap, topic, 0, wire.LATEST).offset == 9


def case_producer_id_is_given_once(target):
    given = [wire.init_producer_id(target.bootstrap, version=5) for _ in range(20)]
    assert len(set(given)) == 20 and min(given) >= 0
    refused = wire.ask(
        target.bootstrap,
        wire.InitProducerIdRequest(
            transactional_id="", transaction_timeout_ms=60000, producer_id=-1, producer_epoch=-1
        ),
        4,
    )
    assert refused.error_code == wire.INVALID_REQUEST


# Fetch, offsets, topics


def case_offset_out_of_range(target):
    topic = target.topic("wire-range")
    wire.produce(target.bootstrap, topic, 0, bytes(good_batch()))
    for offset in (1000, 3, -1, -5):
        part = wire.fetch(target.bootstrap, topic, 0, offset)
        assert (part.error_code, part.high_watermark, bytes(part.records or b"")) == (
            wire.OFFSET_OUT_OF_RANGE,
            -1,
            b"",
        )
    at_end = wire.fetch(target.bootstrap, topic, 0, 2, max_wait_ms=10)
    assert (at_end.error_code, at_end.high_watermark, bytes(at_end.records or b"")) == (
        wire.NONE,
        2,
        b"",
    )


def case_fetch_of_what_is_not_there(target):
    topic = target.topic("wire-fetch")
    for name, partition in (("wire-not-there", 0), (topic, 7), ("a/b", 0)):
        assert (
            wire.fetch(target.bootstrap, name, partition, 0).error_code
            == wire.UNKNOWN_TOPIC_OR_PARTITION
        )
    assert (
        wire.fetch(target.bootstrap, None, 0, 0, version=13, topic_id=uuid.uuid4()).error_code
        == wire.UNKNOWN_TOPIC_ID
    )
    assert (
        wire.fetch(target.bootstrap, topic, 0, 0, leader_epoch=5).error_code
        == wire.UNKNOWN_LEADER_EPOCH
    )


def case_fetch_session_that_is_not_there(target):
    topic = target.topic("wire-session")
    request = wire.fetch_request(topic, 0, 0)
    request.session_id, request.session_epoch = 12345678, 3
    assert wire.ask(target.bootstrap, request, 11).error_code == wire.FETCH_SESSION_ID_NOT_FOUND


def case_fetch_waits_for_its_bytes(target):
    topic = target.topic("wire-wait")
    started = time.monotonic()
    wire.fetch(target.bootstrap, topic, 0, 0, max_wait_ms=700)
    assert 0.6 < time.monotonic() - started < 5
    with wire.Connection(target.bootstrap) as connection:
        connection.send(wire.fetch_request(topic, 0, 0, max_wait_ms=20000, min_bytes=200), 11)
        wire.produce(target.bootstrap, topic, 0, bytes(good_batch()))
        assert not connection.is_closed_by_peer(
            0.5
        ), "an answer, or the end, before min_bytes were there"
        connection.socket.settimeout(15)  # less than its wait: the bytes must end it
        wire.produce(target.bootstrap, topic, 0, records.batch([b"x" * 200]))
        part = connection.read_answer(wire.FetchRequest, 11).responses[0].partitions[0]
        assert part.high_watermark == 3


def case_list_offsets_of_what_is_not_there(target):
    topic = target.topic("wire-offsets")
    unknown = wire.list_offset(target.bootstrap, "wire-not-there", 0, wire.LATEST)
    assert (unknown.error_code, unknown.offset) == (wire.UNKNOWN_TOPIC_OR_PARTITION, -1)
    assert wire.list_offset(target.bootstrap, topic, 0, -7).error_code == wire.UNSUPPORTED_VERSION
    assert (
        wire.list_offset(target.bootstrap, topic, 0, -9, version=11).error_code
        == wire.UNSUPPORTED_VERSION
    )


def case_topic_names(target):
    for name in ("a/b", "x" * 250, "", "..", "a b"):
        assert wire.create_topic(target.bootstrap, name).error_code == wire.INVALID_TOPIC_EXCEPTION
        for create in (False, True):
            found = wire.metadata(target.bootstrap, [name], create=create).topics[0]
            assert found.error_code == wire.INVALID_TOPIC_EXCEPTION, (name[:20], found.error_code)
    listed = {topic.name for topic in wire.metadata(target.bootstrap).topics}
    assert not listed & {"a/b", "x" * 250, "", "..", "a b"}


def case_one_topic_twice_in_a_request(target):
    topic = wire.CreateTopicsRequest.CreatableTopic
    name = target.name("wire-twice")
    answer = wire.ask(
        target.bootstrap,
        wire.CreateTopicsRequest(
            topics=[
                topic(name=name, num_partitions=1, replication_factor=1, assignments=[], configs=[])
                for _ in range(2)
            ],
            timeout_ms=5000,
            validate_only=False,
        ),
        5,
    )
    assert [one.error_code for one in answer.topics] == [wire.INVALID_REQUEST]
    assert name not in {one.name for one in wire.metadata(target.bootstrap).topics}
