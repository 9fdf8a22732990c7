"""ConsumerGroupHeartbeat (KIP-848), which kafka-python does not know: requests and answers of v0
and v1 as bytes, written after Kafka's message definitions."""

import struct
import uuid
from dataclasses import dataclass

API_KEY = 68
JOIN, LEAVE, LEAVE_FOR_A_WHILE = 0, -1, -2


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def text(value):
    if value is None:
        return varint(0)
    data = value.encode()
    return varint(len(data) + 1) + data


def array(items, encode):
    if items is None:
        return varint(0)
    return varint(len(items) + 1) + b"".join(encode(item) for item in items)


def places(topic_and_partitions):
    topic_id, partitions = topic_and_partitions
    return topic_id.bytes + array(sorted(partitions), lambda p: struct.pack(">i", p)) + varint(0)


def request(
    correlation_id,
    version=1,
    group="g",
    member="",
    epoch=JOIN,
    instance=None,
    rack=None,
    rebalance_timeout_ms=-1,
    topics=None,
    regex=None,
    assignor=None,
    owned=None,
):
    body = text(group) + text(member) + struct.pack(">i", epoch) + text(instance) + text(rack)
    body += struct.pack(">i", rebalance_timeout_ms) + array(topics, text)
    if version >= 1:
        body += text(regex)
    body += text(assignor)
    body += array(None if owned is None else sorted(owned.items()), places) + varint(0)
    header = struct.pack(">hhi", API_KEY, version, correlation_id)
    return header + struct.pack(">h", 5) + b"tests" + varint(0) + body


@dataclass
class Answer:
    error: int
    message: str
    member: str
    epoch: int
    interval_ms: int
    assignment: dict  # topic id to set of partitions; None: not told


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values[0]

    def varint(self):
        number = shift = 0
        while True:
            byte = self.take(">B")
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    def text(self):
        size = self.varint() - 1
        if size < 0:
            return None
        self.at += size
        return self.data[self.at - size : self.at].decode()

    def places(self):
        found = {}
        for _ in range(self.varint() - 1):
            topic = uuid.UUID(bytes=self.data[self.at : self.at + 16])
            self.at += 16
            found[topic] = {self.take(">i") for _ in range(self.varint() - 1)}
            assert self.varint() == 0
        return found


def parse(frame):
    reader = Reader(frame)
    reader.take(">i")  # correlation id
    assert reader.varint() == 0
    reader.take(">i")  # throttle time
    error, message, member = reader.take(">h"), reader.text(), reader.text()
    epoch, interval_ms = reader.take(">i"), reader.take(">i")
    assignment = None
    if reader.take(">b") >= 0:
        assignment = reader.places()
        assert reader.varint() == 0
    assert reader.varint() == 0 and reader.at == len(frame)
    return Answer(error, message, member, epoch, interval_ms, assignment)


def beat(connection, **fields):
    connection.correlation_id += 1
    connection.send_frame(request(connection.correlation_id, **fields))
    return parse(connection.read_frame())
