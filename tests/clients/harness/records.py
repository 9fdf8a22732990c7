"""Record batches of format 2, built and read by hand (docs: Kafka's message format, KIP-98)."""

import collections
import struct
import time

import crc32c

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
LOG_APPEND_TIME = 8

Batch = collections.namedtuple(
    "Batch",
    "base_offset leader_epoch magic crc_ok attributes last_offset base_timestamp max_timestamp "
    "producer_id producer_epoch base_sequence count body",
)


def varint(value):
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value & ~0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def record(offset_delta, key, value, timestamp_delta=0, headers=()):
    def sized(data):
        return varint(-1) if data is None else varint(len(data)) + data

    body = b"\0" + varint(timestamp_delta) + varint(offset_delta) + sized(key) + sized(value)
    body += varint(len(headers)) + b"".join(varint(len(k)) + k + sized(v) for k, v in headers)
    return varint(len(body)) + body


def batch(values, base_timestamp=None, producer=(-1, -1, -1), attributes=0, count=None, body=None):
    """A batch of values (bytes), or of a body that the caller made; producer is (id, epoch, first
    sequence)."""
    # Not a constant of the past: retention would delete it while the test still reads.
    base_timestamp = int(time.time() * 1000) if base_timestamp is None else base_timestamp
    if body is None:
        body = b"".join(record(i, None, value) for i, value in enumerate(values))
    count = len(values) if count is None else count
    tail = (
        struct.pack(
            ">hiqqqhii",
            attributes,
            len(values) - 1,
            base_timestamp,
            base_timestamp,
            *producer,
            count
        )
        + body
    )
    head = struct.pack(">ibI", -1, 2, crc32c.crc32c(tail))
    return struct.pack(">qi", 0, len(head) + len(tail)) + head + tail


def read_batches(data):
    """The complete batches in data; an incomplete last one is left out, as Fetch may cut it."""
    found, position = [], 0
    while position + 61 <= len(data):
        base, size, epoch, magic, crc = struct.unpack_from(">qiibI", data, position)
        if position + 12 + size > len(data):
            break
        attributes, last_delta, *rest = struct.unpack_from(">hiqqqhii", data, position + 21)
        covered = data[position + 21 : position + 12 + size]
        found.append(
            Batch(
                base,
                epoch,
                magic,
                crc32c.crc32c(covered) == crc,
                attributes,
                base + last_delta,
                *rest,
                covered[40:],
            )
        )
        position += 12 + size
    return found


def codecs_of(data):
    names = {number: name for name, number in CODECS.items()}
    return {names[one.attributes & 7] for one in read_batches(data)}


def values_of(batch):
    """The values of an uncompressed batch of records without keys and headers."""
    values, position = [], 0
    for _ in range(batch.count):
        size, position = read_varint(batch.body, position)
        end = position + size
        position += 1
        for _ in range(2):
            _, position = read_varint(batch.body, position)
        key, position = read_varint(batch.body, position)
        assert key == -1
        length, position = read_varint(batch.body, position)
        values.append(batch.body[position : position + length])
        position = end
    return values


def read_varint(data, position):
    raw, shift = 0, 0
    while True:
        byte = data[position]
        position += 1
        raw |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (raw >> 1) ^ -(raw & 1), position
        shift += 7
