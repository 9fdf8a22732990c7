"""Groups of the consumer protocol (KIP-848): the broker assigns, members send heartbeats. On bare
sockets, by librdkafka, by Java's consumer and Kafka's tools."""

import contextlib
import json
import threading
import time

from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient

from cases import groups
from cases.groups import CONSOLE, GROUP_TOOL, SETTLED_SECONDS_MAX, confluent, fill, owned, poll_until
from harness import heartbeat, wire
from harness.heartbeat import beat
from harness.server import PROJECT, Kafka, copy_of
from harness.target import make_topic, output_of

UNKNOWN_MEMBER_ID, INVALID_REQUEST, GROUP_ID_NOT_FOUND, FENCED_INSTANCE_ID = 25, 42, 69, 82
FENCED_MEMBER_EPOCH, UNRELEASED_INSTANCE_ID, UNSUPPORTED_ASSIGNOR, STALE_MEMBER_EPOCH = (
    *(110, 111, 112, 113),
)
INVALID_REGULAR_EXPRESSION = 128
COMING_UP = (14, 15, 16)  # the coordinator is loading, or not there yet
SESSION_MS = 6000
JOIN = {"rebalance_timeout_ms": 60000, "owned": {}}


def run(target, group, report):
    """A node of its own with short sessions; Kafka's has to be allowed them."""
    own = []

    def server():
        if not own:
            more = [f"group.consumer.session.timeout.ms={SESSION_MS}"]
            if target.kind == "kafka":
                more += [
                    "offsets.topic.replication.factor=1",
                    f"group.consumer.min.session.timeout.ms={SESSION_MS}",
                    "group.consumer.min.heartbeat.interval.ms=500",
                    "group.consumer.heartbeat.interval.ms=500",
                ]
            own.append(target.new_server(settings=groups.QUICK + more))
            own[0].start()
            groups.await_coordinator(own[0])
        return own[0]

    for name, case in CASES.items():
        if report.wants_case(group, name):
            report.run_one(group, name, lambda case=case: case(server(), target))
    for one in own:
        one.stop()


def partitions_of(answer):
    return sorted(p for ps in (answer.assignment or {}).values() for p in ps)


def settle(connection, group, members, is_done):
    """Beats for all members as an obedient client does, until the last answers please."""
    deadline = time.monotonic() + SETTLED_SECONDS_MAX
    while True:
        for name, member in members.items():
            answer = beat(
                connection, group=group, member=name, epoch=member["epoch"], owned=member["owned"]
            )
            if answer.error in COMING_UP:
                break
            assert answer.error == 0, (name, answer)
            member["epoch"] = answer.epoch
            if answer.assignment is not None:
                member["owned"] = answer.assignment
        if is_done({name: sum(map(len, m["owned"].values())) for name, m in members.items()}):
            return
        assert time.monotonic() < deadline, members
        time.sleep(0.05)


def case_requests_without_sense_are_refused(server, target):
    make_topic(server.bootstrap, "refused", 1)
    with wire.Connection(server.bootstrap) as connection:

        def error(**fields):
            fields = {"group": "refused", "member": "m", "topics": ["refused"], **JOIN, **fields}
            return beat(connection, **fields).error

        assert error(group="") == INVALID_REQUEST
        assert error(member="") == INVALID_REQUEST
        assert error(instance="") == INVALID_REQUEST
        assert error(rack="") == INVALID_REQUEST
        assert error(rebalance_timeout_ms=-1) == INVALID_REQUEST
        assert error(owned=None) == INVALID_REQUEST
        assert error(topics=None) == INVALID_REQUEST
        assert error(epoch=-3) == INVALID_REQUEST
        assert error(epoch=-2) == INVALID_REQUEST
        assert error(assignor="mine") == UNSUPPORTED_ASSIGNOR
        assert error(topics=None, regex="(") == INVALID_REGULAR_EXPRESSION
        assert error(epoch=5) == GROUP_ID_NOT_FOUND
        assert error(epoch=-1) == GROUP_ID_NOT_FOUND
        answer = beat(connection, version=0, group="old", topics=["refused"], **JOIN)
        assert answer.error == 0 and answer.member, answer


def case_two_members_share(server, target):
    make_topic(server.bootstrap, "shared", 4)
    with wire.Connection(server.bootstrap) as connection:
        a = beat(connection, group="sharing", member="a", topics=["shared"], **JOIN)
        assert (a.error, partitions_of(a)) == (0, [0, 1, 2, 3]), a
        b = beat(connection, group="sharing", member="b", topics=["shared"], **JOIN)
        assert (b.error, partitions_of(b)) == (0, []), "what a has not given up"
        members = {
            "a": {"epoch": a.epoch, "owned": a.assignment},
            "b": {"epoch": b.epoch, "owned": {}},
        }
        settle(connection, "sharing", members, lambda counts: counts == {"a": 2, "b": 2})
        stale = members["a"]["epoch"] + 1
        wrong = beat(connection, group="sharing", member="a", epoch=stale)
        assert wrong.error == FENCED_MEMBER_EPOCH, wrong
        nobody = beat(connection, group="sharing", member="c", epoch=1)
        assert nobody.error == UNKNOWN_MEMBER_ID, nobody
        assert beat(connection, group="sharing", member="a", epoch=-1).epoch == -1
        del members["a"]
        settle(connection, "sharing", members, lambda counts: counts == {"b": 4})


def case_the_silent_are_replaced(server, target):
    """More members than partitions: the idle one takes over from one that is not heard from."""
    make_topic(server.bootstrap, "lonely", 1)
    with wire.Connection(server.bootstrap) as connection:
        beat(connection, group="silent", member="dies", topics=["lonely"], **JOIN)
        idle = beat(connection, group="silent", member="waits", topics=["lonely"], **JOIN)
        members = {"waits": {"epoch": idle.epoch, "owned": {}}}
        begun = time.monotonic()
        settle(connection, "silent", members, lambda counts: counts == {"waits": 1})
        assert time.monotonic() - begun > SESSION_MS / 1000 * 0.9, "before its session had ended"


def case_static_members_come_back(server, target):
    make_topic(server.bootstrap, "static", 2)
    with wire.Connection(server.bootstrap) as connection:

        def s(member, epoch=0, **fields):
            if epoch == 0:
                fields = {"topics": ["static"], **JOIN}
            return beat(
                connection, group="static", member=member, epoch=epoch, instance="S", **fields
            )

        first = s("s1")
        assert partitions_of(first) == [0, 1], first
        assert s("s2").error == UNRELEASED_INSTANCE_ID
        assert s("s2", first.epoch).error == FENCED_INSTANCE_ID
        assert s("s1", -2).epoch == -2
        again = s("s2")
        assert (again.error, again.epoch, partitions_of(again)) == (0, first.epoch, [0, 1]), again
        assert s("s1", first.epoch).error == FENCED_INSTANCE_ID


def case_regular_expressions_follow_topics(server, target):
    make_topic(server.bootstrap, "match-1", 2)
    with wire.Connection(server.bootstrap) as connection:
        r = beat(connection, group="matching", member="r", regex="match-.*", **JOIN)
        members = {"r": {"epoch": r.epoch, "owned": r.assignment}}
        settle(connection, "matching", members, lambda counts: counts == {"r": 2})
        if target.kind == "ottla":  # Kafka looks every ten minutes only
            make_topic(server.bootstrap, "match-2", 3)
            settle(connection, "matching", members, lambda counts: counts == {"r": 5})


def commit_error(connection, group, member, epoch, topic):
    commit = wire.OffsetCommitRequest
    request = commit(
        group_id=group,
        generation_id_or_member_epoch=epoch,
        member_id=member,
        group_instance_id=None,
        topics=[
            commit.OffsetCommitRequestTopic(
                name=topic,
                partitions=[
                    commit.OffsetCommitRequestTopic.OffsetCommitRequestPartition(
                        partition_index=0,
                        committed_offset=7,
                        committed_leader_epoch=-1,
                        committed_metadata="",
                    )
                ],
            )
        ],
    )
    return connection.ask(request, 9).topics[0].partitions[0].error_code


def case_commits_are_fenced(server, target):
    make_topic(server.bootstrap, "fenced", 1)
    with wire.Connection(server.bootstrap) as connection:
        a = beat(connection, group="fencing", member="a", topics=["fenced"], **JOIN)
        assert commit_error(connection, "fencing", "a", a.epoch, "fenced") == 0
        stale = commit_error(connection, "fencing", "a", a.epoch + 1, "fenced")
        assert stale == STALE_MEMBER_EPOCH, stale
        unknown = commit_error(connection, "fencing", "b", a.epoch, "fenced")
        assert unknown == UNKNOWN_MEMBER_ID, unknown


def modern(server, group, **options):
    return confluent(
        server,
        group,
        **{
            "group.protocol": "consumer",
            "session.timeout.ms": None,
            "heartbeat.interval.ms": None,
            **options,
        },
    )


def case_librdkafka_members_rebalance(server, target):
    make_topic(server.bootstrap, "modern", 4)
    fill(server, "modern", 25, 4)
    read = []

    def has_read_all(consumer, partitions):
        places = consumer.position([Place("modern", p) for p in owned(consumer)])
        return len(places) == partitions and all(place.offset == 25 for place in places)

    with modern(server, "modern-group") as one, modern(server, "modern-group") as two:
        for member in (one, two):
            member.subscribe(["modern"])
        poll_until(
            [one, two],
            lambda: has_read_all(one, 2) and has_read_all(two, 2),
            "two members do not come to share",
            read,
        )
        assert sorted(owned(one) + owned(two)) == [0, 1, 2, 3]
        for member in (one, two):
            member.commit(asynchronous=False)
        two.close()
        poll_until([one], lambda: owned(one) == [0, 1, 2, 3], "nobody took over", read)
    assert sorted(set(read)) == [(p, o) for p in range(4) for o in range(25)]
    with modern(server, "modern-group") as again:
        found = again.committed([Place("modern", p) for p in range(4)], SETTLED_SECONDS_MAX)
        assert [place.offset for place in found] == [25] * 4, found


@contextlib.contextmanager
def beating(server, group, member, topic):
    """A member that stays while something slow looks at it."""
    is_over = threading.Event()

    def run():
        with wire.Connection(server.bootstrap) as connection:
            answer = beat(connection, group=group, member=member, topics=[topic], **JOIN)
            while not is_over.wait(0.5):
                answer = beat(connection, group=group, member=member, epoch=answer.epoch)
            beat(connection, group=group, member=member, epoch=heartbeat.LEAVE)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def case_java_members_and_tools(server, target):
    make_topic(server.bootstrap, "java-modern", 2)
    fill(server, "java-modern", 10, 2)
    read = groups.tool(
        server,
        CONSOLE,
        *("--topic", "java-modern", "--group", "java-modern", "--max-messages", "20"),
        *("--command-property", "group.protocol=consumer"),
        *("--command-property", "auto.offset.reset=earliest", "--timeout-ms", "20000"),
    )
    assert sorted(map(int, read.split())) == sorted([*range(10)] * 2), read
    shown = groups.tool(server, GROUP_TOOL, "--describe", "--group", "java-modern")
    rows = [line.split() for line in shown.splitlines() if line.startswith("java-modern")]
    assert sorted(row[1:6] for row in rows) == [
        ["java-modern", "0", "10", "10", "0"],
        ["java-modern", "1", "10", "10", "0"],
    ], shown
    with beating(server, "java-modern", "seen", "java-modern"):
        for flags in (["--members", "--verbose"], ["--state"]):
            shown = groups.tool(server, GROUP_TOOL, "--describe", "--group", "java-modern", *flags)
            wanted = "seen" if "--members" in flags else "Stable"
            assert wanted in shown, shown
        listed = groups.tool(server, GROUP_TOOL, "--list", "--type", "consumer", "--state")
        assert any(line.split()[:3] == ["java-modern", "Consumer", "Stable"]
                   for line in listed.splitlines()), listed
    groups.tool(server, GROUP_TOOL, "--delete", "--group", "java-modern")


def case_members_outlive_a_kill(server, target):
    make_topic(server.bootstrap, "outlived", 2)
    with wire.Connection(server.bootstrap) as connection:
        a = beat(connection, group="outlived", member="a", topics=["outlived"], **JOIN)
        assert commit_error(connection, "outlived", "a", a.epoch, "outlived") == 0
    server.kill()
    server.start()
    groups.await_coordinator(server)
    with wire.Connection(server.bootstrap) as connection:
        again = beat(connection, group="outlived", member="a", epoch=a.epoch)
        assert (again.error, again.epoch) == (0, a.epoch), again
        new = beat(connection, group="outlived", member="b", topics=["outlived"], **JOIN)
        assert partitions_of(new) == [], "two owners"


def case_kafka_goes_on_with_our_groups(server, target):
    """Stopped cleanly, the folder is started by Kafka: members keep their epochs and partitions;
    what Kafka writes is read here again."""
    make_topic(server.bootstrap, "handed-on", 2)
    with wire.Connection(server.bootstrap) as connection:
        a = beat(connection, group="handed-on", member="a", topics=["handed-on"], **JOIN)
    server.stop()
    copy = copy_of(server.log_dir, target.folder / "consumer-groups-handed-over")
    server.start()
    groups.await_coordinator(server)
    kafka = Kafka(
        target.folder / "kafka-on-our-consumer-groups",
        settings=[*groups.QUICK, "offsets.topic.replication.factor=1"],
        adopt=copy,
    )
    target.others.append(kafka)
    kafka.start()
    groups.await_coordinator(kafka)
    with wire.Connection(kafka.bootstrap) as connection:
        members = {"a": {"epoch": a.epoch, "owned": a.assignment}}
        settle(connection, "handed-on", members, lambda counts: counts == {"a": 2})
        b = beat(connection, group="handed-on", member="b", topics=["handed-on"], **JOIN)
        members["b"] = {"epoch": b.epoch, "owned": {}}
        settle(connection, "handed-on", members, lambda counts: counts == {"a": 1, "b": 1})
    kafka.stop()
    again = target.new_server(settings=server.settings, adopt=copy)
    again.start()
    groups.await_coordinator(again)
    with wire.Connection(again.bootstrap) as connection:
        settle(connection, "handed-on", members, lambda counts: counts == {"a": 1, "b": 1})
    again.stop()


def case_dump_of_offsets_topic(server, target):
    """Kafka's tool reads every record. Last: it ends the node."""
    server.stop()
    logs = [p for p in server.log_dir.glob("__consumer_offsets-*/*.log") if p.stat().st_size]
    out = output_of(
        [PROJECT / "tools/peer", "tool", "DumpLogSegments", "--offsets-decoder", "--files",
         ",".join(map(str, logs))],
        timeout_seconds=SETTLED_SECONDS_MAX * 2,
    )
    for word in ("Exception", "Error", "orrupt", "mismatch"):
        assert word not in out, out[-2000:]
    shown = [line for line in out.splitlines() if "payload:" in line]
    kinds = {
        int(json.loads(line.split(" key: ")[1].split(" payload: ")[0])["type"]) for line in shown
    }
    assert kinds >= {1, 3, 5, 6, 7, 8, 16}, kinds
    server.start()


CASES = {
    name.removeprefix("case_"): case
    for name, case in list(globals().items())
    if name.startswith("case_")
}
