"""Classic consumer groups: members share partitions, commit, leave, die and come back; by four
clients, and by Kafka's own tools."""

import contextlib
import json
import subprocess
import sys
import threading
import time
import uuid

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient
from kafka import KafkaConsumer, TopicPartition

from harness import wire
from harness.server import PROJECT, Kafka, copy_of
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
            await_coordinator(own[0])
        return own[0]

    for name, case in CASES.items():
        if report.wants_case(group, name):
            report.run_one(group, name, lambda case=case: case(server(), target))
    for one in own:
        one.stop()


def await_coordinator(server):
    """Makes __consumer_offsets, and waits until a group can be used."""
    deadline = time.monotonic() + SETTLED_SECONDS_MAX
    with wire.Connection(server.bootstrap) as connection:
        while True:
            request = wire.FindCoordinatorRequest(key_type=0, coordinator_keys=["g"])
            found = connection.ask(request, 4).coordinators[0].error_code
            if found == 0 and heartbeat(connection, "g", 4, "who", 1) == UNKNOWN_MEMBER_ID:
                return
            assert time.monotonic() < deadline, f"no coordinator: error {found}"
            time.sleep(0.05)


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
    settings = {key: value for key, value in settings.items() if value is not None}
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


ILLEGAL_GENERATION, INCONSISTENT_GROUP_PROTOCOL, UNKNOWN_MEMBER_ID = 22, 23, 25
INVALID_SESSION_TIMEOUT, NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, MEMBER_ID_REQUIRED = 26, 68, 69, 79
INVALID_GROUP_ID, UNKNOWN_TOPIC_ID = 24, 100


def join(connection, group, version, member="", session_ms=SESSION_MS, protocols=("p",)):
    protocol = wire.JoinGroupRequest.JoinGroupRequestProtocol
    return connection.ask(
        wire.JoinGroupRequest(
            group_id=group,
            session_timeout_ms=session_ms,
            rebalance_timeout_ms=SESSION_MS,
            member_id=member,
            group_instance_id=None,
            protocol_type="tests",
            protocols=[protocol(name=name, metadata=b"wishes") for name in protocols],
        ),
        version,
    )


def sync(connection, group, version, member, generation, assignment=b""):
    one = wire.SyncGroupRequest.SyncGroupRequestAssignment
    return connection.ask(
        wire.SyncGroupRequest(
            group_id=group,
            generation_id=generation,
            member_id=member,
            group_instance_id=None,
            protocol_type="tests",
            protocol_name="p",
            assignments=[one(member_id=member, assignment=assignment)] if assignment else [],
        ),
        version,
    )


def heartbeat(connection, group, version, member, generation):
    request = wire.HeartbeatRequest(
        group_id=group, generation_id=generation, member_id=member, group_instance_id=None
    )
    return connection.ask(request, version).error_code


def leave(connection, group, version, member):
    identity = wire.LeaveGroupRequest.MemberIdentity
    answer = connection.ask(
        wire.LeaveGroupRequest(
            group_id=group,
            member_id=member,
            members=[identity(member_id=member, group_instance_id=None, reason=None)],
        ),
        version,
    )
    return answer.error_code or (answer.members[0].error_code if version >= 3 else 0)


def commit(connection, group, version, topic, topic_id, offset, member="", generation=-1):
    of_topic = wire.OffsetCommitRequest.OffsetCommitRequestTopic
    of_partition = of_topic.OffsetCommitRequestPartition
    answer = connection.ask(
        wire.OffsetCommitRequest(
            group_id=group,
            generation_id_or_member_epoch=generation,
            member_id=member,
            group_instance_id=None,
            retention_time_ms=-1,
            topics=[
                of_topic(
                    name=topic,
                    topic_id=topic_id,
                    partitions=[
                        of_partition(
                            partition_index=i,
                            committed_offset=offset,
                            committed_leader_epoch=-1,
                            committed_metadata="note",
                        )
                        for i in (0, 7)  # there is no partition 7
                    ],
                )
            ],
        ),
        version,
    )
    codes = {one.partition_index: one.error_code for one in answer.topics[0].partitions}
    return [codes[0], codes[7]]


def fetch_offsets(connection, group, version, topic, topic_id, everything=False):
    """(offset, metadata, error) of each partition, and the error of the group."""
    if version >= 8:
        of_group = wire.OffsetFetchRequest.OffsetFetchRequestGroup
        topics = [
            of_group.OffsetFetchRequestTopics(name=topic, topic_id=topic_id, partition_indexes=[0])
        ]
        request = wire.OffsetFetchRequest(
            groups=[
                of_group(
                    group_id=group,
                    member_id=None,
                    member_epoch=-1,
                    topics=None if everything else topics,
                )
            ],
            require_stable=False,
        )
        answer = connection.ask(request, version).groups[0]
    else:
        of_topic = wire.OffsetFetchRequest.OffsetFetchRequestTopic
        topics = [of_topic(name=topic, partition_indexes=[0])]
        request = wire.OffsetFetchRequest(
            group_id=group, topics=None if everything else topics, require_stable=False
        )
        answer = connection.ask(request, version)
    found = [
        (one.committed_offset, one.metadata, one.error_code)
        for of_topic in answer.topics
        for one in of_topic.partitions
    ]
    return found, answer.error_code if version >= 2 else 0


def case_every_version_of_offsets(server, target):
    make_topic(server.bootstrap, "versions", 1)
    topic_id = wire.metadata(server.bootstrap, ["versions"]).topics[0].topic_id
    with wire.Connection(server.bootstrap) as connection:
        for version in range(2, 11):
            group = f"offsets-v{version}"
            found = commit(connection, group, version, "versions", topic_id, version)
            assert found == [0, wire.UNKNOWN_TOPIC_OR_PARTITION], (version, found)
            found = commit(connection, group, version, "versions", topic_id, 1, "who", 3)
            assert found[0] == UNKNOWN_MEMBER_ID, (version, found)
            found = commit(connection, f"no-{group}", version, "versions", topic_id, 1, "who", 3)
            wanted = GROUP_ID_NOT_FOUND if version >= 9 else ILLEGAL_GENERATION
            assert found[0] == wanted, (version, found)
        for version in range(1, 11):
            found = fetch_offsets(connection, "offsets-v5", version, "versions", topic_id)
            assert found == ([(5, "note", 0)], 0), (version, found)
            found = fetch_offsets(connection, "none", version, "versions", topic_id)
            assert found == ([(-1, "", 0)], 0), (version, found)
            if version >= 2:
                found = fetch_offsets(connection, "offsets-v5", version, "versions", topic_id, True)
                assert found == ([(5, "note", 0)], 0), (version, found)
        absent = [uuid.UUID(int=77), "versions-absent"]
        for version in (9, 10):
            found = commit(connection, "offsets-v9", version, absent[1], absent[0], 1)
            wanted = UNKNOWN_TOPIC_ID if version == 10 else wire.UNKNOWN_TOPIC_OR_PARTITION
            assert found == [wanted] * 2, (version, found)
        found = fetch_offsets(connection, "offsets-v5", 10, "", absent[0])
        assert found == ([(-1, "", UNKNOWN_TOPIC_ID)], 0), found


def case_every_version_of_membership(server, target):
    with wire.Connection(server.bootstrap) as connection:
        for version in range(0, 10):
            group = f"members-v{version}"
            joined = join(connection, group, version)
            if version >= 4:
                assert joined.error_code == MEMBER_ID_REQUIRED and joined.member_id, joined
                joined = join(connection, group, version, joined.member_id)
            member = joined.member_id
            assert (joined.error_code, joined.generation_id) == (0, 1), (version, joined)
            assert (joined.leader, joined.protocol_name) == (member, "p"), (version, joined)
            assert [(m.member_id, m.metadata) for m in joined.members] == [(member, b"wishes")]
            assert member.startswith("ottla-tests-"), member
            at = min(version, 5)
            beat = min(version, 4)
            found = sync(connection, group, at, member, 9)
            assert found.error_code == ILLEGAL_GENERATION, (version, found)
            found = sync(connection, group, at, member, 1, b"work")
            assert (found.error_code, found.assignment) == (0, b"work"), (version, found)
            assert heartbeat(connection, group, beat, member, 1) == 0
            assert heartbeat(connection, group, beat, member, 2) == ILLEGAL_GENERATION
            assert heartbeat(connection, group, beat, "who", 1) == UNKNOWN_MEMBER_ID
            assert heartbeat(connection, f"no-{group}", beat, member, 1) == UNKNOWN_MEMBER_ID
            again = join(connection, group, version, member)  # the leader's: a new generation
            assert (again.error_code, again.generation_id) == (0, 2), (version, again)
            assert heartbeat(connection, group, beat, member, 2) == 0
            assert leave(connection, group, at, "who") == UNKNOWN_MEMBER_ID
            assert leave(connection, group, at, member) == 0
            assert leave(connection, group, at, member) == UNKNOWN_MEMBER_ID
            bad = join(connection, group, version, session_ms=1)
            assert bad.error_code == INVALID_SESSION_TIMEOUT, (version, bad)
            bad = join(connection, group, version, protocols=())
            assert bad.error_code == INCONSISTENT_GROUP_PROTOCOL, (version, bad)
            bad = join(connection, group, version, "who")
            assert bad.error_code == UNKNOWN_MEMBER_ID, (version, bad)
            assert join(connection, "", version).error_code == INVALID_GROUP_ID


def case_every_version_of_administration(server, target):
    described = wire.DescribeGroupsRequest
    with wire.Connection(server.bootstrap) as connection:
        first = join(connection, "described", 3)
        sync(connection, "described", 3, first.member_id, 1, b"work")
        for version in range(0, 7):
            request = described(groups=["described", "nobody"], include_authorized_operations=True)
            one, other = connection.ask(request, version).groups
            assert (one.error_code, one.group_state) == (0, "Stable"), (version, one)
            assert (one.protocol_type, one.protocol_data) == ("tests", "p"), (version, one)
            member = one.members[0]
            assert (member.member_id, member.client_id, member.client_host) == (
                first.member_id,
                "ottla-tests",
                "/127.0.0.1",
            ), member
            assert (member.member_metadata, member.member_assignment) == (b"wishes", b"work")
            wanted = (GROUP_ID_NOT_FOUND if version >= 6 else 0, "Dead")
            assert (other.error_code, other.group_state) == wanted, (version, other)
            if version >= 3:
                assert one.authorized_operations == {3, 6, 8, 10, 11}, one
        for version in range(0, 6):
            request = wire.ListGroupsRequest(
                states_filter=["stable"] if version >= 4 else [],
                types_filter=["classic"] if version >= 5 else [],
            )
            answer = connection.ask(request, version)
            found = {group.group_id: group for group in answer.groups}
            assert answer.error_code == 0 and "described" in found, (version, answer)
            assert found["described"].protocol_type == "tests", found
            if version >= 4:
                assert found["described"].group_state == "Stable", found
        for version in range(0, 3):
            request = wire.DeleteGroupsRequest(groups_names=["described", "nobody"])
            results = connection.ask(request, version).results
            codes = {result.group_id: result.error_code for result in results}
            wanted = {"described": NON_EMPTY_GROUP, "nobody": GROUP_ID_NOT_FOUND}
            assert codes == wanted, (version, codes)
        leave(connection, "described", 3, first.member_id)
        request = wire.DeleteGroupsRequest(groups_names=["described"])
        assert connection.ask(request, 2).results[0].error_code == 0


def case_what_administration_refuses(server, target):
    make_topic(server.bootstrap, "refusals", 1)
    topic_id = wire.metadata(server.bootstrap, ["refusals"]).topics[0].topic_id
    groups = ["", "refused", "refused-too"]
    with wire.Connection(server.bootstrap) as connection:

        def delete_offsets(group, *places):
            of_topic = wire.OffsetDeleteRequest.OffsetDeleteRequestTopic
            of_partition = of_topic.OffsetDeleteRequestPartition
            topics = [
                of_topic(name=name, partitions=[of_partition(partition_index=i) for i in indexes])
                for name, *indexes in places
            ]
            answer = connection.ask(wire.OffsetDeleteRequest(group_id=group, topics=topics), 0)
            codes = {
                (of_topic.name, one.partition_index): one.error_code
                for of_topic in answer.topics
                for one in of_topic.partitions
            }
            return answer.error_code, codes

        def listed(**filters):
            answer = connection.ask(wire.ListGroupsRequest(**filters), 5)
            return sorted({group.group_id for group in answer.groups} & set(groups))

        def find(key_type):
            request = wire.FindCoordinatorRequest(key_type=key_type, coordinator_keys=["g"])
            return connection.ask(request, 6).coordinators[0].error_code

        for group in groups:
            found = commit(connection, group, 8, "refusals", topic_id, 4)
            assert found == [0, wire.UNKNOWN_TOPIC_OR_PARTITION], (group, found)
        assert listed(states_filter=["EMPTY", "nonsense"], types_filter=["CLASSIC"]) == groups
        assert listed(states_filter=["nonsense"], types_filter=[]) == []
        assert listed(states_filter=[], types_filter=["nonsense"]) == []
        assert delete_offsets("nobody", ("absent", 0)) == (GROUP_ID_NOT_FOUND, {})
        assert delete_offsets("", ("refusals", 0)) == (INVALID_GROUP_ID, {})
        found = delete_offsets("refused", ("refusals", 0, 7), ("absent", 0))
        unknown = wire.UNKNOWN_TOPIC_OR_PARTITION
        wanted = {("refusals", 0): 0, ("refusals", 7): unknown, ("absent", 0): unknown}
        assert found == (0, wanted), found
        request = wire.DeleteGroupsRequest(groups_names=["refused-too", "refused-too", "", "nobody"])
        results = connection.ask(request, 2).results
        codes = sorted((result.group_id, result.error_code) for result in results)
        wanted = [("", 0), ("nobody", GROUP_ID_NOT_FOUND), ("refused-too", 0)]
        assert codes == wanted, codes
        request = wire.DescribeGroupsRequest(groups=["nobody"], include_authorized_operations=True)
        assert connection.ask(request, 6).groups[0].authorized_operations is None
        assert [find(3), find(-1)] == [wire.INVALID_REQUEST] * 2


def offsets_on(server, groups):
    """Of each group: topic, partition, offset, metadata of all that is committed; as a consumer
    would see it that waits for open transactions."""
    found = {}
    with wire.Connection(server.bootstrap) as connection:
        for group in groups:
            of_group = wire.OffsetFetchRequest.OffsetFetchRequestGroup
            request = wire.OffsetFetchRequest(
                groups=[of_group(group_id=group, member_id=None, member_epoch=-1, topics=None)],
                require_stable=False,
            )
            deadline = time.monotonic() + SETTLED_SECONDS_MAX
            while True:
                answer = connection.ask(request, 8).groups[0]
                if answer.error_code not in (
                    wire.COORDINATOR_LOAD_IN_PROGRESS,
                    wire.COORDINATOR_NOT_AVAILABLE,
                    wire.NOT_COORDINATOR,
                ):
                    break
                assert time.monotonic() < deadline, answer
                time.sleep(0.1)
            assert answer.error_code == 0, answer
            found[group] = sorted(
                (topic.name, one.partition_index, one.committed_offset, one.metadata)
                for topic in answer.topics
                for one in topic.partitions
            )
    return found


def case_kafka_takes_over_our_groups_and_gives_them_back(server, target):
    """The folder of this node, stopped cleanly, is started by Kafka: the same offsets; what is
    committed there is here again afterwards."""
    groups = ["kcat-group", "committing", "python-group", "outliving", "offsets-v5"]
    make_topic(server.bootstrap, "handed", 1)
    with confluent(server, "handed-group") as consumer:
        consumer.commit(offsets=[Place("handed", 0, 11)], asynchronous=False)
    before = offsets_on(server, groups)
    server.stop()
    copy = copy_of(server.log_dir, target.folder / "groups-handed-over")
    server.start()
    kafka = Kafka(
        target.folder / "kafka-on-our-groups",
        settings=[*QUICK, "offsets.topic.replication.factor=1"],
        adopt=copy,
    )
    target.others.append(kafka)
    kafka.start()
    assert offsets_on(kafka, groups) == before
    with confluent(kafka, "handed-group") as consumer:
        consumer.commit(offsets=[Place("handed", 0, 12)], asynchronous=False)
    kafka.stop()
    again = target.new_server(settings=server.settings, adopt=copy)
    again.start()
    assert offsets_on(again, groups) == before
    assert offsets_on(again, ["handed-group"]) == {"handed-group": [("handed", 0, 12, "")]}
    again.stop()


def case_transactional_commits_that_kafka_wrote(server, target):
    """Committed, aborted and left open; the last by a producer that died."""
    kafka = Kafka(
        target.folder / "kafka-with-transactional-commits",
        settings=[
            *QUICK,
            "offsets.topic.replication.factor=1",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1",
        ],
    )
    target.others.append(kafka)
    kafka.start()
    make_topic(kafka.bootstrap, "in", 1)
    groups = ["committed", "aborted", "open"]
    for group in groups:
        with confluent(kafka, group) as consumer:
            consumer.commit(offsets=[Place("in", 0, 1)], asynchronous=False)
            consumer.subscribe(["in"])
            producer = Producer(
                {"bootstrap.servers": kafka.bootstrap, "transactional.id": group, "log_level": 0}
            )
            producer.init_transactions(SETTLED_SECONDS_MAX)
            producer.begin_transaction()
            poll_until([consumer], lambda: owned(consumer) == [0], "nothing was assigned")
            producer.send_offsets_to_transaction(
                [Place("in", 0, 5)], consumer.consumer_group_metadata(), SETTLED_SECONDS_MAX
            )
            if group == "committed":
                producer.commit_transaction(SETTLED_SECONDS_MAX)
            elif group == "aborted":
                producer.abort_transaction(SETTLED_SECONDS_MAX)
    before = offsets_on(kafka, groups)
    assert [found[0][2] for found in before.values()] == [5, 1, 1], before
    kafka.stop()
    copy = copy_of(kafka.log_dir, target.folder / "transactional-commits")
    taken = target.new_server(settings=server.settings, adopt=copy)
    taken.start()
    assert offsets_on(taken, groups) == before
    with wire.Connection(taken.bootstrap) as connection:
        of_group = wire.OffsetFetchRequest.OffsetFetchRequestGroup
        request = wire.OffsetFetchRequest(
            groups=[of_group(group_id="open", member_id=None, member_epoch=-1, topics=None)],
            require_stable=True,
        )
        partition = connection.ask(request, 8).groups[0].topics[0].partitions[0]
    assert (partition.error_code, partition.committed_offset) == (88, -1), partition
    taken.stop()


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
