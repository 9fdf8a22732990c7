"""Administration: configs of topics, brokers and groups. By bare requests in every version,
kafka-python, librdkafka and Kafka's own tools; on a node of its own, since configs of brokers
concern all topics."""

import contextlib
import json
import subprocess
import time

from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource as PythonResource
from kafka.admin import ConfigResourceType as PythonType

from harness import records, wire
from harness.differences import expected
from harness.server import PROJECT, Ottla
from harness.target import await_leaders, make_topic, output_of

SEEN_SECONDS_MAX = 15  # Kafka answers before its broker has applied what was changed
TOPIC, BROKER, LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3
OF_TOPIC, OF_BROKER, OF_ALL_BROKERS, OF_FILE, DEFAULT, OF_GROUP = 1, 2, 3, 4, 5, 8


def run(target, group, report):
    settings = ["auto.create.topics.enable=false"]
    own = target.new_server(settings=settings)
    own.start()
    cases = CASES | OURS if target.kind == "ottla" else CASES
    for name, case in cases.items():
        if report.wants_case(group, name):
            report.run_one(group, name, lambda case=case: case(own, target))
    own.stop()


def tool(server, name, *arguments, ok=(0,)):
    return output_of(
        [PROJECT / "tools/peer", "tool", name, "--bootstrap-server", server.bootstrap, *arguments],
        timeout_seconds=60,
        ok=ok,
    )


def until(check):
    """What a check gives, once it no longer fails."""
    deadline = time.monotonic() + SEEN_SECONDS_MAX
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def seen_at_once(target, check):
    """Ours answers when the node goes by it; Kafka a little before."""
    return check() if target.kind == "ottla" else until(check)


# --- configs, on a bare socket


def alter(server, *resources, version=1, validate_only=False):
    """Error codes of IncrementalAlterConfigs; a resource is (type, name, [(config, op, value)])."""
    kind = wire.IncrementalAlterConfigsRequest.AlterConfigsResource
    request = wire.IncrementalAlterConfigsRequest(
        resources=[
            kind(
                resource_type=of,
                resource_name=name,
                configs=[
                    kind.AlterableConfig(name=config, config_operation=operation, value=value)
                    for config, operation, value in configs
                ],
            )
            for of, name, configs in resources
        ],
        validate_only=validate_only,
    )
    answer = wire.ask(server.bootstrap, request, version)
    assert [(one.resource_type, one.resource_name) for one in answer.responses] == [
        (of, name) for of, name, _ in resources
    ]
    for one in answer.responses:
        assert (one.error_code == wire.NONE) == (not one.error_message) or one.error_code == -1, one
    return [one.error_code for one in answer.responses]


def replace(server, of, name, configs, version=2, validate_only=False):
    """The error code of AlterConfigs, which takes all configs away that it does not name."""
    kind = wire.AlterConfigsRequest.AlterConfigsResource
    resource = kind(
        resource_type=of,
        resource_name=name,
        configs=[kind.AlterableConfig(name=config, value=value) for config, value in configs],
    )
    request = wire.AlterConfigsRequest(resources=[resource], validate_only=validate_only)
    return wire.ask(server.bootstrap, request, version).responses[0].error_code


def describe(server, of, name, *keys):
    """Config -> (value, source, [(synonym's name, value, source)])."""
    kind = wire.DescribeConfigsRequest.DescribeConfigsResource
    request = wire.DescribeConfigsRequest(
        resources=[
            kind(resource_type=of, resource_name=name, configuration_keys=list(keys) or None)
        ],
        include_synonyms=True,
        include_documentation=True,
    )
    result = wire.ask(server.bootstrap, request, 4).results[0]
    assert result.error_code == wire.NONE, result
    return {
        one.name: (
            one.value,
            one.config_source,
            [(other.name, other.value, other.source) for other in one.synonyms],
        )
        for one in result.configs
    }


def own_configs(server, of, name, source):
    return {key: one[0] for key, one in describe(server, of, name).items() if one[1] == source}


def case_incremental_versions(server, target):
    make_topic(server.bootstrap, "inc")
    for version in (0, 1):
        wanted = {"retention.ms": str(1000000 + version), "cleanup.policy": "delete,compact"}
        changes = [
            ("retention.ms", SET, wanted["retention.ms"]),
            ("cleanup.policy", APPEND, "compact"),
        ]
        assert alter(server, (TOPIC, "inc", changes), version=version) == [wire.NONE]

        def is_shown():
            assert own_configs(server, TOPIC, "inc", OF_TOPIC) == wanted

        seen_at_once(target, is_shown)
        changes = [("retention.ms", DELETE, None), ("cleanup.policy", SUBTRACT, "delete")]
        assert alter(server, (TOPIC, "inc", changes), version=version) == [wire.NONE]
        wanted = {"cleanup.policy": "compact"}
        seen_at_once(target, is_shown)
        unset = [("cleanup.policy", DELETE, None)]
        assert alter(server, (TOPIC, "inc", unset), version=version) == [wire.NONE]
        wanted = {}
        seen_at_once(target, is_shown)
        only = [("retention.ms", SET, "7")]
        assert alter(server, (TOPIC, "inc", only), version=version, validate_only=True) == [0]
        is_shown()


def case_alter_versions(server, target):
    make_topic(server.bootstrap, "all")
    for version in (0, 1, 2):
        wanted = {"segment.ms": "77777", "retention.ms": str(1000000 + version)}
        assert replace(server, TOPIC, "all", wanted.items(), version) == wire.NONE

        def is_shown():
            assert own_configs(server, TOPIC, "all", OF_TOPIC) == wanted

        seen_at_once(target, is_shown)
        assert replace(server, TOPIC, "all", [], version, validate_only=True) == wire.NONE
        is_shown()
        wanted = {"retention.ms": "5000000"}
        assert replace(server, TOPIC, "all", wanted.items(), version) == wire.NONE
        seen_at_once(target, is_shown)
        wanted = {}
        assert replace(server, TOPIC, "all", [], version) == wire.NONE
        seen_at_once(target, is_shown)


def case_refused(server, target):
    make_topic(server.bootstrap, "ref")

    def code(of, name, *changes):
        return alter(server, (of, name, changes))[0]

    def is_refused(code_wanted, *args, difference=None):
        found = code(*args)
        wanted = expected(target, code_wanted, difference)
        assert found == wanted, f"{args}: error {found} instead of {wanted}"

    config, request = wire.INVALID_CONFIG, wire.INVALID_REQUEST
    missing = wire.UNKNOWN_TOPIC_OR_PARTITION
    for change in [
        ("retention.ms", SET, "soon"),
        ("retention.ms", SET, "-2"),
        ("retention.ms", SET, "9223372036854775808"),
        ("retention.ms", APPEND, "1"),
        ("segment.bytes", SET, "14"),
        ("min.cleanable.dirty.ratio", SET, "1.5"),
        ("compression.type", SET, "zst"),
        ("cleanup.policy", APPEND, "shred"),
        ("remote.storage.enable", SET, "true"),
        ("message.format.version", SET, "2.0"),
        ("message.downconversion.enable", SET, "true"),
        ("no.such", SET, "1"),
        ("no.such", APPEND, "1"),
    ]:
        is_refused(config, TOPIC, "ref", change)
        assert own_configs(server, TOPIC, "ref", OF_TOPIC) == {}
    is_refused(wire.NONE, TOPIC, "ref", ("no.such", DELETE, None))
    is_refused(wire.NONE, TOPIC, "ref")
    conflict = [("min.compaction.lag.ms", SET, "9"), ("max.compaction.lag.ms", SET, "8")]
    is_refused(config, TOPIC, "ref", *conflict)
    is_refused(request, TOPIC, "ref", ("retention.ms", SET, None))
    is_refused(request, TOPIC, "ref", ("retention.ms", SET, "1"), ("retention.ms", DELETE, None))
    unknown = "unknown-config-operation"
    is_refused(-1, TOPIC, "ref", ("retention.ms", 9, "1"), difference=unknown)
    is_refused(request, BROKER, "", ("message.max.bytes", 9, "1"))
    is_refused(missing, TOPIC, "nowhere", ("retention.ms", SET, "1"))
    is_refused(config, TOPIC, "nowhere", ("retention.ms", SET, "soon"))
    is_refused(request, TOPIC, "", ("retention.ms", SET, "1"))
    is_refused(wire.INVALID_TOPIC_EXCEPTION, TOPIC, "a/b", ("retention.ms", SET, "1"))
    for broker in ("", "1"):
        is_refused(request, BROKER, broker, ("message.max.bytes", SET, "x"))
        is_refused(request, BROKER, broker, ("node.id", SET, "3"))
        is_refused(request, BROKER, broker, ("log.dirs", SET, "/x"))
        is_refused(request, BROKER, broker, ("num.partitions", SET, "3"))
        is_refused(request, BROKER, broker, ("advertised.listeners", SET, "PLAINTEXT://x:1"))
        is_refused(request, BROKER, broker, ("auto.create.topics.enable", SET, "true"))
        is_refused(wire.NONE, BROKER, broker, ("num.partitions", DELETE, None))
        is_refused(config, BROKER, broker, ("message.max.bytes", APPEND, "1"))
    for broker in ("2", "x", "-1", " 1"):
        is_refused(request, BROKER, broker, ("message.max.bytes", SET, "1000000"))
    is_refused(config, BROKER, "", ("min.insync.replicas", DELETE, None))
    is_refused(config, BROKER, "1", ("min.insync.replicas", SET, "1"))
    for of in (0, 1, 3, 5, 99, -1):
        is_refused(request, of, "x", ("a", SET, "1"))
    is_refused(config, GROUP, "g", ("consumer.session.timeout.ms", SET, "1"))
    is_refused(config, GROUP, "g", ("consumer.session.timeout.ms", APPEND, "50000"))
    is_refused(config, GROUP, "g", ("no.such", SET, "1"))
    is_refused(request, GROUP, "", ("consumer.session.timeout.ms", SET, "50000"))
    # what is refused of one resource is not refused of another; one named twice is refused twice
    fine, bad = ("retention.ms", SET, "1000000"), ("retention.ms", SET, "x")
    codes = alter(
        server, (TOPIC, "ref", [fine]), (TOPIC, "nowhere", [fine]), (BROKER, "9", [fine])
    )
    assert codes == [wire.NONE, missing, request], codes
    assert alter(server, (TOPIC, "ref", [bad]), (TOPIC, "ref", [fine])) == [request, request]
    assert replace(server, TOPIC, "nowhere", []) == missing
    assert replace(server, TOPIC, "ref", [("retention.ms", None)]) == request
    assert replace(server, LOGGER, "1", [("kafka", "INFO")]) == request


def ottla_case_what_is_not_done_is_refused(server, target):
    """Kafka accepts these; of ours nothing would come of them."""
    make_topic(server.bootstrap, "undone")
    for config, value in (
        ("preallocate", "true"),
        ("leader.replication.throttled.replicas", "*"),
        ("follower.replication.throttled.replicas", "0:1"),
    ):
        found = alter(server, (TOPIC, "undone", [(config, SET, value)]))
        assert found == [wire.INVALID_CONFIG], (config, found)
        made = wire.create_topic(server.bootstrap, "undone-2", configs={config: value})
        assert made.error_code == wire.INVALID_CONFIG, (config, made)
    for of, name, config in (
        (BROKER, "", "leader.replication.throttled.rate"),
        (BROKER, "1", "no.such"),
    ):
        assert alter(server, (of, name, [(config, SET, "1")])) == [wire.INVALID_CONFIG], config
    assert alter(server, (BROKER, "1", [("max.connections", SET, "9")])) == [wire.INVALID_REQUEST]
    for of in (LOGGER, CLIENT_METRICS):
        assert alter(server, (of, "1", [("a", SET, "1")])) == [wire.INVALID_REQUEST]


def case_layers(server, target):
    """Topic over broker over all brokers over the file; each shows what is behind it."""
    make_topic(server.bootstrap, "layers")
    behind = [("message.max.bytes", "1048588", DEFAULT)]
    layers = [
        (BROKER, "", "message.max.bytes", "2000000", OF_ALL_BROKERS),
        (BROKER, "1", "message.max.bytes", "3000000", OF_BROKER),
        (TOPIC, "layers", "max.message.bytes", "4000000", OF_TOPIC),
    ]

    def is_shown():
        top = behind[0]
        found = describe(server, TOPIC, "layers", "max.message.bytes")["max.message.bytes"]
        assert found == (top[1], top[2], behind), found

    is_shown()
    for of, name, config, value, source in layers:
        assert alter(server, (of, name, [(config, SET, value)])) == [wire.NONE]
        behind.insert(0, (config, value, source))
        seen_at_once(target, is_shown)
    found = describe(server, BROKER, "1", "message.max.bytes")["message.max.bytes"]
    assert found == ("3000000", OF_BROKER, behind[1:]), found
    found = describe(server, BROKER, "", "message.max.bytes")["message.max.bytes"]
    assert found == ("2000000", OF_ALL_BROKERS, [behind[2]]), found
    for of, name, config, _, _ in reversed(layers):
        assert alter(server, (of, name, [(config, DELETE, None)])) == [wire.NONE]
        behind.pop(0)
        seen_at_once(target, is_shown)


def case_effect(server, target):
    """Of an open partition, from the answer on."""
    make_topic(server.bootstrap, "effect", 3)
    large = records.batch([bytes(5000)])

    def codes_are(code):
        for partition in range(3):
            found = wire.produce(server.bootstrap, "effect", partition, large).error_code
            assert found == code, (partition, found)

    def change(of, name, config, value):
        operation = SET if value else DELETE
        assert alter(server, (of, name, [(config, operation, value)])) == [wire.NONE]

    codes_are(wire.NONE)
    change(TOPIC, "effect", "max.message.bytes", "1000")
    seen_at_once(target, lambda: codes_are(wire.MESSAGE_TOO_LARGE))
    change(TOPIC, "effect", "max.message.bytes", None)
    seen_at_once(target, lambda: codes_are(wire.NONE))
    change(BROKER, "", "message.max.bytes", "1000")
    seen_at_once(target, lambda: codes_are(wire.MESSAGE_TOO_LARGE))
    change(BROKER, "", "message.max.bytes", None)
    seen_at_once(target, lambda: codes_are(wire.NONE))

    def time_is(kind):
        answer = wire.produce(server.bootstrap, "effect", 0, records.batch([b"x"]))
        assert answer.error_code == wire.NONE
        assert (answer.log_append_time_ms >= 0) == (kind == "LogAppendTime"), answer

    time_is("CreateTime")
    change(TOPIC, "effect", "message.timestamp.type", "LogAppendTime")
    seen_at_once(target, lambda: time_is("LogAppendTime"))
    change(TOPIC, "effect", "message.timestamp.type", None)
    seen_at_once(target, lambda: time_is("CreateTime"))


def case_groups(server, target):
    """Configs of a group that need not be there."""

    def is_shown(value, source):
        found = describe(server, GROUP, "g")["consumer.session.timeout.ms"]
        assert found[:2] == (value, source), found
        behind = ("group.consumer.session.timeout.ms", "45000", DEFAULT)
        assert found[2][-1] == behind and len(found[2]) == (2 if source == OF_GROUP else 1), found

    is_shown("45000", DEFAULT)
    change = ("consumer.session.timeout.ms", SET, "50000")
    assert alter(server, (GROUP, "g", [change])) == [wire.NONE]
    seen_at_once(target, lambda: is_shown("50000", OF_GROUP))
    assert replace(server, GROUP, "g", [("consumer.session.timeout.ms", "51000")]) == wire.NONE
    seen_at_once(target, lambda: is_shown("51000", OF_GROUP))
    assert replace(server, GROUP, "g", []) == wire.NONE
    seen_at_once(target, lambda: is_shown("45000", DEFAULT))


def case_configs_outlive_a_kill(server, target):
    own = target.new_server()
    own.start()
    make_topic(own.bootstrap, "kept")
    wanted = [
        (TOPIC, "kept", "retention.ms", "7777777", OF_TOPIC),
        (BROKER, "", "message.max.bytes", "2000000", OF_ALL_BROKERS),
        (BROKER, "1", "log.segment.bytes", "3000000", OF_BROKER),
        (GROUP, "kept", "consumer.session.timeout.ms", "50000", OF_GROUP),
    ]
    codes = alter(own, *[(of, name, [(key, SET, value)]) for of, name, key, value, _ in wanted])
    assert codes == [wire.NONE] * 4, codes
    if target.kind == "kafka":
        own.stop()  # it flushes nothing before it answers
    else:
        own.kill()
    own.start()
    await_leaders(own.bootstrap, "kept")

    def is_shown():
        for of, name, key, value, source in wanted:
            assert describe(own, of, name, key)[key][:2] == (value, source), key

    seen_at_once(target, is_shown)
    own.stop()


# --- configs, by clients and tools


def case_kafka_configs_tool(server, target):
    make_topic(server.bootstrap, "tool")
    configs = "kafka.admin.ConfigCommand"

    def describe_of(*entity):
        return tool(server, configs, "--describe", *entity)

    of_topic = ("--entity-type", "topics", "--entity-name", "tool")
    added = "retention.ms=123456789,cleanup.policy=[compact,delete]"
    tool(server, configs, "--alter", *of_topic, "--add-config", added)

    def topic_is_shown():
        shown = describe_of(*of_topic)
        assert "retention.ms=123456789" in shown and "cleanup.policy=compact,delete" in shown

    seen_at_once(target, topic_is_shown)
    tool(server, configs, "--alter", *of_topic, "--delete-config", "retention.ms")

    def topic_is_less():
        shown = describe_of(*of_topic)
        assert "retention.ms=" not in shown and "cleanup.policy=compact,delete" in shown, shown

    seen_at_once(target, topic_is_less)
    said = tool(server, configs, "--alter", *of_topic, "--add-config", "retention.ms=x", ok=(1,))
    assert "Completed" not in said
    all_brokers = ("--entity-type", "brokers", "--entity-default")
    tool(server, configs, "--alter", *all_brokers, "--add-config", "message.max.bytes=1234567")

    def broker_is_shown():
        shown = describe_of("--entity-type", "brokers", "--entity-name", "1", "--all")
        assert "DYNAMIC_DEFAULT_BROKER_CONFIG:message.max.bytes=1234567" in shown, shown

    seen_at_once(target, broker_is_shown)
    tool(server, configs, "--alter", *all_brokers, "--delete-config", "message.max.bytes")
    of_group = ("--entity-type", "groups", "--entity-name", "tools-group")
    added = "consumer.session.timeout.ms=50000"
    tool(server, configs, "--alter", *of_group, "--add-config", added)


def case_kafka_python(server, target):
    make_topic(server.bootstrap, "python")
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=server.bootstrap)) as client:
        resource = PythonResource(PythonType.TOPIC, "python", configs={"retention.ms": "4444444"})
        client.alter_configs([resource])

    def is_shown():
        shown = own_configs(server, TOPIC, "python", OF_TOPIC)
        assert shown == {"retention.ms": "4444444"}, shown

    seen_at_once(target, is_shown)


def case_librdkafka(server, target):
    make_topic(server.bootstrap, "rdkafka")
    client = AdminClient({"bootstrap.servers": server.bootstrap, "log_level": 0})

    def shown():
        return own_configs(server, TOPIC, "rdkafka", OF_TOPIC)

    def shows(wanted):
        def check():
            assert shown() == wanted, shown()

        seen_at_once(target, check)

    def entry(name, operation, value=None):
        return ConfigEntry(name, value, incremental_operation=operation)

    resource = ConfigResource(
        ResourceType.TOPIC,
        "rdkafka",
        incremental_configs=[
            entry("retention.ms", AlterConfigOpType.SET, "3333333"),
            entry("cleanup.policy", AlterConfigOpType.APPEND, "compact"),
        ],
    )
    for future in client.incremental_alter_configs([resource]).values():
        future.result(30)
    shows({"retention.ms": "3333333", "cleanup.policy": "delete,compact"})
    resource = ConfigResource(
        ResourceType.TOPIC,
        "rdkafka",
        incremental_configs=[
            entry("retention.ms", AlterConfigOpType.DELETE),
            entry("cleanup.policy", AlterConfigOpType.SUBTRACT, "delete"),
        ],
    )
    for future in client.incremental_alter_configs([resource]).values():
        future.result(30)
    shows({"cleanup.policy": "compact"})
    resource = ConfigResource(ResourceType.TOPIC, "rdkafka", set_config={"segment.ms": "5555555"})
    for future in client.alter_configs([resource]).values():
        future.result(30)
    shows({"segment.ms": "5555555"})


# --- partitions


def grow(server, *topics, version=3, validate_only=False, timeout_ms=20000):
    """Topic -> error code; a topic is (name, count, assignments)."""
    kind = wire.CreatePartitionsRequest.CreatePartitionsTopic
    request = wire.CreatePartitionsRequest(
        topics=[
            kind(
                name=name,
                count=count,
                assignments=None
                if assignments is None
                else [kind.CreatePartitionsAssignment(broker_ids=one) for one in assignments],
            )
            for name, count, assignments in topics
        ],
        timeout_ms=timeout_ms,
        validate_only=validate_only,
    )
    answer = wire.ask(server.bootstrap, request, version)
    return {one.name: one.error_code for one in answer.results}


def partitions_are(server, topic, count):
    assert len(wire.metadata(server.bootstrap, [topic]).topics[0].partitions) == count
    for partition in range(count):
        batch = records.batch([b"x"])
        found = wire.produce(server.bootstrap, topic, partition, batch).error_code
        assert found == wire.NONE, (topic, partition, found)


def case_create_partitions_versions(server, target):
    make_topic(server.bootstrap, "grows")
    for version in range(4):
        count = 2 + 2 * version
        found = grow(server, ("grows", count, None), version=version, validate_only=True)
        assert found == {"grows": wire.NONE}
        partitions_are(server, "grows", count - 1)
        found = grow(server, ("grows", count, None), version=version)
        assert found == {"grows": wire.NONE}
        seen_at_once(target, lambda: partitions_are(server, "grows", count))
        found = grow(server, ("grows", count + 1, [[1]]), version=version)
        assert found == {"grows": wire.NONE}
        seen_at_once(target, lambda: partitions_are(server, "grows", count + 1))


def case_create_partitions_refused(server, target):
    for name in ("stays", "other"):
        make_topic(server.bootstrap, name, 2)
    fewer, assignment = wire.INVALID_PARTITIONS, wire.INVALID_REPLICA_ASSIGNMENT
    for count, assignments, code in (
        (2, None, fewer),
        (1, None, fewer),
        (0, None, fewer),
        (-1, None, fewer),
        (2, [[1]], fewer),
        (3, [], assignment),
        (4, [[1]], assignment),
        (4, [[1], [1], [1]], assignment),
        (4, [[1], [9]], assignment),
        (4, [[1], []], assignment),
        (3, [[1, 1]], assignment),
        (3, [[-1]], assignment),
    ):
        for validate_only in (True, False):
            found = grow(server, ("stays", count, assignments), validate_only=validate_only)
            assert found == {"stays": code}, (count, assignments, found)
    for name in ("nowhere", "", "a/b", "__cluster_metadata"):
        assert grow(server, (name, 3, None)) == {name: wire.UNKNOWN_TOPIC_OR_PARTITION}
    found = grow(server, ("stays", 3, None), ("other", 3, None), ("stays", 3, None))
    assert found == {"stays": wire.INVALID_REQUEST, "other": wire.NONE}, found
    assert grow(server) == {}
    partitions_are(server, "stays", 2)
    seen_at_once(target, lambda: partitions_are(server, "other", 3))


def case_topics_tool_alters(server, target):
    make_topic(server.bootstrap, "tooled")
    topics = "TopicCommand"
    tool(server, topics, "--alter", "--topic", "tooled", "--partitions", "3")
    seen_at_once(target, lambda: partitions_are(server, "tooled", 3))
    said = output_of_failed(server, topics, "--alter", "--topic", "tooled", "--partitions", "2")
    assert "not be an increase" in said, said


def output_of_failed(server, name, *arguments):
    command = [PROJECT / "tools/peer", "tool", name, "--bootstrap-server", server.bootstrap]
    done = subprocess.run(
        [str(part) for part in [*command, *arguments]], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1, done
    return done.stdout + done.stderr


def case_producers_see_new_partitions(server, target):
    """A producer with keys, which knew one partition, uses all when its metadata is old enough."""
    make_topic(server.bootstrap, "keyed")
    producer = Producer(
        {
            "bootstrap.servers": server.bootstrap,
            "topic.metadata.refresh.interval.ms": 200,
            "log_level": 0,
        }
    )
    used = set()

    def delivered(error, message):
        assert error is None, error
        used.add(message.partition())

    def send():
        for i in range(50):
            producer.produce("keyed", b"v", key=b"key-%d" % i, on_delivery=delivered)
        assert producer.flush(30) == 0

    send()
    assert used == {0}
    assert grow(server, ("keyed", 4, None)) == {"keyed": wire.NONE}

    def uses_all():
        send()
        assert used == {0, 1, 2, 3}, used

    until(uses_all)


# --- what is there


UNKNOWN_SERVER_ERROR = -1


class NoMountTable(Exception):
    """Java finds no file system for Kafka's folder, as in a changed root; its broker can't answer
    then, and only ours is asked for more."""


def case_log_dirs(server, target):
    for name in ("sized", "sized-too"):
        make_topic(server.bootstrap, name, 2)
    batch = records.batch([b"x" * 1000])
    for _ in range(3):
        wire.produce(server.bootstrap, "sized", 1, batch)
    kind = wire.DescribeLogDirsRequest.DescribableLogDirTopic

    def sizes(topics, version=5):
        request = wire.DescribeLogDirsRequest(
            topics=None
            if topics is None
            else [kind(topic=name, partitions=wanted) for name, wanted in topics]
        )
        answer = wire.ask(server.bootstrap, request, version)
        assert version < 3 or answer.error_code == wire.NONE
        (folder,) = answer.results
        if target.kind == "kafka" and folder.error_code == UNKNOWN_SERVER_ERROR:
            raise NoMountTable
        assert folder.error_code == wire.NONE and folder.log_dir.startswith("/"), folder
        if version >= 4:
            assert folder.usable_bytes > 1 << 20, folder
        assert all(
            (one.offset_lag, one.is_future_key) == (0, False)
            for topic in folder.topics
            for one in topic.partitions
        )
        return {
            topic.name: {one.partition_index: one.partition_size for one in topic.partitions}
            for topic in folder.topics
        }

    try:
        sizes([])
    except NoMountTable:
        return
    for version in range(1, 6):
        found = sizes([("sized", [0, 1])], version)
        assert found == {"sized": {0: 0, 1: 3 * len(batch)}}, (version, found)
    everything = sizes(None)
    assert everything["sized"] == {0: 0, 1: 3 * len(batch)}
    assert everything["sized-too"] == {0: 0, 1: 0}
    assert sizes([]) == {}
    assert sizes([("nowhere", [0]), ("sized", [7])]) == {}
    assert sizes([("sized", [1, 1]), ("sized", [0])])["sized"][1] == 3 * len(batch)


def case_log_dirs_tool(server, target):
    make_topic(server.bootstrap, "dirs-tool")
    batch = records.batch([b"x" * 1000])
    wire.produce(server.bootstrap, "dirs-tool", 0, batch)
    said = tool(server, "LogDirsCommand", "--describe", "--topic-list", "dirs-tool")
    line = next(line for line in said.splitlines() if line.startswith("{"))
    (broker,) = json.loads(line)["brokers"]
    (folder,) = broker["logDirs"]
    if target.kind == "kafka" and "UnknownServerException" in str(folder["error"]):
        return  # NoMountTable
    assert folder["error"] is None, folder
    assert [(one["partition"], one["size"]) for one in folder["partitions"]] == [
        ("dirs-tool-0", len(batch))
    ], folder


def case_producers(server, target):
    make_topic(server.bootstrap, "written", 2)
    first = wire.init_producer_id(server.bootstrap)
    second = wire.init_producer_id(server.bootstrap)
    now = int(time.time() * 1000)
    for producer, sequence in ((first, 0), (first, 2), (second, 0)):
        batch = records.batch([b"x", b"y"], base_timestamp=now, producer=(producer, 0, sequence))
        assert wire.produce(server.bootstrap, "written", 1, batch).error_code == wire.NONE
    kind = wire.DescribeProducersRequest.TopicRequest
    request = wire.DescribeProducersRequest(
        topics=[
            kind(name="written", partition_indexes=[0, 1, 9]),
            kind(name="nowhere", partition_indexes=[0]),
            kind(name="a/b", partition_indexes=[0]),
        ]
    )
    known, nowhere, illegal = wire.ask(server.bootstrap, request, 0).topics
    missing = wire.UNKNOWN_TOPIC_OR_PARTITION
    assert [one.error_code for one in known.partitions] == [0, 0, missing], known
    assert nowhere.partitions[0].error_code == missing
    assert illegal.partitions[0].error_code == wire.INVALID_TOPIC_EXCEPTION
    assert known.partitions[0].active_producers == []
    found = sorted(
        (
            one.producer_id,
            one.producer_epoch,
            one.last_sequence,
            one.coordinator_epoch,
            one.current_txn_start_offset,
        )
        for one in known.partitions[1].active_producers
    )
    assert found == [(first, 0, 3, -1, -1), (second, 0, 1, -1, -1)], found
    for one in known.partitions[1].active_producers:
        assert abs(one.last_timestamp - now) <= 1, (one, now)


def case_transactions_tool_describes_producers(server, target):
    make_topic(server.bootstrap, "hunted")
    producer = wire.init_producer_id(server.bootstrap)
    batch = records.batch([b"x"], producer=(producer, 0, 0))
    assert wire.produce(server.bootstrap, "hunted", 0, batch).error_code == wire.NONE
    said = tool(
        server, "TransactionsCommand", "describe-producers", "--topic", "hunted", "--partition", "0"
    )
    rows = [line.split() for line in said.splitlines()]
    assert any(row[:2] == [str(producer), "0"] and row[-1] == "None" for row in rows), said


# --- our command line, against both


def ottla(server, *arguments, ok=(0,)):
    return output_of([Ottla.binary, *arguments, "--bootstrap", server.bootstrap], ok=ok)


def case_command_line(server, target):
    make_topic(server.bootstrap, "typed")
    ottla(server, "topic", "alter", "typed", "--partitions", "3", "--config", "retention.ms=9999999")
    seen_at_once(target, lambda: partitions_are(server, "typed", 3))
    ottla(server, "topic", "alter", "typed", "--append", "cleanup.policy=compact")
    ottla(server, "topic", "alter", "typed", "--config", "retention.ms=x", ok=(1,))
    ottla(server, "topic", "alter", "nowhere", "--partitions", "3", ok=(4,))
    ottla(server, "topic", "alter", "typed", ok=(2,))

    def is_shown():
        lines = ottla(server, "config", "describe", "--topic", "typed", "--output", "jsonl")
        shown = {one["name"]: one for one in map(json.loads, lines.splitlines())}
        assert shown["retention.ms"]["value"] == "9999999", shown
        assert shown["cleanup.policy"]["value"] == "delete,compact", shown
        assert shown["retention.ms"]["from"] == "topic", shown

    seen_at_once(target, is_shown)
    of_brokers = ("--config", "message.max.bytes=3333333")
    ottla(server, "config", "alter", "--all-brokers", *of_brokers, "--dry-run")
    ottla(server, "config", "alter", "--all-brokers", *of_brokers)

    def brokers_are_shown():
        text = ottla(server, "config", "describe", "--broker", "1")
        row = next(line.split() for line in text.splitlines() if "message.max.bytes" in line)
        assert row == ["message.max.bytes", "3333333", "all", "brokers"], row

    seen_at_once(target, brokers_are_shown)
    ottla(server, "config", "alter", "--all-brokers", "--delete-config", "message.max.bytes")
    ottla(server, "config", "alter", "--config", "a=1", ok=(2,))
    group = ("--group", "typed", "--config", "consumer.session.timeout.ms=50000")
    document = json.loads(ottla(server, "config", "alter", *group, "--output", "json"))
    assert document == [{"changed": "group 'typed'", "dry_run": False}], document


CASES = {
    name.removeprefix("case_"): case
    for name, case in list(globals().items())
    if name.startswith("case_")
}
OURS = {
    name.removeprefix("ottla_case_"): case
    for name, case in list(globals().items())
    if name.startswith("ottla_case_")
}
