"""What goes from a log, and when: DeleteRecords, by Kafka's tool and on the wire; retention by time
and by size."""

import json
import time

from harness import records, wire
from harness.server import Kafka, copy_of
from harness.target import PROJECT, await_leaders, make_topic, output_of

QUICK = ["log.retention.check.interval.ms=200"]
MIB = 1 << 20  # the smallest segment.bytes that Kafka 4 takes
HOUR_MS = 3_600_000
SETTLED_SECONDS_MAX = 30


def run(target, group, report):
    """A node of its own, which looks for old segments all the time."""
    own = []

    def server():
        if not own:
            more = ["log.initial.task.delay.ms=200"] if target.kind == "kafka" else []
            own.append(target.new_server(settings=QUICK + more))
            own[0].start()
        return own[0]

    for name, case in CASES.items():
        if report.wants_case(group, name):
            report.run_one(group, name, lambda case=case: case(server(), target))
    for one in own:
        one.stop()


def tool(server, name, *arguments, ok=(0,)):
    return output_of(
        [PROJECT / "tools/peer", "tool", name, "--bootstrap-server", server.bootstrap, *arguments],
        timeout_seconds=120,
        ok=ok,
    )


def new_topic(server, target, word, partitions=1, **configs):
    name = target.name(word)
    named = {key.replace("_", "."): str(value) for key, value in configs.items()}
    make_topic(server.bootstrap, name, partitions, named)
    return name


def fill(server, topic, values, partition=0, times=None):
    """A batch a value."""
    with wire.Connection(server.bootstrap) as connection:
        for i, value in enumerate(values):
            batch = records.batch([value], base_timestamp=times[i] if times else None)
            part = wire.produce(connection, topic, partition, batch)
            assert part.error_code == wire.NONE, part


def start_of(server, topic, partition=0):
    return wire.list_offset(server.bootstrap, topic, partition, wire.EARLIEST).offset


def case_deleted_records_are_gone(server, target):
    topic = new_topic(server, target, "deleted", partitions=2)
    fill(server, topic, [b"%d" % i for i in range(10)])
    with wire.Connection(server.bootstrap) as connection:
        for offset, error, low in (
            (4, wire.NONE, 4),
            (2, wire.NONE, 4),  # never back
            (11, wire.OFFSET_OUT_OF_RANGE, -1),
            (-2, wire.OFFSET_OUT_OF_RANGE, -1),
        ):
            part = wire.delete_records(connection, topic, 0, offset)
            assert (part.error_code, part.low_watermark) == (error, low), (offset, part)
        below = wire.fetch(connection, topic, 0, 3)
        assert below.error_code == wire.OFFSET_OUT_OF_RANGE, below
        part = wire.fetch(connection, topic, 0, 4)
        found = records.read_batches(bytes(part.records))
        assert part.log_start_offset == 4 and found[0].base_offset == 4, part
        part = wire.delete_records(connection, topic, 0, -1)
        assert (part.error_code, part.low_watermark) == (wire.NONE, 10), part
        assert wire.list_offset(connection, topic, 0, wire.EARLIEST).offset == 10
        assert wire.list_offset(connection, topic, 0, wire.LATEST).offset == 10
        assert wire.list_offset(connection, topic, 1, wire.EARLIEST).offset == 0


def case_what_may_not_be_deleted(server, target):
    compacted = new_topic(server, target, "kept", cleanup_policy="compact")
    both = new_topic(server, target, "kept", cleanup_policy="compact,delete")
    for topic, partition, error in (
        (compacted, 0, wire.POLICY_VIOLATION),
        (both, 0, wire.NONE),
        (both, 1, wire.UNKNOWN_TOPIC_OR_PARTITION),
        ("nowhere", 0, wire.UNKNOWN_TOPIC_OR_PARTITION),
    ):
        part = wire.delete_records(server.bootstrap, topic, partition, -1)
        assert part.error_code == error, (topic, partition, part)


def case_kafkas_tool(server, target):
    topic = new_topic(server, target, "tool", partitions=2)
    for partition in range(2):
        fill(server, topic, [b"x"] * 6, partition)
    wanted = {
        "version": 1,
        "partitions": [
            {"topic": topic, "partition": 0, "offset": 5},
            {"topic": topic, "partition": 1, "offset": -1},
        ],
    }
    path = target.scratch_file(json.dumps(wanted).encode())
    said = tool(server, "DeleteRecordsCommand", "--offset-json-file", path)
    for line in (f"{topic}-0\tlow_watermark: 5", f"{topic}-1\tlow_watermark: 6"):
        assert line in said, said
    assert [start_of(server, topic, partition) for partition in range(2)] == [5, 6]


def case_deleted_stays_deleted_after_a_kill(_server, target):
    server = target.new_server(settings=QUICK)
    server.start()
    topic = new_topic(server, target, "killed")
    fill(server, topic, [b"x"] * 8)
    assert wire.delete_records(server.bootstrap, topic, 0, 5).low_watermark == 5
    if target.kind == "kafka":
        server.stop()  # Kafka's checkpoint of log starts is a minute behind
    else:
        server.kill()
    server.start()
    await_leaders(server.bootstrap, topic)
    assert start_of(server, topic) == 5
    server.stop()


def await_start(server, topic, wanted):
    deadline = time.monotonic() + SETTLED_SECONDS_MAX
    while (found := start_of(server, topic)) < wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)  # and stays there
    assert start_of(server, topic) == wanted, (found, start_of(server, topic))


def case_by_time(server, target):
    """Each batch is a segment; the young ones stay, and one from the future keeps all behind it."""
    now = int(time.time() * 1000)
    old = now - 2 * HOUR_MS
    settings = {"segment_bytes": MIB, "retention_ms": HOUR_MS, "file_delete_delay_ms": 500}
    topic = new_topic(server, target, "old", **settings)
    big = b"x" * 600_000
    fill(server, topic, [big] * 6, times=[old] * 4 + [now] * 2)
    pinned = new_topic(server, target, "pinned", **settings)
    fill(server, pinned, [big] * 4, times=[old, now + HOUR_MS // 2, old, old])
    whole = new_topic(server, target, "whole", **settings)
    fill(server, whole, [big] * 3, times=[old] * 3)
    await_start(server, topic, 4)
    await_start(server, pinned, 1)
    await_start(server, whole, 3)
    assert wire.list_offset(server.bootstrap, whole, 0, wire.LATEST).offset == 3
    part = wire.fetch(server.bootstrap, topic, 0, 3)
    assert part.error_code == wire.OFFSET_OUT_OF_RANGE, part
    part = wire.fetch(server.bootstrap, topic, 0, 4, max_bytes=2 * MIB)
    assert [one.base_offset for one in records.read_batches(bytes(part.records))][:1] == [4]
    fill(server, whole, [b"and on"])
    assert wire.list_offset(server.bootstrap, whole, 0, wire.LATEST).offset == 4
    folder = server.log_dir / f"{topic}-0"
    deadline = time.monotonic() + SETTLED_SECONDS_MAX
    while left := [path.name for path in folder.iterdir() if path.name.endswith(".deleted")]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    assert len(list(folder.glob("*.log"))) == 2, sorted(folder.iterdir())


def case_by_size(server, target):
    topic = new_topic(server, target, "large", segment_bytes=MIB, retention_bytes=1_300_000)
    fill(server, topic, [b"x" * 600_000] * 6)
    await_start(server, topic, 3)


def case_for_ever(server, target):
    topic = new_topic(server, target, "ever", segment_bytes=MIB, retention_ms=-1)
    fill(server, topic, [b"x" * 600_000] * 3, times=[1, 2, 3])
    time.sleep(1)
    assert start_of(server, topic) == 0


CASES = {
    name.removeprefix("case_"): case
    for name, case in list(globals().items())
    if name.startswith("case_")
}
