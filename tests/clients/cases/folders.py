"""The files on disk, judged by Apache Kafka: its dump tool, its broker on our folder, and our
broker on its folder."""

import collections
import os

from cases import java
from harness import records, wire
from harness.server import Kafka, copy_of, free_port
from harness.target import PROJECT, await_leaders, make_topic, output_of

TOOL_SECONDS_MAX = 180
ELR = "eligible.leader.replicas.version"
TIMES_MAX = 10  # of a partition: timestamps whose offsets are compared
Answers = collections.namedtuple(
    "Answers", "log high_watermark last_stable_offset log_start aborted offsets"
)


def run(target, group, report):
    """Most cases need the folder that the other groups filled and the cleanly stopped node left."""
    folder = target.log_dir
    if report.wants_case(group, "state of a cleanly stopped folder"):
        fill_if_empty(target)
    for name, case in (
        ("state of a cleanly stopped folder", lambda: check_clean_folder(folder)),
        ("codecs in the segments", lambda: check_codecs(target, folder)),
        ("DumpLogSegments: segments", lambda: dump_segments(folder)),
        ("DumpLogSegments: indexes", lambda: dump_indexes(folder)),
        ("DumpLogSegments: snapshots and transaction indexes", lambda: dump_side_files(folder)),
        ("DumpLogSegments: cluster metadata", lambda: dump_metadata(folder)),
        (
            "a real Kafka serves every record of the folder, and gives it back",
            lambda: hand_over(target, folder),
        ),
        ("missing and cut indexes are made anew", lambda: rebuild_indexes(target, folder)),
        (
            "transactions that a real Kafka wrote, stopped cleanly",
            lambda: take_over(target, clean=True),
        ),
        ("transactions that a real Kafka wrote, killed", lambda: take_over(target, clean=False)),
        ("a folder that Kafka's tool has formatted", lambda: first_start(target)),
    ):
        if report.wants_case(group, name):
            report.run_one(group, name, case)


def fill_if_empty(target):
    """When this group runs alone there is nothing to judge yet."""
    if list(target.log_dir.glob("*/*.log")) and target.codecs_written:
        return
    target.server.start()
    for codec in ("none", "gzip"):
        topic = target.topic(f"filled-{codec}", partitions=2)
        output_of(
            ["kcat", "-b", target.bootstrap, "-P", "-t", topic, "-z", codec, "-X", "linger.ms=300"],
            "".join(f"{i} the same words again\n" for i in range(50000)).encode(),
        )
        target.codecs_written[topic] = codec
    target.server.stop()


def files(folder, suffix):
    """Of living partitions; the metadata partition is looked at by its own case. A deleted one is
    left as it was: Kafka's own tool fails on the indexes that Kafka leaves there."""
    return sorted(
        path
        for path in folder.glob(f"*/*{suffix}")
        if not path.parent.name.startswith("__cluster_metadata")
        and not path.parent.name.endswith("-delete")
    )


def check_clean_folder(folder):
    names = {path.name for path in folder.iterdir()}
    wanted = {
        "meta.properties",
        ".kafka_cleanshutdown",
        "recovery-point-offset-checkpoint",
        "log-start-offset-checkpoint",
        "replication-offset-checkpoint",
        "__cluster_metadata-0",
    }
    assert wanted <= names, f"missing: {wanted - names}"
    for path in folder.iterdir():
        if path.is_dir():
            topic, _, partition = path.name.rpartition("-")
            assert (
                topic and partition.isdigit() or path.name.endswith("-delete")
            ), f"Kafka does not start on {path.name}"
            if partition.isdigit():
                inside = {entry.name for entry in path.iterdir()}
                assert {"partition.metadata", "leader-epoch-checkpoint"} - inside in (
                    set(),
                    {"leader-epoch-checkpoint"},
                ), inside
    logs = files(folder, ".log")
    assert logs
    for path in logs:
        data = path.read_bytes()
        whole = wire.whole_batches(data)
        assert (whole[-1][1] if whole else 0) == len(
            data
        ), f"{path}: something stands behind the last batch"
        assert all(batch.crc_ok for batch in records.read_batches(data)), path


def check_codecs(target, folder):
    assert target.codecs_written
    for topic, codec in target.codecs_written.items():
        found = set()
        for path in folder.glob(f"{topic}-[0-9]*/*.log"):
            found |= records.codecs_of(path.read_bytes())
        assert found == {codec}, f"{topic} was written with {codec}, its segments hold {found}"


def dump(paths, *options):
    """DumpLogSegments over many files in one JVM; it ends well when files are damaged, so its
    words are what counts."""
    assert paths, "no file to look at"
    out = output_of(
        [
            PROJECT / "tools/peer",
            "tool",
            "DumpLogSegments",
            "--files",
            ",".join(map(str, paths)),
            *options,
        ],
        timeout_seconds=TOOL_SECONDS_MAX,
    )
    complaints = [
        line
        for line in out.splitlines()
        if any(
            word in line
            for word in (
                "mismatch",
                "Mismatch",
                "isvalid: false",
                "out of order",
                "corrupt",
                "Corrupt",
                "Exception",
                "Error",
                "Found ",
                "non-consecutive",
                "not self-consistent",
            )
        )
    ]
    assert not complaints, "\n".join(complaints[:10])
    return out


def dump_segments(folder):
    logs = [path for path in files(folder, ".log") if path.stat().st_size]
    out = dump(logs, "--deep-iteration")
    wanted = sum(batch.count for path in logs for batch in records.read_batches(path.read_bytes()))
    found = sum(line.startswith("| offset:") for line in out.splitlines())
    assert found == wanted, f"the tool saw {found} records, the files hold {wanted}"


def dump_indexes(folder):
    for suffix in (".index", ".timeindex"):
        paths = files(folder, suffix)
        assert any(path.stat().st_size for path in paths), f"every {suffix} file is empty"
        out = dump(paths, "--index-sanity-check")
        passed = out.count("passed sanity check.") + out.count("is empty.")
        assert passed == len(paths), f"{passed} of {len(paths)} {suffix} files passed"
        dump(paths, "--verify-index-only")


def dump_side_files(folder):
    snapshots = files(folder, ".snapshot")
    out = dump(snapshots)
    assert out.count("Dumping") == len(snapshots)
    indexes = files(folder, ".txnindex")
    if indexes:
        dump(indexes)


def dump_metadata(folder):
    partition = folder / "__cluster_metadata-0"
    logs = [path for path in sorted(partition.glob("*.log")) if path.stat().st_size]
    out = dump(
        [*logs, *sorted(partition.glob("*.checkpoint"))],
        "--cluster-metadata-decoder",
        "--skip-record-metadata",
    )
    for record in (
        "FEATURE_LEVEL_RECORD",
        "REGISTER_BROKER_RECORD",
        "TOPIC_RECORD",
        "PARTITION_RECORD",
    ):
        assert record in out, f"no {record} in the metadata log"


def answers_of(connection, topic, partition, isolation):
    """What a broker says about a partition, in a form that does not depend on how it cuts its
    answers."""
    pieces, aborted = [], set()
    offset = wire.list_offset(connection, topic, partition, wire.EARLIEST).offset
    while True:
        part = wire.fetch(connection, topic, partition, offset, isolation=isolation, min_bytes=0)
        place = f"{topic}-{partition} at {offset}"
        assert part.error_code == wire.NONE, f"{place}: error {part.error_code}"
        data = bytes(part.records or b"")
        aborted |= {(one.producer_id, one.first_offset) for one in part.aborted_transactions or []}
        whole = wire.whole_batches(data)
        if not whole:
            break
        pieces.append(data[: whole[-1][1]])
        offset = whole[-1][2] + 1
    log = b"".join(pieces)
    return Answers(
        log,
        part.high_watermark,
        part.last_stable_offset,
        part.log_start_offset,
        frozenset(aborted),
        offsets_of(connection, topic, partition, isolation, log, part.log_start_offset),
    )


def offsets_of(connection, topic, partition, isolation, log, log_start):
    times = {wire.LATEST, wire.EARLIEST, wire.MAX_TIMESTAMP}
    batches = records.read_batches(log)
    for batch in batches[:: 1 + len(batches) // TIMES_MAX]:
        times |= {batch.max_timestamp, batch.max_timestamp + 1}
    offsets = []
    for timestamp in sorted(times):
        found = wire.list_offset(connection, topic, partition, timestamp, isolation)
        offset = found.offset
        if timestamp == wire.MAX_TIMESTAMP and offset >= 0:
            offset = max(offset, log_start)  # Kafka may name a record that was deleted
        offsets.append((timestamp, found.error_code, offset, found.timestamp))
    return offsets


def all_answers(bootstrap):
    found = {}
    topics = [topic for topic in wire.metadata(bootstrap).topics if not topic.name.startswith("__")]
    assert topics  # internal ones change by themselves and are left out
    for topic in topics:
        await_leaders(bootstrap, topic.name, len(topic.partitions))
    with wire.Connection(bootstrap) as connection:
        for topic in topics:
            for partition in range(len(topic.partitions)):
                for isolation in (0, 1):
                    place = (topic.name, partition, isolation)
                    found[place] = answers_of(connection, *place)
    return found


def check_same(before, after, who):
    assert (
        before.keys() == after.keys()
    ), f"other places: {sorted(before.keys() ^ after.keys())[:5]}"
    differences = [
        f"topic {place[0]}, partition {place[1]}, isolation {place[2]}, {field}: {one} became {other}"
        for place in before
        for field, one, other in different_fields(before[place], after[place])
    ]
    assert not differences, f"{who} answers otherwise:\n" + "\n".join(differences[:8])


def different_fields(wanted, found):
    """Their names, and what only the one and only the other has."""
    for field in Answers._fields:
        one, other = getattr(wanted, field), getattr(found, field)
        if field == "log":
            one, other = records.read_batches(one), records.read_batches(other)
        elif field == "aborted":
            # Kafka also lists some beyond the last stable offset, which are of no use to anyone
            one, other = (
                [entry for entry in sorted(answer.aborted) if entry[1] < answer.last_stable_offset]
                for answer in (wanted, found)
            )
        elif field != "offsets":
            one, other = [one], [other]
        if one != other:
            yield field, [x for x in one if x not in other][:3], [x for x in other if x not in one][
                :3
            ]


def answers_on(server):
    server.start()
    try:
        return all_answers(server.bootstrap)
    finally:
        server.stop()


def hand_over(target, folder):
    ours = target.new_server(adopt=copy_of(folder, target.folder / "handed-over"))
    before = answers_on(ours)
    kafka = Kafka(target.folder / "kafka-on-ours", adopt=ours.log_dir)
    target.others.append(kafka)
    check_same(before, answers_on(kafka), "Kafka")
    kafka.start()
    topic = next(iter(before))[0]
    await_leaders(kafka.bootstrap, topic, sum(place[0] == topic for place in before) // 2)
    grown = wire.produce(kafka.bootstrap, topic, 0, records.batch([b"written by Kafka"]))
    assert grown.error_code == wire.NONE and grown.base_offset == before[topic, 0, 0].high_watermark
    during = all_answers(kafka.bootstrap)
    kafka.stop()
    check_same(during, answers_on(ours), target.kind)


def rebuild_indexes(target, folder):
    """On a folder with the clean marker, which makes Kafka trust what is there. (It does not make a
    time index anew that is missing alone.)"""
    node = target.new_server(adopt=copy_of(folder, target.folder / "damaged-indexes"))
    before = answers_on(node)
    for suffix in (".index", ".timeindex"):
        for i, path in enumerate(files(node.log_dir, suffix)):
            if i % 2:
                path.unlink()
            else:
                with open(path, "ab") as file:
                    file.write(b"\0\1\2")  # no whole number of entries any more
    check_same(before, answers_on(node), target.kind)
    dump(files(node.log_dir, ".index"), "--verify-index-only")
    assert any(path.stat().st_size for path in files(node.log_dir, ".index")), "none was made anew"


def take_over(target, clean):
    """Opens a copy of a folder that Kafka filled with committed, aborted and open transactions."""
    if clean not in target.common:
        target.common[clean] = write_transactions(target, clean)
    folder, before = target.common[clean]
    copy = copy_of(folder, target.folder / f"taken-over-{'clean' if clean else 'killed'}")
    check_same(before, answers_on(target.new_server(adopt=copy)), target.kind)


def write_transactions(target, clean):
    """The folder (written by java/src/Transactions.java) and what Kafka answered about it. Both
    targets use the same."""
    kafka = Kafka(target.folder / f"transactions-{'clean' if clean else 'killed'}")
    target.others.append(kafka)
    kafka.start()
    output_of(java.command("transactions", kafka.bootstrap), timeout_seconds=TOOL_SECONDS_MAX)
    before = all_answers(kafka.bootstrap)
    assert (
        before["mixed", 0, 1].last_stable_offset < before["mixed", 0, 1].high_watermark
    ), "no open transaction"
    assert len(before["mixed", 0, 1].aborted) >= 10 and len(before["rolled", 0, 1].aborted) >= 10
    assert len(list(kafka.log_dir.glob("rolled-0/*.log"))) >= 3, "too few segments"
    if clean:
        kafka.stop()
    else:
        kafka.kill()
    assert os.path.exists(kafka.log_dir / ".kafka_cleanshutdown") == clean
    return kafka.log_dir, before


def first_start(target):
    """Formatted and never started: whoever starts on it begins a cluster with the levels that the
    tool was told."""
    port = free_port()
    for name, arguments, levels in (
        ("plain", ["--standalone"], {"transaction.version": 2, ELR: 1}),
        ("tv1", ["--standalone", "--feature", "transaction.version=1"], {"transaction.version": 1}),
        ("no-elr", ["--standalone", "--feature", f"{ELR}=0"], {ELR: None}),
        ("voters", [], {"metadata.version": 30, "kraft.version": None}),
    ):
        if name == "voters" and target.kind == "kafka":
            continue  # tools/peer knows no voters in the configuration
        folder = target.folder / f"formatted-{name}"
        quorum = "voters=1@" if name == "voters" else "bootstrap.servers="
        properties = target.scratch_file(
            f"process.roles=broker,controller\nnode.id=1\nlog.dirs={folder}\n"
            f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{port + 1000}\n"
            f"controller.listener.names=CONTROLLER\n"
            f"controller.quorum.{quorum}127.0.0.1:{port + 1000}\n".encode()
        )
        tool = [PROJECT / "tools/peer", "tool", "kafka.tools.StorageTool", "format"]
        cluster = "5L6g3nShT-eMCtK--X86sw"
        command = [*tool, *arguments, "-t", cluster, "-c", properties]
        output_of(command, timeout_seconds=TOOL_SECONDS_MAX)
        server = target.new_server(adopt=folder)
        server.start()
        try:
            make_topic(server.bootstrap, "first")
            answer = wire.ask(
                server.bootstrap,
                wire.ApiVersionsRequest(client_software_name="t", client_software_version="1"),
                4,
            )
            found = {one.name: one.max_version_level for one in answer.finalized_features}
            assert {key: found.get(key) for key in levels} == levels, (name, found)
            about = wire.ask(server.bootstrap, wire.DescribeClusterRequest(), 1)
            assert about.cluster_id == cluster, about
        finally:
            server.stop()
