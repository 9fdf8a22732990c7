"""Classic consumer groups: members share partitions, commit, leave, die and come back; by four
clients, and by Kafka's own tools."""

import contextlib
import json
import subprocess
import sys
import threading
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient
from kafka import KafkaConsumer, TopicPartition

from harness.server import PROJECT
from harness.target import make_topic, output_of

SETTLED_SECONDS_MAX = 40
SESSION_MS = 6000  # the shortest that both brokers allow
QUICK = ["group.initial.rebalance.delay.ms=0", "offsets.topic.num.partitions=4"]


def run(target, group, report):
    """A node of its own that does not wait 3 s for more members; Kafka's needs one replica."""
    own = []

    def server():
        if not own:
            more = ["offsets.topic.replication.factor=1"] if target.kind == "kafka" else []
            own.append(target.new_server(settings=QUICK + more))
            own[0].start()
        return own[0]

    for name, case in CASES.items():
        if report.wants_case(group, name):
            report.run_one(group, name, lambda case=case: case(server(), target))
    for one in own:
        one.stop()


def fill(server, topic, count, partitions=1, first=0):
    lines = "".join(f"{i}\n" for i in range(first, first + count)).encode()
    for partition in range(partitions):
        output_of(
            ["kcat", "-b", server.bootstrap, "-P", "-t", topic, "-p", str(partition)], lines
        )


def kcat_read(server, group, topic, *options):
    """What a kcat in a group reads until the end of its partitions."""
    out = output_of(
        ["kcat", "-b", server.bootstrap, "-G", group, "-q", "-e"]
        + ["-X", "auto.offset.reset=earliest", "-X", f"session.timeout.ms={SESSION_MS}"]
        + [*options, topic],
        timeout_seconds=SETTLED_SECONDS_MAX,
    )
    return [int(line) for line in out.split()]


def confluent(server, group, **options):
    settings = {
        "bootstrap.servers": server.bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "session.timeout.ms": SESSION_MS,
        "heartbeat.interval.ms": 500,
        "log_level": 0,
    }
    settings.update({key.replace("_", "."): value for key, value in options.items()})
    return contextlib.closing(Consumer(settings))


def poll_until(consumers, is_done, what, read=None):
    deadline = time.monotonic() + SETTLED_SECONDS_MAX
    while not is_done():
        assert time.monotonic() < deadline, what
        for consumer in consumers:
            message = consumer.poll(0.05)
            if message is not None and not message.error() and read is not None:
                read.append((message.partition(), message.offset()))


def owned(consumer):
    return sorted(place.partition for place in consumer.assignment())


def case_kcat_goes_on_where_it_committed(server, target):
    make_topic(server.bootstrap, "kcat", 1)
    fill(server, "kcat", 100)
    assert kcat_read(server, "kcat-group", "kcat") == list(range(100))
    assert kcat_read(server, "kcat-group", "kcat") == [], "what was committed is read again"
    fill(server, "kcat", 50, first=100)
    assert kcat_read(server, "kcat-group", "kcat") == list(range(100, 150))
    assert kcat_read(server, "another", "kcat") == list(range(150)), "groups are no group's own"


def case_two_members_share_four_partitions(server, target):
    make_topic(server.bootstrap, "shared", 4)
    with confluent(server, "sharing") as one, confluent(server, "sharing") as two:
        for member in (one, two):
            member.subscribe(["shared"])
        poll_until(
            [one, two],
            lambda: len(owned(one)) == 2 and len(owned(two)) == 2,
            "the four partitions were never shared",
        )
        assert sorted(owned(one) + owned(two)) == [0, 1, 2, 3], "a partition has two owners"
        two.close()
        poll_until([one], lambda: owned(one) == [0, 1, 2, 3], "who left keeps its partitions")


def case_cooperative_members_keep_what_they_have(server, target):
    make_topic(server.bootstrap, "cooperative", 4)
    taken = []
    options = {"partition_assignment_strategy": "cooperative-sticky"}
    with confluent(server, "cooperating", **options) as one:
        one.subscribe(["cooperative"], on_revoke=lambda _, places: taken.extend(places))
        poll_until([one], lambda: len(owned(one)) == 4, "one member never got all")
        with confluent(server, "cooperating", **options) as two:
            two.subscribe(["cooperative"])
            poll_until(
                [one, two],
                lambda: len(owned(one)) == 2 and len(owned(two)) == 2,
                "the partitions were never shared",
            )
        assert len(taken) == 2, f"{len(taken)} partitions were taken away, and two had to go"


def case_commit_and_fetch_offsets(server, target):
    make_topic(server.bootstrap, "offsets", 2)
    fill(server, "offsets", 10, 2)
    places = [Place("offsets", 0, 7, "half of it"), Place("offsets", 1, 3)]
    with confluent(server, "committing") as consumer:
        consumer.commit(offsets=places, asynchronous=False)
        found = consumer.committed([Place("offsets", i) for i in (0, 1)], SETTLED_SECONDS_MAX)
        shown = [(place.offset, place.metadata or None) for place in found]
        assert shown == [(7, "half of it"), (3, None)], found
    with confluent(server, "committing") as consumer:  # another connection, the same group
        found = consumer.committed([Place("offsets", 0), Place("offsets", 1)], SETTLED_SECONDS_MAX)
        assert [place.offset for place in found] == [7, 3], found


def case_static_member_returns_without_rebalance(server, target):
    make_topic(server.bootstrap, "static", 2)
    changes = []
    options = {"group_instance_id": "one"}
    with confluent(server, "static-group", group_instance_id="other") as other:
        other.subscribe(["static"], on_assign=lambda _, places: changes.append(len(places)))
        with confluent(server, "static-group", **options) as one:
            one.subscribe(["static"])
            poll_until([one, other], lambda: len(owned(one)) == 1, "they never shared")
            had = owned(one)
        before = len(changes)
        with confluent(server, "static-group", **options) as again:
            again.subscribe(["static"])
            poll_until([again, other], lambda: owned(again) == had, "it did not get its own back")
        poll_until([other], lambda: True, "")
        assert len(changes) == before, "the other member was disturbed"


def case_idle_member_takes_over(server, target):
    """One partition, two members: the idle one gets it when the owner is killed. Timed: it is the
    session timeout and the rebalance."""
    make_topic(server.bootstrap, "takeover", 1)
    program = (
        "import sys\nfrom confluent_kafka import Consumer\n"
        "c = Consumer({'bootstrap.servers': sys.argv[1], 'group.id': 'takeover-group',"
        " 'client.id': 'a',"  # member ids begin with it, and the first of them gets the partition
        f" 'session.timeout.ms': {SESSION_MS}, 'heartbeat.interval.ms': 500}})\n"
        "c.subscribe(['takeover'])\n"
        "while True:\n"
        "    c.poll(0.1)\n"
        "    if c.assignment(): print('mine', flush=True)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program, server.bootstrap], stdout=subprocess.PIPE, text=True
    )
    try:
        assert owner.stdout.readline() == "mine\n"
        with confluent(server, "takeover-group", client_id="b") as idle:
            idle.subscribe(["takeover"])
            end = time.monotonic() + 2  # by then it has joined
            while time.monotonic() < end:
                idle.poll(0.05)
            assert not owned(idle), "both own the partition"
            owner.kill()
            began = time.monotonic()
            poll_until([idle], lambda: owned(idle) == [0], "nobody took over")
            took = time.monotonic() - began
            assert took < SESSION_MS / 1000 + 5, f"the takeover took {took:.1f} s"
    finally:
        owner.kill()
        owner.wait()


def case_python_members_rebalance(server, target):
    make_topic(server.bootstrap, "python", 4)
    fill(server, "python", 25, 4)
    read, lock, stop = [], threading.Lock(), threading.Event()

    def consume():
        consumer = KafkaConsumer(
            "python",
            bootstrap_servers=server.bootstrap,
            group_id="python-group",
            auto_offset_reset="earliest",
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=500,
        )
        while not stop.is_set():
            for batch in consumer.poll(timeout_ms=200).values():
                with lock:
                    read.extend((record.partition, record.offset) for record in batch)
        consumer.close()

    threads = [threading.Thread(target=consume) for _ in range(3)]
    for thread in threads:
        thread.start()
        time.sleep(0.3)
    deadline = time.monotonic() + SETTLED_SECONDS_MAX
    while len(set(read)) < 100 and time.monotonic() < deadline:
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert len(set(read)) == 100, f"{len(set(read))} of 100 records were read"
    checker = KafkaConsumer(bootstrap_servers=server.bootstrap, group_id="python-group")
    with contextlib.closing(checker):
        committed = [checker.committed(TopicPartition("python", i)) for i in range(4)]
    assert committed == [25] * 4, committed


def case_offsets_and_members_outlive_a_kill(server, target):
    make_topic(server.bootstrap, "outlive", 2)
    fill(server, "outlive", 10, 2)
    with confluent(server, "outliving") as consumer:
        consumer.subscribe(["outlive"])
        read = []
        poll_until([consumer], lambda: len(read) == 20, "20 records were never read", read)
        consumer.commit(asynchronous=False)
        server.kill()
        server.start()
        fill(server, "outlive", 5, 2, first=10)
        poll_until([consumer], lambda: len(set(read)) == 30, "it did not go on after the kill", read)
        assert len(read) == 30, f"{len(read) - 30} records came twice though they were committed"
        consumer.commit(asynchronous=False)
    with confluent(server, "outliving") as consumer:
        found = consumer.committed([Place("outlive", 0), Place("outlive", 1)], SETTLED_SECONDS_MAX)
        assert [place.offset for place in found] == [15, 15], found


def case_admin_lists_describes_deletes(server, target):
    make_topic(server.bootstrap, "admin", 1)
    fill(server, "admin", 3)
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    with confluent(server, "admin-group") as consumer:
        consumer.subscribe(["admin"])
        read = []
        poll_until([consumer], lambda: len(read) == 3, "the records were never read", read)
        consumer.commit(asynchronous=False)
        names = {group.group_id for group in admin.list_consumer_groups().result().valid}
        assert "admin-group" in names, names
        found = admin.describe_consumer_groups(["admin-group"])["admin-group"].result()
        assert found.state.name == "STABLE" and len(found.members) == 1, found
        assert [p.partition for p in found.members[0].assignment.topic_partitions] == [0]
        try:
            admin.delete_consumer_groups(["admin-group"])["admin-group"].result()
            raise AssertionError("a group with a member was deleted")
        except Exception as error:  # noqa: BLE001  the client's own class, known by its code
            assert error.args[0].name() == "NON_EMPTY_GROUP", error
    deadline = time.monotonic() + SETTLED_SECONDS_MAX
    wanted = ConsumerGroupTopicPartitions("admin-group")
    found = admin.list_consumer_group_offsets([wanted])["admin-group"].result()
    assert [place.offset for place in found.topic_partitions] == [3], found
    while True:
        found = admin.describe_consumer_groups(["admin-group"])["admin-group"].result()
        if found.state.name == "EMPTY":
            break
        assert time.monotonic() < deadline, found.state
        time.sleep(0.1)
    admin.delete_consumer_groups(["admin-group"])["admin-group"].result()
    names = {group.group_id for group in admin.list_consumer_groups().result().valid}
    assert "admin-group" not in names, names


def tool(server, name, *arguments, ok=(0,)):
    return output_of(
        [PROJECT / "tools/peer", "tool", name, "--bootstrap-server", server.bootstrap, *arguments],
        timeout_seconds=SETTLED_SECONDS_MAX * 2,
        ok=ok,
    )


GROUP_TOOL = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
CONSOLE = "org.apache.kafka.tools.consumer.ConsoleConsumer"


def case_java_tools(server, target):
    make_topic(server.bootstrap, "java", 2)
    fill(server, "java", 10, 2)
    read = tool(
        server,
        CONSOLE,
        *("--topic", "java", "--group", "java-group", "--max-messages", "20"),
        *("--command-property", "auto.offset.reset=earliest", "--timeout-ms", "20000"),
    )
    assert sorted(map(int, read.split())) == sorted([*range(10)] * 2), read
    listed = tool(server, GROUP_TOOL, "--list")
    assert "java-group" in listed.split(), listed
    shown = tool(server, GROUP_TOOL, "--describe", "--group", "java-group")
    rows = [line.split() for line in shown.splitlines() if line.startswith("java-group")]
    assert sorted(row[1:6] for row in rows) == [
        ["java", "0", "10", "10", "0"],
        ["java", "1", "10", "10", "0"],
    ], shown
    tool(server, GROUP_TOOL, "--group", "java-group", "--topic", "java", "--reset-offsets",
         "--to-offset", "4", "--execute")
    shown = tool(server, GROUP_TOOL, "--describe", "--group", "java-group")
    rows = [line.split() for line in shown.splitlines() if line.startswith("java-group")]
    assert sorted(row[3] for row in rows) == ["4", "4"], shown
    tool(server, GROUP_TOOL, "--group", "java-group", "--topic", "java:0", "--delete-offsets")
    tool(server, GROUP_TOOL, "--delete", "--group", "java-group")
    assert "java-group" not in tool(server, GROUP_TOOL, "--list").split()


def case_deleted_topic_takes_its_offsets(server, target):
    make_topic(server.bootstrap, "brief", 1)
    with confluent(server, "brief-group") as consumer:
        consumer.commit(offsets=[Place("brief", 0, 5)], asynchronous=False)
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    admin.delete_topics(["brief"])["brief"].result()
    make_topic(server.bootstrap, "brief", 1)
    deadline = time.monotonic() + SETTLED_SECONDS_MAX
    with confluent(server, "brief-group") as consumer:
        while True:
            found = consumer.committed([Place("brief", 0)], SETTLED_SECONDS_MAX)
            if found[0].offset < 0:
                break
            assert time.monotonic() < deadline, f"the offset {found} outlives its topic"
            time.sleep(0.1)


def case_dump_of_offsets_topic(server, target):
    """Kafka's tool reads every record of the internal topic. Last: it ends the node."""
    server.stop()
    logs = [p for p in server.log_dir.glob("__consumer_offsets-*/*.log") if p.stat().st_size]
    assert logs, "there is nothing in __consumer_offsets"
    out = output_of(
        [PROJECT / "tools/peer", "tool", "DumpLogSegments", "--offsets-decoder", "--files",
         ",".join(map(str, logs))],
        timeout_seconds=SETTLED_SECONDS_MAX * 2,
    )
    for word in ("Exception", "Error", "orrupt", "mismatch"):
        assert word not in out, out[-2000:]
    shown = [line for line in out.splitlines() if "payload:" in line]
    kinds = {json.loads(line.split(" key: ")[1].split(" payload: ")[0])["type"] for line in shown}
    assert kinds >= {"1", "2"} or kinds >= {1, 2}, kinds
    assert any('"outlive"' in line and '"offset":15' in line for line in shown), out[-2000:]
    server.start()


CASES = {
    name.removeprefix("case_"): case
    for name, case in list(globals().items())
    if name.startswith("case_")
}
