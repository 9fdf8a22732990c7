"""Compacted topics: the last record of each key stays, whoever reads it then; what has no key is
refused; the folder goes to Kafka and comes back."""

import time

from cases.retention import new_topic
from harness import records, wire
from harness.server import PROJECT, Kafka, Ottla, copy_of
from harness.target import await_leaders, output_of

MIB = 1 << 20  # the smallest segment.bytes that Kafka 4 takes
SETTLED_SECONDS_MAX = 30
EAGER = ["log.cleaner.backoff.ms=200"]
COMPACTED = {
    "cleanup_policy": "compact",
    "segment_bytes": MIB,
    "min_cleanable_dirty_ratio": "0.01",
    "file_delete_delay_ms": 300,
}
KEYS, VALUE_BYTES = 10, 100_000


def run(target, group, report):
    own = []

    def server():
        if not own:
            own.append(target.new_server(settings=EAGER))
            own[0].start()
        return own[0]

    for name, case in CASES.items():
        if report.wants_case(group, name):
            report.run_one(group, name, lambda case=case: case(server(), target))
    for one in own:
        one.stop()


def keyed(entries, **options):
    body = b"".join(records.record(i, key, value) for i, (key, value) in enumerate(entries))
    return records.batch([None] * len(entries), body=body, **options)


def entries_of(batch):
    found, position = [], 0
    for _ in range(batch.count):
        size, position = records.read_varint(batch.body, position)
        end = position + size
        position += 1
        _, position = records.read_varint(batch.body, position)
        delta, position = records.read_varint(batch.body, position)
        parts = []
        for _ in range(2):
            length, position = records.read_varint(batch.body, position)
            parts.append(None if length < 0 else batch.body[position : position + length])
            position += max(length, 0)
        found.append((batch.base_offset + delta, *parts))
        position = end
    return found


def log_of(server, topic):
    """All records, as (offset, key, value)."""
    found = []
    with wire.Connection(server.bootstrap) as connection:
        offset = wire.list_offset(connection, topic, 0, wire.EARLIEST).offset
        end = wire.list_offset(connection, topic, 0, wire.LATEST).offset
        while offset < end:
            part = wire.fetch(connection, topic, 0, offset, max_bytes=8 * MIB)
            assert part.error_code == wire.NONE, part.error_code
            batches = records.read_batches(bytes(part.records))
            assert batches and all(batch.crc_ok for batch in batches)
            for batch in batches:
                if not batch.attributes & 0x20:
                    found += [one for one in entries_of(batch) if one[0] >= offset]
            offset = batches[-1].last_offset + 1
    assert [one[0] for one in found] == sorted({one[0] for one in found}), "offsets do not rise"
    return found


def table_of(log):
    table = {}
    for _, key, value in log:
        table[key] = value
    return {key: value[:20] for key, value in table.items() if value is not None}


def fill(server, topic, rounds, keys=KEYS):
    """Each key once a round, in batches of one; gives the offsets of the last round."""
    last = {}
    with wire.Connection(server.bootstrap) as connection:
        for number in range(rounds):
            for key in range(keys):
                value = b"%08d-%03d-" % (number, key) + b"x" * VALUE_BYTES
                part = wire.produce(connection, topic, 0, keyed([(b"key-%d" % key, value)]))
                assert part.error_code == wire.NONE, part
                last[b"key-%d" % key] = part.base_offset
    return last


def await_compaction(server, topic, records_max):
    deadline = time.monotonic() + SETTLED_SECONDS_MAX
    while len(log := log_of(server, topic)) > records_max:
        assert time.monotonic() < deadline, f"{len(log)} records are left"
        time.sleep(0.2)
    return log


# A segment of 1 MiB holds ten such records; the active one and one more may be as they came.
RECORDS_LEFT_MAX = KEYS + 20


def case_last_of_each_key(server, target):
    topic = new_topic(server, target, "compacted", **COMPACTED)
    last = fill(server, topic, 8)
    log = await_compaction(server, topic, RECORDS_LEFT_MAX)
    found = {key: offset for offset, key, _ in log}
    assert found == last, (found, last)
    end = wire.list_offset(server.bootstrap, topic, 0, wire.LATEST).offset
    assert end == 8 * KEYS
    assert wire.list_offset(server.bootstrap, topic, 0, wire.EARLIEST).offset == 0


def case_tombstones_go(server, target):
    topic = new_topic(server, target, "tombs", delete_retention_ms=0, **COMPACTED)
    fill(server, topic, 2)
    part = wire.produce(server.bootstrap, topic, 0, keyed([(b"key-1", None), (b"key-2", None)]))
    assert part.error_code == wire.NONE
    deadline = time.monotonic() + SETTLED_SECONDS_MAX
    number = 0
    while True:  # a tombstone takes two passes, and each needs something new
        fill(server, topic, 1, keys=1)
        number += 1
        log = log_of(server, topic)
        if not [one for one in log if one[1] in (b"key-1", b"key-2")]:
            break
        assert time.monotonic() < deadline, [one[:2] for one in log]
        time.sleep(0.1)
    assert set(table_of(log)) == {b"key-%d" % key for key in range(KEYS) if key not in (1, 2)}


def case_without_a_key(server, target):
    topic = new_topic(server, target, "keyless", **COMPACTED)
    part = wire.produce(server.bootstrap, topic, 0, records.batch([b"no key"]))
    assert part.error_code == wire.INVALID_RECORD, part
    assert wire.list_offset(server.bootstrap, topic, 0, wire.LATEST).offset == 0


def case_sequences_survive(server, target):
    """A producer whose only batch was compacted away is still known."""
    topic = new_topic(server, target, "sequences", **COMPACTED)
    known = (wire.init_producer_id(server.bootstrap), 0)
    first = keyed([(b"key-0", b"first")], producer=(*known, 0))
    assert wire.produce(server.bootstrap, topic, 0, first).base_offset == 0
    fill(server, topic, 6)
    log = await_compaction(server, topic, RECORDS_LEFT_MAX)
    assert log[0][0] > 0, log[0]
    again = wire.produce(server.bootstrap, topic, 0, first)
    assert (again.error_code, again.base_offset) == (wire.NONE, 0), again
    gap = keyed([(b"key-0", b"gap")], producer=(*known, 2))
    part = wire.produce(server.bootstrap, topic, 0, gap)
    assert part.error_code == wire.OUT_OF_ORDER_SEQUENCE_NUMBER, part


def case_folder_goes_to_the_other_and_back(_server, target):
    """Compacted by one, served and compacted on by the other, and again by the first; and Kafka's
    tool finds nothing wrong."""
    server = target.new_server(settings=EAGER)
    server.start()
    topic = new_topic(server, target, "given", **COMPACTED)
    fill(server, topic, 8)
    await_compaction(server, topic, RECORDS_LEFT_MAX)
    before = log_of(server, topic)
    server.stop()
    folder = server.log_dir
    dump(folder, topic)
    other_class = Kafka if target.kind == "ottla" else Ottla
    for turn, server_class in enumerate((other_class, type(server))):
        folder = copy_of(folder, target.folder / f"given-{turn}")
        other = server_class(target.folder / f"taker-{turn}", settings=EAGER, adopt=folder)
        target.others.append(other)
        other.start()
        await_leaders(other.bootstrap, topic)
        assert table_of(log_of(other, topic)) == table_of(before)
        offsets = {one[1]: one[0] for one in log_of(other, topic)}
        assert offsets == {one[1]: one[0] for one in before}
        last = fill(other, topic, 4)
        before = await_compaction(other, topic, RECORDS_LEFT_MAX)
        assert {one[1]: one[0] for one in before} == last
        other.stop()
        dump(folder, topic)


def dump(folder, topic):
    logs = sorted(path for path in (folder / f"{topic}-0").glob("*.log") if path.stat().st_size)
    assert logs
    for more in (["--deep-iteration"], ["--index-sanity-check"]):
        paths = logs if "deep" in more[0] else sorted((folder / f"{topic}-0").glob("*.index"))
        out = output_of(
            [PROJECT / "tools/peer", "tool", "DumpLogSegments", "--files",
             ",".join(map(str, paths)), *more],
            timeout_seconds=120,
        )
        for word in ("Exception", "Error", "orrupt", "mismatch", "isvalid: false", "Found "):
            assert word not in out, out[-2000:]


CASES = {
    name.removeprefix("case_"): case
    for name, case in list(globals().items())
    if name.startswith("case_")
}
